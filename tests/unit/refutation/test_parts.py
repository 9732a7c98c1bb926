"""The parts of refuters: dealing out, calibration, a confounder of given strength, the robustness value."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

import causalkit as ck
from causalkit.core.sample import Number
from causalkit.refutation.assigned import dealing
from causalkit.refutation.calibrated import (
    TOLERATED_BIAS,
    calibration,
    centred,
    missed_share,
    power_of_share,
    too_often,
)
from causalkit.refutation.omitted_variable import Regression
from causalkit.refutation.planted_confounder import confounder, strongest
from causalkit.refutation.robustness import robustness_value


def drawn(result, count=30):
    deal = dealing(result.estimator, result.sample)
    return deal, list(itertools.islice(deal.permuted(np.random.default_rng(0)), count))


class TestDealing:
    def test_rows(self):
        rng = np.random.default_rng(0)
        data = {"y": rng.normal(size=40), "t": rng.normal(size=40)}
        _, samples = drawn(ck.OLS().fit(data, outcome="y", treatment="t"))
        for sample in samples:
            np.testing.assert_array_equal(np.sort(sample.number("treatment")), np.sort(data["t"]))
        assert len({tuple(s.number("treatment")) for s in samples}) == 30

    def test_whole_clusters_of_any_size(self):
        cluster = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
        data = {"y": np.random.default_rng(0).normal(size=21), "t": cluster < 3, "g": cluster}
        deal, samples = drawn(ck.OLS().fit(data, outcome="y", treatment="t", cluster="g"))
        assert deal.said == "treatment among clusters"
        for sample in samples:
            by_cluster = [np.unique(sample.arms.codes[cluster == g]) for g in range(6)]
            assert [len(found) for found in by_cluster] == [1] * 6
            assert sum(int(found[0]) for found in by_cluster) == 3

    def test_among_clusters_and_their_rows(self):
        """Rows of a cluster stay as alike in treatment as they were, but which cluster is treated more is left to chance."""
        rng = np.random.default_rng(0)
        cluster = np.repeat(np.arange(5), 8)
        t = rng.random(40) < 0.1 + 0.2 * cluster
        data = {"y": rng.normal(size=40), "t": t, "g": cluster}
        deal, samples = drawn(ck.OLS().fit(data, outcome="y", treatment="t", cluster="g"))
        assert "clusters, and among the rows of each" in deal.said
        before = np.bincount(cluster, t)
        after = np.array([np.bincount(cluster, sample.arms.codes) for sample in samples])
        np.testing.assert_array_equal(np.sort(after, axis=1), np.tile(np.sort(before), (30, 1)))
        assert not np.array_equal(after, np.tile(before, (30, 1)))
        assert len({tuple(sample.arms.codes[:8]) for sample in samples}) > 10

    def test_an_effect_is_no_leak_where_clusters_are_treated_at_different_rates(self):
        """Dealt out within clusters only, a placebo would keep the real effect through the rates."""
        rng = np.random.default_rng(1)
        cluster = np.repeat(np.arange(30), 10)
        t = (rng.random(300) < np.linspace(0.05, 0.95, 30)[cluster]).astype(int)
        data = {"y": 3 * t + 0.3 * rng.normal(size=300), "t": t, "g": cluster}
        result = ck.OLS().fit(data, outcome="y", treatment="t", cluster="g")
        assert ck.refute(result, tests="placebo_treatment", n_sim=60).failed == ()

    def test_paths_go_to_units_seen_in_other_periods(self):
        unit, time = np.repeat(np.arange(8), 4), np.tile(np.arange(4), 8)
        t = (time >= 2) & (unit % 4 < 2)
        keep = ~((unit >= 4) & (time == 2))  # two sets of periods
        data = {"y": np.random.default_rng(0).normal(size=32)[keep]}
        data |= {"t": t[keep].astype(int), "u": unit[keep], "p": time[keep]}
        result = ck.TWFE().fit(data, outcome="y", unit="u", time="p", treatment="t")
        halves = set()
        for sample in drawn(result)[1]:
            treated = {u for u in range(8) if sample.arms.codes[data["u"] == u].any()}
            assert len(treated) == 4
            assert not sample.arms.codes[data["p"] < 2].any()
            halves.add(len(treated & set(range(4))))
            for u in treated & set(range(4)):  # who was not seen in period 2 passes on what they had before
                assert sample.arms.codes[(data["u"] == u) & (data["p"] == 3)].all()
        assert len(halves) > 1

    def test_units_that_no_other_was_seen_with_are_no_leak(self):
        rng = np.random.default_rng(0)
        unit, time = np.repeat(np.arange(30), 5), np.tile(np.arange(5), 30)
        t = ((time >= 2) & (unit % 2 == 0)).astype(int)
        keep = rng.random(150) < 0.6
        data = {"y": (3 * t + 0.1 * rng.normal(size=150))[keep], "t": t[keep], "u": unit[keep], "p": time[keep]}
        result = ck.TWFE().fit(data, outcome="y", unit="u", time="p", treatment="t")
        assert ck.refute(result, tests="placebo_treatment", n_sim=60).failed == ()

    def test_one_cluster_has_nobody_to_exchange_with(self):
        rng = np.random.default_rng(0)
        data = {"y": rng.normal(size=20), "t": np.arange(20) % 2, "g": np.zeros(20, dtype=int)}
        result = ck.OLS().fit(data, outcome="y", treatment="t")
        sample = result.estimator.bind(data, outcome="y", treatment="t", cluster="g")
        with pytest.raises(ck.InferenceUnavailable, match="one cluster"):
            dealing(result.estimator, sample)

    def test_a_known_propensity_travels_with_its_treatment(self):
        rng = np.random.default_rng(0)
        p = rng.uniform(0.2, 0.8, size=80)
        data = {"y": rng.normal(size=80), "t": (rng.random(80) < p).astype(int), "p": p, "x": rng.normal(size=80)}
        result = ck.AIPW(regressor="linear", n_folds=2, random_state=0).fit(
            data, outcome="y", treatment="t", covariates="x", propensity="p"
        )
        pairs = set(zip(data["t"], data["p"], strict=True))
        for sample in drawn(result, 5)[1]:
            assert set(zip(sample.arms.codes, sample.number("propensity"), strict=True)) == pairs


class TestCalibration:
    def test_power_is_that_of_the_exact_test(self):
        for n, tolerated, planted in ((50, 0.05, 0.2), (100, 0.075, 0.19), (400, 0.075, 0.1)):
            counts = np.arange(n + 1)
            rejected = np.array([too_often(k, n, tolerated) <= 0.025 for k in counts])
            assert power_of_share(n, tolerated, planted, 0.025) == pytest.approx(
                binom.pmf(counts, n, planted)[rejected].sum(), abs=1e-12
            )

    def test_size_and_power(self):
        rng = np.random.default_rng(0)
        from scipy.stats import norm

        def rejects(bias, factor):
            z = bias + factor * rng.standard_normal(100)
            return calibration(z, np.ones(100), 2 * norm.sf(np.abs(z))).pvalue < 0.05

        assert np.mean([rejects(0.0, 1.0) for _ in range(150)]) <= 0.07
        assert np.mean([rejects(TOLERATED_BIAS, 1.0) for _ in range(150)]) <= 0.08
        found = calibration(np.zeros(100), np.ones(100), np.ones(100))
        assert np.mean([rejects(0.0, 1.5) for _ in range(150)]) == pytest.approx(found.power_spread, abs=0.1)
        assert np.mean([rejects(1.0, 1.0) for _ in range(150)]) == pytest.approx(found.power_bias, abs=0.05)

    def test_draws_that_are_all_alike(self):
        """A p-value of simulations is never zero, and standard errors of zero judge nothing."""
        assert centred(np.full(40, 2.0), np.ones(40))[2] == pytest.approx(1 / 41)
        assert centred(np.full(40, 0.1), np.ones(40))[2] == 1.0
        with pytest.raises(ck.InferenceUnavailable, match="zero"):
            centred(np.zeros(40), np.zeros(40))

    def test_shares(self):
        assert missed_share(1.0) == pytest.approx(0.05, abs=1e-12)
        assert missed_share(1.5) == pytest.approx(0.1913, abs=1e-4)


class TestConfounder:
    def test_it_has_the_strength_asked_for_and_moves_least_squares_by_the_formula(self):
        """Equation 14 of Cinelli and Hazlett (2020): bias = se sqrt(df) sqrt(R2_y R2_t / (1 - R2_t))."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 2))
        t = x @ [1.0, 0.5] + rng.normal(size=200)
        y = 2 * t + x @ [1.0, -1.0] + rng.normal(size=200)
        data = {"y": y, "t": t, "a": x[:, 0], "b": x[:, 1]}
        short = ck.OLS(vcov="iid").fit(data, outcome="y", treatment="t", covariates=["a", "b"])
        data["u"] = confounder(Regression(short.sample), 0.15, 0.25, towards=2.0, rng=rng)
        long = ck.OLS(vcov="iid").fit(data, outcome="y", treatment="t", covariates=["a", "b", "u"])
        moved = short.se * np.sqrt(200 - 4) * np.sqrt(0.25 * 0.15 / 0.85)
        assert short.estimate - long.estimate == pytest.approx(moved, rel=1e-10)

    def test_weights_and_absorbed_effects_count(self):
        """The formula holds for the regression that was run, not for one without its weights."""
        rng = np.random.default_rng(3)
        x, g, w = rng.normal(size=400), rng.integers(0, 8, 400), rng.exponential(size=400) ** 2
        t = x * (1 + (w > 1)) + 0.5 * g + rng.normal(size=400)
        data = {"y": t + x * w + g + rng.normal(size=400), "t": t, "x": x, "g": g, "w": w}
        roles = {"outcome": "y", "treatment": "t", "absorb": "g", "weights": "w"}
        short = ck.OLS(vcov="iid").fit(data, covariates=["x"], **roles)
        regression = Regression(short.sample)
        data["u"] = confounder(regression, 0.15, 0.25, towards=1.0, rng=rng)
        long = ck.OLS(vcov="iid").fit(data, covariates=["x", "u"], **roles)
        _, se, df = regression.coefficient()
        moved = np.sign(short.estimate) * se * np.sqrt(df) * np.sqrt(0.25 * 0.15 / 0.85)
        assert short.estimate - long.estimate == pytest.approx(moved, rel=1e-9)

    def test_what_covariates_determine_has_no_confounder(self):
        x = np.random.default_rng(0).normal(size=(50, 2))
        data = {"y": x[:, 0] ** 2, "t": x @ [1.0, 2.0], "d": np.repeat([0, 1], 25), "a": x[:, 0], "b": x[:, 1]}
        sample = ck.OLS().fit(data, outcome="y", treatment="d", covariates=["a", "b"]).sample
        regression = Regression(sample.with_column("treatment", Number(data["t"], "t")))
        with pytest.raises(ck.InferenceUnavailable, match="determine"):
            confounder(regression, 0.1, 0.1, towards=1.0, rng=np.random.default_rng(0))

    def test_the_strongest_covariate(self):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(300, 3))
        t = x @ [0.1, 1.0, 0.0] + rng.normal(size=300)
        y = t + x @ [0.1, 1.0, 2.0] + rng.normal(size=300)
        data = {"y": y, "t": t, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}
        sample = ck.OLS().fit(data, outcome="y", treatment="t", covariates=["a", "b", "c"]).sample
        at, with_treatment, with_outcome = strongest(Regression(sample))
        assert at == 1
        for partial, target, others in ((with_treatment, t, x[:, [0, 2]]), (with_outcome, y, np.c_[x[:, [0, 2]], t])):
            design = np.c_[np.ones(300), others]
            one, both = (
                np.sum((target - d @ np.linalg.lstsq(d, target, rcond=None)[0]) ** 2)
                for d in (design, np.c_[design, x[:, 1]])
            )
            assert partial == pytest.approx(1 - both / one, rel=1e-9)


class TestRobustness:
    """R sensemakr 0.1.6 on the Darfur regression (t = 4.18444998480823, 783 degrees of freedom)."""

    T, DF = 4.18444998480823, 783

    @pytest.mark.parametrize(
        ("q", "alpha", "value"),
        [(1.0, 1.0, 0.138776353893588), (1.0, 0.05, 0.0762579655448573), (0.5, 1.0, 0.0720269757956044)],
    )
    def test_darfur(self, q, alpha, value):
        assert robustness_value(self.T, self.DF, q, alpha) == pytest.approx(value, abs=1e-12)

    @pytest.mark.parametrize(
        "wrong", [(np.nan, 10), (2.0, 0), (2.0, 10, -1.0), (2.0, 10, 1.0, 0.0), (2.0, 1, 1.0, 0.05)]
    )
    def test_refused(self, wrong):
        with pytest.raises(ck.DesignError, match="can't be"):
            robustness_value(*wrong)

    def test_an_estimate_that_is_not_significant_has_none(self):
        assert robustness_value(1.5, 100, alpha=0.05) == 0.0
        assert robustness_value(0.0, 100) == 0.0
