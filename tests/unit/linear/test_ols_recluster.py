"""Another variance for an OLS fit equals a fit with that variance, absorbed effects and all coefficients included."""

import numpy as np
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
