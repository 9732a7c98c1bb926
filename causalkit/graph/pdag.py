"""Graphs with undirected edges, by name: how they are directed, what they identify, and what an effect may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from causalkit.core.passage import Passage
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.graph.generalized_adjustment import distinct_effects, undirected_start
from causalkit.graph.nodes import Nodes
from causalkit.graph.reading import quoted
from causalkit.graph.verdict import Identification, Strategy, Verification

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG

#: DAGs of a class in which a formula is verified.
_MEMBERS = 10
_SAID: Mapping[Strategy, Strategy] = {"instrument": "none", "front-door": "formula"}


@dataclass(frozen=True)
class Possibility:
    """One of the effects that a graph with undirected edges leaves possible; made by ``DAG.possible_effects``.

    Parameters
    ----------
    oriented : tuple of (str, str)
        The directions, (tail, head), that single it out.
    graph : DAG
        The graph with these.
    adjustment : frozenset of str or None
        The set with the smallest asymptotic variance where nothing is latent, else a minimal one; None if no set will do.
    zero : bool
        Whether there is no causal path, so the effect is zero.
    """

    oriented: tuple[tuple[str, str], ...]
    graph: DAG
    adjustment: frozenset[str] | None
    zero: bool


def possibilities(graph: DAG, treatment: Nodes, outcome: Nodes) -> Iterator[Possibility]:
    """Yield what the effect may be, one possibility for each part of the class that determines it."""
    x, y = ([graph.nodes[at] for at in sorted(part)] for part in (treatment, outcome))
    for part, chosen in distinct_effects(graph.partial, treatment, outcome):
        refined = graph.with_edges(part) if chosen else graph
        zero = not part.possible_path(treatment, outcome)
        best = next(refined.adjustment_sets(x, y, kind="optimal"), None)
        if best is None:
            best = next(refined.adjustment_sets(x, y), None)
        named = tuple((graph.nodes[a], graph.nodes[b]) for a, b in chosen)
        yield Possibility(named, refined, best, zero)


@dataclass(frozen=True, eq=False, repr=False)
class ClassIdentification(Identification):
    """What a graph with undirected edges says of an effect; it is made by ``DAG.identify``.

    Parameters
    ----------
    detour : tuple of str
        A path that may be causal and leaves the treatment by an undirected edge; empty where the effect is the same in all
        DAGs of the class.
    """

    detour: tuple[str, ...] = ()

    plots = ()

    @property
    def orient(self) -> tuple[str, str] | None:
        """The undirected edge at the treatment that has to be directed first, or None if no direction is in the way."""
        return (self.detour[0], self.detour[1]) if self.detour else None

    @property
    def frontdoor_sets(self) -> Iterator[frozenset[str]]:
        """None are listed: which sets qualify depends on the directions."""
        return iter(())

    @property
    def instruments(self) -> Iterator[tuple[str, frozenset[str]]]:
        """None are listed: what qualifies depends on the directions."""
        return iter(())

    def explain(self) -> str:
        """Say why."""
        if self.orient is not None:
            one, two = self.orient
            return (
                f"The graph is not amenable: {self.graph.drawn(self.detour)} may be causal, and its first edge has no "
                f"direction. Direct it by background knowledge, g.orient('{quoted(one)} -> {quoted(two)}') or the reverse; "
                "g.possible_effects() lists what the effect can be."
            )
        if self.strategy == "formula":
            return "No set of covariates will do, but the general algorithm finds a formula that all DAGs of the class share."
        return super().explain()

    def verify(self, n_models: int = 20, levels: int = 2, random_state: int = 0) -> Verification:
        """Evaluate the formula in random models of up to ten DAGs of the class; the worst error is returned.

        Parameters
        ----------
        n_models : int
            Models with random probabilities, of each DAG.
        levels : int
            Values of each variable.
        random_state : int
            Seed.
        """
        worst, drawn = 0.0, 0
        plain = Identification(self.graph, self.treatment, self.outcome, self.given, self.strategy, self.estimand)
        for member, _ in zip(self.graph.members(), range(_MEMBERS), strict=False):
            found = replace(plain, graph=member).verify(n_models, levels, random_state)
            worst, drawn = max(worst, found.max_error), drawn + found.n_models
        return Verification(worst, drawn)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict."""
        return (Passage("assumptions", self.title, (self.answer, self.explain()), self.to_table()),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Refuse: a figure would give the undirected edges a direction."""
        raise DesignError("a graph with undirected edges has no figure.", hint="Plot one of g.members().")

    def to_table(self) -> Table:
        """Return what was found, by kind."""
        table = super().to_table()
        if self.orient is None:
            return table
        return Table.of(("what", "which"), [*table.rows, ("edge to direct", " -- ".join(self.orient))])


def identify_class(graph: DAG, treatment: Nodes, outcome: Nodes, given: Nodes) -> ClassIdentification:
    """Find whether all DAGs of a class have the same effect, and its formula.

    The effect is identified if and only if no path that may be causal leaves the treatment undirected (Perkovic 2020,
    *Identifying causal effects in maximally oriented partially directed acyclic graphs*); with covariates ``given`` this is
    asked of outcome and covariates together, which suffices. The formula of any DAG of the class is then that of all.
    """
    path = undirected_start(graph.partial, treatment, outcome | given)
    one, two, known = (tuple(graph.nodes[at] for at in sorted(part)) for part in (treatment, outcome, given))
    if path:
        detour = tuple(graph.nodes[at] for at in path)
        return ClassIdentification(graph, one, two, known, "none", None, detour=detour)
    found = next(graph.members()).identify(one, two, known)
    # Instruments and front-door sets are those of this DAG, perhaps not of others; the formula is that of all.
    strategy = _SAID.get(found.strategy, found.strategy)
    return ClassIdentification(graph, one, two, known, strategy, found.estimand, found.hedge)
