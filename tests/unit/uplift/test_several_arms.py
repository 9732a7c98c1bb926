"""Three arms through every tool: all of them where a tool chooses among arms, else the one that is named, never the first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.uplift import held_out
from causalkit.uplift.evidence import gather


def _mailing(n, seed):
    """Calls help by 0.5 + x, letters harm by 0.5 x + 0.2."""
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)
    arm = rng.integers(0, 3, n)
    effect = np.column_stack([np.zeros(n), 0.5 + x, -0.2 - 0.5 * x])
    y = z + effect[np.arange(n), arm] + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "arm": np.array(["none", "call", "letter"])[arm], "x": x, "z": z})


@pytest.fixture(scope="module")
def data():
    return _mailing(1500, 0)


@pytest.fixture(scope="module")
def fresh():
    return _mailing(900, 1)


@pytest.fixture(scope="module", params=["dr", "forest"])
def model(request, data):
    tool = (
        ck.DRLearner(random_state=0, regressor="linear", classifier="linear", n_boot=10)
        if request.param == "dr"
        else ck.CausalForest(random_state=0, n_trees=40, regressor="linear", classifier="linear")
    )
    return tool.fit(data, outcome="y", treatment="arm", control="none", covariates=["x", "z"])


@pytest.mark.parametrize("tool", [ck.UpliftEvaluation(random_state=0), ck.Segmentation(random_state=0)])
def test_one_arm_at_a_time_has_to_be_named(tool, model, data, fresh):
    for table in (data, fresh):
        with pytest.raises(ck.DesignError, match=r"2 arms besides 'none' \('call', 'letter'\)") as caught:
            tool.fit(table, effect=model)
        assert "treatment_level='call'" in caught.value.hint
    with pytest.raises(ck.DesignError, match="2 arms besides"):
        tool.fit(fresh, score="x", outcome="y", treatment="arm", control="none", covariates=["z"])
    with pytest.raises(ck.DesignError, match="2 arms besides"):
        ck.Targeting(random_state=0).fit(
            fresh, effect="x", outcome="y", treatment="arm", control="none", covariates=["z"]
        )


def test_the_arm_that_is_named_is_the_one_that_is_judged(model, data, fresh, monkeypatch):
    tool = ck.UpliftEvaluation(random_state=0)
    # Effects of calls rise with x, those of letters fall: rankings by x are good for one and bad for the other.
    for level, sign, arm in (("call", 1.0, 0), ("letter", -1.0, 1)):
        scored = tool.fit(
            fresh, score="x", outcome="y", treatment="arm", control="none", covariates=["z"], treatment_level=level
        )
        assert np.sign(scored.estimate) == sign
        assert level in scored.estimand
        for table in (data, fresh):
            found = tool.fit(table, effect=model, treatment_level=level)
            assert found.estimate > 0.1
            np.testing.assert_allclose(
                found.sample.number("predicted_effect"), model.prediction(table, arm=arm + 1).effect
            )
        report = ck.Segmentation(random_state=0).fit(data, effect=model, treatment_level=level)
        assert level in report.title
        assert report.checks["validation"].status == "pass"
    monkeypatch.setattr(held_out, "_cross_fit", None)  # a model's own scores are used, not new ones
    evidence = gather(data, {"effect": model, "treatment_level": "letter"})
    np.testing.assert_array_equal(evidence.scores, model.scores[:, 1])
    np.testing.assert_array_equal(evidence.contrasts, model.scores[:, [1, 0]])
    np.testing.assert_array_equal(evidence.arm_scores, model.nuisances.scores[:, [0, 2]])


def test_targeting_and_policy_trees_choose_among_all_arms_or_plan_one(model, data):
    plan = ck.Targeting(value=1.0, cost=0.05, random_state=0).fit(data, effect=model)
    assert plan.arms == ("call", "letter")
    one = ck.Targeting(value=1.0, cost=0.05, random_state=0).fit(data, effect=model, treatment_level="letter")
    assert one.arms == ("letter",)
    np.testing.assert_allclose(one.effect, model.prediction(data, arm=2).effect)
    tree = ck.PolicyTree(depth=1, random_state=0, n_cuts=20)
    rule = tree.fit(data, effect=model)
    assert rule.names == ("none", "call", "letter")
    letters = tree.fit(data, effect=model, treatment_level="letter")
    assert letters.names == ("none", "letter")
    assert set(np.unique(letters.actions)) <= {0, 1}
    assert letters.estimate < rule.estimate


def test_an_arm_or_control_that_the_model_does_not_know_is_refused(model, fresh):
    other = fresh.assign(arm=fresh["arm"].replace({"letter": "visit"}))
    with pytest.raises(ck.DesignError, match="not fitted on the arm 'visit'"):
        ck.UpliftEvaluation(random_state=0).fit(other, effect=model, treatment_level="call")
    with pytest.raises(ck.DesignError, match="effects are those over 'none'"):
        ck.UpliftEvaluation(random_state=0).fit(fresh, effect=model, control="letter", treatment_level="call")


def test_a_comparison_makes_scores_once(fresh, monkeypatch):
    made, real = [], held_out._cross_fit
    monkeypatch.setattr(held_out, "_cross_fit", lambda *given: made.append(1) or real(*given))
    roles = {"outcome": "y", "treatment": "arm", "control": "none", "covariates": ["z"], "treatment_level": "call"}
    table = fresh.assign(down=-fresh["x"])
    tool = ck.UpliftEvaluation(random_state=0)
    both = tool.compare(table, score=["x", "down", "z"], **roles)
    assert len(made) == 1
    alone = tool.fit(table, score="down", **roles)
    assert both["down"].estimate == alone.estimate
    # Other learners or roles are other scores.
    tool.compare(table, score={"x": "x", "short": np.where(np.arange(len(table)) < 5, np.nan, table["x"])}, **roles)
    assert len(made) == 4


@pytest.mark.filterwarnings("ignore")  # importing econml warns of its own dependencies
def test_a_model_of_econml_is_asked_for_the_arms_that_are_compared():
    from econml.dml import LinearDML
    from sklearn.linear_model import LinearRegression, LogisticRegression

    rng = np.random.default_rng(0)
    people = pd.DataFrame(rng.normal(size=(900, 2)), columns=["a", "b"])
    arm = rng.integers(0, 3, 900)
    people["arm"] = np.array(["none", "mail", "call"])[arm]
    people["y"] = (arm == 1) * (1 + people["a"]) + (arm == 2) * (1 - people["a"]) + rng.normal(size=900)
    model = LinearDML(
        model_y=LinearRegression(), model_t=LogisticRegression(), discrete_treatment=True, random_state=0
    ).fit(people["y"], people["arm"], X=people[["a", "b"]])
    roles = {"outcome": "y", "treatment": "arm", "control": "none", "covariates": ["a", "b"]}
    for level, sign in (("mail", 1.0), ("call", -1.0)):
        found = ck.UpliftEvaluation(random_state=0).fit(people, effect=model, treatment_level=level, **roles)
        wanted = ck.UpliftEvaluation(random_state=0).fit(
            people, effect=1 + sign * people["a"].to_numpy(), treatment_level=level, **roles
        )
        assert found.effects.values[0] == pytest.approx(wanted.effects.values[0], abs=0.1)
        assert found.effects.values[0] > 0.5
    with pytest.raises(ck.DesignError, match="treatment_level="):
        ck.UpliftEvaluation(random_state=0).fit(people, effect=model, **roles)
