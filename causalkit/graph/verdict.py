"""The verdict on an effect: whether and how it is identified, why, and whether the formula is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.expressions import Expression, with_primes
from causalkit.graph.id_algorithm import Hedge, Identifier
from causalkit.graph.layout import drawing
from causalkit.graph.measurement import Measurement, what_to_measure
from causalkit.graph.models import DiscreteModel
from causalkit.graph.nodes import Nodes
from causalkit.graph.structure import braced

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG
    from causalkit.graph.overidentification import SetComparison

Strategy = Literal["no effect", "adjustment", "front-door", "formula", "instrument", "none"]
#: What estimators call the strategy, how a sentence does, and which of them carry it out.
_ADJUSTMENT = ("adjustment", "adjustment", "ck.AIPW, ck.DoubleML or ck.OLS")
_DOES: Mapping[str, tuple[str, str, str]] = {
    "adjustment": _ADJUSTMENT,
    "no effect": _ADJUSTMENT,
    "front-door": ("front_door", "the front door", "ck.FrontDoor"),
    "instrument": ("instrument", "an instrument", "ck.IV"),
}
#: Sets of a kind that a table lists.
LISTED = 5
#: Instruments that are looked at, where a graph has many.
_MOST_INSTRUMENTS = 50
#: Cells of the largest table of all values on which a formula is verified.
_MOST_CELLS = 2**20


@dataclass(frozen=True)
class Verification:
    """How a formula fares in random models in which the truth is known.

    Parameters
    ----------
    max_error : float
        Largest difference from the true interventional probability.
    n_models : int
        Models drawn.
    """

    max_error: float
    n_models: int


@dataclass(frozen=True, eq=False, repr=False)
class Identification(Report):
    """What a graph says of an effect; it is made by ``DAG.identify``.

    Parameters
    ----------
    graph : DAG
    treatment, outcome, given : tuple of str
    strategy : {"no effect", "adjustment", "front-door", "formula", "instrument", "none"}
        The simplest way that works. An instrument alone identifies the effect only with further assumptions.
    estimand : Expression or None
        Formula of the interventional distribution.
    hedge : tuple of tuple of str, or None
        The two nested districts that prove that no formula exists.
    """

    graph: DAG
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    given: tuple[str, ...]
    strategy: Strategy
    estimand: Expression | None
    hedge: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    checks = Checks({})
    plots: ClassVar[tuple[str, ...]] = ("graph",)

    @property
    def identified(self) -> bool:
        """Whether the graph alone identifies the effect."""
        return self.estimand is not None

    @property
    def adjustment_sets(self) -> Iterator[frozenset[str]]:
        """Every minimal adjustment set."""
        return self.graph.adjustment_sets(self.treatment, self.outcome)

    @property
    def frontdoor_sets(self) -> Iterator[frozenset[str]]:
        """Every minimal front-door set."""
        return self.graph.frontdoor_sets(self.treatment, self.outcome)

    @property
    def instruments(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Every instrument, with each minimal set that it needs."""
        return self.graph.instruments(self.treatment, self.outcome)

    @property
    def title(self) -> str:
        """The question."""
        given = f" given {', '.join(self.given)}" if self.given else ""
        return f"Effect of {', '.join(self.treatment)} on {', '.join(self.outcome)}{given}"

    @property
    def answer(self) -> str:
        """The verdict in one sentence."""
        effect = f"P({', '.join((*self.outcome,))} | do({', '.join(self.treatment)}){_bar(self.given)})"
        if self.estimand is not None:
            return f"Identified ({self.strategy}): {effect} = {self.formula()}."
        return f"Not identified by the graph alone. {self.explain()}"

    def formula(self, latex: bool = False) -> str:
        """Return the formula as text or LaTeX; a treatment that is summed over is written with a prime.

        Raises
        ------
        IdentificationError
            If there is none.
        """
        if self.estimand is None:
            raise IdentificationError("there is no formula.", hint=self.explain())
        shown = with_primes(self.estimand, frozenset((*self.treatment, *self.given)))
        return shown.latex() if latex else shown.text()

    def explain(self) -> str:
        """Say why."""
        if self.strategy == "no effect":
            return "No causal path leads from the treatment to the outcome: the effect is zero."
        if self.strategy == "adjustment":
            chosen = next(self.adjustment_sets)
            needed = f"Adjust for {', '.join(sorted(chosen))}" if chosen else "Nothing needs to be adjusted for"
            return f"{needed}: every path that is not causal is then blocked."
        if self.strategy == "front-door":
            chosen = next(self.frontdoor_sets)
            return (
                f"No set of covariates will do, but {', '.join(sorted(chosen))} carries all of the effect unconfounded."
            )
        if self.strategy == "formula":
            return "No adjustment or front-door set exists; the general algorithm finds a formula."
        if self.graph.selected:
            who = ", ".join(sorted(self.graph.selected))
            return f"Who is in the data depends on {who}; only adjustment is known to survive that, and no set does."
        assert self.hedge is not None
        outer, inner = (", ".join(part) for part in self.hedge)
        said = (
            f"Common causes that were not measured join {outer}, and still join {inner} once the treatment is set (a hedge): "
            "two models with the same data can differ in the effect."
        )
        if self.strategy == "instrument":
            instrument, others = next(self.instruments)
            beside = f" given {', '.join(sorted(others))}" if others else ""
            said += f" {instrument} is an instrument{beside}: with a further assumption (such as linearity) it identifies one."
        return said

    def what_to_measure(self, cost: Mapping[str | tuple[str, str], float] | None = None) -> Iterator[Measurement]:
        """Yield what else would have to be measured for the effect to be identified: minimal sets, of least cost first.

        Parameters
        ----------
        cost : mapping, optional
            Positive cost of each latent node, and of each pair joined by ``<->`` (the cause behind it); 1 by default.

        Yields
        ------
        Measurement
            ``nodes``, ``pairs`` and ``cost``; one without any if the effect is identified as things are.

        Raises
        ------
        DesignError
            If ``cost`` names something else, or a cost is not positive.
        IdentificationError
            If the graph has undirected edges, or selection is what stands in the way.
        """
        return what_to_measure(self, cost)

    def verify(self, n_models: int = 20, levels: int = 2, random_state: int = 0) -> Verification:
        """Evaluate the formula in random models and compare it with the true interventional distribution.

        Parameters
        ----------
        n_models : int
            Models with random probabilities and the structure of the graph.
        levels : int
            Values of each variable.
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
        names, mixed = self.graph.nodes, self.graph.projected()
        kept = [at for at, name in enumerate(names) if name not in self.graph.latent]
        if levels ** (len(kept) + sum(map(len, mixed.siblings)) // 2) > _MOST_CELLS:
            raise DesignError(
                f"a table over {len(kept)} variables is too large.", hint="Verify a graph of fewer variables or levels."
            )
        small = mixed.renumbered(kept)
        labels = [names[at] for at in kept]
        rng = np.random.default_rng(random_state)
        worst = max(self._error(DiscreteModel.drawn(small, rng, levels), labels, levels) for _ in range(n_models))
        return Verification(float(worst), n_models)

    def _error(self, model: DiscreteModel, labels: list[str], levels: int) -> float:
        assert self.estimand is not None
        x, y, z = ([labels.index(name) for name in part] for part in (self.treatment, self.outcome, self.given))
        told = self.estimand.evaluate(model.joint(), labels)
        worst = 0.0
        for values in product(range(levels), repeat=len(x)):
            truth = model.joint(dict(zip(x, values, strict=True)))
            truth = truth.sum(axis=tuple(axis for axis in range(truth.ndim) if axis not in (*y, *z)), keepdims=True)
            if z:
                truth = truth / truth.sum(axis=tuple(y), keepdims=True)
            here = told
            for axis, value in zip(x, values, strict=True):
                here = here.take([value if here.shape[axis] > 1 else 0], axis=axis)
            worst = max(worst, float(np.abs(here - truth).max()))
        return worst

    def estimate(self, data: Any, estimator: Any, **roles: Any) -> Any:
        """Fit an estimator with the columns that the graph asks for.

        Parameters
        ----------
        data : table
            With a column for each measured node that is used.
        estimator : Estimator
            One that declares the strategy: such as ``ck.AIPW()`` or ``ck.OLS()`` for adjustment (``covariates=`` is filled in),
            ``ck.FrontDoor()`` for the front door (``mediator=``), ``ck.IV()`` for an instrument (``instruments=`` and
            ``covariates=``; every instrument that needs the same, smallest set of covariates).
        **roles
            Further keywords of ``fit``, such as ``control=`` or ``cluster=``; they win over what is filled in.

        Returns
        -------
        Result

        Raises
        ------
        IdentificationError
            If no estimator carries out the strategy, or this one does another.
        """
        if len(self.treatment) != 1 or len(self.outcome) != 1:
            raise IdentificationError("several treatments or outcomes need a fit each.", hint="Ask for one pair.")
        if self.strategy not in _DOES:
            raise IdentificationError(f"no estimator carries out the strategy {self.strategy!r}.", hint=self.explain())
        needed, what, whom = _DOES[self.strategy]
        if needed not in estimator.strategies:
            own = ", ".join(strategy.replace("_", "-") for strategy in estimator.strategies) or "something else"
            why = self.explain()
            raise IdentificationError(
                f"{type(estimator).__name__} estimates by {own}, and the graph asks for {what}: {why[0].lower()}{why[1:]}",
                hint=f"Use {whom}.",
            )
        named = self._columns()
        lacking = [role for role in named if role not in estimator.roles]
        if lacking:
            raise IdentificationError(
                f"{type(estimator).__name__} has no role {lacking[0]}=, which the graph fills in.", hint=f"Use {whom}."
            )
        given: Mapping[str, Any] = {**named, **roles}
        return estimator.fit(data, outcome=self.outcome[0], treatment=self.treatment[0], **given)

    def _columns(self) -> dict[str, list[str]]:
        """Return the columns that the strategy needs, by role."""
        if self.strategy == "front-door":
            return {"mediator": sorted(next(self.frontdoor_sets))}
        if self.strategy == "instrument":
            found = list(islice(self.instruments, _MOST_INSTRUMENTS))
            beside = min((others for _, others in found), key=lambda others: (len(others), sorted(others)))
            return {
                "instruments": sorted({name for name, others in found if others == beside}),
                "covariates": sorted(beside),
            }
        best = next(self.graph.adjustment_sets(self.treatment, self.outcome, kind="optimal"), None)
        return {"covariates": sorted(best if best is not None else next(self.adjustment_sets))}

    def compare_sets(
        self, data: Any, estimator: Any = None, *, limit: int = 20, alpha: float = 0.05, **roles: Any
    ) -> SetComparison:
        """Estimate the effect with each minimal adjustment set: if the graph is right, they agree.

        Parameters
        ----------
        data : table
            With a column for each measured node that is used.
        estimator : Estimator, optional
            One that adjusts for covariates; ``ck.OLS()`` by default.
        limit : int
            Most minimal sets that are compared, at least 2.
        alpha : float
            Level of the joint test that all sets agree.
        **roles
            Further keywords of ``fit``, such as ``control=`` or ``cluster=``.

        Returns
        -------
        SetComparison

        Raises
        ------
        IdentificationError
            If the effect is not identified by adjustment, or the estimator does not adjust.
        """
        from causalkit.graph.overidentification import compare_sets

        return compare_sets(self, data, estimator, limit, alpha, roles)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict with the graph."""
        return (Passage("assumptions", self.title, (self.answer, self.explain()), self.to_table(), "graph"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the graph, what is adjusted for in it, and the paths that are causal or stay open."""
        adjusted = next(self.adjustment_sets, frozenset()) if self.strategy == "adjustment" else frozenset()
        return drawing(self.graph, self.treatment, self.outcome, adjusted, self.title)

    def to_table(self) -> Table:
        """Return what was found, by kind."""
        rows: list[tuple[str, str]] = [("strategy", self.strategy)]
        if self.estimand is not None:
            rows.append(("formula", self.formula()))
        rows += [("adjustment set", braced(chosen)) for chosen in islice(self.adjustment_sets, LISTED)]
        rows += [("front-door set", braced(chosen)) for chosen in islice(self.frontdoor_sets, LISTED)]
        rows += [("instrument", f"{name} given {braced(needed)}") for name, needed in islice(self.instruments, LISTED)]
        return Table.of(("what", "which"), rows)


def identify(graph: DAG, treatment: Nodes, outcome: Nodes, given: Nodes) -> Identification:
    """Find the simplest strategy that identifies an effect; the arguments are numbers of nodes."""
    names = graph.nodes
    mixed = graph.projected()
    observed = frozenset(at for at, name in enumerate(names) if name not in graph.latent)
    hedge = None
    estimand: Expression | None = None
    try:
        estimand = Identifier(mixed, names).effect(outcome, treatment, given, observed)
    except Hedge as found:
        hedge = tuple(tuple(names[at] for at in sorted(part)) for part in (found.outer, found.inner))
    one, two = (tuple(names[at] for at in sorted(part)) for part in (treatment, outcome))
    strategy: Strategy = "formula" if estimand is not None else "none"
    if estimand is None:
        if next(graph.instruments(one, two), None) is not None:
            strategy = "instrument"
    elif not given:
        if not mixed.without_edges(into=treatment).descendants(treatment) & outcome:
            strategy = "no effect"
        elif next(graph.adjustment_sets(one, two), None) is not None:
            strategy = "adjustment"
        elif next(graph.frontdoor_sets(one, two), None) is not None:
            strategy = "front-door"
    if graph.selected and strategy not in ("adjustment", "no effect"):
        strategy, estimand = "none", None  # formulas of everyone, where the data are of those selected
    return Identification(
        graph,
        one,
        two,
        tuple(names[at] for at in sorted(given)),
        strategy,
        estimand,
        hedge,  # type: ignore[arg-type]
    )


def _bar(given: tuple[str, ...]) -> str:
    return f", {', '.join(given)}" if given else ""
