"""Small real data sets and simulators with a known answer.

``load("thornton_hiv")`` returns a data frame; ``describe()`` tells what there is, from where and under which licence.
What may not be passed on with the package (``"hillstrom"``, ``"artea_coupons"``) is downloaded once and checked.
``coupon_campaign``, ``linear_panel``, ``feature_rollout``, ``staggered_rollout``, ``feature_encouragement`` and
``schooling`` draw data whose effects are known.
"""

from __future__ import annotations

from causalkit.datasets.discontinuities import account_eligibility, close_elections
from causalkit.datasets.encouragements import feature_encouragement, schooling
from causalkit.datasets.files import describe, load, path_of
from causalkit.datasets.rollouts import feature_rollout, staggered_rollout
from causalkit.datasets.simulators import coupon_campaign, linear_panel

__all__ = [
    "account_eligibility",
    "close_elections",
    "coupon_campaign",
    "describe",
    "feature_encouragement",
    "feature_rollout",
    "linear_panel",
    "load",
    "path_of",
    "schooling",
    "staggered_rollout",
]
