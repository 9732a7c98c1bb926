"""Instrumental variables: k-class, GMM and jackknife estimators, and inference that survives weak instruments.

The estimators stand at the top level (``causalkit.IV``); the functions here look behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC: dict[str, str] = {
    "noncompliance": "causalkit.iv.cace",
    "plausibly_exogenous": "causalkit.iv.direct_effects",
}

__all__: list[str] = ["noncompliance", "plausibly_exogenous"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.iv has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
