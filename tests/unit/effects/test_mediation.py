from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

#: Truth of the design below: E[M | A=0] = 0.5, so that the natural direct effect is 0.7 + 0.5 * 0.5.
DIRECT, INDIRECT = 0.95, 0.8 * (1.2 + 0.5)
ROBUST = ck.Mediation(regressor="linear", classifier="linear", random_state=0)
ROLES = {"outcome": "y", "treatment": "arm", "mediator": "m", "covariates": ["x", "where"]}


def simulate(n=1500, seed=3, rho=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    arm = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    noise, other = rng.normal(size=(2, n))
    m = 0.5 + 0.8 * arm + 0.5 * x + noise
    y = 1 + 0.7 * arm + 1.2 * m + 0.5 * arm * m + 0.3 * x + rho * noise + np.sqrt(1 - rho**2) * other
    where = rng.choice(["north", "south"], n)
    return pd.DataFrame({"y": y, "arm": arm, "m": m, "x": x, "where": where, "town": rng.integers(0, 50, n)})


@pytest.fixture(scope="module")
def people():
    return simulate()


@pytest.fixture(scope="module")
def robust(people):
    return ROBUST.fit(people, **ROLES)


@pytest.fixture(scope="module")
def linear(people):
    return ck.Mediation(method="linear").fit(people, **ROLES)


def ols(y, *columns):
    return sm.OLS(np.asarray(y, float), np.column_stack([np.ones(len(y)), *columns])).fit()


def value(result, term):
    return float(result.effects.values[result.effects.index(term)])


def test_robust_and_linear_agree_with_the_truth(robust, linear):
    for result in (robust, linear):
        parts = result.decomposition().effects
        for term, truth in (("natural_direct", DIRECT), ("natural_indirect", INDIRECT), ("total", DIRECT + INDIRECT)):
            at = parts.index(term)
            assert abs(parts.values[at] - truth) < 4 * parts.se[at]
        assert result.estimate == value(result, "indirect")


@pytest.mark.parametrize("which", ["robust", "linear"])
def test_both_ways_add_up_to_the_total(which, request):
    result = request.getfixturevalue(which)
    parts = result.decomposition()
    total = value(parts, "total")
    assert value(parts, "natural_direct") + value(parts, "natural_indirect") == pytest.approx(total, abs=1e-10)
    assert value(parts, "total_direct") + value(parts, "pure_indirect") == pytest.approx(total, abs=1e-10)
    assert value(result, "direct") + value(result, "indirect") == pytest.approx(total, abs=1e-10)
    halves = 0.5 * (value(parts, "natural_indirect") + value(parts, "pure_indirect"))
    assert value(result, "indirect") == pytest.approx(halves, abs=1e-10)


def test_product_is_the_product_and_the_difference_of_coefficients(people):
    result = ck.Mediation(method="product").fit(people, **ROLES)
    south = (people["where"] == "south").astype(float)
    total = ols(people["y"], people["arm"], people["x"], south)
    full = ols(people["y"], people["arm"], people["m"], people["x"], south)
    path = ols(people["m"], people["arm"], people["x"], south)
    assert value(result, "indirect") == pytest.approx(path.params[1] * full.params[2], rel=1e-10)
    assert value(result, "indirect") == pytest.approx(total.params[1] - full.params[1], rel=1e-10)
    assert value(result, "direct") == pytest.approx(full.params[1], rel=1e-10)
    assert value(result, "total") == pytest.approx(total.params[1], rel=1e-10)
    assert "interaction" not in result.decomposition().effects.terms
    # Independent equations: the delta method with White's errors of each coefficient (their scores are orthogonal).
    a, b = path.params[1], full.params[2]
    scores = [f.resid[:, None] * f.model.exog @ np.linalg.inv(f.model.exog.T @ f.model.exog) for f in (path, full)]
    psi = b * scores[0][:, 1] + a * scores[1][:, 2]
    assert result.with_vcov("HC0").se == pytest.approx(np.sqrt(psi @ psi), rel=1e-10)


def test_linear_is_the_closed_form_with_interaction(people, linear):
    south = (people["where"] == "south").astype(float)
    full = ols(people["y"], people["arm"], people["m"], people["arm"] * people["m"], people["x"], south)
    path = ols(people["m"], people["arm"], people["x"], south)
    _, b1, b2, b3, *_ = full.params
    a0, a1, *rest = path.params
    at_zero = a0 + rest[0] * people["x"].mean() + rest[1] * south.mean()
    parts = linear.decomposition()
    assert value(parts, "natural_direct") == pytest.approx(b1 + b3 * at_zero, rel=1e-10)
    assert value(parts, "natural_indirect") == pytest.approx(a1 * (b2 + b3), rel=1e-10)
    assert value(parts, "pure_indirect") == pytest.approx(a1 * b2, rel=1e-10)
    assert linear.controlled_direct(2.0).estimate == pytest.approx(b1 + 2 * b3, rel=1e-10)


def test_linear_errors_are_those_of_the_jackknife():
    small = simulate(120, seed=8)
    fit = ck.Mediation(method="linear")
    roles = {**ROLES, "covariates": "x"}
    result = fit.fit(small, **roles)
    drop = [fit.fit(small.drop(index=i), **roles).decomposition().effects.values for i in range(len(small))]
    spread = np.std(drop, axis=0) * np.sqrt(len(small) - 1)
    np.testing.assert_allclose(result.decomposition().effects.se, spread, rtol=0.08)


def test_a_step_and_a_variance_commute(robust, linear):
    for result in (robust, linear):
        parts = result.with_vcov("HC0").decomposition()
        assert np.all(parts.effects.se < result.decomposition().effects.se)
        again = parts.refit()
        np.testing.assert_allclose(again.effects.se, parts.effects.se, rtol=1e-12)
        assert result.with_vcov("CR1", cluster=np.arange(result.n) // 3).proportion_mediated().se > 0


def test_discrete_mediators_go_by_their_probabilities(people):
    table = people.assign(m=np.clip(np.round(people["m"]), -1, 2))
    result = ROBUST.fit(table, **ROLES)
    assert result.pathway.levels == 4
    many = ROBUST.fit(table.assign(m=table["m"] + 1e-6 * np.random.default_rng(0).normal(size=len(table))), **ROLES)
    assert many.pathway.levels is None
    np.testing.assert_allclose(result.effects.values, many.effects.values, atol=0.5 * result.effects.se.max())


@pytest.mark.parametrize(
    ("wrong", "discrete"),
    # With discrete mediators the classifier models both the treatment and the mediators: then two models would be wrong.
    [({"regressor": "mean"}, False), ({"regressor": "mean"}, True), ({"classifier": "mean"}, False)],
)
def test_one_wrong_model_does_no_harm(wrong, discrete):
    rng = np.random.default_rng(5)
    table = simulate(12_000, seed=11)
    if discrete:
        chance = 1 / (1 + np.exp(-(0.8 * table["arm"] + 0.5 * table["x"] - 0.3)))
        table["m"] = (rng.random(len(table)) < chance).astype(int)
        table["y"] = 0.7 * table["arm"] + 1.2 * table["m"] + 0.3 * table["x"] + rng.normal(size=len(table))
        logit = lambda arm: 1 / (1 + np.exp(-(0.8 * arm + 0.5 * table["x"] - 0.3)))  # noqa: E731
        truth = 1.2 * float((logit(1) - logit(0)).mean())
    else:
        truth = 0.8 * (1.2 + 0.25)
    settings = {"regressor": "linear", "classifier": "linear", "n_folds": 2, **wrong}
    result = ck.Mediation(random_state=1, **settings).fit(table, **{**ROLES, "covariates": "x"})
    assert abs(result.estimate - truth) < 4 * result.se


def test_several_and_categorical_mediators():
    rng = np.random.default_rng(2)
    n = 3000
    arm = rng.integers(0, 2, n)
    one = arm + rng.normal(size=n)
    kind = np.where(rng.random(n) < 0.2 + 0.5 * arm, "yes", "no")
    y = 0.5 * arm + one + 2.0 * (kind == "yes") + rng.normal(size=n)
    table = pd.DataFrame({"y": y, "arm": arm, "one": one, "kind": kind})
    roles = {"outcome": "y", "treatment": "arm", "mediator": ["one", "kind"]}
    for result in (ck.Mediation(method="product").fit(table, **roles), ROBUST.fit(table, **roles)):
        assert abs(result.estimate - 2.0) < 4 * result.se
        assert abs(value(result, "direct") - 0.5) < 4 * result.effects.se[1]
        assert "one, kind" in result.answer
    linear = ck.Mediation(method="linear").fit(table, **roles)
    assert abs(linear.controlled_direct((0.0, "yes")).estimate - 0.5) < 0.3
    with pytest.raises(InferenceUnavailable, match="2 mediator columns"):
        linear.sensitivity()


def test_controlled_direct_effects_of_discrete_mediators(people):
    rng = np.random.default_rng(4)
    kind = np.where(rng.random(len(people)) < 0.3 + 0.4 * people["arm"], "late", "early")
    y = people["x"] + people["arm"] * np.where(kind == "late", 2.0, 0.5) + rng.normal(size=len(people))
    table = people.assign(y=y, m=kind)
    result = ROBUST.fit(table, **ROLES)
    for level, truth in (("late", 2.0), ("early", 0.5)):
        held = result.controlled_direct(level)
        assert abs(held.estimate - truth) < 4 * held.se
        assert held.refit().estimate == held.estimate
    with pytest.raises(DesignError, match="has no level 'never'"):
        result.controlled_direct("never")
    with pytest.raises(DesignError, match="2 values for 1 mediators"):
        result.controlled_direct(("late", 1.0))


def test_the_share_by_delta_and_fieller(robust):
    share = robust.proportion_mediated()
    assert share.estimate == pytest.approx(value(robust, "indirect") / value(robust, "total"), rel=1e-12)
    found = share.ci(method="fieller")
    for end in found.intervals[0]:
        assert share.test(null=end, method="fieller").pvalue == pytest.approx(0.05, abs=1e-8)
    low, high = share.ci()
    assert found.intervals[0] == pytest.approx((low, high), abs=0.2 * share.se)
    assert robust.proportion_mediated("natural_indirect").estimate > share.estimate
    with pytest.raises(DesignError, match="no indirect effect"):
        robust.proportion_mediated("direct")


def test_a_share_of_no_effect_is_unbounded():
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 2, 300)
    table = {"y": rng.normal(size=300), "arm": arm, "m": arm + rng.normal(size=300)}
    share = ck.Mediation(method="product").fit(table, outcome="y", treatment="arm", mediator="m").proportion_mediated()
    assert not share.ci(method="fieller").is_bounded


def test_sensitivity_is_theorem_two(people):
    result = ck.Mediation(method="product").fit(people, **{**ROLES, "covariates": "x"})
    found = result.sensitivity()
    first = ols(people["y"], people["arm"], people["x"])
    second = ols(people["m"], people["arm"], people["x"])
    tilde = np.corrcoef(first.resid, second.resid)[0, 1]
    assert found.critical_rho == pytest.approx(tilde, rel=1e-10)
    assert found.critical_r2 == pytest.approx(tilde**2, rel=1e-10)
    left = [1 - f.rsquared for f in (ols(people["y"], people["arm"], people["m"], people["x"]), second)]
    assert found.critical_r2_total == pytest.approx(tilde**2 * left[0] * left[1], rel=1e-10)
    ratio = np.std(first.resid) / np.std(second.resid)
    rho = np.array(found.effects.columns["rho"])
    wanted = second.params[1] * ratio * (tilde - rho * np.sqrt((1 - tilde**2) / (1 - rho**2)))
    np.testing.assert_allclose(found.effects.values, wanted, rtol=1e-10)
    at = list(rho).index(0.0)
    assert found.effects.values[at] == pytest.approx(result.estimate, rel=1e-12)
    assert found.effects.se[at] == pytest.approx(result.se, rel=1e-12)
    assert 0 < found.critical_rho_alpha < found.critical_rho
    found.plot_data("effects")
    assert "would have to explain" in found.summary()


def test_sensitivity_at_the_true_correlation_gives_the_truth():
    table = simulate(40_000, seed=9, rho=0.4)
    for method in ("linear", "product"):
        y = table["y"] if method == "linear" else table["y"] - 0.5 * table["arm"] * table["m"]
        result = ck.Mediation(method=method).fit(table.assign(y=y), **{**ROLES, "covariates": "x"})
        effects = result.sensitivity().effects
        at = list(effects.columns["rho"]).index(0.4)
        truth = 0.8 * (1.2 + (0.25 if method == "linear" else 0.0))
        assert abs(effects.values[at] - truth) < 4 * effects.se[at]
        assert result.estimate - truth > 10 * result.se


def test_sensitivity_errors_are_those_of_the_jackknife():
    small = simulate(120, seed=8)
    fit = ck.Mediation(method="product")
    roles = {**ROLES, "covariates": "x"}
    drop = [fit.fit(small.drop(index=i), **roles).sensitivity().effects.values for i in range(len(small))]
    spread = np.std(drop, axis=0) * np.sqrt(len(small) - 1)
    np.testing.assert_allclose(fit.fit(small, **roles).sensitivity().effects.se, spread, rtol=0.08)


def test_a_weak_path_holds_zero_at_once():
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 2, 300)
    table = {"y": arm + rng.normal(size=300), "arm": arm, "m": rng.normal(size=300)}
    found = ck.Mediation(method="product").fit(table, outcome="y", treatment="arm", mediator="m").sensitivity()
    assert found.critical_rho_alpha == 0.0
    assert "without any confounding" in found.answer


def test_what_can_not_be_done_is_said(people, robust):
    with pytest.raises(InferenceUnavailable, match="linear equations"):
        robust.sensitivity()
    with pytest.raises(DesignError, match="has 3 arms"):
        ROBUST.fit(people.assign(arm=np.arange(len(people)) % 3), **ROLES, control=0)
    with pytest.raises(DesignError, match="'m' has one value"):
        ck.Mediation(method="linear").fit(people.assign(m=1.0), **ROLES)
    with pytest.raises(DesignError, match="'m' has one value"):
        ROBUST.fit(people.assign(m=1.0), **ROLES)
    gaps = people.assign(x=people["x"].where(people.index != 3))
    with pytest.raises(DataError, match=r"'x' has 1 missing values \(first in row 3\)"):
        ck.Mediation(method="linear").fit(gaps, **ROLES)
    assert ck.Mediation(method="linear").fit(gaps, **ROLES, missing="drop").n == len(people) - 1
    with pytest.raises(DesignError, match="can't be told apart"):
        ck.Mediation(method="linear").fit(people.assign(m=2.0 * people["x"]), **ROLES)


def test_ledger_pickle_and_words(robust, linear):
    assert robust.checks["sequential_ignorability"].status == "untestable"
    assert robust.checks["mediator_overlap"].status == "pass"
    assert linear.checks["interaction"].pvalue < 0.05
    again = pickle.loads(pickle.dumps(robust))
    assert again.estimate == robust.estimate
    assert again.decomposition().effects.values == pytest.approx(robust.decomposition().effects.values)
    assert "goes through m" in robust.answer
    assert len(robust.passages()) == 3


def test_mediators_that_part_the_arms_are_seen():
    rng = np.random.default_rng(0)
    arm = rng.integers(0, 2, 600)
    table = {"y": rng.normal(size=600), "arm": arm, "m": 5.0 * arm + rng.normal(size=600)}
    found = ROBUST.fit(table, outcome="y", treatment="arm", mediator="m")
    assert found.checks["mediator_overlap"].status == "fail"


def test_clusters_and_binary_outcomes(people):
    table = people.assign(y=(people["y"] > people["y"].median()).astype(int))
    result = ck.Mediation(random_state=0, n_folds=2).fit(table, **ROLES, cluster="town")
    assert result.effects.numbers.carrier.kind == "CR1"
    assert result.effects.df[0] == 49
    assert 0 < result.estimate < 1
    assert result.pathway.nested.min() >= 0
    assert result.pathway.nested.max() <= 1


@pytest.mark.parametrize("kind", [ck.Mediation, ck.FrontDoor])
def test_a_mediator_that_is_the_treatment_or_a_covariate_is_refused(people, kind):
    learner = kind(regressor="linear", classifier="linear", random_state=0)
    with pytest.raises(DesignError, match="the treatment by another name"):
        learner.fit(people.assign(m=2.0 * people["arm"] + 0.1 * people["x"].clip(-1, 1)), **ROLES)
    with pytest.raises(DesignError, match="the treatment by another name"):
        learner.fit(people.assign(m=people["arm"].map({0: "a", 1: "b"})), **ROLES)
    either_side = np.where(people["arm"] == 1, 9.0 * np.sign(people["m"] - people["m"].median()), 0.1 * people["x"])
    both = people.assign(around=either_side, m=people["arm"].map({0: "a", 1: "b"}))
    with pytest.raises(DesignError, match=r"mediator 'm'.* the treatment by another name"):
        learner.fit(both, **{**ROLES, "mediator": ["around", "m"]})
    for found in (learner, ck.Mediation(method="linear")):
        with pytest.raises(DesignError, match="'m' is both mediator and covariate"):
            found.fit(people, **{**ROLES, "covariates": ["x", "m"]})


def test_values_of_a_mediator_that_one_arm_never_has_are_seen(people):
    """A linear classifier does not notice that the mediator of the controls is always zero; the ledger does."""
    found = ROBUST.fit(people.assign(m=people["m"].where(people["arm"] == 1, 0.0)), **ROLES)
    check = found.checks["mediator_overlap"]
    assert check.status == "fail"
    assert "100.0% of the rows with arm=1 have values of m that no row with arm=0 comes near" in check.message
