"""Whether a set of covariates removes confounding, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalkit.graph.adjustment import Adjustment
from causalkit.graph.generalized_adjustment import GeneralizedAdjustment
from causalkit.graph.nodes import Nodes

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG

SELECTION = "who is in the data ({}) tells of the outcome, whatever is adjusted for."


@dataclass(frozen=True)
class AdjustmentVerdict:
    """Whether a set removes confounding, and if not, why.

    Parameters
    ----------
    valid : bool
        The verdict; the object is true where it is.
    reason : str
        In words.
    open_path : tuple of str
        A path that is not causal and stays open, where that is the reason.
    forbidden : tuple of str
        Members that no valid set may hold, where that is the reason.
    """

    valid: bool
    reason: str
    open_path: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.valid


def judge(graph: DAG, problem: Adjustment, given: Nodes) -> AdjustmentVerdict:
    """Tell whether a set solves an adjustment problem; the set is one of numbers of nodes."""

    def names(nodes: Iterable[int]) -> tuple[str, ...]:
        return tuple(graph.nodes[at] for at in nodes)

    hidden = names(sorted(given & problem.latent))
    if hidden:
        return AdjustmentVerdict(False, f"{', '.join(hidden)} can't be adjusted for: not measured.")
    if isinstance(problem, GeneralizedAdjustment) and problem.detour:
        path = names(problem.detour)
        why = f"{graph.drawn(path)} may be causal, and {path[0]} -- {path[1]} has no direction"
        return AdjustmentVerdict(False, f"no set will do (the graph is not amenable): {why}.", path)
    harmful = names(sorted(given & problem.forbidden))
    if harmful:
        why = "an effect of the treatment on the way to the outcome (or its descendant), or treatment or outcome itself"
        told = f"{', '.join(harmful)} must not be adjusted for: {why}."
        return AdjustmentVerdict(False, told, forbidden=harmful)
    if problem.blocks(given):
        return AdjustmentVerdict(True, "Every path that is not causal is blocked, and no causal path is touched.")
    path = names(problem.witness(given))
    if path:
        return AdjustmentVerdict(False, f"the path {graph.drawn(path, problem.backdoor_graph)} stays open.", path)
    return AdjustmentVerdict(False, SELECTION.format(", ".join(sorted(graph.selected))))
