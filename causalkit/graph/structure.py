"""The structure of a causal graph, by name: its nodes and edges, who causes whom, and how it is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.completion import Partial, completed
from causalkit.graph.interchange import dagitty, dictionary, dot, gml, networkx_graph
from causalkit.graph.nodes import Mixed, Nodes
from causalkit.graph.reading import quoted, read_graph


class Structure:
    """Nodes and edges of an acyclic graph; :class:`causalkit.DAG` says what its arguments are."""

    def __init__(
        self,
        edges: Any,
        latent: Iterable[str] = (),
        bidirected: Iterable[tuple[str, str]] = (),
        nodes: Iterable[str] | None = None,
        selected: Iterable[str] = (),
        undirected: Iterable[tuple[str, str]] = (),
    ) -> None:
        parsed = read_graph(edges)
        for role, arrow, pairs in (("bidirected", "<->", bidirected), ("undirected", "--", undirected)):
            for pair in pairs:
                if isinstance(pair, str) or len(pair) != 2:
                    raise DesignError(f"{role}= holds {pair!r}, which is no pair.", hint='Write [("a", "b")].')
                parsed.add(arrow, *map(str, pair))
        names = list(dict.fromkeys([*_listed(() if nodes is None else nodes), *parsed.nodes]))
        self._number = {name: at for at, name in enumerate(names)}
        self.nodes: tuple[str, ...] = tuple(names)
        self.latent = frozenset({*_listed(latent), *parsed.latent})
        self.selected = frozenset({*_listed(selected), *parsed.selected})
        for name in (*self.latent, *self.selected):
            self._at(name)
        self.directed = tuple(dict.fromkeys(parsed.directed))
        self.bidirected = tuple(dict.fromkeys(_sorted(pair) for pair in parsed.bidirected))
        self.undirected = tuple(dict.fromkeys(_sorted(pair) for pair in parsed.undirected))
        self._refuse_loops()
        at = self._number
        self._graph = Mixed.of(
            len(names), [(at[a], at[b]) for a, b in self.directed], [(at[a], at[b]) for a, b in self.bidirected]
        )
        self._refuse_cycle()
        self._arrows = self._graph
        if self.undirected:
            self._complete()

    # What the graph is.

    @property
    def observed(self) -> tuple[str, ...]:
        """Nodes that were measured."""
        return tuple(name for name in self.nodes if name not in self.latent)

    def parents(self, node: str) -> frozenset[str]:
        """Return the direct causes of a node."""
        return self._names(self._arrows.parents[self._at(node)])

    def children(self, node: str) -> frozenset[str]:
        """Return what a node causes directly."""
        return self._names(self._arrows.children[self._at(node)])

    def ancestors(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return all causes, direct or not, the nodes themselves included."""
        return self._names(self._arrows.ancestors(self._set(nodes)))

    def descendants(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return all effects, direct or not, the nodes themselves included."""
        return self._names(self._arrows.descendants(self._set(nodes)))

    def possible_ancestors(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return the nodes and what causes them in some DAG that the graph stands for; ``<->`` plays no part."""
        return self._names(self.partial.possible_ancestors(self._set(nodes)))

    def possible_descendants(self, nodes: str | Iterable[str]) -> frozenset[str]:
        """Return the nodes and what they cause in some DAG that the graph stands for; ``<->`` plays no part."""
        return self._names(self.partial.possible_descendants(self._set(nodes)))

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
        """The edges by number, in the order of ``nodes``; those of one of its DAGs if some are undirected."""
        return self._graph

    @cached_property
    def partial(self) -> Partial:
        """The edges by number with the undirected ones; ``<->`` is left out."""
        at = self._number
        pairs = ([(at[a], at[b]) for a, b in edges] for edges in (self.directed, self.undirected))
        return Partial.of(len(self.nodes), *pairs)

    def projected(self) -> Mixed:
        """Return the edges among measured nodes, by number: what was not measured becomes ``<->``."""
        return self._graph.projected(self._set(self.latent))

    # Writing it.

    def to_dagitty(self) -> str:
        """Return the graph as dagitty text."""
        return dagitty(self)

    def to_dot(self) -> str:
        """Return the graph as DOT text (bidirected edges are drawn as ``dir=both``, undirected ones as ``dir=none``)."""
        return dot(self)

    def to_gml(self) -> str:
        """Return the graph as GML text, which networkx and ``dowhy.CausalModel(graph=...)`` read."""
        return gml(self)

    def to_networkx(self) -> Any:
        """Return a ``networkx.DiGraph``; a bidirected edge becomes an unobserved node with two children."""
        return networkx_graph(self)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return nodes, edges of each kind, latent and selected nodes as lists, fit for JSON; ``DAG`` reads it back."""
        return dictionary(self)

    def __repr__(self) -> str:
        kinds = (("->", self.directed), ("<->", self.bidirected), ("--", self.undirected))
        edges = [f"{a} {arrow} {b}" for arrow, pairs in kinds for a, b in pairs]
        return f"{type(self).__name__}({'; '.join(edges)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[frozenset[Any], ...]:
        edges = (frozenset(pairs) for pairs in (self.directed, self.bidirected, self.undirected))
        return (frozenset(self.nodes), *edges, self.latent, self.selected)

    def needs_directions(self, what: str) -> None:
        """Raise IdentificationError if some edges are undirected.

        Parameters
        ----------
        what : str
            What can't be said then, as the subject of a sentence.
        """
        if self.undirected:
            one, two = self.undirected[0]
            raise IdentificationError(
                f"{what} depend on the direction of {one} -- {two}.",
                hint=f"Direct it, g.orient('{quoted(one)} -> {quoted(two)}') or the reverse, or ask each DAG of g.members().",
            )

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

    def drawn(self, nodes: tuple[str, ...], within: Mixed | None = None) -> str:
        """Write a path of nodes with the arrows of its edges.

        Parameters
        ----------
        nodes : tuple of str
            Each next to the one before.
        within : Mixed, optional
            The edges that the path may take, where not all: two nodes may be joined twice.
        """
        parents = (self._graph if within is None else within).parents
        text = nodes[0]
        for one, two in pairwise(nodes):
            a, b = self._at(one), self._at(two)
            arrow = "->" if a in parents[b] else "<-" if b in parents[a] else "<->"
            arrow = "--" if _sorted((one, two)) in self.undirected else arrow
            text += f" {arrow} {two}"
        return text

    def _refuse_loops(self) -> None:
        for a, b in (*self.directed, *self.bidirected, *self.undirected):
            if a == b:
                raise DesignError(f"node {a!r} has an edge to itself.", hint="Remove it.")
            self._at(a), self._at(b)

    def _complete(self) -> None:
        """Direct what has to be directed, and keep one DAG of those that the graph stands for."""
        for what, there in (("bidirected edges", self.bidirected), ("selected nodes", self.selected)):
            if there:
                raise DesignError(
                    f"the graph has both undirected edges and {what}.",
                    hint="Write a common cause of an undirected graph as a node, with latent=, or direct the edges.",
                )
        whole, self._graph = completed(self.nodes, self.partial.directed, self.partial.undirected)
        fresh = sorted(whole.directed - self.partial.directed)
        self.directed += tuple((self.nodes[a], self.nodes[b]) for a, b in fresh)
        self.undirected = tuple(_sorted((self.nodes[a], self.nodes[b])) for a, b in sorted(whole.undirected))
        self.__dict__["partial"] = whole
        self._arrows = Mixed.of(len(self.nodes), whole.directed)

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


def braced(names: Iterable[str]) -> str:
    """Write a set of nodes."""
    return "{" + ", ".join(sorted(names)) + "}"


def disjoint(sets: Mapping[str, Nodes], names: tuple[str, ...]) -> None:
    """Refuse a node that plays two roles."""
    said = list(sets.items())
    for j, (one, first) in enumerate(said):
        for two, second in said[j + 1 :]:
            if first & second:
                raise DesignError(
                    f"{names[min(first & second)]!r} is in both {one} and {two}.", hint="Name different nodes."
                )
