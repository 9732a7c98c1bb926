"""DoubleML: effects of arms or of a dose from orthogonal scores and cross-fitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.result import Result
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Arms, Sample
from causalkit.effects.crossfit_study import ROLES
from causalkit.errors import DesignError

METHODS = ("auto", "plr", "plr_iv", "irm", "irm_hajek", "dose_response", "pliv", "iivm")


def _check_doses(name: str, value: Any) -> Any:
    if value is None:
        return None
    listed = tuple(value) if isinstance(value, list | tuple | np.ndarray) else ()
    if not listed or not all(isinstance(v, Real) and not isinstance(v, bool) and np.isfinite(float(v)) for v in listed):
        raise DesignError(f"{name}={value!r} is not a list of numbers.", hint="Pass doses=[1.0, 2.0, 3.0].")
    numbers = tuple(float(v) for v in listed)
    if any(a >= b for a, b in pairwise(numbers)):
        raise DesignError(f"{name}={value!r} does not rise.", hint="List each dose once, the smallest first.")
    return numbers


@dataclass(frozen=True, kw_only=True)
class DoubleML(Estimator[Result]):
    """Double machine learning: effects of arms or of a dose, with any learner for what must be adjusted for.

    Nuisances are learned out of fold and enter a score that small errors in them do not move (Neyman orthogonality), so that
    the estimate is root-n consistent and normal although the learners converge more slowly.

    Parameters
    ----------
    method : {"auto", "plr", "plr_iv", "irm", "irm_hajek", "dose_response", "pliv", "iivm"}
        What is estimated. ``"auto"`` is ``"irm"`` for arms and ``"plr"`` for a dose; with instruments it is ``"iivm"`` for two
        arms and one binary instrument, else ``"pliv"``.

        - ``"plr"``: the slope theta of ``y = theta d + g(x) + error``, by regressing the residual outcome on the residual
          treatment (Robinson 1988). Where effects differ between people it is their average with weights var(d | x). Two arms
          or a dose.
        - ``"plr_iv"``: the same slope by the IV-type score, ``sum of v (y - g(x) - theta d) = 0``; it has no instrument.
        - ``"irm"``: ``E[Y(a) - Y(control)]`` for each arm, by doubly robust scores; the result answers
          ``.ate("all" | "treated" | "control" | "overlap")``, ``.average_outcomes()``, ``.gate()`` and ``.blp()``.
        - ``"irm_hajek"``: the same with inverse-probability weights that sum to one in each arm.
        - ``"dose_response"``: the curve ``E[Y(d)]`` over doses, by local-linear regression of doubly robust pseudo-outcomes
          (Kennedy et al. 2017) with a bias-corrected center; a table of one term per dose, with pointwise and simultaneous
          bands. No single headline.
        - ``"pliv"``: the slope of ``y = theta d + g(x) + error`` where the error is tied to d but not to the instruments given
          x, by residual outcome on residual treatment through residual instruments (several are combined as the linear
          projection of the treatment on them). Two arms or a dose.
        - ``"iivm"``: the average effect of two arms on compliers with one binary instrument, the ratio of its doubly robust
          effects on outcome and treatment (Frölich 2007); the result has the shares of ``.compliers``.
    n_folds : int
        Folds of the cross-fitting, at least 2 (for each way, with clusters in two ways).
    n_repeats : int
        Times the rows are dealt to folds anew. Estimates are medians over the repetitions, and standard errors hold the
        spread between them.
    bandwidth : float, optional
        For the dose response: half-width of the window, in units of the dose; by default a rule of thumb (Fan and Gijbels
        1996).
    doses : list of float, optional
        For the dose response: where the curve is estimated, rising; by default 21 doses between the 5th and the 95th
        percentile.
    always_takers, never_takers : bool
        For ``"iivm"``: False says that by design nobody takes the treatment without the instrument, or that everybody does
        with it; rows that do otherwise are refused. Monotonicity then holds by design.
    regressor : None, str or scikit-learn regressor
        For outcomes, doses and instruments: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        For arms, and for outcomes and instruments with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Blocks worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions: no unmeasured confounding given the covariates (or known propensities); overlap; no interference. A partially
    linear model assumes in addition that the effect is linear in the dose. With instruments the treatment may have unmeasured
    common causes with the outcome; the instruments may not, given the covariates, and they may affect the outcome through the
    treatment only. ``ci(method="ar")`` and ``test(method="ar")`` of such results hold their level with weak instruments.

    Standard errors are HC1, CR1 with clusters, and by inclusion and exclusion with clusters in two ways (Cameron, Gelbach
    and Miller 2011), where a row is predicted by models that saw neither of its clusters (Chiang, Kato, Ma and Sasaki 2022).
    ``with_vcov("HC0")`` gives those of the Python package DoubleML. Propensities are clipped at 0.01 (at a tenth of the share
    of a rare arm) and are not recalibrated, unlike those of :class:`AIPW`.

    The conditional density of a dose is that of a location and a scale, both learned from covariates, with a kernel density
    of the standardised residual; the weight of a row is capped at 50.

    References
    ----------
    Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey and Robins (2018), "Double/debiased machine learning for treatment
    and structural parameters", *Econometrics Journal* 21. Robinson (1988), *Econometrica* 56. Kennedy, Ma, McHugh and Small
    (2017), "Non-parametric methods for doubly robust estimation of continuous treatment effects", *JRSS-B* 79. Calonico,
    Cattaneo and Farrell (2018), *JASA* 113. Chiang, Kato, Ma and Sasaki (2022), "Multiway cluster robust double/debiased
    machine learning", *JBES* 40. Frölich (2007), "Nonparametric IV estimation of local average treatment effects with
    covariates", *Journal of Econometrics* 139. Anderson and Rubin (1949), *Annals of Mathematical Statistics* 20.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> dose = x + rng.normal(size=500)
    >>> table = {"y": x + 2 * dose + rng.normal(size=500), "dose": dose, "x": x}
    >>> result = ck.DoubleML(regressor="linear", random_state=0).fit(table, outcome="y", treatment="dose", covariates="x")
    >>> result.estimand
    'effect of one more unit of dose on y, covariates held fixed (partially linear)'
    """

    method: Literal["auto", "plr", "plr_iv", "irm", "irm_hajek", "dose_response", "pliv", "iivm"] = params.choice(
        "auto", *METHODS
    )
    n_folds: int = params.integer(5, low=2)
    n_repeats: int = params.integer(1, low=1)
    bandwidth: float | None = params.number(None, low=0.0, open_low=True)
    doses: tuple[float, ...] | None = field(default=None, metadata={"check": _check_doses})
    always_takers: bool = params.flag(True)
    never_takers: bool = params.flag(True)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = {
        **ROLES,
        "treatment": Role("treatment", treatment="either"),
        "instruments": Role("features", required=False, many=True),
        "cluster": Role("label", required=False, many=True),
    }
    assignment: ClassVar = Assignment("treatment", "row")
    strategies: ClassVar = ("adjustment",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        covariates: str | Sequence[str] = (),
        instruments: str | Sequence[str] = (),
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str = "native",
    ) -> Result:
        """Estimate the effects.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Bool, 0/1, text and categories are arms; other numbers are a dose, unless ``control=`` says that they are arms.
        covariates : str or list of str
            Numbers and categories measured before the treatment.
        instruments : str or list of str
            For ``"pliv"`` and ``"iivm"``: numbers, or categories (one indicator each but the first).
        control : label, optional
            The baseline level of text or categories.
        treatment_level : label, optional
            The arm of interest where there are several.
        propensity : float or str, optional
            Known probability of the arm of interest; for ``"iivm"`` of the larger value (the later label) of the instrument.
            Two arms only.
        cluster : str or list of str, optional
            Clusters of rows that are not independent: one column, or two crossed ones.
        unit : str, optional
            Identifies people, so that results from different tables can be compared.
        weights : str, optional
            How many people a row stands for.
        missing : {"native", "drop", "raise"}
            Covariates with gaps: kept as they are, dropped, or refused. Rows without an outcome or treatment are dropped
            (refused with ``"raise"``).

        Returns
        -------
        Result
            :class:`AverageEffect` with several arms or ``method="irm"``; a slope with ``.blp()`` and ``.gate()`` for a
            partially linear model; a curve for a dose response; an :class:`InstrumentedEffect` with instruments.

        Raises
        ------
        DesignError
            If the method does not suit the treatment or the instruments, or there are too few rows or clusters for the folds.
        DataError
            If a column is unknown, a value infinite, or a propensity not strictly between 0 and 1.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            instruments=instruments,
            control=control,
            treatment_level=treatment_level,
            propensity=propensity,
            cluster=cluster,
            unit=unit,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> Result:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        assert isinstance(run, DoubleML)
        method = self._method(sample)
        if method in ("plr", "plr_iv"):
            from causalkit.effects.double_ml_plr import partially_linear

            return partially_linear(run, sample, method)
        if method in ("pliv", "iivm"):
            from causalkit.effects.double_ml_iv import instrumented

            return instrumented(run, sample, method)
        if method == "dose_response":
            from causalkit.effects.double_ml_dose import dose_response

            return dose_response(run, sample)
        from causalkit.effects.double_ml_irm import interactive

        return interactive(run, sample, normalize=method == "irm_hajek")

    def _method(self, sample: Sample) -> str:
        """Return the method that suits treatment and instruments.

        Raises
        ------
        DesignError
            If a method, an option or a role does not go with the others.
        """
        if sample.has("instruments") or self.method in ("pliv", "iivm"):
            from causalkit.effects.double_ml_iv_design import method_of

            method = method_of(self, sample)
        else:
            method = self._adjusting(sample)
        if method != "dose_response" and (self.doses is not None or self.bandwidth is not None):
            named = "doses" if self.doses is not None else "bandwidth"
            raise DesignError(f'{named}= belongs to method="dose_response".', hint="Leave it out.")
        if method != "iivm" and not (self.always_takers and self.never_takers):
            named = "never_takers" if self.always_takers else "always_takers"
            raise DesignError(f'{named}=False belongs to method="iivm".', hint="Leave it out.")
        return method

    def _adjusting(self, sample: Sample) -> str:
        """Return the method for a treatment without instruments.

        Raises
        ------
        DesignError
            If arms are asked for their dose response, or a dose for arms; or a propensity was given for a dose.
        """
        column = sample.columns["treatment"]
        arms = isinstance(column, Arms)
        method = str(self.method)
        if method == "auto":
            method = "irm" if arms else "plr"
        if method.startswith("irm") and not arms:
            raise DesignError(
                f'method="{method}" compares arms, and {column.name!r} holds a dose.',  # type: ignore[union-attr]
                hint='Name the baseline level: control=; or use method="plr" or "dose_response".',
            )
        if method == "dose_response" and arms:
            raise DesignError(
                f'method="dose_response" needs a dose, and {column.name!r} holds arms.',  # type: ignore[union-attr]
                hint='Use method="irm" for arms.',
            )
        if not arms and sample.has("propensity"):
            raise DesignError(
                "propensity= is the probability of an arm, and the treatment is a dose.", hint="Leave it out."
            )
        return method
