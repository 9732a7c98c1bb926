"""``uplift.off_policy_value``: what a policy would earn, from decisions that another policy made and logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import params
from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check
from causalkit.core.roles import Role
from causalkit.core.sample import Sample
from causalkit.effects.averages import estimate_of, shares
from causalkit.effects.crossfit_study import clusters_of
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.uplift.off_policy_arrays import Logged, logged
from causalkit.uplift.off_policy_result import OffPolicyResult, weight_checks

Method = Literal["ips", "snips", "dm", "dr", "sndr", "switch_dr", "dr_os"]
#: Estimators that a limit of the weights changes, and those that can't do without one.
USES_CUTOFF, NEEDS_CUTOFF = ("ips", "switch_dr", "dr_os"), ("switch_dr", "dr_os")
USES_WEIGHTS = ("ips", "snips", "dr", "sndr", "switch_dr", "dr_os")


@dataclass(frozen=True, kw_only=True)
class _OffPolicy(Estimator[OffPolicyResult]):
    """The configuration behind :func:`off_policy_value`; its sample holds what the estimators need of each decision."""

    method: str = params.choice("dr", "ips", "snips", "dm", "dr", "sndr", "switch_dr", "dr_os")
    cutoff: float | None = params.number(None, low=0.0, open_low=True)

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "score": Role("number"),
        "own": Role("number"),
        "policy": Role("number"),
        "unseen": Role("number"),
        "weights": Role("weights", required=False),
        "cluster": Role("label", required=False),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method in NEEDS_CUTOFF and self.cutoff is None:
            raise DesignError(
                f'method="{self.method}" needs cutoff=.',
                hint="switch_dr: the largest importance weight that is trusted; dr_os: the shrinkage lambda.",
            )
        if self.cutoff is not None and self.method not in USES_CUTOFF:
            raise DesignError(
                f'cutoff= has no meaning for method="{self.method}".', hint=f"It belongs to {', '.join(USES_CUTOFF)}."
            )

    def fit(self, data: Any, **given: Any) -> OffPolicyResult:
        """Bind the arrays and compute."""
        return self._fit(data, **given)

    def estimate(self, sample: Sample) -> OffPolicyResult:
        """Compute from importance weights, outcomes and expected outcomes."""
        numbers = [sample.number(role) for role in ("score", "outcome", "own", "policy", "unseen")]
        rows, weights = Logged(*numbers), sample.optional("weights")
        if sample.n < 2:
            raise InferenceUnavailable("one decision has no standard error.", hint="Pass more of the log.")
        share = shares(sample.n, weights)
        if self.method in USES_WEIGHTS and not rows.ratio.any():
            raise DataError("the policy takes none of the decisions that were logged.", hint='Use method="dm".')
        value, psi = _value(rows, share, self.method, self.cutoff)
        groups = clusters_of(sample)
        found = estimate_of(np.array([value]), psi[:, None], groups, sample.rows)
        ledger = {"missing": missing_check(sample)}
        if self.method in USES_WEIGHTS:
            ledger |= weight_checks(rows.ratio, share, groups, float(share @ rows.unseen))
        return OffPolicyResult(
            estimator=self,
            effects=Effects(("value",), found.folded()),
            headline="value",
            estimand="expected outcome of a decision under the policy",
            checks=Checks(ledger),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            weights=rows.ratio,
            share=share,
        )


def off_policy_value(
    outcome: Any,
    treatment: Any,
    policy: Any,
    propensity: Any,
    *,
    expected: Any = None,
    method: Method = "dr",
    cutoff: float | None = None,
    weights: Any = None,
    cluster: Any = None,
) -> OffPolicyResult:
    """Estimate the value of a policy from logged decisions.

    With importance weight w = policy(a|x) / propensity(a|x) of the decision a that was taken, expected outcome q, and
    v = sum over arms of policy times q, the estimators are

    ==========  ================================================================================================
    ips         mean of w y; with ``cutoff``, of min(w, cutoff) y (clipped: biased, less variable)
    snips       sum of w y over sum of w (self-normalised)
    dm          mean of v (direct method: all rests on the model, and its error is not in the standard error)
    dr          mean of v + w (y - q)
    sndr        mean of v, plus sum of w (y - q) over sum of w
    switch_dr   as dr, with weights above ``cutoff`` set to zero
    dr_os       as dr, with weights shrunk to ``cutoff`` w / (w^2 + ``cutoff``)
    ==========  ================================================================================================

    Parameters
    ----------
    outcome : array, shape (n,)
        Outcome (reward) of each decision.
    treatment : array, shape (n,)
        Arm that was taken: a number from 0 to k - 1, or a label where ``policy`` is a mapping or holds labels.
    policy : array of shape (n, k), mapping or table from arm to n probabilities, or array of n arms
        Probability of each arm under the policy to be judged (rows sum to one), or the one arm it takes. It must not have
        been learned from these outcomes.
    propensity : float, array of shape (n,) or (n, k), or mapping
        Probability, under the policy that was logged, of the arm that was taken (n values), or of each arm. With those of
        each arm the check ``overlap`` also tells how often the policy takes an arm that the log could not have taken.
    expected : array of shape (n, k), or mapping, optional
        Expected outcome under each arm, from a model that has not seen the row's outcome. Needed by all but ``ips`` and
        ``snips``.
    method : str
        The estimator.
    cutoff : float, optional
        See above.
    weights, cluster : array, shape (n,), optional
        Weights of rows; labels of rows that are not independent.

    Returns
    -------
    OffPolicyResult
        Standard error from influence values (HC1; CR1 with clusters), with the ratio's own error for ``snips`` and
        ``sndr``. ``.weights``, ``.effective_sample_size``; results of two policies on the same ``outcome`` object subtract.

    Raises
    ------
    DesignError
        If arrays don't fit together, expected outcomes or a cutoff are missing, or an arm is unknown.
    DataError
        If probabilities are no probabilities, a decision was taken that had no chance, or the policy takes none of the
        decisions of the log (but for ``dm``).
    InferenceUnavailable
        If there is one decision only.

    References
    ----------
    Horvitz and Thompson (1952); Swaminathan and Joachims (2015), "The self-normalized estimator for counterfactual
    learning"; Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning"; Wang, Agarwal and Dudik
    (2017), "Optimal and adaptive off-policy evaluation in contextual bandits"; Su, Dimakopoulou, Krishnamurthy and Dudik
    (2020), "Doubly robust off-policy evaluation with shrinkage".
    """
    from causalkit.data.frame import Frame
    from causalkit.data.identity import token_of

    run = _OffPolicy(method=method, cutoff=cutoff)
    if expected is None and method not in ("ips", "snips"):
        raise DesignError(
            f'method="{method}" needs expected=, the expected outcome under each arm.',
            hint='Pass out-of-fold predictions, or use method="snips".',
        )
    rows = logged(outcome, treatment, policy, propensity, expected)
    table = {
        "outcome": rows.outcome, "ratio": rows.ratio, "own": rows.own, "model": rows.model, "unseen": rows.unseen
    }  # fmt: skip
    frame = replace(Frame.read(table), token=token_of(outcome))
    options = {key: None if v is None else np.asarray(v) for key, v in (("weights", weights), ("cluster", cluster))}
    return run.fit(frame, outcome="outcome", score="ratio", own="own", policy="model", unseen="unseen", **options)


def _value(rows: Logged, share: Floats, method: str, cutoff: float | None) -> tuple[float, Floats]:
    """Estimate and influence values, the share of each row folded in."""
    w, y = rows.ratio, rows.outcome
    if method == "ips":
        return _mean((w if cutoff is None else np.minimum(w, cutoff)) * y, share)
    if method == "dm":
        return _mean(rows.model, share)
    if method == "snips":
        return _ratio(w, y, share)
    if method == "sndr":
        level, psi = _mean(rows.model, share)
        correction, more = _ratio(w, y - rows.own, share)
        return level + correction, psi + more
    if method == "switch_dr":
        w = np.where(w <= (cutoff or np.inf), w, 0.0)
    elif method == "dr_os":
        assert cutoff is not None
        w = w / (w * (w / cutoff) + 1.0)
    return _mean(rows.model + w * (y - rows.own), share)


def _mean(values: Floats, share: Floats) -> tuple[float, Floats]:
    mean = float(share @ values)
    return mean, share * (values - mean)


def _ratio(w: Floats, values: Floats, share: Floats) -> tuple[float, Floats]:
    """Weighted mean whose weights sum to one, with the influence values of a ratio."""
    mass = float(share @ w)
    mean = float(share @ (w * values)) / mass
    return mean, share * w * (values - mean) / mass


__all__ = ["off_policy_value"]
