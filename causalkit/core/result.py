"""What comes back: an immutable result with a headline, a table of effects, a ledger of checks, and a way to run again."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Placebos
from causalkit.core.estimator import Estimator
from causalkit.core.passage import Passage
from causalkit.core.presentation import Presentable, plain
from causalkit.core.rows import Groups
from causalkit.core.sample import Dropped, Sample
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable

if TYPE_CHECKING:
    from causalkit.core.difference import Difference
    from causalkit.inference.confidence_set import ConfidenceSet

Step = tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]

#: Effects that a sentence lists where none of them is the headline.
SHOWN = 6


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Result(Presentable):
    """Estimates of one analysis.

    Parameters
    ----------
    estimator : Estimator
        The configuration that made it (with the seed that was drawn, where none was given).
    effects : Effects
        All estimates, by term.
    headline : str or None
        The term that ``estimate``, ``se``, ``ci`` and ``pvalue`` speak of; None where nothing singles one out, such as
        several arms of which ``treatment_level=`` named none.
    estimand : str
        What the headline estimates, in words.
    checks : Checks
        The assumption ledger.
    sample : Sample or None
        The rows it was computed from; a pickle leaves them out.
    n : int
        Rows used.
    dropped : Dropped
        Rows left out, and why.
    roles : mapping
        The keywords of the fit.
    steps : tuple
        Operations that led from the fitted result to this one; ``refit`` replays them.
    """

    estimator: Estimator[Any]
    effects: Effects
    headline: str | None
    estimand: str
    checks: Checks
    sample: Sample | None
    n: int
    dropped: Dropped
    roles: Mapping[str, Any]
    steps: tuple[Step, ...] = ()

    plots: ClassVar[tuple[str, ...]] = ("effects",)

    # The headline.

    @property
    def _at(self) -> int:
        if self.headline is None:
            terms = ", ".join(self.effects.terms[:20]) + (", …" if len(self.effects) > 20 else "")
            named = self.roles.get("treatment_level") is not None
            raise InferenceUnavailable(
                "this result has no single headline number.",
                hint=f"Choose a term of .effects: {terms}."
                + ("" if named else " Among several arms, treatment_level= at the fit names the one of interest."),
            )
        return self.effects.index(self.headline)

    @cached_property
    def headline_effect(self) -> Effects:
        """The headline as a vector of one effect; it need not be one of ``effects`` but may be made of them."""
        return self.effects.select([self._at])

    @property
    def estimate(self) -> float:
        """The headline estimate."""
        return float(self.headline_effect.values[0])

    @property
    def se(self) -> float:
        """Standard error of the headline."""
        return float(self.headline_effect.se[0])

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of the headline against zero: ``test().pvalue``."""
        return self.test().pvalue

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the ``1 - alpha`` confidence interval of the headline; the dual of :meth:`test`.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : str, optional
            How it is computed, where the estimator offers several ways.
        """
        self._require_method(method)
        low, high = self.headline_effect.ci(alpha)
        return float(low[0]), float(high[0])

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the headline equals ``null``; the dual of :meth:`ci`.

        Parameters
        ----------
        null : float
            The value under the null hypothesis.
        method : str, optional
            How it is computed, where the estimator offers several ways.
        """
        self._require_method(method)
        return self.headline_effect.test(0, null)

    def _require_method(self, method: str | None) -> None:
        if method is not None:
            raise DesignError(
                f"method={method!r} is not offered by {type(self.estimator).__name__}.", hint="Leave it out."
            )

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.dropped.total

    # Running it again.

    def refit(self, data: Any = None) -> Any:
        """Run the same analysis (the fit and what followed) on other data.

        Parameters
        ----------
        data : table or Sample, optional
            Other rows; by default the rows this result keeps.
        """
        source = self._kept() if data is None else data
        if isinstance(source, Sample):
            result = self.estimator.estimate(source)
        else:
            arrays = [role for role, value in self.roles.items() if _is_array(value)]
            if arrays:
                raise DesignError(
                    f"{arrays[0]}= was an array, which belongs to the first table.",
                    hint="Keep it as a column of the table.",
                )
            result = self.estimator.fit(source, **self.roles)  # type: ignore[attr-defined]
        for name, args, kwargs in self.steps:
            result = getattr(result, name)(*args, **dict(kwargs))
        return result

    def _kept(self) -> Sample:
        if self.sample is None:
            raise InferenceUnavailable(
                "this result no longer holds its data (a pickle leaves them out).",
                hint="Pass the data: result.refit(data), or pickle with to_pickle(path, keep_data=True).",
            )
        return self.sample

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return the number of parameters that small-sample factors count; ``ways`` are the clusters, if any."""
        return len(self.effects)

    def with_vcov(self, vcov: str, cluster: Any = None) -> Any:
        """Return the same estimates with another variance.

        From the influence values (no new fit): ``"HC0"``, ``"HC1"``, ``"CR0"``, ``"CR1"``. Others are had by a refit
        with the estimator's ``vcov=``.

        Parameters
        ----------
        vcov : str
            The variance.
        cluster : array or tuple of arrays, optional
            Labels of the clusters, one per row used; a tuple of two arrays for two-way clustering; or ``None`` for the
            clusters of the fit.
        """
        from causalkit.core.recluster import recluster

        effects = replace(self.effects, numbers=recluster(self, vcov, cluster))
        return replace(self, effects=effects, steps=(*self.steps, ("with_vcov", (vcov,), (("cluster", cluster),))))

    def __sub__(self, other: Result) -> Difference:
        from causalkit.core.difference import difference

        return difference(self, other)

    # Showing it.

    @property
    def title(self) -> str:
        """Name of the estimator and what it estimates."""
        return f"{type(self.estimator).__name__}: {self.estimand}"

    @property
    def answer(self) -> str:
        """The headline in one sentence; without one, every effect (the first few of many)."""
        if self.headline is None:
            return self._every_effect()
        said = f"{self.estimand[:1].upper()}{self.estimand[1:]}: {fmt.number(self.estimate)}"
        if isinstance(self.effects.numbers.carrier, Placebos):
            return f"{said} (placebo p-value {fmt.pvalue(self.pvalue)}, n = {self.n:,})."
        return f"{said} {self._interval_text()} (95% interval, p-value {fmt.pvalue(self.pvalue)}, n = {self.n:,})."

    def _every_effect(self) -> str:
        """List the effects with their intervals."""
        told = [
            f"{term} {fmt.number(value)}" for term, value in zip(self.effects.terms, self.effects.values, strict=True)
        ]
        note = f"placebo inference, n = {self.n:,}"
        if not isinstance(self.effects.numbers.carrier, Placebos):
            limits = zip(*self.effects.ci(), strict=True)
            told = [f"{text} {fmt.interval(*pair)}" for text, pair in zip(told, limits, strict=True)]
            note = f"95% intervals, n = {self.n:,}"
        shown = told[:SHOWN] + ([f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else [])
        return f"{self.estimand[:1].upper()}{self.estimand[1:]}: {'; '.join(shown)} ({note})."

    def _interval_text(self) -> str:
        limits = self.ci()
        return fmt.interval(*limits) if isinstance(limits, tuple) else str(limits)

    def to_table(self) -> Table:
        """Return the table of effects."""
        return self.effects.to_table()

    def passages(self) -> tuple[Passage, ...]:
        """Return the headline as a finding and the table as its certainty."""
        rows = f"{fmt.plural(self.n, 'row')} used"
        if self.n_dropped:
            rows += f", {self.n_dropped:,} left out"
        figure = "effects" if "effects" in self.plots else next(iter(self.plots), None)
        return (
            Passage("found", self.title, (self.answer,), facts=self._facts()),
            Passage("certainty", self.title, (f"{rows}.",), self.to_table(), figure),
        )

    def _facts(self) -> tuple[tuple[str, str, str], ...]:
        if self.headline is None:
            return ()
        if isinstance(self.effects.numbers.carrier, Placebos):
            return (("Effect", fmt.number(self.estimate, 3), f"placebo p-value {fmt.pvalue(self.pvalue)}"),)
        return (("Effect", fmt.number(self.estimate, 3), f"95% interval {self._interval_text()}"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return terms, estimates and intervals."""
        low, high = self.effects.ci()
        return {
            "title": self.title,
            "terms": list(self.effects.terms),
            "estimate": self.effects.values,
            "low": low,
            "high": high,
            "null": 0.0,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary."""
        try:
            config = self.estimator.to_dict()
        except DesignError:
            config = {"name": type(self.estimator).__name__, "repr": repr(self.estimator)}
        said = {"estimator": config, "estimand": self.estimand, "n": self.n, "n_dropped": self.n_dropped}
        dropped = [
            dict(zip(("reason", "column", "rows", "first_row"), row, strict=True)) for row in self.dropped.reasons
        ]
        return plain({**super().to_dict(), **said, "dropped": dropped})  # type: ignore[no-any-return]

    # Keeping it.

    def __getstate__(self) -> dict[str, Any]:
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**state, "sample": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)

    def to_pickle(self, path: str | PathLike[str], keep_data: bool = False) -> None:
        """Write a pickle; the rows stay out of it unless ``keep_data``.

        Parameters
        ----------
        path : path
            The file; an existing one is replaced.
        keep_data : bool
            Whether the rows go into the file too, so that ``refit()`` works on what is read.
        """
        with open(path, "wb") as file:
            pickle.dump(_WithData(self) if keep_data else self, file)


class _WithData:
    """Pickles a result together with its sample."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        parts = tuple(_WithData(part) for part in getattr(self.result, "parts", ()))
        return _restore, (self.result, self.result.sample, parts)


def _restore(result: Result, sample: Sample | None, parts: tuple[Result, ...] = ()) -> Result:
    changes: dict[str, Any] = {"parts": parts} if parts else {}
    return replace(result, sample=sample, **changes)


def _is_array(value: Any) -> bool:
    """Whether a keyword of the fit holds one value per row (not the names of columns)."""
    if isinstance(value, list | tuple):
        return any(not isinstance(item, str) for item in value)
    return np.ndim(value) > 0 if hasattr(value, "__array__") else False


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Report(Presentable):
    """A verdict, a segmentation, a plan or an audit: something to decide with, built on results."""
