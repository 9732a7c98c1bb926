"""OLS: the effect of a treatment by regression adjustment, the simplest result to refute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.headline import compared, headline_of
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.params import choice
from causalkit.core.recluster import recluster
from causalkit.core.result import Result
from causalkit.core.roles import Assignment, Role
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Number, Sample
from causalkit.data.frame import Frame
from causalkit.errors import DesignError
from causalkit.inference.vcov import hac
from causalkit.kernels.arrays import Floats, Ints, read_only
from causalkit.linear.absorb import absorber
from causalkit.linear.least_squares import LeastSquares, least_squares
from causalkit.linear.ols_checks import arm_size, collinearity, few_clusters
from causalkit.linear.parameters import count_parameters

if TYPE_CHECKING:
    from causalkit.inference.bootstrap import WildBootstrap
    from causalkit.inference.confidence_set import ConfidenceSet

VCOV = ("auto", "iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3", "HAC")
INTERCEPT = "intercept"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OLSResult(Result):
    """A least-squares fit: the treatment's coefficients are the effects, all others stand in ``coefficients``.

    Parameters
    ----------
    coefficients : Effects
        Every coefficient of the regression. Those of covariates are not effects.
    n_parameters : int
        Parameters counted by the small-sample factors of the fit (absorbed effects as R's fixest counts them).
    absorbs : bool
        Whether effects were absorbed.
    r2, r2_within : float
        Share of the variation of the outcome explained; within the absorbed effects for ``r2_within``.
    collinear : mapping of str to str
        Columns left out of the regression, and why.
    n_singletons : int
        Rows alone in a level of an absorbed effect; they do not change the coefficients.
    """

    coefficients: Effects
    n_parameters: int
    absorbs: bool
    r2: float
    r2_within: float
    collinear: Mapping[str, str]
    n_singletons: int

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Count as R's fixest does: effects nested in the clusters do not count."""
        k = len(self.coefficients)
        absorb = self._kept().several("absorb") if self.absorbs else ()
        if not absorb:
            return k
        effects = absorber([effect.codes for effect in absorb], self._kept().optional("weights"))
        return count_parameters(k, effects, [way.codes for way in ways])

    def with_vcov(self, vcov: str, cluster: Any = None) -> OLSResult:
        """Return the same estimates with another variance, all coefficients included; see :meth:`Result.with_vcov`."""
        changed: OLSResult = super().with_vcov(vcov, cluster)
        numbers = recluster(replace(self, effects=self.coefficients), vcov, cluster)
        return replace(changed, coefficients=replace(self.coefficients, numbers=numbers))

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the headline equals ``null``; ``method="wild"`` by the wild cluster bootstrap."""
        if method != "wild":
            return super().test(null, method)
        found = self.wild_bootstrap(null)
        return Test(found.statistic, found.pvalue, float("nan"), null, "wild cluster bootstrap")

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the interval of the headline; ``method="wild"`` inverts the bootstrap test into a ConfidenceSet."""
        return super().ci(alpha, method) if method != "wild" else self.wild_bootstrap().confidence_set(alpha)

    def wild_bootstrap(self, null: float = 0.0, n_boot: int | None = None, random_state: int = 0) -> WildBootstrap:
        """Test the headline by the wild cluster bootstrap, which holds its level with few clusters.

        The null is imposed (Cameron, Gelbach and Miller 2008). With few clusters all sign vectors are enumerated and the
        p-value is exact.

        Parameters
        ----------
        null : float
            Value under the null hypothesis.
        n_boot : int, optional
            Draws; 9999 by default.
        random_state : int
            Seed of the draws.

        Returns
        -------
        WildBootstrap
            ``statistic``, ``pvalue``, ``exact``, ``monte_carlo_error``, and ``confidence_set(alpha)``.
        """
        from causalkit.linear.wild import wild_bootstrap

        sample = self._kept()
        cluster = sample.several("cluster")
        if len(cluster) != 1:
            raise DesignError("the wild cluster bootstrap needs one cluster column.", hint="Name cluster= at the fit.")
        design, names, _ = _design(sample)
        return wild_bootstrap(
            sample.outcome,
            np.stack(design).T,
            names.index(self.effects.terms[self._at]),
            sample.several("absorb"),
            cluster[0],
            weights=sample.optional("weights"),
            n_parameters=self.n_parameters,
            null=null,
            n_boot=n_boot,
            random_state=random_state,
        )


@dataclass(frozen=True, kw_only=True)
class OLS(Estimator[OLSResult]):
    """Least squares of the outcome on the treatment and covariates.

    The estimand is the coefficient of the treatment: with a randomized treatment, the average effect; else, the effect
    if the covariates (entering linearly) block every back door and the effect is the same for all, or a
    variance-weighted average of effects (Angrist and Pischke 2009, section 3.3.1) where it is not.

    Parameters
    ----------
    vcov : {"auto", "iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3", "HAC"}
        Variance. ``"auto"`` is HC1, or CR1 when ``cluster=`` is given. Two cluster columns give two-way clustering
        (Cameron, Gelbach and Miller 2011). CR2 comes with Satterthwaite degrees of freedom (Bell and McCaffrey 2002;
        Imbens and Kolesar 2016). HAC needs ``time=``: one series, with Bartlett weights up to lag
        ``floor(4 (T/100)^(2/9))`` (Newey and West 1987, 1994).

    Notes
    -----
    Two sets of absorbed effects are eliminated exactly by a Schur complement; more by accelerated projections with a
    certificate. Small-sample factors are those of R's fixest. Collinear columns are left out, later ones first, and
    named in ``result.collinear``.

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> result = ck.OLS().fit(data, outcome="purchase", treatment="arm", control="no_coupon", cluster="store")
    >>> round(result.estimate, 3)
    0.081
    """

    vcov: Literal["auto", "iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3", "HAC"] = choice("auto", *VCOV)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "treatment": Role("treatment", treatment="either"),
        "covariates": Role("features", required=False, many=True),
        "absorb": Role("label", required=False, many=True),
        "unit": Role("label", required=False),
        "time": Role("label", required=False),
        "cluster": Role("label", required=False, many=True),
        "weights": Role("weights", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "row")
    strategies: ClassVar[tuple[str, ...]] = ("adjustment",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        covariates: Sequence[str] | str = (),
        absorb: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        unit: Any = None,
        time: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> OLSResult:
        """Regress the outcome on the treatment.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, or a lazy table (DuckDB, PySpark, Ibis, polars). The engine of a lazy table sums
            what the regression needs and its rows stay there, for ``vcov`` iid, HC0, HC1, CR0 and CR1 without
            ``absorb=`` and ``unit=`` and with at most one cluster column; else the named columns are collected, and
            ``result.checks["collected"]`` says why.
        outcome : str
            Numeric column.
        treatment : str
            Booleans, 0/1, text and categories are arms (one coefficient for each but the control); other numbers are a
            dose unless ``control=`` says that they are arms.
        covariates : list of str
            Numbers, or categories (one indicator each but the first).
        absorb : list of str
            Columns whose levels are effects to absorb.
        control, treatment_level : level, optional
            The baseline arm, needed for text; and the arm of interest where there are several.
        unit : str, optional
            Labels that match units across results (``a - b``).
        time : str, optional
            Order of the rows, for ``vcov="HAC"``.
        cluster : str or list of str, optional
            One column, or several for multiway clustering.
        weights : str, optional
            Weights; their scale does not matter.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        OLSResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            absorb=absorb,
            control=control,
            treatment_level=treatment_level,
            unit=unit,
            time=time,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def _fit(self, data: Any, **given: Any) -> OLSResult:
        """Fit; a lazy table answers with sums, and is collected only where they do not suffice."""
        frame = Frame.read(data)
        if not frame.is_lazy:
            return super()._fit(data, **given)
        from causalkit.linear.pushed_down import fit_lazy

        return fit_lazy(self, frame, data, given)

    def validate(self, sample: Sample) -> None:
        """Refuse a variance that does not go with the roles; see :meth:`Estimator.validate`."""
        if self._kind(bool(sample.several("cluster"))) == "HAC":
            _in_time_order(sample)

    def estimate(self, sample: Sample) -> OLSResult:
        """Run the regression on a bound sample."""
        kind = self._kind(bool(sample.several("cluster")))
        design, names, terms = _design(sample)
        absorb, cluster = sample.several("absorb"), sample.several("cluster")
        fit = least_squares(
            sample.outcome,
            design,
            names=names,
            weights=sample.optional("weights"),
            absorb=[effect.codes for effect in absorb],
            absorb_names=[effect.name for effect in absorb],
            groups=[way.codes for way in cluster] or None,
            vcov="HC0" if kind == "HAC" else kind,
        )
        _require_terms(fit.dropped, terms, sample)
        coefficients = Effects(fit.names, _numbers(fit, kind, sample, cluster).folded())
        return OLSResult(
            estimator=self,
            effects=coefficients.select(terms),
            headline=headline_of(sample, terms),
            estimand=_estimand(sample, terms),
            checks=Checks(
                {
                    "missing": missing_check(sample),
                    **outcome_check(sample),
                    **_cluster_checks(sample, kind),
                    "collinearity": collinearity(fit.dropped),
                }
            ),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            coefficients=coefficients,
            n_parameters=fit.n_parameters,
            absorbs=bool(absorb),
            r2=fit.r2,
            r2_within=fit.r2_within,
            collinear=dict(fit.dropped),
            n_singletons=fit.singletons,
        )

    def _kind(self, clustered: bool) -> str:
        if self.vcov == "auto":
            return "CR1" if clustered else "HC1"
        if clustered and not self.vcov.startswith("CR"):
            raise DesignError(f"vcov={self.vcov!r} ignores cluster=.", hint='Use vcov="CR1", or leave cluster= out.')
        if not clustered and self.vcov.startswith("CR"):
            raise DesignError(f"vcov={self.vcov!r} needs cluster=.", hint="Name the column of the clusters.")
        return self.vcov


def _design(sample: Sample) -> tuple[list[Floats], list[str], list[str]]:
    """Return the regressors, their names, and the names that are the treatment's."""
    column = sample.columns["treatment"]
    if isinstance(column, Arms):
        treated = [(column.codes == arm).astype(float) for arm in range(1, column.count)]
        terms = [column.contrast(arm) for arm in range(1, column.count)]
    else:
        assert isinstance(column, Number)
        treated, terms = [column.values], [column.name]
    adjust, names = sample.features().dummies()
    ones = [] if sample.several("absorb") else [np.ones(sample.n)]
    return [*treated, *ones, *adjust.T], [*terms, *([INTERCEPT] if ones else []), *names], terms


def _numbers(fit: LeastSquares, kind: str, sample: Sample, cluster: Sequence[Groups]) -> Estimate:
    if kind == "HAC":
        matrix = hac(fit.psi[_in_time_order(sample)])
        return Estimate(fit.coefficients, Covariance(read_only(matrix), fit.df, kind))
    if kind in ("HC0", "HC1", "CR0", "CR1"):
        groups, crossed, scale = cluster[0] if cluster else None, tuple(cluster[1:]), fit.vcov.scale
        if crossed and kind == "CR1":  # the factor of the way with the fewest clusters, which multiway counts apart
            fewest = min(fit.vcov.n_clusters)
            scale *= fewest / (fewest - 1)
        psi = read_only(fit.psi)
        carrier = Influence(psi, sample.rows, groups, scale, fit.df, kind, crossed)
        return Estimate(fit.coefficients, carrier.knowing(fit.vcov.matrix))
    return Estimate(fit.coefficients, Covariance(read_only(fit.vcov.matrix), fit.df, kind))


def _in_time_order(sample: Sample) -> Ints:
    time = sample.groups("time")
    if time is None:
        raise DesignError('vcov="HAC" needs time=.', hint="Name the column that orders the rows.")
    order = np.argsort(time.codes, kind="stable")
    repeats = np.flatnonzero(np.diff(time.codes[order]) == 0)
    if len(repeats):
        row = int(sample.rows.positions[order[repeats + 1]].min())
        raise DesignError(
            f'vcov="HAC" is for one series, but {len(repeats)} rows repeat a value of time {time.name!r} (first in row {row}).',
            hint='Cluster a panel by unit instead: vcov="CR1", cluster=.',
            column=time.name,
            rows=(row,),
        )
    return order


def _require_terms(dropped: Mapping[str, str], terms: Sequence[str], sample: Sample) -> None:
    for term in terms:
        if term in dropped:
            raise DesignError(
                f"the treatment {term!r} can't be told apart from the other columns: it is {dropped[term]}.",
                hint="Leave out the covariate or the absorbed effect that determines it.",
                column=sample.name("treatment"),
            )


def _estimand(sample: Sample, terms: Sequence[str]) -> str:
    column = sample.columns["treatment"]
    what = compared(column, headline_of(sample, terms)) if isinstance(column, Arms) else f"one more unit of {terms[0]}"
    held = "" if sample.features().values.shape[1] == 0 else ", covariates held fixed"
    return f"effect of {what} on {sample.name('outcome')}{held}"


def _cluster_checks(sample: Sample, kind: str) -> dict[str, Check]:
    """Return a failed check where an arm has one row or cluster, and whether there are enough clusters."""
    column, ways = sample.columns["treatment"], sample.several("cluster")
    arms, sizes = column if isinstance(column, Arms) else None, []
    fewest = min(ways, key=lambda way: way.count, default=None)
    if arms is not None and kind != "iid":  # equal variances are known from the other rows
        unit = np.arange(sample.n) if fewest is None else fewest.codes
        sizes = [len(np.unique(unit[arms.codes == code])) for code in range(arms.count)]
    found = arm_size(arms, sizes, fewest is not None) if arms is not None and sizes else {}
    if fewest is None or kind not in ("CR0", "CR1"):  # CR2 and CR3 take in how few there are
        return found
    return found | {"few_clusters": few_clusters(fewest.count, fewest.name, arms, sizes)}
