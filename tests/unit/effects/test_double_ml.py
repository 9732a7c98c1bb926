from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.testing.table import table

LINEAR = ck.DoubleML(regressor="linear", classifier="linear", random_state=0)


@pytest.fixture(scope="module")
def doses():
    rng = np.random.default_rng(3)
    n = 1500
    x = rng.normal(size=(n, 2))
    dose = x[:, 0] + rng.normal(size=n)
    y = 2 * x[:, 0] + (1 + 0.5 * x[:, 1]) * dose + rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": y,
            "dose": dose,
            "a": x[:, 0],
            "b": x[:, 1],
            "side": np.where(x[:, 1] > 0, "high", "low"),
            "row": rng.integers(0, 30, n),
            "column": rng.integers(0, 25, n),
            "w": rng.integers(1, 4, n),
        }
    )


ROLES = {"outcome": "y", "treatment": "dose", "covariates": ["a", "b"]}


@pytest.fixture(scope="module")
def slope(doses):
    return LINEAR.fit(doses, **ROLES)


@pytest.mark.parametrize("method", ["plr", "plr_iv"])
def test_slope_is_recovered(doses, method):
    found = LINEAR.replace(method=method).fit(doses, **ROLES)
    assert abs(found.estimate - 1.0) < 4 * found.se
    assert found.estimand == "effect of one more unit of dose on y, covariates held fixed (partially linear)"
    assert found.effects.numbers.carrier.kind == "HC1"


def test_units_of_the_dose(doses, slope):
    scaled = LINEAR.fit(doses.assign(dose=doses["dose"] * 1000.0), **ROLES)
    assert scaled.estimate * 1000 == pytest.approx(slope.estimate, rel=1e-8)
    assert scaled.se * 1000 == pytest.approx(slope.se, rel=1e-8)


def test_how_the_slope_differs(doses, slope):
    line = slope.blp("b")
    assert line.effects.terms == ("constant", "b")
    assert abs(line.effects.values[1] - 0.5) < 4 * line.effects.se[1]
    low, high = (slope.gate((doses["b"] > 0).to_numpy()).effects.values[g] for g in (0, 1))
    assert high > low + 0.4
    again = line.refit()
    np.testing.assert_allclose(again.effects.values, line.effects.values, rtol=1e-12)


def test_groups_by_a_categorical_covariate(doses):
    found = LINEAR.fit(doses, **{**ROLES, "covariates": ["a", "b", "side"]})
    groups = found.gate("side")
    assert set(groups.effects.columns["group"]) == {"low", "high"}
    low, high = groups.effects.ci(simultaneous=True)
    narrow = groups.effects.ci()
    assert np.all(low < narrow[0])
    assert np.all(narrow[1] < high)
    with pytest.raises(DesignError, match="groups need 2 to 50"):
        found.gate("a")
    with pytest.raises(DesignError, match="was not a covariate"):
        found.gate("w")
    with pytest.raises(DataError, match="belong to no group"):
        found.gate(np.where(doses["b"] > 2, None, "x"))
    with pytest.raises(DataError, match="group 'alone' has one row only") as refusal:
        found.gate(np.where(np.arange(len(doses)) == 7, "alone", "x"))
    assert refusal.value.rows == (7,)


def test_two_ways_of_clusters(doses):
    found = LINEAR.replace(n_folds=3).fit(doses, **ROLES, cluster=["row", "column"])
    assert found.effects.df[0] == 24
    assert abs(found.estimate - 1.0) < 4 * found.se
    with pytest.raises(DesignError, match="3 columns"):
        LINEAR.fit(doses, **ROLES, cluster=["row", "column", "side"])
    with pytest.raises(DesignError, match="2 clusters, fewer than n_folds=5"):
        LINEAR.fit(doses, **ROLES, cluster=["row", "side"])


def test_two_ways_hold_out_both_clusters():
    from causalkit.effects.double_ml_nuisance import Splits

    one, two = np.arange(60, dtype=np.int32) % 3, np.arange(60, dtype=np.int32) // 20
    splits = Splits.of(one, two)
    assert len(splits.parts) == 9
    held = np.concatenate([held_out for _, held_out in splits.parts])
    assert sorted(held) == list(range(60))
    for train, held_out in splits.parts:
        assert not set(one[train]) & set(one[held_out])
        assert not set(two[train]) & set(two[held_out])


def test_repeats_take_the_median(doses):
    single = [LINEAR.replace(random_state=seed).fit(doses, **ROLES) for seed in range(3)]
    found = LINEAR.replace(n_repeats=3).fit(doses, **ROLES)
    values, errors = np.array([r.estimate for r in single]), np.array([r.se for r in single])
    assert found.estimate == pytest.approx(np.median(values), rel=1e-12)
    assert found.se == pytest.approx(np.sqrt(np.median(errors**2 + (values - found.estimate) ** 2)), rel=1e-12)
    difference = found - single[0]
    assert difference.se < 0.5 * found.se  # the same rows: nearly the same influence values


def test_repeats_of_every_answer(trial, roles):
    found = LINEAR.replace(n_repeats=3).fit(trial, **roles, cluster="village")
    single = [LINEAR.replace(random_state=seed).fit(trial, **roles, cluster="village") for seed in range(3)]
    for ask in (
        lambda r: r.ate("treated"),
        lambda r: r.ate("overlap"),
        lambda r: r.blp("x"),
        lambda r: r.gate("group"),
        lambda r: r.average_outcomes(),
    ):
        values = np.median([ask(r).effects.values for r in single], axis=0)
        np.testing.assert_allclose(ask(found).effects.values, values, rtol=1e-10)
    np.testing.assert_allclose(found.ate("all").effects.values, found.effects.values, rtol=1e-12)
    np.testing.assert_allclose(found.ate("all").se, found.se, rtol=1e-12)


def test_arms(trial, roles):
    found = LINEAR.fit(trial, **roles)
    assert found.estimand == "average effect of coupon minus letter on y"
    assert abs(found.estimate - 1.0) < 3 * found.se
    levels = found.average_outcomes().effects
    assert levels.terms == ("arm=letter", "arm=coupon")
    contrast = levels.contrast([-1.0, 1.0])
    assert contrast.values[0] == pytest.approx(found.estimate, rel=1e-10)
    assert contrast.se[0] == pytest.approx(found.se, rel=1e-10)
    assert "coupon" in found.summary()
    hajek = LINEAR.replace(method="irm_hajek").fit(trial, **roles)
    assert 0 < abs(hajek.estimate - found.estimate) < found.se


def test_normalised_weights_ignore_the_level_of_the_outcome(trial, roles):
    """Without covariates and with a wrong known propensity, Hájek's is still the difference in means."""
    bare = {key: value for key, value in roles.items() if key != "covariates"}
    found = ck.DoubleML(method="irm_hajek", random_state=0).fit(trial, **bare, propensity=0.2)
    means = trial.groupby("arm")["y"].mean()
    assert found.estimate == pytest.approx(means["coupon"] - means["letter"], abs=0.02)
    plain = ck.DoubleML(method="irm", random_state=0).fit(trial, **bare, propensity=0.2)
    assert abs(plain.estimate - found.estimate) < 0.05  # the outcome model repairs the wrong propensity


def test_partially_linear_with_arms_agrees_with_a_known_propensity(trial, roles):
    found = LINEAR.replace(method="plr").fit(trial, **roles, propensity=0.5)
    v = found.residuals[0].treatment
    assert set(np.round(v, 12)) == {-0.5, 0.5}
    assert {"balance", "overlap", "outcome_model", "srm"} <= set(found.checks)
    assert abs(found.estimate - 1.0) < 3 * found.se


def test_refusals(trial, roles, doses):
    with pytest.raises(DesignError, match="compares arms"):
        LINEAR.replace(method="irm").fit(doses, **ROLES)
    with pytest.raises(DesignError, match="needs a dose"):
        LINEAR.replace(method="dose_response").fit(trial, **roles)
    with pytest.raises(DesignError, match="probability of an arm"):
        LINEAR.fit(doses, **ROLES, propensity=0.5)
    with pytest.raises(DesignError, match='belongs to method="dose_response"'):
        LINEAR.replace(doses=[1.0]).fit(doses, **ROLES)
    with pytest.raises(DesignError, match="does not rise"):
        ck.DoubleML(doses=[2.0, 1.0])
    with pytest.raises(DesignError, match="not a list of numbers"):
        ck.DoubleML(doses="1, 2")
    third = trial.assign(arm=np.where(np.arange(len(trial)) % 3 == 0, "call", trial["arm"]))
    with pytest.raises(DesignError, match="mixed with"):
        LINEAR.replace(method="plr").fit(third, **roles)


def test_covariates_that_fix_the_treatment(doses):
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeRegressor

    same, roles = doses.assign(same=2 * doses["dose"]), {**ROLES, "covariates": ["same"]}
    with pytest.raises(DesignError, match="determine the treatment"):
        LINEAR.replace(regressor=LinearRegression()).fit(same, **roles)
    with pytest.raises(DesignError, match="determine the treatment"):
        LINEAR.replace(method="plr_iv").fit(same, **roles)
    whole = same.assign(dose=np.round(same["dose"]).clip(-1, 1)).assign(same=lambda t: t["dose"])
    with pytest.raises(DesignError, match="determine the treatment"):
        LINEAR.replace(method="plr_iv", regressor=DecisionTreeRegressor()).fit(whole, **roles)
    assert LINEAR.fit(same, **roles).checks["overlap"].status == "fail"


def test_several_arms(trial, roles):
    third = trial.assign(arm=np.where(np.arange(len(trial)) % 3 == 0, "call", trial["arm"]))
    found = LINEAR.fit(third, **roles, treatment_level="coupon")
    assert found.headline == "coupon minus letter"
    assert found.average_outcomes().effects.terms == ("arm=letter", "arm=coupon", "arm=call")
    with pytest.raises(InferenceUnavailable, match="speaks of one arm"):
        LINEAR.fit(third, **roles).gate("group")


def test_a_pickle_answers_without_its_rows(trial, roles):
    found = pickle.loads(pickle.dumps(LINEAR.fit(trial, **roles)))
    assert found.ate("treated").se > 0
    with pytest.raises(InferenceUnavailable, match="no longer holds its data"):
        found.gate("group")
    assert len(found.gate(trial["group"].to_numpy()).effects) == 3


def test_contract_with_a_dose():
    roles = {
        "outcome": "spend",
        "treatment": "dose",
        "covariates": ["age", "visits", "income", "segment"],
        "cluster": "store",
        "weights": "weight",
        "unit": "customer",
    }
    ck.testing.check_estimator(LINEAR.replace(method="plr", n_folds=2), table(), fast=True, **roles)
