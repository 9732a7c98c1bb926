"""A model knows the rows that trained it, with its data and without."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import causalkit as ck


@pytest.fixture(scope="module")
def pickled(model):
    return pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))


@pytest.mark.parametrize("tool", [ck.UpliftEvaluation(), ck.Segmentation(), ck.Targeting(value=5.0)])
def test_a_pickled_model_refuses_its_training_rows(pickled, campaign, tool):
    assert pickled.sample is None
    for rows in (campaign.iloc[:500], campaign.sample(frac=1.0, random_state=1)):
        with pytest.raises(ck.DesignError, match="trained the model"):
            tool.fit(rows, effect=pickled)


def test_a_pickled_model_still_takes_its_table_and_new_people(model, pickled, campaign, fresh):
    for table in (campaign, fresh):
        told = ck.UpliftEvaluation(random_state=0).fit(table, effect=pickled)
        assert told.estimate == ck.UpliftEvaluation(random_state=0).fit(table, effect=model).estimate


def discrete(n, seed, cells):
    """Customers told apart by few numbers, so that new ones look like old ones by chance."""
    rng = np.random.default_rng(seed)
    arm, cell = rng.integers(0, 2, n), rng.integers(0, cells, n)
    return {"y": np.where(rng.random(n) < 0.3 + 0.2 * arm, 1.0, 0.0), "arm": arm, "cell": 1.0 * cell}


def learned(data, **roles):
    learner = ck.DRLearner(random_state=0, regressor="linear", classifier="linear", n_boot=10)
    return learner.fit(data, **{"outcome": "y", "treatment": "arm", "covariates": ["cell"], "propensity": 0.5, **roles})


def test_new_rows_that_match_by_chance_are_not_refused():
    """600 rows in 6,000 cells: one new row in ten equals a training row, and none of them is one."""
    run = ck.UpliftEvaluation(random_state=0)
    old = discrete(600, 0, 3000)
    model = learned(old)
    new = run.fit(discrete(600, 1, 3000), effect=model)
    assert new.checks["held_out"].status == "pass"
    with pytest.raises(ck.DesignError, match="trained the model"):
        run.fit({name: column[:300] for name, column in old.items()}, effect=model)


def test_what_can_not_be_told_is_not_passed():
    run = ck.UpliftEvaluation(random_state=0)
    old = discrete(600, 0, 3)
    model = learned(old)
    for rows in (discrete(500, 1, 3), {name: column[:300] for name, column in old.items()}):
        found = run.fit(rows, effect=model).checks["held_out"]
        assert found.status == "untestable"
        assert "can't be told" in found.message
    many = discrete(600, 0, 40)
    with pytest.raises(ck.DesignError, match="trained the model"):
        run.fit({name: column[::-1] for name, column in many.items()}, effect=learned(many))


def test_training_rows_are_known_under_another_name_of_the_outcome(campaign, model, fresh):
    run = ck.UpliftEvaluation(random_state=0)
    part = campaign.iloc[:500].rename(columns={"purchase": "bought"})
    with pytest.raises(ck.DesignError, match="trained the model"):
        run.fit(part, effect=model, outcome="bought")
    later = campaign.iloc[:500].assign(purchase=np.random.default_rng(0).normal(size=500))
    found = run.fit(later, effect=model).checks["held_out"]
    assert found.status == "untestable"
    assert "with other outcomes" in found.message
    assert run.fit(fresh, effect=model).checks["held_out"].status == "pass"
