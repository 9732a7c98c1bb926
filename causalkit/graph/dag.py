"""``DAG``: a causal graph, asked by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from causalkit.errors import DesignError
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.frontdoor import conditional_instruments, frontdoor_sets, independencies
from causalkit.graph.nodes import Mixed, Nodes
from causalkit.graph.reading import in_quotes, quoted, read_graph
from causalkit.graph.verdict import Identification, identify

Kind = Literal["minimal", "minimum", "optimal", "canonical", "all"]
KINDS = ("minimal", "minimum", "optimal", "canonical", "all")


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


class DAG:
    """A causal graph: arrows are direct causes, ``<->`` stands for a cause of both that was not measured.

    Parameters
    ----------
    edges : str, mapping, networkx graph, or pairs
        ``"z -> t -> y; z -> y"``, dagitty or DOT text, a mapping from node to its children, a networkx graph, or
        (tail, head) pairs. Names may hold anything; in text, those with spaces stand in double quotes.
    latent : list of str
        Nodes that were not measured.
    bidirected : list of pairs
        Pairs with a common cause that was not measured, beside those written ``<->``.
    nodes : list of str, optional
        Further nodes, or all of them to fix their order.
    selected : list of str
        Nodes that decide who is in the data.

    Raises
    ------
    DesignError
        If the text can't be read, a name is not known, a node causes itself, or there is a cycle (which is shown).

    Examples
    --------
    >>> import causalkit as ck
    >>> g = ck.DAG("z -> t -> y; z -> y")
    >>> list(g.adjustment_sets("t", "y"))
    [frozenset({'z'})]
    """

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
        _disjoint({"x": one, "y": two, "given": known}, self.nodes)
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

    # Adjustment.

    def adjustment_sets(
        self,
        x: str | Iterable[str],
        y: str | Iterable[str],
        kind: Kind = "minimal",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        cost: Mapping[str, float] | None = None,
        effect: Literal["total", "direct"] = "total",
    ) -> Iterator[frozenset[str]]:
        """Yield sets of covariates whose adjustment gives the effect of ``x`` on ``y``.

        Parameters
        ----------
        x, y : str or list of str
            Treatments and outcomes.
        kind : {"minimal", "minimum", "optimal", "canonical", "all"}
            Every set from which nothing can be left out; one of least cost; the one with the smallest asymptotic variance
            (only where it is guaranteed: nothing latent; Henckel et al. 2022); the largest of ancestors; every valid set.
        include, exclude : list of str
            What each set must and may not hold.
        cost : mapping, optional
            Cost of measuring each variable, for ``"minimum"``; 1 by default.
        effect : {"total", "direct"}
            The direct effect is the one that no other variable carries.

        Yields
        ------
        frozenset of str
            In an order that depends on the graph only. Nothing is yielded where no set will do; the empty set says that
            nothing needs to be adjusted for.
        """
        problem = self._problem(x, y, effect)
        must, never = self._set(include), self._set(exclude)
        if kind not in KINDS:
            raise DesignError(f"kind={kind!r} is not known.", hint=f"Use one of {', '.join(KINDS)}.")
        found: Iterable[Nodes | None]
        if kind == "minimal":
            found = problem.minimal(must, never)
        elif kind == "minimum":
            price = None if cost is None else {self._at(name): float(value) for name, value in cost.items()}
            found = [problem.minimum(price, must, never)]
        elif kind == "canonical":
            found = [problem.canonical(must, never)]
        elif kind == "optimal":
            best = problem.optimal()
            found = [best if best is not None and must <= best and not best & never else None]
        else:
            found = problem.every(must, never)
        return (self._names(chosen) for chosen in found if chosen is not None)

    def is_adjustment_set(
        self,
        x: str | Iterable[str],
        y: str | Iterable[str],
        covariates: str | Iterable[str] = (),
        effect: Literal["total", "direct"] = "total",
    ) -> AdjustmentVerdict:
        """Tell whether adjusting for ``covariates`` gives the effect of ``x`` on ``y``, and if not, why."""
        problem, given = self._problem(x, y, effect), self._set(covariates)
        hidden = given & problem.latent
        if hidden:
            return AdjustmentVerdict(False, f"{self._said(hidden)} can't be adjusted for: not measured.")
        harmful = given & problem.forbidden
        if harmful:
            names = self._ordered(harmful)
            why = "an effect of the treatment on the way to the outcome (or its descendant), or treatment or outcome itself"
            return AdjustmentVerdict(False, f"{self._said(harmful)} must not be adjusted for: {why}.", forbidden=names)
        if problem.blocks(given):
            return AdjustmentVerdict(True, "Every path that is not causal is blocked, and no causal path is touched.")
        path = tuple(self.nodes[at] for at in problem.witness(given))
        if not path:
            told = ", ".join(sorted(self.selected))
            return AdjustmentVerdict(
                False, f"who is in the data ({told}) tells of the outcome, whatever is adjusted for."
            )
        return AdjustmentVerdict(False, f"the path {self._drawn(path)} stays open.", path)

    # Identification beyond adjustment.

    def identify(
        self, x: str | Iterable[str], y: str | Iterable[str], given: str | Iterable[str] = ()
    ) -> Identification:
        """Say whether and how the effect of ``x`` on ``y`` (given others) is identified; a "no" is an answer, no error.

        Parameters
        ----------
        x, y : str or list of str
            Treatments and outcomes.
        given : list of str
            Variables that the effect is conditional on.

        Returns
        -------
        Identification
            ``identified``, ``strategy``, ``estimand``, ``explain()``, ``verify()`` and ``estimate(data, estimator)``.
        """
        problem, known = self._problem(x, y, "total"), self._set(given)
        one, two = problem.treatment, problem.outcome
        _disjoint({"the treatment": one, "the outcome": two, "given": known}, self.nodes)
        hidden = (one | two | known) & self._set(self.latent)
        if hidden:
            raise DesignError(
                f"{self._said(hidden)} was not measured.", hint="Ask for the effect of a measured variable."
            )
        return identify(self, one, two, known)

    def frontdoor_sets(self, x: str | Iterable[str], y: str | Iterable[str]) -> Iterator[frozenset[str]]:
        """Yield every minimal front-door set (Pearl 2009, definition 3.3.3), small ones first.

        Parameters
        ----------
        x, y : str or list of str
            Treatments and outcomes.
        """
        one, two = self._set(x), self._set(y)
        return (self._names(s) for s in frontdoor_sets(self._graph, one, two, self._set(self.latent)))

    def instruments(self, x: str | Iterable[str], y: str | Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield (instrument, minimal set to adjust for).

        An instrument is related to ``x`` and, given the set, to ``y`` only through it (Brito and Pearl 2002). Effects of
        ``x`` are neither offered as instruments nor put into the set.
        """
        found = conditional_instruments(self._graph, self._set(x), self._set(y), self._set(self.latent))
        return ((self.nodes[at], self._names(given)) for at, given in found)

    def implied_independencies(self) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Yield (one, other, given): what the graph says must be independent in the data, with every minimal set."""
        for one, two, given in independencies(self._graph, self._set(self.latent)):
            yield self.nodes[one], self.nodes[two], self._names(given)

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
        return f"DAG({'; '.join([*(f'{a} -> {b}' for a, b in self.directed), *(f'{a} <-> {b}' for a, b in self.bidirected)])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DAG) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[frozenset[Any], ...]:
        edges = (frozenset(self.nodes), frozenset(self.directed), frozenset(self.bidirected))
        return (*edges, self.latent, self.selected)

    # By number.

    def _problem(self, x: str | Iterable[str], y: str | Iterable[str], effect: str) -> Adjustment:
        if effect not in ("total", "direct"):
            raise DesignError(f"effect={effect!r} is not known.", hint="Use 'total' or 'direct'.")
        one, two = self._set(x), self._set(y)
        if not one or not two:
            raise DesignError("a treatment and an outcome are needed.", hint="Name both.")
        _disjoint({"the treatment": one, "the outcome": two}, self.nodes)
        return Adjustment(self._graph, one, two, self._set(self.latent), self._set(self.selected), effect == "direct")

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

    def _drawn(self, path: tuple[str, ...]) -> str:
        """Write a path with the arrows of its edges."""
        text = path[0]
        for one, two in pairwise(path):
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


def _disjoint(sets: Mapping[str, Nodes], names: tuple[str, ...]) -> None:
    said = list(sets.items())
    for j, (one, first) in enumerate(said):
        for two, second in said[j + 1 :]:
            if first & second:
                raise DesignError(
                    f"{names[min(first & second)]!r} is in both {one} and {two}.", hint="Name different nodes."
                )
