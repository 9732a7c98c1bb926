"""How the answer of local randomization depends on the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import CausalKitError, DesignError

if TYPE_CHECKING:
    from causalkit.rdd.local_randomization_result import LocalRandomizationResult


@dataclass(frozen=True, eq=False, repr=False)
class ByWindow(Report):
    """Estimates by window.

    Parameters
    ----------
    results : tuple of LocalRandomizationResult
        One per window, rising.
    nulls : tuple of float
        Effects that are tested in each.
    checks : Checks
        Empty.
    """

    results: tuple[LocalRandomizationResult, ...]
    nulls: tuple[float, ...]
    checks: Checks

    @property
    def title(self) -> str:
        """What this is."""
        return "Estimates by window"

    @property
    def answer(self) -> str:
        """The range of the estimates."""
        values = [result.estimate for result in self.results]
        below = sum(result.pvalue < 0.05 for result in self.results)
        return (
            f"Over {fmt.plural(len(values), 'window')} the estimate runs from {fmt.number(min(values))} to "
            f"{fmt.number(max(values))}; {below} of them have a p-value below 0.05."
        )

    def to_table(self) -> Table:
        """Return one row per window, with a p-value for each effect tested."""
        names = ("low", "high", "n_left", "n_right", "estimate", "ci_low", "ci_high")
        rows = []
        for result in self.results:
            limits = result.ci()
            pieces = (limits,) if isinstance(limits, tuple) else limits.intervals
            ends = (pieces[0][0], pieces[-1][1]) if pieces else (None, None)
            pvalues = [result.test(null).pvalue for null in self.nulls]
            rows.append((*result.window, result.n_left, result.n_right, result.estimate, *ends, *pvalues))
        tested = ["pvalue" if null == 0.0 else f"pvalue({null:g})" for null in self.nulls]
        return Table.of((*names, *tested), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the estimates as part of the certainty."""
        return (Passage("certainty", self.title, (self.answer,), self.to_table()),)


def by_window(result: LocalRandomizationResult, windows: Sequence[float] | None, nulls: Sequence[float]) -> ByWindow:
    """Refit a result in other windows; see :meth:`LocalRandomizationResult.by_window`."""
    if windows is None:
        half = (result.window[1] - result.window[0]) / 2.0
        chosen = result.selection
        windows = (
            [half * f for f in (0.5, 0.75, 1.0, 1.5, 2.0)] if chosen is None else [w.width for w in chosen.windows]
        )
    sample, found = result._kept(), []
    for width in sorted(float(width) for width in windows):
        try:
            found.append(result.estimator.replace(window=width).estimate(sample))
        except CausalKitError:
            if not np.isfinite(width) or width <= 0.0:
                raise
    if not found:
        raise DesignError("no window holds rows on both sides of the cutoff.", hint="Pass wider windows=.")
    return ByWindow(tuple(found), tuple(float(null) for null in nulls), Checks({}))
