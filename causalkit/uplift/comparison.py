"""Two or more rankings of the same people: their differences with the standard errors that this implies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations
from math import ceil, isfinite
from numbers import Real
from typing import Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.difference import Difference, difference
from causalkit.core.effects import Effects
from causalkit.core.estimate import stack
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.result_map import ResultMap
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Ints
from causalkit.uplift.evidence import _is_model, _same, _was_given

#: Standard errors per difference above which the number of rows has no meaning.
_LARGEST = 1e7


@dataclass(frozen=True)
class SampleSize:
    """How many rows tell two rankings apart.

    Parameters
    ----------
    rows : int
        Rows needed of the same kind as those seen.
    clusters : int or None
        Clusters needed, where rows were clustered; ``rows`` is then at their mean size.
    difference : float
        The difference that is told from zero.
    sd : float
        Standard deviation of one row's (cluster's) part in the difference: ``se * sqrt(count)``.
    alpha, power : float
        Two-sided level of the test, and its power.
    """

    rows: int
    clusters: int | None
    difference: float
    sd: float
    alpha: float
    power: float


def sample_size(
    a: Result, b: Result, alpha: float = 0.05, power: float = 0.8, tolerance: float | None = None
) -> SampleSize:
    """Return how many rows are needed to tell two rankings of the same people apart.

    From the influence values of the difference of the two headlines, in closed form: the standard error falls with the
    square root of the number of rows, so

        rows = n * ((z(1 - alpha / 2) + z(power)) * se / difference)^2.

    Parameters
    ----------
    a, b : Result
        Evaluations of two rankings of the same rows (of ``rate``, ``qini``, ``UpliftEvaluation`` ...).
    alpha : float
        Two-sided level of the test that will be made.
    power : float
        Probability with which the difference should be found.
    tolerance : float, optional
        Smallest difference that matters. By default the one that was estimated, which is uncertain itself: where it is
        within two standard errors of zero the answer is no more than a guess.

    Returns
    -------
    SampleSize

    Raises
    ------
    DesignError
        If the level or power is not inside (0, 1), the difference is zero or no number, or the two measure different things.
    InferenceUnavailable
        If it is not known which rows belong together, or the two order people alike.
    """
    for name, share in (("alpha", alpha), ("power", power)):
        if not 0.0 < share < 1.0:
            raise DesignError(f"{name}={share!r} is not between 0 and 1.")
    if tolerance is not None and (
        isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not isfinite(tolerance)
    ):
        raise DesignError(f"tolerance={tolerance!r} is not a number.", hint="Pass a difference that matters.")
    one, two = ((r.headline, getattr(r.estimator, "method", None)) for r in (a, b))
    if one != two:
        raise DesignError(
            f"one result measures {_measure(*one)}, the other {_measure(*two)}.",
            hint="Evaluate both rankings by one measure.",
        )
    found = difference(a, b)
    told = found.estimate if tolerance is None else float(tolerance)
    if told == 0.0:
        raise DesignError(
            "no number of rows tells equal rankings apart.", hint="Pass tolerance=, a difference that matters."
        )
    if not found.se > 0.0:
        raise InferenceUnavailable(
            "the difference has no standard error: the two order people alike.", hint="Compare rankings that differ."
        )
    groups = getattr(found.effects.numbers.carrier, "groups", None)
    count = found.n if groups is None else groups.count
    ratio = (special.ndtri(1.0 - alpha / 2.0) + special.ndtri(power)) * (found.se / abs(told))
    if ratio > _LARGEST:
        raise DesignError(f"a difference of {told:g} is too small to be found with any number of rows.")
    factor = float(ratio) ** 2
    needed = ceil(count * factor)
    rows = needed if groups is None else ceil(found.n * factor)
    sd = found.se * float(np.sqrt(count))
    return SampleSize(rows, None if groups is None else needed, told, sd, alpha, power)


def _measure(term: str | None, method: str | None) -> str:
    return f"{term} (method {method!r})" if method is not None and method != term else str(term)


def named_rankings(effect: Any, score: Any) -> list[tuple[str, str, Any]]:
    """Return (keyword, name, value) of each ranking of a comparison.

    Raises
    ------
    DesignError
        If rankings have no names, there are fewer than two, or two have one name.
    """
    hint = 'Pass score={"first": ..., "second": ...}, or effect= likewise; score= may be a list of columns.'
    score = [score] if isinstance(score, str) else score
    if effect is not None and not isinstance(effect, Mapping):
        raise DesignError(f"effect= is a {type(effect).__name__}, not a mapping from names to rankings.", hint=hint)
    if isinstance(score, list | tuple) and all(isinstance(name, str) for name in score):
        named = [("score", name, name) for name in score]
    elif score is None or isinstance(score, Mapping):
        named = [("score", str(name), value) for name, value in (score or {}).items()]
    else:
        raise DesignError(f"score= is a {type(score).__name__}, not a mapping from names to rankings.", hint=hint)
    rankings = [("effect", str(name), value) for name, value in (effect or {}).items()] + named
    names = [name for _, name, _ in rankings]
    if len(set(names)) < max(2, len(names)):
        raise DesignError(
            f"a comparison needs two or more rankings with names of their own, not {', '.join(names) or 'none'}.",
            hint=hint,
        )
    return rankings


def roles_of_each(rankings: Sequence[tuple[str, str, Any]], shared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the keywords of ``fit`` by ranking: what was named for all, else of models their own, else the first model's.

    Raises
    ------
    DesignError
        If models were fitted on different outcomes, treatments or arms, and nothing else was named.
    """
    models = {name: value.roles for _, name, value in rankings if _is_model(value)}
    first = next(iter(models), None)
    own = {} if first is None else models[first]
    for name, roles in models.items():
        for role in ("outcome", "treatment", "control", "treatment_level"):
            if not _was_given(shared[role]) and not _same(roles.get(role), own.get(role)):
                raise DesignError(
                    f"{name} was fitted with {role}={roles.get(role)!r}, {first} with {role}={own.get(role)!r}: "
                    "the two do not predict one effect.",
                    hint=f"Name {role}= to judge all rankings by it.",
                )
    lent = {role: own[role] for role in shared if role in own and role not in ("effect", "score", "cost")}
    lent = {role: value for role, value in lent.items() if not _was_given(shared[role])}
    return {name: {**shared, **({} if _is_model(value) else lent), kind: value} for kind, name, value in rankings}


def rows_of_all(results: Sequence[Result]) -> Ints | None:
    """Return the rows of the table that all results use; None where they use the same.

    Raises
    ------
    DataError
        If there is no such row.
    """
    used = [result.sample.rows.positions for result in results if result.sample is not None]
    if all(np.array_equal(rows, used[0]) for rows in used):
        return None
    both = reduce(np.intersect1d, used)
    if not both.size:
        raise DataError("no row has all rankings.", hint="Look where each of them is missing.")
    return np.asarray(both)


class Comparison(ResultMap):
    """Evaluations of several rankings of the same people, by name.

    Parameters
    ----------
    results : mapping of str to Result
        The evaluations.
    title : str
        What they have in common.
    """

    def __init__(self, results: Mapping[str, Result], title: str = "Rankings of the same people") -> None:
        super().__init__(results, title)

    def difference(self, a: str, b: str, term: str = "autoc") -> Difference:
        """Return one ranking's value minus another's, with the standard error of the pair.

        Parameters
        ----------
        a, b : str
            Names of rankings.
        term : str
            Which value: ``"autoc"``, ``"qini"``, ``"auuc"``, ``"uplift_top_20"`` ...
        """
        found = difference(self._of(a, term), self._of(b, term))
        name = f"{a} - {b}"
        return replace(
            found,
            effects=Effects((name,), found.effects.numbers),
            headline=name,
            estimand=f"{term} of {a} minus that of {b}",
        )

    def differences(self, term: str = "autoc") -> Effects:
        """Return the differences of all pairs with their joint covariance.

        ``ci(simultaneous=True)`` of what is returned holds for all pairs at once.

        Parameters
        ----------
        term : str
            As for :meth:`difference`.
        """
        names = list(self)
        values = [self._of(name, term) for name in names]
        parts = [
            value.effects.numbers.linear(np.eye(len(value.effects))[value.effects.index(term)]) for value in values
        ]
        joint = reduce(stack, parts)
        pairs = list(combinations(range(len(names)), 2))
        unit = np.eye(len(names))
        weights = np.array([unit[i] - unit[j] for i, j in pairs])
        return Effects(tuple(f"{names[i]} - {names[j]}" for i, j in pairs), joint.linear(weights))

    def sample_size(
        self,
        a: str,
        b: str,
        term: str = "autoc",
        alpha: float = 0.05,
        power: float = 0.8,
        tolerance: float | None = None,
    ) -> SampleSize:
        """Return how many rows are needed to tell two of the rankings apart.

        Parameters
        ----------
        a, b, term
            As for :meth:`difference`.
        alpha, power, tolerance
            As for :func:`sample_size`.
        """
        return sample_size(self._of(a, term), self._of(b, term), alpha, power, tolerance)

    def _of(self, name: str, term: str) -> Result:
        if name not in self:
            raise DesignError(f"no ranking is named {name!r}.", hint=f"There are {', '.join(self)}.")
        result = self[name]
        result.effects.index(term)
        return replace(result, headline=term)

    @cached_property
    def _pairs(self) -> Effects:
        return self.differences()

    @property
    def answer(self) -> str:
        """The best ranking, and whether it can be told from the next."""
        first, second = sorted(self, key=lambda name: -self[name].estimate)[:2]
        gap = self.difference(first, second)
        if gap.estimate == 0.0 and gap.se == 0.0:
            return f"{first} and {second} rank best, and alike (AUTOC {fmt.number(self[first].estimate, 3)})."
        said = f"{first} ranks best (AUTOC {fmt.number(self[first].estimate, 3)}), then {second}"
        told = f"difference {fmt.number(gap.estimate, 3)}, 95% interval {gap._interval_text()}"
        return f"{said}: {told}."

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict, the evaluations and the differences."""
        note = "Differences of AUTOC, with the standard error of rankings of the same people."
        return (
            Passage("found", self.title, (self.answer,)),
            Passage("certainty", "Each ranking", (), self.to_table()),
            Passage("certainty", "Every pair", (note,), self._pairs.to_table()),
        )

    def refit(self, data: Any = None) -> Comparison:
        """Evaluate every ranking again on other data.

        Parameters
        ----------
        data : table, optional
            Other rows; by default those that each evaluation keeps.
        """
        return Comparison({name: result.refit(data) for name, result in self.items()}, self._title)
