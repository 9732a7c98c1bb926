"""LocalRandomizationRD: next to the cutoff, the side is as good as drawn by lot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate, Placebos
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check
from causalkit.core.params import choice, integer, number, seed
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.core.table import Table
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.rdd.binomial import binomial_pvalue
from causalkit.rdd.local_randomization_assignments import Assignments
from causalkit.rdd.local_randomization_result import LocalRandomizationResult, WindowRows
from causalkit.rdd.window_balance import INFERENCES, STATISTICS
from causalkit.rdd.window_selection import Windows, WindowSelection, within


def _check_window(name: str, value: Any) -> Any:
    """Take None, a half-width, or (distance on the left, distance on the right)."""
    if value is None:
        return None
    pair = (value, value) if isinstance(value, Real) and not isinstance(value, bool) else value
    good = isinstance(pair, list | tuple) and len(pair) == 2
    if not good or not all(isinstance(part, Real) and np.isfinite(float(part)) and float(part) > 0.0 for part in pair):
        raise DesignError(
            f"{name}={value!r} is not a positive half-width or a pair of them.",
            hint=f"Pass {name}=0.75, or {name}=(0.5, 0.75) for the distances on the left and on the right.",
        )
    return float(value) if isinstance(value, Real) else (float(pair[0]), float(pair[1]))


@dataclass(frozen=True, kw_only=True)
class LocalRandomizationRD(Estimator[LocalRandomizationResult]):
    """Regression discontinuity as a randomized experiment in a small window around the cutoff.

    The estimand is the effect of crossing the cutoff (with ``treatment=``, of the treatment received) on the rows of the
    window. Assumptions: within the window, who is on which side is as good as drawn by lot with fixed numbers on either
    side, and the running variable affects the outcome through the side only (Cattaneo, Frandsen and Titiunik 2015).
    P-values and intervals are those of the experiment: exact in small samples, for an effect that is the same for all.

    Parameters
    ----------
    cutoff : float
        Rows at the cutoff are on the right, which is the treated side.
    window : float or pair, optional
        Half-width of the window, or distances on the left and on the right. By default the widest one in which
        covariates are balanced, as :func:`causalkit.rdd.select_window` finds it.
    order : int
        Polynomials of the running variable to adjust for, by large-sample inference; 0 compares means.
    kernel : {"uniform", "triangular", "epanechnikov"}
        Weights of rows by their distance from the cutoff.
    vcov : {"auto", "HC0", "HC1", "HC2", "HC3"}
        Sandwich of the large-sample inference. ``"auto"`` is HC2 for means, HC3 for polynomials.
    n_draws : int
        Random assignments, where there are more than 100,000; p-values are then ``(1 + k) / (1 + n_draws)``.
    random_state : int, optional
        Their seed.
    min_obs, step_obs, min_window, window_step, n_windows : optional
        The windows to compare; see :func:`causalkit.rdd.select_window`.
    balance_statistic, balance_inference, balance_level : optional
        How balance is tested in them; see there.

    Notes
    -----
    An assignment's difference in means is linear in the effect assumed, so each assignment is extreme on one interval of
    effects, and the confidence interval is exact for the assignments at hand, without a grid. Rows of a cluster on one side
    are assigned together. Covariates choose the window and check it; they do not adjust the estimate.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> margin = rng.uniform(-1, 1, 400)
    >>> data = {"margin": margin, "win": 1.0 * (margin >= 0) + rng.normal(size=400)}
    >>> result = ck.LocalRandomizationRD(window=0.1, random_state=0).fit(data, outcome="win", running="margin")
    >>> result.n_left, result.n_right, result.pvalue < 0.05
    (14, 23, True)
    """

    cutoff: float = number(0.0)
    window: float | tuple[float, float] | None = field(default=None, metadata={"check": _check_window})
    order: int = integer(0, low=0, high=5)
    kernel: Literal["uniform", "triangular", "epanechnikov"] = choice(
        "uniform", "uniform", "triangular", "epanechnikov"
    )
    vcov: Literal["auto", "HC0", "HC1", "HC2", "HC3"] = choice("auto", "auto", "HC0", "HC1", "HC2", "HC3")
    n_draws: int = integer(9999, low=99)
    random_state: int | None = seed()
    min_obs: int = integer(10, low=2)
    step_obs: int = integer(5, low=1)
    min_window: float | None = number(None, low=0.0, open_low=True)
    window_step: float | None = number(None, low=0.0, open_low=True)
    n_windows: int = integer(10, low=1)
    balance_statistic: Literal["difference", "ranksum", "ks", "hotelling"] = choice("difference", *STATISTICS)
    balance_inference: Literal["randomization", "large_sample"] = choice("randomization", *INFERENCES)
    balance_level: float = number(0.15, low=0.0, high=1.0)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "running": Role("number"),
        "treatment": Role("number", required=False),
        "covariates": Role("features", required=False, many=True, native_missing=True),
        "cluster": Role("label", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("running", "row")
    strategies: ClassVar[tuple[str, ...]] = ("discontinuity",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        running: Any,
        treatment: Any = None,
        covariates: Sequence[str] | str = (),
        cluster: Any = None,
        missing: Literal["drop", "raise", "native"] = "drop",
    ) -> LocalRandomizationResult:
        """Compare the two sides of the cutoff within the window.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow or any other table.
        outcome : str
            Numeric column.
        running : str
            The running variable.
        treatment : str, optional
            The treatment received, 0/1 or a dose, where crossing the cutoff does not decide it (a fuzzy design).
        covariates : str or list of str
            Columns that the treatment can't change: they choose the window, or check the one given.
        cluster : str, optional
            Rows with one label on one side of the cutoff are assigned together.
        missing : {"drop", "raise", "native"}
            What to do with rows that lack any of these; ``native`` keeps rows that lack covariates.

        Returns
        -------
        LocalRandomizationResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used, or no window is balanced.
        """
        return self._fit(
            data,
            outcome=outcome,
            running=running,
            treatment=treatment,
            covariates=covariates,
            cluster=cluster,
            missing=missing,
        )

    def validate(self, sample: Sample) -> None:
        """Refuse a running variable that lies on one side, and a window that nothing can choose."""
        running = sample.number("running")
        low, high = (float(running.min()), float(running.max())) if running.size else (np.nan, np.nan)
        if not low < self.cutoff <= high:
            raise DataError(
                f"all {running.size:,} values of {sample.name('running')!r} are on one side of the cutoff {self.cutoff:g}: "
                f"they lie between {low:g} and {high:g}.",
                hint="Set cutoff= inside that range.",
                column=sample.name("running"),
            )
        if self.window is None and not sample.features().values.shape[1]:
            raise DesignError(
                "there is no window, and no covariate that could choose one.", hint="Pass window=, or name covariates=."
            )
        if sample.has("cluster") and self.order > 0:
            raise DesignError("cluster= goes with order=0 only.", hint="Leave cluster= out, or set order=0.")

    def estimate(self, sample: Sample) -> LocalRandomizationResult:
        """Run the analysis on a bound sample."""
        self.validate(sample)
        estimator = self.seeded()
        assert isinstance(estimator, LocalRandomizationRD)
        return estimator._estimate(sample)

    def _estimate(self, sample: Sample) -> LocalRandomizationResult:
        x = sample.number("running") - self.cutoff
        at = self._near(sample, x)
        covariates, names = sample.features().dummies()
        selection = None if self.window is not None else self._select(sample, at, x[at], covariates[at], names)
        left, right = self._reach(selection)
        rows = self._rows(sample, at, x[at], left, right)
        window = self.cutoff - left, self.cutoff + right
        effects = self._effects(sample, rows)
        return LocalRandomizationResult(
            estimator=self,
            effects=effects,
            headline=effects.terms[0],
            estimand=_estimand(sample, window),
            checks=self._checks(sample, rows, selection, covariates, names),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            window=window,
            selection=selection,
            inside=rows,
        )

    def _windows(self) -> Windows:
        assert self.random_state is not None
        return Windows(
            min_obs=self.min_obs,
            step_obs=self.step_obs,
            min_window=self.min_window,
            window_step=self.window_step,
            n_windows=self.n_windows,
            statistic=self.balance_statistic,
            inference=self.balance_inference,
            level=self.balance_level,
            n_draws=self.n_draws,
            random_state=self.random_state,
        )

    def _near(self, sample: Sample, x: Floats) -> Ints:
        """Rows of the widest window, in an order that depends on numbers only."""
        if self.window is None:
            left = right = float(self._windows().widths(x)[-1])
        else:
            left, right = self._reach(None)
        near = np.flatnonzero(within(x, -left, right))
        return np.asarray(near[sample.take(near).canonical_order])

    def _select(self, sample: Sample, at: Ints, x: Floats, covariates: Floats, names: Sequence[str]) -> WindowSelection:
        found = self._windows().select(x, covariates, names, _cells(sample, at, x >= 0.0))
        return WindowSelection(found, self.balance_level, self.cutoff, sample.name("running"))

    def _reach(self, selection: WindowSelection | None) -> tuple[float, float]:
        """Distances from the cutoff; those of the smallest window where none is balanced, which the checks then say."""
        if selection is not None:
            width = (selection.chosen or selection.windows[0]).width
            return width, width
        given = self.window
        assert given is not None
        return (given, given) if isinstance(given, float) else given

    def _rows(self, sample: Sample, at: Ints, x: Floats, left: float, right: float) -> WindowRows:
        inside = within(x, -left, right)
        near, take = x[inside], at[inside]
        side = near >= 0.0
        assert self.random_state is not None
        return WindowRows(
            sample.outcome[take],
            side,
            near,
            sample.number("treatment")[take] if sample.has("treatment") else None,
            _weights(self.kernel, near, side, left, right),
            Assignments.of(side, self.n_draws, self.random_state, _cells(sample, take, side)),
            take,
        )

    def _effects(self, sample: Sample, rows: WindowRows) -> Effects:
        term = sample.name("treatment") if sample.has("treatment") else f"{sample.name('running')} >= {self.cutoff:g}"
        if self.order:
            found = rows.jump(self.order, self.vcov)
            matrix = read_only(np.array([[found.se**2]]))
            return Effects(
                (term,), Estimate(np.array([found.estimate]), Covariance(matrix, np.full(1, np.inf), found.vcov))
            )
        by_assignment = rows.differences
        if not abs(by_assignment.actual_received) > 0.0:
            raise DesignError(
                f"{term!r} has the same mean on both sides of the cutoff within the window.",
                hint="Leave treatment= out.",
            )
        values = by_assignment.outcome / by_assignment.actual_received
        if by_assignment.assignments.exact:  # the actual one is counted by the formula for placebos
            values = np.delete(values, int(np.argmin(np.abs(values - by_assignment.estimate))))
        carrier = Placebos(read_only(values[:, None]), "randomization")
        return Effects((term,), Estimate(np.array([by_assignment.estimate]), carrier))

    def _checks(
        self,
        sample: Sample,
        rows: WindowRows,
        selection: WindowSelection | None,
        covariates: Floats,
        names: Sequence[str],
    ) -> Checks:
        n_left, n_right = int((~rows.right).sum()), int(rows.right.sum())
        found: dict[str, Any] = {"missing": missing_check(sample), "density": _density(n_left, n_right)}
        if selection is not None:
            found["window"] = selection.check()
        if covariates.shape[1]:
            inside = covariates[rows.at]
            found["balance"] = lambda: self._balance(sample, inside, rows, names)
        else:
            found["balance"] = Check(
                "balance",
                "untestable",
                "no covariates were named, so that nothing shows whether the sides of the window are alike.",
                advice="Name covariates= that the treatment can't change.",
            )
        return Checks(found)

    def _balance(self, sample: Sample, covariates: Floats, rows: WindowRows, names: Sequence[str]) -> Check:
        complete = ~np.isnan(covariates).any(axis=1)
        cells = _cells(sample, rows.at, rows.right)
        cells = None if cells is None else cells[complete]
        pvalues = self._windows().balance(covariates[complete], rows.right[complete], cells)
        if not pvalues.size:
            return Check("balance", "untestable", "fewer than two rows on a side have all covariates.")
        labels = ["all covariates"] if self.balance_statistic == "hotelling" else list(names)
        worst = int(np.argmin(pvalues))
        low, bad = float(pvalues[worst]), bool(pvalues[worst] < self.balance_level)
        return Check(
            "balance",
            "fail" if low < 0.05 / len(labels) else "warn" if bad else "pass",
            f"the smallest p-value of balance within the window is {fmt.pvalue(low)}, of {labels[worst]} among "
            f"{fmt.plural(len(labels), 'covariate')}.",
            pvalue=low,
            advice="Take a smaller window." if bad else "",
            table=Table.of(("covariate", "pvalue"), list(zip(labels, pvalues.tolist(), strict=True))),
        )


def _cells(sample: Sample, rows: Ints, right: Bools) -> Codes | None:
    """Codes of what is assigned together: the rows of a cluster on one side."""
    group = sample.groups("cluster")
    return None if group is None else np.asarray(2 * group.codes[rows] + right, dtype=np.int32)


def _density(n_left: int, n_right: int) -> Check:
    """Whether the counts on either side are what tosses of a coin would give."""
    pvalue = binomial_pvalue(n_left, n_right)
    return Check(
        "density",
        "fail" if pvalue < 0.05 else "pass",
        f"{fmt.plural(n_left, 'row')} on the left of the cutoff and {n_right:,} on the right within the window (p-value of "
        f"either side being equally likely {fmt.pvalue(pvalue)}).",
        pvalue=pvalue,
        advice="Look at rdd.density_test: units may choose their side." if pvalue < 0.05 else "",
    )


def _weights(kernel: str, x: Floats, right: Any, reach_left: float, reach_right: float) -> Floats | None:
    if kernel == "uniform":
        return None
    u = np.abs(x) / np.where(right, reach_right, reach_left)
    weights = 1.0 - u if kernel == "triangular" else 0.75 * (1.0 - u**2)
    return np.asarray(np.maximum(weights, 0.0))


def _estimand(sample: Sample, window: tuple[float, float]) -> str:
    where = f"for {sample.name('running')} in {fmt.interval(*window)}"
    if sample.has("treatment"):
        return f"effect of {sample.name('treatment')} on {sample.name('outcome')}, {where}"
    return f"effect on {sample.name('outcome')} of crossing the cutoff, {where}"
