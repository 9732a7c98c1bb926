"""What users do wrong, and what was wrong once: errors that teach, names that collide, numbers that are not there."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.core.result_map import ResultMap
from causalkit.refutation.e_values import e_value
from causalkit.refutation.omitted_variable import Regression
from causalkit.refutation.trial import Trial
from causalkit.refutation.worst_case import balke_pearl_bounds, manski_bounds


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 200))
    t = (x + rng.normal(size=200) > 0).astype(int)
    arm = np.where(rng.random(200) < 0.3, "c", np.where(t == 1, "b", "a"))
    columns = {"y": t + x + rng.normal(size=200), "t": t, "x": x, "a": z, "a[b]": rng.normal(size=200), "arm": arm}
    columns |= {"const": np.ones(200), "w": rng.integers(1, 4, 200), "cell": np.arange(200) // 10}
    return pd.DataFrame(columns)


def fitted(table, *covariates, **roles):
    return ck.OLS().fit(table, outcome="y", treatment="t", covariates=list(covariates), **roles)


class TestRefused:
    @pytest.mark.parametrize(
        ("keywords", "match"),
        [
            ({"times": [-1.0]}, "no list of positive"),
            ({"times": ["a"]}, "no list of positive"),
            ({"times": 2}, "no list of positive"),
            ({"benchmarks": [[]]}, "is empty"),
            ({"benchmarks": "t"}, "no covariate 't'"),
            ({"outcome_range": (1, 0)}, "is no range"),
            ({"outcome_range": 5}, "is no range"),
        ],
    )
    def test_by_sensitivity(self, table, keywords, match):
        with pytest.raises(ck.DesignError, match=match):
            ck.sensitivity(fitted(table, "x"), **keywords)

    @pytest.mark.parametrize("keywords", [{"random_state": -1}, {"random_state": "a"}, {"tests": []}])
    def test_by_refute(self, table, keywords):
        with pytest.raises(ck.DesignError):
            ck.refute(fitted(table, "x"), n_sim=20, **keywords)

    def test_what_is_no_result(self, table):
        for call in (ck.refute, ck.sensitivity):
            with pytest.raises(ck.DesignError, match="is not a result"):
                call(5)
        with pytest.raises(ck.DesignError, match=r"result\[name\]"):
            ck.sensitivity(ResultMap({"one": fitted(table, "x")}))

    def test_a_difference_rests_on_two_analyses(self, table):
        two = fitted(table, "x") - fitted(table, "x", "a")
        for call in (ck.refute, ck.sensitivity):
            with pytest.raises(ck.InferenceUnavailable, match="two analyses"):
                call(two)

    def test_numbers_that_can_not_be(self):
        with pytest.raises(ck.DataError):
            balke_pearl_bounds(np.full((2, 2, 2), np.nan))
        with pytest.raises(ck.DataError, match="0 or 1"):
            manski_bounds([1.0, 0.0], [2, 0], (0, 1))
        with pytest.raises(ck.DesignError, match="not finite"):
            e_value(float("nan"))
        assert e_value(1e6, scale="difference", sd=1.0)[0] == np.inf

    def test_a_caliper_of_text(self, table):
        with pytest.raises(ck.DesignError, match="not positive"):
            ck.match(table, treatment="t", covariates="x", caliper="a")


class TestNames:
    def test_a_covariate_named_like_a_level_of_another(self, table):
        result = fitted(table, "a", "a[b]", "x")
        assert Regression(result.sample).columns_of("a") == [0]
        assert Regression(result.sample).columns_of(["a[b]"]) == [1]

    def test_a_covariate_named_like_what_is_added(self, table):
        data = table.rename(columns={"a": "noise", "x": "simulated confounder"})
        result = fitted(data, "noise", "simulated confounder")
        found = ck.refute(result, tests=["random_common_cause", "simulated_confounder"], n_sim=20)
        assert len(found.checks) == 2


class TestNothingLeft:
    def test_a_perfect_fit(self, table):
        exact = ck.OLS().fit(table.assign(y=2.0 * table["a"]), outcome="y", treatment="a", covariates="x")
        assert ck.sensitivity(exact).strength is None
        found = ck.refute(exact, n_sim=20)
        assert "standard error of" in found.skipped["bootstrap"]
        assert "standard error of" in found.skipped["random_common_cause"]

    def test_a_negative_control_that_does_not_vary(self, table):
        with pytest.raises(ck.InferenceUnavailable, match="'const' has no standard error"):
            ck.refute(fitted(table, "x"), tests="negative_outcome", negative_outcomes="const", data=table)

    def test_refits_without_a_number_count_as_failed(self, table):
        result = fitted(table, "x")

        def half(rng):
            while True:
                yield result.sample
                yield None  # no sample: the refit below has no number for it

        class Broken:
            estimate, se, pvalue = np.nan, 1.0, np.nan

            def refit(self, sample):
                return self if sample is None else result

        with pytest.raises(ck.InferenceUnavailable, match="not a number"):
            Trial(Broken(), result.sample, 40, 0).refits(half, "any", rows_only=True)

    def test_a_pickled_refutation_can_still_be_read(self, table):
        found = ck.refute(fitted(table, "x"), tests="bootstrap", n_sim=20)
        again = pickle.loads(pickle.dumps(found))
        assert "could bring the estimate to zero" in found.answer
        assert "ck.sensitivity" in again.answer


class TestSeveralArms:
    def test_the_other_arms_are_held_fixed(self, table):
        roles = {"outcome": "y", "treatment": "arm", "control": "a", "treatment_level": "b", "covariates": ["x"]}
        three = ck.sensitivity(ck.OLS(vcov="iid").fit(table, **roles))
        by_hand = table.assign(b=(table["arm"] == "b") * 1.0, c=(table["arm"] == "c") * 1.0)
        two = ck.OLS(vcov="iid").fit(by_hand, outcome="y", treatment="b", covariates=["c", "x"])
        assert three.robustness_value == pytest.approx(ck.sensitivity(two).robustness_value, rel=1e-10)

    def test_matched_rows_of_two_arms_are_fitted(self, table):
        for method in (ck.match, ck.weight):
            found = method(table, treatment="arm", covariates="x", control="a", treatment_level="b")
            for data in (table, {name: table[name].to_numpy() for name in table}):
                again = method(data, treatment="arm", covariates="x", control="a", treatment_level="b")
                result = again.estimate(ck.OLS(), outcome="y")
                assert result.n == (found.weights > 0).sum()
                assert result.estimand.startswith("effect of b minus a")

    def test_bounds_that_were_asked_for_are_not_passed_over(self, table):
        roles = {"outcome": "y", "treatment": "arm", "control": "a", "treatment_level": "b", "covariates": ["x"]}
        with pytest.raises(ck.InferenceUnavailable, match="two arms"):
            ck.sensitivity(ck.OLS().fit(table, **roles), outcome_range=(-9, 9))


class TestEValues:
    def test_its_interval_has_the_level_asked_for(self, table):
        result = fitted(table, "x")

        def limit(alpha):
            said = next(m for m in ck.sensitivity(result, alpha=alpha).measures if m.name == "E-value").said
            return float(said.rsplit("; ", 1)[1].split(" ")[0])

        sd = float(table["y"].std())
        for alpha, z in ((0.05, 1.78), (0.5, 1.78 * 0.6744898 / 1.959964)):
            ratio = np.exp(0.91 * result.estimate / sd - z * result.se / sd)
            assert limit(alpha) == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=5e-3)

    def test_a_protective_effect_whose_interval_goes_below_no_risk(self):
        t = np.repeat([0, 1], 20)
        y = np.r_[np.repeat([1.0, 0.0], [6, 14]), np.repeat([1.0, 0.0], [1, 19])]
        result = ck.OLS().fit({"y": y, "t": t}, outcome="y", treatment="t")
        assert result.ci()[0] < -y[:20].mean()
        said = {m.name: m.value for m in ck.sensitivity(result).measures}
        ratio = y[:20].mean() / y[20:].mean()
        assert float(said["E-value"]) == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=5e-3)

    def test_weights_count(self, table):
        whole = table.loc[table.index.repeat(table["w"])]
        one, other = fitted(table, "x", weights="w"), fitted(whole, "x")
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
        bounds = [
            next(m for m in ck.sensitivity(r, outcome_range=(-9, 9)).measures if "Manski" in m.name).value
            for r in (one, other)
        ]
        assert bounds[0] == bounds[1]
