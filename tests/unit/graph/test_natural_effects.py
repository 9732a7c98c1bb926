"""Natural effects: textbook graphs, linear models whose effects are known, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import causalkit as ck

IDENTIFIED = [
    ("x -> m -> y; x -> y", [], "m", set()),
    ("x -> m -> y; x -> y; c -> x; c -> m; c -> y", [], "m", {"c"}),
    ("x -> m -> y; x -> y; c -> m; c -> y", [], "m", {"c"}),
    ("x -> m -> y; x -> y; u -> c; u -> m; c -> y", ["u"], "m", {"c"}),
    ("x -> a -> b -> y; x -> y; x -> b; a -> y", [], ["a", "b"], set()),
]
NOT = [
    ("x -> m -> y; x -> y; u -> m; u -> y", ["u"], "m", "m <- u -> y"),
    ("x -> m -> y; x -> y; m <-> y", [], "m", "m <-> y"),
    ("x -> m -> y; x -> y; x -> l; l -> m; l -> y", [], "m", "l is an effect of the treatment and confounds"),
    ("x -> m -> y; x -> y; u -> x; u -> y", ["u"], "m", "stays open"),
]


@pytest.mark.parametrize(("edges", "latent", "mediator", "covariates"), IDENTIFIED)
def test_identified(edges, latent, mediator, covariates):
    found = ck.DAG(edges, latent=latent).natural_effects("x", "y", mediator)
    assert found.identified
    assert found.covariates == covariates
    assert "Identified" in found.answer


@pytest.mark.parametrize(("edges", "latent", "mediator", "why"), NOT)
def test_not_identified_and_why(edges, latent, mediator, why):
    found = ck.DAG(edges, latent=latent).natural_effects("x", "y", mediator)
    assert not found.identified
    assert why in found.explain()
    with pytest.raises(ck.IdentificationError, match="not identified"):
        found.estimate({}, ck.Mediation())


def test_the_sets_give_the_right_effects_in_random_linear_models():
    """Population regressions with the chosen covariates give the product of paths through the mediator, wherever it is found."""
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(1500):
        names = ["x", "m", "y", "a", "b", "u"]
        order = [names[i] for i in rng.permutation(6)]
        pairs = [(s, t) for i, s in enumerate(order) for t in order[i + 1 :] if rng.random() < 0.45]
        graph = ck.DAG(pairs, nodes=names, latent=["u"])
        if not ("m" in graph.descendants("x") and "y" in graph.descendants("m")):
            continue
        found = graph.natural_effects("x", "y", "m")
        if not found.identified:
            continue
        b = np.zeros((6, 6))
        for s, t in pairs:
            b[names.index(t), names.index(s)] = rng.uniform(0.5, 1.5) * rng.choice([-1, 1])
        total = np.linalg.inv(np.eye(6) - b)
        cov = total @ total.T
        x, m, y = 0, 1, 2
        given = [names.index(name) for name in found.covariates]
        slope = lambda of, on: np.linalg.solve(cov[np.ix_(on, on)], cov[on, of])[0]  # noqa: B023, E731
        without_m = b.copy()
        without_m[m] = 0.0
        direct = np.linalg.inv(np.eye(6) - without_m)[y, x]
        indirect = slope(m, [x, *given]) * slope(y, [m, x, *given])
        assert slope(y, [x, m, *given]) == pytest.approx(direct, abs=1e-8)
        assert indirect == pytest.approx(total[y, x] - direct, abs=1e-8)
        checked += 1
    assert checked > 40


def test_a_set_is_found_wherever_there_is_one_and_nothing_can_be_left_out():
    """All subsets of what the treatment does not change, held against both adjustment criteria."""
    rng = np.random.default_rng(5)
    names, seen = ["x", "m", "y", "a", "b", "c", "u"], {True: 0, False: 0}
    while min(seen.values()) < 10:
        order = [names[i] for i in rng.permutation(7)]
        pairs = list(combinations(order, 2))
        edges = [pair for pair in pairs if rng.random() < 0.4]
        hidden = [pair for pair in pairs if rng.random() < 0.07]
        graph = ck.DAG(edges, nodes=names, latent=["u"], bidirected=hidden)
        if not ("m" in graph.descendants("x") and "y" in graph.descendants("m")):
            continue
        free = [name for name in names if name != "u" and name not in graph.descendants("x")]
        valid = [
            frozenset(chosen)
            for size in range(len(free) + 1)
            for chosen in combinations(free, size)
            if graph.is_adjustment_set(["x", "m"], "y", chosen) and graph.is_adjustment_set("x", "m", chosen)
        ]
        found = graph.natural_effects("x", "y", "m")
        assert found.identified == bool(valid)
        if found.identified:
            assert found.covariates in valid
            assert not any(chosen < found.covariates for chosen in valid)
        seen[found.identified] += 1


def test_it_estimates_with_the_covariates_it_found():
    rng = np.random.default_rng(1)
    c = rng.normal(size=1500)
    x = (c + rng.normal(size=1500) > 0).astype(int)
    m = 0.5 * x + c + rng.normal(size=1500)
    data = {"x": x, "m": m, "y": 0.7 * x + 0.8 * m + c + rng.normal(size=1500), "c": c}
    found = ck.DAG("x -> m -> y; x -> y; c -> x; c -> m; c -> y").natural_effects("x", "y", "m")
    result = found.estimate(data, ck.Mediation(method="linear"))
    assert abs(result.estimate - 0.4) < 4 * result.se
    with pytest.raises(ck.IdentificationError, match="does not estimate natural effects"):
        found.estimate(data, ck.OLS())


@pytest.mark.parametrize(
    ("x", "y", "mediator", "match"),
    [
        ("x", "y", "c", "no measured mediator"),
        ("x", "y", "x", "different nodes"),
        ("x", "y", "mm", "no node 'mm'"),
        ("x", "y", "u", "no measured mediator"),
        ("x", "y", [], "need a mediator"),
    ],
)
def test_refused(x, y, mediator, match):
    graph = ck.DAG("x -> m -> y; c -> y; x -> u -> y", latent=["u"])
    with pytest.raises(ck.DesignError, match=match):
        graph.natural_effects(x, y, mediator)
