"""RegressionDiscontinuity: the effect at a cutoff, sharp or fuzzy, of a jump or of a kink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, flag, integer, number
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Arms, Sample
from causalkit.errors import DesignError
from causalkit.rdd.bandwidth_rules import RULES
from causalkit.rdd.rd_result import RegressionDiscontinuityResult

VCOV = ("auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3")


def _check_bandwidth(name: str, value: Any) -> Any:
    """Take a rule, a positive number, or a pair of them."""
    if value in RULES if isinstance(value, str) else value is None:
        if value is None and name == "bandwidth":
            raise DesignError("bandwidth=None is not an option.", hint=f"Use one of {', '.join(RULES)}, or a number.")
        return value
    if isinstance(value, str):
        raise DesignError(f"{name}={value!r} is not a rule.", hint=f"Use one of {', '.join(RULES)}, or a number.")
    numbers = np.atleast_1d(np.asarray(value))
    fine = numbers.dtype.kind in "iuf" and numbers.shape in ((1,), (2,)) and bool((numbers > 0).all())
    if not fine or not np.isfinite(numbers).all():
        raise DesignError(
            f"{name}={value!r} is no bandwidth.", hint="Pass a positive number, or a pair: below and above the cutoff."
        )
    return float(value) if numbers.size == 1 else (float(numbers[0]), float(numbers[1]))


def _check_rule(name: str, value: Any) -> Any:
    """Take what :func:`_check_bandwidth` takes, except a rule."""
    if isinstance(value, str):
        raise DesignError(f"{name}={value!r} is no bandwidth.", hint="Pass a positive number or a pair.")
    return _check_bandwidth(name, value)


@dataclass(frozen=True, kw_only=True)
class RegressionDiscontinuity(Estimator[RegressionDiscontinuityResult]):
    """Effect at a cutoff of a running variable by local polynomials, with robust bias-corrected inference.

    The estimand is the jump of the average outcome where the running variable crosses the cutoff: the average effect on
    units at the cutoff, if nothing else changes there and units can't place themselves on a side. With ``treatment=``
    (a fuzzy design) it is that jump over the jump of the treatment: the effect on compliers at the cutoff. With
    ``derivative=1`` it is the change of slope (a kink design).

    Parameters
    ----------
    cutoff : float
        Where treatment changes, in units of the running variable; units at the cutoff are above.
    order : int, optional
        Order of the polynomials; 1 for a jump and 2 for a kink unless given.
    bias_order : int, optional
        Order of the polynomials that estimate the bias; ``order + 1`` unless given.
    derivative : int
        The derivative whose change is estimated: 0 for a jump, 1 for a kink.
    kernel : {"triangular", "uniform", "epanechnikov"}
        Weights of the rows by distance.
    bandwidth : str, float or (float, float)
        A rule (``mserd``, ``msetwo``, ``msesum``, ``msecomb1``, ``msecomb2`` minimise the mean squared error,
        ``cerrd``, … the coverage error; ``rd`` one bandwidth for the difference, ``two`` one a side, ``sum`` for the sum,
        ``comb1`` the smaller of rd and sum, ``comb2`` the median of the three), or bandwidths below and above.
    bias_bandwidth : float or (float, float), optional
        That of the rule, or ``bandwidth`` where numbers were given.
    rho : float, optional
        ``bandwidth / bias_bandwidth``, in place of ``bias_bandwidth``.
    vcov : {"auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3"}
        ``"auto"`` is nearest neighbours (NN), or CR1 when ``cluster=`` is given.
    mass_points : {"adjust", "check", "off"}
        What the selectors do about repeated values of the running variable: ``"adjust"`` counts distinct values and
        widens pilot windows that hold few of them.
    regularization : float
        Factor of the term that keeps selected bandwidths from exploding where the curvature is small.
    sharp_bandwidth : bool
        In a fuzzy design choose the bandwidth for the jump of the outcome alone. This is done anyway where the treatment
        does not vary on one of the sides.
    donut : float
        Leave out rows nearer to the cutoff than this.

    Notes
    -----
    ``result.estimate`` is the conventional estimate; standard error, test and interval are those of the bias-corrected
    one, which count the error of the bias estimate (Calonico, Cattaneo and Titiunik 2014). Covariates enter with one
    coefficient for both sides (Calonico, Cattaneo, Farrell and Titiunik 2019): they make the estimate more precise and
    can't repair a design. Bandwidths follow Calonico, Cattaneo and Farrell (2020). In a fuzzy design, selected bandwidths
    depend on the level of the outcome, as they do in R and Stata; ``sharp_bandwidth=True`` has no such dependence.

    Everything is a function of power sums anchored at the cutoff, so that after one pass over the rows further
    bandwidths cost next to nothing.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> margin = rng.uniform(-1, 1, 2_000)
    >>> vote = 0.5 + 0.3 * margin + 0.1 * (margin >= 0) + 0.1 * rng.normal(size=2_000)
    >>> result = ck.RegressionDiscontinuity().fit(
    ...     pd.DataFrame({"vote": vote, "margin": margin}), outcome="vote", running="margin"
    ... )
    >>> round(result.estimate, 2)
    0.1
    """

    cutoff: float = number(0.0)
    order: int | None = integer(None, low=0, high=10)
    bias_order: int | None = integer(None, low=1, high=11)
    derivative: int = integer(0, low=0, high=10)
    kernel: Literal["triangular", "uniform", "epanechnikov"] = choice(
        "triangular", "triangular", "uniform", "epanechnikov"
    )
    bandwidth: str | float | tuple[float, float] = field(default="mserd", metadata={"check": _check_bandwidth})
    bias_bandwidth: float | tuple[float, float] | None = field(default=None, metadata={"check": _check_rule})
    rho: float | None = number(None, low=0.0, open_low=True)
    vcov: Literal["auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3"] = choice("auto", *VCOV)
    mass_points: Literal["adjust", "check", "off"] = choice("adjust", "adjust", "check", "off")
    regularization: float = number(1.0, low=0.0)
    sharp_bandwidth: bool = flag(False)
    donut: float = number(0.0, low=0.0)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "running": Role("number"),
        "treatment": Role("treatment", required=False, treatment="either"),
        "covariates": Role("features", required=False, many=True),
        "cluster": Role("label", required=False),
        "weights": Role("weights", required=False),
        "unit": Role("label", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("running", "row")
    strategies: ClassVar[tuple[str, ...]] = ("discontinuity",)

    def __post_init__(self) -> None:
        super().__post_init__()
        order, bias_order = self.orders
        if self.derivative > order:
            raise DesignError(
                f"derivative={self.derivative} needs order={self.derivative} at least; order is {order}.",
                hint=f"Use order={self.derivative + 1}.",
            )
        if bias_order <= order:
            raise DesignError(
                f"bias_order={bias_order} is not above order={order}.",
                hint=f"Use bias_order={order + 1} or leave it out.",
            )
        if self.rho is not None and self.bias_bandwidth is not None:
            raise DesignError("rho and bias_bandwidth say the same thing.", hint="Give one of them.")

    @property
    def orders(self) -> tuple[int, int]:
        """Order of the polynomials, and of those that estimate the bias."""
        order = self.derivative + 1 if self.order is None else self.order
        return order, order + 1 if self.bias_order is None else self.bias_order

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        running: Any,
        treatment: Any = None,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        unit: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> RegressionDiscontinuityResult:
        """Estimate the effect at the cutoff.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow or a lazy table (of which the named columns are collected).
        outcome : str
            Numeric column.
        running : str
            The running variable (score, forcing variable): numeric.
        treatment : str, optional
            Treatment taken, where crossing the cutoff changes it for some only (a fuzzy design): two arms, or a dose.
        covariates : list of str
            Numbers, or categories (one indicator each but the first), determined before treatment.
        control, treatment_level : level, optional
            Arms of the treatment, needed for text.
        cluster : str, optional
            Rows of one cluster have correlated outcomes.
        weights : str, optional
            Weights; they multiply the kernel, and their scale does not matter.
        unit : str, optional
            Labels that match units across results (``a - b``).
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        RegressionDiscontinuityResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            running=running,
            treatment=treatment,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            cluster=cluster,
            weights=weights,
            unit=unit,
            missing=missing,
        )

    def validate(self, sample: Sample) -> None:
        """Refuse what no fit could use; see :meth:`Estimator.validate`."""
        from causalkit.rdd.rd_sample import plan_of, rows_of

        plan_of(self, bool(sample.several("cluster")))
        rows_of(sample, self)

    def estimate(self, sample: Sample) -> RegressionDiscontinuityResult:
        """Run the analysis on a bound sample."""
        from causalkit.rdd.rd_fit import fit_sample

        return fit_sample(self, sample)


def estimand(sample: Sample, estimator: RegressionDiscontinuity) -> str:
    """Say what is estimated."""
    running, outcome = sample.name("running"), sample.name("outcome")
    place = f"where {running} crosses {estimator.cutoff:g}"
    kinds = {0: "jump", 1: "change of slope"}
    kind = kinds.get(estimator.derivative, f"change of derivative {estimator.derivative}")
    column = sample.columns.get("treatment")
    if column is None:
        return f"{kind} of {outcome} {place}"
    what = column.contrast() if isinstance(column, Arms) else f"one more unit of {sample.name('treatment')}"
    return f"effect of {what} on {outcome} for compliers {place}"
