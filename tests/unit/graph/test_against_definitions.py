"""Random graphs: every answer against the definitions applied to every path, and the same under any hash seed."""

import itertools
import os
import random
import subprocess
import sys

import pytest

from causalkit.graph.adjustment import Adjustment
from causalkit.graph.implications import implications
from causalkit.graph.nodes import NONE, Mixed
from causalkit.graph.separators import closest_separator


class Oracle:
    """A graph of a few nodes, each path written as (nodes that block it, for each collider the nodes that open it)."""

    def __init__(self, n, directed, bidirected):
        self.n = n
        self.head = {}  # (a, b) -> list of (arrowhead at a, arrowhead at b)
        for a, b in directed:
            self.head.setdefault((a, b), []).append((False, True))
            self.head.setdefault((b, a), []).append((True, False))
        for a, b in bidirected:
            self.head.setdefault((a, b), []).append((True, True))
            self.head.setdefault((b, a), []).append((True, True))
        self.children = {node: [b for a, b in directed if a == node] for node in range(n)}

    def below(self, node):
        found = {node}
        for child in self.children[node]:
            found |= self.below(child)
        return found

    def paths(self, start, end, avoid=frozenset()):
        """Every path as a list of (node, arrowhead on the way in, arrowhead on the way out)."""

        def walk(node, came, seen, trail):
            if node == end:
                yield trail
                return
            for other in range(self.n):
                if other in seen or other in avoid:
                    continue
                for out, into in self.head.get((node, other), ()):
                    yield from walk(other, into, seen | {other}, [*trail, (node, came, out, other, into)])

        yield from walk(start, None, {start}, [])

    def blockers(self, path):
        """The non-colliders of a path, and the colliders with their descendants."""
        others, colliders = set(), []
        for node, came, out, _, _ in path[1:]:
            if came and out:
                colliders.append(self.below(node))
            else:
                others.add(node)
        return others, colliders

    @staticmethod
    def is_open(blockers, given):
        others, colliders = blockers
        return not others & given and all(opened & given for opened in colliders)

    def causal(self, path):
        return all(not out and into for _, _, out, _, into in path)

    def adjustment_sets(self, treatment, outcome, latent):
        """Every valid set: no descendant of a proper causal path's nodes, and every other proper path blocked."""
        forbidden, others = set(treatment) | set(outcome), []
        for x, y in itertools.product(treatment, outcome):
            for path in self.paths(x, y, avoid=frozenset(treatment) - {x}):
                if self.causal(path):
                    for step in path:
                        forbidden |= self.below(step[3])
                else:
                    others.append(self.blockers(path))
        free = [node for node in range(self.n) if node not in forbidden and node not in latent]
        return [
            frozenset(chosen)
            for size in range(len(free) + 1)
            for chosen in itertools.combinations(free, size)
            if not any(self.is_open(one, set(chosen)) for one in others)
        ]

    def separating(self, one, two, latent):
        """Every set that separates two nodes."""
        paths = [self.blockers(path) for path in self.paths(one, two)]
        free = [node for node in range(self.n) if node not in (one, two) and node not in latent]
        return [
            frozenset(chosen)
            for size in range(len(free) + 1)
            for chosen in itertools.combinations(free, size)
            if not any(self.is_open(path, set(chosen)) for path in paths)
        ]


def minimal(sets):
    """Those of which no other is a proper part."""
    return {one for one in sets if not any(other < one for other in sets)}


def drawn(rng):
    """A graph of two to eight nodes, with treatments, outcomes and nodes that were not measured."""
    n = rng.randint(2, 8)
    order = rng.sample(range(n), n)
    density = rng.uniform(0.1, 0.7 if n < 7 else 0.4)
    directed = [(order[a], order[b]) for a, b in itertools.combinations(range(n), 2) if rng.random() < density]
    pairs = list(itertools.combinations(range(n), 2))
    bidirected = rng.sample(pairs, min(len(pairs), rng.choice([0, 0, 1, 2])))
    ends = rng.sample(range(n), min(n, rng.choice([2, 2, 2, 3, 4])))
    cut = 1 if len(ends) < 3 else rng.randint(1, len(ends) - 1)
    rest = [node for node in range(n) if node not in ends]
    latent = frozenset(rng.sample(rest, rng.randint(0, len(rest) // 3)))
    return n, directed, bidirected, frozenset(ends[:cut]), frozenset(ends[cut:]), latent


def compare(rng):
    """Compare all answers on one graph with the definitions."""
    n, directed, bidirected, treatment, outcome, latent = drawn(rng)
    oracle, graph = Oracle(n, directed, bidirected), Mixed.of(n, directed, bidirected)
    problem = Adjustment(graph, treatment, outcome, latent)
    valid = oracle.adjustment_sets(sorted(treatment), sorted(outcome), latent)
    least = minimal(valid)
    told = (directed, bidirected, treatment, outcome, latent)
    found = list(problem.minimal())
    assert len(found) == len(set(found)), told
    assert set(found) == least, told
    assert set(problem.every()) == set(valid), told
    cheapest = problem.minimum()
    assert (None if cheapest is None else len(cheapest)) == min(map(len, valid), default=None), told
    assert cheapest is None or cheapest in valid, told
    canonical = problem.canonical()
    assert (canonical in valid) if valid else canonical is None, told
    best = problem.optimal()
    assert best is None or best in valid, told
    must = frozenset(rng.sample(sorted(problem.allowed), min(1, len(problem.allowed))))
    with_must = minimal([one for one in valid if must <= one])
    assert set(problem.minimal(include=must)) == with_must, told
    one, two = rng.sample([node for node in range(n) if node not in latent], 2) if n - len(latent) > 1 else (0, 0)
    if one != two:
        separating = oracle.separating(one, two, latent)
        allowed = frozenset(range(n)) - latent - {one, two}
        closest = closest_separator(graph, frozenset([one]), frozenset([two]), allowed, NONE)
        assert (closest in minimal(separating)) if separating else closest is None, told
        low, high = sorted((one, two))
        implied = [i.given for i in implications(graph, latent) if (i.one, i.two) == (low, high)]
        assert set(implied) == minimal(separating), told
        basis = [i.given for i in implications(graph, latent, kind="basis") if (i.one, i.two) == (low, high)]
        assert len(basis) == bool(separating), told
        assert all(one in separating for one in basis), told


def test_300_random_graphs():
    rng = random.Random(20240701)
    for _ in range(300):
        compare(rng)


@pytest.mark.long
def test_10_000_random_graphs():
    rng = random.Random(7)
    for _ in range(10_000):
        compare(rng)


_ASK = """
import random, itertools
import numpy as np
import pandas as pd
import causalkit as ck

rng = random.Random(5)
names = [f"node {i}" for i in range(9)]
edges = [(a, b) for a, b in itertools.combinations(names, 2) if rng.random() < 0.4]
graph = ck.DAG(edges, nodes=names, bidirected=[(names[2], names[5])], latent=[names[1]])
x, y = names[3], names[8]
said = [[sorted(one) for one in graph.adjustment_sets(x, y, kind=kind)] for kind in ("minimal", "minimum", "canonical")]
said.append([(a, b, sorted(given)) for a, b, given in graph.implied_independencies()])
said.append([(a, b, sorted(given)) for a, b, given in graph.implied_independencies(kind="basis")])
said.append([(one, sorted(given)) for one, given in graph.instruments(x, y)])
said.append([sorted(one) for one in graph.frontdoor_sets(x, y)])
said.append(graph.identify(x, y).answer)
said.append(graph.classify_controls(x, y).to_dict())
data = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 9)), columns=names)
data[names[4]] += data[names[8]]
tests = graph.test(data)
said.append(tests.to_json())
said.append(tests.suggestions().to_json())
said.append(graph.falsify(data, 30).to_json())
print(said)
"""


def test_answers_do_not_depend_on_the_hash_seed():
    def asked(seed):
        env = {**os.environ, "PYTHONHASHSEED": str(seed)}
        return subprocess.Popen([sys.executable, "-c", _ASK], env=env, stdout=subprocess.PIPE, text=True)

    said = [process.communicate()[0] for process in [asked(seed) for seed in range(4)]]
    assert len(said[0]) > 1000
    assert said.count(said[0]) == 4
