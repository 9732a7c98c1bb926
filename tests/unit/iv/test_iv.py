"""The IV estimator: what may not change the answer, what is refused, and what a result can do."""

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

ROLES = {"outcome": "y", "treatment": "d", "instruments": ["z1", "z2"], "covariates": ["w1", "w2"]}
METHODS = ("2sls", "liml", "fuller", "gmm", "cue")


def study(rows=500, seed=3):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(2, rows))
    z1, z2 = rng.normal(size=rows) + 0.5 * w[0], (rng.random(rows) < 0.4).astype(float)
    hidden = rng.normal(size=rows)
    d = 0.5 * z1 + 0.8 * z2 + 0.3 * w[1] + hidden + rng.normal(size=rows)
    y = 1 + 0.6 * d + w[0] - 0.5 * w[1] + hidden + rng.normal(size=rows) * (1 + 0.5 * np.abs(z1))
    school = np.arange(rows) % 25
    return pd.DataFrame({"y": y, "d": d, "z1": z1, "z2": z2, "w1": w[0], "w2": w[1], "school": school})


@pytest.fixture(scope="module")
def data():
    return study()


def numbers(result, diagnostics=True):
    first = result.first_stage
    found = [result.estimate, result.se, first.f[0], first.partial_r2[0], first.shea_r2[0], first.cragg_donald]
    if diagnostics:
        found += [result.overidentification_test(m).statistic for m in ("sargan", "hansen", "basmann")]
        found += [result.endogeneity_test(m).statistic for m in ("durbin", "wu_hausman", "wooldridge_score")]
    return np.array(found)


@pytest.mark.parametrize("method", METHODS)
def test_the_answer_does_not_depend_on_how_the_instruments_are_written(data, method):
    base = ck.IV(method=method).fit(data, **ROLES)
    mixed = data.assign(z1=data["z1"] - 3 * data["z2"], z2=40 * data["z1"] + data["z2"] + 1e4)
    shifted = data.assign(z1=data["z1"] + 1e6, z2=data["z2"] + 100)
    for table in (mixed, shifted):
        np.testing.assert_allclose(numbers(ck.IV(method=method).fit(table, **ROLES)), numbers(base), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_units_and_order_of_rows(data, method):
    fit = ck.IV(method=method).fit
    base = numbers(fit(data, **ROLES))
    large = numbers(fit(data.assign(y=data["y"] * 1e6), **ROLES))
    np.testing.assert_allclose(large[2:], base[2:], rtol=1e-8)
    np.testing.assert_allclose(large[:2] / 1e6, base[:2], rtol=1e-8)
    exact = data.assign(y=(data["y"] * 256).round() / 256)
    moved = numbers(fit(exact.assign(y=exact["y"] + 1e9), **ROLES))
    np.testing.assert_allclose(moved, numbers(fit(exact, **ROLES)), rtol=1e-7)
    shuffled = data.sample(frac=1.0, random_state=2)
    np.testing.assert_allclose(numbers(fit(shuffled, **ROLES)), base, rtol=1e-9)


def test_residuals_use_the_treatment_and_not_its_first_stage_fit(data):
    ones = np.ones(len(data))
    X = np.column_stack([data["d"], ones, data["w1"], data["w2"]])
    Z = np.column_stack([data[["z1", "z2"]], ones, data["w1"], data["w2"]])
    fitted = Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    bread = np.linalg.inv(fitted.T @ fitted)
    beta = bread @ fitted.T @ data["y"].to_numpy()
    scores = fitted * (data["y"].to_numpy() - X @ beta)[:, None]
    result = ck.IV(vcov="HC0").fit(data, **ROLES)
    np.testing.assert_allclose(result.coefficients.values, beta, rtol=1e-10)
    np.testing.assert_allclose(result.coefficients.vcov, bread @ scores.T @ scores @ bread, rtol=1e-9)
    second_stage_by_hand = fitted * (data["y"].to_numpy() - fitted @ beta)[:, None]
    naive = bread @ second_stage_by_hand.T @ second_stage_by_hand @ bread
    assert abs(np.sqrt(naive[0, 0]) / result.se - 1) > 0.05


def test_exactly_identified_methods_agree(data):
    roles = {**ROLES, "instruments": "z1"}
    base = ck.IV().fit(data, **roles)
    for method in ("liml", "gmm", "cue"):
        other = ck.IV(method=method).fit(data, **roles)
        assert other.estimate == pytest.approx(base.estimate, rel=1e-12)
        assert other.se == pytest.approx(base.se, rel=1e-10)
    assert ck.IV(method="liml").fit(data, **roles).kappa == 1.0
    assert base.checks["overidentification"].status == "untestable"
    with pytest.raises(ck.InferenceUnavailable, match="1 instrument for 1 treatment: exactly identified"):
        base.overidentification_test()


def test_kappa_leads_from_least_squares_to_two_stage_least_squares(data):
    ols = ck.OLS().fit(data, outcome="y", treatment="d", covariates=["w1", "w2"])
    zero = ck.IV(method="kclass", kappa=0.0).fit(data, **ROLES)
    assert zero.estimate == pytest.approx(ols.estimate, rel=1e-10)
    assert zero.se == pytest.approx(ols.se, rel=1e-10)
    one = ck.IV(method="kclass", kappa=1.0).fit(data, **ROLES)
    assert one.estimate == ck.IV().fit(data, **ROLES).estimate
    with pytest.raises(ck.DesignError, match="kappa=50 is too large"):
        ck.IV(method="kclass", kappa=50.0).fit(data, **ROLES)
    for wrong in ({"method": "kclass"}, {"kappa": 1.0}):
        with pytest.raises(ck.DesignError, match="kappa="):
            ck.IV(**wrong)


def test_absorbed_effects_are_dummies(data):
    absorbed = ck.IV().fit(data, **ROLES, absorb="school")
    dummies = ck.IV().fit(
        data.assign(school=data["school"].map("s{}".format)), **{**ROLES, "covariates": ["w1", "w2", "school"]}
    )
    np.testing.assert_allclose(numbers(absorbed), numbers(dummies), rtol=1e-9)
    assert absorbed.n_parameters == dummies.n_parameters == 3 + 25
    nested = ck.IV().fit(data, **ROLES, absorb="school", cluster="school")
    assert nested.n_parameters == 3 + 1


def test_the_first_stage_is_without_the_absorbed_effects(data):
    strong = data.assign(d=data["d"] + 50.0 * data["school"])
    plain, shifted = (ck.IV().fit(table, **ROLES, absorb="school").first_stage.f[0] for table in (data, strong))
    assert shifted == pytest.approx(plain, rel=1e-9)


def test_singletons_are_named_and_change_no_coefficient(data):
    lone = data.assign(school=np.where(np.arange(len(data)) == 7, 999, data["school"]))
    result = ck.IV().fit(lone, **ROLES, absorb="school")
    without = ck.IV().fit(lone.drop(index=7), **ROLES, absorb="school")
    assert result.n_singletons == 1
    assert "1 row" in result.checks["singletons"].message
    assert result.estimate == pytest.approx(without.estimate, rel=1e-10)
    assert "singletons" not in without.checks


def test_ill_conditioned_covariates_fall_back_to_a_factorisation(data):
    rng = np.random.default_rng(8)
    near = data.assign(w3=data["w1"] + 1e-6 * rng.normal(size=len(data)))
    result = ck.IV().fit(near, **{**ROLES, "covariates": ["w1", "w2", "w3"]})
    assert result.iv_data.eliminated.factorisation == "qr"
    apart = near.assign(w3=(near["w3"] - near["w1"]) * 1e6)
    better = ck.IV().fit(apart, **{**ROLES, "covariates": ["w1", "w2", "w3"]})
    assert better.iv_data.eliminated.factorisation == "cholesky"
    np.testing.assert_allclose(numbers(result), numbers(better), rtol=1e-8)


def test_what_others_determine_is_left_out_and_named(data):
    table = data.assign(w3=data["w1"] + data["w2"], z3=data["z1"] - data["z2"], z4=2 * data["w1"], one=1.0)
    roles = {**ROLES, "covariates": ["w1", "w2", "w3", "one"], "instruments": ["z1", "z2", "z3", "z4"]}
    result = ck.IV().fit(table, **roles)
    assert set(result.collinear) == {"w3", "one", "z3", "z4"}
    assert result.collinear["w3"] == "collinear with w1, w2"
    assert result.collinear["z3"] == "collinear with z1, z2"
    assert result.collinear["z4"] == "determined by the covariates"
    assert result.checks["collinearity"].status == "warn"
    assert result.estimate == pytest.approx(ck.IV().fit(data, **ROLES).estimate, rel=1e-10)


def test_too_few_instruments_are_refused_by_name(data):
    table = data.assign(z4=2 * data["w1"])
    with pytest.raises(
        ck.DesignError, match=r"there are no instruments for 1 treatment .*z4 is determined by the covariates"
    ):
        ck.IV().fit(table, **{**ROLES, "instruments": "z4"})
    with pytest.raises(ck.DesignError, match="there is 1 instrument for 2 treatments"):
        ck.IV().fit(table, **{**ROLES, "treatment": ["d", "w2"], "covariates": "w1", "instruments": "z1"})
    with pytest.raises(ck.DesignError, match="the treatment 'd' is determined by the covariates"):
        ck.IV().fit(table.assign(w1=table["d"] * 2), **ROLES)
    with pytest.raises(ck.DesignError, match="can't be told apart"):
        ck.IV().fit(table.assign(d2=3 * table["d"]), **{**ROLES, "treatment": ["d", "d2"]})


def test_instruments_that_move_nothing_are_refused(data):
    d = np.tile([0.0, 0.0, 1.0, 1.0], 125)
    table = data.assign(d=d, z1=np.tile([0.0, 1.0, 0.0, 1.0], 125))
    with pytest.raises(ck.DesignError, match="the instruments do not move"):
        ck.IV().fit(table, outcome="y", treatment="d", instruments="z1")


def test_a_weak_first_stage_fails_the_relevance_check(data):
    noise = data.assign(z1=np.random.default_rng(5).normal(size=len(data)))
    result = ck.IV().fit(noise, **{**ROLES, "instruments": "z1"})
    assert result.checks["relevance"].status == "fail"
    assert ck.IV().fit(data, **ROLES).checks["relevance"].status == "pass"


def test_instruments_that_disagree_are_found(data):
    direct = data.assign(y=data["y"] + data["z2"])
    check = ck.IV().fit(direct, **ROLES).checks["overidentification"]
    assert check.status == "warn"
    assert check.pvalue < 0.01


def test_another_variance_is_that_of_a_refit(data):
    base = ck.IV(vcov="HC0").fit(data, **ROLES)
    other = ck.IV().fit(data, **ROLES, cluster="school")
    again = base.with_vcov("CR1", cluster=data["school"].to_numpy())
    assert again.se == pytest.approx(other.se, rel=1e-12)
    assert again.first_stage.f[0] == pytest.approx(other.first_stage.f[0], rel=1e-12)
    np.testing.assert_allclose(again.coefficients.se, other.coefficients.se, rtol=1e-10)
    hansen = [result.overidentification_test("hansen").statistic for result in (again, other)]
    assert hansen[0] == pytest.approx(hansen[1], rel=1e-12)


def test_the_difference_to_least_squares_knows_their_dependence(data):
    gap = ck.IV(vcov="HC0").fit(data, **ROLES) - ck.OLS(vcov="HC0").fit(
        data, outcome="y", treatment="d", covariates=["w1", "w2"]
    )
    psi = [result.effects.numbers.carrier.psi[:, 0] for result in (gap.parts[0], gap.parts[1])]
    assert gap.se == pytest.approx(np.linalg.norm(psi[0] - psi[1]), rel=1e-12)


def test_difference_needs_the_same_table_or_units(data):
    one, two = (ck.IV(method=method).fit(data, **ROLES) for method in ("2sls", "liml"))
    gap = one - two
    independent = np.hypot(one.se, two.se)
    assert 0 < gap.se < 0.3 * independent


def test_reduced_form_over_first_stage_is_the_estimate(data):
    result = ck.IV().fit(data, **{**ROLES, "instruments": "z1"})
    ratio = result.reduced_form.values[0] / result.first_stage.coefficients["d"].values[0]
    assert ratio == pytest.approx(result.estimate, rel=1e-10)
    ols = ck.OLS().fit(data, outcome="y", treatment="z1", covariates=["w1", "w2"])
    assert result.reduced_form.se[0] == pytest.approx(ols.se, rel=1e-10)


def test_arms_have_one_effect_each(data):
    rng = np.random.default_rng(4)
    push = rng.integers(0, 3, len(data))
    arm = np.where(rng.random(len(data)) < 0.7, push, rng.integers(0, 3, len(data)))
    y = np.array([0.0, 1.0, 2.0])[arm] + rng.normal(size=len(data))
    table = pd.DataFrame({"y": y, "arm": np.array(["none", "mail", "call"])[arm], "push": push.astype(str)})
    result = ck.IV().fit(table, outcome="y", treatment="arm", control="none", instruments="push")
    assert set(result.effects.terms) == {"mail minus none", "call minus none"}
    with pytest.raises(ck.InferenceUnavailable, match="no single headline"):
        _ = result.estimate
    named = ck.IV().fit(table, outcome="y", treatment="arm", control="none", treatment_level="call", instruments="push")
    assert named.headline == "call minus none"
    assert abs(named.estimate - 2.0) < 4 * named.se


def test_a_list_of_one_treatment_is_a_column(data):
    listed = ck.IV().fit(data, **{**ROLES, "treatment": ["d"]})
    assert listed.estimate == ck.IV().fit(data, **ROLES).estimate
    with pytest.raises(ck.DesignError, match="one treatment column"):
        ck.IV().fit(data, **{**ROLES, "treatment": ["d", "w2"], "covariates": "w1"}, control=0)


def test_a_pickle_keeps_the_answer_and_with_its_data_everything(data, tmp_path):
    result = ck.IV().fit(data, **ROLES)
    back = pickle.loads(pickle.dumps(result))
    assert back.estimate == result.estimate
    assert back.checks["relevance"].status == "pass"
    with pytest.raises(ck.InferenceUnavailable, match="no longer holds its data"):
        _ = back.first_stage
    assert back.with_vcov("HC0").se == result.with_vcov("HC0").se
    result.to_pickle(tmp_path / "iv.pkl", keep_data=True)
    kept = pickle.loads((tmp_path / "iv.pkl").read_bytes())
    np.testing.assert_array_equal(kept.first_stage.f, result.first_stage.f)


def test_unknown_methods_are_refused(data):
    result = ck.IV().fit(data, **ROLES)
    for call in (result.ci, result.test, result.overidentification_test, result.endogeneity_test):
        with pytest.raises(ck.DesignError, match="is not an option"):
            call(method="magic")


def test_a_treatment_that_the_instruments_determine_is_not_endogenous(data):
    table = data.assign(d2=data["z1"] + data["z2"] - data["d"], z3=np.sin(np.arange(len(data))))
    roles = {**ROLES, "treatment": ["d", "d2"], "instruments": ["z1", "z2", "z3"]}
    result = ck.IV().fit(table, **roles)
    assert result.first_stage.cragg_donald > 0
    assert result.checks["endogeneity"].status == "untestable"
    with pytest.raises(ck.InferenceUnavailable, match="the instruments determine"):
        result.endogeneity_test()


@pytest.mark.parametrize("roles", [{"vcov": "CR1"}, {"vcov": "HAC"}])
def test_a_variance_that_needs_a_role_says_so(data, roles):
    with pytest.raises(ck.DesignError, match=r"needs (cluster|time)="):
        ck.IV(**roles).fit(data, **ROLES)


@pytest.mark.parametrize("method", ["ar", "clr", "lm"])
def test_weak_instrument_sets_are_the_dual_of_their_tests(data, method):
    result = ck.IV(vcov="iid").fit(data, **ROLES)
    region = result.ci(method=method)
    assert region.contains(result.estimate)
    low, high = region.hull().intervals[0]
    for edge in (low, high):
        assert result.test(edge, method=method).pvalue == pytest.approx(0.05, abs=1e-4)


def test_a_difference_of_one_effect_names_who_estimated_it():
    users = ck.datasets.feature_encouragement()
    roles = {"outcome": "spend", "treatment": "used"}
    two, least = ck.IV().fit(users, instruments="invited", **roles), ck.OLS().fit(users, **roles)
    assert (two - least).effects.terms == ("used=1 minus used=0: IV minus OLS",)
    liml = ck.IV(method="liml").fit(users, instruments="invited", **roles)
    assert (two - liml).effects.terms == ("used=1 minus used=0: 2sls minus liml",)
    assert (two - two).effects.terms == ("used=1 minus used=0: first minus second",)


def test_a_test_that_does_not_apply_shows_no_pvalue():
    users = ck.datasets.feature_encouragement()
    roles = {"outcome": "spend", "treatment": "used", "instruments": "invited", "covariates": "tenure"}
    check = ck.IV().fit(users, **roles).compliers().checks["instrument_validity"]
    assert check.status == "untestable"
    assert check.pvalue is None
