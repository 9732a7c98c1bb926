"""Adjustment in graphs with undirected edges.

The generalized adjustment criterion of Perkovic et al. (2015, 2018; with background knowledge 2017) asks that every path
which may be causal leaves the treatment by a directed edge (*amenability*). Where that holds, all DAGs of the class have the
same effect (Perkovic 2020), so a set is valid in one of them if and only if it is valid in all; where it does not, no set is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from causalkit.graph.adjustment import Adjustment
from causalkit.graph.completion import Edge, Partial
from causalkit.graph.nodes import NONE, Mixed, Nodes


@dataclass(frozen=True, eq=False)
class GeneralizedAdjustment(Adjustment):
    """The adjustment problem in a class of DAGs; ``graph`` is one of them.

    Parameters
    ----------
    detour : tuple of int
        A path that is causal in some DAG of the class and leaves the treatment by an undirected edge; if there is one, no
        set will do.
    """

    detour: tuple[int, ...] = ()

    def blocks(self, given: Nodes) -> bool:
        """Tell whether a set blocks every path that is not causal, in every DAG of the class."""
        return not self.detour and super().blocks(given)

    def witness(self, given: Nodes) -> tuple[int, ...]:
        """Return the path that leaves the treatment by an undirected edge, or one that a set leaves open."""
        return self.detour or super().witness(given)

    def minimal(self, include: Nodes = NONE, exclude: Nodes = NONE) -> Iterator[Nodes]:
        """Yield every set from which nothing (but ``include``) can be left out."""
        return iter(()) if self.detour else super().minimal(include, exclude)

    def minimum(
        self, cost: Mapping[int, float] | None = None, include: Nodes = NONE, exclude: Nodes = NONE
    ) -> Nodes | None:
        """Return a set of least total cost (least size without costs), or None."""
        return None if self.detour else super().minimum(cost, include, exclude)

    @classmethod
    def of(cls, partial: Partial, member: Mixed, treatment: Nodes, outcome: Nodes, latent: Nodes) -> Adjustment:
        """Pose the problem in a complete graph, of which ``member`` is a DAG."""
        return cls(member, treatment, outcome, latent, detour=undirected_start(partial, treatment, outcome))


def undirected_start(partial: Partial, treatment: Nodes, outcome: Nodes) -> tuple[int, ...]:
    """Return a shortest path that some DAG of the class makes causal and that starts undirected, or nothing.

    Parameters
    ----------
    partial : Partial
        A complete graph.
    treatment, outcome : sets of nodes
        The path meets the treatments at its start only.
    """
    found: list[tuple[int, ...]] = []
    for node in sorted(treatment):
        for other in sorted(partial.around[node] - treatment):
            path = partial.oriented([(node, other)]).possible_path([other], outcome, treatment)
            if path:
                found.append((node, *path))
    return min(found, key=len, default=())


def distinct_effects(
    partial: Partial, treatment: Nodes, outcome: Nodes, chosen: tuple[Edge, ...] = ()
) -> Iterator[tuple[Partial, tuple[Edge, ...]]]:
    """Yield parts of the class, and the directions that make them, such that each identifies the effect.

    The parts are as few as can be: two of them have different effects (Guo and Perkovic 2021, *Minimal enumeration of all
    possible total effects in a Markov equivalence class*).
    """
    path = undirected_start(partial, treatment, outcome)
    if not path:
        yield partial, chosen
        return
    for edge in (path[:2], path[1::-1]):
        told = (edge[0], edge[1])
        yield from distinct_effects(partial.oriented([told]), treatment, outcome, (*chosen, told))
