"""Small real data sets and simulators with a known answer.

``load("thornton_hiv")`` returns a data frame; ``describe()`` tells what there is, from where and under which licence.
What may not be passed on with the package (``"hillstrom"``, ``"artea_coupons"``) is downloaded once and checked.
``coupon_campaign``, ``linear_panel``, ``feature_rollout`` and ``staggered_rollout`` draw data whose effects are known.
"""

from __future__ import annotations

from causalkit.datasets.files import describe, load, path_of
from causalkit.datasets.rollouts import feature_rollout, staggered_rollout
from causalkit.datasets.simulators import coupon_campaign, linear_panel

__all__ = ["coupon_campaign", "describe", "feature_rollout", "linear_panel", "load", "path_of", "staggered_rollout"]
