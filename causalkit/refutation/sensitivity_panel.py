"""``ck.sensitivity``: how wrong the assumptions would have to be, by every measure that the design allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import require_alpha
from causalkit.refutation.benchmarks import Benchmark, compared, require_times
from causalkit.refutation.measures import Measure, Question, measured
from causalkit.refutation.omitted_variable import OmittedVariable
from causalkit.refutation.refuting import rows_of
from causalkit.refutation.strength import Strength, after, strength_of

#: Grid of a contour plot, in each direction.
_GRID = 61
#: Letters of a benchmark in a figure: longer ones push its axes together.
_LONGEST = 24
_CAPPED = (
    "A confounder whose share with the outcome is 1 would be as strong as that only if it explained more than all that is "
    "left of the outcome: the share is held at 1, where no error is left and the interval of a regression is one point."
)


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Report):
    """How robust a result is, measure by measure.

    Parameters
    ----------
    result : Result
        What is asked about.
    q : float
        Share of the estimate that is to be explained away.
    alpha : float
        One minus the coverage of intervals.
    strength : OmittedVariable, LongForm or None
        What its omitted-variable bias depends on; None where the design does not rest on covariates.
    measures : tuple of Measure
        All other measures.
    benchmarks : tuple of Benchmark
        Confounders as strong as covariates.
    unmatched : tuple of str
        Covariates so strong that no confounder can be.
    """

    result: Result
    q: float
    alpha: float
    strength: Strength | None
    measures: tuple[Measure, ...]
    benchmarks: tuple[Benchmark, ...]
    unmatched: tuple[str, ...] = ()

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        return ("contour",) if self.strength is not None else ()

    @property
    def robustness_value(self) -> float:
        """Share of what is left of treatment and of outcome that a confounder must explain to take ``q`` off the estimate."""
        return self._strength.robustness_value(self.q)

    @property
    def robustness_value_alpha(self) -> float:
        """The same for the interval: to let it hold what is left of the estimate."""
        return self._strength.robustness_value(self.q, self.alpha)

    @property
    def _strength(self) -> Strength:
        if self.strength is None:
            raise InferenceUnavailable(
                f"{type(self.result.estimator).__name__} does not rest on covariates, so no partial R2 measures its bias.",
                hint=f"Other measures: {', '.join(m.name for m in self.measures) or 'none'}.",
            )
        return self.strength

    def adjusted(self, with_treatment: float, with_outcome: float) -> tuple[float, tuple[float, float]]:
        """Return the estimate, and its interval, after a confounder that takes it towards zero.

        Parameters
        ----------
        with_treatment, with_outcome : float
            Shares of what is left of treatment and outcome that it explains.
        """
        return after(self._strength, with_treatment, with_outcome, self.alpha)

    @property
    def title(self) -> str:
        """What is asked about."""
        return f"Sensitivity of {self.result.title}"

    @property
    def answer(self) -> str:
        """The robustness value, or the first other measure."""
        if self.strength is None:
            return self.measures[0].said if self.measures else "No measure of sensitivity is known for this design."
        return self._robustness().said

    def _robustness(self) -> Measure:
        value, at_level = self.robustness_value, self.robustness_value_alpha
        took = "bring the estimate to zero" if self.q == 1 else f"take {fmt.share(self.q, 0)} off the estimate"
        return Measure(
            "robustness value",
            fmt.share(value),
            f"A common cause that was not measured would have to explain {fmt.share(value)} of what the covariates leave of both "
            f"treatment and outcome to {took}, and {fmt.share(at_level)} for its {1 - self.alpha:.0%} interval to hold that.",
        )

    @property
    def every_measure(self) -> tuple[Measure, ...]:
        """All measures."""
        found = list(self.measures)
        if isinstance(self.strength, OmittedVariable):
            share = fmt.share(self.strength.partial_r2)
            text = f"One that explains all that is left of the outcome would need {share} of what is left of the treatment."
            found.insert(0, Measure("extreme robustness value", share, text))
        return (self._robustness(), *found) if self.strength is not None else tuple(found)

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """The assumption that was measured: it can't be tested."""
        return Checks({"unmeasured_confounding": Check("unmeasured_confounding", "untestable", self.answer)})

    def to_table(self) -> Table:
        """Return one row per measure."""
        return Table.of(("measure", "value", "meaning"), [(m.name, m.value, m.said) for m in self.every_measure])

    @property
    def _capped(self) -> bool:
        """Whether a benchmark would explain more of the outcome than is left of it."""
        return any(b.with_outcome >= 1.0 for b in self.benchmarks)

    def benchmark_table(self) -> Table:
        """Return confounders as strong as covariates, and the estimate with each."""
        names = ("as strong as", "with treatment", "with outcome", "estimate", "ci_low", "ci_high")
        rows = [(b.name, b.with_treatment, b.with_outcome, b.estimate, b.low, b.high) for b in self.benchmarks]
        return Table.of(names, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the measures, and the benchmarks with the contour plot."""
        first = Passage("assumptions", self.title, (self.answer,), self.to_table())
        if self.strength is None:
            return (first,)
        text: tuple[str, ...] = (
            "The estimate after a confounder as strong as a covariate, if it takes the estimate towards zero.",
        )
        text += (_CAPPED,) if self._capped else ()
        table = self.benchmark_table() if self.benchmarks else None
        return first, Passage("assumptions", "A confounder as strong as ...", text, table, "contour")

    def summary(self) -> str:
        """Return the measures, one sentence each, and the benchmarks."""
        lines = [self.title, "=" * len(self.title)]
        lines += [f"{m.name}: {m.value}. {m.said}" for m in self.every_measure]
        if self.benchmarks:
            lines += ["", self.benchmark_table().to_text(), *([_CAPPED] if self._capped else [])]
        if self.unmatched:
            lines.append(f"No confounder can be as strong as {', '.join(self.unmatched)}.")
        return "\n".join(lines)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the estimate over a grid of strengths, and the benchmarks."""
        strength = self._strength
        most_d = max([b.with_treatment for b in self.benchmarks], default=0.0)
        most_y = max([b.with_outcome for b in self.benchmarks], default=0.0)
        value = self.robustness_value
        x = np.linspace(0, min(0.95, max(1.4 * value, 1.2 * most_d, 0.02)), _GRID)
        y = np.linspace(0, min(1.0, max(1.4 * value, 1.2 * most_y, 0.02)), _GRID)
        level = [[after(strength, a, b, self.alpha)[0] for a in x] for b in y]
        return {
            "title": self.title,
            "x": x,
            "y": y,
            "z": np.array(level),
            "null": (1 - self.q) * self.result.estimate,
            "estimate": self.result.estimate,
            "names": [b.name if len(b.name) <= _LONGEST else f"{b.name[: _LONGEST - 1]}…" for b in self.benchmarks],
            "at_x": np.array([b.with_treatment for b in self.benchmarks]),
            "at_y": np.array([b.with_outcome for b in self.benchmarks]),
            "told": np.array([b.estimate for b in self.benchmarks]),
            "robustness": value,
        }


def sensitivity(
    result: Result,
    q: float = 1.0,
    alpha: float = 0.05,
    benchmarks: Sequence[str | Sequence[str]] | str | None = None,
    times: Sequence[float] = (1.0, 2.0, 3.0),
    outcome_range: tuple[float, float] | None = None,
    data: Any = None,
) -> Sensitivity:
    """Ask how wrong the assumptions of a result would have to be to change its conclusion.

    Measures: robustness values and bounds by benchmark covariates (Cinelli and Hazlett 2020) for ``OLS``; their long form
    for doubly robust and double machine learning estimates (Chernozhukov et al. 2022); the E-value (VanderWeele and Ding
    2017); Oster's delta (2019); the marginal sensitivity model (Tan 2006; Zhao et al. 2019); Manski's bounds (1990) where
    ``outcome_range`` is given; Balke and Pearl's (1997) and the Anderson-Rubin set for instruments; Rambachan and Roth's
    (2023) break-even for trends; the honest interval (Armstrong and Kolesar 2020) at a cutoff.

    Parameters
    ----------
    result : Result
        With a headline.
    q : float
        Share of the estimate that is to be explained away.
    alpha : float
        One minus the coverage of intervals.
    benchmarks : str or list of (str or list of str), optional
        Covariates to compare with; a list within the list counts together. By default every covariate, up to twenty.
    times : sequence of float
        How many times as strong as the covariate a confounder may be (``OLS``).
    outcome_range : (float, float), optional
        The values that the outcome can take by its nature: for Manski's bounds.
    data : table, optional
        The table of the fit, for a result without its rows.

    Returns
    -------
    Sensitivity
        ``robustness_value``, ``robustness_value_alpha``, ``adjusted(with_treatment, with_outcome)``, ``to_frame()``,
        ``benchmark_table()``, ``plot()``.

    Raises
    ------
    DesignError
        If a benchmark is no covariate, can't be so strong, or ``q`` is not positive.
    InferenceUnavailable
        If the result has no headline or no rows.

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> roles = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "covariates": ["recency", "loyalty"]}
    >>> round(ck.sensitivity(ck.OLS().fit(data, **roles)).robustness_value, 3)
    0.082
    """
    require_alpha(alpha)
    if not (isinstance(q, int | float) and q > 0 and np.isfinite(q)):
        raise DesignError(f"q={q!r} is not a positive share.", hint="1 explains all of the estimate away.")
    require_times(times)
    sample = rows_of(result, data)
    kept = replace(result, sample=sample)
    strength = strength_of(kept, sample)
    rows, unmatched = compared(strength, kept, benchmarks, times, alpha)
    asked = Question(kept, sample, q, alpha, outcome_range)
    return Sensitivity(result, float(q), alpha, strength, tuple(measured(asked)), rows, unmatched)
