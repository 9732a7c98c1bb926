"""Carrying the effect found in a trial over to a population in which some mechanisms differ.

A factor of the effect can be taken from where its mechanism is the same: from the trial if none of its variables differs,
else from observations of the population. The effect can be carried over if and only if every factor is identified from one of
them (Lee, Correa and Bareinboim 2020, *General transportability*; for one trial, Bareinboim and Pearl 2013).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from causalkit.graph.expressions import Expression, Probability, Product, Ratio, Sum
from causalkit.graph.id_algorithm import Hedge, Identifier
from causalkit.graph.models import DiscreteModel
from causalkit.graph.nodes import NONE, Mixed, Nodes
from causalkit.graph.separators import minimal_separators
from causalkit.kernels.arrays import Floats

#: Name of the axis of a stacked table that says where a probability was taken, and its places.
PLACE = "\0place"
POPULATION, STUDY, TRIAL = 0, 1, 2


@dataclass(frozen=True)
class PlacedProbability(Probability):
    """``P*(of | given)`` of the population, or ``P(of | do(do), given)`` of the study."""

    place: int = POPULATION
    do: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the formula as plain text."""
        known = [*([f"do({', '.join(self.do)})"] if self.do else []), *self.given]
        bar = f" | {', '.join(known)}" if known else ""
        return f"P{'*' if self.place == POPULATION else ''}({', '.join(self.of)}{bar})"

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        plain = Probability(self.of, self.given).latex().removeprefix("P(")
        if self.do:
            inner = Probability(self.do).latex().removeprefix("P")
            do = rf"\mathrm{{do}}{inner}"
            plain = plain.replace(r" \mid ", rf" \mid {do}, ", 1) if self.given else rf"{plain[:-1]} \mid {do})"
        return f"P{'^{*}' if self.place == POPULATION else ''}({plain}"

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the probabilities, from a table of all places (the axis `PLACE`)."""
        here = joint.take([self.place], axis=list(names).index(PLACE))
        known = (*self.given, *self.do, PLACE)
        return Probability((*self.of, *known)).evaluate(here, names) / Probability(known).evaluate(here, names)


@dataclass(frozen=True, eq=False)
class Transport:
    """The question whether an effect can be carried over.

    Parameters
    ----------
    graph : Mixed
        Without latent nodes.
    names : sequence of str
    treatment, outcome : sets of nodes
        The treatments are those of the trial.
    differing : set of nodes
        Nodes whose mechanism differs between trial and population.
    observed : set of nodes
    """

    graph: Mixed
    names: Sequence[str]
    treatment: Nodes
    outcome: Nodes
    differing: Nodes
    observed: Nodes

    def covariate_sets(self) -> Iterator[Nodes]:
        """Yield every minimal set of covariates, not affected by the treatment, on which the trial may be reweighted.

        Given the set and the treatment, nothing that differs tells of the outcome (Pearl and Bareinboim 2011,
        S-admissibility); the empty set says that the effect is the same.
        """
        n = len(self.graph)
        edges = [(tail, head) for head, tails in enumerate(self.graph.parents) for tail in tails]
        siblings = [(a, b) for a, others in enumerate(self.graph.siblings) for b in others if a < b]
        marked = Mixed.of(n + 1, [*edges, *((n, node) for node in self.differing)], siblings)
        cut, switch = marked.without_edges(into=self.treatment), frozenset([n])
        above = cut.ancestors(switch | self.outcome | self.treatment)
        neighbours = cut.moral(above)
        for node in self.treatment:
            for other in neighbours[node]:
                neighbours[other].discard(node)
            neighbours[node] = set()
        allowed = (self.observed & above) - self.graph.descendants(self.treatment) - self.outcome
        return minimal_separators(neighbours, switch, self.outcome, allowed)

    def reweighted(self, covariates: Nodes) -> Expression:
        """Return the trial's effect by covariates, averaged over the population's."""
        x, y, z = (self._named(part) for part in (self.treatment, self.outcome, covariates))
        effect = PlacedProbability(y, z, TRIAL, x)
        return Sum(z, Product((effect, PlacedProbability(z)))) if z else effect

    def formula(self) -> Expression:
        """Return a formula that takes each factor from where it is identified.

        Raises
        ------
        Hedge
            If a factor is identified nowhere; ``inner`` holds its variables.
        """
        left = self.observed - self.treatment
        needed = self.graph.subgraph(left).ancestors(self.outcome)
        factors = tuple(self._factor(part) for part in self.graph.districts(needed))
        inner = factors[0] if len(factors) == 1 else Product(factors)
        over = self._named(needed - self.outcome)
        return Sum(over, inner) if over else inner

    def _factor(self, part: Nodes) -> Expression:
        search = Identifier(self.graph, self.names)
        fixed = self._named(self.treatment)
        same = not part & self.differing
        places = [(TRIAL, self.treatment)] * same + [(POPULATION, NONE)] + [(STUDY, NONE)] * same
        for place, gone in places:
            nodes = self.observed - gone
            try:
                found = search.factor(part, nodes)
            except Hedge as hedge:
                outer = hedge.outer
            else:
                return _placed(found, place, fixed if gone else ())
        raise Hedge(outer, part)

    def error(self, formula: Expression, kept: Sequence[int], small: Mixed, rng: np.random.Generator) -> float:
        """Return the largest error of a formula in one random pair of trial and population.

        Parameters
        ----------
        formula : Expression
        kept : sequence of int
            The observed nodes.
        small : Mixed
            The graph on these, renumbered.
        rng : Generator
        """
        place = {node: at for at, node in enumerate(kept)}
        x, y, changed = (
            sorted(place[node] for node in part) for part in (self.treatment, self.outcome, self.differing)
        )
        population, other = DiscreteModel.drawn(small, rng), DiscreteModel.drawn(small, rng)
        tables = tuple(other.tables[at] if at in changed else table for at, table in enumerate(population.tables))
        study = DiscreteModel(tables, population.hidden, population.n)
        settings = [dict(zip(x, values, strict=True)) for values in product(range(2), repeat=len(x))]
        trial = np.sum([study.joint(setting) for setting in settings], axis=0)
        stacked = np.stack([population.joint(), study.joint(), trial], axis=-1)
        told = formula.evaluate(stacked, [*(self.names[node] for node in kept), PLACE])[..., 0]
        worst = 0.0
        for setting in settings:
            truth = population.joint(setting)
            truth = truth.sum(axis=tuple(axis for axis in range(truth.ndim) if axis not in y), keepdims=True)
            here = told
            for axis, value in setting.items():
                here = here.take([value if here.shape[axis] > 1 else 0], axis=axis)
            worst = max(worst, float(np.abs(here - truth).max()))
        return worst

    def _named(self, nodes: Nodes) -> tuple[str, ...]:
        return tuple(self.names[node] for node in sorted(nodes))


def taken_from(formula: Expression) -> set[int]:
    """Return the places from which a formula takes probabilities."""
    if isinstance(formula, PlacedProbability):
        return {formula.place}
    if isinstance(formula, Ratio):
        return taken_from(formula.above) | taken_from(formula.below)
    parts = formula.factors if isinstance(formula, Product) else [formula.inner] if isinstance(formula, Sum) else []
    return set().union(*map(taken_from, parts))


def _placed(formula: Expression, place: int, do: tuple[str, ...]) -> Expression:
    """Say of every probability in a formula where it is taken."""
    if isinstance(formula, Probability):
        return PlacedProbability(formula.of, formula.given, place, do)
    if isinstance(formula, Sum):
        return Sum(formula.over, _placed(formula.inner, place, do))
    if isinstance(formula, Product):
        return Product(tuple(_placed(part, place, do) for part in formula.factors))
    assert isinstance(formula, Ratio)
    return Ratio(_placed(formula.above, place, do), _placed(formula.below, place, do))
