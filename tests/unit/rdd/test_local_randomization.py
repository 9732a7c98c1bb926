from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.rdd.window_selection import Windows

ROLES = {"outcome": "sales", "running": "score"}


def study(n=400, effect=1.0, seed=0, slope=0.0):
    rng = np.random.default_rng(seed)
    score = rng.uniform(40, 60, n)
    right = score >= 50
    return pd.DataFrame(
        {
            "score": score,
            "sales": effect * right + slope * (score - 50) + rng.normal(size=n),
            "visit": (rng.random(n) < np.where(right, 0.85, 0.2)).astype(int),
            "age": rng.normal(40, 8, n) + 3.0 * np.clip(np.abs(score - 50) - 3, 0, None) * np.where(right, 1, -1),
            "urban": (rng.random(n) < 0.4).astype(int),
            "shop": rng.integers(0, 60, n),
        }
    )


def fit(data=None, roles=None, **config):
    config = {"cutoff": 50.0, "window": 1.5, "random_state": 0, **config}
    return ck.LocalRandomizationRD(**config).fit(study() if data is None else data, **ROLES, **(roles or {}))


def test_headline_is_the_difference_in_means_of_the_window():
    data = study()
    found = fit(data)
    inside = data[(data["score"] - 50).abs() <= 1.5]
    means = inside.groupby(inside["score"] >= 50)["sales"].mean()
    assert found.estimate == pytest.approx(means[True] - means[False])
    assert found.window == (48.5, 51.5)
    assert found.n == len(data)
    assert found.n_left + found.n_right == len(inside)
    assert found.pvalue == found.test().pvalue == found.to_frame()["pvalue"][0]
    low, high = found.ci()
    assert low < found.estimate < high
    assert found.test(low - 1e-6).pvalue <= 0.05 < found.test(low + 1e-6).pvalue
    with pytest.raises(InferenceUnavailable, match="no standard error"):
        _ = found.se


def test_a_window_may_be_asymmetric():
    data = study()
    found = fit(data, window=(1.0, 2.0))
    assert found.window == (49.0, 52.0)
    assert found.n_left == int(((data["score"] >= 49) & (data["score"] < 50)).sum())


@pytest.mark.parametrize("method", ["ranksum", "ks", "large_sample", "randomization"])
def test_every_method_is_a_test_and_an_interval(method):
    found = fit()
    low, high = found.ci(method=method)
    assert found.test(low - 1e-6, method).pvalue <= 0.05 <= found.test(low + 1e-6, method).pvalue + 1e-9
    assert found.test(high + 1e-6, method).pvalue <= 0.05 <= found.test(high - 1e-6, method).pvalue + 1e-9
    table = found.by_method()
    row = dict(zip(table.columns, next(row for row in table.rows if row[0] == method), strict=True))
    assert (row["ci_low"], row["ci_high"]) == (low, high)


def test_interval_under_interference_turns_the_placebos_around():
    found = fit()
    low, high = found.ci(method="interference")
    spread = found.inside.differences.outcome
    assert low == pytest.approx(found.estimate - np.quantile(spread, 0.975))
    assert high == pytest.approx(found.estimate - np.quantile(spread, 0.025))


def test_polynomials_take_the_slope_out():
    found = fit(study(4000, effect=1.0, slope=0.5, seed=1), window=6.0, order=1)
    assert abs(found.estimate - 1.0) < 3 * found.se
    assert fit(study(4000, effect=1.0, slope=0.5, seed=1), window=6.0).estimate > 3.0
    assert found.se == found.large_sample.se
    with pytest.raises(InferenceUnavailable, match="order=0"):
        found.ci(method="randomization")


def test_fuzzy_estimate_and_anderson_rubin_set():
    data = study(800, effect=0.0, seed=2)
    data["sales"] += 2.0 * data["visit"]
    found = fit(data, {"treatment": "visit"})
    inside = data[(data["score"] - 50).abs() <= 1.5]
    means = inside.groupby(inside["score"] >= 50)[["sales", "visit"]].mean().diff().iloc[1]
    assert found.estimate == pytest.approx(means["sales"] / means["visit"])
    limits = found.ci()
    assert limits[0] < 2.0 < limits[1]
    assert "visit" in found.estimand
    data["visit"] = np.arange(len(data)) % 2
    assert isinstance(fit(data, {"treatment": "visit"}).ci(), tuple | ConfidenceSet)
    with pytest.raises(DesignError, match="same mean on both sides"):
        fit(data.assign(visit=1), {"treatment": "visit"})


def test_the_window_is_the_widest_balanced_one():
    found = fit(study(1500, seed=3), {"covariates": ["age", "urban"]}, window=None)
    selection = found.selection
    levels = [window.pvalue >= 0.15 for window in selection.windows]
    first_bad = levels.index(False) if False in levels else len(levels)
    assert selection.chosen is selection.windows[first_bad - 1]
    assert found.window == selection.window
    assert found.checks["window"].status == "pass"
    assert found.checks["balance"].pvalue == pytest.approx(selection.chosen.pvalue)
    assert found.plot("rd_windows").axes


def test_no_balanced_window_is_said_and_the_smallest_is_used():
    data = study(600, seed=4)
    data["age"] += 30.0 * (data["score"] >= 50)
    found = fit(data, {"covariates": ["age"]}, window=None)
    assert found.selection.window is None
    assert found.checks["window"].status == "fail"
    assert found.checks["balance"].status == "fail"
    assert found.window[1] - 50 == pytest.approx(found.selection.windows[0].width)


def test_balance_of_a_given_window_is_checked():
    assert fit(roles={"covariates": ["urban"]}).checks["balance"].status in ("pass", "warn")
    assert fit().checks["balance"].status == "untestable"
    uneven = study(600, seed=5)
    uneven = uneven[(uneven["score"] >= 50) | (uneven["age"].rank() % 4 == 0)]
    assert fit(uneven).checks["density"].status == "fail"


def test_windows_add_rows_on_either_side():
    x = np.array([-5.0, -4.0, -3.5, -2.0, -1.0, -0.5, 0.2, 0.3, 1.5, 1.6, 3.0, 6.0])
    np.testing.assert_allclose(Windows(min_obs=1, step_obs=1, n_windows=9).widths(x), [0.5, 1.5, 2.0, 3.5, 6.0])
    np.testing.assert_allclose(Windows(min_obs=2, step_obs=2, n_windows=9).widths(x), [1.0, 3.5])
    np.testing.assert_allclose(Windows(min_window=1.0, window_step=0.5, n_windows=3).widths(x), [1.0, 1.5, 2.0])
    tied = np.array([-2.0, -1.0, -1.0, -1.0, 0.0, 0.0, 1.0, 2.0])
    np.testing.assert_allclose(Windows(min_obs=2, step_obs=1, n_windows=9).widths(tied), [1.0, 2.0])


def test_rows_on_the_edge_of_the_window_count_whatever_the_cutoff():
    data = pd.DataFrame({"score": 0.3 + np.arange(-20, 20) / 10, "sales": np.arange(40.0)})
    found = ck.LocalRandomizationRD(cutoff=0.3, window=0.2, random_state=0).fit(data, **ROLES)
    assert (found.n_left, found.n_right) == (2, 3)


def test_gaps_in_covariates_may_stay():
    data = study(600, seed=6)
    data.loc[::7, "age"] = np.nan
    native = fit(data, {"covariates": ["age"], "missing": "native"})
    assert native.n == 600
    assert fit(data, {"covariates": ["age"]}).n_dropped > 0
    assert native.checks["balance"].pvalue is not None


@pytest.mark.parametrize(
    ("config", "roles", "error", "words"),
    [
        ({"window": None}, {}, DesignError, "no covariate"),
        ({"window": -1.0}, {}, DesignError, "positive half-width"),
        ({"cutoff": 99.0}, {}, DataError, "one side of the cutoff 99"),
        ({"window": 1e-9}, {}, DesignError, "none of them on the"),
        ({"order": 1}, {"cluster": "shop"}, DesignError, "order=0"),
        ({"window": 0.12, "order": 4}, {}, InferenceUnavailable, "too few rows"),
        (
            {"window": None, "balance_statistic": "ks"},
            {"covariates": ["age"], "cluster": "shop"},
            DesignError,
            "cluster",
        ),
    ],
)
def test_errors_teach(config, roles, error, words):
    with pytest.raises(error, match=words):
        fit(roles=roles, **config)


def test_methods_that_do_not_go_together():
    found = fit(roles={"cluster": "shop"})
    with pytest.raises(InferenceUnavailable, match="clusters"):
        found.test(method="ranksum")
    with pytest.raises(DesignError, match="not an option"):
        found.test(method="bootstrap")
    with pytest.raises(DesignError, match="no figure"):  # the window was given, so that none were compared
        found.plot("rd_windows")


def test_asking_further():
    found = fit(study(300, seed=7))
    windows = found.by_window([0.75, 1.5], nulls=[0.0, 1.0])
    assert [result.window for result in windows.results] == [(49.25, 50.75), (48.5, 51.5)]
    assert windows.results[1].estimate == found.estimate
    assert windows.to_table().columns[-2:] == ("pvalue", "pvalue(1)")
    assert windows.to_table().rows[1][-1] == found.test(1.0).pvalue
    bias = found.hidden_bias([1.0, 2.0])
    assert bias.upper[0] == pytest.approx(found.test(method="ranksum").pvalue, rel=1e-6)
    assert bias.lower[1] < bias.upper[0] < bias.upper[1]
    for report in (windows, bias):
        assert json.loads(report.to_json())["answer"]
    assert len(found.passages()) == 4


def test_the_seed_fixes_the_draws_and_the_result_keeps_it():
    data = study()
    drawn = ck.LocalRandomizationRD(cutoff=50.0, window=1.5).fit(data, **ROLES)
    again = drawn.refit(data)
    assert again.pvalue == drawn.pvalue
    assert fit(data, random_state=1).inside.differences.outcome[0] != fit(data).inside.differences.outcome[0]


def rates(runs, n, effect):
    """Share of studies whose interval holds the effect, and whose test rejects none, by method."""
    held = dict.fromkeys(("randomization", "ranksum", "ks"), 0)
    rejected = dict(held)
    for seed in range(runs):
        found = fit(study(n, effect, seed=1000 + seed), n_draws=499)
        for method in held:
            low, high = found.ci(method=method)
            held[method] += low <= effect <= high
            rejected[method] += found.test(method=method).pvalue <= 0.05
    return {k: v / runs for k, v in held.items()}, {k: v / runs for k, v in rejected.items()}


def test_level_and_coverage():
    held, rejected = rates(60, 160, 0.0)
    for method in held:
        assert held[method] >= 0.95 - 3 * np.sqrt(0.0475 / 60)
        assert rejected[method] <= 0.05 + 3 * np.sqrt(0.0475 / 60)


@pytest.mark.long
def test_level_and_coverage_long():
    for effect in (0.0, 1.0):
        held, rejected = rates(1000, 160, effect)
        print(effect, held, rejected)
        for method in held:
            assert held[method] >= 0.95 - 3 * np.sqrt(0.0475 / 1000)
            if effect == 0.0:
                assert rejected[method] <= 0.05 + 3 * np.sqrt(0.0475 / 1000)
