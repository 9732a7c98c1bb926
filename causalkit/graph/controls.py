"""Good and bad controls: what adjusting for each variable does to the estimate of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.layout import drawing
from causalkit.graph.nodes import NONE, Mixed, Nodes

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG

Verdict = Literal["good", "bad", "neutral"]
#: Minimal sets that are looked at to say whether a confounder can be replaced by others.
_SETS = 200


@dataclass(frozen=True)
class Control:
    """One variable as a control.

    Parameters
    ----------
    variable : str
        Its name.
    verdict : {"good", "bad", "neutral"}
        Whether to adjust for it.
    role : str
        What it is to the effect: confounder, mediator, effect of a mediator, effect of the outcome, collider, amplifier,
        precision, costs precision, redundant, or irrelevant.
    path : str
        The path that makes it so, with arrows; empty where none does.
    why : str
        In words.
    """

    variable: str
    verdict: Verdict
    role: str
    path: str
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class Controls(Report):
    """What adjusting for each measured variable does, made by ``DAG.classify_controls``.

    Parameters
    ----------
    graph : DAG
    treatment, outcome : str
    found : tuple of Control
        In the order of the nodes.
    base : frozenset of str or None
        The smallest valid set, to which each variable is added; None where no set is valid.
    """

    graph: DAG
    treatment: str
    outcome: str
    found: tuple[Control, ...]
    base: frozenset[str] | None

    checks = Checks({})
    plots = ("graph",)

    def __getitem__(self, variable: str) -> Control:
        return {control.variable: control for control in self.found}[variable]

    def named(self, verdict: Verdict) -> tuple[str, ...]:
        """Return the variables with a verdict.

        Parameters
        ----------
        verdict : {"good", "bad", "neutral"}
            The verdict.
        """
        return tuple(control.variable for control in self.found if control.verdict == verdict)

    @property
    def title(self) -> str:
        """The question."""
        return f"Controls for the effect of {self.treatment} on {self.outcome}"

    @property
    def answer(self) -> str:
        """Which to adjust for, and which not."""
        if self.base is None:
            start = "No set of measured variables removes all confounding."
        elif self.base:
            start = f"Adjusting for {', '.join(sorted(self.base))} is enough."
        else:
            start = "Nothing needs to be adjusted for."
        bad = self.named("bad")
        return f"{start} Do not adjust for {', '.join(bad)}." if bad else start

    def to_table(self) -> Table:
        """Return one row per variable."""
        rows = [(c.variable, c.verdict, c.role, c.path, c.why) for c in self.found]
        return Table.of(("variable", "verdict", "role", "path", "why"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdicts with the graph."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "graph"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the graph with its paths."""
        return drawing(self.graph, (self.treatment,), (self.outcome,), self.base or frozenset(), self.title)


def classify(graph: DAG, problem: Adjustment) -> tuple[tuple[Control, ...], frozenset[str] | None]:
    """Classify every measured variable but the two.

    Parameters
    ----------
    graph : DAG
    problem : Adjustment
        One treatment and one outcome.
    """
    minimal = list(islice(problem.minimal(), _SETS + 1))
    base = min(minimal, key=lambda chosen: (len(chosen), sorted(chosen)), default=None)
    skip = problem.treatment | problem.outcome | problem.latent
    sorter = _Sorter(graph, problem, minimal, base)
    found = tuple(sorter.control(at) for at in range(len(graph.nodes)) if at not in skip)
    return found, None if base is None else frozenset(graph.nodes[at] for at in base)


@dataclass(frozen=True, eq=False)
class _Sorter:
    graph: DAG
    problem: Adjustment
    minimal: list[Nodes]
    base: Nodes | None

    def control(self, at: int) -> Control:
        """Classify one variable."""
        problem, name = self.problem, self.graph.nodes[at]
        one = frozenset([at])
        if at in problem.forbidden:
            return self._harmful(at, name)
        if any(at in chosen for chosen in self.minimal):
            path = self._path(problem.treatment, problem.outcome, self._others(at), backdoor=True)
            needed = all(at in chosen for chosen in self.minimal) and len(self.minimal) <= _SETS
            why = (
                "every valid set holds it"
                if needed
                else "it blocks a path that is not causal; other variables could, too"
            )
            return Control(name, "good", "confounder", path, f"{why[0].upper()}{why[1:]}.")
        if self.base is None:
            return self._without_valid_set(at, name)
        if not problem.blocks(self.base | one):
            path = self._path(problem.treatment, problem.outcome, self.base | one, backdoor=True)
            return Control(
                name, "bad", "collider", path, "Adjusting for it opens a path that is not causal: collider bias."
            )
        return self._harmless(at, name, self.base)

    def _others(self, at: int) -> Nodes:
        """A minimal set that holds the variable, without it: what leaves its path open."""
        return next(chosen for chosen in self.minimal if at in chosen) - {at}

    def _harmful(self, at: int, name: str) -> Control:
        graph, problem = self.problem.graph, self.problem
        one = frozenset([at])
        if at in problem.causal:
            first = graph.directed_path(problem.treatment, one)
            path = self._drawn((*first, *graph.directed_path(one, problem.outcome)[1:]))
            why = "It carries part of the effect: adjusting for it takes that part away (overcontrol)."
            return Control(name, "bad", "mediator", path, why)
        if at in graph.descendants(problem.outcome):
            path = self._drawn(graph.directed_path(problem.outcome, one))
            why = "It is an effect of the outcome: adjusting for it selects on the outcome."
            return Control(name, "bad", "effect of the outcome", path, why)
        path = self._drawn(graph.directed_path(problem.causal - problem.outcome, one))
        why = "It is an effect of a mediator: adjusting for it takes part of the effect away."
        return Control(name, "bad", "effect of a mediator", path, why)

    def _harmless(self, at: int, name: str, base: Nodes) -> Control:
        with_treatment, with_outcome = self._ties(at, base)
        if with_outcome and not with_treatment:
            path = self._path(frozenset([at]), self.problem.outcome, base | self.problem.treatment)
            why = "It tells of the outcome and not of the treatment: adjusting for it makes the estimate more precise."
            return Control(name, "neutral", "precision", path, why)
        if with_treatment and not with_outcome:
            path = self._path(frozenset([at]), self.problem.treatment, base)
            why = (
                "It tells of the treatment only: adjusting for it costs precision, and amplifies any bias that is left."
            )
            return Control(name, "neutral", "costs precision", path, why)
        if with_treatment:
            return Control(name, "neutral", "redundant", "", "What it would block is blocked already.")
        return Control(name, "neutral", "irrelevant", "", "It tells of neither.")

    def _without_valid_set(self, at: int, name: str) -> Control:
        """Classify where something that was not measured keeps a path open whatever is adjusted for."""
        problem, one = self.problem, frozenset([at])
        free = problem.backdoor_graph
        tells_outcome = not free.separated(one, problem.outcome, NONE)
        tells_treatment = not free.separated(one, problem.treatment, NONE)
        if tells_treatment and not tells_outcome and at not in problem.graph.descendants(problem.treatment):
            path = self._path(one, problem.treatment, NONE)
            why = "It moves the treatment only (an instrument): adjusting for it amplifies the bias that is left."
            return Control(name, "bad", "amplifier", path, why)
        if tells_treatment and tells_outcome:
            path = self._path(problem.treatment, problem.outcome, NONE, backdoor=True)
            why = "It is tied to both, but no set that was measured is enough: look at the path that stays open."
            return Control(name, "neutral", "confounder, not enough", path, why)
        if tells_outcome:
            path = self._path(one, problem.outcome, problem.treatment)
            why = "It tells of the outcome and not of the treatment: more precision, the same bias."
            return Control(name, "neutral", "precision", path, why)
        return Control(name, "neutral", "irrelevant", "", "It tells of neither, and no set is enough.")

    def _ties(self, at: int, base: Nodes) -> tuple[bool, bool]:
        """Whether a variable tells of the treatment, and, given the treatment, of the outcome, once ``base`` is known."""
        graph, one = self.problem.graph, frozenset([at])
        known = base - one
        with_treatment = not graph.separated(one, self.problem.treatment, known)
        return with_treatment, not graph.separated(one, self.problem.outcome, known | self.problem.treatment)

    def _path(self, one: Nodes, two: Nodes, given: Nodes, *, backdoor: bool = False) -> str:
        graph = self.problem.backdoor_graph if backdoor else self.problem.graph
        return self._drawn(graph.open_path(one, two, given - one - two), graph)

    def _drawn(self, path: tuple[int, ...], within: Mixed | None = None) -> str:
        return self.graph.drawn(tuple(self.graph.nodes[at] for at in path), within) if path else ""
