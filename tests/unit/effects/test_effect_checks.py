from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck
from causalkit.effects.checks import missing_outcomes_check

LINEAR = ck.AIPW(regressor="linear", classifier="linear", n_folds=2, random_state=0)


def test_names_of_the_ledger(trial, roles):
    checks = LINEAR.fit(trial, **roles).checks
    assert list(checks) == ["missing", "missing_outcomes", "allocation", "balance", "overlap", "outcome_model"]
    assert {name: checks[name].status for name in checks} == {
        "missing": "pass",
        "missing_outcomes": "pass",
        "allocation": "untestable",
        "balance": "pass",
        "overlap": "pass",
        "outcome_model": "pass",
    }
    assert "age 7" in checks["missing"].message


def test_attrition_that_differs_by_arm(trial, roles):
    coupon = (trial["arm"] == "coupon").to_numpy()
    gone = np.where(coupon, np.arange(len(trial)) % 4 == 0, np.arange(len(trial)) % 20 == 0)
    check = LINEAR.fit(trial.assign(y=trial["y"].mask(gone)), **roles).checks["missing_outcomes"]
    table = np.array([[gone[~coupon].sum(), 200], [gone[coupon].sum(), 200]])
    table[:, 1] -= table[:, 0]
    expected = stats.chi2_contingency(table, correction=False)
    assert check.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert check.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert check.status == "fail"
    assert [row[0] for row in check.table.rows] == ["letter", "coupon"]


def test_bounds_hold_whatever_the_missing_outcomes_were(trial, roles):
    from causalkit.effects.checks import worst_case_difference

    coupon = (trial["arm"] == "coupon").to_numpy()
    bought = (trial["y"] > trial["y"].median()).astype(float)
    gone = np.where(coupon, np.arange(len(trial)) % 4 == 0, np.arange(len(trial)) % 20 == 0)
    low, high = worst_case_difference(LINEAR.bind(trial.assign(y=bought.mask(gone)), **roles, missing="native"))
    ends = [
        bought.mask(gone & coupon, a).mask(gone & ~coupon, b)[coupon].mean()
        - bought.mask(gone & coupon, a).mask(gone & ~coupon, b)[~coupon].mean()
        for a, b in ((0.0, 1.0), (1.0, 0.0))
    ]
    np.testing.assert_allclose([low, high], ends, rtol=0, atol=1e-14)


def test_attrition_that_does_not(trial, roles):
    gone = np.arange(len(trial)) % 10 == 0
    check = LINEAR.fit(trial.assign(y=trial["y"].mask(gone)), **roles).checks["missing_outcomes"]
    assert check.status == "pass"
    assert check.pvalue > 0.05


@pytest.mark.parametrize(("planned", "status"), [(0.5, "pass"), (0.57, "warn"), (0.6, "fail")])
def test_sample_ratio(trial, roles, planned, status):
    check = LINEAR.fit(trial, **roles, propensity=planned).checks["srm"]
    z = (200 - 400 * planned) / np.sqrt(400 * planned * (1 - planned))
    assert check.statistic == pytest.approx(z, rel=1e-12)
    assert check.status == status
    assert "50.00% of the rows got coupon" in check.message


def test_sample_ratio_of_clusters_counts_clusters(trial, roles):
    village = trial["village"].to_numpy()
    table = trial.assign(arm=np.where(village % 2, "coupon", "letter"))
    rows = LINEAR.fit(table, **roles, propensity=0.45).checks["srm"]
    clusters = LINEAR.fit(table, **roles, propensity=0.45, cluster="village").checks["srm"]
    assert abs(clusters.statistic) < 0.6 * abs(rows.statistic)
    free = len(np.unique(village)) - 1
    assert clusters.pvalue == pytest.approx(2 * stats.t.sf(abs(clusters.statistic), free), rel=1e-10)
    assert rows.pvalue == pytest.approx(2 * stats.norm.sf(abs(rows.statistic)), rel=1e-10)


def test_rows_of_weight_zero_are_not_called_missing(trial, roles):
    weights = np.where(np.arange(len(trial)) < 100, 0.0, 1.0)
    idle = LINEAR.fit(trial.assign(w=weights), **roles, weights="w").checks["missing"]
    assert idle.status == "pass"
    assert (
        idle.message == "All 300 rows that weigh anything were used. 100 rows with a weight of zero stand for nobody."
    )
    gone = trial["y"].mask(np.arange(len(trial)) >= 370)
    both = LINEAR.fit(trial.assign(w=weights, y=gone), **roles, weights="w").checks["missing"]
    assert both.status == "warn"
    assert both.message.startswith("30 of 300 rows (10.0%) were left out: 30 for missing outcome (y). 100 rows with")


def test_a_propensity_in_a_millionth_is_refused(trial, roles):
    with pytest.raises(ck.DataError, match="not between 1e-06"):
        LINEAR.fit(trial, **roles, propensity=1e-9)


def test_imbalance_in_a_trial_fails(trial, roles):
    tilted = trial.assign(x=trial["x"] + (trial["arm"] == "coupon"))
    check = LINEAR.fit(tilted, **roles, propensity=0.5).checks["balance"]
    assert check.status == "fail"
    assert check.pvalue < 1e-6
    assert check.table.rows[0][0] == "x"


def test_imbalance_that_weighting_removes_passes(trial, roles):
    rng = np.random.default_rng(0)
    arm = np.where(rng.random(len(trial)) < 1 / (1 + np.exp(-trial["x"])), "coupon", "letter")
    check = LINEAR.fit(trial.assign(arm=arm), **roles).checks["balance"]
    assert check.pvalue < 1e-4
    assert check.status in ("pass", "warn")


def test_balance_without_covariates_is_untestable(trial):
    found = LINEAR.fit(trial, outcome="y", treatment="arm", control="letter")
    assert found.checks["balance"].status == "untestable"
    assert found.plots == ("effects", "overlap")


def test_checks_are_made_when_read(trial, roles, monkeypatch):
    import causalkit.effects.checks as module

    def refuse(*_):
        raise AssertionError("made too early")

    monkeypatch.setattr(module, "balance_check", refuse)
    monkeypatch.setattr(module, "missing_outcomes_check", refuse)
    found = LINEAR.fit(trial, **roles)
    with pytest.raises(AssertionError):
        found.checks["balance"]


def test_attrition_that_varies_by_cluster_is_not_held_against_the_arms():
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(200):
        village = np.repeat(np.arange(40), 20)
        share = rng.beta(1.0, 9.0, 40)[village]
        table = pd.DataFrame(
            {
                "y": np.where(rng.random(800) < share, np.nan, rng.normal(size=800)),
                "arm": rng.permutation(np.arange(40) % 2)[village],
                "village": village,
            }
        )
        sample = ck.AIPW().bind(table, outcome="y", treatment="arm", cluster="village")
        rejected += missing_outcomes_check(sample).pvalue < 0.05
    assert rejected <= 20  # 5 % and three standard errors; rows as units reject about five times as often


@pytest.mark.parametrize(("clusters", "treated", "status"), [(60, 30, "pass"), (60, 5, "warn"), (20, 10, "warn")])
def test_few_clusters_are_told(clusters, treated, status):
    rng = np.random.default_rng(0)
    shop = np.repeat(np.arange(clusters), 6)
    data = {"y": rng.normal(size=6 * clusters), "arm": (shop < treated).astype(int), "shop": shop}
    roles = {"outcome": "y", "treatment": "arm"}
    fit = ck.AIPW(random_state=0, n_folds=2).fit
    found = fit(data, **roles, cluster="shop").checks["few_clusters"]
    assert (found.status, found.statistic) == (status, clusters)
    assert ("only 5 have arm=1" in found.message) == (treated == 5)
    assert "few_clusters" not in fit(data, **roles).checks
    assert fit(data, **roles, unit="shop").checks["few_clusters"].status == status
    dose = {**data, "arm": rng.normal(size=6 * clusters), "half": shop // 2}
    slope = ck.DoubleML(random_state=0, n_folds=2).fit(dose, **roles, cluster=["shop", "half"])
    assert slope.checks["few_clusters"].statistic == clusters / 2
