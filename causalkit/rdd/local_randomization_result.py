"""What local randomization finds in a window: a difference in means with exact inference, and other tests of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.effects import COLUMNS, Test
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.randomization import RandomizationTest
from causalkit.inference.wald import require_alpha
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.rdd.local_randomization_assignments import Assignments, Differences
from causalkit.rdd.local_randomization_ranks import rank_sum, rank_sum_set, smirnov, smirnov_set
from causalkit.rdd.local_randomization_regression import Jump, Sandwich, jump
from causalkit.rdd.window_selection import WindowSelection

if TYPE_CHECKING:
    from causalkit.rdd.local_randomization_sensitivity import ByWindow
    from causalkit.rdd.rosenbaum import HiddenBias

METHODS = ("randomization", "ranksum", "ks", "large_sample", "interference")


@dataclass(frozen=True, eq=False)
class WindowRows:
    """The rows of a window as arrays.

    Parameters
    ----------
    y : Floats, shape (n,)
        Outcome.
    right : Bools, shape (n,)
        Whether a row is on the right of the cutoff.
    x : Floats, shape (n,)
        Running variable from the cutoff.
    received : Floats, shape (n,), optional
        Treatment received, where it is not the side.
    weights : Floats, shape (n,), optional
        Weights by distance from the cutoff.
    assignments : Assignments
        What might have been.
    at : Ints, shape (n,)
        Positions in the sample.
    """

    y: Floats
    right: Bools
    x: Floats
    received: Floats | None
    weights: Floats | None
    assignments: Assignments
    at: Ints

    @cached_property
    def differences(self) -> Differences:
        """Differences in means by assignment."""
        received = self.right.astype(np.float64) if self.received is None else self.received
        return Differences.of(self.assignments, self.y, received, self.weights)

    def jump(self, order: int, vcov: str) -> Jump:
        """Large-sample estimate; ``vcov="auto"`` is HC2 for means, HC3 for polynomials."""
        kind: Sandwich = ("HC3" if order else "HC2") if vcov == "auto" else vcov  # type: ignore[assignment]
        return jump(self.y, self.right, self.x, order, weights=self.weights, vcov=kind, received=self.received)

    def by_side(self) -> Table:
        """Rows, means and standard deviations of the outcome on either side."""
        rows = []
        for name, side in (("left", ~self.right), ("right", self.right)):
            part = self.y[side]
            rows.append((name, part.size, float(part.mean()), float(part.std(ddof=1)) if part.size > 1 else None))
        return Table.of(("side", "n", "mean", "sd"), rows)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LocalRandomizationResult(Result):
    """The effect of crossing the cutoff (or of the treatment received) within a window.

    Parameters
    ----------
    window : tuple of float
        The window, in units of the running variable.
    selection : WindowSelection or None
        How it was chosen, where it was not given.
    inside : WindowRows
        Its rows.
    """

    window: tuple[float, float]
    selection: WindowSelection | None
    inside: WindowRows

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws: the windows that were compared, where some were."""
        return ("rd_windows",) if self.selection is not None else ()

    @property
    def randomized(self) -> bool:
        """Whether p-value and interval come from the assignments that might have been."""
        return bool(self.estimator.params()["order"] == 0)

    @cached_property
    def large_sample(self) -> Jump:
        """Estimate and standard error by the normal limit."""
        config = self.estimator.params()
        return self.inside.jump(config["order"], config["vcov"])

    @property
    def n_left(self) -> int:
        """Rows of the window on the left of the cutoff."""
        return int((~self.inside.right).sum())

    @property
    def n_right(self) -> int:
        """Rows of the window on the right of the cutoff."""
        return int(self.inside.right.sum())

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the effect is ``null`` for every row; the dual of :meth:`ci`.

        Parameters
        ----------
        null : float
            The value under the null hypothesis.
        method : {"randomization", "ranksum", "ks", "large_sample"}, optional
            Ranking the difference in means among those of other assignments (the default; with ``treatment=`` the
            difference in outcomes without the effect, an Anderson-Rubin test); the rank sum or the Kolmogorov-Smirnov
            statistic; or the normal limit (the default, and the only one, with ``order`` above zero).
        """
        if self._is_large_sample(method):
            apart, se = self.large_sample.estimate - null, self.large_sample.se
            z = apart / se if se > 0.0 else float(np.copysign(np.inf, apart)) if apart else 0.0
            return Test(z, 2.0 * float(special.ndtr(-abs(z))), float("inf"), null, self.large_sample.vcov)
        if method == "interference":
            raise DesignError('method="interference" has an interval only.', hint="Use ci(), or another method.")
        found = self.randomization_test(null, method or "randomization")
        return Test(found.statistic, found.pvalue, float("nan"), null, method or "randomization")

    def randomization_test(self, null: float = 0.0, method: str = "randomization") -> RandomizationTest:
        """Test by assignments that might have been, with how many were looked at and the error of drawing them.

        Parameters
        ----------
        null : float
            The value under the null hypothesis.
        method : {"randomization", "ranksum", "ks"}
            The statistic.
        """
        self._require_randomized(method)
        rows = self.inside
        if method == "randomization":
            return rows.differences.test(null)
        test = rank_sum if method == "ranksum" else smirnov
        received = rows.right if rows.received is None else rows.received
        return test(rows.assignments, rows.y - null * received)

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return every effect that :meth:`test` does not reject.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {"randomization", "ranksum", "ks", "large_sample", "interference"}, optional
            As for :meth:`test`. ``"interference"``: the difference in means minus the quantiles of those of other
            assignments without effect, which holds where rows may affect one another (Rosenbaum 2007).

        Returns
        -------
        pair of float, or ConfidenceSet
            A set where the values that are not rejected are no interval, as they may be with ``treatment=``.
        """
        require_alpha(alpha)
        if self._is_large_sample(method):
            reach = float(special.ndtri(1.0 - alpha / 2.0)) * self.large_sample.se
            return self.large_sample.estimate - reach, self.large_sample.estimate + reach
        found = self._set(alpha, method or "randomization")
        return found.intervals[0] if found.is_interval else found

    def _set(self, alpha: float, method: str) -> ConfidenceSet:
        self._require_randomized(method)
        rows = self.inside
        if method == "randomization":
            return rows.differences.confidence_set(alpha)
        if rows.received is not None:
            raise InferenceUnavailable(
                f"method={method!r} has no interval for a treatment received.", hint="Use the default method."
            )
        if method == "interference":
            low, high = np.quantile(rows.differences.outcome, [alpha / 2.0, 1.0 - alpha / 2.0])
            return ConfidenceSet(((self.estimate - float(high), self.estimate - float(low)),))
        if method == "ranksum":
            return rank_sum_set(rows.assignments, rows.y, alpha)
        return smirnov_set(rows.y, rows.right, alpha)

    def _is_large_sample(self, method: str | None) -> bool:
        if method not in (None, *METHODS):
            raise DesignError(f"method={method!r} is not an option.", hint=f"Use one of {METHODS}.")
        return method == "large_sample" or (method is None and not self.randomized)

    def _require_randomized(self, method: str) -> None:
        if method not in METHODS or method == "large_sample":
            raise DesignError(f"method={method!r} is not an option.", hint=f"Use one of {METHODS}.")
        if not self.randomized:
            raise InferenceUnavailable(
                "polynomials adjust for the running variable, which the assignments can't.",
                hint="Fit with order=0, or use the default method.",
            )
        rows = self.inside
        if method in ("ranksum", "ks") and (rows.weights is not None or rows.assignments.by_cluster):
            raise InferenceUnavailable(
                f"method={method!r} takes neither a kernel nor clusters.", hint="Use the default method."
            )

    # Showing it.

    @property
    def answer(self) -> str:
        """The effect, its interval and how the p-value was had."""
        if not self.randomized:
            return super().answer
        found = self.randomization_test()
        how = (
            f"all {found.n_draws:,} assignments"
            if found.exact
            else f"{found.n_draws:,} random assignments, Monte Carlo error {fmt.number(found.monte_carlo_error, 1)}"
        )
        said = f"{self.estimand[:1].upper()}{self.estimand[1:]}: {fmt.number(self.estimate)}"
        return (
            f"{said} {self._interval_text()} (95% interval, p-value {fmt.pvalue(found.pvalue)} by {how}; "
            f"{self.n_left + self.n_right:,} of {fmt.plural(self.n, 'row')} in the window)."
        )

    def _facts(self) -> tuple[tuple[str, str, str], ...]:
        return (("Effect", fmt.number(self.estimate, 3), f"95% interval {self._interval_text()}"),)

    def to_table(self) -> Table:
        """Return the effect with its p-value and interval."""
        if not self.randomized:
            return super().to_table()
        low, high = self._ends(None)
        return Table.of(COLUMNS, [(self.effects.terms[0], self.estimate, None, None, self.pvalue, low, high)])

    def by_method(self) -> Table:
        """Return every test that there is, with its interval."""
        names = ("method", "statistic", "pvalue", "ci_low", "ci_high")
        rows: list[tuple[Any, ...]] = []
        for method in METHODS:
            try:
                found = None if method == "interference" else self.test(method=method)
                told = (None, None) if found is None else (found.statistic, found.pvalue)
                rows.append((method, *told, *self._ends(method)))
            except InferenceUnavailable:
                continue
        return Table.of(names, rows)

    def _ends(self, method: str | None) -> tuple[float | None, float | None]:
        """Outer ends of the interval; empty cells where it is empty or there is none."""
        try:
            limits = self.ci(method=method)
        except InferenceUnavailable:
            return None, None
        if isinstance(limits, tuple):
            return limits
        return (None, None) if limits.is_empty else (limits.intervals[0][0], limits.intervals[-1][1])

    def passages(self) -> tuple[Passage, ...]:
        """Return the effect, its certainty, the two sides and the choice of the window."""
        chosen = () if self.selection is None else self.selection.passages()
        sides = Passage("certainty", "The two sides of the window", (self._window_text(),), self.inside.by_side())
        methods = Passage("certainty", "Other tests of the same effect", (), self.by_method())
        return (*super().passages(), sides, methods, *chosen)

    def _window_text(self) -> str:
        return (
            f"The window {fmt.interval(*self.window)} holds {fmt.plural(self.n_left, 'row')} on the left of the cutoff and "
            f"{self.n_right:,} on the right."
        )

    def plot_data(self, kind: str) -> Any:
        """Return balance by window."""
        if kind != "rd_windows":
            return super().plot_data(kind)
        assert self.selection is not None  # else it is not among `plots`
        return self.selection.plot_data(kind)

    # Asking further.

    def hidden_bias(self, gammas: Sequence[float] = (1.5, 2.0, 2.5, 3.0), alpha: float = 0.05) -> HiddenBias:
        """Bound the p-value of the rank sum test if rows differ in their odds of lying on the right.

        Parameters
        ----------
        gammas : sequence of float
            Factors by which odds may differ.
        alpha : float
            Level for the factor at which the test breaks down.
        """
        from causalkit.rdd.rosenbaum import hidden_bias

        self._require_randomized("ranksum")
        return hidden_bias(self.inside.y, self.inside.right, gammas, alpha)

    def by_window(self, windows: Sequence[float] | None = None, nulls: Sequence[float] = (0.0,)) -> ByWindow:
        """Estimate in other windows, and test several effects in each.

        Parameters
        ----------
        windows : sequence of float, optional
            Half-widths; by default those that were compared, or half to twice the window's.
        nulls : sequence of float
            Effects to test.
        """
        from causalkit.rdd.local_randomization_sensitivity import by_window

        return by_window(self, windows, nulls)
