"""When standard errors rest on too few clusters: one rule for all families, which differ in what mends it."""

from __future__ import annotations

from causalkit.core import format as fmt
from causalkit.core.check import Check

#: Below so many clusters, and so many that were treated (or not), intervals are often too short (docs/coverage.md).
FEW, FEW_ON_A_SIDE = 30, 10


def few_clusters_check(count: int, name: str, told: str, few: bool, advice: str) -> Check:
    """Say on how many clusters standard errors rest, and what to do where that is few.

    Parameters
    ----------
    count : int
        Clusters.
    name : str
        Their column; empty where each unit is one.
    told : str
        What the sentence goes on with, such as how many were treated.
    few : bool
        Whether few of them lie on one side of the comparison; ``count`` alone may be too small as well.
    advice : str
        What to do then.
    """
    few = few or count < FEW
    what = f"{fmt.plural(count, 'cluster')} of {name!r}" if name else fmt.plural(count, "unit")
    message = f"Standard errors rest on {what}{told}."
    return Check("few_clusters", "warn" if few else "pass", message, float(count), advice=advice if few else "")
