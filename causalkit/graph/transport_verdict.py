"""The verdict on carrying an effect from a trial over to a population: how, by which formula, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.expressions import Expression, with_primes
from causalkit.graph.id_algorithm import Hedge
from causalkit.graph.nodes import NONE, Nodes
from causalkit.graph.structure import braced
from causalkit.graph.transport import POPULATION, PlacedProbability, Transport, taken_from
from causalkit.graph.verdict import LISTED, Verification

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG

How = Literal["no effect", "same effect", "reweighting", "formula", "none"]
#: Variables of the largest graph in which a formula is verified.
_MOST_NODES = 18


@dataclass(frozen=True, eq=False, repr=False)
class Transportation(Report):
    """Whether the effect found in a trial can be carried over to a population; made by ``DAG.transport``.

    Formulas write ``P`` for the trial and the study around it, ``P*`` for the population.

    Parameters
    ----------
    graph : DAG
    treatment, outcome, differs : tuple of str
        ``differs`` are the variables whose mechanism differs between the two.
    strategy : {"no effect", "same effect", "reweighting", "formula", "none"}
        The simplest way that works. Reweighting averages the trial's effect by covariates over the population's.
    estimand : Expression or None
        Formula of the population's interventional distribution.
    stuck : tuple of str
        Where nothing works: variables whose joint mechanism neither trial nor population shows.
    """

    graph: DAG
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    differs: tuple[str, ...]
    strategy: How
    estimand: Expression | None
    stuck: tuple[str, ...]
    question: Transport

    checks = Checks({})

    @property
    def transportable(self) -> bool:
        """Whether the population's effect follows from the trial and observations of the population."""
        return self.estimand is not None

    @property
    def covariate_sets(self) -> Iterator[frozenset[str]]:
        """Every minimal set of covariates on which the trial may be reweighted; the empty set if none is needed."""
        names = self.graph.nodes
        return (frozenset(names[at] for at in chosen) for chosen in self.question.covariate_sets())

    @property
    def title(self) -> str:
        """The question."""
        effect = f"effect of {', '.join(self.treatment)} on {', '.join(self.outcome)}"
        return f"Carrying over the {effect} where {', '.join(self.differs) or 'nothing'} differs"

    @property
    def answer(self) -> str:
        """The verdict in one sentence."""
        if self.estimand is None:
            return f"The effect can't be carried over. {self.explain()}"
        effect = f"P*({', '.join(self.outcome)} | do({', '.join(self.treatment)}))"
        return f"The effect can be carried over ({self.strategy}): {effect} = {self.formula()}."

    def formula(self, latex: bool = False) -> str:
        """Return the formula as text or LaTeX; ``P`` is of the trial, ``P*`` of the population.

        Raises
        ------
        IdentificationError
            If there is none.
        """
        if self.estimand is None:
            raise IdentificationError("there is no formula.", hint=self.explain())
        shown = with_primes(self.estimand, frozenset(self.treatment))
        return shown.latex() if latex else shown.text()

    def explain(self) -> str:
        """Say why."""
        if self.strategy == "no effect":
            return "No causal path leads from the treatment to the outcome: the effect is zero in both."
        if self.strategy == "same effect":
            return "What differs does not tell of the outcome once the treatment is set: the trial's effect is that of both."
        if self.strategy == "reweighting":
            chosen = ", ".join(sorted(next(self.covariate_sets)))
            return (
                f"Given {chosen}, what differs tells no more of the outcome: average the trial's effects by {chosen} over the "
                "population."
            )
        if self.strategy == "formula" and self.estimand is not None and not taken_from(self.estimand) - {POPULATION}:
            return "Observations of the population identify the effect; the trial is not needed."
        if self.strategy == "formula":
            return "No covariates will do, but each factor of the effect is found in the trial or in the population."
        told = ", ".join(self.stuck)
        changed = [name for name in self.stuck if name in self.differs]
        why = (
            f"its mechanism is not that of the trial ({', '.join(changed)} differs)"
            if changed
            else "the trial does not show it either"
        )
        return f"How {told} comes about in the population is not identified from observations of it, and {why}."

    def verify(self, n_models: int = 20, random_state: int = 0) -> Verification:
        """Evaluate the formula in random pairs of trial and population, and compare it with the truth.

        Parameters
        ----------
        n_models : int
            Pairs with random probabilities, two values a variable, that differ in the mechanisms of ``differs`` only.
        random_state : int
            Seed.

        Returns
        -------
        Verification

        Raises
        ------
        IdentificationError
            If there is no formula.
        DesignError
            If the graph has too many nodes for a table of all values.
        """
        if self.estimand is None:
            raise IdentificationError("there is no formula to verify.", hint=self.explain())
        mixed = self.question.graph
        kept = sorted(self.question.observed)
        if len(kept) + sum(map(len, mixed.siblings)) // 2 > _MOST_NODES:
            raise DesignError(f"a table over {len(kept)} variables is too large.", hint="Verify a smaller graph.")
        small = mixed.renumbered(kept)
        rng = np.random.default_rng(random_state)
        errors = [self.question.error(self.estimand, kept, small, rng) for _ in range(n_models)]
        return Verification(max(errors, default=0.0), n_models)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict."""
        return (Passage("assumptions", self.title, (self.answer, self.explain()), self.to_table()),)

    def to_table(self) -> Table:
        """Return what was found, by kind."""
        rows = [("strategy", str(self.strategy)), ("differs", ", ".join(self.differs))]
        if self.estimand is not None:
            rows.append(("formula", self.formula()))
        rows += [("covariates to reweight on", braced(chosen)) for chosen in islice(self.covariate_sets, LISTED)]
        return Table.of(("what", "which"), rows)


def transport(graph: DAG, treatment: Nodes, outcome: Nodes, differs: Nodes) -> Transportation:
    """Find the simplest way to carry an effect over; the arguments are numbers of nodes."""
    names, mixed = graph.nodes, graph.projected()
    number = {name: at for at, name in enumerate(names)}
    latent = frozenset(number[name] for name in graph.latent)
    observed = frozenset(range(len(names))) - latent
    changed = (differs - latent).union(*(graph.mixed.reached_through(node, latent) for node in differs & latent), NONE)
    question = Transport(mixed, names, treatment, outcome, changed, observed)
    x, y, said = (tuple(names[at] for at in sorted(part)) for part in (treatment, outcome, differs))
    strategy: How = "none"
    estimand: Expression | None = None
    stuck: tuple[str, ...] = ()
    covariates = next(question.covariate_sets(), None)
    if not mixed.without_edges(into=treatment).descendants(treatment) & outcome:
        strategy, estimand = "no effect", PlacedProbability(y)
    elif covariates is not None:
        strategy, estimand = "reweighting" if covariates else "same effect", question.reweighted(covariates)
    else:
        try:
            strategy, estimand = "formula", question.formula()
        except Hedge as found:
            strategy, stuck = "none", tuple(names[at] for at in sorted(found.inner))
    return Transportation(graph, x, y, said, strategy, estimand, stuck, question)
