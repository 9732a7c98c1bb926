"""Another variance for an OLS fit equals a fit with that variance, absorbed effects and all coefficients included."""

import duckdb
import numpy as np
import pandas as pd
import pytest

import causalkit as ck

ROLES = {"outcome": "y", "treatment": "treated", "covariates": ["x1", "x2"], "absorb": ["unit", "time"]}


@pytest.fixture(scope="module")
def panel():
    return ck.datasets.linear_panel(40, 6, random_state=5)


@pytest.mark.parametrize("vcov", ["CR0", "CR1"])
def test_from_rows_to_clusters_that_nest_an_effect(panel, vcov):
    changed = ck.OLS(vcov="HC1").fit(panel, **ROLES).with_vcov(vcov, cluster=panel["unit"])
    fitted = ck.OLS(vcov=vcov).fit(panel, **ROLES, cluster="unit")
    np.testing.assert_allclose(changed.se, fitted.se, rtol=1e-12)
    np.testing.assert_allclose(changed.coefficients.se, fitted.coefficients.se, rtol=1e-12)
    np.testing.assert_allclose(changed.ci(), fitted.ci(), rtol=1e-12)


@pytest.mark.parametrize("vcov", ["HC0", "HC1"])
def test_from_clusters_back_to_rows(panel, vcov):
    changed = ck.OLS().fit(panel, **ROLES, cluster="unit").with_vcov(vcov)
    fitted = ck.OLS(vcov=vcov).fit(panel, **ROLES)
    np.testing.assert_allclose(changed.se, fitted.se, rtol=1e-12)
    np.testing.assert_allclose(changed.coefficients.se, fitted.coefficients.se, rtol=1e-12)
    assert changed.pvalue == pytest.approx(fitted.pvalue, rel=1e-10)


def test_one_treated_row_or_cluster_and_a_constant_outcome_are_called_out():
    table = ck.datasets.coupon_campaign(300, random_state=2)
    one = table.assign(t=[1] + [0] * 299)
    assert ck.OLS().fit(one, outcome="purchase", treatment="t").checks["arm_size"].status == "fail"
    assert "arm_size" not in ck.OLS(vcov="iid").fit(one, outcome="purchase", treatment="t").checks
    store = table.assign(t=(table["store"] == table["store"].iloc[0]).astype(int))
    assert ck.OLS().fit(store, outcome="purchase", treatment="t", cluster="store").checks["arm_size"].status == "fail"
    assert "arm_size" not in ck.OLS().fit(store, outcome="purchase", treatment="t").checks
    still = ck.OLS().fit(table.assign(y=1.0), outcome="y", treatment="arm", control="no_coupon")
    assert still.checks["outcome"].status == "fail"


TWO_WAYS = ["unit", "time"]


@pytest.mark.parametrize("vcov", ["CR0", "CR1"])
def test_from_rows_to_two_ways(panel, vcov):
    changed = ck.OLS(vcov="HC1").fit(panel, **ROLES).with_vcov(vcov, cluster=(panel["unit"], panel["time"]))
    fitted = ck.OLS(vcov=vcov).fit(panel, **ROLES, cluster=TWO_WAYS)
    np.testing.assert_allclose(changed.se, fitted.se, rtol=1e-12)
    np.testing.assert_allclose(changed.coefficients.se, fitted.coefficients.se, rtol=1e-12)
    np.testing.assert_allclose(changed.ci(), fitted.ci(), rtol=1e-12)


def test_from_two_ways_to_others(panel):
    both = ck.OLS().fit(panel, **ROLES, cluster=TWO_WAYS)
    np.testing.assert_allclose(both.with_vcov("CR1").se, both.se, rtol=1e-12)
    np.testing.assert_allclose(both.with_vcov("HC1").se, ck.OLS(vcov="HC1").fit(panel, **ROLES).se, rtol=1e-12)
    one = ck.OLS().fit(panel, **ROLES, cluster="unit")
    np.testing.assert_allclose(both.with_vcov("CR1", cluster=panel["unit"]).se, one.se, rtol=1e-12)
    with pytest.raises(ck.InferenceUnavailable, match="clustered in 2 and 1 ways"):
        both - one


def test_results_of_two_ways_subtract_as_one_stacked_regression(panel):
    """The difference of two regressions as one stacked regression, clustered two ways (statsmodels)."""
    import statsmodels.api as sm

    roles = {"outcome": "y", "treatment": "treated", "cluster": TWO_WAYS}
    found = ck.OLS(vcov="CR0").fit(panel, **roles) - ck.OLS(vcov="CR0").fit(panel, covariates="x1", **roles)
    n, t, y = len(panel), panel["treated"].to_numpy(float), panel["y"].to_numpy()
    one = np.column_stack([np.ones(n), t])
    two = np.column_stack([one, panel["x1"]])
    X = np.block([[one, np.zeros((n, 3))], [np.zeros((n, 2)), two]])
    codes = np.tile(np.column_stack([panel[name].astype("category").cat.codes for name in TWO_WAYS]), (2, 1))
    fitted = sm.OLS(np.tile(y, 2), X).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
    contrast = np.array([0, 1, 0, -1, 0])
    assert found.estimate == pytest.approx(contrast @ fitted.params, abs=1e-12)
    assert found.se == pytest.approx(np.sqrt(contrast @ fitted.cov_params() @ contrast), rel=1e-9)


@pytest.mark.parametrize(("clusters", "treated", "status"), [(60, 30, "pass"), (60, 6, "warn"), (20, 10, "warn")])
def test_few_clusters_are_told(clusters, treated, status):
    rng = np.random.default_rng(0)
    shop = np.repeat(np.arange(clusters), 5)
    data = pd.DataFrame({"y": rng.normal(size=shop.size), "w": (shop < treated).astype(int), "shop": shop})
    roles = {"outcome": "y", "treatment": "w"}
    check = ck.OLS().fit(data, **roles, cluster="shop").checks["few_clusters"]
    assert check.status == status
    assert f"{clusters} clusters of 'shop'" in check.message
    assert ("only 6 have w=1" in check.message) == (treated == 6)
    assert "few_clusters" not in ck.OLS(vcov="CR2").fit(data, **roles, cluster="shop").checks
    assert "few_clusters" not in ck.OLS().fit(data, **roles).checks
    lazy = ck.OLS().fit(duckdb.from_df(data), **roles, cluster=["shop"])
    assert lazy.checks["few_clusters"] == check
