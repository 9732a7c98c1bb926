"""Ranking evaluation and targeting: who should be treated, and is the ranking any good.

``UpliftEvaluation`` judges a ranking, ``Segmentation`` says who is persuadable, ``Targeting`` whom to treat with a
budget; ``PolicyTree`` learns a rule of a few cuts; ``off_policy_value`` judges any policy from logged
decisions; ``rate`` is the rank-weighted effect of given scores. ``qini``, ``auuc`` and ``uplift_at`` take outcomes
and arms instead, and know the numbers that other libraries give these names; ``curve`` and ``profit_curve`` are the curves;
``sample_size`` says how many rows tell two rankings apart.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "PolicyTree": "causalkit.uplift.policy_tree",
    "Segmentation": "causalkit.uplift.segmentation",
    "Targeting": "causalkit.uplift.targeting",
    "UpliftEvaluation": "causalkit.uplift.evaluation",
    "off_policy_value": "causalkit.uplift.off_policy",
    "auuc": "causalkit.uplift.observed_metrics",
    "curve": "causalkit.uplift.on_scores",
    "profit_curve": "causalkit.uplift.on_scores",
    "qini": "causalkit.uplift.observed_metrics",
    "rate": "causalkit.uplift.rank_weighted",
    "sample_size": "causalkit.uplift.comparison",
    "sequential_rate": "causalkit.uplift.on_scores",
    "uplift_at": "causalkit.uplift.observed_metrics",
}

__all__ = [
    "PolicyTree",
    "Segmentation",
    "Targeting",
    "UpliftEvaluation",
    "auuc",
    "curve",
    "off_policy_value",
    "profit_curve",
    "qini",
    "rate",
    "sample_size",
    "sequential_rate",
    "uplift_at",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.uplift has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
