"""Adjustment: which covariates remove confounding, which do harm, and all sets that will do.

The criterion is that of Shpitser, VanderWeele and Robins (2010) and Perkovic et al. (2018): a set is valid if it holds no
forbidden node (a descendant of a node on a causal path) and blocks every path that is not causal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from causalkit.graph.nodes import NONE, Mixed, Nodes, subsets
from causalkit.graph.separators import cheapest_separator, closest_separator, minimal_separators


@dataclass(frozen=True, eq=False)
class Adjustment:
    """The adjustment problem for one effect.

    Parameters
    ----------
    graph : Mixed
    treatment, outcome : sets of nodes
        Disjoint.
    latent : set of nodes
        Nodes that can't be adjusted for.
    selected : set of nodes
        Nodes that are conditioned on by how the data came about.
    direct : bool
        The effect that no other variable carries, instead of the total one.
    """

    graph: Mixed
    treatment: Nodes
    outcome: Nodes
    latent: Nodes = NONE
    selected: Nodes = NONE
    direct: bool = False

    @cached_property
    def causal(self) -> Nodes:
        """Nodes on proper causal paths, the treatments themselves left out."""
        below = self.graph.without_edges(into=self.treatment).descendants(self.treatment)
        above = self.graph.without_edges(out_of=self.treatment).ancestors(self.outcome)
        return (below & above) - self.treatment

    @cached_property
    def forbidden(self) -> Nodes:
        """Nodes that no valid set may hold: treatments, outcomes, and descendants of causal nodes."""
        harmful = NONE if self.direct else self.graph.descendants(self.causal)
        return harmful | self.treatment | self.outcome

    @cached_property
    def allowed(self) -> Nodes:
        """Nodes that a set may hold."""
        if self.direct:
            below = self.graph.descendants(self.outcome)
            return frozenset(range(len(self.graph))) - below - self.forbidden - self.latent - self.selected
        return frozenset(range(len(self.graph))) - self.forbidden - self.latent - self.selected

    @cached_property
    def backdoor_graph(self) -> Mixed:
        """The graph without the first edge of every causal path (for the direct effect: without that effect)."""
        heads = self.outcome if self.direct else self.causal
        return self.graph.without_directed((tail, head) for tail in self.treatment for head in heads)

    def blocks(self, given: Nodes) -> bool:
        """Tell whether a set blocks every path that is not causal, and leaves selection nothing to say of the outcome."""
        open_ = not self.backdoor_graph.separated(self.treatment, self.outcome, given | self.selected)
        return not open_ and self.survives_selection(given)

    def survives_selection(self, given: Nodes) -> bool:
        """Tell whether outcomes of those selected are like those of all, given treatment and set.

        Correa, Tian and Bareinboim (2018), the generalised adjustment criterion, where the set is measured in the whole
        population.
        """
        seen = self.selected - given - self.treatment
        return not seen or self.graph.separated(seen, self.outcome, given | self.treatment)

    def is_valid(self, given: Nodes) -> bool:
        """Tell whether a set is valid."""
        return given <= self.allowed and self.blocks(given)

    def witness(self, given: Nodes) -> tuple[int, ...]:
        """Return a shortest path that a set leaves open, or nothing."""
        return self.backdoor_graph.open_path(self.treatment, self.outcome, given | self.selected)

    def canonical(self, include: Nodes = NONE, exclude: Nodes = NONE) -> Nodes | None:
        """Return all allowed ancestors of treatment and outcome, or None: if they are not valid, nothing is."""
        ends = self.treatment | self.outcome | include | self.selected
        found = (self.graph.ancestors(ends) & self.allowed - exclude) | include
        return found if include <= self.allowed - exclude and self.blocks(found) else None

    def minimal(self, include: Nodes = NONE, exclude: Nodes = NONE) -> Iterator[Nodes]:
        """Yield every set from which nothing (but ``include``) can be left out."""
        if not include <= self.allowed - exclude:
            return
        given = include | self.selected
        allowed = self.allowed - exclude - given
        first = closest_separator(self.backdoor_graph, self.treatment, self.outcome, allowed, given)
        if first is None:
            return
        if self.survives_selection(first | include):
            yield first | include
        neighbours, allowed = self._moral(include, exclude)  # of no use to who wants one set only
        for chosen in minimal_separators(neighbours, self.treatment, self.outcome, allowed):
            if chosen != first and self.survives_selection(chosen | include):
                yield chosen | include

    def minimum(
        self, cost: Mapping[int, float] | None = None, include: Nodes = NONE, exclude: Nodes = NONE
    ) -> Nodes | None:
        """Return a set of least total cost (least size without costs), or None."""
        if not include <= self.allowed - exclude:
            return None
        neighbours, allowed = self._moral(include, exclude)
        price = {node: 1.0 if cost is None else cost.get(node, 1.0) for node in allowed}
        found = cheapest_separator(neighbours, self.treatment, self.outcome, allowed, price)
        return found | include if found is not None and self.survives_selection(found | include) else None

    def optimal(self) -> Nodes | None:
        """Return the set with the smallest asymptotic variance, where it is guaranteed: without latent variables.

        Henckel, Perkovic and Maathuis (2022): the parents of causal nodes that are not forbidden.
        """
        if self.latent or self.selected or self.direct or any(self.graph.siblings) or not self.causal:
            return None
        parents = frozenset(parent for node in self.causal for parent in self.graph.parents[node])
        found = parents - self.forbidden
        return found if self.is_valid(found) else None

    def every(self, include: Nodes = NONE, exclude: Nodes = NONE) -> Iterator[Nodes]:
        """Yield every valid set, small ones first; there may be as many as subsets."""
        if self.canonical(include, exclude) is None:
            return
        for chosen in subsets(self.allowed - exclude - include):
            if self.blocks(chosen | include):
                yield chosen | include

    def _moral(self, include: Nodes, exclude: Nodes) -> tuple[list[set[int]], Nodes]:
        """Return the moral graph of the relevant ancestors without what is given, and what may separate in it."""
        given = include | self.selected
        graph = self.backdoor_graph
        above = graph.ancestors(self.treatment | self.outcome | given)
        neighbours = graph.moral(above)
        for node in given:
            for other in neighbours[node]:
                neighbours[other].discard(node)
            neighbours[node] = set()
        return neighbours, (self.allowed & above) - exclude - given
