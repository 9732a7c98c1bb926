"""ShiftShareIV against formulas written out, identities of the literature, and coverage with correlated shocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError


def _study(n=120, K=12, seed=0, complete=False, effect=-2.0):
    rng = np.random.default_rng(seed)
    S = rng.dirichlet(np.full(K, 0.4), n)
    if not complete:
        S = S * rng.uniform(0.4, 0.9, n)[:, None]
    g = 1 + rng.normal(size=K)
    names = [f"ind{k}" for k in range(K)]
    nu = S @ rng.normal(size=K)
    data = pd.DataFrame(S, columns=names)
    data["x"], data["w"] = rng.normal(size=n), rng.integers(1, 5, n)
    data["imports"] = S @ g + 0.3 * nu + 0.2 * rng.normal(size=n) + 0.2 * data["x"]
    data["jobs"] = effect * data["imports"] + nu + data["x"] + S.sum(axis=1) + 0.2 * rng.normal(size=n)
    data["zone"] = [f"z{i}" for i in range(n)]
    return data, names, g


def _fit(data, names, shocks, vcov="auto", share_sums="control", **more):
    estimator = ck.ShiftShareIV(vcov=vcov, share_sums=share_sums)
    keywords = {"outcome": "jobs", "treatment": "imports", "shares": names, "shocks": shocks, "covariates": ["x"]}
    return estimator.fit(data, **{**keywords, **more})


def _written_out(data, names, g, weights, controls):
    """AKM as ShiftShareSE writes it: least squares of instrument after controls on the shares."""
    y, D, S = data["jobs"].to_numpy(), data["imports"].to_numpy(), data[names].to_numpy()
    root = np.sqrt(weights)

    def left(v):
        return v - controls @ np.linalg.lstsq(controls * root[:, None], v * root, rcond=None)[0]

    B = left(S @ g)
    beta = (weights * B) @ left(y) / ((weights * B) @ left(D))
    error = left(y - beta * D)
    RX = (weights * B) @ left(D)
    hX = np.linalg.lstsq(S * root[:, None], B * root, rcond=None)[0]
    cR, cW = hX * ((weights * error) @ S), hX * ((weights * left(D)) @ S)
    return beta, cR, cW, RX, B, left, error


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("complete", [False, True])
def test_akm_and_akm0_equal_the_formulas_written_out(weighted, complete):
    data, names, g = _study(complete=complete)
    weights = data["w"].to_numpy(float) if weighted else np.ones(len(data))
    controls = np.column_stack([np.ones(len(data)), data["x"], data[names].sum(axis=1)][: 2 if complete else 3])
    beta, cR, cW, RX, *_ = _written_out(data, names, g, weights, controls)
    result = _fit(data, names, g.tolist(), **({"weights": "w"} if weighted else {}))
    assert result.kind == "AKM"
    assert result.estimate == pytest.approx(beta, rel=1e-10)
    assert result.se == pytest.approx(np.sqrt((cR**2).sum()) / abs(RX), rel=1e-9)
    z = 1.959963984540054
    Q = RX**2 / z**2 - (cW**2).sum()
    middle, half = beta - (cR @ cW) / Q, np.sqrt(((cR @ cW) / Q) ** 2 + (cR**2).sum() / Q)
    [(low, high)] = result.ci(method="akm0").intervals
    np.testing.assert_allclose([low, high], [middle - half, middle + half], rtol=1e-8)
    assert result.test(low, method="akm0").pvalue == pytest.approx(0.05, abs=1e-7)


def test_clusters_of_shocks_are_summed():
    data, names, g = _study()
    table = pd.DataFrame({"shock": names, "value": g, "cluster": np.arange(12) // 3})
    controls = np.column_stack([np.ones(len(data)), data["x"], data[names].sum(axis=1)])
    _, cR, _, RX, *_ = _written_out(data, names, g, np.ones(len(data)), controls)
    result = _fit(data, names, table.sample(frac=1, random_state=1))
    assert result.se == pytest.approx(np.sqrt((cR.reshape(4, 3).sum(axis=1) ** 2).sum()) / abs(RX), rel=1e-9)


@pytest.mark.parametrize("complete", [False, True])
def test_the_regression_on_shocks_gives_the_same_estimate_and_the_bhj_error(complete):
    data, names, g = _study(complete=complete)
    result = _fit(data, names, g.tolist(), vcov="BHJ", weights="w")
    table = result.shock_level()
    _, shock, s, y, D, *_ = (np.array(column) for column in zip(*table.rows, strict=True))
    shock, s, y, D = (column.astype(float) for column in (shock, s, y, D))
    X, Z = np.column_stack([np.ones(12), D]), np.column_stack([np.ones(12), shock])
    beta = np.linalg.solve(Z.T @ (X * s[:, None]), Z.T @ (s * y))
    assert result.estimate == pytest.approx(beta[1], rel=1e-12)
    bread = np.linalg.inv(Z.T @ (X * s[:, None]))
    scores = Z * (s * (y - X @ beta))[:, None]
    assert result.se == pytest.approx(np.sqrt((bread @ scores.T @ scores @ bread.T)[1, 1]), rel=1e-9)


def test_strata_of_shocks_compare_within_periods():
    """Two periods stacked: their sums of shares are controlled, and the shock-level regression has a constant for each."""
    one, names, g = _study(seed=1)
    two, _, h = _study(seed=2)
    both = [f"{name}_{t}" for t in (0, 1) for name in names]
    stacked = pd.DataFrame(
        np.kron(np.eye(2), np.ones((120, 12))) * np.tile(np.r_[one[names], two[names]], 2), columns=both
    )
    for name in ("x", "imports", "jobs"):
        stacked[name] = np.r_[one[name], two[name] + 3.0]
    table = pd.DataFrame({"shock": both, "value": np.r_[g, h + 5.0], "stratum": np.repeat(["early", "late"], 12)})
    result = _fit(stacked, both, table, vcov="BHJ")
    rows = [np.array(column) for column in zip(*result.shock_level().rows, strict=True)]
    shock, s, y, D = (column.astype(float) for column in rows[1:5])
    periods = (rows[5].astype(int)[:, None] == [0, 1]).astype(float)
    X, Z = np.column_stack([periods, D]), np.column_stack([periods, shock])
    beta = np.linalg.solve(Z.T @ (X * s[:, None]), Z.T @ (s * y))
    assert result.estimate == pytest.approx(beta[2], rel=1e-10)
    bread = np.linalg.inv(Z.T @ (X * s[:, None]))
    scores = Z * (s * (y - X @ beta))[:, None]
    assert result.se == pytest.approx(np.sqrt((bread @ scores.T @ scores @ bread.T)[2, 2]), rel=1e-8)


def test_rotemberg_weights_sum_to_one_and_give_the_estimate():
    data, names, g = _study()
    result = _fit(data, names, g.tolist(), weights="w")
    found = result.rotemberg
    assert found.alpha.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.alpha @ found.beta == pytest.approx(result.estimate, rel=1e-12)
    assert found.estimate == pytest.approx(result.estimate, rel=1e-12)
    k, w = 3, data["w"].to_numpy(float)
    controls = np.column_stack([np.ones(len(data)), data["x"], data[names].sum(axis=1)])
    *_, left, _ = _written_out(data, names, g, w, controls)
    Z, y, D = (left(data[name].to_numpy()) for name in (names[k], "jobs", "imports"))
    assert found.beta[k] == pytest.approx((w * Z) @ y / ((w * Z) @ D), rel=1e-9)
    B = left(data[names].to_numpy() @ g)
    assert found.alpha[k] == pytest.approx(g[k] * ((w * Z) @ D) / ((w * B) @ D), rel=1e-9)
    slope = (w * Z) @ D / ((w * Z) @ Z)
    normalised = w / w.mean()
    robust = (
        len(data) / (len(data) - 4) * (normalised**2 * Z**2 * (D - slope * Z) ** 2).sum() / ((normalised * Z) @ Z) ** 2
    )
    assert found.first_stage_f[k] == pytest.approx(slope**2 / robust, rel=1e-9)
    assert "weight" in found.to_frame().columns
    assert found.plot("bars") is not None


def test_a_long_table_of_shares_is_the_same_as_columns():
    data, names, g = _study()
    long = data[names].assign(zone=data["zone"]).melt("zone", names, "shock", "share").query("share > 0.001")
    wide = data.copy()
    wide[names] = wide[names].where(wide[names] > 0.001, 0.0)
    mapping = dict(zip(names, g, strict=True))
    a = _fit(wide, names, mapping)
    b = _fit(wide.drop(columns=names), long.sample(frac=1, random_state=0), mapping, unit="zone")
    assert b.estimate == pytest.approx(a.estimate, rel=1e-10)
    assert b.se == pytest.approx(a.se, rel=1e-8)
    assert b.refit().estimate == b.estimate
    assert b.refit(wide.drop(columns=names)).estimate == pytest.approx(b.estimate, rel=1e-12)


def test_shocks_may_have_any_zero():
    data, names, g = _study()
    for shift in (7.0, 1e6):
        moved = _fit(data, names, (g + shift).tolist())
        base = _fit(data, names, g.tolist())
        assert moved.estimate == pytest.approx(base.estimate, rel=1e-7)
        assert moved.se == pytest.approx(base.se, rel=1e-6)


def test_results_of_two_outcomes_subtract_by_shock():
    data, names, g = _study()
    a = _fit(data, names, g.tolist())
    b = _fit(data.assign(jobs=data["jobs"] + data["imports"]), names, g.tolist())
    assert a.with_vcov("HC1").se != a.se
    same = _fit(data, names, g.tolist())
    with pytest.raises(ck.InferenceUnavailable):
        _ = a - b  # other tables
    one = ck.ShiftShareIV().estimate(a.sample)
    assert (a - one).se == pytest.approx(0.0, abs=1e-12)
    assert same.estimate == a.estimate


def test_errors_by_shock_cover_where_errors_by_unit_do_not():
    """Residuals share a component by shock, as in Adao, Kolesar and Morales: HC1 rejects far too often, AKM0 does not."""
    rejected = {"HC1": 0, "AKM": 0, "AKM0": 0}
    for seed in range(100):
        data, names, g = _study(n=200, K=40, seed=100 + seed)
        result = _fit(data, names, g.tolist())
        rejected["AKM"] += result.test(-2.0).pvalue < 0.05
        rejected["AKM0"] += result.test(-2.0, method="akm0").pvalue < 0.05
        rejected["HC1"] += result.with_vcov("HC1").test(-2.0).pvalue < 0.05
    assert rejected["HC1"] > 18
    assert rejected["AKM"] < 18
    assert rejected["AKM0"] < 12


def test_the_ledger():
    data, names, g = _study()
    table = pd.DataFrame({"shock": names, "value": g, "skill": 3 * g + 0.01 * np.arange(12)})
    checks = _fit(data, names, table).checks
    assert checks["balance"].status == "warn"
    assert checks["balance"].pvalue < 1e-6
    exposure = data[names].mean()
    assert checks["effective_shocks"].statistic == pytest.approx(exposure.sum() ** 2 / (exposure**2).sum())
    assert checks["effective_shocks"].status == "warn"
    assert checks["complete_shares"].status == "pass"
    assert _fit(data, names, g.tolist(), share_sums="ignore").checks["complete_shares"].status == "warn"
    noise = pd.DataFrame({"shock": names, "value": g, "skill": np.random.default_rng(3).normal(size=12)})
    assert _fit(data, names, noise).checks["balance"].status == "pass"
    first = _fit(data, names, table).first_stage
    assert first.effective_f == pytest.approx((first.estimate / first.se) ** 2)


def test_dependent_shares_have_no_akm_error():
    data, names, g = _study()
    data["again"] = data[names[0]]
    shocks = [*g, 0.3]
    assert _fit(data, [*names, "again"], shocks).kind == "BHJ"
    with pytest.raises(DesignError, match="linearly dependent"):
        _fit(data, [*names, "again"], shocks, vcov="AKM")


@pytest.mark.parametrize(
    ("shocks", "kind", "told"),
    [
        ([1.0, 2.0], DesignError, "2 shocks for 12 shares"),
        ({"ind0": 1.0}, DesignError, "11 shares have no shock, the first is 'ind1'"),
        ([np.nan] + [1.0] * 11, DataError, "missing or infinite"),
        (["a"] * 12, DesignError, "no numbers"),
        ([0.0] * 12, DesignError, "instrument is determined"),
        (None, DesignError, "shocks= is missing"),
    ],
)
def test_errors_teach(shocks, kind, told):
    data, names, _ = _study()
    with pytest.raises(kind, match=told):
        _fit(data, names, shocks)


def test_errors_of_tables_teach():
    data, names, g = _study()
    with pytest.raises(DataError, match="name each shock once"):
        _fit(data, names, pd.DataFrame({"shock": ["ind0"] * 12, "value": g}))
    with pytest.raises(DataError, match="value"):
        _fit(data, names, pd.DataFrame({"shock": names, "size": g}))
    long = data[names].assign(zone=data["zone"]).melt("zone", names, "shock", "share")
    mapping = dict(zip(names, g, strict=True))
    with pytest.raises(DesignError, match="needs unit="):
        _fit(data, long, mapping)
    with pytest.raises(DesignError, match="1 units of 'zone' have no row"):
        _fit(data, long[long["zone"] != "z5"], mapping, unit="zone")
    with pytest.raises(DataError, match="repeat a unit and shock"):
        _fit(data, pd.concat([long, long.iloc[:1]]), mapping, unit="zone")
    with pytest.raises(DesignError, match="cluster"):
        _fit(data, names, mapping).with_vcov("AKM", cluster=data["zone"])
