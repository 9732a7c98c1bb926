"""Graphs with undirected edges: every answer is that of all DAGs which they stand for; and pcalg's and dagitty's answers."""

import itertools
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.graph.adjustment import Adjustment
from causalkit.graph.completion import Partial
from causalkit.graph.generalized_adjustment import GeneralizedAdjustment, distinct_effects
from causalkit.graph.nodes import NONE, Mixed

KNOWN = json.loads((Path(__file__).parent / "pcalg_cpdag.json").read_text())


# The truth: classes of DAGs from their definition, with nothing of the package but separation in one DAG.


def skeleton(*edges):
    return frozenset(frozenset(edge) for kind in edges for edge in kind)


def colliders(directed, undirected=()):
    joined = skeleton(directed, undirected)
    return frozenset(
        (min(a, c), b, max(a, c))
        for a, b in directed
        for c, d in directed
        if d == b and a != c and {a, c} not in joined
    )


def acyclic(n, edges):
    return len(Mixed.of(n, edges).order) == n


def directed_ways(pairs, n):
    """Every acyclic way to direct some pairs."""
    for turns in itertools.product((False, True), repeat=len(pairs)):
        edges = frozenset((b, a) if turn else (a, b) for (a, b), turn in zip(pairs, turns, strict=True))
        if acyclic(n, edges):
            yield edges


def all_dags(n):
    """Every DAG, by skeleton and unshielded colliders."""
    found = defaultdict(list)
    pairs = list(itertools.combinations(range(n), 2))
    for size in range(len(pairs) + 1):
        for chosen in itertools.combinations(pairs, size):
            for edges in directed_ways(chosen, n):
                found[skeleton(edges), colliders(edges)].append(edges)
    return found


def members(n, directed, undirected):
    """Every DAG that a graph stands for."""
    wanted = colliders(directed, undirected)
    ways = (frozenset(directed) | way for way in directed_ways(sorted(undirected), n))
    return [way for way in ways if acyclic(n, way) and colliders(way) == wanted]


def pattern(n, dag):
    """The CPDAG of a DAG: directions that all DAGs of its class share."""
    pairs = [tuple(sorted(pair)) for pair in skeleton(dag)]
    same = [way for way in directed_ways(sorted(pairs), n) if colliders(way) == colliders(dag)]
    shared = frozenset.intersection(*same)
    return shared, frozenset(pair for pair in pairs if pair not in shared and pair[::-1] not in shared), same


def subsets(nodes):
    ordered = sorted(nodes)
    return [frozenset(c) for size in range(len(ordered) + 1) for c in itertools.combinations(ordered, size)]


def valid_in_all(n, dags, x, y):
    """Sets that are valid in every DAG."""
    problems = [Adjustment(Mixed.of(n, dag), x, y) for dag in dags]
    return {z for z in subsets(frozenset(range(n)) - x - y) if all(problem.is_valid(z) for problem in problems)}


def effect_keys(n, dags, x, y, seed=0):
    """Total effects of one treatment in a random linear model of the class: the value in each DAG, rounded.

    The covariance is that of the first DAG; each DAG gives the effect by adjusting for the parents of the treatment.
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((n, n))
    for tail, head in dags[0]:
        weights[head, tail] = rng.uniform(0.5, 1.5) * rng.choice([-1, 1])
    path = np.linalg.inv(np.eye(n) - weights)
    cov = path @ np.diag(rng.uniform(0.5, 1.5, n)) @ path.T
    found = []
    for dag in dags:
        parents = sorted(tail for tail, head in dag if head == x)
        if y in parents:
            found.append(0.0)
            continue
        used = [x, *parents]
        found.append(round(float(np.linalg.solve(cov[np.ix_(used, used)], cov[used, y])[0]), 8))
    return found


# The comparison.


def queries(n, sizes=(1, 2)):
    nodes = range(n)
    return [
        (frozenset(x), frozenset([y]))
        for size in sizes
        for x in itertools.combinations(nodes, size)
        for y in nodes
        if y not in x
    ]


def agree(n, graph, dags, asked):
    """Compare everything that is asked of a complete graph with all its DAGs."""
    plain = [Mixed.of(n, dag) for dag in dags]
    assert {member.directed for member in graph.members()} == set(dags)
    assert len(list(graph.members())) == len(dags)
    for node in range(n):
        assert graph.possible_descendants([node]) == frozenset().union(*(m.descendants([node]) for m in plain))
        assert graph.possible_ancestors([node]) == frozenset().union(*(m.ancestors([node]) for m in plain))
    member = graph.extension()
    for x, y in asked:
        problem = GeneralizedAdjustment.of(graph, member, x, y, NONE)
        every = valid_in_all(n, dags, x, y)
        assert set(problem.every()) == every
        assert set(problem.minimal()) == {one for one in every if not any(other < one for other in every)}
        assert (problem.canonical() is not None) == bool(every)
        least = problem.minimum()
        assert (None if least is None else len(least)) == min(map(len, every), default=None)
        if problem.detour:
            assert not every
            assert (min(problem.detour[:2]), max(problem.detour[:2])) in graph.undirected
        else:
            each = [Adjustment(one, x, y) for one in plain]
            assert {one.optimal() for one in each} == {problem.optimal()}
            assert {one.forbidden for one in each} == {problem.forbidden}


def compare(n, directed, undirected, seen, asked):
    """Complete a graph, or have it refused, as its DAGs say."""
    if not acyclic(n, directed):
        return
    raw = Partial.of(n, directed, undirected)
    dags = members(n, directed, undirected)
    assert (raw.extension() is None) == (not dags)
    if not dags:
        culprit = raw.obstacle()
        assert raw.extension(culprit) is None
        assert all(raw.extension(culprit - {node}) is not None for node in culprit)
        return
    graph = raw.completed()
    assert graph.directed == frozenset.intersection(*dags)
    if (graph.directed, graph.undirected) not in seen:
        seen.add((graph.directed, graph.undirected))
        agree(n, graph, dags, asked)


def every_graph(n):
    pairs = list(itertools.combinations(range(n), 2))
    for kinds in itertools.product(range(4), repeat=len(pairs)):
        chosen = list(zip(pairs, kinds, strict=True))
        yield (
            frozenset((a, b) if kind == 1 else (b, a) for (a, b), kind in chosen if kind in (1, 2)),
            frozenset(pair for pair, kind in chosen if kind == 3),
        )


def random_graph(n, rng):
    """A CPDAG with some edges directed by knowledge, or any edges at all."""
    pairs = list(itertools.combinations(range(n), 2))
    if rng.random() < 0.3:
        kinds = [rng.choice((0, 0, 1, 2, 3)) for _ in pairs]
        chosen = list(zip(pairs, kinds, strict=True))
        return (
            frozenset((a, b) if kind == 1 else (b, a) for (a, b), kind in chosen if kind in (1, 2)),
            frozenset(pair for pair, kind in chosen if kind == 3),
        )
    order = rng.sample(range(n), n)
    dag = frozenset((order[a], order[b]) for a, b in pairs if rng.random() < 0.5)
    shared, loose, _ = pattern(n, dag)
    known = frozenset(edge for edge in dag if rng.random() < 0.15)
    return shared | known, frozenset(pair for pair in loose if pair not in known and pair[::-1] not in known)


@pytest.mark.parametrize("n", [2, 3])
def test_all_small_graphs(n):
    seen = set()
    for directed, undirected in every_graph(n):
        compare(n, directed, undirected, seen, queries(n))
    assert len(seen) == {2: 4, 3: 50}[n]


def test_all_classes_of_four_nodes():
    classes = list(all_dags(4).values())
    assert len(classes) == 185  # as counted by Gillispie and Perlman (2001)
    for dags in classes:
        graph = Partial.pattern(Mixed.of(4, dags[0]))
        assert graph.directed == frozenset.intersection(*dags)
        agree(4, graph, dags, queries(4))


@pytest.mark.parametrize("n", [4, 5])
def test_random_graphs(n):
    rng, seen = random.Random(n), set()
    for _ in range(60):
        compare(n, *random_graph(n, rng), seen, queries(n))


@pytest.mark.long
def test_all_graphs_of_four_nodes():
    seen = set()
    for directed, undirected in every_graph(4):
        compare(4, directed, undirected, seen, queries(4))
    assert len(seen) == 1601


@pytest.mark.long
def test_all_classes_of_five_nodes():
    classes = list(all_dags(5).values())
    assert len(classes) == 8782  # as counted by Gillispie and Perlman (2001)
    for dags in classes:
        agree(5, Partial.pattern(Mixed.of(5, dags[0])), dags, queries(5, (1,)))


@pytest.mark.long
@pytest.mark.parametrize("n", [6, 7])
def test_random_larger_graphs(n):
    rng, seen = random.Random(n), set()
    for _ in range(150):
        compare(n, *random_graph(n, rng), seen, rng.sample(queries(n), 12))


@pytest.mark.parametrize("seed", range(30))
def test_possible_effects_are_those_of_the_dags_each_once(seed):
    rng = random.Random(seed)
    n = rng.choice((4, 5))
    pairs = list(itertools.combinations(range(n), 2))
    dag = frozenset(pair for pair in pairs if rng.random() < 0.6)
    _, _, dags = pattern(n, dag)
    graph = Partial.pattern(Mixed.of(n, dag))
    for x, y in itertools.permutations(range(n), 2):
        effects = dict(zip(dags, effect_keys(n, dags, x, y, seed), strict=True))
        parts = [part for part, _ in distinct_effects(graph, frozenset([x]), frozenset([y]))]
        found = [{effects[member.directed] for member in part.members()} for part in parts]
        assert all(len(values) == 1 for values in found)  # the effect is identified in each part
        assert len(set().union(*found)) == len(found)  # and no two parts have the same
        assert sum(len(list(part.members())) for part in parts) == len(dags)


@pytest.mark.parametrize("case", KNOWN["adjustment"], ids=lambda case: case["call"])
def test_sets_of_other_packages(case):
    graph = ck.DAG(case["graph"])
    query = (case["x"], case["y"])
    for chosen in case["valid"]:
        assert graph.is_adjustment_set(*query, chosen)
    for chosen in case["invalid"]:
        assert not graph.is_adjustment_set(*query, chosen)
    if case.get("every"):
        found = sorted(map(sorted, graph.adjustment_sets(*query, kind="all")))
        assert found == sorted(map(sorted, case["valid"]))


@pytest.mark.parametrize("case", KNOWN["members"], ids=lambda case: case["call"])
def test_members_of_other_packages(case):
    if case["dags"]:
        found = {frozenset(member.directed) for member in ck.DAG(case["graph"]).members()}
        assert found == {frozenset(ck.DAG(text).directed) for text in case["dags"]}
    else:
        with pytest.raises(DesignError, match="no DAG has the edges A -- B, A -- C, B -- D, C -- D"):
            ck.DAG(case["graph"])


@pytest.mark.parametrize("case", KNOWN["completed"], ids=lambda case: case["call"])
def test_directions_that_follow(case):
    graph = ck.DAG(case["graph"])
    assert set(graph.directed) == set(ck.DAG(case["directed"]).directed)
    assert set(graph.undirected) == {tuple(pair) for pair in case["undirected"]}
