"""``uplift.rate``: the rank-weighted average treatment effect of given scores and priorities, as a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check
from causalkit.core.params import choice
from causalkit.core.result import Result
from causalkit.core.roles import Role
from causalkit.core.sample import Sample
from causalkit.uplift.curves import Curve, curve
from causalkit.uplift.ranking import rank_weighted_effect
from causalkit.uplift.ranks import as_floats, free_groups


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RateResult(Result):
    """A rank-weighted average treatment effect.

    Parameters
    ----------
    curve : Curve
        The targeting curve TOC(q), with the joint covariance of its points.
    """

    curve: Curve

    plots = ("toc",)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the curve with its pointwise and simultaneous limits."""
        if kind != "toc":
            raise KeyError(kind)
        low, high = self.curve.limits()
        band_low, band_high = self.curve.band()
        shown = {"q": self.curve.q, "value": self.curve.value, "low": low, "high": high}
        band = {"band_low": band_low, "band_high": band_high}
        return {"title": self.title, **shown, **band, "reference_label": "a random order"}


@dataclass(frozen=True, kw_only=True)
class _Rate(Estimator[RateResult]):
    """The configuration behind :func:`rate`."""

    method: Literal["autoc", "qini"] = choice("autoc", "autoc", "qini")

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "score": Role("number"),
        "weights": Role("weights", required=False),
        "cluster": Role("label", required=False),
    }

    def fit(self, data: Any, *, outcome: Any, score: Any, weights: Any = None, cluster: Any = None) -> RateResult:
        """Bind the scores and compute."""
        return self._fit(data, outcome=outcome, score=score, weights=weights, cluster=cluster)

    def estimate(self, sample: Sample) -> RateResult:
        """Compute from a sample whose outcome is the doubly robust score."""
        groups = sample.groups("cluster")
        codes = None if groups is None else groups.codes
        scores, priority, weights = sample.outcome, sample.number("score"), sample.optional("weights")
        found = rank_weighted_effect(scores, priority, self.method, weights, codes)
        kind = "HC1" if groups is None else "CR1"
        df = np.array([free_groups(found.n_groups, codes)])
        carrier = Influence(found.psi[:, None], sample.rows, groups, found.scale, df, kind)
        return RateResult(
            estimator=self,
            effects=Effects((self.method,), Estimate(np.array([found.estimate]), carrier).folded()),
            headline=self.method,
            estimand=f"rank-weighted average treatment effect ({self.method.upper()})",
            checks=Checks({"missing": missing_check(sample)}),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            curve=curve(scores, priority, "toc", weights=weights, groups=codes),
        )


def rate(
    dr_scores: Any,
    priority: Any,
    method: Literal["autoc", "qini"] = "autoc",
    weights: Any = None,
    cluster: Any = None,
) -> RateResult:
    """Rank-weighted average treatment effect of a priority: how much better it is than a random order.

    Parameters
    ----------
    dr_scores : array, shape (n,)
        Doubly robust scores of the effect, such as ``model.scores``, of rows that did not teach the priority.
    priority : array, shape (n,)
        Who is treated first: larger is earlier. Ties share their block's mean.
    method : {"autoc", "qini"}
        AUTOC, the area under TOC(q), favours who comes first; QINI, the area under q TOC(q), weights by the share
        treated.
    weights : array, shape (n,), optional
        Sampling weights.
    cluster : array, shape (n,), optional
        Clusters of rows that are not independent.

    Returns
    -------
    RateResult
        ``.estimate``, ``.se``, ``.curve``; results of two priorities on the same scores subtract where ``dr_scores``
        is the same object.

    Raises
    ------
    DataError
        If the arrays differ in length or hold infinite values; rows with missing values are dropped and told.

    References
    ----------
    Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), "Evaluating treatment prioritization rules via rank-weighted
    average treatment effects", *JASA*.
    """
    from causalkit.data.frame import Frame

    scores = as_floats(dr_scores, "dr_scores")
    frame = Frame(Frame.read({"dr_scores": scores}).table, _token(dr_scores))
    options = {key: _column(value) for key, value in (("weights", weights), ("cluster", cluster))}
    return _Rate(method=method).fit(frame, outcome="dr_scores", score=_column(priority), **options)


def _column(value: Any) -> Any:
    return None if value is None else np.asarray(value)


def _token(scores: Any) -> str:
    """Scores of one object belong to the same people, so results on them subtract."""
    from causalkit.data.identity import token_of

    return token_of(scores)
