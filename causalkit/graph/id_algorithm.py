"""The complete algorithm for effects in graphs with unmeasured common causes.

Shpitser and Pearl (2006), *Identification of joint interventional distributions in recursive semi-Markovian causal
models*; with conditioning, their IDC (2006b). What it can't identify no method can without further assumptions, and the
hedge it returns is the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from causalkit.graph.expressions import Expression, Probability, Product, Ratio, Sum
from causalkit.graph.nodes import Mixed, Nodes


@dataclass(frozen=True)
class Hedge(Exception):
    """Two nested districts that make an effect unidentifiable.

    Parameters
    ----------
    outer, inner : sets of nodes
        The district that holds treatments, and the part of it that remains without them.
    """

    outer: Nodes
    inner: Nodes


@dataclass(frozen=True)
class _Distribution:
    """A distribution over ``nodes``: the observed one, or a formula."""

    nodes: Nodes
    formula: Expression | None = None


@dataclass(frozen=True, eq=False)
class Identifier:
    """The search in one graph.

    Parameters
    ----------
    graph : Mixed
        Without latent nodes: these are bidirected edges (see :meth:`Mixed.projected`).
    names : sequence of str
        Names of the nodes.
    """

    graph: Mixed
    names: Sequence[str]

    def effect(self, outcome: Nodes, treatment: Nodes, given: Nodes, nodes: Nodes) -> Expression:
        """Return the formula of ``P(outcome | do(treatment), given)``.

        Raises
        ------
        Hedge
            If it is not identified.
        """
        for node in sorted(given):
            others = given - {node}
            cut = self.graph.subgraph(nodes).without_edges(into=treatment, out_of=frozenset([node]))
            if cut.separated(frozenset([node]), outcome, treatment | others):
                return self.effect(outcome, treatment | {node}, others, nodes)
        found = self._id(outcome | given, treatment, _Distribution(nodes), nodes)
        return found if not given else Ratio(found, self._sum(outcome, found))

    def factor(self, part: Nodes, nodes: Nodes) -> Expression:
        """Return the formula of ``P(part | do(the other nodes))`` from the distribution of some nodes alone.

        Raises
        ------
        Hedge
            If it is not identified.
        """
        return self._id(part, nodes - part, _Distribution(nodes), nodes)

    def _id(self, y: Nodes, x: Nodes, p: _Distribution, v: Nodes) -> Expression:
        graph = self.graph.subgraph(v)
        if not x:
            return self._marginal(p, y)
        above = graph.ancestors(y)
        if above != v:
            smaller = _Distribution(above, None if p.formula is None else self._sum(v - above, p.formula))
            return self._id(y, x & above, smaller, above)
        idle = (v - x) - graph.without_edges(into=x).ancestors(y)
        if idle:
            return self._id(y, x | idle, p, v)
        parts = graph.districts(v - x)
        if len(parts) > 1:
            # A district of the observed distribution is the product of its own conditionals: no search is needed.
            known = frozenset(graph.districts(v)) if p.formula is None else frozenset()
            factors = tuple(
                self._chain(p, part, v) if part in known else self._id(part, v - part, p, v)
                for part in self._in_order(parts)
            )
            return self._sum(v - (y | x), Product(factors))
        (part,) = parts
        wholes = graph.districts(v)
        if len(wholes) == 1:
            raise Hedge(v, part)
        whole = next(district for district in wholes if part <= district)
        chain = self._chain(p, whole, v)
        return (
            self._sum(part - y, chain) if whole == part else self._id(y, x & whole, _Distribution(whole, chain), whole)
        )

    @cached_property
    def _place(self) -> dict[int, int]:
        """Position of each node in the topological order."""
        return {node: at for at, node in enumerate(self.graph.order)}

    def _chain(self, p: _Distribution, nodes: Nodes, v: Nodes) -> Expression:
        """Return the product of ``P(node | the nodes of v before it)`` over some nodes, the last one first."""
        last_first = sorted(nodes, key=self._place.__getitem__, reverse=True)
        return _product(tuple(self._conditional(p, node, v) for node in last_first))

    def _conditional(self, p: _Distribution, node: int, v: Nodes) -> Expression:
        """Return ``P(node | the nodes of v before it)``, less those that it does not depend on."""
        place, at = self._place, self._place[node]
        if p.formula is not None:
            later = frozenset(other for other in v if place[other] > at) & p.nodes
            above = self._sum(later, p.formula)
            return Ratio(above, self._sum(frozenset([node]), above))
        # Tian and Pearl (2002): what comes before matters through the node's district and its parents only.
        district, stack = {node}, [node]
        while stack:
            for other in self.graph.siblings[stack.pop()]:
                if other in v and place[other] < at and other not in district:
                    district.add(other)
                    stack.append(other)
        parents = (parent for member in district for parent in self.graph.parents[member] if parent in v)
        return Probability((self.names[node],), self._named((district | set(parents)) - {node}))

    def _marginal(self, p: _Distribution, y: Nodes) -> Expression:
        if p.formula is None:
            return Probability(self._named(y))
        return self._sum(p.nodes - y, p.formula)

    def _sum(self, over: Nodes, inner: Expression) -> Expression:
        if not over:
            return inner
        if isinstance(inner, Probability) and not inner.given:
            gone = set(self._named(over))
            left = tuple(name for name in inner.of if name not in gone)
            return Probability(left) if left else Product(())
        if isinstance(inner, Sum):
            return Sum(self._named(over) + inner.over, inner.inner)
        return Sum(self._named(over), inner)

    def _named(self, nodes: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.names[node] for node in sorted(nodes))

    def _in_order(self, parts: list[Nodes]) -> list[Nodes]:
        return sorted(parts, key=lambda part: -max(self._place[node] for node in part))


def _product(factors: tuple[Expression, ...]) -> Expression:
    return factors[0] if len(factors) == 1 else Product(factors)
