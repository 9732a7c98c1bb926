"""66 published graphs, solved by brute force from the definition and, where it has the query, by dagitty 0.3-4 (no difference)."""

import json
from pathlib import Path

import pytest

from causalkit.graph.dag import DAG

CASES = json.loads((Path(__file__).parent / "adjustment.json").read_text())
#: The reference does not look at selection; a graph with it is tested below.
PLAIN = [name for name, case in CASES.items() if not case["graph"].get("selected")]


def read(name):
    spec = CASES[name]["graph"]
    return DAG(spec["directed"], latent=spec["latent"], bidirected=spec["bidirected"], nodes=spec["nodes"]), spec


def ordered(sets):
    return sorted(sorted(one) for one in sets)


@pytest.mark.parametrize("name", PLAIN)
def test_sets_are_those_of_the_definition(name):
    graph, spec = read(name)
    case, query = CASES[name], (spec["exposure"], spec["outcome"])
    assert ordered(graph.adjustment_sets(*query)) == ordered(case["minimal"])
    every = list(graph.adjustment_sets(*query, kind="all"))
    assert ordered(every) == ordered(case["all_valid"])
    smallest = list(graph.adjustment_sets(*query, kind="minimum"))
    assert [len(one) for one in smallest] == ([min(map(len, every))] if every else [])
    largest = list(graph.adjustment_sets(*query, kind="canonical"))
    assert bool(largest) == bool(every)
    for chosen in (*smallest, *largest):
        assert graph.is_adjustment_set(*query, chosen)
    optimal = case["oset_if_no_latent"]
    found = list(graph.adjustment_sets(*query, kind="optimal"))
    if found:
        assert optimal is not None
        assert found == [frozenset(optimal)]
    elif optimal is not None:  # the formula can be written down although nothing is valid
        assert sorted(optimal) not in ordered(every)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_not_valid_has_a_reason(name):
    graph, spec = read(name)
    valid = {frozenset(one) for one in CASES[name]["all_valid"]}
    for candidate in spec["nodes"]:
        if candidate in (*spec["exposure"], *spec["outcome"]):
            continue
        verdict = graph.is_adjustment_set(spec["exposure"], spec["outcome"], [candidate])
        assert verdict.valid == (frozenset([candidate]) in valid)
        assert verdict.valid or verdict.open_path or verdict.forbidden or candidate in graph.latent


def test_selection_on_the_outcome_leaves_no_set():
    graph = DAG("z -> x; z -> y; x -> y; y -> s", selected=["s"])
    assert list(graph.adjustment_sets("x", "y")) == []
    assert not graph.is_adjustment_set("x", "y", ["z"])


def test_selection_on_a_cause_of_the_treatment_does_no_harm():
    graph = DAG("s -> x; z -> x; z -> y; x -> y", selected=["s"])
    assert list(graph.adjustment_sets("x", "y")) == [frozenset({"z"})]
