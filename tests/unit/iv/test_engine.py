"""The array-level engine: projections, cross-products, rank statistics and the continuously updating minimum."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import causalkit as ck
from causalkit.iv import cue, gmm
from causalkit.iv.first_stage import FirstStage
from causalkit.iv.fit import solve
from causalkit.iv.gram import gram_from_moments
from causalkit.iv.iv_data import iv_data
from causalkit.iv.k_class import k_class, liml_kappa
from causalkit.kernels.iv_gram import BLOCK, Stack, cross_products, triangle


def arrays(rows=600, seed=9, m=2, q=4):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(3, rows))
    z = rng.normal(size=(q, rows)) + 0.3 * w[0]
    hidden = rng.normal(size=rows)
    D = rng.normal(size=(m, q)) @ z * 0.4 + 0.2 * w[1] + hidden + rng.normal(size=(m, rows))
    y = 2 + D.sum(axis=0) * 0.5 + w.sum(axis=0) + hidden + rng.normal(size=rows) * (1 + np.abs(z[0]))
    return y, list(D), list(z), list(w)


def residualised(columns, w):
    X = np.column_stack([np.ones(w[0].size), *w])
    return [c - X @ np.linalg.lstsq(X, c, rcond=None)[0] for c in columns]


def test_blocks_cover_all_rows():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(3, 2 * BLOCK + 17))
    stack = Stack(tuple(columns), np.array([1.0, -2.0, 0.0]), np.sqrt(rng.random(columns.shape[1])))
    direct = (columns - stack.pivots[:, None]) * stack.root
    np.testing.assert_allclose(cross_products(stack), direct @ direct.T, rtol=1e-11)
    factor = triangle(stack)
    np.testing.assert_allclose(factor.T @ factor, direct @ direct.T, rtol=1e-11)


def test_projection_is_that_of_least_squares():
    y, D, Z, W = arrays()
    data = iv_data(y, D, Z, W)
    for found, told in zip(data.rows, residualised([y, *D, *Z], W), strict=True):
        np.testing.assert_allclose(found, told, atol=1e-12)
    gram = data.gram
    np.testing.assert_allclose(gram.ZD, data.Z.T @ data.D, rtol=1e-11)
    X = np.column_stack([np.ones(y.size), *W])
    hat = np.einsum("ij,jk,ik->i", X, np.linalg.inv(X.T @ X), X)
    np.testing.assert_allclose(data.exogenous_leverage(), hat, rtol=1e-10)
    full = np.column_stack([X, *Z])
    whole = np.einsum("ij,jk,ik->i", full, np.linalg.inv(full.T @ full), full)
    np.testing.assert_allclose(data.exogenous_leverage() + data.instrument_leverage(), whole, rtol=1e-10)


def test_moments_give_the_same_estimates_as_rows():
    y, D, Z, W = arrays()
    names = ["y", "d1", "d2", "z1", "z2", "z3", "z4", "w1", "w2", "w3"]
    table = pd.DataFrame(dict(zip(names, [y + 1e7, *D, *Z, *W], strict=True)))
    gram = gram_from_moments(ck.Moments.of(table, names), "y", names[1:3], names[3:7], names[7:])
    data = iv_data(y, D, Z, W)
    for kappa in (1.0, liml_kappa(data.gram)):
        np.testing.assert_allclose(k_class(gram, kappa)[0], k_class(data.gram, kappa)[0], rtol=1e-8)
    assert (gram.n, gram.n_exogenous, gram.q) == (data.n, data.n_exogenous, data.q)
    assert liml_kappa(gram) == pytest.approx(liml_kappa(data.gram), rel=1e-9)
    twice = ck.Moments.of(table.assign(w4=table["w1"]), [*names, "w4"])
    with pytest.raises(ck.DesignError, match="'w4' is determined"):
        gram_from_moments(twice, "y", names[1:3], names[3:7], [*names[7:], "w4"])


def test_liml_kappa_is_the_smallest_root_of_the_variance_ratio():
    y, D, Z, W = arrays()
    Y = np.column_stack(residualised([y, *D], W))
    P = np.column_stack(residualised(Z, W))
    left = Y - P @ np.linalg.lstsq(P, Y, rcond=None)[0]
    told = np.linalg.eigvals(np.linalg.solve(left.T @ left, Y.T @ Y)).real.min()
    assert liml_kappa(iv_data(y, D, Z, W).gram) == pytest.approx(told, rel=1e-10)


def test_rank_statistics_of_several_endogenous_variables():
    y, D, Z, W = arrays()
    first = FirstStage(iv_data(y, D, Z, W, kind="iid"))
    X, P = np.column_stack(residualised(D, W)), np.column_stack(residualised(Z, W))
    fitted = P @ np.linalg.lstsq(P, X, rcond=None)[0]
    df = y.size - 4 - 4
    sigma = (X - fitted).T @ (X - fitted) / df
    told = np.linalg.eigvals(np.linalg.solve(sigma, fitted.T @ fitted)).real.min() / 4
    assert first.cragg_donald == pytest.approx(told, rel=1e-10)
    # With one variance the rk statistic is Cragg and Donald's.
    assert first.kleibergen_paap == pytest.approx(told, rel=1e-8)
    np.testing.assert_allclose(first.f, first.f_iid, rtol=1e-10)
    # Sanderson and Windmeijer: what is left of one variable by two-stage least squares on the other.
    share = (fitted[:, 1] @ fitted[:, 0]) / (fitted[:, 1] @ fitted[:, 1])
    alone = X[:, 0] - share * X[:, 1]
    hat = P @ np.linalg.lstsq(P, alone, rcond=None)[0]
    conditional = (hat @ hat / 3) / ((alone - hat) @ (alone - hat) / df)
    assert first.conditional_f[0] == pytest.approx(conditional, rel=1e-10)


def test_rank_statistic_does_not_depend_on_the_basis_of_either_side():
    y, D, Z, W = arrays()
    base = FirstStage(iv_data(y, D, Z, W, kind="HC1"))
    Z2 = [Z[0] + Z[1], Z[1] * 7 + 3, Z[2] - Z[0], Z[3] + 0.1 * W[0]]
    D2 = [D[0] - D[1], D[1] * 100]
    for other in (iv_data(y, D, Z2, W, kind="HC1"), iv_data(y, D2, Z, W, kind="HC1")):
        assert FirstStage(other).kleibergen_paap == pytest.approx(base.kleibergen_paap, rel=1e-8)
        assert FirstStage(other).cragg_donald == pytest.approx(base.cragg_donald, rel=1e-8)


@pytest.mark.parametrize("kind", ["iid", "HC0", "CR0", "HAC"])
def test_the_gradient_of_the_updating_objective_is_exact(kind):
    y, D, Z, W = arrays(rows=200)
    groups = [np.arange(200, dtype=np.int32) // 5] if kind == "CR0" else []
    data = iv_data(y, D, Z, W, kind=kind, groups=groups, order=np.arange(200) if kind == "HAC" else None)
    start = gmm.two_step(data)
    problem = cue._Updating(data)
    point = problem.point(start.beta + 0.1, start.shift + 0.05)
    _, slope = problem.evaluate(point)
    numeric = [
        (problem.evaluate(point + step)[0] - problem.evaluate(point - step)[0]) / 2e-5
        for step in 1e-5 * np.eye(len(point))
    ]
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-7)


def test_the_continuously_updating_estimate_is_the_minimum():
    y, D, Z, W = arrays(rows=300, m=1, q=3)
    fit = cue.continuously_updating(iv_data(y, D, Z, W, kind="HC0"))
    assert fit.certificate < 1e-9
    X, full = np.column_stack([*D, np.ones(300), *W]), np.column_stack([*Z, np.ones(300), *W])

    def objective(beta):
        scores = full * (y - X @ beta)[:, None]
        total = scores.sum(axis=0)
        return total @ np.linalg.solve(scores.T @ scores, total)

    start = np.linalg.lstsq(X, y, rcond=None)[0]
    start[0] = fit.beta[0] + 0.05
    best = optimize.minimize(objective, start, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    assert fit.objective <= best.fun + 1e-10
    assert fit.beta[0] == pytest.approx(best.x[0], abs=1e-4)


def test_the_deepest_of_several_valleys():
    """With weak instruments a descent from the two-step estimate alone leaves for infinity."""
    rng = np.random.default_rng(53)
    rows, groups = 276, np.arange(276) % 40
    z, u, v = rng.normal(size=(rows, 3)), rng.normal(size=rows), rng.normal(size=rows)
    d = 0.05 * z @ np.array([1.0, -0.5, 0.7]) + 0.8 * u + v
    y = d + u * (1 + 0.5 * np.abs(z[:, 0])) + 0.3 * z[:, 2]
    data = iv_data(y, [d], list(z.T), kind="CR0", groups=[groups.astype(np.int32)])
    X, full = np.column_stack([d, np.ones(rows)]), np.column_stack([z, np.ones(rows)])

    def objective(beta):
        sums = np.zeros((40, 4))
        np.add.at(sums, groups, full * (y - X @ beta)[:, None])
        total = sums.sum(axis=0)
        return total @ np.linalg.solve(sums.T @ sums, total)

    starts = [(b, np.mean(y - b * d)) for b in np.tan(np.linspace(-1.5, 1.5, 41))]
    best = min(optimize.minimize(objective, start, method="BFGS").fun for start in starts)
    assert cue.continuously_updating(data).objective <= best + 1e-7


def test_continuous_updating_needs_more_clusters_than_moments():
    """With as many, the objective is their number at every coefficient; with fewer, nothing can be inverted."""
    y, D, Z, W = arrays(q=3)
    for count in (3, 3 + 1 + len(W)):
        groups = [(np.arange(600) % count).astype(np.int32)]
        with pytest.raises(ck.InferenceUnavailable, match=f"there are {count} clusters for {4 + len(W)} moments"):
            cue.continuously_updating(iv_data(y, D, Z, W, kind="CR1", groups=groups))


def test_under_one_variance_continuous_updating_is_liml():
    y, D, Z, W = arrays()
    data = iv_data(y, D, Z, W, kind="iid")
    fit = cue.continuously_updating(data)
    np.testing.assert_allclose(fit.beta, solve(data, "liml").beta, rtol=1e-8)
    kappa = liml_kappa(data.gram)
    assert fit.objective == pytest.approx(data.n * (1 - 1 / kappa), rel=1e-9)


def test_fewer_clusters_than_moments_can_not_weight_them():
    y, D, Z, W = arrays(q=6)
    data = iv_data(y, D, Z, W, kind="CR1", groups=[(np.arange(600) % 4).astype(np.int32)])
    with pytest.raises(ck.InferenceUnavailable, match=r"singular \(4 clusters\)"):
        gmm.two_step(data)
