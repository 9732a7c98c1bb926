"""What a regression discontinuity brings back: three rows of numbers, and how they move with what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Result
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan
from causalkit.rdd.local_polynomial import LocalEstimate

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.inference.confidence_set import ConfidenceSet
    from causalkit.rdd.honest import HonestReport
    from causalkit.rdd.rd_sample import Rows

METHODS = ("robust", "conventional", "honest", "ar")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RegressionDiscontinuityResult(Result):
    """The effect at a cutoff.

    Its table has the rows ``conventional``, ``bias_corrected`` and ``robust``. The headline is the conventional estimate;
    its standard error, test and default interval are the robust ones.

    Parameters
    ----------
    robust : Estimate
        The headline with its bias-corrected center.
    found : LocalEstimate
        The local polynomials.
    vcov : str
        The variance.
    n_by_side : (int, int)
        Rows below, and at or above the cutoff.
    collinear : mapping of str to str
        Covariates left out, and why.
    first_stage : Effects or None
        The jump of the treatment in a fuzzy design: conventional, bias_corrected, robust.
    """

    robust: Estimate
    found: LocalEstimate
    vcov: str
    n_by_side: tuple[int, int]
    collinear: Mapping[str, str]
    first_stage: Effects | None

    plots: ClassVar[tuple[str, ...]] = ("rd", "bandwidths", "placebo_cutoffs")

    @cached_property
    def headline_effect(self) -> Effects:
        """The conventional estimate with the robust error."""
        assert self.headline is not None
        return Effects((self.headline,), self.robust)

    @property
    def bandwidths(self) -> Bandwidths:
        """Bandwidths ``left`` and ``right`` of the estimate, ``bias_left`` and ``bias_right`` of its bias."""
        return self.found.bandwidths

    @property
    def n_effective(self) -> tuple[int, int]:
        """Rows with positive weight below and above the cutoff."""
        return self.found.n_effective

    @property
    def coefficients(self) -> Mapping[str, Floats]:
        """Coefficients of ``(running - cutoff) ** j`` for the outcome, ``below`` and ``above``."""
        return {"below": self.found.left[:, 0], "above": self.found.right[:, 0]}

    # Inference.

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return an interval of the effect.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {"robust", "conventional", "honest", "ar"}, optional
            ``"robust"`` (default) is bias-corrected (Calonico, Cattaneo and Titiunik 2014). ``"conventional"`` ignores the
            bias and covers too rarely. ``"honest"`` holds for every function of bounded curvature (Armstrong and Kolesar
            2020). ``"ar"``, in a fuzzy design, holds however small the first stage is (a ConfidenceSet).
        """
        if method in (None, "robust"):
            return super().ci(alpha)
        if method == "conventional":
            low, high = self.effects.select(["conventional"]).ci(alpha)
            return float(low[0]), float(high[0])
        self._require_special(method, alpha)
        if method == "honest":
            return self.honest(alpha=alpha).ci()
        from causalkit.rdd.fuzzy_sets import anderson_rubin_set

        return anderson_rubin_set(self, alpha)

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the effect equals ``null``; the dual of :meth:`ci`.

        Parameters
        ----------
        null : float
            The value under the null hypothesis.
        method : {"robust", "conventional", "honest", "ar"}, optional
            As for :meth:`ci`.
        """
        if method in (None, "robust"):
            return super().test(null)
        if method == "conventional":
            return self.effects.test("conventional", null)
        self._require_special(method, 0.05)
        if method == "ar":
            from causalkit.rdd.fuzzy_sets import anderson_rubin_test

            return anderson_rubin_test(self, null)
        fit = self.honest().fit
        statistic = (fit.estimate - null) / fit.se if fit.se > 0 else float("nan")
        return Test(statistic, fit.pvalue(null), float("inf"), null, "honest")

    def honest(
        self, smoothness: float | Sequence[float] | None = None, alpha: float = 0.05, criterion: str = "mse"
    ) -> HonestReport:
        """Return the honest interval with its certificate: worst-case bias, bandwidth, and the bound behind them.

        Parameters
        ----------
        smoothness : float or (float, float), optional
            Bound on the second derivative of the outcome; in a fuzzy design also that of the treatment taken. By default
            a rule of thumb.
        alpha : float
            One minus the coverage.
        criterion : {"mse", "flci", "oci"}
            What the bandwidth minimises in the worst case: squared error, the length of the two-sided interval, or that
            of the one-sided one.

        Returns
        -------
        HonestReport
            See :func:`causalkit.rdd.honest_report`.
        """
        from causalkit.rdd.honest import honest_report

        return honest_report(self, smoothness, alpha, criterion)

    def _require_special(self, method: str | None, alpha: float) -> None:
        from causalkit.inference.wald import require_alpha

        if method not in METHODS:
            raise DesignError(f"method={method!r} is not offered here.", hint=f"Use one of {', '.join(METHODS)}.")
        require_alpha(alpha)
        if method == "ar" and self.first_stage is None:
            raise InferenceUnavailable(
                'method="ar" is for fuzzy designs, where the treatment may hardly jump.', hint="Leave it out."
            )

    def with_vcov(self, vcov: str, cluster: Any = None) -> RegressionDiscontinuityResult:
        """Return the same estimates, at the same bandwidths, with another variance.

        Parameters
        ----------
        vcov : str
            ``"NN"``, ``"HC0"`` to ``"HC3"``, or ``"CR1"`` to ``"CR3"``.
        cluster : array, optional
            Labels of the clusters, one per row used; those of the fit by default.
        """
        from causalkit.core.rows import Groups
        from causalkit.data.frame import Frame
        from causalkit.rdd.rd_fit import assemble
        from causalkit.rdd.rd_sample import plan_of, rows_of

        estimator = self.estimator.replace(vcov=vcov)
        sample = self._kept()
        if cluster is not None:
            labels = np.asarray(cluster)
            if labels.shape == (sample.n_input,) != (sample.n,):
                labels = labels[sample.rows.positions]
            if labels.shape != (sample.n,):
                raise DesignError(f"cluster= has shape {labels.shape}; {sample.n} rows were used.")
            codes, names = Frame.read({"cluster": labels}).labels("cluster")
            sample = sample.with_column("cluster", Groups(codes, names, "cluster"))
        elif not vcov.startswith("CR"):
            columns = {role: column for role, column in sample.columns.items() if role != "cluster"}
            sample = replace(sample, columns=columns)
        rows, plan = rows_of(sample, estimator), plan_of(estimator, bool(sample.several("cluster")))  # type: ignore[arg-type]
        from causalkit.rdd.local_polynomial import estimate

        changed = assemble(estimator, sample, rows, plan, estimate(rows.split, plan, self.bandwidths))  # type: ignore[arg-type]
        step = ("with_vcov", (vcov,), (("cluster", cluster),))
        return replace(changed, steps=(*self.steps, step)).with_ledger()

    # How the estimate moves.

    @cached_property
    def _rows(self) -> Rows:
        """The two sides of the cutoff; what was computed of them stays."""
        from causalkit.rdd.rd_sample import rows_of

        return rows_of(self._kept(), self.estimator)  # type: ignore[arg-type]

    @property
    def _plan(self) -> Plan:
        from causalkit.rdd.rd_sample import plan_of

        return plan_of(self.estimator, self.vcov.startswith("CR"))  # type: ignore[arg-type]

    def sensitivity_to_bandwidth(self, bandwidths: Sequence[float] | None = None) -> pd.DataFrame:
        """Return the estimate at other bandwidths; each costs next to nothing after the first.

        Parameters
        ----------
        bandwidths : sequence of float, optional
            Bandwidths of the side below (the other three move in proportion). By default half to twice the one in use.

        Returns
        -------
        DataFrame
            Columns ``bandwidth bias_bandwidth n_below n_above estimate bias_corrected se statistic pvalue ci_low ci_high``;
            errors and intervals are robust.
        """
        from causalkit.rdd.sweeps import over_bandwidths

        return over_bandwidths(self, bandwidths).to_frame()

    def placebo_cutoffs(self, n: int = 20) -> pd.DataFrame:
        """Return the estimate at cutoffs where nothing changes, each from the rows of one side only.

        Parameters
        ----------
        n : int
            How many, spread evenly over the ranks of the running variable on both sides. Those whose neighbourhood has too
            few rows are left out.

        Returns
        -------
        DataFrame
            Columns ``cutoff side bandwidth n_below n_above estimate bias_corrected se statistic pvalue ci_low ci_high``.
        """
        from causalkit.rdd.sweeps import over_cutoffs

        return over_cutoffs(self, n).to_frame()

    def donut(self, radii: Sequence[float] | None = None) -> pd.DataFrame:
        """Return the estimate without the rows next to the cutoff, at the same bandwidths.

        Parameters
        ----------
        radii : sequence of float, optional
            Rows nearer than a radius are left out. By default up to a fifth of the bandwidth.

        Returns
        -------
        DataFrame
            Columns ``radius n_left_out n_below n_above estimate bias_corrected se statistic pvalue ci_low ci_high``.
        """
        from causalkit.rdd.sweeps import over_radii

        return over_radii(self, radii).to_frame()

    def balance(self, columns: Sequence[str] | None = None, data: Any = None) -> pd.DataFrame:
        """Return the jump of each covariate at the cutoff: there should be none.

        Parameters
        ----------
        columns : sequence of str, optional
            Covariates of the fit (all by default), or columns of ``data``.
        data : table, optional
            The table of the fit, for columns that had no role in it.

        Returns
        -------
        DataFrame
            Columns ``covariate bandwidth n_below n_above estimate bias_corrected se statistic pvalue ci_low ci_high
            pvalue_adjusted``; the last by Holm's method over the covariates.
        """
        from causalkit.rdd.sweeps import over_covariates

        return over_covariates(self, columns, data).to_frame()

    def with_ledger(self) -> RegressionDiscontinuityResult:
        """Return the result with the checks that look at it; they are made when they are read."""
        from causalkit.rdd.rd_checks import checks_of

        made = replace(self)
        vars(made).update({name: value for name, value in vars(self).items() if name == "_rows"})
        object.__setattr__(made, "checks", self.checks.joined(checks_of(made)))
        return made

    # Showing it.

    def passages(self) -> tuple[Passage, ...]:
        """Return the effect as a finding, and the table with bandwidths and rows as its certainty."""
        found, certainty = super().passages()
        h, b = self.bandwidths[:2], self.bandwidths[2:]
        below, above = self.n_effective
        rows = f"{below:,} rows below and {above:,} above within it"
        told = f"Bandwidth {_pair(h)}, bias bandwidth {_pair(b)}; {rows}; {self.vcov} variance."
        text = (*certainty.text, told)
        tables = [Passage("certainty", certainty.title, text, certainty.table, "bandwidths")]
        if self.first_stage is not None:
            from causalkit.rdd.fuzzy_sets import anderson_rubin_set, in_words

            told = "How much crossing the cutoff moves the treatment. What follows holds however small that is."
            weak = in_words(anderson_rubin_set(self))
            tables.append(Passage("certainty", "First stage", (told, weak), self.first_stage.to_table()))
        return replace(found, figure="rd"), *tables

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary."""
        more: dict[str, Any] = {
            "bandwidths": self.bandwidths._asdict(),
            "n_effective": list(self.n_effective),
            "vcov": self.vcov,
        }
        if self.first_stage is not None:
            table: Table = self.first_stage.to_table()
            more["first_stage"] = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return {**super().to_dict(), **plain(more)}

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of a figure."""
        from causalkit.rdd.rd_plot_data import plot_data

        return plot_data(self, kind)


def _pair(values: Sequence[float]) -> str:
    """Write one number, or two where the sides differ."""
    left, right = values
    return fmt.number(left) if left == right else f"{fmt.number(left)} and {fmt.number(right)}"
