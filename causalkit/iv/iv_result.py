"""The result of an instrumental-variables fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.covariance import all_coefficients, instrument_regression, joint_block, require_positive
from causalkit.iv.endogeneity import endogeneity_test
from causalkit.iv.first_stage import FirstStage
from causalkit.iv.fit import Solved, solve
from causalkit.iv.iv_data import IVData
from causalkit.iv.iv_design import data_of
from causalkit.iv.overidentification import overidentification_test
from causalkit.iv.variance import Variance
from causalkit.kernels.arrays import read_only
from causalkit.linear.parameters import count_parameters

if TYPE_CHECKING:
    from causalkit.inference.confidence_set import ConfidenceSet
    from causalkit.iv.compliers import ComplierReport

#: Of one treatment, the last two repeat what stands before them.
_FIRST_STAGE = ("Treatment", "F", "pvalue", "df1", "df2", "Partial R²", "Shea R²", "Conditional F")
WEAK = ("ar", "clr", "lm", "tf")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IVResult(Result):
    """An instrumental-variables fit: the endogenous variables' coefficients are the effects.

    Parameters
    ----------
    instruments : tuple of str
        Instruments used (one indicator per category but the first).
    kappa : float or None
        Of k-class estimators: 1 for two-stage least squares.
    objective : float or None
        Minimised GMM objective (Hansen's J) of ``method="gmm"`` and ``"cue"``; 0 where exactly identified.
    certificate : float
        Norm of the gradient of the continuously updating objective, in standard errors; 0 for closed forms.
    n_parameters : int
        Parameters counted by the small-sample factors (absorbed effects as :class:`OLS` counts them).
    collinear : mapping of str to str
        Covariates and instruments left out, and why.
    n_singletons : int
        Rows alone in a level of an absorbed effect.
    """

    instruments: tuple[str, ...]
    kappa: float | None
    objective: float | None
    certificate: float
    n_parameters: int
    collinear: Mapping[str, str]
    n_singletons: int

    # What the diagnostics are computed from.

    @cached_property
    def _fitted(self) -> tuple[IVData, Solved]:
        """Projected columns and the estimate, as the estimator's own variance has them."""
        estimator: Any = self.estimator
        sample = self._kept()
        data = data_of(sample, estimator._kind(bool(sample.several("cluster"))))
        return data, solve(data, estimator.method, fuller=estimator.fuller, kappa=estimator.kappa)

    @cached_property
    def iv_data(self) -> IVData:
        """Outcome, endogenous variables and instruments with covariates and absorbed effects projected out.

        They carry the variance of this result, so :meth:`with_vcov` changes every robust diagnostic too.
        """
        data = self._fitted[0]
        carrier = self.effects.numbers.carrier
        ways = tuple(way.codes for way in carrier.ways) if isinstance(carrier, Influence) else data.variance.ways
        kept = data.variance.ways
        same = len(ways) == len(kept) and all(a is b for a, b in zip(ways, kept, strict=True))
        if same and carrier.kind == data.variance.kind:
            return data
        return replace(data, variance=Variance(carrier.kind, ways, data.variance.order))

    @cached_property
    def coefficients(self) -> Effects:
        """Every coefficient of the second stage; those of covariates are not effects."""
        return all_coefficients(self.iv_data, self._fitted[1], self.effects.terms)

    @cached_property
    def first_stage(self) -> FirstStage:
        """Strength of the instruments: F statistics, partial R², rank statistics, coefficients."""
        return FirstStage(self.iv_data)

    @cached_property
    def reduced_form(self) -> Effects:
        """Coefficients of the outcome on the instruments, covariates held fixed: no weak instrument disturbs them."""
        data = self.iv_data
        values, vcov = instrument_regression(data, data.rows[:1])
        df = np.full(data.q, data.variance.df(data.n, data.n_exogenous + data.q))
        matrix = read_only(np.ascontiguousarray(vcov[0, :, 0]))
        return Effects(data.instruments, Estimate(values[0], Covariance(matrix, df, data.variance.kind)))

    # Tests.

    def overidentification_test(self, method: str | None = None) -> Test:
        """Test that the instruments agree; see :func:`causalkit.iv.overidentification.overidentification_test`.

        Parameters
        ----------
        method : {"sargan", "basmann", "basmann_f", "likelihood_ratio", "hansen"}, optional
            Sargan's for ``vcov="iid"``, else Hansen's J.

        Raises
        ------
        InferenceUnavailable
            With as many instruments as endogenous variables.
        """
        return overidentification_test(self.iv_data, self._fitted[1], method)

    def endogeneity_test(self, method: str | None = None) -> Test:
        """Test that least squares would do; see :func:`causalkit.iv.endogeneity.endogeneity_test`.

        Parameters
        ----------
        method : {"durbin", "wu_hausman", "wooldridge_score", "wooldridge_regression"}, optional
            Wu and Hausman's for ``vcov="iid"``, else the regression form with the variance of the fit.
        """
        return endogeneity_test(self.iv_data, method)

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the headline equals ``null``.

        Parameters
        ----------
        null : float
            Value under the null hypothesis.
        method : {"wald", "ar", "clr", "lm", "tf"}, optional
            Wald by default; the others hold their level with weak instruments.
        """
        if self._is_wald(method):
            return super().test(null)
        from causalkit.iv.weak_sets import weak_test

        found: Test = weak_test(self, null, str(method))
        return found

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the confidence interval of the headline, or the set that :meth:`test` does not reject.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {"wald", "ar", "clr", "lm", "tf"}, optional
            Wald (a pair) by default. ``"ar"`` (Anderson and Rubin 1949), ``"clr"`` (Moreira 2003), ``"lm"`` (Kleibergen
            2002) and ``"tf"`` (Lee, McCrary, Moreira and Porter 2022) return a ConfidenceSet, which may be empty,
            disconnected or unbounded.
        """
        if self._is_wald(method):
            return super().ci(alpha)
        from causalkit.iv.weak_sets import confidence_set

        found: ConfidenceSet = confidence_set(self, str(method), alpha)
        return found

    def _is_wald(self, method: str | None) -> bool:
        if method is None or method == "wald":
            return True
        if method not in WEAK:
            raise DesignError(
                f"method={method!r} is not an option.", hint=f"Use one of {', '.join(map(repr, ('wald', *WEAK)))}."
            )
        return False

    def compliers(self, covariates: Sequence[str] | None = None) -> ComplierReport:
        """Describe compliers, always and never takers of a binary instrument; see :mod:`causalkit.iv.compliers`.

        Parameters
        ----------
        covariates : list of str, optional
            Which covariates of the fit to profile; all of them by default.
        """
        from causalkit.iv.compliers import compliers

        return compliers(self, covariates)

    # Another variance.

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Count as the fit did: effects nested in the clusters do not count."""
        if not self.roles.get("absorb"):
            return self.n_parameters
        data = self._fitted[0]
        return count_parameters(data.m + data.eliminated.inner.k, data.effects, [way.codes for way in ways])

    def with_vcov(self, vcov: str, cluster: Any = None) -> IVResult:
        """Return the same estimates with another variance, which all diagnostics follow; see :meth:`Result.with_vcov`.

        The weights of GMM stay those of the fit.
        """
        from causalkit.iv.iv_checks import with_checks

        changed: IVResult = super().with_vcov(vcov, cluster)
        if changed.sample is None:
            return changed
        vars(changed)["_fitted"] = self._fitted
        carrier = changed.effects.numbers.carrier
        if isinstance(carrier, Influence) and carrier.crossed:
            known = carrier.knowing(joint_block(changed.iv_data, self._fitted[1]))
            require_positive(known, carrier.ways)
            numbers = replace(changed.effects.numbers, carrier=known)
            changed = replace(changed, effects=replace(changed.effects, numbers=numbers))
            vars(changed)["_fitted"] = self._fitted
        return with_checks(changed)

    # Showing it.

    def _first_stage_passage(self) -> Passage:
        text = "How strongly the instruments move the treatment, covariates held fixed."
        try:
            rows = self.first_stage.to_table().rows
            shown = len(_FIRST_STAGE) if len(rows) > 1 else len(_FIRST_STAGE) - 2
            return Passage(
                "certainty", "First stage", (text,), Table.of(_FIRST_STAGE[:shown], [r[:shown] for r in rows])
            )
        except InferenceUnavailable as missing:
            return Passage("certainty", "First stage", (f"Its strength can't be told: {missing}",))

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding, its certainty, and how strong the instruments are."""
        shown = [*super().passages()]
        if self.sample is not None:
            shown.append(self._first_stage_passage())
        if "weak_instruments" in self.checks:
            check = self.checks["weak_instruments"]
            shown.append(Passage("certainty", "However weak the instruments are", (check.message,), check.table))
        return tuple(shown)
