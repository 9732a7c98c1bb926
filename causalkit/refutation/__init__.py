"""Refutation: what could make a result wrong, which of it can be tested, and how wrong it would have to be.

``causalkit.refute`` and ``causalkit.sensitivity`` look at a result; the functions here take numbers and arrays.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "balke_pearl_bounds": "causalkit.refutation.worst_case",
    "e_value": "causalkit.refutation.e_values",
    "manski_bounds": "causalkit.refutation.worst_case",
    "robustness_value": "causalkit.refutation.robustness",
    "rosenbaum_bounds": "causalkit.refutation.rosenbaum",
}

__all__ = ["balke_pearl_bounds", "e_value", "manski_bounds", "robustness_value", "rosenbaum_bounds"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.refutation has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
