"""Graphs go out and come back as they were, whatever their nodes are called."""

import json

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.errors import DesignError

HOSTILE = [
    'a "quoted" name',
    "back\\slash",
    "// no comment /* nor this */",
    "line\nbreak",
    "a → b",
    "a -> b",
    "x--y",
    "[latent]",
    "{brace}",
    "graph",
    "node",
    "edge",
    "subgraph",
    "dag",
    "bb",
    "strict",
    "Größe",
    "価格",
    "&amp;",
    "&#34;",
    "1",
    "1.5",
    " ",
    "U[a,b]",
    "semi;colon,comma=equals",
    "<b>&lt;</b>",
    "true",
    "#",
    "'",
    "\t",
    "-",
    "é\u0301",
]

names = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
)


@st.composite
def graphs(draw):
    nodes = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    pairs = [(a, b) for at, a in enumerate(nodes) for b in nodes[at + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True))
    if draw(st.booleans()):
        graph = ck.DAG(edges, nodes=nodes, latent=draw(st.lists(st.sampled_from(nodes), unique=True)))
        return graph.cpdag() if draw(st.booleans()) else graph
    return ck.DAG(
        edges,
        nodes=nodes,
        latent=draw(st.lists(st.sampled_from(nodes), unique=True)),
        selected=draw(st.lists(st.sampled_from(nodes), unique=True)),
        bidirected=draw(st.lists(st.sampled_from(pairs), unique=True)),
    )


def ways(graph):
    return {
        "dagitty": ck.DAG(graph.to_dagitty()),
        "DOT": ck.DAG(graph.to_dot()),
        "GML": ck.DAG(graph.to_gml()),
        "networkx": ck.DAG(graph.to_networkx()),
        "dictionary": ck.DAG(json.loads(json.dumps(graph.to_dict()))),
        "itself": ck.DAG(graph),
    }


@settings(max_examples=150)
@given(graphs())
def test_every_format_is_read_back(graph):
    for way, back in ways(graph).items():
        assert back == graph, way
        assert back.nodes == graph.nodes or graph.undirected, way


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_survives(name):
    graph = ck.DAG([(name, "y"), ("z", name)], bidirected=[(name, "y")], latent=["z"], selected=[name])
    for way, back in ways(graph).items():
        assert back == graph, way


def test_gml_is_read_as_networkx_and_dowhy_write_it():
    made = nx.DiGraph([("x", "y"), ("z", "x")])
    assert ck.DAG("\n".join(nx.generate_gml(made))) == ck.DAG("x -> y; z -> x")
    text = (
        'graph[directed 1 node[ id "x" label "x"] node[ id "U" label "U" observed "no"] node[ id "y" label "y"]'
        'edge[source "U" target "x"] edge[source "U" target "y"] edge[source "x" target "y"]]'
    )
    assert ck.DAG(text) == ck.DAG("U -> x -> y; U -> y", latent=["U"])
    assert set(nx.parse_gml(ck.DAG("x -> y").to_gml()).edges) == {("x", "y")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('graph [ directed 1 node [ id 0 label "a" ] node [ id 1 label "a" ] ]', "GML can't be read"),
        ("graph [ directed 1 node [ id 0 ", "GML can't be read"),
        ('graph [ node [ id 0 label "a" ] node [ id 1 label "b" ] edge [ source 0 target 1 ] ]', "without a direction"),
    ],
)
def test_gml_that_is_no_graph_is_refused(text, said):
    with pytest.raises(DesignError, match=said):
        ck.DAG(text)


def test_other_spellings_of_undirected_edges():
    expected = ck.DAG("a -- b -- c")
    assert ck.DAG("graph { a -- b; b -- c }") == expected
    assert ck.DAG("pdag { a -- b -- c }") == expected
    assert ck.DAG("digraph { a -> b -> c [dir=none] }") == expected
    assert ck.DAG([], undirected=[("a", "b"), ("c", "b")]) == expected
    assert ck.DAG([("a", "b")], undirected=[("b", "c")]) == ck.DAG("a -> b -> c")


def test_a_text_that_starts_with_a_keyword_is_still_a_text():
    assert ck.DAG("graph -> {a b}") == ck.DAG([("graph", "a"), ("graph", "b")])
    assert ck.DAG('"node" [latent]; "node" -> y').latent == {"node"}
    assert ck.DAG("a -> b // a note\nb -> c /* another */") == ck.DAG("a -> b -> c")


def test_two_nodes_of_one_name_are_refused():
    with pytest.raises(DesignError, match="one name"):
        ck.DAG(nx.DiGraph([(1, "1"), ("1", "y")]))
    graph = nx.DiGraph([("U", "a")])
    graph.nodes["U"]["bidirected"] = True
    with pytest.raises(DesignError, match="two ends"):
        ck.DAG(graph)
    with pytest.raises(DesignError, match="no pair"):
        ck.DAG({**ck.DAG("a -> b").to_dict(), "directed": ["ab"]})
