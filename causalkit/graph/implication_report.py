"""The implied independencies of a graph, tested on a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.graph.implications import Implication, ImplicationKind, implications
from causalkit.graph.independence_tests import IndependenceTest, Outcome, TestMethod, make_test
from causalkit.graph.measured import Measured
from causalkit.graph.nodes import Nodes
from causalkit.inference.multiplicity import adjust_pvalues
from causalkit.inference.wald import require_alpha
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG
    from causalkit.graph.suggestions import Suggestions

Correction = Literal["bh", "holm"]


@dataclass(frozen=True, eq=False)
class Columns:
    """Which column of the data each node is.

    Parameters
    ----------
    graph : DAG
    data : Measured
        Its columns are the nodes that were measured and do not decide who is in the data, in the order of the nodes.
    """

    graph: DAG
    data: Measured

    @classmethod
    def read(cls, graph: DAG, data: Any) -> Columns:
        """Read the columns of a table that a graph has nodes for."""
        return cls(graph, Measured.read(data, testable(graph)))

    def place(self) -> dict[int, int]:
        """Return the position of the column of each node."""
        return {self.graph.nodes.index(name): at for at, name in enumerate(self.data.names)}

    def located(self, found: Implication) -> Implication:
        """Return an implication of nodes as one of columns."""
        return moved(found, self.place())


def testable(graph: DAG) -> tuple[str, ...]:
    """Return the nodes that can be tested."""
    names = tuple(name for name in graph.observed if name not in graph.selected)
    if len(names) < 2:
        raise DesignError(
            f"the graph has {len(names)} measured nodes.", hint="Nothing can be tested with fewer than 2."
        )
    return names


def moved(found: Implication, place: Mapping[int, int]) -> Implication:
    """Return an implication with other numbers."""
    one, two = sorted((place[found.one], place[found.two]))
    return Implication(one, two, frozenset(place[node] for node in found.given))


@dataclass(frozen=True, eq=False, repr=False)
class ImplicationTests(Report):
    """Which independencies that a graph implies the data contradict; it is made by ``DAG.test``.

    Parameters
    ----------
    graph : DAG
    implied : tuple of Implication
        By number of the node.
    outcomes : tuple of Outcome
        One per implication.
    alpha : float
        The level, of the false-discovery rate (``"bh"``) or the family-wise error (``"holm"``).
    correction : {"bh", "holm"}
    n : int
        Rows of the table.
    tester : IndependenceTest or None
        Tests further implications on the same data; a pickle leaves it out.
    columns : Columns or None
        As above.
    """

    graph: DAG
    implied: tuple[Implication, ...]
    outcomes: tuple[Outcome, ...]
    alpha: float
    correction: Correction
    n: int
    tester: IndependenceTest | None
    columns: Columns | None

    plots = ("effects",)

    @property
    def pvalues(self) -> Floats:
        """The p-value of each implication; NaN where it could not be tested."""
        return np.array([outcome.pvalue for outcome in self.outcomes], dtype=float)

    def adjusted(self, correction: Correction | None = None) -> Floats:
        """Return p-values adjusted for the number of tests.

        Parameters
        ----------
        correction : {"bh", "holm"}, optional
            By default the one of the test.
        """
        return adjust_pvalues(self.pvalues, self.correction if correction is None else correction)

    @property
    def failing(self) -> tuple[Implication, ...]:
        """The implications that the data contradict."""
        return tuple(one for one, p in zip(self.implied, self.adjusted(), strict=True) if p <= self.alpha)

    @property
    def falsified(self) -> bool:
        """Whether the data contradict any implication."""
        return bool(self.failing)

    def suggestions(self) -> Suggestions:
        """Return edits of one edge after which fewer implications fail, the best first.

        Raises
        ------
        InferenceUnavailable
            If this was read from a pickle.
        IdentificationError
            If the graph has undirected edges, which can't be turned.
        """
        from causalkit.graph.suggestions import suggest

        self.graph.needs_directions("edits of one edge")
        if self.tester is None or self.columns is None:
            raise InferenceUnavailable(
                "the data are not in a pickle, and each edit is tested on them.", hint="Run the test again."
            )
        return suggest(self)

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """One check of all implications, and one of the rows that some tests lacked."""
        return Checks({"implied_independencies": self._check, "missing": self._missing})

    def _check(self) -> Check:
        name, p = "implied_independencies", self.pvalues
        tested = int((~np.isnan(p)).sum())
        untested = len(p) - tested
        if not tested:
            return Check(name, "untestable", "The graph implies no independence that these data can test.")
        least = float(np.nanmin(self.adjusted("holm")))
        failing = len(self.failing)
        said = f"{failing} of {tested} implied independencies are contradicted ({self._control()})."
        if untested:
            said += f" {untested} more could not be tested: too few rows, or columns that others determine; the table names them."
        advice = "" if not failing else "Look at suggestions(), or at causes of two variables that were not measured."
        return Check(name, "fail" if failing else "pass", said, None, least, advice)

    def _missing(self) -> Check:
        lost = [self.n - outcome.n for outcome in self.outcomes]
        if not lost or not max(lost):
            return Check("missing", "pass", "Every test used every row.")
        said = f"Up to {fmt.plural(max(lost), 'row')} of {self.n:,} lacked a value that a test needs and were left out of it."
        return Check("missing", "warn", said, advice="The tests assume that values are missing at random.")

    def _control(self) -> str:
        kind = "false-discovery rate" if self.correction == "bh" else "family-wise error"
        return f"{kind} {self.alpha:g}"

    @property
    def title(self) -> str:
        """What was asked."""
        return "What the graph implies, tested on the data"

    @property
    def answer(self) -> str:
        """The verdict in words."""
        tested = int((~np.isnan(self.pvalues)).sum())
        if not tested:
            return "The graph implies no independence that these data can test: they can't contradict it."
        if not self.failing:
            return (
                f"None of the {tested} implied independencies that could be tested is contradicted ({self._control()}). "
                "That does not prove the graph: others imply the same, and small dependencies may be missed."
            )
        worst = min(range(len(self.implied)), key=lambda at: np.nan_to_num(self.pvalues[at], nan=2.0))
        return (
            f"{len(self.failing)} of {tested} implied independencies are contradicted ({self._control()}); "
            f"the clearest: {self.said(self.implied[worst])} (effect {fmt.number(self.outcomes[worst].effect, 3)})."
        )

    def said(self, implication: Implication) -> str:
        """Write an implication in words.

        Parameters
        ----------
        implication : Implication
        """
        names = self.graph.nodes
        given = ", ".join(names[at] for at in sorted(implication.given))
        text = f"{names[implication.one]} independent of {names[implication.two]}"
        return f"{text} given {given}" if given else text

    def _short(self, implication: Implication) -> str:
        """Write an implication so that figures, which cut long labels, show all of its names."""
        names = self.graph.nodes
        given = ", ".join(names[at] for at in sorted(implication.given))
        pair = f"{names[implication.one]}, {names[implication.two]}"
        return f"{pair} | {given}" if given else pair

    def to_table(self) -> Table:
        """Return one row per implication."""
        names = self.graph.nodes
        heads = ("one", "two", "given", "method", "effect", "ci_low", "ci_high", "statistic", "df")
        columns = (*heads, "pvalue", "pvalue_bh", "pvalue_holm", "n", "verdict")
        both = zip(
            self.implied, self.outcomes, self.adjusted("bh"), self.adjusted("holm"), self.adjusted(), strict=True
        )
        rows = []
        for (one, two, given), seen, bh, holm, adjusted in both:
            verdict = "untested" if np.isnan(adjusted) else "contradicted" if adjusted <= self.alpha else "kept"
            shown = ", ".join(names[at] for at in sorted(given))
            numbers = (seen.effect, seen.low, seen.high, seen.statistic, seen.df, seen.pvalue, float(bh), float(holm))
            rows.append((names[one], names[two], shown, seen.method, *numbers, seen.n, verdict))
        return Table.of(columns, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict with the table and, where effects have intervals, their figure."""
        figure = "effects" if self._drawn() else None
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), figure),)

    def _drawn(self) -> list[int]:
        found = [at for at, seen in enumerate(self.outcomes) if np.isfinite(seen.low)]
        return sorted(found, key=lambda at: (self.outcomes[at].pvalue, at))

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the dependence that is left, with its intervals, the clearest first."""
        at = self._drawn()
        if not at:
            raise InferenceUnavailable(
                "none of these tests has an interval to draw.", hint="Use method='partial_correlation' or 'gcm'."
            )
        seen = [self.outcomes[one] for one in at]
        return {
            "title": self.title,
            "terms": [self._short(self.implied[one]) for one in at],
            "estimate": np.array([one.effect for one in seen]),
            "low": np.array([one.low for one in seen]),
            "high": np.array([one.high for one in seen]),
            "null": 0.0,
            "xlabel": "Correlation that the graph says is zero",
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "tester": None, "columns": None}


def run_tests(
    graph: DAG,
    data: Any,
    method: TestMethod,
    kind: ImplicationKind,
    alpha: float,
    correction: Correction,
    regressor: Any,
    n_folds: int,
    random_state: int,
) -> ImplicationTests:
    """Test what a graph implies; the arguments are those of ``DAG.test``."""
    require_alpha(alpha)
    if kind not in ("basis", "minimal"):
        raise DesignError(f"kind={kind!r} is not known.", hint="Use 'basis' or 'minimal'.")
    if correction not in ("bh", "holm"):
        raise DesignError(f"correction={correction!r} is not known.", hint="Use 'bh' or 'holm'.")
    columns = Columns.read(graph, data)
    tester = make_test(columns.data, method, regressor=regressor, n_folds=n_folds, random_state=random_state)
    implied = tuple(implications(graph.mixed, *hidden(graph), kind))
    place = columns.place()
    outcomes = tuple(tester.test(moved(one, place)) for one in implied)
    return ImplicationTests(graph, implied, outcomes, alpha, correction, columns.data.n, tester, columns)


def hidden(graph: DAG) -> tuple[Nodes, Nodes]:
    """Return the nodes that were not measured, and those that decide who is in the data, by number."""
    number = {name: at for at, name in enumerate(graph.nodes)}
    return frozenset(number[name] for name in graph.latent), frozenset(number[name] for name in graph.selected)
