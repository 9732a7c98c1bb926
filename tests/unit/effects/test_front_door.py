from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError

LINEAR = ck.FrontDoor(regressor="linear", classifier="linear", random_state=0)
ROLES = {"outcome": "y", "treatment": "arm", "mediator": "m"}


def simulate(n=4000, seed=0, discrete=False, past=0.0):
    """Something unseen drives treatment and outcome; the treatment acts through m (and past it, where asked for)."""
    rng = np.random.default_rng(seed)
    x, unseen = rng.normal(size=(2, n))
    arm = (rng.random(n) < 1 / (1 + np.exp(-unseen - 0.4 * x))).astype(int)
    index = 0.8 * arm + 0.5 * x
    if discrete:
        m = (rng.random(n) < 1 / (1 + np.exp(0.3 - index))).astype(int)
    else:
        m = index + rng.normal(size=n)
    y = 1.5 * m + 2.0 * unseen + 0.7 * x + past * arm + rng.normal(size=n)
    return pd.DataFrame({"y": y, "arm": arm, "m": m, "x": x, "unseen": unseen, "shop": rng.integers(0, 40, n)})


def truth(table, discrete):
    if not discrete:
        return 1.2
    chance = [1 / (1 + np.exp(0.3 - 0.8 * arm - 0.5 * table["x"])) for arm in (0, 1)]
    return 1.5 * float((chance[1] - chance[0]).mean())


@pytest.mark.parametrize("discrete", [False, True])
def test_the_effect_is_found_where_adjustment_misses_it(discrete):
    table = simulate(discrete=discrete)
    result = LINEAR.fit(table, **ROLES, covariates="x")
    assert (result.pathway.levels == 2) is discrete or result.pathway.levels is None
    assert abs(result.estimate - truth(table, discrete)) < 4 * result.se
    biased = ck.AIPW(regressor="linear", classifier="linear", random_state=0).fit(
        table, outcome="y", treatment="arm", covariates="x"
    )
    assert biased.ci()[0] > truth(table, discrete) + 0.5
    assert result.estimand == "average effect of arm=1 minus arm=0 on y through m"


def test_without_covariates_it_is_the_formula_of_pearl():
    table = simulate(8000, seed=2, discrete=True).assign(m=lambda t: (t["m"] + 0.1 * t["x"] > 0.5).astype(int))
    share = table["arm"].mean()
    mean = table.groupby(["arm", "m"])["y"].mean()
    adjusted = (1 - share) * mean[0] + share * mean[1]
    chance = table.groupby("arm")["m"].value_counts(normalize=True)
    wanted = float((adjusted * (chance[1] - chance[0])).sum())
    result = LINEAR.fit(table, **ROLES)
    assert abs(result.estimate - wanted) < 0.1 * result.se  # up to folds and a small ridge


@pytest.mark.parametrize("discrete", [False, True])
def test_a_wrong_outcome_model_does_no_harm(discrete):
    table = simulate(12_000, seed=4, discrete=discrete)
    result = LINEAR.replace(n_folds=2, regressor="mean").fit(table, **ROLES, covariates="x")
    assert abs(result.estimate - truth(table, discrete)) < 4 * result.se


def test_binary_outcomes_weights_clusters_and_boosting():
    table = simulate(1500, seed=3).assign(y=lambda t: (t["y"] > 0).astype(int), w=1.0)
    result = ck.FrontDoor(n_folds=2, random_state=0).fit(table, **ROLES, covariates="x", cluster="shop", weights="w")
    assert result.effects.numbers.carrier.kind == "CR1"
    assert 0.02 < result.estimate < 0.5
    outcomes = result.average_outcomes()
    assert np.all((outcomes.effects.values > 0) & (outcomes.effects.values < 1))
    assert np.diff(outcomes.effects.values)[0] == pytest.approx(result.estimate, abs=1e-12)
    assert outcomes.effects.contrast([-1.0, 1.0]).se[0] == pytest.approx(result.se, rel=1e-10)


def test_what_is_done_now_has_a_meaning_with_a_direct_effect_too():
    table = simulate(8000, seed=5, past=1.0)
    found = LINEAR.fit(table, **ROLES, covariates="x").population_indirect_effect()
    assert abs(found.estimate - 1.2 * table["arm"].mean()) < 4 * found.se
    assert found.refit().estimate == found.estimate


def test_ledger_pickle_and_errors():
    table = simulate(600, seed=1)
    result = LINEAR.fit(table, **ROLES, covariates="x")
    assert result.checks["front_door"].status == "untestable"
    assert "carry all of the effect" in result.checks["front_door"].message
    assert set(result.checks) >= {"missing", "overlap", "mediator_overlap"}
    assert pickle.loads(pickle.dumps(result)).average_outcomes().effects.values[0] == pytest.approx(
        result.average_outcomes().effects.values[0]
    )
    assert result.with_vcov("HC0").average_outcomes().effects.se[0] < result.average_outcomes().effects.se[0]
    with pytest.raises(DesignError, match="has 3 arms"):
        LINEAR.fit(table.assign(arm=np.arange(600) % 3), **ROLES, control=0)
    with pytest.raises(DesignError, match="one value only"):
        LINEAR.fit(table.assign(m=0.0), **ROLES)
    with pytest.raises(DesignError, match="mediator= is missing"):
        LINEAR.fit(table, outcome="y", treatment="arm", mediator=[])


def test_front_door_and_mediation_share_their_nuisances():
    table = simulate(600, seed=1)
    door = LINEAR.fit(table, **ROLES, covariates="x")
    mediated = ck.Mediation(regressor="linear", classifier="linear", random_state=0).fit(table, **ROLES, covariates="x")
    assert np.array_equal(door.pathway.nested, mediated.pathway.nested)
