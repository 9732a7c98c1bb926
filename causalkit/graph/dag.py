"""``DAG``: a causal graph, asked by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from causalkit.errors import DesignError
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.adjustment_verdict import AdjustmentVerdict, judge
from causalkit.graph.controls import Controls, classify
from causalkit.graph.frontdoor import conditional_instruments, frontdoor_sets
from causalkit.graph.generalized_adjustment import GeneralizedAdjustment
from causalkit.graph.implications import ImplicationKind, implications
from causalkit.graph.natural_effects import NaturalEffects, natural_effects
from causalkit.graph.nodes import Nodes
from causalkit.graph.orientation import Orientable
from causalkit.graph.pdag import Possibility, identify_class, possibilities
from causalkit.graph.structure import disjoint
from causalkit.graph.transport_verdict import Transportation, transport
from causalkit.graph.verdict import Identification, identify

if TYPE_CHECKING:
    from causalkit.graph.falsification import Falsification
    from causalkit.graph.implication_report import Correction, ImplicationTests
    from causalkit.graph.independence_tests import TestMethod
    from causalkit.graph.structural import StructuralModel

Kind = Literal["minimal", "minimum", "optimal", "canonical", "all"]
KINDS = ("minimal", "minimum", "optimal", "canonical", "all")


class DAG(Orientable):
    """A causal graph: arrows are direct causes, ``<->`` stands for a cause of both that was not measured.

    An edge ``--`` has no direction yet. Such a graph stands for every DAG with its edges, its directions and no other two
    causes that meet without an edge between them: the CPDAG that data can tell, or, with directions from background
    knowledge, an MPDAG. What has to be directed is (Meek 1995), and answers hold for all its DAGs.

    Parameters
    ----------
    edges : str, mapping, networkx graph, or pairs
        ``"z -> t -> y; z -> y"``, dagitty, DOT or GML text, a mapping from node to its children or what ``to_dict`` wrote, a
        networkx graph, a dowhy model or graph, another ``DAG``, or (tail, head) pairs. Names may hold anything; in text,
        those with spaces stand in double quotes.
    latent : list of str
        Nodes that were not measured.
    bidirected : list of pairs
        Pairs with a common cause that was not measured, beside those written ``<->``.
    nodes : list of str, optional
        Further nodes, or all of them to fix their order.
    selected : list of str
        Nodes that decide who is in the data.
    undirected : list of pairs
        Edges without a direction, beside those written ``--``.

    Raises
    ------
    DesignError
        If the text can't be read, a name is not known, a node causes itself, there is a cycle (which is shown), or no DAG has
        the undirected edges.

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
        return judge(self, self._problem(x, y, effect), self._set(covariates))

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
        if self.undirected:
            return identify_class(self, one, two, known)
        return identify(self, one, two, known)

    def frontdoor_sets(self, x: str | Iterable[str], y: str | Iterable[str]) -> Iterator[frozenset[str]]:
        """Yield every minimal front-door set (Pearl 2009, definition 3.3.3), small ones first.

        Parameters
        ----------
        x, y : str or list of str
            Treatments and outcomes.
        """
        self.needs_directions("front-door sets")
        one, two = self._set(x), self._set(y)
        return (self._names(s) for s in frontdoor_sets(self._graph, one, two, self._set(self.latent)))

    def natural_effects(self, x: str, y: str, mediator: str | Iterable[str]) -> NaturalEffects:
        """Say whether the effect can be split into what mediators carry and what they do not.

        Parameters
        ----------
        x, y : str
            One treatment and one outcome.
        mediator : str or list of str
            What carries the indirect effect; several count together.

        Returns
        -------
        NaturalEffects
            ``identified``, ``covariates``, ``explain()``, ``estimate(data, ck.Mediation())``.
        """
        self.needs_directions("natural effects")
        return natural_effects(self, x, y, [mediator] if isinstance(mediator, str) else list(mediator))

    def instruments(self, x: str | Iterable[str], y: str | Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield (instrument, minimal set to adjust for).

        An instrument is related to ``x`` and, given the set, to ``y`` only through it (Brito and Pearl 2002). Effects of
        ``x`` are neither offered as instruments nor put into the set.
        """
        self.needs_directions("instruments")
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
        self.needs_directions("good and bad controls")
        problem = self._problem(x, y, "total")
        if len(problem.treatment) != 1 or len(problem.outcome) != 1:
            raise DesignError("controls are classified for one treatment and one outcome.", hint="Name one of each.")
        found, base = classify(self, problem)
        return Controls(self, str(x), str(y), found, base)

    # The graph beside data.

    def implied_independencies(self, kind: ImplicationKind = "minimal") -> Iterator[tuple[str, str, frozenset[str]]]:
        """Yield (one, other, given): what the graph says must be independent in the data.

        Parameters
        ----------
        kind : {"minimal", "basis"}
            Every minimal set of every pair, or one set a pair: the parents of the later one, where all was measured.
        """
        if kind not in ("minimal", "basis"):
            raise DesignError(f"kind={kind!r} is not known.", hint="Use 'minimal' or 'basis'.")
        found = implications(self._graph, self._set(self.latent), self._set(self.selected), kind)
        return ((self.nodes[one], self.nodes[two], self._names(given)) for one, two, given in found)

    def test(
        self,
        data: Any,
        method: TestMethod = "auto",
        *,
        kind: ImplicationKind = "basis",
        alpha: float = 0.05,
        correction: Correction = "bh",
        regressor: Any = None,
        n_folds: int = 5,
        random_state: int = 0,
    ) -> ImplicationTests:
        """Test the independencies that the graph implies on a table with a column for each measured node.

        Parameters
        ----------
        data : table
            Each test uses the rows that are complete in its columns.
        method : {"auto", "partial_correlation", "gcm", "kernel", "g2"}
            Partial correlations (linear dependence); the generalised covariance measure of Shah and Peters (2020), with any
            learner; random Fourier features (Strobl et al. 2019: any shape); counts of categories within strata. ``"auto"``
            takes counts where all columns have few values; the covariance measure where both tested columns have, or some
            are categories without order; and partial correlations elsewhere; the table says which.
        kind : {"basis", "minimal"}
            As in :meth:`implied_independencies`.
        alpha : float
            Level.
        correction : {"bh", "holm"}
            What the level is of: the false-discovery rate, or the chance of any false alarm. The table has both.
        regressor, n_folds
            Learner and folds of ``"gcm"``; LightGBM by default. It predicts indicators of categories as well, whose means a
            line does not follow: ``"linear"`` may find a dependence of two of them that is none.
        random_state : int
            For folds, learners, random features and permutations.

        Raises
        ------
        DataError, DesignError
            If columns are missing, infinite or constant, or the method can't deal with one.
        """
        from causalkit.graph.implication_report import run_tests

        return run_tests(self, data, method, kind, alpha, correction, regressor, n_folds, random_state)

    def falsify(
        self,
        data: Any,
        n_permutations: int | None = None,
        *,
        method: TestMethod = "auto",
        alpha: float = 0.05,
        regressor: Any = None,
        n_folds: int = 5,
        random_state: int = 0,
    ) -> Falsification:
        """Ask whether the graph fits the data better than the same graph with its names shuffled (Eulig et al. 2023).

        The local Markov conditions are tested, each once, and violations counted in the graph and in its relabellings.

        Parameters
        ----------
        data : table
            Rows that lack a value in any column of the graph are left out and counted.
        n_permutations : int, optional
            Relabellings, drawn without repetition. By default all of them for up to six nodes, else 499.
        method, regressor, n_folds, random_state
            As in :meth:`test`.
        alpha : float
            Level of each test and of the verdict.

        Raises
        ------
        DataError, DesignError
            As for :meth:`test`.
        """
        from causalkit.graph.falsification import falsify

        return falsify(self, data, n_permutations, method, alpha, regressor, n_folds, random_state)

    def possible_effects(self, x: str | Iterable[str], y: str | Iterable[str]) -> Iterator[Possibility]:
        """Yield what the effect of ``x`` on ``y`` may be: for each possibility, the directions and what to adjust for.

        As IDA does (Maathuis, Kalisch and Buehlmann 2009), but with the fewest possibilities: two of them have different
        effects (Guo and Perkovic 2021). The effect is identified if there is one.

        Parameters
        ----------
        x, y : str or list of str
            Treatments and outcomes.
        """
        problem = self._problem(x, y, "total")
        return possibilities(self, problem.treatment, problem.outcome)

    def transport(self, x: str | Iterable[str], y: str | Iterable[str], differs: str | Iterable[str]) -> Transportation:
        """Say whether the effect found in a trial of ``x`` carries over to a population that differs from it, and how.

        Parameters
        ----------
        x, y : str or list of str
            Treatments of the trial, and outcomes.
        differs : str or list of str
            Variables whose mechanism, or distribution where nothing causes them, differs between trial and population. All
            measured variables are observed in both.

        Returns
        -------
        Transportation
            ``transportable``, ``strategy``, ``formula()``, ``covariate_sets``, ``explain()`` and ``verify()``.
        """
        self.needs_directions("mechanisms that differ")
        problem, changed = self._problem(x, y, "total"), self._set(differs)
        hidden = (problem.treatment | problem.outcome) & problem.latent
        if hidden or self.selected:
            raise DesignError(
                f"{self._said(hidden or problem.selected)} {'was not measured' if hidden else 'decides who is in the data'}.",
                hint="Ask about measured variables, in a graph without selected nodes.",
            )
        return transport(self, problem.treatment, problem.outcome, changed)

    def structural_model(self, data: Any, regressor: Any = None) -> StructuralModel:
        """Fit each measured node as a function of its causes plus noise (dowhy.gcm), to ask what would have happened.

        Parameters
        ----------
        data : table
            A numeric column for each node.
        regressor : scikit-learn regressor, optional
            Linear by default.

        Returns
        -------
        StructuralModel
            ``counterfactual(observed, do)``, and the fitted ``model`` of dowhy.
        """
        from causalkit.graph.structural import structural_model

        return structural_model(self, data, regressor)

    def _problem(self, x: str | Iterable[str], y: str | Iterable[str], effect: str) -> Adjustment:
        if effect not in ("total", "direct"):
            raise DesignError(f"effect={effect!r} is not known.", hint="Use 'total' or 'direct'.")
        one, two = self._set(x), self._set(y)
        if not one or not two:
            raise DesignError("a treatment and an outcome are needed.", hint="Name both.")
        disjoint({"the treatment": one, "the outcome": two}, self.nodes)
        latent = self._set(self.latent)
        if self.undirected:
            if effect == "direct":
                self.needs_directions("direct effects")
            return GeneralizedAdjustment.of(self.partial, self._graph, one, two, latent)
        return Adjustment(self._graph, one, two, latent, self._set(self.selected), effect == "direct")
