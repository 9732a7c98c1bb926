"""What a regression has to say about its assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.few_clusters import FEW_ON_A_SIDE, few_clusters_check
from causalkit.core.sample import Arms


def arm_size(arms: Arms, sizes: Sequence[int], clustered: bool) -> dict[str, Check]:
    """Say which arm has one row or cluster only: its residuals are zero by construction.

    Parameters
    ----------
    arms : Arms
    sizes : sequence of int
        Rows of each arm, or clusters with rows of it.
    clustered : bool
        Which of the two.
    """
    for level, size in zip(arms.levels, sizes, strict=True):
        if size == 1:
            what = "cluster" if clustered else "row"
            message = f"{arms.name}={level} has one {what} only: robust errors leave it out and are far too small."
            advice = (
                "Use inference by placebo or randomization."
                if clustered
                else 'Use vcov="iid", or inference by placebo.'
            )
            return {"arm_size": Check("arm_size", "fail", message, advice=advice)}
    return {}


def few_clusters(count: int, name: str, arms: Arms | None, sizes: Sequence[int]) -> Check:
    """Whether standard errors rest on enough clusters, and on enough with rows of each arm.

    Parameters
    ----------
    count : int
        Clusters, of the way that has the fewest.
    name : str
        Their column.
    arms : Arms, optional
        The treatment, where it has arms.
    sizes : sequence of int
        Clusters with rows of each arm; empty where the treatment is a number.
    """
    told, few = "", arms is not None and min(sizes) < min(FEW_ON_A_SIDE, count)
    if arms is not None and few:
        rarest = min(range(len(sizes)), key=lambda arm: sizes[arm])
        told = f", of which only {sizes[rarest]:,} have {arms.name}={arms.levels[rarest]}"
    advice = (
        'Intervals are often too short: use vcov="CR2", or ci(method="wild"), which holds its level with few clusters.'
    )
    return few_clusters_check(count, name, told, few, advice)


def collinearity(dropped: Mapping[str, str]) -> Check:
    """Name the columns that others determine, and why they were left out."""
    if not dropped:
        return Check("collinearity", "pass", "No covariate is determined by the others.")
    said = "; ".join(f"{name} ({why})" for name, why in dropped.items())
    count = fmt.plural(len(dropped), "column")
    return Check(
        "collinearity",
        "warn",
        f"{count} left out of the regression: {said}.",
        advice="Make sure that none was meant to stay.",
    )
