"""Randomization tests: the treatment is reassigned the way it was assigned, by every way or by random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import factorial, inf, lgamma, prod
from typing import Literal

import numpy as np

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

Alternative = Literal["two-sided", "greater", "less"]
_TIE = 1e-9
_BEYOND = 46.0


@dataclass(frozen=True)
class RandomizationTest:
    """A randomization test of the sharp null.

    Attributes
    ----------
    statistic : float
        With the assignment that took place.
    pvalue : float
        Exact: the share of assignments (the actual one among them) at least as extreme. Drawn: ``(1 + k)/(1 + B)``.
    n_draws : int
        Assignments evaluated: all of them when exact, else B.
    exact : bool
    monte_carlo_error : float
        Standard error of the p-value from drawing; zero when exact.
    n_undefined : int
        Assignments where the statistic was NaN; they count as extreme, so the p-value can only be too large.
    """

    statistic: float
    pvalue: float
    n_draws: int
    exact: bool
    monte_carlo_error: float
    n_undefined: int = 0


def randomization_test(
    statistic: Callable[[Codes], float],
    treatment: Codes,
    groups: Codes | None = None,
    strata: Codes | None = None,
    n_draws: int = 999,
    alternative: Alternative = "two-sided",
    max_exact: int = 50_000,
    random_state: int | np.random.Generator | None = None,
) -> RandomizationTest:
    """Test that the treatment changed nobody's outcome (Fisher's sharp null).

    Parameters
    ----------
    statistic : callable
        Takes (n,) arm codes and returns a number, zero being its centre under the null for a two-sided test. The array
        it is given is read-only.
    treatment : (n,) integer codes
        The assignment that took place; two or more arms.
    groups : (n,) integer codes, optional
        Clusters that were assigned together; the arm must not vary within one.
    strata : (n,) integer codes, optional
        Blocks within which arms were dealt out, with fixed counts in each; must not vary within a cluster.
    n_draws : int
        Random assignments B, where there are too many to enumerate.
    alternative : {"two-sided", "greater", "less"}
        Two-sided compares absolute values.
    max_exact : int
        All assignments are enumerated when there are at most this many.
    random_state : int, Generator or None

    Returns
    -------
    RandomizationTest

    Raises
    ------
    DataError
        If lengths differ, or the arm or the stratum varies within a cluster.
    DesignError
        If no stratum has two arms, or the alternative is unknown.
    InferenceUnavailable
        If the statistic of the actual assignment is NaN.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> treatment = np.array([1, 1, 1, 0, 0, 0])
    >>> y = np.array([3.0, 4.0, 5.0, 1.0, 2.0, 0.0])
    >>> found = ck.inference.randomization_test(lambda arm: y[arm == 1].mean() - y[arm == 0].mean(), treatment)
    >>> found.exact, found.n_draws, found.pvalue  # two of twenty assignments are as extreme
    (True, 20, 0.1)
    """
    if alternative not in ("two-sided", "greater", "less"):
        raise DesignError(f"Unknown alternative {alternative!r}.", hint="Use 'two-sided', 'greater' or 'less'.")
    scheme = _Scheme.of(np.asarray(treatment), groups, strata)
    observed = float(statistic(read_only(np.array(treatment))))
    if np.isnan(observed):
        raise InferenceUnavailable("The statistic is NaN at the actual assignment.")
    exact = scheme.count <= max_exact
    if exact:
        assignments = scheme.all()
    else:
        if n_draws < 1:
            raise DesignError(f"n_draws={n_draws} must be at least 1.")
        assignments = scheme.draws(n_draws, np.random.default_rng(random_state))
    values = np.fromiter((statistic(read_only(codes)) for codes in assignments), dtype=np.float64)
    undefined = int(np.count_nonzero(np.isnan(values)))
    count = int(np.count_nonzero(_at_least(values, observed, alternative))) + undefined
    if exact:
        return RandomizationTest(observed, count / values.size, values.size, True, 0.0, undefined)
    pvalue = (1.0 + count) / (1.0 + n_draws)
    error = float(np.sqrt(pvalue * (1.0 - pvalue) / n_draws))
    return RandomizationTest(observed, pvalue, n_draws, False, error, undefined)


@dataclass(frozen=True)
class _Scheme:
    """How assignments are made: arms of the assigned units, their strata, and the unit of each row."""

    arms: Codes
    strata: tuple[Ints, ...]
    unit_of_row: Ints
    count: float

    @classmethod
    def of(cls, treatment: Codes, groups: Codes | None, strata: Codes | None) -> _Scheme:
        n_rows = treatment.shape[0]
        for name, codes in (("cluster", groups), ("stratum", strata)):
            if codes is not None and np.shape(codes) != (n_rows,):
                raise DataError(f"There are {n_rows} rows but {name} codes of shape {np.shape(codes)}.")
        if groups is None:
            first = unit_of_row = np.arange(n_rows)
        else:
            _, first, unit_of_row = np.unique(groups, return_index=True, return_inverse=True)
        _require_constant(treatment, first, unit_of_row, "treatment")
        blocks = np.zeros(n_rows, dtype=np.int64) if strata is None else np.asarray(strata)
        _require_constant(blocks, first, unit_of_row, "stratum")
        arms, blocks = treatment[first], blocks[first]
        members = tuple(np.flatnonzero(blocks == block) for block in np.unique(blocks))
        members = tuple(units for units in members if np.unique(arms[units]).size > 1)
        if not members:
            raise DesignError("No stratum has two arms, so there is no other assignment to compare with.")
        return cls(arms, members, unit_of_row, prod(_n_arrangements(arms[units]) for units in members))

    def all(self) -> Iterator[Codes]:
        """Every assignment, once."""
        yield from self._fill(self.arms.copy(), 0)

    def _fill(self, arms: Codes, depth: int) -> Iterator[Codes]:
        if depth == len(self.strata):
            yield arms[self.unit_of_row]
            return
        units = self.strata[depth]
        for arrangement in _arrangements(self.arms[units]):
            arms[units] = arrangement
            yield from self._fill(arms, depth + 1)

    def draws(self, n_draws: int, rng: np.random.Generator) -> Iterator[Codes]:
        """Random assignments, independent of one another."""
        arms = self.arms.copy()
        for _ in range(n_draws):
            for units in self.strata:
                arms[units] = rng.permutation(self.arms[units])
            yield arms[self.unit_of_row]


def _require_constant(codes: Codes | Ints, first: Ints, unit_of_row: Ints, name: str) -> None:
    rows = np.flatnonzero(codes != codes[first][unit_of_row])
    if rows.size:
        raise DataError(
            f"The {name} varies within a cluster in {rows.size} rows, the first is row {rows[0]}.",
            hint="Randomize over the level at which treatment was assigned.",
            rows=rows[:5].tolist(),
        )


def _n_arrangements(arms: Codes) -> float:
    """Number of distinct orderings; infinite where it is beyond enumeration (the exact number would take long)."""
    counts = np.unique(arms, return_counts=True)[1].tolist()
    if lgamma(arms.size + 1) - sum(lgamma(count + 1) for count in counts) > _BEYOND:
        return inf
    return factorial(arms.size) // prod(factorial(count) for count in counts)


def _arrangements(arms: Codes) -> Iterator[Codes]:
    """Every distinct ordering of ``arms``: place one arm, then the others in the places left."""
    levels, counts = np.unique(arms, return_counts=True)
    if levels.size == 1:
        yield arms.copy()
        return
    others = arms[arms != levels[0]]
    places = np.arange(arms.size)
    for taken in combinations(range(arms.size), int(counts[0])):
        free = np.delete(places, taken)
        for rest in _arrangements(others):
            arrangement = np.full(arms.size, levels[0], dtype=arms.dtype)
            arrangement[free] = rest
            yield arrangement


def _at_least(values: Floats, observed: float, alternative: Alternative) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each value is as extreme as the observed one, values equal up to rounding included."""
    if alternative == "two-sided":
        values, observed = np.abs(values), abs(observed)
    if alternative == "less":
        values, observed = -values, -observed
    slack = _TIE * np.maximum(abs(observed), np.where(np.isnan(values), 0.0, np.abs(values)))
    return np.asarray(values >= observed - slack)
