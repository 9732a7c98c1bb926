"""The structure of a causal graph, by name: its nodes and edges, who causes whom, and how it is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from causalkit.errors import DesignError
from causalkit.graph.nodes import Mixed, Nodes
from causalkit.graph.reading import in_quotes, quoted, read_graph


class Structure:
    """Nodes and edges of an acyclic graph; :class:`causalkit.DAG` says what its arguments are."""

    def __init__(
        self,
        edges: Any,
        latent: Iterable[str] = (),
        bidirected: Iterable[tuple[str, str]] = (),
        nodes: Iterable[str] | None = None,
        selected: Iterable[str] = (),
    ) -> None:
        parsed = read_graph(edges)
        if parsed.undirected:
            one, two = parsed.undirected[0]
            raise DesignError(
                f"the edge {one!r} -- {two!r} has no direction.",
                hint="A DAG needs one; write -> or, for a common cause, <->.",
            )
        for pair in bidirected:
            if isinstance(pair, str) or len(pair) != 2:
                raise DesignError(f"bidirected= holds {pair!r}, which is no pair.", hint='Write [("a", "b")].')
            parsed.add("<->", *map(str, pair))
        names = list(dict.fromkeys([*_listed(nodes or ()), *parsed.nodes]))
        self._number = {name: at for at, name in enumerate(names)}
        self.nodes: tuple[str, ...] = tuple(names)
        self.latent = frozenset({*_listed(latent), *parsed.latent})
        self.selected = frozenset({*_listed(selected), *parsed.selected})
        for name in (*self.latent, *self.selected):
            self._at(name)
        self.directed = tuple(dict.fromkeys(parsed.directed))
        self.bidirected = tuple(dict.fromkeys(_sorted(pair) for pair in parsed.bidirected))
        self._refuse_loops()
        at = self._number
        self._graph = Mixed.of(
            len(names), [(at[a], at[b]) for a, b in self.directed], [(at[a], at[b]) for a, b in self.bidirected]
        )
        self._refuse_cycle()

    # What the graph is.

    @property
    def observed(self) -> tuple[str, ...]:
        """Nodes that were measured."""
        return tuple(name for name in self.nodes if name not in self.latent)

    def parents(self, node: str) -> frozenset[str]:
        """Return the direct causes of a node."""
        return self._names(self._graph.parents[self._at(node)])

    def children(self, node: str) -> frozenset[str]:
        """Return what a node causes directly."""
        return self._names(self._graph.children[self._at(node)])

    def ancestors(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return all causes, direct or not, the nodes themselves included."""
        return self._names(self._graph.ancestors(self._set(nodes)))

    def descendants(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return all effects, direct or not, the nodes themselves included."""
        return self._names(self._graph.descendants(self._set(nodes)))

    def d_separated(self, x: str | Iterable[str], y: str | Iterable[str], given: str | Iterable[str] = ()) -> bool:
        """Tell whether the graph makes ``x`` and ``y`` independent given others (m-separation, with ``<->``)."""
        one, two, known = self._set(x), self._set(y), self._set(given)
        disjoint({"x": one, "y": two, "given": known}, self.nodes)
        return self._graph.separated(one, two, known)

    def open_path(
        self, x: str | Iterable[str], y: str | Iterable[str], given: str | Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Return a shortest path that leaves ``x`` and ``y`` dependent given others; empty where they are separated.

        Parameters
        ----------
        x, y, given : str or list of str
            Sets of nodes.
        """
        path = self._graph.open_path(self._set(x), self._set(y), self._set(given))
        return tuple(self.nodes[at] for at in path)

    @property
    def mixed(self) -> Mixed:
        """The edges by number, in the order of ``nodes``."""
        return self._graph

    def projected(self) -> Mixed:
        """Return the edges among measured nodes, by number: what was not measured becomes ``<->``."""
        return self._graph.projected(self._set(self.latent))

    # Writing it.

    def to_dagitty(self) -> str:
        """Return the graph as dagitty text."""
        marks = dict.fromkeys(self.latent, "latent") | dict.fromkeys(self.selected, "selected")
        lines = [f"  {quoted(name)}" + (f" [{marks[name]}]" if name in marks else "") for name in self.nodes]
        lines += [f"  {quoted(a)} -> {quoted(b)}" for a, b in self.directed]
        lines += [f"  {quoted(a)} <-> {quoted(b)}" for a, b in self.bidirected]
        return "\n".join(["dag {", *lines, "}"])

    def to_dot(self) -> str:
        """Return the graph as DOT text (bidirected edges are drawn as ``dir=both``)."""
        text = in_quotes

        lines = [f"  {text(name)}" + (" [style=dashed]" if name in self.latent else "") + ";" for name in self.nodes]
        lines += [f"  {text(a)} -> {text(b)};" for a, b in self.directed]
        lines += [f"  {text(a)} -> {text(b)} [dir=both, style=dashed];" for a, b in self.bidirected]
        return "\n".join(["digraph {", *lines, "}"])

    def to_networkx(self) -> Any:
        """Return a ``networkx.DiGraph``; a bidirected edge becomes an unobserved node with two children."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from((name, {"observed": name not in self.latent}) for name in self.nodes)
        graph.add_edges_from(self.directed)
        for a, b in self.bidirected:
            hidden = f"U[{a},{b}]"
            graph.add_node(hidden, observed=False)
            graph.add_edges_from([(hidden, a), (hidden, b)])
        return graph

    def __repr__(self) -> str:
        edges = [*(f"{a} -> {b}" for a, b in self.directed), *(f"{a} <-> {b}" for a, b in self.bidirected)]
        return f"{type(self).__name__}({'; '.join(edges)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[frozenset[Any], ...]:
        edges = (frozenset(self.nodes), frozenset(self.directed), frozenset(self.bidirected))
        return (*edges, self.latent, self.selected)

    # By number.

    def _at(self, name: Any) -> int:
        if name not in self._number:
            close = difflib.get_close_matches(str(name), self.nodes, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Nodes: {', '.join(self.nodes[:20])}."
            raise DesignError(f"the graph has no node {name!r}.", hint=hint)
        return self._number[name]

    def _set(self, names: str | Iterable[str]) -> Nodes:
        listed = names if isinstance(names, Iterable) and not isinstance(names, str) else [names]
        return frozenset(self._at(name if isinstance(name, str) else str(name)) for name in listed)

    def _names(self, nodes: Iterable[int]) -> frozenset[str]:
        return frozenset(self.nodes[at] for at in nodes)

    def _ordered(self, nodes: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.nodes[at] for at in sorted(nodes))

    def _said(self, nodes: Iterable[int]) -> str:
        return ", ".join(self._ordered(nodes))

    def drawn(self, nodes: tuple[str, ...]) -> str:
        """Write a path of nodes with the arrows of its edges.

        Parameters
        ----------
        nodes : tuple of str
            Each next to the one before.
        """
        text = nodes[0]
        for one, two in pairwise(nodes):
            arrow = "->" if (one, two) in self.directed else "<-" if (two, one) in self.directed else "<->"
            text += f" {arrow} {two}"
        return text

    def _refuse_loops(self) -> None:
        for a, b in (*self.directed, *self.bidirected):
            if a == b:
                raise DesignError(f"node {a!r} has an edge to itself.", hint="Remove it.")
            self._at(a), self._at(b)

    def _refuse_cycle(self) -> None:
        left = set(range(len(self.nodes))) - set(self._graph.order)
        if not left:
            return
        at, seen = min(left), []
        while at not in seen:
            seen.append(at)
            at = next(parent for parent in self._graph.parents[at] if parent in left)
        cycle = [self.nodes[node] for node in [*seen[seen.index(at) :], at]]
        raise DesignError(
            f"the graph has a cycle: {' -> '.join(reversed(cycle))}.",
            hint="Causes come before effects; remove one edge.",
        )


def _listed(names: str | Iterable[Any]) -> list[str]:
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _sorted(pair: tuple[str, str]) -> tuple[str, str]:
    return pair if pair[0] <= pair[1] else (pair[1], pair[0])


def disjoint(sets: Mapping[str, Nodes], names: tuple[str, ...]) -> None:
    """Refuse a node that plays two roles."""
    said = list(sets.items())
    for j, (one, first) in enumerate(said):
        for two, second in said[j + 1 :]:
            if first & second:
                raise DesignError(
                    f"{names[min(first & second)]!r} is in both {one} and {two}.", hint="Name different nodes."
                )
