"""Whether there are enough clusters for the standard errors of a panel to be believed."""

from __future__ import annotations

from collections.abc import Sequence

from causalkit.core.check import Check
from causalkit.core.few_clusters import FEW, FEW_ON_A_SIDE, few_clusters_check

_ADVICE = (
    'Intervals are often too short. result.with_vcov("CR1") takes in how many clusters there are (a t distribution and '
    "G / (G - 1)), which mends most of it; did.randomization_inference(result), and did.wild_cluster_bootstrap of a TWFE "
    "result, hold their level."
)


def treated_clusters_check(ways: Sequence[tuple[int, int, str]]) -> Check:
    """Warn where standard errors rest on few clusters, or on few with treated units (docs/coverage.md tells what it costs).

    Parameters
    ----------
    ways : sequence of (int, int, str)
        For each way of clustering: clusters, those with treated units, and its name, which is empty for units.
    """
    count, treated, name = min(ways, key=lambda way: (min(way[0], FEW), min(way[1], FEW_ON_A_SIDE)))
    told = f", {treated:,} {'with treated units' if name else 'treated'}"
    return few_clusters_check(count, name, told, treated < FEW_ON_A_SIDE, _ADVICE)
