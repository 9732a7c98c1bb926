"""PolicyTree: the rule, its honest value, costs, several arms, and what it refuses."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.result import Result

QUICK = {"random_state": 0, "regressor": "linear", "classifier": "linear"}


@pytest.fixture(scope="module")
def table():
    """Treatment b helps where x > 0.3, c helps the others of kind 'p', nothing helps the rest."""
    rng = np.random.default_rng(8)
    n = 2400
    x, z = rng.uniform(-1, 1, n), rng.normal(size=n)
    kind = rng.choice(["p", "q"], n)
    arm = rng.choice(["a", "b", "c"], n)
    best = np.where(x > 0.3, "b", np.where(kind == "p", "c", "a"))
    y = 5.0 + z + np.where(arm == best, 1.5, 0.0) * (arm != "a") - 1.0 * ((arm != best) & (arm != "a"))
    return {"y": y + 0.5 * rng.normal(size=n), "arm": arm, "x": x, "z": z, "kind": kind, "best": best}


ROLES = {"outcome": "y", "treatment": "arm", "control": "a", "covariates": ["x", "z", "kind"]}


@pytest.fixture(scope="module")
def result(table):
    return ck.PolicyTree(**QUICK).fit(table, **ROLES)


def test_the_rule_is_found(result, table):
    assert np.mean(result.assign() == table["best"]) > 0.97
    assert len(result.rules) == 3
    text = " ".join(result.rules)
    assert "b for x > 0." in text
    assert "kind is p" in text
    np.testing.assert_array_equal(result.assign(table), result.assign())


def test_the_value_is_near_the_truth(result, table):
    truth = 1.5 * np.mean(table["best"] != "a")
    assert isinstance(result, Result)
    assert result.effects.terms == ("rule minus a", "rule minus b", "rule minus c")
    low, high = result.ci()
    assert low < truth < high
    assert result.estimate == pytest.approx(truth, abs=0.1)
    assert result.estimate < result.in_sample + 0.02
    assert result.checks["policy_gain"].status == "pass"
    assert result.checks["stability"].status == "pass"


def test_costs_by_arm_change_the_rule(table, result):
    dear = ck.PolicyTree(**QUICK, cost={"b": 0.2, "c": 9.0}).fit(table, **ROLES)
    assert set(dear.assign()) == {"a", "b"}
    same = ck.PolicyTree(**QUICK).fit(table, cost={"b": 0.2, "c": 9.0}, **ROLES)
    assert same.estimate == dear.estimate
    treated = np.mean(dear.assign() == "b")
    assert dear.estimate == pytest.approx(1.3 * treated, abs=0.1)
    column = {**table, "price": np.full(len(table["y"]), 0.2)}
    one, two = (
        ck.PolicyTree(**QUICK, **k).fit(column, **r)
        for k, r in (({"cost": 0.2}, ROLES), ({}, {**ROLES, "cost": "price"}))
    )
    assert one.estimate == pytest.approx(two.estimate, abs=1e-12)


def test_money_scales(table, result):
    rich = ck.PolicyTree(**QUICK, value=100.0).fit(table, **ROLES)
    np.testing.assert_allclose(rich.effects.values, 100.0 * result.effects.values, rtol=1e-9)
    np.testing.assert_allclose(rich.effects.se, 100.0 * result.effects.se, rtol=1e-9)


def test_the_rule_uses_only_its_terms(table):
    found = ck.PolicyTree(**QUICK).fit(table, **ROLES, terms="x")
    assert all("kind" not in rule for rule in found.rules)
    assert found.assign({"x": [0.9, -0.9]}).tolist()[0] == "b"


def test_a_model_brings_its_scores(campaign, model):
    """On its own table the scores are the model's; the value is that of rules of its folds."""
    found = ck.PolicyTree(random_state=0, cost=0.05).fit(campaign, effect=model)
    gains = np.column_stack([np.zeros(len(campaign)), model.scores - 0.05])
    chosen = (found.assign() == "coupon").astype(int)
    assert found.in_sample == pytest.approx(gains[np.arange(len(chosen)), chosen].mean(), rel=1e-10)
    assert found.roles["effect"] is model
    with pytest.raises(ck.DesignError, match="not a fitted model"):
        ck.PolicyTree(random_state=0).fit(
            campaign, effect="recency", outcome="purchase", treatment="arm", control="no_coupon"
        )


def test_a_model_of_other_outcomes_lends_no_scores(table):
    """The people are those of its fit; what happened to them is not."""
    model = ck.DRLearner(random_state=0, regressor="linear", classifier="linear", n_boot=0).fit(
        table, treatment_level="b", **ROLES
    )
    turned = {**table, "y": -table["y"]}
    rule, other = (ck.PolicyTree(**QUICK).fit(data, effect=model) for data in (table, turned))
    assert np.mean(rule.assign() == other.assign()) < 0.5
    alone = ck.PolicyTree(**QUICK).fit(turned, **ROLES)
    assert other.estimate == pytest.approx(alone.estimate, abs=0.15)


def test_the_value_does_not_fall_for_the_winner():
    """Nothing works: by the scores that chose it every rule gains, on held-out people none does."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(12):
        n = 400
        data = {
            "y": rng.normal(size=n),
            "arm": rng.integers(0, 2, n),
            **{f"x{j}": rng.normal(size=n) for j in range(4)},
        }
        tool = ck.PolicyTree(random_state=seed, regressor="mean", classifier="mean")
        found.append(
            tool.fit(data, outcome="y", treatment="arm", covariates=[f"x{j}" for j in range(4)], propensity=0.5)
        )
    assert min(f.in_sample for f in found) > 0.03
    assert np.mean([f.estimate for f in found]) < 0.05
    assert sum(f.checks["policy_gain"].status == "pass" for f in found) <= 1
    assert all(f.ci()[0] < 0 < f.ci()[1] for f in found[:6])
    assert "winner's curse" in found[0].passages()[1].text[0]


def test_naming_the_other_arm_as_control_changes_the_sides_only(campaign):
    kept = {"outcome": "purchase", "treatment": "arm", "covariates": ["recency", "loyalty"], "propensity": 0.5}
    one, two = (ck.PolicyTree(**QUICK).fit(campaign, control=c, **kept) for c in ("no_coupon", "coupon"))
    np.testing.assert_allclose(one.effects.values, two.effects.values[::-1], atol=1e-10)
    np.testing.assert_array_equal(one.assign(), two.assign())


def test_the_house_contract(result, tmp_path):
    told = json.loads(result.to_json())
    assert told["rules"] == list(result.rules)
    assert told["tree"]["split"]["covariate"] in ("x", "kind")
    assert told["winners_curse"] == pytest.approx(result.in_sample - result.estimate)
    back = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(back.assign(), result.assign())
    text = result.report(tmp_path / "rule.html").read_text()
    assert text.count('class="ck-figure"') == 2
    assert list(result.leaves) == ["who", "arm", "n", "share", "gain_in_sample", "se"]
    assert result.leaves["n"].sum() == result.n
    share, gain = result.leaves["share"].to_numpy(), result.leaves["gain_in_sample"].to_numpy()
    assert share @ gain == pytest.approx(result.in_sample, rel=1e-9)


def test_refusals_teach(table):
    with pytest.raises(ck.DesignError, match="no column for the rule"):
        ck.PolicyTree(**QUICK).fit(table, **{**ROLES, "covariates": []})
    with pytest.raises(ck.DesignError, match="names the arm 'd'"):
        ck.PolicyTree(**QUICK, cost={"d": 1.0}).fit(table, **ROLES)
    with pytest.raises(ck.DesignError, match="no amount for the arm 'c'"):
        ck.PolicyTree(**QUICK, cost={"b": 1.0}).fit(table, **ROLES)
    with pytest.raises(ck.DesignError, match="cost="):
        ck.PolicyTree(cost=-1.0)
    with pytest.raises(ck.DesignError, match="value=0"):
        ck.PolicyTree(value=0.0)
    with pytest.raises(ck.DataError, match="negative"):
        ck.PolicyTree(**QUICK).fit({**table, "price": -np.ones(len(table["y"]))}, **ROLES, cost="price")
    with pytest.raises(ck.DesignError, match="takes too long"):
        ck.PolicyTree(**QUICK, depth=3, method="exact").fit(table, **ROLES)


def test_equal_rows_do_not_fall_into_folds_by_the_order_of_the_table():
    """A 0/1 outcome and no covariates: rows differ in nothing but what the rule may cut on."""
    rng = np.random.default_rng(5)
    n = 300
    data = {"y": rng.integers(0, 2, n), "arm": rng.integers(0, 2, n), "x": rng.normal(size=n)}
    order = rng.permutation(n)
    tool, roles = ck.PolicyTree(**QUICK), {"outcome": "y", "treatment": "arm", "terms": "x", "propensity": 0.5}
    one, two = tool.fit(data, **roles), tool.fit({k: v[order] for k, v in data.items()}, **roles)
    assert one.estimate == pytest.approx(two.estimate, rel=1e-9)
    np.testing.assert_array_equal(one.assign()[order], two.assign())


def test_what_the_control_costs_is_taken_off(table):
    one = ck.PolicyTree(**QUICK, cost={"a": 0.1, "b": 0.3, "c": 0.2}).fit(table, **ROLES)
    two = ck.PolicyTree(**QUICK, cost={"b": 0.3 - 0.1, "c": 0.2 - 0.1}).fit(table, **ROLES)
    np.testing.assert_allclose(one.effects.values, two.effects.values, atol=1e-12)
