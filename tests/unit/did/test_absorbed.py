"""A covariate that unit effects absorb is named."""

import pytest

import causalkit as ck

ROLES = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}


@pytest.mark.parametrize("kind", [ck.SunAbraham, ck.TWFE, ck.ImputationDiD, ck.TwoStageDiD])
def test_a_covariate_of_units_is_absorbed_and_said(kind):
    stores = ck.datasets.staggered_rollout(n_units=60, random_state=1)
    stores["size"] = stores.groupby("store")["sales"].transform("first").round(3)
    stores["weather"] = (stores["sales"] * 7.0) % 1.0
    plain = kind().fit(stores, **ROLES)
    assert "covariates" not in plain.checks
    absorbed = kind().fit(stores, covariates=["size"], **ROLES)
    assert absorbed.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert absorbed.checks["covariates"].status == "warn"
    assert "size" in absorbed.checks["covariates"].message
    assert kind().fit(stores, covariates=["weather"], **ROLES).checks["covariates"].status == "pass"


def test_sensitivity_says_what_imputation_lacks():
    stores = ck.datasets.staggered_rollout(n_units=60, random_state=1)
    with pytest.raises(ck.DesignError, match="ImputationDiD gives no effects before the start"):
        ck.did.honest(ck.ImputationDiD().fit(stores, **ROLES))
