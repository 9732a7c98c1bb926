"""What an off-policy value has to say: the estimate, and whether the logged decisions can carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import t_pvalue
from causalkit.kernels.arrays import Floats
from causalkit.uplift.off_policy_arrays import SUM_TOLERANCE

#: Below this share of decisions, or with one decision above this share of all weight, a few decisions carry the answer.
FEW, HEAVY = 0.1, 0.05


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OffPolicyResult(Result):
    """The value of a policy from logged decisions.

    Parameters
    ----------
    weights : Floats, shape (n,)
        Importance weight of each decision, as it is before any clipping.
    share : Floats, shape (n,)
        Share of each row in the average.
    """

    weights: Floats
    share: Floats

    @property
    def effective_sample_size(self) -> float:
        """Number of equally weighted decisions that carry as much (Kish): (sum w)^2 / sum w^2."""
        return effective_size(self.weights, self.share)

    @property
    def title(self) -> str:
        """What was estimated, and how."""
        return f"Value of a policy from logged decisions ({self.estimator.method.upper()})"  # type: ignore[attr-defined]

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: a value is a mean."""
        return 1


def effective_size(ratio: Floats, share: Floats) -> float:
    """Kish's effective sample size of importance weights times the weights of rows."""
    mass = share * ratio
    largest = float(mass.max(initial=0.0))
    if not largest > 0:
        return 0.0
    mass = mass / largest
    return float(mass.sum() ** 2 / (mass @ mass))


def weight_checks(ratio: Floats, share: Floats, groups: Groups | None, unseen: float = 0.0) -> dict[str, Check]:
    """Check that enough decisions carry the answer, and that importance weights average one as they must.

    Parameters
    ----------
    ratio, share : Floats, shape (n,)
        Importance weight of each decision, and its share in the average.
    groups : Groups or None
        Clusters.
    unseen : float
        Share of the policy's decisions that the log could not have taken.
    """
    return {"overlap": _carried(ratio, share, unseen), "propensity": _mean_one(ratio, share, groups)}


def _carried(ratio: Floats, share: Floats, unseen: float) -> Check:
    size, n = effective_size(ratio, share), len(ratio)
    mass = share * ratio
    heaviest = float(mass.max() / mass.sum()) if mass.sum() > 0 else 1.0
    message = (
        f"The policy agrees with the log as far as {size:,.0f} of {n:,} decisions (effective sample size); the heaviest "
        f"decision carries {fmt.share(heaviest)}; the largest importance weight is {fmt.number(float(ratio.max()), 3)}."
    )
    if not mass.sum() > 0:
        return Check(
            "overlap", "fail", message, size / n, advice="The log holds no decision that the policy would take."
        )
    if unseen > SUM_TOLERANCE:
        lost = f"{fmt.share(unseen)} of what the policy decides had no chance in the log"
        advice = (
            "No data tell what these decisions earn: ips and snips leave them out, dr and its like trust expected= there. "
            "Judge a policy that keeps to the arms that were logged, or take the value of the rest from elsewhere."
        )
        return Check("overlap", "fail", f"{lost}. {message}", size / n, advice=advice)
    if size < FEW * n or heaviest > HEAVY:
        advice = "A few decisions carry the answer: use switch_dr or dr_os, or log more exploration."
        return Check("overlap", "warn", message, size / n, advice=advice)
    return Check("overlap", "pass", message, size / n)


def _mean_one(ratio: Floats, share: Floats, groups: Groups | None) -> Check:
    """Importance weights average one where the propensities are right and the log covers the policy."""
    mean = float(share @ ratio)
    codes, count = (None, len(ratio)) if groups is None else (groups.codes, groups.count)
    psi = (share * (ratio - mean))[:, None]
    se = float(np.sqrt(sandwich(psi, codes, count / (count - 1))[0, 0]))
    statistic = (mean - 1.0) / se if se > 0 else 0.0
    exact = abs(mean - 1.0) < 1e-9
    pvalue = float(t_pvalue(statistic, count - 1)) if se > 0 else float(exact)
    message = f"Importance weights average {fmt.number(mean)} (standard error {fmt.number(se, 2)}); it should be one."
    if pvalue >= 0.01:
        return Check("propensity", "pass", message, statistic, pvalue)
    advice = "The propensities are wrong, or the policy takes arms that were never logged where it takes them."
    return Check("propensity", "fail", message, statistic, pvalue, advice)
