"""63 graphs: whether the effect is identified, as R's causaleffect 1.3.17 says; formulas against the true distribution."""

import json
from pathlib import Path

import pytest

from causalkit.graph.dag import DAG

HERE = Path(__file__).parent
CASES = json.loads((HERE / "identification.json").read_text())
ADJUSTMENT = json.loads((HERE / "adjustment.json").read_text())


def read(spec):
    latent = spec.get("latent", ())
    return DAG(spec["directed"], latent=latent, bidirected=spec["bidirected"], nodes=spec["nodes"])


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_and_the_formula(name):
    spec = CASES[name]["graph"]
    verdict = read(spec).identify(spec["exposure"], spec["outcome"])
    assert verdict.identified == CASES[name]["identifiable"]
    assert verdict.explain()
    assert verdict.summary()
    if verdict.identified:
        if len(spec["nodes"]) + len(spec["bidirected"]) <= 14:
            assert verdict.verify(n_models=5).max_error < 1e-12
    else:
        inner, outer = set(verdict.hedge[1]), set(verdict.hedge[0])
        assert inner < outer


@pytest.mark.parametrize("name", [name for name, case in ADJUSTMENT.items() if "frontdoor_minimal" in case])
def test_front_door_sets(name):
    case = ADJUSTMENT[name]
    found = read(case["graph"]).frontdoor_sets(case["graph"]["exposure"], case["graph"]["outcome"])
    assert sorted(map(sorted, found)) == sorted(map(sorted, case["frontdoor_minimal"]))


@pytest.mark.parametrize("name", [name for name, case in ADJUSTMENT.items() if case.get("minimal_ci") is not None])
def test_implied_independencies(name):
    case = ADJUSTMENT[name]
    found = sorted((sorted([a, b]), sorted(given)) for a, b, given in read(case["graph"]).implied_independencies())
    assert found == sorted((sorted(pair), sorted(given)) for pair, given in case["minimal_ci"])


@pytest.mark.parametrize(
    "name", [name for name, case in ADJUSTMENT.items() if case.get("conditional_instruments_minimal") is not None]
)
def test_instruments(name):
    case = ADJUSTMENT[name]
    spec = case["graph"]
    graph = read(spec)
    found = {(one, given) for one, given in graph.instruments(spec["exposure"], spec["outcome"])}
    known = {
        (one if isinstance(one, str) else one[0], frozenset(given))
        for one, given in case["conditional_instruments_minimal"]
    }
    # The reference also offers effects of the treatment, and adjusts for mediators: that is no instrument for the total effect.
    below = graph.descendants(spec["exposure"])
    assert found == {(one, given) for one, given in known if one not in below and not given & below}
