"""Imputation and two stages against dense matrices, and what they do where an effect is not identified."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    n, periods = 48, 6
    start = np.array([0, 3, 4, 5])[np.arange(n) % 4]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    y = rng.normal(size=n)[unit] + rng.normal(size=periods)[time - 1] + rng.normal(size=unit.size)
    out = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "y": y, "region": unit // 4})
    out["x"], out["w"] = rng.normal(size=unit.size), rng.uniform(0.5, 2.0, unit.size)
    out["on"] = ((out["cohort"] > 0) & (out["time"] >= out["cohort"])).astype(int)
    out["y"] += out["on"] * (0.3 + 0.1 * (out["time"] - out["cohort"])) + 0.5 * out["x"]
    return out.drop(index=[5, 17, 40, 99, 180]).reset_index(drop=True)


def dense(table, conservative, cluster="unit"):
    """Borusyak, Jaravel and Spiess with explicit dummies and weights, each estimand a row of treated weights."""
    y, w, on = (table[c].to_numpy(dtype=float) for c in ("y", "w", "on"))
    Z = np.column_stack([pd.get_dummies(table["unit"]), pd.get_dummies(table["time"]).iloc[:, 1:], table["x"]]).astype(
        float
    )
    off = on == 0
    cross = np.linalg.pinv(Z[off].T @ (Z[off] * w[off, None]))
    gap = y - Z @ (cross @ (Z[off].T @ (w[off] * y[off])))
    cells = table.loc[~off, ["cohort", "time"]].drop_duplicates().sort_values(["cohort", "time"]).to_numpy()
    thetas, psis = [], []
    groups = table[cluster].to_numpy()
    for g, t in cells:
        inside = ((table["cohort"] == g) & (table["time"] == t)).to_numpy()
        v = inside * w / w[inside].sum()
        thetas.append(v @ gap)
        held = np.array([v[groups == c].sum() for c in groups])
        mean = (v * held) @ gap / (v @ held) if conservative else v @ gap
        back = np.where(off, -w * (Z @ (cross @ (Z.T @ v))), 0.0)
        score = np.where(inside, v * (gap - mean), 0.0) + back * gap
        psis.append(np.array([score[groups == c].sum() for c in np.unique(groups)]))
    psi = np.array(psis)
    return np.array(thetas), np.sqrt((psi**2).sum(axis=1))


@pytest.mark.parametrize("cluster", ["unit", "region"])
def test_weights_gaps_covariates_and_clusters(table, cluster):
    result = ck.ImputationDiD().fit(table, covariates=["x"], weights="w", cluster=cluster, **ROLES)
    theta, se = dense(table, True, cluster)
    np.testing.assert_allclose(result.effects.values, theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.effects.se, se, rtol=0, atol=1e-12)
    on = table["on"] == 1
    shares = table.loc[on].groupby(["cohort", "time"])["w"].sum().to_numpy()
    assert result.estimate == pytest.approx(shares @ theta / shares.sum(), abs=1e-12)


def test_two_stages_with_weights(table):
    result = ck.TwoStageDiD().fit(table, covariates=["x"], weights="w", **ROLES)
    theta, se = dense(table, False)
    after = result.cells.post
    np.testing.assert_allclose(result.effects.values[after], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.effects.se[after], se, rtol=0, atol=1e-12)


def test_treatment_column_says_the_same(table):
    one = ck.ImputationDiD().fit(table, **ROLES)
    two = ck.ImputationDiD().fit(table, outcome="y", unit="unit", time="time", treatment="on")
    np.testing.assert_array_equal(one.effects.values, two.effects.values)


@pytest.mark.parametrize("kind", [ck.ImputationDiD, ck.TwoStageDiD])
def test_units_and_periods_without_untreated_observations(table, kind):
    late = table[(table["cohort"] > 0) & ~((table["unit"] == 1) & (table["time"] < 3))]
    result = kind().fit(late, **ROLES)
    assert not any(time >= 5 for time, post in zip(result.cells.time, result.cells.post, strict=True) if post)
    assert result.checks["imputable"].status == "warn"
    assert "1 unit never observed untreated" in result.checks["missing"].message
    assert np.isfinite(result.effects.values).all()
    lost = sum(row[2] for row in result.checks["imputable"].table.rows)
    there = (late["on"] == 1) & (late["unit"] != 1)
    assert lost == int((there & (late["time"] >= 5)).sum())


def test_parts_that_are_not_linked_are_not_compared():
    # Units 0-1 are seen in periods 1-2 only, untreated; units 2-3 untreated in 3-4: period 2 tells unit 2 nothing.
    rows = [
        (0, 1, 0),
        (0, 2, 0),
        (1, 1, 0),
        (1, 2, 0),
        (2, 3, 5),
        (2, 4, 5),
        (2, 5, 5),
        (3, 3, 0),
        (3, 4, 0),
        (3, 5, 0),
    ]
    rows += [(4, 1, 2), (4, 2, 2), (4, 3, 2)]
    table = pd.DataFrame(rows, columns=["unit", "time", "cohort"]).assign(y=lambda d: np.arange(len(d)) ** 1.5)
    result = ck.ImputationDiD().fit(table, **ROLES)
    assert list(zip(result.cells.cohort, result.cells.time, strict=True)) == [(2, 2), (5, 5)]
    assert "1 treated observation" in result.checks["imputable"].message
    assert result.checks["auxiliary"].status == "warn"  # a unit each


def test_one_unit_can_not_be_left_out():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"unit": np.repeat(np.arange(8), 4), "time": np.tile(np.arange(4), 8)})
    table["cohort"] = np.where(table["unit"] == 0, 2.0, np.where(table["unit"] < 4, 3.0, np.nan))
    table["y"] = rng.normal(size=32)
    assert ck.ImputationDiD().fit(table, **ROLES).checks["auxiliary"].status == "warn"
    with pytest.raises(InferenceUnavailable, match="rests on one unit"):
        ck.ImputationDiD(leave_one_out=True).fit(table, **ROLES)


def test_a_covariate_that_moves_only_among_the_treated(table):
    marked = table.assign(dose=table["on"] * table["x"])
    for kind in (ck.ImputationDiD, ck.TwoStageDiD):
        with pytest.raises(DesignError, match="'dose' moves among treated"):
            kind().fit(marked, covariates=["dose"], **ROLES)


def test_a_constant_covariate_changes_nothing(table):
    one = ck.ImputationDiD().fit(table, **ROLES)
    two = ck.ImputationDiD().fit(table.assign(z=table["unit"] % 5), covariates=["z"], **ROLES)
    np.testing.assert_allclose(one.effects.values, two.effects.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.effects.se, two.effects.se, rtol=0, atol=1e-12)


def test_anticipation_imputes_the_periods_before(table):
    result = ck.ImputationDiD(anticipation=1).fit(table, **ROLES)
    assert result.cells.event_time.min() == -1
    earlier = ck.ImputationDiD().fit(
        table.assign(cohort=np.where(table["cohort"] > 0, table["cohort"] - 1, 0)), **ROLES
    )
    np.testing.assert_allclose(result.effects.values, earlier.effects.values, rtol=0, atol=1e-13)
    after = result.cells.post
    assert result.estimate == pytest.approx(
        result.shares[after] @ result.effects.values[after] / result.shares[after].sum(), abs=1e-13
    )


def test_trends_are_tested_on_untreated_observations(table):
    import statsmodels.formula.api as smf

    result = ck.ImputationDiD().fit(table, **ROLES)
    off = table[table["on"] == 0].copy()
    event = (off["time"] - off["cohort"]).where(off["cohort"] > 0)
    for e in (-3, -2, -1):
        off[f"lead{-e}"] = (event == e).astype(float)
    model = smf.ols("y ~ lead1 + lead2 + lead3 + C(unit) + C(time)", off).fit()
    leads = result.leads(3)
    assert leads.terms == ("event time -3", "event time -2", "event time -1")
    np.testing.assert_allclose(leads.values, model.params[["lead3", "lead2", "lead1"]], rtol=0, atol=1e-10)
    assert result.leads().terms == leads.terms
    moved = table.assign(y=table["y"] + 100 * table["on"])  # effects of treatment do not enter
    assert ck.ImputationDiD().fit(moved, **ROLES).pre_trends().pvalue == pytest.approx(result.pre_trends().pvalue)
    wald, q = 3 * result.pre_trends().statistic, 3  # 48 units, as a Hotelling statistic
    assert result.checks["pre_trends"].pvalue == pytest.approx(f.sf(wald * (48 - q) / (q * 47), q, 48 - q), rel=1e-10)


def test_no_lead_where_every_cohort_has_one_early_period():
    table = pd.DataFrame({"unit": np.repeat(np.arange(6), 2), "time": np.tile([0, 1], 6)})
    table = table.assign(cohort=np.where(table["unit"] < 3, 1, np.inf), y=np.sin(np.arange(12.0)))
    result = ck.ImputationDiD().fit(table, **ROLES)
    with pytest.raises(InferenceUnavailable, match="no lead"):
        result.pre_trends()
    assert result.checks["pre_trends"].status == "untestable"


def test_replays_and_pickles(table):
    result = ck.TwoStageDiD().fit(table, **ROLES)
    again = result.aggregate("event_time").refit(table)
    assert again.estimate == result.aggregate("event_time").estimate
    loaded = pickle.loads(pickle.dumps(result))
    assert (loaded.estimate, loaded.se) == (result.estimate, result.se)
    with pytest.raises(InferenceUnavailable, match="rows were not kept"):
        loaded.leads()
    small = result.with_vcov("HC1")
    assert small.se > result.se


def test_nothing_left_to_impute():
    table = pd.DataFrame({"unit": np.repeat(np.arange(4), 3), "time": np.tile([0, 1, 2], 4)})
    table = table.assign(cohort=np.where(table["unit"] < 2, 1, 2), y=np.arange(12.0))
    table = table[~((table["unit"] >= 2) & (table["time"] == 1))]
    with pytest.raises(DesignError, match="can be imputed"):
        ck.ImputationDiD().fit(table, **ROLES)
