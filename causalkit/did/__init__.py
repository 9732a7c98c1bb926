"""Difference-in-differences: staggered adoption, event studies, and what they rest on.

The estimators stand at the top level (``causalkit.CallawaySantAnna``); the functions here look behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "bacon_decomposition": "causalkit.did.bacon",
    "compare": "causalkit.did.comparison",
    "honest": "causalkit.did.honest_did",
    "leave_one_cohort_out": "causalkit.did.leave_out",
    "parallel_trends_test": "causalkit.did.parallel_trends",
    "placebo_in_time": "causalkit.did.placebo",
    "placebo_outcome": "causalkit.did.placebo",
    "pretrend_power": "causalkit.did.pretrend_power_analysis",
    "randomization_inference": "causalkit.did.randomization",
    "twfe_weights": "causalkit.did.weights",
    "wild_cluster_bootstrap": "causalkit.did.wild_bootstrap",
}

__all__ = [
    "bacon_decomposition",
    "compare",
    "honest",
    "leave_one_cohort_out",
    "parallel_trends_test",
    "placebo_in_time",
    "placebo_outcome",
    "pretrend_power",
    "randomization_inference",
    "twfe_weights",
    "wild_cluster_bootstrap",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.did has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
