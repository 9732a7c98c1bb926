"""``DAG``: a causal graph, asked by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from causalkit.errors import DesignError
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.controls import Controls, classify
from causalkit.graph.frontdoor import conditional_instruments, frontdoor_sets, independencies
from causalkit.graph.nodes import Nodes
from causalkit.graph.structure import Structure, disjoint
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


class DAG(Structure):
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
        return AdjustmentVerdict(False, f"the path {self.drawn(path)} stays open.", path)

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
        disjoint({"the treatment": one, "the outcome": two, "given": known}, self.nodes)
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

    def classify_controls(self, x: str, y: str) -> Controls:
        """Say of every measured variable whether to adjust for it, and why (Cinelli, Forney and Pearl 2022).

        Parameters
        ----------
        x, y : str
            One treatment and one outcome.

        Returns
        -------
        Controls
            One row per variable: verdict (good, bad, neutral), role, the path that makes it so, and why. Each variable is
            judged beside the smallest valid set.
        """
        problem = self._problem(x, y, "total")
        if len(problem.treatment) != 1 or len(problem.outcome) != 1:
            raise DesignError("controls are classified for one treatment and one outcome.", hint="Name one of each.")
        found, base = classify(self, problem)
        return Controls(self, str(x), str(y), found, base)

    def implied_independencies(self) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Yield (one, other, given): what the graph says must be independent in the data, with every minimal set."""
        for one, two, given in independencies(self._graph, self._set(self.latent)):
            yield self.nodes[one], self.nodes[two], self._names(given)

    def _problem(self, x: str | Iterable[str], y: str | Iterable[str], effect: str) -> Adjustment:
        if effect not in ("total", "direct"):
            raise DesignError(f"effect={effect!r} is not known.", hint="Use 'total' or 'direct'.")
        one, two = self._set(x), self._set(y)
        if not one or not two:
            raise DesignError("a treatment and an outcome are needed.", hint="Name both.")
        disjoint({"the treatment": one, "the outcome": two}, self.nodes)
        return Adjustment(self._graph, one, two, self._set(self.latent), self._set(self.selected), effect == "direct")
