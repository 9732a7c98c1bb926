"""``ck.sensitivity``: the numbers of R sensemakr and DoubleML, exact identities, and what it says of each design."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck
from causalkit.refutation.long_form import LongForm, gain, interactive, partially_linear
from causalkit.refutation.marginal_model import critical_factor, effect_bounds, mean_bounds
from causalkit.refutation.measures import short_of
from causalkit.refutation.omitted_variable import OmittedVariable, Regression, bound

#: The regression of R sensemakr 0.1.6 on the Darfur data: coefficient, standard error, residual degrees of freedom.
DARFUR = OmittedVariable(0.0973158192849558, 0.023256537809811, 783)
#: Partial R2 of "female" there, from its bound of one times: r2dz = s / (1 - s).
FEMALE_TREATMENT = 0.00916428667504857 / (1 + 0.00916428667504857)
NEAR = {"rel": 1e-12, "abs": 1e-12}


def reference(name):
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / name).exists():
        pytest.skip(f"{name} may not be redistributed; name its folder in CAUSALKIT_REFERENCE_DATA")
    import pandas as pd

    return pd.read_csv(Path(folder) / name)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    group = rng.choice(["a", "b", "c"], 400)
    t = x @ [1.0, 0.5] + (group == "b") + rng.normal(size=400)
    y = t + x @ [1.0, -1.0] + 2.0 * (group == "c") + rng.normal(size=400)
    return {"y": y, "t": t, "x0": x[:, 0], "x1": x[:, 1], "group": group, "u": rng.normal(size=400) + t + y}


ROLES = {"outcome": "y", "treatment": "t", "covariates": ["x0", "x1", "group"]}


class TestOmittedVariable:
    """R sensemakr 0.1.6: ``sensemakr(lm(peacefactor ~ directlyharmed + ...), "directlyharmed", "female", kd = 1:3)``."""

    def test_partial_r2_and_robustness_values(self):
        assert DARFUR.partial_r2 == pytest.approx(0.0218730933411097, **NEAR)
        assert DARFUR.robustness_value() == pytest.approx(0.138776353893588, **NEAR)
        assert DARFUR.robustness_value(alpha=0.05) == pytest.approx(0.0762579655448573, **NEAR)
        assert DARFUR.robustness_value(0.5) == pytest.approx(0.0720269757956044, **NEAR)
        assert DARFUR.robustness_value(0.5, 0.05) == pytest.approx(0.00456276081438899, **NEAR)

    def test_adjusted(self):
        found = DARFUR.adjusted(0.1, 0.2)
        assert found.estimate == pytest.approx(0.000305108610074406, abs=1e-12)
        assert found.se == pytest.approx(0.0219404891286492, **NEAR)
        assert found.statistic == pytest.approx(0.0139061898799763, abs=1e-10)

    @pytest.mark.parametrize(
        ("with_treatment", "with_outcome", "estimate", "se"),
        [
            (0.00916428667504857, 0.12464092303637, 0.0752202712144499, 0.0218733277437569),
            (0.0183285733500971, 0.249324064199975, 0.052915172384453, 0.0203500620779634),
            (0.0274928600251457, 0.374050471038095, 0.0303960234641564, 0.0186700648170921),
        ],
    )
    def test_the_estimate_under_each_bound(self, with_treatment, with_outcome, estimate, se):
        found = DARFUR.adjusted(with_treatment, with_outcome)
        assert found.estimate == pytest.approx(estimate, abs=1e-12)
        assert found.se == pytest.approx(se, abs=1e-12)

    def test_bounds_grow_as_sensemakr_says(self):
        one = 0.12464092303637
        # The partial R2 of "female" with the outcome that gives its first bound gives the other two as well.
        from scipy.optimize import brentq

        own = brentq(lambda r2: bound((FEMALE_TREATMENT, r2), 1.0)[1] - one, 1e-6, 0.9, xtol=1e-16)
        for times, told in ((2, (0.0183285733500971, 0.249324064199975)), (3, (0.0274928600251457, 0.374050471038095))):
            assert bound((FEMALE_TREATMENT, own), times) == pytest.approx(told, abs=1e-10)

    def test_from_the_data(self):
        """Intervals are ours: a regression with one more column has 782 degrees of freedom; sensemakr keeps 783 (8e-8)."""
        data = reference("darfur.csv")
        names = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female", "village"]
        result = ck.OLS().fit(data, outcome="peacefactor", treatment="directlyharmed", covariates=names)
        found = ck.sensitivity(result, benchmarks="female")
        assert found.robustness_value == pytest.approx(0.138776353893588, **NEAR)
        told = [(b.with_treatment, b.with_outcome, b.estimate) for b in found.benchmarks]
        assert told[2] == pytest.approx((0.0274928600251457, 0.374050471038095, 0.0303960234641564), abs=1e-10)
        strength = Regression(result.sample)
        assert strength.strength(strength.columns_of("village"))[1] == pytest.approx(0.424288843105027, abs=1e-10)

    def test_a_confounder_of_the_stated_strength_moves_the_estimate_so_much(self, table):
        result = ck.OLS(vcov="iid").fit(table, **ROLES)
        regression = Regression(result.sample)
        wide = {**table, "covariates": None}
        del wide["covariates"]
        long = ck.OLS(vcov="iid").fit(wide, **{**ROLES, "covariates": [*ROLES["covariates"], "u"]})
        strength = Regression(long.sample)
        shares = strength.strength(strength.columns_of("u"))
        told = ck.sensitivity(result).adjusted(*shares)[0]
        estimate, se, df = regression.coefficient()
        assert (estimate, se) == pytest.approx((result.estimate, result.se), rel=1e-12)
        assert told == pytest.approx(long.estimate, rel=1e-9)
        se_told = OmittedVariable(estimate, se, df).adjusted(*shares).se
        assert se_told == pytest.approx(long.se, rel=1e-9)

    def test_robust_errors_change_the_interval_only(self, table):
        iid, robust = (ck.sensitivity(ck.OLS(vcov=v).fit(table, **ROLES)) for v in ("iid", "HC1"))
        assert iid.robustness_value == robust.robustness_value
        assert iid.robustness_value_alpha != robust.robustness_value_alpha
        shares = (0.1, 0.2)
        ratio = np.ptp(robust.adjusted(*shares)[1]) / np.ptp(iid.adjusted(*shares)[1])
        assert ratio == pytest.approx(robust.result.se / iid.result.se, rel=1e-10)

    def test_the_interval_at_its_robustness_value_touches_zero(self, table):
        found = ck.sensitivity(ck.OLS(vcov="HC1").fit(table, **ROLES))
        value = found.robustness_value_alpha
        assert found.adjusted(value, value)[1][0] == pytest.approx(0.0, abs=1e-9)

    def test_groups_count_together(self, table):
        result = ck.OLS().fit(table, **ROLES)
        found = ck.sensitivity(result, benchmarks=["x1", ["x1", "group"], "group"], times=(0.5,))
        assert [b.name for b in found.benchmarks] == ["0.5x x1", "0.5x x1 + group", "0.5x group"]
        assert found.benchmarks[1].with_treatment > found.benchmarks[0].with_treatment

    def test_covariates_that_no_confounder_can_match_are_named(self, table):
        strong = {**table, "x2": table["t"] + 0.1 * table["u"]}
        result = ck.OLS().fit(strong, **{**ROLES, "covariates": ["x2", "x1"]})
        found = ck.sensitivity(result)
        assert "x2" in found.unmatched
        assert "No confounder can be as strong as x2" in found.summary()
        with pytest.raises(ck.DesignError, match="as strong"):
            ck.sensitivity(result, benchmarks=["x1", "x2"])

    def test_a_confounder_that_can_not_be_so_strong_is_refused(self, table):
        result = ck.OLS().fit(table, **ROLES)
        with pytest.raises(ck.DesignError, match="50 times as strong"):
            ck.sensitivity(result, benchmarks="x0", times=(50,))
        with pytest.raises(ck.DesignError, match="no covariate 'nobody'"):
            ck.sensitivity(result, benchmarks="nobody")
        with pytest.raises(ck.DesignError, match="can't be"):
            ck.sensitivity(result).adjusted(1.0, 0.2)


class TestLongForm:
    """DoubleML 0.11.4, least squares, five folds ``i % 5`` on the Darfur data: ``sensitivity_analysis(0.04, 0.03)``."""

    NAMES = ("age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female")

    def residuals(self, data, names):
        x = np.column_stack([np.ones(len(data)), *(data[name] for name in names)])
        fold = np.arange(len(data)) % 5
        y, d = data["peacefactor"].to_numpy(), data["directlyharmed"].to_numpy(float)
        out = []
        for target in (y, d):
            left = np.empty(len(data))
            for k in range(5):
                beta = np.linalg.lstsq(x[fold != k], target[fold != k], rcond=None)[0]
                left[fold == k] = target[fold == k] - x[fold == k] @ beta
            out.append(left)
        return partially_linear(*out)

    def test_partially_linear(self):
        data = reference("darfur.csv")
        found = self.residuals(data, self.NAMES)
        assert found.theta == pytest.approx(0.047609841418493, abs=1e-10)
        limits, errors = found.bounds(0.04, 0.03)
        assert limits == pytest.approx((0.0246699135863776, 0.0705497692506087), abs=1e-10)
        # DoubleML gives the lower bound the error of the upper one and the other way round: it adds the influence of the
        # bias to minus that of the estimate. The jackknife below says which is which.
        assert errors == pytest.approx((0.01841924526973575, 0.01842230988979252), abs=1e-10)
        value = found.robustness_value()
        assert found.bias(value, value) == pytest.approx(found.theta, rel=1e-12)
        assert value == pytest.approx(0.0703821225213535, abs=2e-7)  # DoubleML minimises numerically
        assert found.robustness_value(alpha=0.1) == pytest.approx(0.0261937653032775, abs=1e-5)
        told = gain(found, self.residuals(data, [n for n in self.NAMES if n != "female"]))
        assert (told.cf_y, told.cf_d) == pytest.approx((0.127928373934589, 0.000659263316489), abs=1e-10)
        assert told.moved == pytest.approx(0.011833488605941, abs=1e-10)
        assert told.rho == 1.0

    def test_partially_linear_by_its_own_identity(self, table):
        """With least squares, all rows in both steps and one confounder more, the bias is the bound with rho known."""
        x = np.column_stack([np.ones(400), table["x0"], table["x1"]])
        left = {n: table[n] - x @ np.linalg.lstsq(x, table[n], rcond=None)[0] for n in ("y", "t", "u")}
        short = partially_linear(left["y"], left["t"])
        along = {n: left[n] - left["u"] * (left["u"] @ left[n]) / (left["u"] @ left["u"]) for n in ("y", "t")}
        long = partially_linear(along["y"], along["t"])
        told = gain(long, short)
        cf_d = 1 - short.nu2 / long.nu2
        cf_y = 1 - long.sigma2 / short.sigma2
        assert told.cf_d == pytest.approx(cf_d / (1 - cf_d), rel=1e-12)
        assert short.bias(cf_y, cf_d) == pytest.approx(abs(short.theta - long.theta), rel=1e-10)

    def test_the_errors_of_the_bounds_are_those_of_the_jackknife(self):
        rng = np.random.default_rng(3)
        v = rng.gamma(1.0, size=300) - 1.0
        u = 0.3 * v + (1 + v**2) * rng.normal(size=300)
        errors = partially_linear(u, v).bounds(0.3, 0.3)[1]
        kept = [np.delete(np.arange(300), i) for i in range(300)]
        without = np.array([partially_linear(u[k], v[k]).bounds(0.3, 0.3)[0] for k in kept])
        told = np.sqrt(299 / 300 * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        assert errors == pytest.approx(tuple(told), rel=0.08)
        assert (errors[0] - errors[1]) * (told[0] - told[1]) > 0

    def test_interactive_has_no_bias_without_a_confounder_and_the_right_representer(self):
        rng = np.random.default_rng(1)
        n = 200_000
        e1 = rng.uniform(0.2, 0.8, n)
        t = (rng.random(n) < e1).astype(float)
        y = t + rng.normal(size=n)
        mu, e = np.column_stack([np.zeros(n), np.ones(n)]), np.column_stack([1 - e1, e1])
        score = 1 + t * (y - 1) / e1 - (1 - t) * y / (1 - e1)
        found = interactive(y, t, mu, e, float(score.mean()), score)
        assert found.nu2 == pytest.approx(np.mean(1 / e1 + 1 / (1 - e1)), rel=1e-2)
        assert found.sigma2 == pytest.approx(1.0, rel=2e-2)
        assert found.bounds(0.0, 0.0)[0] == (found.theta, found.theta)

    def test_through_the_estimators(self, table):
        arms = {**table, "t": (table["t"] > 0).astype(int)}
        for model in (
            ck.AIPW(regressor="linear", classifier="linear", n_folds=2, random_state=0),
            ck.DoubleML(regressor="linear", classifier="linear", n_folds=2, random_state=0),
            ck.DoubleML(method="plr", regressor="linear", classifier="linear", n_folds=2, random_state=0),
        ):
            result = model.fit(arms, **ROLES)
            found = ck.sensitivity(result, benchmarks=["x0"])
            assert isinstance(found.strength, LongForm)
            assert found.strength.theta == pytest.approx(result.estimate, rel=1e-9)
            assert found.adjusted(0.0, 0.0)[1] == pytest.approx(result.ci(), abs=0.02 * np.ptp(result.ci()))
            low, high = result.ci()
            assert (found.robustness_value_alpha > 0) == (
                low > 0 or high < 0
            )  # nothing to explain away in an interval around 0
            assert found.robustness_value_alpha < found.robustness_value < 1
            (told,) = found.benchmarks
            assert told.with_outcome > 0.05

    def test_clusters_widen(self, table):
        arms = {**table, "t": (table["t"] > 0).astype(int)}
        twice = {name: np.r_[v, v] for name, v in arms.items()} | {"id": np.r_[np.arange(400), np.arange(400)]}
        result = ck.AIPW(regressor="linear", classifier="linear", n_folds=2, random_state=0).fit(
            twice, cluster="id", **ROLES
        )
        found = ck.sensitivity(result)
        assert np.ptp(found.adjusted(0.0, 0.0)[1]) == pytest.approx(np.ptp(result.ci()), rel=0.02)


class TestMarginalModel:
    def test_the_extremes_are_those_of_every_cut(self):
        rng = np.random.default_rng(0)
        r, e = rng.normal(size=9), rng.uniform(0.1, 0.9, 9)
        odds = 1 / e - 1
        weights = np.array(np.meshgrid(*[[0, 1]] * 9)).reshape(9, -1)
        w = 1 + odds[:, None] * np.where(weights, 3.0, 1 / 3.0)
        values = (w * r[:, None]).sum(axis=0) / w.sum(axis=0)
        assert mean_bounds(r, e, 3.0) == pytest.approx((values.min(), values.max()), rel=1e-12)

    def test_at_one_it_is_the_normalised_estimate_and_it_widens(self):
        rng = np.random.default_rng(0)
        t = (rng.random(300) < 0.4).astype(float)
        y = 0.8 * t + rng.normal(size=300)
        mu, e = np.zeros((300, 2)), np.column_stack([np.full(300, 0.6), np.full(300, 0.4)])
        low, high = effect_bounds(y, t, mu, e, 1.0)
        assert low == pytest.approx(y[t == 1].mean() - y[t == 0].mean(), rel=1e-12)
        assert high == pytest.approx(low, rel=1e-12)
        factor = critical_factor(y, t, mu, e)
        assert factor > 1
        assert effect_bounds(y, t, mu, e, factor)[0] == pytest.approx(0.0, abs=1e-8)
        assert critical_factor(-y, t, mu, e) == pytest.approx(factor, rel=1e-8)


class TestOster:
    def test_delta_of_a_population_in_which_it_is_known(self):
        """An index w1 and an orthogonal w2 with the same covariance-to-variance ratio times delta; the effect is zero."""
        delta, v1, v2, s1 = 0.7, 1.5, 0.8, 0.6
        c1, c2 = s1 * v1, delta * s1 * v2  # cov(x, w1) / var(w1) = s1, cov(x, w2) / var(w2) = delta s1
        vx = 2.0
        vy = v1 + v2 + 0.5
        from causalkit.refutation.oster import Short

        bare = (c1 + c2) / vx
        left = vx - c1**2 / v1
        full = c2 / left
        residual = vy - (bare**2) * vx
        of_full = vy - v1 - full**2 * left
        short = Short(bare, 1 - residual / vy, full, 1 - of_full / vy, vy, vx, left)
        assert short.delta((v1 + v2) / vy) == pytest.approx(delta, rel=1e-10)

    def test_regressions(self, table):
        result = ck.OLS().fit(table, **ROLES)
        short = short_of(Regression(result.sample))
        bare = ck.OLS().fit(table, outcome="y", treatment="t")
        assert (short.bare, short.full) == pytest.approx((bare.estimate, result.estimate), rel=1e-10)
        assert (short.bare_r2, short.full_r2) == pytest.approx((bare.r2, result.r2), rel=1e-10)


class TestPanel:
    def test_each_design_has_its_measures(self, table):
        binary = {**table, "t": (table["t"] > 0).astype(int), "y": (table["y"] > 0).astype(int)}
        result = ck.OLS().fit(binary, **ROLES)
        found = ck.sensitivity(result, outcome_range=(0, 1))
        names = [m.name for m in found.every_measure]
        assert names == ["robustness value", "extreme robustness value", "E-value", "Oster's delta", "Manski bounds"]
        assert list(found.to_frame().columns) == ["measure", "value", "meaning"]
        assert found.checks["unmeasured_confounding"].status == "untestable"

    def test_trends_break_even(self):
        stores = ck.datasets.staggered_rollout(150)
        result = ck.CallawaySantAnna().fit(stores, outcome="sales", unit="store", time="year", cohort="start")
        found = ck.sensitivity(result)
        assert [m.name for m in found.every_measure] == ["HonestDiD"]
        with pytest.raises(ck.InferenceUnavailable, match="does not rest on covariates"):
            _ = found.robustness_value
        with pytest.raises(ck.DesignError, match="no covariates to compare with"):
            ck.sensitivity(result, benchmarks="sales")

    def test_the_figure_and_the_page(self, table, tmp_path):
        found = ck.sensitivity(ck.OLS().fit(table, **ROLES), q=0.5)
        data = found.plot_data("contour")
        assert data["z"].shape == (len(data["y"]), len(data["x"]))
        assert data["z"][0, 0] == pytest.approx(found.result.estimate, rel=1e-9)
        assert found.plot("contour").axes
        page = found.report(tmp_path / "page.html").read_text()
        assert "robustness value" in page
        assert "<svg" in page

    @pytest.mark.parametrize(("keywords", "match"), [({"q": 0}, "positive share"), ({"alpha": 2}, "alpha")])
    def test_what_is_refused(self, table, keywords, match):
        with pytest.raises(ck.DesignError, match=match):
            ck.sensitivity(ck.OLS().fit(table, **ROLES), **keywords)


def test_a_single_covariate_beside_absorbed_effects_is_a_benchmark():
    """Effects that are absorbed and the same effects as indicators say the same."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=400), rng.integers(0, 8, 400)
    t = 0.4 * x + 0.5 * g + rng.normal(size=400)
    data = {"y": t + 0.3 * x + g + rng.normal(size=400), "t": t, "x": x, "g": [f"g{code}" for code in g]}
    roles = {"outcome": "y", "treatment": "t"}
    one = ck.sensitivity(ck.OLS().fit(data, covariates="x", absorb="g", **roles), benchmarks="x")
    two = ck.sensitivity(ck.OLS().fit(data, covariates=["x", "g"], **roles), benchmarks="x")
    for a, b in zip(one.benchmarks, two.benchmarks, strict=True):
        assert (a.with_treatment, a.with_outcome) == pytest.approx((b.with_treatment, b.with_outcome), rel=1e-9)
        assert (a.estimate, a.low) == pytest.approx((b.estimate, b.low), rel=1e-7)
