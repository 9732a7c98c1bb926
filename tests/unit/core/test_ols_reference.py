"""OLS from a table against statsmodels, to 1e-10: coefficients, standard errors, t tests."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

sm = pytest.importorskip("statsmodels.api")

ROLES = {"outcome": "spend", "treatment": "arm", "control": "none"}


def design(study, *, segments=False):
    columns = [(study["arm"] == "coupon").astype(float), np.ones(len(study)), study["age"], study["income"]]
    if segments:
        columns += [(study["segment"] == level).astype(float) for level in ("loyal", "new")]  # lapsed is the first
    return np.column_stack(columns).astype(float)


def require_equal(found, reference, k=1e-10):
    assert found.estimate == pytest.approx(reference.params[0], rel=k)
    assert found.se == pytest.approx(reference.bse[0], rel=k)
    assert found.effects.statistic[0] == pytest.approx(reference.tvalues[0], rel=k)


@pytest.mark.parametrize("vcov", ["iid", "HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_heteroskedastic(study, vcov, weighted):
    weights = study["weight"].to_numpy(float)
    model = (
        sm.WLS(study["spend"].to_numpy(), design(study), weights=weights)
        if weighted
        else sm.OLS(study["spend"].to_numpy(), design(study))
    )
    reference = model.fit(cov_type="nonrobust" if vcov == "iid" else vcov, use_t=True)
    found = ck.OLS(vcov=vcov).fit(study, **ROLES, covariates=["age", "income"], weights="weight" if weighted else None)
    require_equal(found, reference)
    assert found.pvalue == pytest.approx(reference.pvalues[0], rel=1e-8)
    low, high = found.ci()
    np.testing.assert_allclose((low, high), np.asarray(reference.conf_int())[0], rtol=1e-10)
    assert found.r2 == pytest.approx(reference.rsquared, rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_clustered(study, weighted):
    weights = study["weight"].to_numpy(float) if weighted else np.ones(len(study))
    codes = np.unique(study["store"], return_inverse=True)[1]
    reference = sm.WLS(study["spend"].to_numpy(), design(study), weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": codes}, use_t=True
    )
    found = ck.OLS().fit(
        study, **ROLES, covariates=["age", "income"], cluster="store", weights="weight" if weighted else None
    )
    require_equal(found, reference)
    assert found.pvalue == pytest.approx(reference.pvalues[0], rel=1e-8)


def test_categories(study):
    reference = sm.OLS(study["spend"], design(study, segments=True)).fit(cov_type="HC1")
    found = ck.OLS().fit(study, **ROLES, covariates=["age", "income", "segment"])
    assert found.coefficients.terms == (
        "coupon minus none",
        "intercept",
        "age",
        "income",
        "segment[loyal]",
        "segment[new]",
    )
    np.testing.assert_allclose(found.coefficients.values, reference.params, rtol=1e-9)
    np.testing.assert_allclose(found.coefficients.se, reference.bse, rtol=1e-9)


def test_joint_test_of_several_arms(study):
    arms = np.array(["a", "b", "c"])[np.random.default_rng(0).integers(0, 3, len(study))]
    X = np.column_stack([arms == "a", arms == "c", np.ones(len(study))]).astype(float)
    reference = sm.OLS(study["spend"], X).fit(cov_type="HC1", use_t=True)
    found = ck.OLS().fit(study.assign(arm=arms), **{**ROLES, "control": "b"})
    assert found.effects.terms == ("a minus b", "c minus b")
    joint = reference.f_test(np.eye(3)[:2])
    assert found.effects.joint_test().statistic == pytest.approx(float(joint.fvalue), rel=1e-10)
    assert found.effects.joint_test().pvalue == pytest.approx(float(joint.pvalue), rel=1e-8)
    contrast = reference.t_test([1, -1, 0])
    ours = found.effects.contrast({"a minus b": 1, "c minus b": -1})
    assert ours.values[0] == pytest.approx(contrast.effect.item(), rel=1e-10)
    assert ours.se[0] == pytest.approx(contrast.sd.item(), rel=1e-10)


def test_dose(study):
    reference = sm.OLS(study["spend"], sm.add_constant(study["dose"].to_numpy())).fit(cov_type="HC1")
    found = ck.OLS().fit(study, outcome="spend", treatment="dose")
    assert found.estimate == pytest.approx(reference.params.iloc[1], rel=1e-10)
    assert found.se == pytest.approx(reference.bse.iloc[1], rel=1e-10)
    assert found.estimand == "effect of one more unit of dose on spend"


def test_a_dose_that_never_varies_is_refused(study):
    with pytest.raises(ck.DesignError, match="'dose' has one value only") as caught:
        ck.OLS().fit(study.assign(dose=2.0), outcome="spend", treatment="dose")
    assert caught.value.hint


def test_a_covariate_may_be_called_intercept(study):
    plain = ck.OLS().fit(study, **ROLES, covariates=["age"])
    named = ck.OLS().fit(study.rename(columns={"age": "intercept"}), **ROLES, covariates=["intercept"])
    assert (named.estimate, named.se) == (plain.estimate, plain.se)
