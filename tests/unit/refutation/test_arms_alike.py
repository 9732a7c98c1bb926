"""``ck.balance``, ``ck.weight`` and ``ck.match``: exact identities, brute force, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog, minimize

import causalkit as ck
from causalkit.refutation.nearest import whitened

ROLES = {"treatment": "t", "covariates": ["a", "b", "kind"]}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    kind = rng.choice(["x", "y", "z"], 400)
    t = (0.8 * a + 0.5 * (kind == "y") + rng.normal(size=400) > 0.5).astype(int)
    return {"t": t, "a": a, "b": b, "kind": kind, "y": t + a + b**2 + rng.normal(size=400)}


class TestBalance:
    def test_numbers(self, table):
        found = ck.balance(table, **ROLES).to_frame().set_index("covariate")
        one, zero = table["a"][table["t"] == 1], table["a"][table["t"] == 0]
        told = found.loc["a"]
        unit = np.sqrt((one.var(ddof=1) + zero.var(ddof=1)) / 2)
        assert told["difference"] == pytest.approx((one.mean() - zero.mean()) / unit, rel=1e-12)
        assert told["variance ratio"] == pytest.approx(one.var(ddof=1) / zero.var(ddof=1), rel=1e-12)
        assert told["KS"] == pytest.approx(stats.ks_2samp(one, zero).statistic, abs=1e-12)
        assert set(found.index) == {"a", "b", "kind[y]", "kind[z]"}

    def test_weights_that_repeat_rows_are_repeated_rows(self, table):
        count = np.random.default_rng(1).integers(1, 4, 400)
        weighted = ck.balance({**table, "w": count}, weights="w", **ROLES)
        repeated = ck.balance({k: np.repeat(v, count) for k, v in table.items()}, **ROLES)
        np.testing.assert_allclose(weighted.after.means, repeated.before.means, rtol=1e-12)
        np.testing.assert_allclose(weighted.after.ks, repeated.before.ks, atol=1e-12)

    def test_effective_sample_size(self, table):
        w = np.where(table["t"] == 1, 1.0, np.arange(400) % 2)
        control, treated = ck.balance(table, weights=w, **ROLES).effective_n
        assert control == pytest.approx(np.sum(w[table["t"] == 0]))
        assert treated == pytest.approx(table["t"].sum())

    def test_a_large_mean_costs_no_digits(self, table):
        far = {**table, "a": table["a"] + 1e9}
        near, moved = (ck.balance(data, **ROLES).before.smd for data in (table, far))
        np.testing.assert_allclose(near, moved, atol=1e-6)

    def test_figures_and_page(self, table, tmp_path):
        found = ck.balance(table, **ROLES)
        assert found.plot("balance").axes
        assert found.plot("overlap").axes
        assert "<svg" in found.report(tmp_path / "page.html").read_text()
        assert found.checks["balance"].status == "fail"

    def test_refused(self, table):
        with pytest.raises(ck.DesignError, match="has 3 arms"):
            ck.balance(table, treatment="kind", control="x", covariates="a")
        with pytest.raises(ck.DataError, match="'aa'"):
            ck.balance(table, treatment="t", covariates="aa")
        with pytest.raises(ck.DataError, match="negative"):
            ck.balance(table, weights=-np.ones(400), **ROLES)

    def test_one_of_several_arms(self, table):
        found = ck.balance(table, treatment="kind", control="x", treatment_level="z", covariates="a")
        rows = {kind: table["a"][table["kind"] == kind].mean() for kind in "xz"}
        assert found.before.means[:, 0] == pytest.approx([rows["x"], rows["z"]])


class TestEntropy:
    @pytest.mark.parametrize("target", ["all", "treated", "control"])
    def test_means_are_those_of_the_target(self, table, target):
        found = ck.weight(table, target=target, moments=2, **ROLES)
        aim = {"all": np.ones(400, bool), "treated": table["t"] == 1, "control": table["t"] == 0}[target]
        for arm in (0, 1):
            w = found.weights * (table["t"] == arm)
            for column in (table["a"], table["b"], table["kind"] == "y", (table["b"] - table["b"].mean()) ** 2):
                assert np.average(column, weights=w) == pytest.approx(column[aim].mean(), abs=1e-9)
        assert found.gradient < 1e-9
        assert (found.weights > 0).all()

    def test_no_weights_with_these_means_are_nearer_to_uniform(self):
        rng = np.random.default_rng(2)
        a = rng.normal(size=24)
        t = (np.arange(24) < 12).astype(int)
        found = ck.weight({"t": t, "a": a}, treatment="t", covariates="a", target="treated")
        w = found.weights[t == 0] / 12
        x = a[t == 0]

        def divergence(v):
            return float(np.sum(v * np.log(np.maximum(v, 1e-300) * 12)))

        limits = [{"type": "eq", "fun": lambda v: v.sum() - 1}]
        limits.append({"type": "eq", "fun": lambda v: v @ x - a[t == 1].mean()})
        best = minimize(divergence, np.full(12, 1 / 12), bounds=[(1e-9, 1)] * 12, constraints=limits, tol=1e-12)
        assert divergence(w) <= best.fun + 1e-9
        np.testing.assert_allclose(w, best.x, atol=1e-4)

    def test_units_do_not_matter(self, table):
        scaled = {**table, "a": 1e6 * table["a"] + 1e9, "b": -table["b"]}
        one, other = (ck.weight(data, **ROLES).weights for data in (table, scaled))
        np.testing.assert_allclose(one, other, rtol=1e-5)

    def test_collinear_covariates_do_not_matter(self, table):
        more = {**table, "c": table["a"] + table["b"]}
        one = ck.weight(table, **ROLES).weights
        other = ck.weight(more, treatment="t", covariates=["a", "b", "kind", "c"]).weights
        np.testing.assert_allclose(one, other, rtol=1e-7)

    def test_means_out_of_reach_are_named(self):
        data = {"t": np.repeat([0, 1], 20), "far": np.r_[np.arange(20.0), 100 + np.arange(20.0)]}
        with pytest.raises(ck.ConvergenceError, match="'far'"):
            ck.weight(data, treatment="t", covariates="far", target="treated")

    def test_the_effect_is_recovered(self, table):
        found = ck.weight(table, **ROLES)
        naive = ck.OLS().fit(table, outcome="y", treatment="t").estimate
        result = found.estimate(ck.OLS(), outcome="y")
        assert abs(result.estimate - 1) < 0.4 < abs(naive - 1)
        assert found.estimate(ck.AIPW(regressor="linear", n_folds=2, random_state=0), outcome="y").n == 400
        with pytest.raises(ck.DesignError, match="takes no weights"):
            found.estimate(ck.Segmentation(), outcome="y")

    def test_inverse_propensities(self, table):
        for target in ("all", "treated", "control", "overlap"):
            found = ck.weight(table, method="ipw", target=target, **ROLES)
            assert np.abs(found.balance.after.smd).max() < np.abs(found.balance.before.smd).max()
            assert found.weights[table["t"] == 1].sum() == pytest.approx((table["t"] == 1).sum())

    @pytest.mark.parametrize(
        ("keywords", "match"),
        [
            ({"method": "magic"}, "not an option"),
            ({"target": "some"}, "not an option"),
            ({"target": "overlap"}, "no means to aim at"),
            ({"moments": 5}, "not an option"),
        ],
    )
    def test_refused(self, table, keywords, match):
        with pytest.raises(ck.DesignError, match=match):
            ck.weight(table, **ROLES, **keywords)


class TestMatch:
    def small(self, seed=0, n=40):
        rng = np.random.default_rng(seed)
        t = (np.arange(n) < n // 3).astype(int)
        return {"t": t, "a": rng.normal(size=n), "b": rng.normal(size=n), "kind": rng.choice(["x", "y"], n)}

    def distances(self, data):
        z = whitened(np.column_stack([data["a"], data["b"]]))
        one, zero = np.flatnonzero(data["t"] == 1), np.flatnonzero(data["t"] == 0)
        return one, zero, np.linalg.norm(z[one][:, None] - z[zero][None], axis=2)

    def test_whitened_distances_are_mahalanobis(self):
        x = np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[1, 2, 0], [0, 1, 3], [0, 0, 1e4]])
        inverse = np.linalg.inv(np.cov(x, rowvar=False, ddof=0))
        z = whitened(x)
        gap = x[3] - x[7]
        assert np.linalg.norm(z[3] - z[7]) == pytest.approx(np.sqrt(gap @ inverse @ gap), rel=1e-8)

    @pytest.mark.parametrize("ratio", [1, 3])
    def test_with_replacement_is_brute_force(self, ratio):
        data = self.small()
        one, zero, distance = self.distances(data)
        found = ck.match(data, treatment="t", covariates=["a", "b"], replacement=True, ratio=ratio).pairs
        for i, row in enumerate(one):
            told = set(found.loc[found["row"] == row, "partner"])
            assert told == set(zero[np.argsort(distance[i])[:ratio]])

    def test_ties_share(self):
        data = {"t": [1, 0, 0, 0], "a": [0.0, 1.0, -1.0, 5.0]}
        found = ck.match(data, treatment="t", covariates="a", replacement=True)
        assert sorted(found.pairs["partner"]) == [1, 2]
        np.testing.assert_allclose(found.weights, [1.0, 0.5, 0.5, 0.0])

    def test_optimal_has_the_smallest_total(self):
        data = self.small(n=12)
        one, zero, distance = self.distances(data)
        found = ck.match(data, treatment="t", covariates=["a", "b"], method="optimal")
        best = min(
            sum(distance[i, j] for i, j in enumerate(chosen))
            for chosen in itertools.permutations(range(len(zero)), len(one))
        )
        assert found.pairs["distance"].sum() == pytest.approx(best, rel=1e-12)

    def test_a_caliper_keeps_as_many_pairs_as_there_can_be(self):
        data = self.small(3)
        _, _, distance = self.distances(data)
        found = ck.match(data, treatment="t", covariates=["a", "b"], method="optimal", caliper=0.6)
        near = distance <= 0.6
        i, j = np.nonzero(near)
        rows = np.zeros((sum(distance.shape), len(i)))
        rows[i, np.arange(len(i))] = 1
        rows[distance.shape[0] + j, np.arange(len(i))] = 1
        most = -linprog(-np.ones(len(i)), A_ub=rows, b_ub=np.ones(len(rows)), bounds=(0, 1)).fun
        assert len(found.pairs) == round(most)
        assert found.pairs["distance"].max() <= 0.6
        assert found.n_unmatched == distance.shape[0] - len(found.pairs)
        assert found.checks["unmatched"].status == ("warn" if found.n_unmatched else "pass")

    def test_nobody_is_used_twice(self):
        data = self.small(1, 300)
        for method in ("nearest", "optimal"):
            found = ck.match(data, treatment="t", covariates=["a", "b"], method=method, ratio=2)
            assert found.pairs["partner"].is_unique
            assert (found.pairs["row"].value_counts() == 2).all()
            np.testing.assert_allclose(found.weights[data["t"] == 0].sum(), 100)

    def test_exact_columns_are_equal(self):
        data = self.small(2, 90)
        found = ck.match(data, treatment="t", covariates=["a"], exact="kind", replacement=True).pairs
        assert (data["kind"][found["row"]] == data["kind"][found["partner"]]).all()

    def test_exact_matching_is_a_weighted_difference_by_group(self):
        rng = np.random.default_rng(5)
        kind, size = rng.choice(list("abc"), 200), rng.integers(0, 3, 200)
        t = (rng.random(200) < 0.3 + 0.2 * (kind == "a")).astype(int)
        y = t + (kind == "a") + size + rng.normal(size=200)
        data = {"t": t, "kind": kind, "size": size, "y": y}
        found = ck.match(data, treatment="t", covariates=["kind", "size"], method="exact")
        told = ck.OLS().fit(data, outcome="y", treatment="t", weights=found.weights).estimate
        by_hand, n = 0.0, 0
        for k, s in itertools.product("abc", range(3)):
            here = (kind == k) & (size == s)
            if (t[here] == 1).any() and (t[here] == 0).any():
                count = int(np.sum(t[here] == 1))
                by_hand += count * (y[here & (t == 1)].mean() - y[here & (t == 0)].mean())
                n += count
        assert told == pytest.approx(by_hand / n, rel=1e-10)
        assert np.abs(found.balance.after.smd).max() < 1e-12
        with pytest.raises(ck.DesignError, match="makes groups"):
            _ = found.pairs

    def test_estimates_cluster_by_pair_and_recover(self, table):
        found = ck.match(table, caliper=0.5, **ROLES)
        result = found.estimate(ck.OLS(), outcome="y")
        assert result.effects.numbers.carrier.kind == "CR1"
        assert abs(result.estimate - 1) < 4 * result.se
        assert found.estimate(ck.OLS(), outcome="y", covariates=[]).n == 2 * len(found.pairs)

    def test_rosenbaum_bounds_of_the_pairs(self, table):
        found = ck.match(table, caliper=0.5, **ROLES)
        bounds = found.rosenbaum("y")
        pairs = found.pairs
        np.testing.assert_allclose(
            np.sort(bounds.differences), np.sort(table["y"][pairs["row"]] - table["y"][pairs["partner"]])
        )
        assert bounds.critical_gamma() > 1
        with pytest.raises(ck.DesignError, match="nobody appears twice"):
            ck.match(table, replacement=True, **ROLES).rosenbaum("y")

    def test_missing_rows_keep_their_place(self, table):
        holed = {**table, "a": np.where(np.arange(400) % 50 == 0, np.nan, table["a"])}
        found = ck.match(holed, replacement=True, **ROLES)
        assert (found.weights[::50] == 0).all()
        assert (found.groups[::50] == -1).all()
        assert not np.isin(found.pairs.to_numpy()[:, :2], np.arange(0, 400, 50)).any()
        assert found.estimate(ck.OLS(), outcome="y").n == (found.weights > 0).sum()

    def test_by_propensity_and_for_controls(self, table):
        found = ck.match(table, distance="propensity", target="control", replacement=True, **ROLES)
        assert found.n_unmatched == 0
        assert (found.weights[table["t"] == 0] == 1).all()

    @pytest.mark.parametrize(
        ("keywords", "match"),
        [
            ({"method": "magic"}, "not an option"),
            ({"target": "all"}, "not an option"),
            ({"ratio": 0}, "whole number"),
            ({"caliper": -1.0}, "not positive"),
            ({"method": "optimal", "replacement": True}, "goes with"),
            ({"caliper": 1e-12}, "nobody found a partner"),
        ],
    )
    def test_refused(self, table, keywords, match):
        with pytest.raises(ck.DesignError, match=match):
            ck.match(table, **ROLES, **keywords)
