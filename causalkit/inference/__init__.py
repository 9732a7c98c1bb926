"""Inference on arrays: multiplicity, bands that hold together, bootstraps, and randomization tests.

``adjust_pvalues`` (Holm, Bonferroni, Benjamini-Hochberg, Benjamini-Yekutieli) and ``romano_wolf`` adjust p-values for the
number of hypotheses; ``sup_t_critical`` and ``simultaneous_band`` make bands that hold for a whole vector;
``multiplier_bootstrap``, ``pairs_bootstrap``, ``jackknife`` and ``wild_cluster_bootstrap`` resample;
``randomization_test`` reassigns the treatment the way it was assigned. Results use the same functions:
``result.effects.ci(simultaneous=True)``, ``result.test(method="wild")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "ConfidenceSet": "causalkit.inference.confidence_set",
    "adjust_pvalues": "causalkit.inference.multiplicity",
    "jackknife": "causalkit.inference.bootstrap",
    "multiplier_bootstrap": "causalkit.inference.bootstrap",
    "pairs_bootstrap": "causalkit.inference.bootstrap",
    "randomization_test": "causalkit.inference.randomization",
    "romano_wolf": "causalkit.inference.multiplicity",
    "simultaneous_band": "causalkit.inference.bands",
    "sup_t_critical": "causalkit.inference.bands",
    "wild_cluster_bootstrap": "causalkit.inference.wild",
}

__all__ = [
    "ConfidenceSet",
    "adjust_pvalues",
    "jackknife",
    "multiplier_bootstrap",
    "pairs_bootstrap",
    "randomization_test",
    "romano_wolf",
    "simultaneous_band",
    "sup_t_critical",
    "wild_cluster_bootstrap",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"causalkit.inference has no {name!r}; it has {', '.join(_PUBLIC)}.")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
