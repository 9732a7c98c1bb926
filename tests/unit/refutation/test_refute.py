"""``ck.refute``: what it runs, what it says, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.result_map import ResultMap
from causalkit.refutation.refuting import CHALLENGES

ROLES = {"outcome": "y", "treatment": "t", "covariates": ["x"]}


@pytest.fixture(scope="module")
def hidden():
    """The truth is 1; a hidden common cause makes it 5.7."""
    rng = np.random.default_rng(0)
    u, x = rng.normal(size=(2, 1000))
    t = 2 * u + 0.3 * x + 0.5 * rng.normal(size=1000)
    return {"y": t + 10 * u + x + rng.normal(size=1000), "t": t, "x": x, "other": 3 * u + rng.normal(size=1000)}


@pytest.fixture(scope="module")
def result(hidden):
    return ck.OLS().fit(hidden, **ROLES)


def test_a_hidden_common_cause_passes_and_the_report_says_so(result):
    found = ck.refute(result, n_sim=40)
    assert result.estimate > 5
    assert found.failed == ()
    assert "None of these tests can see a common cause that was not measured" in found.answer
    assert "ck.sensitivity" in found.answer
    for word in ("proves", "no confounding", "unconfounded", "valid"):
        assert word not in found.summary()
    assert "not measured" in found.to_frame()["cannot detect"].str.cat()


def test_only_a_negative_control_sees_it(hidden, result):
    found = ck.refute(result, n_sim=40, data=hidden, negative_outcomes="other", negative_treatments=["other"])
    assert set(found.failed) == {"negative_outcome", "negative_treatment"}
    assert "Only a negative control can see" in found.answer


def test_what_has_no_meaning_is_named_and_raised_when_asked_for(result):
    found = ck.refute(result, n_sim=20)
    assert set(found.found) | set(found.skipped) == set(CHALLENGES)
    assert "rest on trends" in found.skipped["placebo_in_time"]
    with pytest.raises(ck.InferenceUnavailable, match="rest on trends"):
        ck.refute(result, tests="placebo_in_time")


def test_each_test_has_its_own_stream(result):
    alone = ck.refute(result, tests="bootstrap", n_sim=30)
    among = ck.refute(result, tests=["placebo_treatment", "bootstrap"], n_sim=30)
    other = ck.refute(result, tests="bootstrap", n_sim=30, random_state=1)
    assert alone.checks["bootstrap"] == among.checks["bootstrap"]
    assert alone.checks["bootstrap"] != other.checks["bootstrap"]


def test_the_number_of_draws_follows_the_time_of_a_fit_and_is_printed(result):
    found = ck.refute(result, tests="bootstrap")
    assert 40 <= found.n_sim <= 400
    assert f"{found.n_sim} times each, chosen because a fit takes" in found.summary()


def test_the_table_has_a_power_for_every_test_that_can_reject(result):
    frame = ck.refute(result, n_sim=40).to_frame()
    told = frame.set_index("test")["power"].drop("simulated_confounder")
    assert told.between(0, 1).all()
    assert frame["detects"].str.len().min() > 20


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"tests": "placebo"}, ck.DesignError, "Did you mean 'placebo_"),
        ({"tests": ["nothing at all"]}, ck.DesignError, "Tests: placebo_treatment"),
        ({"n_sim": 3}, ck.DesignError, "too few draws"),
        ({"n_sim": True}, ck.DesignError, "too few draws"),
        ({"tests": "negative_outcome", "negative_outcomes": "other"}, ck.InferenceUnavailable, "pass data="),
    ],
)
def test_what_is_refused(result, keywords, error, match):
    with pytest.raises(error, match=match):
        ck.refute(result, **keywords)


def test_a_pickle_needs_its_table(hidden, result):
    bare = pickle.loads(pickle.dumps(result))
    with pytest.raises(ck.InferenceUnavailable, match="data=table"):
        ck.refute(bare)
    again = ck.refute(bare, data=hidden, tests="bootstrap", n_sim=20)
    assert again.checks["bootstrap"] == ck.refute(result, tests="bootstrap", n_sim=20).checks["bootstrap"]


def test_a_result_without_a_headline_is_refused():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=90), "t": np.repeat(["a", "b", "c"], 30)}
    several = ck.OLS().fit(data, outcome="y", treatment="t", control="a")
    with pytest.raises(ck.InferenceUnavailable, match="no single headline"):
        ck.refute(several)


def test_a_map_is_refuted_result_by_result(result):
    found = ck.refute(ResultMap({"one": result, "two": result}), tests="bootstrap", n_sim=20)
    assert list(found) == ["one", "two"]
    assert list(found.checks) == ["one: bootstrap", "two: bootstrap"]
    assert found.failed == ()
    assert list(found.to_frame()["result"]) == ["one", "two"]


def test_names_are_escaped_in_a_report(tmp_path):
    rng = np.random.default_rng(2)
    name = "<script>alert(1)</script>"
    data = {"y": rng.normal(size=60), name: rng.normal(size=60), "x": rng.normal(size=60)}
    result = ck.OLS().fit(data, outcome="y", treatment=name, covariates=["x"])
    page = ck.refute(result, n_sim=20).report(tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "random_common_cause" in page


def test_a_right_weighting_estimate_is_not_rejected_by_its_placebo():
    """Propensities are refitted with the placebo; stale ones reject a right analysis (dowhy#1728)."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    t = (x + rng.normal(size=600) > 0).astype(int)
    data = {"y": x + t + rng.normal(size=600), "t": t, "x": x}
    model = ck.AIPW(regressor="mean", classifier="linear", n_folds=2, random_state=0).fit(data, **ROLES)
    assert ck.refute(model, tests="placebo_treatment", n_sim=40).failed == ()


def test_panels_deal_out_cohorts_and_paths():
    stores = ck.datasets.staggered_rollout(120)
    cohort = ck.CallawaySantAnna().fit(stores, outcome="sales", unit="store", time="year", cohort="start")
    path = ck.TWFE().fit(stores, outcome="sales", unit="store", time="year", treatment="treated")
    for result, said in ((cohort, "cohort among units"), (path, "paths of treatment among units")):
        found = ck.refute(result, tests=["placebo_treatment", "bootstrap", "data_subsets"], n_sim=20)
        assert said in found.checks["placebo_treatment"].message
        assert found.failed == ()


class TestEvaluationsOfRankings:
    """The scores that judge a ranking are made again of an altered table: stale ones give it the answer of the real one."""

    @staticmethod
    def evaluated(rng):
        x = rng.normal(size=(500, 2))
        t = rng.integers(0, 2, 500)
        data = {"y": 1.5 * x[:, 0] * t + x[:, 1] + rng.normal(size=500), "t": t, "a": x[:, 0], "b": x[:, 1]}
        roles = {"outcome": "y", "treatment": "t", "covariates": ["a", "b"]}
        learner = ck.DRLearner(regressor="linear", classifier="linear", random_state=0, n_folds=2)
        return ck.UpliftEvaluation(random_state=0).fit(data, effect=learner.fit(data, **roles), **roles)

    def test_a_good_ranking_passes_its_placebos(self):
        result = self.evaluated(np.random.default_rng(5))
        assert result.estimate > 4 * result.se
        tests = ["placebo_treatment", "placebo_outcome"]
        found = ck.refute(result, tests=tests, n_sim=20)
        assert found.failed == ()
        assert "the ranking stays" in found.summary()

    def test_noise_moves_the_scores(self):
        result = self.evaluated(np.random.default_rng(6))
        check = ck.refute(result, tests="random_common_cause", n_sim=20).checks["random_common_cause"]
        assert 0 < check.statistic < 0.5

    def test_a_simulated_confounder_is_for_effects(self):
        result = self.evaluated(np.random.default_rng(7))
        with pytest.raises(ck.InferenceUnavailable, match="ranking"):
            ck.refute(result, tests="simulated_confounder")

    def test_the_profit_of_a_rule_is_not_zero_without_an_effect(self):
        rng = np.random.default_rng(8)
        t = rng.integers(0, 2, 200)
        x = rng.normal(size=200)
        data = {"y": t * x + rng.normal(size=200), "t": t, "x": x}
        for cost in (0.3, {1: 0.3}):
            tree = ck.PolicyTree(cost=cost, regressor="linear", classifier="linear", random_state=0, n_folds=2)
            result = tree.fit(data, outcome="y", treatment="t", covariates="x")
            for test in ("placebo_treatment", "placebo_outcome"):
                with pytest.raises(ck.InferenceUnavailable, match="loses money"):
                    ck.refute(result, tests=test, n_sim=20)
