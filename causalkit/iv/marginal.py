"""MarginalTreatmentEffects: how the effect differs between those who are easily and those who are hardly moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.estimate import Influence
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.errors import DesignError
from causalkit.inference.wald import wald_test
from causalkit.iv.mte_basis import Basis, Normal, Polynomial
from causalkit.iv.mte_fit import MTEFit, fit_mte, propensity_of
from causalkit.iv.mte_parameters import (
    TERMS,
    common_support,
    standard_parameters,
    weighted_quantile,
)
from causalkit.iv.mte_result import MTEResult, effects_of, limits_of
from causalkit.kernels.arrays import read_only

VCOV = ("auto", "HC0", "HC1", "CR0", "CR1")
#: Narrower common support makes averages over everybody an extrapolation.
WIDE = 0.8
WEAK = 10.0


@dataclass(frozen=True, kw_only=True)
class MarginalTreatmentEffects(Estimator[MTEResult]):
    """Marginal treatment effects: effects by how hard it is to move somebody into the treatment.

    A row is treated if its propensity, a logit in instruments and covariates, exceeds its resistance u (uniform on [0, 1]).
    ``MTE(x, u)`` is the average effect on those with covariates x and resistance u; averages of it are the effects on
    everybody (ATE), the treated (ATT), the untreated (ATU), those whom the instruments move (LATE) and those whom a policy
    moves (PRTE). It rests on instruments that are as good as random given covariates and act through the treatment only, on
    monotonicity, and on covariates that shift outcomes but not how the effect varies with u (separability).

    Parameters
    ----------
    method : {"polynomial", "normal", "semiparametric"}
        ``"polynomial"``: local instrumental variables, ``E[Y | x, p] = x'b + p x'd + K(p)`` with a polynomial K, so that
        ``MTE = x'd + K'(u)``. ``"normal"``: jointly normal unobservables (Heckman selection in each arm). ``"semiparametric"``:
        local instrumental variables with K a cubic spline of ``order`` knots at quantiles of the propensity; averages are over
        the common support.
    order : int
        Degree of the polynomial in u, or number of knots; not used by ``"normal"``.
    vcov : {"auto", "HC0", "HC1", "CR0", "CR1"}
        Variance; ``"auto"`` is HC1, or CR1 when ``cluster=`` is given. It allows for the estimation of the propensity; for a
        spline it supposes that the knots are enough for the bias to be small.

    References
    ----------
    Heckman and Vytlacil (2005), *Structural equations, treatment effects, and econometric policy evaluation*; Carneiro,
    Heckman and Vytlacil (2011), *Estimating marginal returns to education*; Brinch, Mogstad and Wiswall (2017), *Beyond LATE
    with a discrete instrument*.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> z, u = rng.normal(size=5000), rng.random(5000)
    >>> took = (1 / (1 + np.exp(-1.5 * z)) > u).astype(int)
    >>> data = pd.DataFrame({"took": took, "z": z, "y": took * (1.5 - u) + u + 0.1 * rng.normal(size=5000)})
    >>> fit = ck.MarginalTreatmentEffects(order=1).fit(data, outcome="y", treatment="took", instruments="z")
    >>> round(fit.estimate, 1)
    1.0
    """

    method: Literal["polynomial", "normal", "semiparametric"] = choice(
        "polynomial", "polynomial", "normal", "semiparametric"
    )
    order: int = integer(2, low=1, high=6)
    vcov: Literal["auto", "HC0", "HC1", "CR0", "CR1"] = choice("auto", *VCOV)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "treatment": Role("treatment"),
        "instruments": Role("features", many=True),
        "covariates": Role("features", required=False, many=True),
        "unit": Role("label", required=False),
        "cluster": Role("label", required=False, many=True),
        "weights": Role("weights", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("instruments", "row")
    strategies: ClassVar[tuple[str, ...]] = ("instrument",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        instruments: Sequence[str] | str,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        unit: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> MTEResult:
        """Estimate marginal treatment effects.

        Parameters
        ----------
        data : table
            Anything that narwhals reads.
        outcome : str
            Numeric column.
        treatment : str
            Two arms.
        instruments : list of str
            Numbers or categories; the more values they take, the more of the curve is seen.
        covariates : list of str
            Numbers or categories, in the propensity and in both outcomes.
        control : level, optional
            The baseline arm, needed for text.
        unit : str, optional
            Labels that match units across results (``a - b``).
        cluster : str or list of str, optional
            Clusters.
        weights : str, optional
            Weights; their scale does not matter.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        MTEResult

        Raises
        ------
        DataError, DesignError
            If the table or roles can't be used, the propensity varies too little for the method, or it is 0 or 1 for some.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            instruments=instruments,
            covariates=covariates,
            control=control,
            unit=unit,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def validate(self, sample: Sample) -> None:
        """Refuse more than two arms and a variance that does not go with the roles; see :meth:`Estimator.validate`."""
        arms = sample.arms
        if arms.count != 2:
            raise DesignError(
                f"treatment {arms.name!r} has {arms.count} arms; marginal treatment effects are for two.",
                hint="Keep two of them.",
                column=arms.name,
            )
        self._kind(bool(sample.several("cluster")))

    def model(self, sample: Sample) -> MTEFit:
        """Fit the propensity and the regression of the outcome on a bound sample.

        Parameters
        ----------
        sample : Sample
            The bound rows.
        """
        D = (sample.arms.codes == 1).astype(float)
        Z, X = sample.features("instruments").dummies()[0], sample.features().dummies()[0]
        weights = sample.optional("weights")
        propensity = propensity_of(D, Z, X, weights)
        basis: Basis = Normal() if self.method == "normal" else Polynomial(self.order)
        if self.method == "semiparametric":
            w = np.ones(D.size) if weights is None else weights
            at = [(j + 1) / (self.order + 1) for j in range(self.order)]
            knots = {weighted_quantile(propensity.probability, w, share) for share in at}
            basis = Polynomial(2, tuple(sorted(knots)))
        return fit_mte(sample.outcome, D, Z, X, basis, weights, propensity)

    def estimate(self, sample: Sample) -> MTEResult:
        """Run the analysis on a bound sample."""
        self.validate(sample)
        fit, arms = self.model(sample), sample.arms
        D, p = (arms.codes == 1).astype(float), fit.propensity.probability
        support = common_support(p, D, fit.weights)
        if not support[0] < support[1]:
            raise DesignError(
                "the propensities of treated and untreated do not overlap.",
                hint="The instruments or covariates decide the treatment; leave out what does.",
            )
        theta, psi = standard_parameters(fit, limits_of(self.method, support))
        carrier = self._carrier(sample, fit)
        grid = np.linspace(*support, 50) if self.method == "semiparametric" else np.arange(1, 50) / 50
        curve = fit.curve(grid)
        contrast = arms.contrast()
        over = " over the common support" if self.method == "semiparametric" else ""
        result = MTEResult(
            estimator=self,
            effects=effects_of((contrast,), theta[:1], psi[:, :1], carrier).select([0]),
            headline=contrast,
            estimand=f"average effect of {contrast} on {sample.name('outcome')}{over}",
            checks=Checks(
                {
                    "missing": missing_check(sample),
                    **outcome_check(sample),
                    "overlap": _overlap(fit, support, self.method),
                    "weak_instruments": lambda: _strength(fit, sample),
                }
            ),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            parameters=effects_of(TERMS, theta, psi, carrier),
            curve=effects_of(tuple(f"u={u:.3g}" for u in grid), *curve, carrier, {"u": grid.tolist()}),
            support=support,
            n_parameters=fit.theta.size,
        )
        vars(result)["fitted"] = fit
        return result

    def _kind(self, clustered: bool) -> str:
        if self.vcov == "auto":
            return "CR1" if clustered else "HC1"
        if clustered != self.vcov.startswith("CR"):
            told, hint = ("ignores", 'Use vcov="CR1".') if clustered else ("needs", "Name the column of the clusters.")
            raise DesignError(f"vcov={self.vcov!r} {told} cluster=.", hint=hint)
        return self.vcov

    def _carrier(self, sample: Sample, fit: MTEFit) -> Influence:
        """Return a carrier without values, which names rows, clusters and factors."""
        ways, n, k = sample.several("cluster"), sample.n, fit.theta.size
        kind = self._kind(bool(ways))
        if n <= k:
            raise DesignError(f"{n} rows are too few for {k} coefficients.", hint="Leave out covariates.")
        count = min((way.count for way in ways), default=0)
        if ways and count < 2:
            raise DesignError(
                f"cluster {ways[0].name!r} has one cluster only.", hint="Clustered inference needs two or more."
            )
        scale = {"HC1": n / (n - k), "CR1": count / max(count - 1, 1) * (n - 1) / (n - k)}.get(kind, 1.0)
        df = np.full(1, float(count - 1 if ways else n - k))
        first, crossed = (ways[0], tuple(ways[1:])) if ways else (None, ())
        return Influence(np.empty((0, 1)), sample.rows, first, scale, df, kind, crossed)


def _overlap(fit: MTEFit, support: tuple[float, float], method: str) -> Check:
    """Say where propensities of both arms lie, and whether averages reach beyond."""
    p = fit.propensity.probability
    outside = float(fit.weights[(p < support[0]) | (p > support[1])].sum())
    width = support[1] - support[0]
    message = (
        f"Propensities of both arms lie between {fmt.number(support[0], 3)} and {fmt.number(support[1], 3)}; "
        f"{fmt.share(outside)} of the rows are outside."
    )
    if width >= WIDE:
        return Check("overlap", "pass", message, width)
    if method == "semiparametric":
        advice = "Effects are averages over these resistances, not over everybody."
    else:
        advice = "Averages over everybody extrapolate by the form of the curve; see LATE, and method='semiparametric'."
    return Check("overlap", "warn", message, width, advice=advice)


def _strength(fit: MTEFit, sample: Sample) -> Check:
    """Wald test that the instruments move the propensity, as an F."""
    at = fit.instrument_columns
    ways = sample.several("cluster")
    psi = fit.propensity.influence[:, at]
    made = Influence(read_only(psi), sample.rows, ways[0] if ways else None, crossed=tuple(ways[1:]))
    f = float(wald_test(fit.propensity.coefficients[at], made.vcov, None)[0])
    message = f"The F statistic of the instruments in the propensity is {fmt.number(f, 3)}."
    weak = f < WEAK
    advice = "The instruments hardly move the treatment; the curve is guesswork."
    return Check("weak_instruments", "warn" if weak else "pass", message, f, advice=advice if weak else "")
