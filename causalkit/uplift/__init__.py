"""Ranking evaluation and targeting: who should be treated, and is the ranking any good.

``UpliftEvaluation`` judges a ranking, ``Segmentation`` says who is persuadable, ``Targeting`` whom to treat with a
budget; ``rate`` is the rank-weighted effect of given scores.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "Segmentation": "causalkit.uplift.segmentation",
    "Targeting": "causalkit.uplift.targeting",
    "UpliftEvaluation": "causalkit.uplift.evaluation",
    "rate": "causalkit.uplift.rank_weighted",
}

__all__ = ["Segmentation", "Targeting", "UpliftEvaluation", "rate"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.uplift has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
