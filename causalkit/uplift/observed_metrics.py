"""``uplift.qini``, ``uplift.auuc`` and ``uplift.uplift_at``: measures of a ranking from outcomes, arms and a score.

Four libraries print four numbers under the name Qini. Here each is one ``method``, with a standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import params
from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.result import Result
from causalkit.core.roles import Role
from causalkit.core.sample import Sample
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only
from causalkit.uplift import observed_methods
from causalkit.uplift.curves import curve_psi
from causalkit.uplift.observed import Functional, Rows
from causalkit.uplift.ranking import rank_weighted_effect
from causalkit.uplift.ranks import as_floats, free_groups, rank_units, small_sample

QiniMethod = Literal["grf", "sklift", "sklift_nonnegative", "causalml", "causalml_raw", "libuplift", "libuplift_raw"]
AuucMethod = Literal["gain", "sklift", "causalml", "causalml_raw", "libuplift", "libuplift_joint"]
TopMethod = Literal["dr", "overall", "by_group"]
_METHODS = {
    "qini": ("grf", "sklift", "sklift_nonnegative", "causalml", "causalml_raw", "libuplift", "libuplift_raw"),
    "auuc": ("gain", "sklift", "causalml", "causalml_raw", "libuplift", "libuplift_joint"),
    "uplift_at": ("dr", "overall", "by_group"),
}
#: Methods that divide by a ranking which is perfect for an outcome of 0 and 1.
_BINARY = ("sklift", "sklift_nonnegative")
#: Methods on a score per person, which a known propensity enters.
_ON_SCORES = ("grf", "gain", "dr")


#: Influence values that sum to less than this share of the outcome's spread are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MetricResult(Result):
    """A measure of one ranking."""

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{self.estimand[:1].upper()}{self.estimand[1:]}"


@dataclass(frozen=True, kw_only=True)
class _Observed(Estimator[Result]):
    """The configuration behind the functions of this module."""

    measure: str = params.choice("qini", *_METHODS)
    method: str = params.choice("grf", *sorted({name for names in _METHODS.values() for name in names}))
    q: float = params.number(0.3, low=0.0, high=1.0, open_low=True)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "treatment": Role("treatment"),
        "score": Role("number"),
        "propensity": Role("propensity", required=False),
        "weights": Role("weights", required=False),
        "cluster": Role("label", required=False),
    }

    def __post_init__(self) -> None:
        known = _METHODS.get(self.measure, ())
        if known and self.method not in known:
            raise DesignError(f"{self.measure} has no method={self.method!r}.", hint=f"Use one of {', '.join(known)}.")
        super().__post_init__()

    def fit(self, data: Any, **given: Any) -> Result:
        """Bind the arrays and compute."""
        return self._fit(data, **given)

    def estimate(self, sample: Sample) -> Result:
        """Compute from a bound sample."""
        groups, weights = sample.groups("cluster"), sample.optional("weights")
        codes = None if groups is None else groups.codes
        found = self._found(sample, weights)
        ranking = rank_units(sample.number("score"), weights)
        scale, n_groups = small_sample(ranking, codes)
        kind = "HC1" if groups is None else "CR1"
        psi = found.psi - found.psi.sum() * ranking.unsort(ranking.weights)
        value = found.value
        if np.ptp(sample.number("score")) == 0 and np.abs(psi).sum() <= _ROUNDING * sample.outcome.std():
            value, psi = 0.0, np.zeros_like(psi)  # no ranking at all: what is left is rounding
        df = np.array([free_groups(n_groups, codes)])
        carrier = Influence(read_only(psi[:, None]), sample.rows, groups, scale, df, kind)
        name = self.measure if self.measure != "uplift_at" else f"uplift_top_{100 * self.q:g}"
        return MetricResult(
            estimator=self,
            effects=Effects((name,), Estimate(np.array([value]), carrier).folded()),
            headline=name,
            estimand=f"{name} (method {self.method!r}) of a ranking by the effect of {sample.arms.contrast()}",
            checks=Checks({"missing": missing_check(sample), **outcome_check(sample)}),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
        )

    def _found(self, sample: Sample, weights: Floats | None) -> Functional:
        if sample.arms.count > 2:
            raise DesignError(
                f"treatment has {sample.arms.count} arms; these measures compare two.",
                hint="Keep the rows of two arms, or use UpliftEvaluation with treatment_level=.",
            )
        treated, score = sample.arms.codes == 1, sample.number("score")
        _require_two_in_each_arm(sample)
        if self.method in _ON_SCORES:
            return self._on_scores(_scores(sample, treated, weights), score, weights)
        if sample.has("propensity"):
            raise DesignError(
                f"method={self.method!r} compares the arms as they are and takes no propensity=.",
                hint=f"Use method={_METHODS[self.measure][0]!r}.",
            )
        if self.method in _BINARY and not np.isin(sample.outcome, (0.0, 1.0)).all():
            raise DataError(
                f"method={self.method!r} divides by the perfect ranking of a 0/1 outcome; this one has other values.",
                hint="Use method='grf' (Qini) or 'gain' (AUUC), or one of causalml's or libuplift's.",
                column="outcome",
            )
        rows = Rows.of(sample.outcome, treated, weights)
        if self.measure == "uplift_at":
            return observed_methods.top(rows, score, weights, self.q, self.method)
        return (observed_methods.qini if self.measure == "qini" else observed_methods.auuc)(rows, score, self.method)

    def _on_scores(self, scores: Floats, score: Floats, weights: Floats | None) -> Functional:
        if self.measure == "uplift_at":
            value, psi = curve_psi(scores, score, "uplift", np.array([self.q]), weights)
            return Functional(float(value[0]), psi[:, 0])
        area = rank_weighted_effect(scores, score, "qini", weights)
        if self.measure == "qini":
            return Functional(area.estimate, area.psi)
        return auuc_from(area.estimate, area.psi, scores, weights)


def _require_two_in_each_arm(sample: Sample) -> None:
    """Refuse an arm of one row: nothing is known of its noise, so a standard error would be a fiction."""
    counts = np.bincount(sample.arms.codes, minlength=2)
    if counts.min() < 2:
        raise DataError(
            f"the arm {sample.arms.levels[int(counts.argmin())]!r} has one row; a standard error needs two in each arm.",
            hint="Pass more rows.",
            column=sample.arms.name,
        )


def auuc_from(qini: float, psi: Floats, scores: Floats, weights: Floats | None) -> Functional:
    """Area under the gain curve: QINI plus half of the average effect."""
    share = 1.0 / scores.size if weights is None else weights / weights.sum()
    added = scores - scores[0]
    average = float(added.mean() if weights is None else share @ added)
    added -= average
    added *= share
    added *= 0.5
    added += psi
    return Functional(qini + (scores[0] + average) / 2.0, added)


def _scores(sample: Sample, treated: Bools, weights: Floats | None) -> Floats:
    """Doubly robust scores without covariates: arm means and the arm's share (or the known propensity)."""
    y, w = sample.outcome, np.ones(sample.n) if weights is None else weights
    level = y[0]
    y = y - level
    mu = [float(np.average(y[arm], weights=w[arm])) for arm in (~treated, treated)]
    known = sample.optional("propensity")
    e = np.full(sample.n, np.average(treated, weights=w)) if known is None else known
    return np.asarray(np.where(treated, (y - mu[1]) / e, -(y - mu[0]) / (1.0 - e)) + mu[1] - mu[0])


def qini(
    outcome: Any,
    treatment: Any,
    score: Any,
    method: QiniMethod = "grf",
    control: Any = None,
    propensity: Any = None,
    weights: Any = None,
    cluster: Any = None,
) -> Result:
    """Qini of a ranking, from outcomes of an experiment: how much better it is than a random order.

    Parameters
    ----------
    outcome : array, shape (n,)
        Outcome, larger is better.
    treatment : array, shape (n,)
        Who was treated (0/1 or True/False; labels need ``control``).
    score : array, shape (n,)
        What people are ranked by, the largest first; from a model that has not seen these outcomes.
    method : str
        Which of the numbers that bear this name; see the notes.
    control : label, optional
        The baseline arm, where arms are labels.
    propensity : float or array, optional
        Known probability of treatment, for ``"grf"``; the share of the treated where left out.
    weights : array, shape (n,), optional
        Sampling weights.
    cluster : array, shape (n,), optional
        Clusters of rows that are not independent.

    Returns
    -------
    Result
        ``.estimate``, ``.se``, ``.ci()``. Results of two scores on the same ``outcome`` object subtract.

    Raises
    ------
    DataError
        If arrays hold infinite values, or a method that needs a 0/1 outcome is given another.
    DesignError
        If the method is unknown, or there are more than two arms.

    Notes
    -----
    With V(x) = sum of outcomes of the treated among the first x people, less that of the controls times the ratio of
    the treated to the controls among them:

    - ``"grf"``: area of q TOC(q) on a score per person (doubly robust, without covariates), in units of the outcome per
      head, as R grf's ``target="QINI"``. For given scores use :func:`causalkit.uplift.rate`.
    - ``"sklift"``: area between V and the straight line, over that of the perfect ranking of a 0/1 outcome
      (``sklift.metrics.qini_auc_score``); ``"sklift_nonnegative"`` is its ``negative_effect=False``.
    - ``"causalml"``: mean height of V above the line, over the end of V (``causalml.metrics.qini_score``);
      ``"causalml_raw"`` is its ``normalize=False``.
    - ``"libuplift"``: area between each arm's own cumulative outcome, over that of the perfect ranking
      (``Qini_coefficient``); ``"libuplift_raw"`` times the number treated (``area_under_Qini_curve``).

    Ties count as the line across their block. causalml breaks them by the order of rows; without ties the numbers are
    the same, with ties this is the value between those of its row orders. All but ``"grf"`` assume that the arms'
    shares do not depend on covariates.

    References
    ----------
    Radcliffe (2007), "Using control groups to target on predicted lift", *Direct Marketing Analytics Journal*.
    Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), "Evaluating treatment prioritization rules via rank-weighted
    average treatment effects", *JASA*.
    """
    return _run("qini", method, 0.3, locals())


def auuc(
    outcome: Any,
    treatment: Any,
    score: Any,
    method: AuucMethod = "gain",
    control: Any = None,
    propensity: Any = None,
    weights: Any = None,
    cluster: Any = None,
) -> Result:
    """Area under the uplift curve of a ranking, from outcomes of an experiment.

    Parameters
    ----------
    outcome, treatment, score, control, propensity, weights, cluster
        As for :func:`qini`.
    method : str
        Which of the numbers that bear this name; see the notes.

    Returns
    -------
    Result

    Raises
    ------
    DataError, DesignError
        As :func:`qini`.

    Notes
    -----
    With L(x) = x times the difference of the arms' mean outcomes among the first x people:

    - ``"gain"``: area under the gain curve on a score per person: the gain per head, averaged over the share treated. It
      is half of the average effect for a random order.
    - ``"sklift"``: area between L and the straight line, over that of its perfect ranking (``uplift_auc_score``).
    - ``"causalml"``: mean height of L over the end of L (``auuc_score``); ``"causalml_raw"`` is its ``normalize=False``.
    - ``"libuplift"``: area between the arms' own cumulative outcomes, less the line's (``area_under_uplift_curve``);
      ``"libuplift_joint"`` ranks both arms together (``area_under_uplift_curve_j``).
    """
    return _run("auuc", method, 0.3, locals())


def uplift_at(
    outcome: Any,
    treatment: Any,
    score: Any,
    q: float = 0.3,
    method: TopMethod = "dr",
    control: Any = None,
    propensity: Any = None,
    weights: Any = None,
    cluster: Any = None,
) -> Result:
    """Effect among the first share ``q`` of a ranking (uplift@k), from outcomes of an experiment.

    Parameters
    ----------
    outcome, treatment, score, control, propensity, weights, cluster
        As for :func:`qini`.
    q : float
        Share of people, in (0, 1].
    method : {"dr", "overall", "by_group"}
        ``"dr"``: mean doubly robust score of the first share. ``"overall"``: difference of the arms' means among the
        first ``int(q n)`` people (scikit-uplift's ``strategy="overall"``, and causalml's cumulative lift).
        ``"by_group"``: of the first share of each arm.

    Returns
    -------
    Result

    Raises
    ------
    DataError, DesignError
        As :func:`qini`.
    """
    return _run("uplift_at", method, q, locals())


def _run(measure: str, method: str, q: float, given: Mapping[str, Any]) -> Result:
    from causalkit.data.frame import Frame
    from causalkit.data.identity import token_of

    run, outcome = _Observed(measure=measure, method=method, q=q), given["outcome"]
    frame = Frame(Frame.read({"outcome": as_floats(outcome, "outcome")}).table, token_of(outcome))
    roles = {key: given[key] for key in ("treatment", "score", "propensity", "weights", "cluster")}
    arrays = {key: np.asarray(value) for key, value in roles.items() if np.ndim(value) > 0}
    for key, value in roles.items():
        if value is not None and key not in arrays and key != "propensity":
            raise DesignError(f"{key}={value!r} is no array.", hint="Pass one value for each row.")
    single = {key: given[key] for key in ("propensity", "control") if given[key] is not None and key not in arrays}
    return run.fit(frame, outcome="outcome", **single, **arrays)
