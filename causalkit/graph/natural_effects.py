"""Natural direct and indirect effects: whether a graph lets them be told apart, and with which covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.adjustment_verdict import SELECTION
from causalkit.graph.nodes import Nodes
from causalkit.graph.structure import braced

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG


@dataclass(frozen=True, eq=False, repr=False)
class NaturalEffects(Report):
    """Whether natural direct and indirect effects are identified by covariates; made by ``DAG.natural_effects``.

    Parameters
    ----------
    graph : DAG
    treatment, outcome : str
    mediator : tuple of str
        What carries the indirect effect.
    covariates : frozenset of str or None
        A set that will do, of which nothing can be left out; None where none does.
    reason : str
        Why none does; empty otherwise.
    """

    graph: DAG
    treatment: str
    outcome: str
    mediator: tuple[str, ...]
    covariates: frozenset[str] | None
    reason: str = ""

    checks = Checks({})

    @property
    def identified(self) -> bool:
        """Whether a set of covariates identifies both effects."""
        return self.covariates is not None

    @property
    def title(self) -> str:
        """The question."""
        return f"Effect of {self.treatment} on {self.outcome}, through {', '.join(self.mediator)} and not"

    @property
    def answer(self) -> str:
        """The verdict in one sentence."""
        return self.explain()

    def explain(self) -> str:
        """Say why."""
        if self.covariates is None:
            return f"The direct and the indirect effect can't be told apart by adjusting for covariates: {self.reason}"
        given = f"given {', '.join(sorted(self.covariates))}, " if self.covariates else ""
        return (
            f"Identified: {given}treatment and mediator are as good as random, and no effect of the treatment confounds "
            "mediator and outcome."
        )

    def estimate(self, data: Any, estimator: Any, **roles: Any) -> Any:
        """Fit an estimator of natural effects with the covariates that the graph asks for.

        Parameters
        ----------
        data : table
            With a column for each measured node that is used.
        estimator : Estimator
            One that declares the strategy, ``ck.Mediation()``.
        **roles
            Further keywords of ``fit``.

        Raises
        ------
        IdentificationError
            If the effects are not identified, or the estimator does something else.
        """
        if self.covariates is None:
            raise IdentificationError("natural effects are not identified.", hint=self.explain())
        if "mediation" not in estimator.strategies:
            raise IdentificationError(
                f"{type(estimator).__name__} does not estimate natural effects.", hint="Use Mediation."
            )
        named: dict[str, Any] = {"mediator": list(self.mediator), "covariates": sorted(self.covariates), **roles}
        return estimator.fit(data, outcome=self.outcome, treatment=self.treatment, **named)

    def to_table(self) -> Table:
        """Return the verdict as rows."""
        chosen = "none" if self.covariates is None else braced(self.covariates)
        return Table.of(("what", "which"), [("mediator", ", ".join(self.mediator)), ("covariates", chosen)])

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table()),)


def natural_effects(graph: DAG, x: str, y: str, mediator: Sequence[str]) -> NaturalEffects:
    """Look for covariates that make natural effects identifiable.

    They must not be effects of the treatment, be a valid adjustment set for the joint effect of treatment and mediators on
    the outcome, and for the effect of the treatment on the mediators (Pearl 2014, "Interpretation and identification of
    causal mediation", theorem 1 with one set of covariates). If any set will do, that of all allowed ancestors does.

    Raises
    ------
    DesignError
        If a mediator is not a measured effect of the treatment that acts on the outcome, names repeat, or there is none.
    """
    if not mediator:
        raise DesignError("natural effects need a mediator.", hint="Name what carries the indirect effect.")
    number = {name: at for at, name in enumerate(graph.nodes)}
    for name in (x, y, *mediator):
        graph.parents(name)  # refuses an unknown name, with the nearest one
    if len({x, y, *mediator}) < 2 + len(mediator):
        raise DesignError("treatment, outcome and mediators must be different nodes.", hint="Name each once.")
    mixed = graph.mixed
    one, two, three = frozenset([number[x]]), frozenset([number[y]]), frozenset(number[name] for name in mediator)
    latent, selected = (frozenset(number[name] for name in part) for part in (graph.latent, graph.selected))
    between = mixed.descendants(one) & mixed.ancestors(two)
    for name in mediator:
        if number[name] in latent or number[name] not in between:
            raise DesignError(
                f"{name!r} is no measured mediator: it must lie on a directed path from {x!r} to {y!r}.",
                hint="Ask for a variable that the treatment changes and that changes the outcome.",
            )
    joint = Adjustment(mixed, one | three, two, latent, selected)
    first = Adjustment(mixed, one, three, latent, selected)
    below = mixed.descendants(one)
    every = mixed.ancestors(one | two | three) & joint.allowed & first.allowed - below
    found = _smallest(every, joint, first) if joint.blocks(every) and first.blocks(every) else None
    names = None if found is None else frozenset(graph.nodes[at] for at in found)
    reason = "" if found is not None else _reason(graph, joint, first, every, below)
    return NaturalEffects(graph, x, y, tuple(mediator), names, reason)


def _smallest(every: Nodes, joint: Adjustment, first: Adjustment) -> Nodes:
    """Leave out what is not needed, one after the other, until nothing can be."""
    kept = every
    for at in sorted(every, reverse=True):
        fewer = kept - {at}
        if joint.blocks(fewer) and first.blocks(fewer):
            kept = fewer
    return kept


def _reason(graph: DAG, joint: Adjustment, first: Adjustment, every: Nodes, below: Nodes) -> str:
    mixed, mediators = graph.mixed, first.outcome
    beside = mixed.without_edges(into=mediators).ancestors(joint.outcome) & mixed.ancestors(mediators)
    confounds = (beside & below) - joint.treatment - joint.outcome
    if confounds:
        told = ", ".join(graph.nodes[at] for at in sorted(confounds))
        return f"{told} is an effect of the treatment and confounds mediator and outcome."
    for problem in (first, joint):
        path = tuple(graph.nodes[at] for at in problem.witness(every))
        if path:
            return f"the path {graph.drawn(path, problem.backdoor_graph)} stays open."
    return SELECTION.format(", ".join(sorted(graph.selected)))
