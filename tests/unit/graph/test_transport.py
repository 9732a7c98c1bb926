"""Carrying effects from a trial over to a population."""

import itertools
import random

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.id_algorithm import Hedge


@pytest.mark.parametrize(
    ("text", "differs", "strategy", "formula"),
    [
        # Pearl and Bareinboim (2011), figure 3: age causes the outcome, is a proxy of what does, and lies between.
        ("z -> x; z -> y; x -> y", "z", "reweighting", "Σ_{z} P(y | do(x), z) P*(z)"),
        ("u -> z; u -> y; x -> y", "z", "same effect", "P(y | do(x))"),
        ("x -> z -> y; x <-> y", "z", "formula", "Σ_{z} P*(z | x) P(y | do(x), z)"),
        ("x -> y; z -> x; z -> y", "x", "same effect", "P(y | do(x))"),
        ("x -> y; x <-> y", "x", "same effect", "P(y | do(x))"),
        ("y -> x", "y", "no effect", "P*(y)"),
        ("x -> y", "y", "formula", "P*(y | x)"),
    ],
)
def test_published_cases(text, differs, strategy, formula):
    verdict = ck.DAG(text, latent=["u"] if "u " in text else []).transport("x", "y", differs)
    assert verdict.transportable
    assert verdict.strategy == strategy
    assert verdict.formula() == formula
    assert verdict.verify(n_models=5).max_error < 1e-12
    assert strategy in verdict.answer
    assert verdict.explain()
    assert verdict.summary()


@pytest.mark.parametrize(
    ("text", "differs", "stuck"),
    [
        ("x -> y; x <-> y", "y", ("y",)),
        ("x -> z -> y; x <-> z", "z", ("z",)),
        ("x -> z -> y; z <-> y; x <-> z", "z", ("z", "y")),
        ("u -> x; u -> y; x -> y", "u", ("y",)),
    ],
)
def test_what_can_not_be_carried_over_says_why(text, differs, stuck):
    verdict = ck.DAG(text, latent=["u"] if "u " in text else []).transport("x", "y", differs)
    assert not verdict.transportable
    assert verdict.stuck == stuck
    assert f"How {', '.join(stuck)} comes about" in verdict.explain()
    with pytest.raises(IdentificationError, match="no formula"):
        verdict.formula()
    with pytest.raises(IdentificationError, match="no formula to verify"):
        verdict.verify()


def test_random_graphs_are_carried_over_right():
    rng, seen = random.Random(0), {}
    names = ["x", "a", "b", "c", "y"]
    for _ in range(120):
        order = rng.sample(names, 5)
        pairs = list(itertools.combinations(order, 2))
        graph = ck.DAG(
            [pair for pair in pairs if rng.random() < 0.5],
            nodes=names,
            bidirected=[pair for pair in pairs if rng.random() < 0.2],
        )
        differs = rng.sample(names, rng.choice((1, 2)))
        verdict = graph.transport("x", "y", differs)
        seen[verdict.strategy] = seen.get(verdict.strategy, 0) + 1
        if verdict.transportable:
            assert verdict.verify(n_models=2).max_error < 1e-10, (graph, differs)
        else:
            # Neither would observation of the population be enough, nor does the simple way exist.
            assert not graph.identify("x", "y").identified
            assert next(verdict.covariate_sets, None) is None
        try:  # the general algorithm finds a formula wherever a simple one exists
            general = verdict.question.formula()
        except Hedge:
            assert verdict.strategy in ("none", "no effect")
        else:
            assert verdict.question.error(general, range(5), graph.mixed, np.random.default_rng(1)) < 1e-10
    assert set(seen) == {"no effect", "same effect", "reweighting", "formula", "none"}


def test_all_covariate_sets_are_found():
    verdict = ck.DAG("z -> w -> y; x -> y; v -> w").transport("x", "y", "z")
    assert list(verdict.covariate_sets) == [frozenset("z"), frozenset("w")]
    assert "covariates to reweight on" in verdict.to_table().to_text()
    assert r"P^{*}" in verdict.formula(latex=True)


def test_where_nothing_differs_the_trial_is_the_answer():
    assert ck.DAG("x -> y; z -> y").transport("x", "y", []).strategy == "same effect"


def test_questions_that_make_no_sense_are_refused():
    with pytest.raises(DesignError, match="was not measured"):
        ck.DAG("u -> y", latent=["u"]).transport("u", "y", "y")
    with pytest.raises(DesignError, match="decides who is in the data"):
        ck.DAG("x -> y; y -> s", selected=["s"]).transport("x", "y", "y")
    with pytest.raises(DesignError, match="no node"):
        ck.DAG("x -> y").transport("x", "y", "q")
    chain = ck.DAG(" -> ".join(f"v{at}" for at in range(25)))
    with pytest.raises(DesignError, match="too large"):
        chain.transport("v0", "v24", "v24").verify()
