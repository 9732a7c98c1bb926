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
    "parallel_trends_test": "causalkit.did.parallel_trends",
    "pretrend_power": "causalkit.did.pretrend_power_analysis",
    "twfe_weights": "causalkit.did.weights",
}

__all__ = [
    "bacon_decomposition",
    "compare",
    "honest",
    "parallel_trends_test",
    "pretrend_power",
    "twfe_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.did has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
