"""Graphs whose edges may lack a direction: what is refused, how knowledge directs them, and what they identify."""

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError, IdentificationError


def test_what_has_to_be_directed_is():
    graph = ck.DAG("a -> b -- c; c -- d")
    assert graph.undirected == ()
    assert graph == ck.DAG("a -> b -> c -> d")
    assert repr(ck.DAG("a -- b")) == "DAG(a -- b)"
    assert ck.DAG("a -- b") != ck.DAG("a -> b")
    assert hash(ck.DAG("a -- b")) == hash(ck.DAG("b -- a"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a -- b -- c -- d -- a; a -> e", "no DAG has the edges a -- b, a -- d, b -- c, c -- d"),
        ("a -> b -- c <- d", "no DAG has the edges a -> b, d -> c, b -- c"),
        ("a -> b; b -- a", "'a' and 'b' are joined with a direction and without one"),
        ("a -- a", "edge to itself"),
        ("a -- b; a <-> c", "both undirected edges and bidirected edges"),
        ("a -> b -> c -> a; c -- d", "has a cycle"),
    ],
)
def test_what_stands_for_no_dag_is_refused_with_the_culprit(text, said):
    with pytest.raises(DesignError, match=said):
        ck.DAG(text)
    with pytest.raises(DesignError, match="selected nodes"):
        ck.DAG("a -- b", selected=["a"])
    with pytest.raises(DesignError, match=r"undirected= holds .*no pair"):
        ck.DAG("a -> b", undirected=["bc"])


def test_a_dag_and_its_class():
    chain = ck.DAG("a -> b -> c")
    assert chain.cpdag() == ck.DAG("a -- b -- c")
    assert ck.DAG("a -> b <- c").cpdag() == ck.DAG("a -> b <- c")
    assert set(chain.cpdag().members()) == {chain, ck.DAG("c -> b -> a"), ck.DAG("b -> a; b -> c")}
    assert list(chain.members()) == [chain]
    assert all(member.cpdag() == chain.cpdag() for member in chain.cpdag().members())
    assert ck.DAG("u -> b -> c", latent=["u"]).cpdag().latent == {"u"}
    with pytest.raises(DesignError, match="without <->"):
        ck.DAG("a -> b; a <-> b").cpdag()


def test_knowledge_directs_and_contradictions_are_named():
    graph = ck.DAG("a -- b -- c -- d")
    assert repr(graph.orient("b -> c")) == "DAG(b -> c; c -> d; a -- b)"
    assert graph.orient([("d", "c")]) == ck.DAG("d -> c -> b -> a")
    assert graph.orient("a -> b").orient("c -> d") == ck.DAG("a -> b -> c -> d")
    with pytest.raises(DesignError, match=r"c -> b can't be: .* has b -> c"):
        graph.orient("a -> b; c -> b")
    with pytest.raises(DesignError, match="no edge joins 'a' and 'c'"):
        graph.orient("a -> c")
    with pytest.raises(DesignError, match="no node 'e'"):
        graph.orient("a -> e")


def test_the_structure_of_an_undirected_graph():
    graph = ck.DAG("z -- x; x -> y; w -> y; z -- w")
    assert graph.parents("y") == {"x", "w"}
    assert graph.parents("x") == frozenset()
    assert graph.descendants("z") == {"z"}
    assert graph.possible_descendants("z") == {"z", "x", "w", "y"}
    assert graph.possible_ancestors("x") == {"x", "z", "w"}
    assert graph.d_separated("x", "w", "z")
    assert not graph.d_separated("x", "w")
    assert set(graph.implied_independencies()) == {("x", "w", frozenset("z")), ("z", "y", frozenset({"x", "w"}))}
    for member in graph.members():
        assert set(member.implied_independencies()) == set(graph.implied_independencies())


def test_an_effect_that_is_not_amenable_says_which_edge_to_direct():
    graph = ck.DAG("price -- sales; season -- price")
    verdict = graph.identify("price", "sales")
    assert not verdict.identified
    assert verdict.strategy == "none"
    assert verdict.orient == ("price", "sales")
    assert "not amenable" in verdict.answer
    assert "g.orient('price -> sales')" in verdict.explain()
    assert "edge to direct" in verdict.to_table().to_text()
    assert list(graph.adjustment_sets("price", "sales")) == []
    assert list(graph.adjustment_sets("price", "sales", kind="minimum")) == []
    assert list(graph.adjustment_sets("price", "sales", kind="optimal")) == []
    told = graph.is_adjustment_set("price", "sales", ["season"])
    assert not told
    assert "price -- sales may be causal" in told.reason
    assert told.open_path == ("price", "sales")
    assert graph.orient("price -> sales").identify("price", "sales").identified
    with pytest.raises(IdentificationError, match="no formula"):
        verdict.formula()


def test_an_effect_that_all_dags_share_is_identified_and_verified():
    graph = ck.DAG("a -- b; a -> x; b -> x; x -> y; b -> y")
    verdict = graph.identify("x", "y")
    assert verdict.strategy == "adjustment"
    assert verdict.orient is None
    assert verdict.verify(n_models=3).max_error < 1e-12
    assert verdict.verify(n_models=3).n_models == 6  # three models in each of two DAGs
    assert list(graph.adjustment_sets("x", "y", kind="optimal")) == [frozenset("b")]
    assert "Adjust for b" in verdict.explain()
    assert verdict.summary()
    assert graph.identify("y", "x").strategy == "no effect"
    assert graph.identify("x", "y", given="b").verify(n_models=2).max_error < 1e-12


def test_a_formula_beyond_adjustment_is_shared_by_the_class():
    graph = ck.DAG("x1 -> m -> x2 -> y; u -> x1; v -> x2; w -> x2; m -> y; z -> x1; z2 -> x1; a -- b")
    verdict = graph.identify(["x1", "x2"], "y")
    assert verdict.identified
    assert verdict.verify(n_models=1).max_error < 1e-12
    hidden = ck.DAG("u -> x; u -> y; x -> m -> y; w -> x; a -- b", latent=["u"]).identify("x", "y")
    assert hidden.strategy == "formula"
    assert "all DAGs of the class share" in hidden.explain()
    assert hidden.verify(n_models=2).max_error < 1e-12
    assert list(hidden.instruments) == list(hidden.frontdoor_sets) == []
    none = ck.DAG("u -> x; u -> y; x -> y; w -> x; a -- b", latent=["u"]).identify("x", "y")
    assert not none.identified
    assert "hedge" in none.explain()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda g: g.instruments("x", "y"), "instruments depend on the direction of x -- z"),
        (lambda g: g.frontdoor_sets("x", "y"), "front-door sets depend"),
        (lambda g: g.classify_controls("x", "y"), "good and bad controls depend"),
        (lambda g: g.adjustment_sets("x", "y", effect="direct"), "direct effects depend"),
        (lambda g: g.transport("x", "y", "z"), "mechanisms that differ depend"),
        (lambda g: g.structural_model({}), "structural models depend"),
        (lambda g: g.identify("x", "y").what_to_measure(), "measurements that help depend"),
    ],
)
def test_questions_that_need_directions_say_so(ask, said):
    with pytest.raises(IdentificationError, match=said) as error:
        ask(ck.DAG("x -- z; x -> y; w -> y"))
    assert "g.orient('x -> z')" in error.value.hint


def test_possible_effects_name_the_directions_and_what_to_adjust_for():
    graph = ck.DAG("a -- x -- y; a -- y")
    found = list(graph.possible_effects("x", "y"))
    directions = [(("x", "y"), ("x", "a")), (("x", "y"), ("a", "x")), (("y", "x"),)]
    assert [one.oriented for one in found] == directions
    assert [one.adjustment for one in found] == [frozenset(), frozenset("a"), None]
    assert [one.zero for one in found] == [False, False, True]
    assert all(one.graph.identify("x", "y").identified for one in found)
    known = ck.DAG("z -> x; z -> y; x -> y")
    (only,) = known.possible_effects("x", "y")
    assert only.oriented == ()
    assert only.adjustment == {"z"}
    assert only.graph == known


def test_an_estimate_in_a_class_uses_its_optimal_set():
    people = ck.datasets.coupon_campaign(random_state=1)
    graph = ck.DAG("arm -> purchase; recency -> purchase; loyalty -> purchase; recency -- age")
    result = graph.identify("arm", "purchase").estimate(people, ck.OLS(), control="no_coupon")
    assert set(result.roles["covariates"]) == {"recency", "loyalty"}


def test_a_large_class_is_answered_at_once():
    rng = np.random.default_rng(0)
    edges = {(int(a), b) for b in range(1, 120) for a in rng.choice(b, size=min(b, 2), replace=False)}
    graph = ck.DAG([(f"v{a}", f"v{b}") for a, b in edges]).cpdag()
    assert graph.undirected
    assert len(graph.is_adjustment_set("v50", "v110").open_path) > 2
    tree = ck.DAG([], undirected=[(f"v{(at - 1) // 2}", f"v{at}") for at in range(1, 300)])
    assert tree.identify("v0", "v299").orient == ("v0", "v1")
    assert [one.zero for one in tree.possible_effects("v3", "v200")] == [False, True]
