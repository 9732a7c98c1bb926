"""Whether there are enough clusters for standard errors to be believed."""

from __future__ import annotations

from collections.abc import Sequence

from causalkit.core import format as fmt
from causalkit.core.check import Check

#: Below so many clusters, and so many with treated units, intervals are often too short.
FEW, FEW_TREATED = 30, 10


def few_clusters_check(ways: Sequence[tuple[int, int, str]]) -> Check:
    """Warn where standard errors rest on few clusters, or on few with treated units (docs/coverage.md tells what it costs).

    Parameters
    ----------
    ways : sequence of (int, int, str)
        For each way of clustering: clusters, those with treated units, and its name, which is empty for units.
    """
    count, with_treated, name = min(ways, key=lambda way: (min(way[0], FEW), min(way[1], FEW_TREATED)))
    few = count < FEW or with_treated < FEW_TREATED
    what = f"{fmt.plural(count, 'cluster')} of {name!r}" if name else fmt.plural(count, "unit")
    whom = "with treated units" if name else "treated"
    return Check(
        "few_clusters",
        "warn" if few else "pass",
        f"Standard errors rest on {what}, {with_treated:,} {whom}.",
        advice='Intervals are often too short. result.with_vcov("CR1") takes in how many clusters there are (a t distribution '
        "and G / (G - 1)), which mends most of it; did.randomization_inference(result), and did.wild_cluster_bootstrap of "
        "a TWFE result, hold their level."
        if few
        else "",
    )
