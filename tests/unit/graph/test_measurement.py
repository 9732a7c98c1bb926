"""What else to measure: every minimal set, the cheapest first, against trying them all."""

import itertools
import random

import pytest

import causalkit as ck
from causalkit.errors import DesignError, IdentificationError


def measured(graph, nodes, pairs):
    """The graph after measuring: the cause of a pair gets a name."""
    left = [pair for pair in graph.bidirected if pair not in pairs]
    fresh = [(f"U{a}{b}", end) for a, b in pairs for end in (a, b)]
    return ck.DAG([*graph.directed, *fresh], graph.latent - set(nodes), left, graph.nodes)


def by_trying(graph, price):
    items = [*sorted(graph.latent), *graph.bidirected]
    works = []
    for size in range(len(items) + 1):
        for chosen in itertools.combinations(items, size):
            if any(set(known) <= set(chosen) for known in works):
                continue
            nodes = [item for item in chosen if isinstance(item, str)]
            pairs = [item for item in chosen if isinstance(item, tuple)]
            if measured(graph, nodes, pairs).identify("x", "y").identified:
                works.append(chosen)
    return {(frozenset(chosen), sum(price[item] for item in chosen)) for chosen in works}


def test_every_minimal_set_is_found_cheapest_first():
    rng, hard = random.Random(0), 0
    while hard < 60:
        order = rng.sample(["x", "y", "a", "b"], 4)
        latent = ["u", "v", "w"]
        nodes = rng.sample([*order, *latent], 7)
        graph = ck.DAG(
            [pair for pair in itertools.combinations(nodes, 2) if rng.random() < 0.4],
            latent,
            [pair for pair in itertools.combinations(order, 2) if rng.random() < 0.25],
            nodes,
        )
        verdict = graph.identify("x", "y")
        if verdict.identified:
            (nothing,) = verdict.what_to_measure()
            assert (nothing.nodes, nothing.pairs, nothing.cost) == ((), (), 0)
            continue
        hard += 1
        price = {item: float(rng.choice((1, 2, 5))) for item in [*sorted(graph.latent), *graph.bidirected]}
        found = list(verdict.what_to_measure(price))
        assert [one.cost for one in found] == sorted(one.cost for one in found)
        assert {(frozenset({*one.nodes, *one.pairs}), one.cost) for one in found} == by_trying(graph, price)
        assert len({(one.nodes, one.pairs) for one in found}) == len(found)


def test_names_and_pairs():
    verdict = ck.DAG("x -> y; x <-> y").identify("x", "y")
    (only,) = verdict.what_to_measure()
    assert only.pairs == (("x", "y"),)
    assert str(only) == "the common cause of x and y"
    (only,) = verdict.what_to_measure({("y", "x"): 2.5})
    assert only.cost == 2.5
    verdict = ck.DAG("x -> y; taste -> x; taste -> m -> y", latent=["taste", "m"]).identify("x", "y")
    assert [str(one) for one in verdict.what_to_measure({"m": 1, "taste": 3})] == ["m", "taste"]
    named = ck.DAG([("x", "y"), ("x <-> y", "y")], bidirected=[("x", "y")]).identify("x", "y")
    assert [one.pairs for one in named.what_to_measure()] == [(("x", "y"),)]


def test_many_latent_nodes_are_no_matter():
    causes = "; ".join(f"u{i} -> x; u{i} -> y" for i in range(6))
    others = "; ".join(f"v{i} -> z{i}; v{i} -> w{i}" for i in range(30))
    graph = ck.DAG(f"x -> y; {causes}; {others}", latent=[f"u{i}" for i in range(6)] + [f"v{i}" for i in range(30)])
    (only,) = graph.identify("x", "y").what_to_measure()
    assert only.nodes == tuple(f"u{i}" for i in range(6))


def test_what_makes_no_sense_is_refused():
    verdict = ck.DAG("x -> y; x <-> y", latent=[]).identify("x", "y")
    with pytest.raises(DesignError, match="cost= names 'z'"):
        list(verdict.what_to_measure({"z": 1}))
    with pytest.raises(DesignError, match="A cost is positive"):
        list(verdict.what_to_measure({("x", "y"): 0}))
    with pytest.raises(IdentificationError, match="who is in the data"):
        ck.DAG("x -> y; x -> s; y -> s", selected=["s"]).identify("x", "y").what_to_measure()
