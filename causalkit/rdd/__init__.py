"""Regression discontinuity: effects at a cutoff of a running variable, and what they rest on.

The estimators stand at the top level (``causalkit.RegressionDiscontinuity``); the functions here look behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "bandwidths": "causalkit.rdd.bandwidth_table",
    "density_test": "causalkit.rdd.density",
    "heterogeneity": "causalkit.rdd.heterogeneity_analysis",
    "honest_report": "causalkit.rdd.honest",
    "power": "causalkit.rdd.power_analysis",
    "select_window": "causalkit.rdd.window_selection",
}

__all__ = ["bandwidths", "density_test", "heterogeneity", "honest_report", "power", "select_window"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.rdd has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
