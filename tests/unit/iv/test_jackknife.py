"""Jackknife instrumental variables against hat matrices written out, and on designs with a known effect."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.iv.jackknife import METHODS, jackknife_fit


def _hat(X, weights):
    scaled = X * np.sqrt(weights)[:, None]
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    u = u[:, s > 1e-10 * s[0]]
    return u @ u.T


def _dense(y, D, controls, instruments, weights, method):
    """Every method by its n x n matrix; the definitions of Kolesar's papers, nothing shared with the package."""
    n, root = len(y), np.sqrt(weights)
    y, D = y - np.average(y, weights=weights), D - np.average(D, weights=weights)
    y, D = y * root, D * root
    H, P = _hat(np.hstack([controls, instruments]), weights), _hat(controls, weights)
    h, p, eye = np.diag(H), np.diag(P), np.eye(n)
    if method == "ujive":
        G = H - P - np.diag((h - p) / (1 - h)) @ (eye - H)
        assert np.abs(np.diag(G)).max() < 1e-12
    elif method == "ujive2013":
        G = np.diag(1 / (1 - p)) @ (eye - P) - np.diag(1 / (1 - h)) @ (eye - H)
        assert np.abs(np.diag(G)).max() < 1e-12
    else:
        lev = h if method == "jive" else h - p
        G = (eye - P) @ (eye - np.diag(1 / (1 - lev)) @ (eye - H))
    fitted = G @ D
    beta = fitted @ y / (fitted @ D)
    error = y - beta * D
    residual = (eye - P) @ error
    scores = fitted * residual
    # the error that the estimand leaves moves the weights through the first-stage error
    moved = (G.T @ (residual if method in ("jive", "ijive") else error)) * ((eye - H) @ D)
    den = fitted @ D
    return beta, np.sqrt((scores**2).sum()) / abs(den), np.sqrt(((scores + moved) ** 2).sum()) / abs(den)


def _judges(n=240, n_judges=12, seed=0):
    rng = np.random.default_rng(seed)
    court = rng.integers(0, 4, n)
    judge = rng.integers(0, n_judges, n)
    u, x = rng.normal(size=n), rng.normal(size=n)
    lenient = rng.normal(size=n_judges)
    D = (lenient[judge] + 0.3 * court + 0.5 * x + u + rng.normal(size=n) > 0).astype(float)
    y = 3.0 + D * (1 + 0.2 * x) + 0.4 * court - 0.3 * x + u + rng.normal(size=n) * (1 + 0.3 * np.abs(x))
    return y, D, judge.astype(np.int32), court.astype(np.int32), x, rng.integers(1, 5, n).astype(float)


def _dummies(codes):
    return (codes[:, None] == np.unique(codes)).astype(float)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("design", ["labels", "labels and controls", "absorbed", "columns"])
def test_equals_the_dense_formula(method, weighted, design):
    y, D, judge, court, x, weights = _judges()
    given = {"weights": weights} if weighted else {}
    W = np.column_stack([np.ones_like(x)])
    if design == "labels":
        found = jackknife_fit(y, D, method=method, labels=[judge], **given)
        Z = _dummies(judge)
    elif design == "labels and controls":
        found = jackknife_fit(y, D, method=method, labels=[judge], W=np.column_stack([x, x**2]), **given)
        W, Z = np.column_stack([W, x, x**2]), _dummies(judge)
    elif design == "absorbed":
        extra = np.sin(3 * x)[:, None]
        found = jackknife_fit(y, D, method=method, labels=[judge], absorb=[court], W=x[:, None], Z=extra, **given)
        W, Z = np.column_stack([_dummies(court), x]), np.column_stack([_dummies(judge), extra])
    else:
        Z = np.column_stack([_dummies(judge)[:, 1:], x])
        W = np.column_stack([W, _dummies(court)[:, 1:]])
        found = jackknife_fit(y, D, method=method, Z=Z, W=W[:, 1:], **given)
    expected = _dense(y, D, W, Z, weights if weighted else np.ones_like(y), method)
    np.testing.assert_allclose((found.estimate, found.se_constant_effect, found.se_heterogeneous), expected, rtol=1e-10)
    assert found.n_instruments == np.linalg.matrix_rank(np.hstack([W, Z])) - np.linalg.matrix_rank(W)


def test_the_prediction_of_a_row_does_not_use_it():
    y, D, judge, *_ = _judges()
    before = jackknife_fit(y, D, labels=[judge], method="ujive").fitted[7, 0]
    moved = D.copy()
    moved[7] += 100.0
    assert jackknife_fit(y, moved, labels=[judge], method="ujive").fitted[7, 0] == pytest.approx(before, abs=1e-12)


def test_judges_nested_in_courts():
    y, D, judge, _, x, _ = _judges(n_judges=12)
    court = (judge // 3).astype(np.int32)
    found = jackknife_fit(y, D, labels=[judge], absorb=[court], W=x[:, None])
    W, Z = np.column_stack([_dummies(court), x]), _dummies(judge)
    expected = _dense(y, D, W, Z, np.ones_like(y), "ujive")
    np.testing.assert_allclose((found.estimate, found.se_constant_effect, found.se_heterogeneous), expected, rtol=1e-10)
    assert found.n_instruments == 12 - 4


def test_rows_of_leverage_one_are_left_out_and_named():
    y, D, judge, court, _x, _ = _judges()
    judge, only = judge.copy(), np.zeros((len(y), 1))
    judge[5] = 99  # alone with its judge
    only[11] = 1.0  # a control of its own
    found = jackknife_fit(y, D, labels=[judge], absorb=[court], W=only)
    assert found.alone.tolist() == [5]
    assert found.perfect.tolist() == [11]
    kept = np.setdiff1d(np.arange(len(y)), [5, 11])
    assert found.rows.tolist() == kept.tolist()
    again = jackknife_fit(y[kept], D[kept], labels=[judge[kept]], absorb=[court[kept]])
    assert found.estimate == pytest.approx(again.estimate, rel=1e-12)


def test_alone_is_found_again_and_again():
    y, D, judge, court, *_ = _judges()
    judge, court = judge.copy(), court.copy()
    judge[:2], court[:2] = 50, [7, 0]  # row 0 is alone in its court; then row 1 is alone with its judge
    assert jackknife_fit(y, D, labels=[judge], absorb=[court]).alone.tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_does_not_depend_on_level_units_or_order(method):
    y, D, judge, court, x, _ = _judges()
    kwargs = {"method": method}
    base = jackknife_fit(y, D, labels=[judge], absorb=[court], W=x[:, None], **kwargs)
    shifted = jackknife_fit(y + 1e9, D, labels=[judge], absorb=[court], W=x[:, None] * 1e6 + 1e3, **kwargs)
    scaled = jackknife_fit(-1e6 * y, D, labels=[judge], absorb=[court], W=x[:, None], **kwargs)
    order = np.random.default_rng(1).permutation(len(y))
    mixed = jackknife_fit(y[order], D[order], labels=[judge[order]], absorb=[court[order]], W=x[order, None], **kwargs)
    assert shifted.estimate == pytest.approx(base.estimate, abs=1e-7)  # y holds 1e-7 at 1e9
    assert scaled.estimate == pytest.approx(-1e6 * base.estimate, rel=1e-10)
    assert mixed.estimate == pytest.approx(base.estimate, rel=1e-10)
    np.testing.assert_allclose(mixed.psi, base.psi[order], atol=1e-12)


def test_no_bias_where_two_stage_least_squares_has_one():
    """Forty judges of fifteen cases, a strong confounder: UJIVE and IJIVE centre on the effect, 2SLS on the way to OLS."""
    rng = np.random.default_rng(3)
    found = {"ujive": [], "ijive": [], "2sls": []}
    errors = []
    for _ in range(300):
        judge = np.repeat(np.arange(40), 15).astype(np.int32)
        u = rng.normal(size=600)
        D = 0.5 * rng.normal(size=40)[judge] + u + rng.normal(size=600)
        y = D + 2 * u + rng.normal(size=600)
        for method in ("ujive", "ijive"):
            fit = jackknife_fit(y, D, labels=[judge], method=method)
            found[method].append(fit.estimate)
            if method == "ujive":
                errors.append(fit.se_heterogeneous)
        means = np.bincount(judge, D) / 15 - D.mean()
        found["2sls"].append(means[judge] @ y / (means[judge] @ D))
    se = np.std(found["ujive"]) / np.sqrt(300)
    assert abs(np.median(found["ujive"]) - 1) < 4 * se
    assert abs(np.median(found["ijive"]) - 1) < 4 * se
    assert np.mean(found["2sls"]) > 1.15
    assert np.median(errors) == pytest.approx(np.std(found["ujive"]), rel=0.35)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": []}, "no instrument"),
        ({"absorb": ["judge"]}, "determined by the controls"),
        ({"method": "kive"}, "not an option"),
    ],
)
def test_errors_teach(changes, told):
    y, D, judge, *_ = _judges()
    if "absorb" in changes:
        changes = {"absorb": [judge]}
    with pytest.raises(DesignError, match=told):
        jackknife_fit(y, D, **{"labels": [judge], **changes})


def test_every_row_its_own_judge():
    y, D, *_ = _judges()
    with pytest.raises(DesignError, match="every row"):
        jackknife_fit(y, D, labels=[np.arange(len(y), dtype=np.int32)])


@pytest.mark.parametrize("method", METHODS)
def test_two_treatments(method):
    y, D, judge, _, x, weights = _judges()
    E = (np.sin(judge) + x + np.random.default_rng(3).normal(size=y.size) > 0).astype(float)
    both = np.column_stack([D, E])
    found = jackknife_fit(y, both, method=method, labels=[judge], weights=weights)
    single = [jackknife_fit(y, column, method=method, labels=[judge], weights=weights) for column in both.T]
    predictions = np.stack([fit.fitted[:, 0] for fit in single])
    centred = both - np.average(both, axis=0, weights=weights)
    moved = y - np.average(y, weights=weights)
    expected = np.linalg.solve((predictions * weights) @ centred, (predictions * weights) @ moved)
    np.testing.assert_allclose(found.estimates, expected, rtol=1e-10)
    assert found.psi_heterogeneous.shape == (y.size, 2)


def _table(n=1200, n_judges=30):
    import pandas as pd

    y, D, judge, court, x, weights = _judges(n, n_judges)
    table = pd.DataFrame({"y": y, "jailed": D.astype(int), "x": x, "w": weights, "case": np.arange(n)})
    table["judge"], table["court"] = [f"judge {code}" for code in judge], [f"court {code}" for code in court]
    return table, judge, court


@pytest.mark.parametrize("method", ["jive", "ujive", "ijive"])
def test_iv_takes_judges_as_labels(method):
    table, judge, court = _table()
    keywords = {"outcome": "y", "treatment": "jailed", "instruments": "judge", "covariates": "x", "absorb": "court"}
    result = ck.IV(method=method, vcov="HC0").fit(table, **keywords)
    arrays = table["y"].to_numpy(), table["jailed"].to_numpy(float)
    direct = jackknife_fit(*arrays, method=method, labels=[judge], absorb=[court], W=table[["x"]].to_numpy())
    assert result.estimate == pytest.approx(direct.estimate, rel=1e-10)
    assert result.se == pytest.approx(direct.se_heterogeneous, rel=1e-10)
    assert result.se_constant_effect == pytest.approx(direct.se_constant_effect, rel=1e-10)
    assert result.n_instruments == 29
    k = 1 + 1 + 4
    assert result.with_vcov("HC1").se == pytest.approx(result.se * np.sqrt(1200 / (1200 - k)), rel=1e-10)
    compared = {row[0]: row for row in result.compare().rows}
    assert compared[method.upper()][1] == pytest.approx(result.estimate, rel=1e-10)
    assert compared["2SLS"][1] == pytest.approx(ck.IV().fit(table, **keywords).estimate, rel=1e-8)
    assert compared["LIML"][1] == pytest.approx(ck.IV(method="liml").fit(table, **keywords).estimate, rel=1e-8)
    assert result.first_stage.effective_f > 0
    assert result.leave_out.shape == (1200, 1)
    assert "LIML" in str([passage.table for passage in result.passages()])


def test_a_judge_of_one_case_is_counted_as_dropped():
    table, *_ = _table()
    table.loc[[17, 40], "judge"] = ["alone", "alone too"]
    result = ck.IV(method="ujive").fit(table, outcome="y", treatment="jailed", instruments="judge", cluster="court")
    assert (result.n, result.n_dropped) == (1198, 2)
    assert result.dropped.reasons[-1] == ("lone level", "judge", 2, 17)
    assert "2 rows of leverage one" in result.checks["leverage"].message
    rest = ck.IV(method="ujive").fit(
        table.drop(index=[17, 40]), outcome="y", treatment="jailed", instruments="judge", cluster="court"
    )
    assert result.estimate == pytest.approx(rest.estimate, rel=1e-12)
    assert result.se == pytest.approx(rest.se, rel=1e-12)
    assert result.refit().n_dropped == 2


def test_the_ledger_judges_strength_and_controls():
    table, *_ = _table()
    keywords = {"outcome": "y", "treatment": "jailed", "instruments": "judge"}
    assert ck.IV(method="ujive").fit(table, **keywords).checks["weak_instruments"].status == "pass"
    rng = np.random.default_rng(0)
    table["judge"] = rng.permutation(table["judge"])
    assert ck.IV(method="ujive").fit(table, **keywords).checks["weak_instruments"].status == "warn"
    numbered = table.assign(judge=table["judge"].str.slice(6).astype(int))
    assert ck.IV(method="ujive").fit(numbered, **keywords).checks["labels"].status == "warn"
    many = ck.IV(method="jive").fit(table, **keywords, absorb="court")
    assert many.checks["many_controls"].status == "warn"
    with pytest.raises(ck.InferenceUnavailable, match="one variance"):
        ck.IV(method="ujive", vcov="iid").fit(table, **keywords)
