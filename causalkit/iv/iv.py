"""IV: the effect of a treatment that is not assigned at random, through instruments that are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.design import Design
from causalkit.core.effects import Effects
from causalkit.core.estimator import Estimator
from causalkit.core.headline import compared, headline_of
from causalkit.core.params import choice, number
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Arms, Sample
from causalkit.errors import DesignError
from causalkit.iv.covariance import estimate_of
from causalkit.iv.fit import JACKKNIFE, METHODS, solve
from causalkit.iv.iv_checks import with_checks
from causalkit.iv.iv_design import clusters_of, data_of, in_time_order, instrument_names, require_usable, treatments
from causalkit.iv.iv_result import IVResult
from causalkit.linear.absorb import singletons

VCOV = ("auto", "iid", "HC0", "HC1", "CR0", "CR1", "HAC")
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class IV(Estimator[IVResult]):
    """Instrumental variables: two-stage least squares, LIML, Fuller, GMM and jackknife estimators.

    The estimand is the coefficient of the treatment: one effect for all, or, where effects differ, a weighted average
    over those whom the instruments move (Imbens and Angrist 1994). It rests on instruments that are as good as random
    given the covariates, that act on the outcome through the treatment only, that move it (``first_stage``), and that
    move nobody against the others' direction.

    Parameters
    ----------
    method : {"2sls", "liml", "fuller", "kclass", "gmm", "cue", "jive", "ujive", "ijive"}
        ``"2sls"``: two-stage least squares. ``"liml"``: limited-information maximum likelihood, nearly median-unbiased
        with weak instruments. ``"fuller"``: LIML with kappa less ``fuller / (n - L)`` (Fuller 1977), which has moments.
        ``"kclass"``: the given ``kappa``. ``"gmm"``: two-step GMM with the inverse of the moments' covariance as
        weights (Hansen 1982); the weights allow for what ``vcov`` allows for. ``"cue"``: continuously updating GMM.
        ``"jive"``, ``"ujive"``, ``"ijive"``: jackknife estimators for many instruments (Angrist, Imbens and Krueger
        1999; Kolesar 2013; Ackerberg and Devereux 2009); ``"ijive"`` is the steadier where covariates explain much of the
        outcome, which ``"ujive"`` leaves in it.
    fuller : float
        Fuller's constant, for ``method="fuller"``: 1 is nearly unbiased, 4 has a small mean squared error.
    kappa : float, optional
        For ``method="kclass"``.
    vcov : {"auto", "iid", "HC0", "HC1", "CR0", "CR1", "HAC"}
        Variance. ``"auto"`` is HC1, or CR1 when ``cluster=`` is given; several cluster columns give multiway
        clustering. HAC needs ``time=``: one series, with Bartlett weights up to lag ``floor(4 (T/100)^(2/9))``.

    Notes
    -----
    Conventions. K counts the treatment, covariates, intercept and absorbed effects (not those nested in clusters).
    ``"iid"`` divides by n - K: linearmodels' ``unadjusted, debiased=True`` and Stata's ``ivregress, small``; without
    ``debiased`` it divides by n. ``"HC0"`` is linearmodels' ``robust`` and Stata's ``robust``; ``"HC1"`` multiplies by
    n/(n - K): ``robust, debiased=True`` and ``ivregress, small robust``. ``"CR0"`` has no factor:
    linearmodels' ``clustered``; ``"CR1"`` has G/(G-1) (n-1)/(n-K): its ``clustered, debiased=True`` and Stata's ``small
    cluster()``. Tests use t(n - K), or t(G - 1) with clusters. Residuals always use the treatment itself, never its
    first-stage fit. Scores of k-class estimators are those of ``(1 - kappa) D + kappa fitted D``.

    All columns are centred, cross-products are formed in one pass without copies, and everything but robust variances
    follows from them; where they are ill-conditioned a QR factorisation takes over.

    Examples
    --------
    >>> import causalkit as ck
    >>> users = ck.datasets.feature_encouragement()
    >>> roles = {"outcome": "spend", "treatment": "used", "instruments": "invited", "covariates": ["tenure", "plan"]}
    >>> result = ck.IV().fit(users, **roles)
    >>> round(result.estimate, 1)
    4.5
    """

    method: Literal["2sls", "liml", "fuller", "kclass", "gmm", "cue", "jive", "ujive", "ijive"] = choice(
        "2sls", *METHODS
    )
    fuller: float = number(1.0, low=0.0)
    kappa: float | None = number(None)
    vcov: Literal["auto", "iid", "HC0", "HC1", "CR0", "CR1", "HAC"] = choice("auto", *VCOV)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "treatment": Role("treatment", treatment="either"),
        "covariates": Role("features", required=False, many=True),
        "instruments": Role("features", many=True),
        "absorb": Role("label", required=False, many=True),
        "unit": Role("label", required=False),
        "time": Role("label", required=False),
        "cluster": Role("label", required=False, many=True),
        "weights": Role("weights", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("instruments", "row")
    strategies: ClassVar[tuple[str, ...]] = ("instrument",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.method == "kclass") != (self.kappa is not None):
            told = "method='kclass' needs kappa=" if self.kappa is None else f"kappa= is not used by {self.method!r}"
            raise DesignError(f"{told}.", hint="kappa=0 is least squares, kappa=1 two-stage least squares.")

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        instruments: Sequence[str] | str,
        covariates: Sequence[str] | str = (),
        absorb: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        unit: Any = None,
        time: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> IVResult:
        """Estimate the effect of the treatment through the instruments.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, or a lazy table, of which the named columns are collected.
        outcome : str
            Numeric column.
        treatment : str or list of str
            Booleans, 0/1, text and categories are arms (one coefficient for each but the control); other numbers are a
            dose unless ``control=`` says that they are arms. A list names several endogenous numbers, of which the
            first is the headline.
        instruments : list of str
            Numbers, or categories (one indicator each but the first). At least as many as coefficients.
        covariates : list of str
            Exogenous columns of both stages: numbers, or categories.
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
        IVResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used: among others, with fewer instruments than treatments once those
            that covariates determine are left out, or instruments that do not move the treatment.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            instruments=instruments,
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

    def bind(self, data: Any, **given: Any) -> Sample:
        """Validate a table; a list of treatments names several endogenous numbers. See :meth:`Estimator.bind`."""
        treatment = given.get("treatment")
        if isinstance(treatment, list | tuple) and len(treatment) == 1:
            given = {**given, "treatment": treatment[0]}
        if not isinstance(treatment, list | tuple) or len(treatment) < 2:
            return super().bind(data, **given)
        if given.get("control") is not None or given.get("treatment_level") is not None:
            raise DesignError(
                "control= and treatment_level= go with one treatment column.", hint="Make one indicator for each arm."
            )
        return Design({**self.roles, "treatment": Role("number", many=True)}).bind(data, given)

    def validate(self, sample: Sample) -> None:
        """Refuse a variance that does not go with the roles; see :meth:`Estimator.validate`."""
        require_usable(sample)
        if self._kind(bool(sample.several("cluster"))) == "HAC":
            in_time_order(sample)

    def estimate(self, sample: Sample) -> IVResult:
        """Run the analysis on a bound sample."""
        self.validate(sample)
        kind = self._kind(bool(sample.several("cluster")))
        if self.method in JACKKNIFE:
            from causalkit.iv.jackknife_result import estimate_jackknife

            terms = treatments(sample)[1]
            return estimate_jackknife(self, sample, kind, _estimand(sample, terms, headline_of(sample, terms)))
        data = data_of(sample, kind)
        solved = solve(data, self.method, fuller=self.fuller, kappa=self.kappa)
        numbers = estimate_of(data, solved, sample.rows, clusters_of(sample, kind))
        absorb = [effect.codes for effect in sample.several("absorb")]
        lone = data.effects is not None and data.effects.lone_rows
        headline = headline_of(sample, data.endogenous)
        result = IVResult(
            estimator=self,
            effects=Effects(data.endogenous, numbers.folded()),
            headline=headline,
            estimand=_estimand(sample, data.endogenous, headline),
            checks=Checks({}),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            instruments=data.instruments,
            kappa=solved.kappa,
            objective=None if solved.gmm is None else solved.gmm.objective,
            certificate=solved.certificate,
            n_parameters=data.n_exogenous + data.m,
            collinear=dict(data.dropped),
            n_singletons=int(np.count_nonzero(singletons(absorb))) if lone else 0,
        )
        vars(result)["_fitted"] = (data, solved)
        return with_checks(result)

    def _kind(self, clustered: bool) -> str:
        if self.vcov == "auto":
            return "CR1" if clustered else "HC1"
        if clustered and not self.vcov.startswith("CR"):
            raise DesignError(f"vcov={self.vcov!r} ignores cluster=.", hint='Use vcov="CR1", or leave cluster= out.')
        if not clustered and self.vcov.startswith("CR"):
            raise DesignError(f"vcov={self.vcov!r} needs cluster=.", hint="Name the column of the clusters.")
        return self.vcov


def _estimand(sample: Sample, terms: Sequence[str], headline: str | None) -> str:
    column = sample.columns["treatment"]
    what = compared(column, headline) if isinstance(column, Arms) else f"one more unit of {terms[0]}"
    names = instrument_names(sample)
    by = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    held = "" if sample.features().values.shape[1] == 0 else ", covariates held fixed"
    others = f", {' and '.join(terms[1:])} held fixed" if isinstance(column, tuple) else ""
    return f"effect of {what} on {sample.name('outcome')} among those moved by {by}{others}{held}"
