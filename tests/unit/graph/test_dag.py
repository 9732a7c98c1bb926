"""What a graph says, how it is read and written, and what it refuses."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.models import DiscreteModel
from causalkit.graph.nodes import Mixed


@st.composite
def graphs(draw, most=6):
    n = draw(st.integers(2, most))
    pairs = list(itertools.combinations(range(n), 2))
    directed = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=9))
    bidirected = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=3))
    return n, directed, bidirected


@settings(max_examples=40)
@given(graphs(), st.integers(0, 2**6))
def test_separation_is_independence_in_a_random_model(graph, mask):
    n, directed, bidirected = graph
    mixed = Mixed.of(n, directed, bidirected)
    known = frozenset(node for node in range(2, n) if mask >> node & 1)
    joint = DiscreteModel.drawn(mixed, np.random.default_rng(mask)).joint()
    gone = tuple(axis for axis in range(n) if axis not in (0, 1) and axis not in known)
    both = joint.sum(axis=gone, keepdims=True)
    a, b, base = both.sum(axis=1, keepdims=True), both.sum(axis=0, keepdims=True), both.sum(axis=(0, 1), keepdims=True)
    dependence = np.abs(both * base - a * b).max()
    separated = mixed.separated(frozenset([0]), frozenset([1]), known)
    assert separated == (dependence < 1e-12)
    path = mixed.open_path(frozenset([0]), frozenset([1]), known)
    assert bool(path) != separated


@settings(max_examples=60)
@given(graphs(most=7))
def test_sets_by_every_route_agree(graph):
    n, directed, bidirected = graph
    dag = ck.DAG(
        [(str(a), str(b)) for a, b in directed],
        nodes=map(str, range(n)),
        bidirected=[(str(a), str(b)) for a, b in bidirected],
    )
    every = list(dag.adjustment_sets("0", "1", kind="all"))
    least = {one for one in every if not any(other < one for other in every)}
    assert set(dag.adjustment_sets("0", "1")) == least
    assert len(list(dag.adjustment_sets("0", "1"))) == len(least)
    cheapest = list(dag.adjustment_sets("0", "1", kind="minimum", cost={"2": 5.0} if n > 2 else None))
    if every:
        price = [sum(5.0 if node == "2" else 1.0 for node in one) for one in every]
        assert sum(5.0 if node == "2" else 1.0 for node in cheapest[0]) == min(price)
    verdict = dag.identify("0", "1")
    assert verdict.identified or not every
    if verdict.identified:
        assert verdict.verify(n_models=2).max_error < 1e-10


def test_reading_and_writing():
    text = 'dag { Z -> {X Y}; X -> Y; U [latent]; U -> X; U -> Y; "a b" -> "c;d" }'
    graph = ck.DAG(text)
    assert graph.latent == {"U"}
    assert ck.DAG(graph.to_dagitty()) == graph
    assert set(ck.DAG(graph.to_dot()).directed) == set(graph.directed)
    assert (
        ck.DAG({"a": ["b", "c"], "b": "c"})
        == ck.DAG("a -> b -> c\na -> c")
        == ck.DAG([("a", "b"), ("a", "c"), ("b", "c")])
    )
    assert ck.DAG(nx.DiGraph([("x", "y")])) == ck.DAG("x -> y")
    assert sorted(ck.DAG("x <-> y").to_networkx().edges) == [("U[x,y]", "x"), ("U[x,y]", "y")]
    assert ck.DAG("digraph { rankdir=LR; a -> b [color=red]; c; }").nodes == ("a", "b", "c")
    assert ck.DAG("length -> push; pop -> map -> push").nodes == ("length", "push", "pop", "map")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a -> b -> c -> a", "cycle: a -> b -> c -> a"),
        ("a -> a", "edge to itself"),
        ("a -> ", "leads nowhere"),
        ("a -- b; a -> b", "joined with a direction"),
        ("{a b", "brace is not closed"),
        ("{a b -> c", "stands where a name is needed"),
        (3, "no graph"),
    ],
)
def test_what_is_no_graph_is_refused(text, said):
    with pytest.raises(DesignError, match=said):
        ck.DAG(text)


def test_what_was_not_measured_survives_the_way_out_and_back():
    graph = ck.DAG("t -> y; t <-> y; u -> t; u -> z", latent=["u"])
    for back in (ck.DAG(graph.to_dot()), ck.DAG(graph.to_dagitty()), ck.DAG(graph.to_networkx())):
        assert "u" in back.latent
        assert not back.identify("t", "y").identified


@pytest.mark.parametrize(
    "text", ["y ~ x + z", "a,b -> c", "a -> b,c", "a -> b # note", "a o-> b", "digraph { subgraph s { a } }"]
)
def test_other_languages_are_not_guessed_at(text):
    with pytest.raises(DesignError, match="can't be read"):
        ck.DAG(text)


def test_arrows_may_be_drawn_and_names_may_be_numbers():
    assert ck.DAG("a → b ← c") == ck.DAG("a -> b; c -> b")
    assert list(ck.DAG([(1, 2), (2, 3)]).adjustment_sets(1, 3)) == [frozenset()]


def test_unknown_names_and_overlaps_are_named():
    graph = ck.DAG("price -> sales")
    with pytest.raises(DesignError, match="no node 'prices'") as error:
        graph.identify("prices", "sales")
    assert "Did you mean 'price'" in error.value.hint
    with pytest.raises(DesignError, match="is in both"):
        list(graph.adjustment_sets("price", "price"))
    with pytest.raises(DesignError, match="was not measured"):
        ck.DAG("u -> y", latent=["u"]).identify("u", "y")


def test_the_empty_set_and_no_set_are_told_apart():
    assert list(ck.DAG("x -> y").adjustment_sets("x", "y")) == [frozenset()]
    assert list(ck.DAG("x -> y; x <-> y").adjustment_sets("x", "y")) == []
    assert ck.DAG("y -> x").identify("x", "y").strategy == "no effect"


def test_an_estimate_uses_the_optimal_set_and_refuses_other_strategies():
    people = ck.datasets.coupon_campaign(random_state=1)
    graph = ck.DAG("arm -> purchase; recency -> purchase; loyalty -> purchase")
    result = graph.identify("arm", "purchase").estimate(people, ck.OLS(), control="no_coupon")
    assert set(result.roles["covariates"]) == {"recency", "loyalty"}
    door = ck.DAG("arm -> visit -> purchase; arm <-> purchase").identify("arm", "purchase")
    assert door.strategy == "front-door"
    with pytest.raises(IdentificationError, match=r"(?i)no set of covariates will do"):
        door.estimate(people, ck.OLS())


def test_the_direct_effect_blocks_mediators():
    graph = ck.DAG("x -> m -> y; x -> y; z -> m; z -> y")
    assert list(graph.adjustment_sets("x", "y", effect="direct")) == [frozenset({"m", "z"})]
    assert list(graph.adjustment_sets("x", "y")) == [frozenset()]


@pytest.mark.parametrize("text", ["x -> y; x -> s; y -> s", "x -> m -> y; x <-> y; m -> s"])
def test_selection_that_tells_of_the_outcome_is_not_forgotten(text):
    verdict = ck.DAG(text, selected=["s"]).identify("x", "y")
    assert not verdict.identified
    assert "depends on s" in verdict.explain()
    assert ck.DAG("s -> x; z -> x; z -> y; x -> y", selected=["s"]).identify("x", "y").strategy == "adjustment"


def test_many_causes_of_the_outcome_do_not_slow_the_search_for_front_doors():
    causes = "; ".join(f"z{i} -> y" for i in range(40))
    assert list(ck.DAG(f"x -> m -> y; x <-> y; {causes}").frontdoor_sets("x", "y")) == [frozenset({"m"})]
    assert list(ck.DAG(f"x -> y; {causes}").frontdoor_sets("x", "y")) == []


def test_what_is_no_pair_is_refused():
    with pytest.raises(DesignError, match="no pair"):
        ck.DAG("a -> b", bidirected=("xy", "zw"))
    with pytest.raises(DesignError, match="no graph"):
        ck.DAG(["ab", "cd"])
    assert ck.DAG([(1, 2)], nodes=[1, 2, 3]).nodes == ("1", "2", "3")
