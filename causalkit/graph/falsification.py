"""Is a graph better than chance: its implications against those of the same graph with its nodes relabelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import factorial, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.graph.implication_report import Columns, ImplicationTests, hidden, moved, testable
from causalkit.graph.implications import Implication, local_markov
from causalkit.graph.independence_tests import IndependenceTest, TestMethod, make_test
from causalkit.graph.measured import Measured
from causalkit.graph.nodes import Mixed
from causalkit.inference.wald import require_alpha
from causalkit.kernels.arrays import Bools, Ints

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG
    from causalkit.graph.suggestions import Suggestions

#: All relabellings are enumerated up to so many (six nodes); beyond, so many are drawn.
ENUMERATED, DRAWN = 720, 499


@dataclass(frozen=True, eq=False, repr=False)
class Falsification(Report):
    """Whether the data speak for a graph more than for its relabellings; made by ``DAG.falsify``.

    Parameters
    ----------
    graph : DAG
    implied : tuple of Implication
        The conditions that were tested, each once.
    violated : Bools, shape (k,)
        Which of them the data contradict.
    permuted : Ints, shape (B,)
        Violations of each relabelled graph.
    equivalent : Bools, shape (B,)
        Which relabelled graphs imply the same as the given one.
    enumerated : bool
        Whether these are all relabellings, the given graph among them, or a draw of others.
    alpha : float
        Level of each test of independence, and of the verdict.
    n, n_dropped : int
        Complete rows, and others.
    method : str
        How independence was tested.
    tests : ImplicationTests
        The conditions with their effects, for suggestions.
    """

    graph: DAG
    implied: tuple[Implication, ...]
    violated: Bools
    permuted: Ints
    equivalent: Bools
    enumerated: bool
    alpha: float
    n: int
    n_dropped: int
    method: str
    tests: ImplicationTests

    plots = ("effects",)

    @property
    def violations(self) -> int:
        """Conditions that the data contradict."""
        return int(self.violated.sum())

    @property
    def n_tests(self) -> int:
        """Conditions that were tested."""
        return len(self.implied)

    @property
    def n_permutations(self) -> int:
        """Relabelled graphs."""
        return len(self.permuted)

    @property
    def pvalue(self) -> float:
        """Share of relabelled graphs that violate no more conditions than the given one: small speaks for the graph.

        Exact where all are enumerated, else (1 + k) / (1 + B).
        """
        return self._share(self.permuted <= self.violations)

    @property
    def mec_share(self) -> float:
        """Share of relabelled graphs that imply the same (the Markov equivalence class): small where the graph is informative."""
        return self._share(self.equivalent)

    def _share(self, beyond: Bools) -> float:
        if self.enumerated:
            return float(beyond.mean())
        return float((1 + beyond.sum()) / (1 + len(beyond)))

    @property
    def falsifiable(self) -> bool:
        """Whether the graph says something that few relabelled ones say."""
        return bool(self.n_tests) and self.mec_share <= self.alpha

    @property
    def falsified(self) -> bool:
        """Whether the graph is informative and yet fits no better than chance."""
        return self.falsifiable and self.pvalue > self.alpha

    def suggestions(self) -> Suggestions:
        """Return edits of one edge after which fewer implications fail, the best first."""
        return self.tests.suggestions()

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether the graph could be told from others, whether it fits better than chance, and rows left out."""
        return Checks({"informative": self._informative, "better_than_chance": self._better, "missing": self._missing})

    def _informative(self) -> Check:
        said = f"{fmt.number(100 * self.mec_share, 3)}% of relabelled graphs imply the same."
        if self.falsifiable:
            return Check("informative", "pass", said, self.mec_share)
        return Check(
            "informative", "untestable", said, self.mec_share, advice="The graph has too many or too few edges."
        )

    def _better(self) -> Check:
        name, said = "better_than_chance", self._comparison()
        if not self.falsifiable:
            return Check(name, "untestable", said, float(self.violations))
        advice = "" if not self.falsified else "Look at suggestions(), or doubt the graph as a whole."
        return Check(name, "fail" if self.falsified else "pass", said, float(self.violations), advice=advice)

    def _missing(self) -> Check:
        if not self.n_dropped:
            return Check("missing", "pass", "Every row was used.")
        said = f"{fmt.plural(self.n_dropped, 'row')} of {self.n + self.n_dropped:,} lacked a value and were left out."
        return Check("missing", "warn", said, advice="The tests assume that values are missing at random.")

    def _comparison(self) -> str:
        better = 100.0 * float((self.permuted > self.violations).mean()) if self.n_permutations else 0.0
        drawn = "all" if self.enumerated else "a draw of"
        return (
            f"The graph violates {self.violations} of {self.n_tests} conditions; {better:.1f}% of {drawn} "
            f"{self.n_permutations:,} relabelled graphs violate more (p-value {fmt.pvalue(self.pvalue)}{self._error()})."
        )

    def _error(self) -> str:
        """Monte Carlo error of the p-value, where it was drawn."""
        if self.enumerated:
            return ""
        p = self.pvalue
        return f", Monte Carlo error {fmt.number(sqrt(p * (1.0 - p) / (1 + self.n_permutations)), 2)}"

    @property
    def title(self) -> str:
        """What was asked."""
        return "Is the graph better than chance?"

    @property
    def answer(self) -> str:
        """The verdict in words."""
        if not self.n_tests:
            return "The graph implies no independence of measured variables: no data can contradict it."
        if not self.falsifiable:
            return (
                f"The graph is not informative: {fmt.number(100 * self.mec_share, 3)}% of relabelled graphs imply the same. "
                f"{self._comparison()} No verdict."
            )
        if self.falsified:
            return f"Rejected. {self._comparison()} A graph with its names shuffled does as well."
        return f"Not rejected. {self._comparison()} That does not prove the graph."

    def to_table(self) -> Table:
        """Return the conditions and how relabelled graphs fare, one number a row."""
        quartiles = np.quantile(self.permuted, (0.25, 0.5, 0.75)) if self.n_permutations else [np.nan] * 3
        rows = [
            ("conditions tested", self.n_tests),
            ("violated", self.violations),
            ("relabelled graphs", self.n_permutations),
            *((f"violated by them, {name}", float(q)) for name, q in zip(_QUARTILES, quartiles, strict=True)),
            ("p-value", self.pvalue),
            ("share that imply the same", self.mec_share),
        ]
        return Table.of(("what", "value"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict, and the conditions with their effects."""
        first = Passage("assumptions", self.title, (self.answer,), self.to_table())
        return (first, *self.tests.passages())

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the dependence that the conditions leave, as the tests of the conditions draw it."""
        return self.tests.plot_data(kind)


_QUARTILES = ("lower quartile", "median", "upper quartile")


def falsify(
    graph: DAG,
    data: Any,
    n_permutations: int | None,
    method: TestMethod,
    alpha: float,
    regressor: Any,
    n_folds: int,
    random_state: int,
) -> Falsification:
    """Compare a graph with its relabellings; the arguments are those of ``DAG.falsify``."""
    require_alpha(alpha)
    whole = Measured.read(data, testable(graph))
    columns = Columns(graph, whole.complete())
    tester = make_test(columns.data, method, regressor=regressor, n_folds=n_folds, random_state=random_state)
    implied = local_markov(graph.mixed, *hidden(graph))
    place = columns.place()
    located = [moved(one, place) for one in implied]
    orders, enumerated = _orders(len(place), n_permutations, random_state)
    violated, permuted = _violations(located, orders, tester, alpha)
    outcomes = tuple(tester.test(one) for one in located)
    tests = ImplicationTests(graph, implied, outcomes, alpha, "bh", columns.data.n, tester, columns)
    equivalent = _equivalent(graph, located, orders, place)
    dropped = whole.n - columns.data.n
    return Falsification(
        graph, implied, violated, permuted, equivalent, enumerated, alpha, columns.data.n, dropped, method, tests
    )


def _orders(n: int, n_permutations: int | None, random_state: int) -> tuple[Ints, bool]:
    """Relabellings, one a row: all of them, the given order first, or others without repetition."""
    if n_permutations is not None and (isinstance(n_permutations, bool) or n_permutations < 1):
        raise DesignError(f"n_permutations={n_permutations!r} is not a whole number of at least 1.")
    every = factorial(n)
    wanted = (every if every <= ENUMERATED else DRAWN) if n_permutations is None else n_permutations
    if wanted >= every - 1:
        return np.array(list(permutations(range(n)))), True
    rng = np.random.default_rng(random_state)
    seen = {tuple(range(n))}
    found: list[tuple[int, ...]] = []
    while len(found) < wanted:
        order = tuple(rng.permutation(n).tolist())
        if order not in seen:
            seen.add(order)
            found.append(order)
    return np.array(found), False


def _violations(located: list[Implication], orders: Ints, tester: IndependenceTest, alpha: float) -> tuple[Bools, Ints]:
    """Which conditions of the graph are violated, and how many of each relabelled one; every condition is tested once."""
    n = orders.shape[1]
    own, counts = np.zeros(len(located), dtype=bool), np.zeros(len(orders), dtype=np.int64)
    for size in sorted({len(one.given) for one in located}):
        members = [at for at, one in enumerate(located) if len(one.given) == size]
        columns = np.array([[*located[at][:2], *sorted(located[at].given)] for at in members])
        renamed = np.concatenate([columns[None], orders[:, columns]])
        renamed[:, :, :2].sort(axis=2)
        renamed[:, :, 2:].sort(axis=2)
        distinct, at = _distinct(renamed.reshape(-1, size + 2), n)
        rows = distinct.tolist()
        p = tester.pvalues([Implication(row[0], row[1], frozenset(row[2:])) for row in rows])
        violated = (p <= alpha)[at].reshape(len(orders) + 1, -1)  # a NaN, which no data can test, is no violation
        own[members] = violated[0]
        counts += violated[1:].sum(axis=1)
    return own, counts


def _distinct(rows: Ints, n: int) -> tuple[Ints, Ints]:
    """Distinct rows of numbers below ``n``, and which of them each row is."""
    if float(n) ** rows.shape[1] < 2.0**62:
        code = rows @ (n ** np.arange(rows.shape[1], dtype=np.int64))
        _, first, at = np.unique(code, return_index=True, return_inverse=True)
        return rows[first], at
    distinct, at = np.unique(rows, axis=0, return_inverse=True)
    return distinct, at.reshape(-1)


def _equivalent(graph: DAG, located: list[Implication], orders: Ints, place: dict[int, int]) -> Bools:
    """Which relabelled graphs imply the same as the graph.

    Without latent nodes: those with the same skeleton and unshielded colliders (Verma and Pearl 1990). Otherwise those all
    of whose conditions the graph implies; the two have as many edges.
    """
    mixed = graph.mixed
    latent, selected = hidden(graph)
    if not latent and not selected and not any(mixed.siblings):
        return _same_class(mixed, orders)
    node = {at: number for number, at in place.items()}
    known: dict[Implication, bool] = {}

    def implies(one: Implication) -> bool:
        if one not in known:
            a, b, given = moved(one, node)
            known[one] = mixed.separated(frozenset([a]), frozenset([b]), given | selected)
        return known[one]

    every = range(orders.shape[1])
    maps = ({at: int(order[at]) for at in every} for order in orders)
    return np.array([all(implies(moved(one, new)) for one in located) for new in maps])


def _same_class(mixed: Mixed, orders: Ints) -> Bools:
    n = len(mixed)
    arrows = np.zeros((n, n), dtype=bool)
    for head, tails in enumerate(mixed.parents):
        arrows[list(tails), head] = True
    joined = arrows | arrows.T
    colliders = arrows[:, :, None] & arrows.T[None, :, :] & ~joined[:, None, :]
    colliders &= ~np.eye(n, dtype=bool)[:, None, :]
    same: Bools = (joined[orders[:, :, None], orders[:, None, :]] == joined).all(axis=(1, 2))
    for at in np.flatnonzero(same):
        order = orders[at]
        same[at] = bool((colliders[np.ix_(order, order, order)] == colliders).all())
    return same
