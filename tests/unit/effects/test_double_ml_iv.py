from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.effects.double_ml_iv_scores import ScoreForm, at_least_half, lower_median
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.testing import checks_for
from causalkit.testing.table import table

LINEAR = ck.DoubleML(regressor="linear", classifier="linear", random_state=0)
ROLES = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"], "instruments": ["z"]}
ARMS = {"outcome": "spend", "treatment": "used", "covariates": ["a", "b"], "instruments": "offered"}


def simulate(n=1500, seed=4, strength=0.6):
    """A dose and an arm that share an unmeasured cause with their outcomes; the effect of both is one."""
    rng = np.random.default_rng(seed)
    a, b, common = rng.normal(size=(3, n))
    z, z2 = a + rng.normal(size=n), rng.normal(size=n)
    d = strength * (z + 0.5 * z2) + b + common + rng.normal(size=n)
    kind = rng.random(n)
    offered = (rng.random(n) < 1 / (1 + np.exp(-a))).astype(int)
    used = np.where(kind < 0.15, 1, np.where(kind < 0.5, 0, offered))
    rich = np.where(kind < 0.15, 2.0, np.where(kind < 0.5, -1.0, 0.0))  # always takers spend more, never takers less
    return pd.DataFrame(
        {
            "y": d + a + common + rng.normal(size=n),
            "d": d,
            "z": z,
            "z2": z2,
            "a": a,
            "b": b,
            "offered": offered,
            "used": used,
            "spend": used * (1 + 0.5 * b) + a + rich + rng.normal(size=n),
            "only_offered": np.where(kind < 0.5, 0, offered),
            "region": rng.integers(0, 3, n),
            "row": rng.integers(0, 30, n),
            "column": rng.integers(0, 25, n),
            "w": rng.integers(1, 4, n),
        }
    )


@pytest.fixture(scope="module")
def data():
    return simulate()


@pytest.fixture(scope="module")
def dose(data):
    return LINEAR.fit(data, **ROLES)


@pytest.fixture(scope="module")
def late(data):
    return LINEAR.fit(data, **ARMS)


def test_the_effect_of_a_dose_that_shares_a_cause_with_the_outcome(data, dose):
    assert abs(dose.estimate - 1.0) < 3 * dose.se
    assert LINEAR.fit(data, **{**ROLES, "instruments": ()}).estimate > 1.3  # what adjusting alone would say
    assert dose.estimand == "effect of one more unit of d on y through z, covariates held fixed (partially linear)"
    assert dose.first_stage.terms == ("z",)
    assert abs(dose.first_stage.values[0] - 0.6) < 4 * dose.first_stage.se[0]


def test_the_effect_on_compliers(data, late):
    assert abs(late.estimate - 1.0) < 3 * late.se
    assert late.estimand == "average effect of used=1 minus used=0 on spend among compliers with offered"
    np.testing.assert_allclose(late.compliers.values, [0.5, 0.15, 0.35], atol=0.05)
    assert late.compliers.values.sum() == pytest.approx(1.0, abs=1e-12)
    explicit = LINEAR.replace(method="iivm").fit(data, **ARMS)
    assert explicit.estimate == late.estimate
    assert abs(late.estimate - LINEAR.fit(data, **{**ARMS, "instruments": ()}).estimate) > 0.3


def test_without_covariates_it_is_walds_ratio(data):
    """A known propensity equal to the share, and no covariates: the ratio of differences in means."""
    bare = {**ARMS, "covariates": ()}
    share = data["offered"].mean()
    found = ck.DoubleML(regressor="mean", classifier="mean", random_state=0).fit(data, **bare, propensity=share)
    means = data.groupby("offered")[["spend", "used"]].mean().diff().iloc[1]
    assert found.estimate == pytest.approx(means["spend"] / means["used"], rel=2e-3)
    assert found.checks["overlap"].status == "pass"


def test_a_strong_set_is_close_to_wald(dose, late):
    for result in (dose, late):
        region = result.ci(method="ar")
        assert region.is_interval
        np.testing.assert_allclose(region.intervals[0], result.ci(), atol=0.35 * result.se)
        for end in region.intervals[0]:
            assert result.test(end, method="ar").pvalue == pytest.approx(0.05, abs=1e-9)
        assert result.estimate in region
        assert result.ci(method="wald") == result.ci()


def test_a_weak_instrument_is_told_and_its_set_is_unbounded():
    weak = LINEAR.fit(simulate(400, seed=8, strength=0.0), **ROLES)
    assert weak.checks["weak_instruments"].status == "warn"
    assert weak.checks["relevance"].status == "fail"
    assert 'ci(method="ar")' in weak.checks["weak_instruments"].advice
    assert not weak.ci(method="ar").is_bounded


def test_several_instruments(data, dose):
    both = LINEAR.fit(data, **{**ROLES, "instruments": ["z", "z2"]})
    assert abs(both.estimate - 1.0) < 3 * both.se
    assert both.se < dose.se
    assert both.checks["overidentification"].status == "pass"
    region = both.ci(method="ar")
    for end in region.intervals[0]:
        assert both.test(end, method="ar").pvalue == pytest.approx(0.05, abs=1e-9)
    assert both.test(1.0, method="ar").df == (2.0, 1499.0)
    with pytest.raises(InferenceUnavailable, match="can't disagree"):
        dose.overidentification_test()


def test_an_instrument_that_is_not_valid_disagrees(data):
    wrong = data.assign(y=data["y"] + 0.5 * data["z2"])
    found = LINEAR.fit(wrong, **{**ROLES, "instruments": ["z", "z2"]})
    assert found.checks["overidentification"].status == "warn"


def test_units(data, dose, late):
    moved = data.assign(y=1e6 * data["y"] + 1e8, d=data["d"] / 100, z=data["z"] * 1e4, spend=1e-3 * data["spend"])
    found = LINEAR.fit(moved, **ROLES)
    assert found.estimate == pytest.approx(1e8 * dose.estimate, rel=1e-8)
    assert found.se == pytest.approx(1e8 * dose.se, rel=1e-7)
    np.testing.assert_allclose(
        found.ci(method="ar").intervals, 1e8 * np.array(dose.ci(method="ar").intervals), rtol=1e-6
    )
    np.testing.assert_allclose(
        LINEAR.fit(moved, **ARMS).ci(method="ar").intervals, 1e-3 * np.array(late.ci(method="ar").intervals), rtol=1e-6
    )


def test_a_turned_instrument_says_the_same(data, late):
    turned = LINEAR.fit(data.assign(offered=1 - data["offered"]), **ARMS)
    assert turned.estimate == pytest.approx(late.estimate, rel=1e-9)
    np.testing.assert_allclose(turned.compliers.values, late.compliers.values, atol=1e-9)
    named = LINEAR.fit(data.assign(offered=np.where(data["offered"], "a letter", "nothing")), **ARMS)
    assert named.estimate == pytest.approx(late.estimate, rel=1e-9)
    known = LINEAR.fit(data, **ARMS, propensity=0.5)
    back = LINEAR.fit(data.assign(offered=1 - data["offered"], p=0.5), **ARMS, propensity="p")
    assert back.estimate == pytest.approx(known.estimate, rel=1e-9)


def test_clusters_and_weights(data):
    for roles in (ROLES, ARMS):
        one = LINEAR.fit(data, **roles, cluster="row")
        assert one.effects.df[0] == 29
        two = LINEAR.replace(n_folds=3).fit(data, **roles, cluster=["row", "column"])
        assert two.effects.df[0] == 24
        assert two.ci(method="ar").is_bounded
        weighted = LINEAR.fit(data, **roles, weights="w")
        assert weighted.estimate in ConfidenceSet((one.ci(alpha=0.01),))
        assert weighted.estimate != one.estimate


def test_another_variance_moves_the_set(data, late):
    clustered = late.with_vcov("CR1", cluster=data["row"].to_numpy())
    assert clustered.score_forms[0].df == 29
    assert clustered.ci(method="ar").intervals != late.ci(method="ar").intervals
    for end in clustered.ci(method="ar").intervals[0]:
        assert clustered.test(end, method="ar").pvalue == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("n_repeats", [2, 3])
def test_repeats_take_the_median(data, n_repeats):
    for roles in (ROLES, ARMS):
        single = [LINEAR.replace(random_state=seed).fit(data, **roles) for seed in range(n_repeats)]
        found = LINEAR.replace(n_repeats=n_repeats).fit(data, **roles)
        values, errors = np.array([r.estimate for r in single]), np.array([r.se for r in single])
        assert found.estimate == pytest.approx(np.median(values), rel=1e-12)
        wanted = np.sqrt(np.median(errors**2 + (values - found.estimate) ** 2))
        assert found.se == pytest.approx(wanted, rel=1e-10)
        statistic = lower_median([r.test(0.8, method="ar").statistic for r in single])
        assert found.test(0.8, method="ar").statistic == pytest.approx(statistic, rel=1e-10)
        for end in found.ci(method="ar").intervals[0]:
            assert found.test(end, method="ar").pvalue == pytest.approx(0.05, abs=1e-9)


def test_one_sided_designs(data):
    roles = {**ARMS, "treatment": "only_offered"}
    free = LINEAR.fit(data, **roles)
    said = LINEAR.replace(always_takers=False).fit(data, **roles)
    assert free.compliers.values[1] == said.compliers.values[1] == 0.0
    assert said.estimate == free.estimate
    assert (free.checks["monotonicity"].status, said.checks["monotonicity"].status) == ("untestable", "pass")
    assert "no always takers" in said.checks["monotonicity"].message
    with pytest.raises(DesignError, match=r"always_takers=False, but \d+ rows take the treatment") as refusal:
        LINEAR.replace(always_takers=False).fit(data, **ARMS)
    row = refusal.value.rows[0]
    assert (data["used"][row], data["offered"][row]) == (1, 0)
    assert not ((data["used"] == 1) & (data["offered"] == 0))[:row].any()
    with pytest.raises(DesignError, match=r"never_takers=False, but \d+ rows do not take"):
        LINEAR.replace(never_takers=False).fit(data, **roles)
    with pytest.raises(DesignError, match=r'always_takers=False belongs to method="iivm"'):
        LINEAR.replace(always_takers=False).fit(data, **ROLES)
    rare = data.assign(
        only_offered=np.where(data.index == data.index[data["offered"] == 0][0], 1, data["only_offered"])
    )
    assert np.isfinite(LINEAR.fit(rare, **roles).se)
    assert np.isfinite(ck.DoubleML(n_folds=2, random_state=0).fit(rare, **roles).se)


def test_what_auto_chooses(data):
    chosen = {
        "iivm": ARMS,
        "pliv": {**ARMS, "instruments": ["offered", "z"]},
        "a dose": {**ROLES, "instruments": "offered"},
        "a number": {**ARMS, "instruments": "z"},
        "categories": {**ARMS, "instruments": "region"},
    }
    table = data.assign(region=np.array(["n", "s", "w"])[data["region"]])
    found = {name: type(LINEAR.fit(table, **roles)).__name__ for name, roles in chosen.items()}
    assert found == {name: "ComplierEffect" if name == "iivm" else "InstrumentedEffect" for name in chosen}


REFUSALS = [
    ({"method": "pliv"}, {**ROLES, "instruments": ()}, "needs instruments="),
    ({"method": "iivm"}, {**ARMS, "instruments": ()}, "needs instruments="),
    ({"method": "plr"}, ROLES, 'does not go with method="plr"'),
    ({"method": "plr_iv"}, ROLES, "which has no instrument"),
    ({"method": "irm"}, ARMS, 'does not go with method="irm"'),
    ({"method": "iivm"}, {**ROLES, "instruments": "offered"}, "'d' holds a dose"),
    ({"method": "iivm"}, {**ARMS, "instruments": ["offered", "z"]}, "names 2 columns"),
    ({"method": "iivm"}, {**ARMS, "instruments": "region"}, "'region' has 3 values"),
    ({}, {**ROLES, "treatment": "region", "control": 0}, "identify the effect of two"),
    ({"method": "pliv"}, {**ROLES, "propensity": 0.5}, "upper level of a binary instrument"),
    ({"method": "pliv", "doses": [1.0]}, ROLES, 'belongs to method="dose_response"'),
    ({"method": "pliv"}, {**ROLES, "instruments": ["z", "same"]}, "are collinear"),
    ({"method": "pliv"}, {**ROLES, "instruments": ["z", "one"]}, "'one' does not vary"),
    ({"method": "iivm"}, {**ARMS, "instruments": "one"}, "'one' does not vary"),
    ({"method": "pliv"}, {**ROLES, "instruments": "a"}, "both covariates and instruments"),
]


@pytest.mark.parametrize(("changes", "roles", "told"), REFUSALS)
def test_refusals(data, changes, roles, told):
    with pytest.raises(DesignError, match=told) as refusal:
        LINEAR.replace(**changes).fit(data.assign(same=-2 * data["z"], one=1.0), **roles)
    assert refusal.value.hint


def test_an_instrument_that_covariates_determine(data):
    from sklearn.linear_model import LinearRegression

    with pytest.raises(DesignError, match="determine the instrument 'copy'"):
        LINEAR.replace(regressor=LinearRegression()).fit(
            data.assign(copy=2 * data["a"]), **{**ROLES, "instruments": "copy"}
        )
    little = data.assign(copy=data["a"] + 0.05 * data["z2"])
    assert LINEAR.fit(little, **{**ROLES, "instruments": "copy"}).checks["overlap"].status == "fail"


def test_unknown_methods_of_inference(dose):
    for ask in (dose.ci, dose.test):
        with pytest.raises(DesignError, match="'clr' is not an option"):
            ask(method="clr")
    with pytest.raises(DesignError, match="alpha"):
        dose.ci(1.5, "ar")


def test_what_is_shown(late, dose):
    shown = " ".join(passage.title for passage in late.passages())
    assert {"First stage", "However weak the instruments are", "Compliers"} <= {p.title for p in late.passages()}
    assert "compliers" in shown
    assert {"relevance", "weak_instruments", "exclusion", "monotonicity", "overlap"} <= set(late.checks)
    assert "monotonicity" not in dose.checks
    kept = pickle.loads(pickle.dumps(late))
    assert kept.ci(method="ar").intervals == late.ci(method="ar").intervals


def test_refutation_moves_instruments_with_the_treatment(data, late):
    from causalkit.refutation.assigned import dealing

    moved = next(dealing(late.estimator, late.sample).permuted(np.random.default_rng(0)))
    pairs = np.column_stack([moved.arms.codes, moved.features("instruments").values[:, 0]])
    before = np.column_stack([data["used"], data["offered"]])
    assert not np.array_equal(pairs, before)
    np.testing.assert_array_equal(
        np.bincount(2 * pairs[:, 0].astype(int) + pairs[:, 1].astype(int)), np.bincount(2 * before[:, 0] + before[:, 1])
    )


def test_sensitivity_is_that_of_instruments(late, dose):
    for result in (late, dose):
        found = ck.sensitivity(result)
        assert found.strength is None
        assert "Anderson-Rubin set" in set(found.to_frame()["measure"])


def test_level_sets_of_every_kind():
    """One instrument: the line where nothing is rejected, two rays where the first stage is not significant."""

    def form(outcome, treatment):
        return ScoreForm(np.array([outcome]), np.array([treatment]), np.eye(2)[:, :, None, None], math.inf)

    assert form(0.5, 0.5).level_set(4.0).is_real_line
    rays = form(3.0, 1.0).level_set(4.0)
    assert len(rays.intervals) == 2
    assert not rays.is_bounded
    assert form(0.0, 5.0).level_set(4.0).is_interval
    assert form(3.0, 1.0).critical_value(0.05) == pytest.approx(3.841458820694124)
    # Two instruments that contradict each other: nothing is left.
    cross = np.einsum("ab,ij->abij", np.eye(2), np.eye(2))
    assert ScoreForm(np.array([20.0, -20.0]), np.array([10.0, 10.0]), cross, math.inf).level_set(4.0).is_empty


def test_sets_of_repeats_are_joined_by_count():
    sets = [ConfidenceSet(((0.0, 2.0),)), ConfidenceSet(((1.0, 3.0),)), ConfidenceSet(((5.0, math.inf),))]
    assert at_least_half(sets).intervals == ((1.0, 2.0),)
    assert at_least_half(sets[:2]).intervals == ((0.0, 3.0),)
    assert at_least_half([ConfidenceSet(), ConfidenceSet.real_line(), ConfidenceSet.real_line()]).is_real_line
    assert lower_median([3.0, 1.0, 2.0, 4.0]) == 2.0


def test_coverage_with_a_strong_and_a_weak_instrument():
    """Wald's intervals hold with a strong instrument, Anderson and Rubin's with any; 4 standard errors of 80 draws."""
    fast = LINEAR.replace(n_folds=2)
    hits = {"strong": 0, "ar": 0, "late": 0}
    for seed in range(80):
        strong, weak = simulate(250, seed), simulate(250, seed, strength=0.08)
        low, high = fast.fit(strong, **ROLES).ci()
        hits["strong"] += low <= 1.0 <= high
        hits["ar"] += 1.0 in fast.fit(weak, **ROLES).ci(method="ar")
        hits["late"] += 1.0 in fast.fit(strong, **ARMS).ci(method="ar")
    assert all(count / 80 > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 80) for count in hits.values()), hits


def test_contract_of_a_binary_instrument():
    """The whole suite but ``several_arms``: one binary instrument can't tell three arms apart."""
    roles = {
        "outcome": "spend",
        "treatment": "arm",
        "control": "none",
        "covariates": ["age", "visits", "income", "segment"],
        "instruments": ["nudge"],
        "cluster": "store",
        "unit": "customer",
    }
    checks = dict(checks_for(LINEAR.replace(method="iivm", n_folds=2), table(), fast=True, **roles))
    del checks["several_arms"]
    for check in checks.values():
        check()


@pytest.mark.filterwarnings("ignore")  # importing econml warns of its own dependencies
@pytest.mark.parametrize("name", ["OrthoIV", "DMLIV", "LinearIntentToTreatDRIV"])
def test_effects_of_an_instrumental_model_of_econml(name):
    """What such a model says of people whom it has not seen ranks them, and tells whom to treat."""
    from econml.iv.dml import DMLIV, OrthoIV
    from econml.iv.dr import LinearIntentToTreatDRIV
    from sklearn.linear_model import LinearRegression, LogisticRegression

    people = simulate(2400, seed=11)
    people["spend"] += 1.5 * people["used"] * people["b"]  # so that b says who gains
    train, test = people[:1200], people[1200:].reset_index(drop=True)
    linear, logit = LinearRegression(), LogisticRegression()
    model = {
        "OrthoIV": lambda: OrthoIV(
            model_y_xw=linear,
            model_t_xw=logit,
            model_z_xw=logit,
            discrete_treatment=True,
            discrete_instrument=True,
            random_state=0,
        ),
        "DMLIV": lambda: DMLIV(
            model_y_xw=linear,
            model_t_xw=logit,
            model_t_xwz=logit,
            model_final=LinearRegression(),
            discrete_treatment=True,
            discrete_instrument=True,
            random_state=0,
        ),
        "LinearIntentToTreatDRIV": lambda: LinearIntentToTreatDRIV(
            model_y_xw=linear, model_t_xwz=logit, random_state=0
        ),
    }[name]()
    model.fit(train["spend"], train["used"], Z=train["offered"], X=train[["a", "b"]])
    effects = model.effect(test[["a", "b"]].to_numpy())
    # The offer was random given a, so that it is what the evaluation compares.
    roles = {"outcome": "spend", "treatment": "offered", "covariates": ["a", "b"]}
    by_effects = ck.UpliftEvaluation(random_state=0).fit(test, effect=effects, **roles)
    assert by_effects.effects.values[0] > 2 * by_effects.effects.se[0]
    by_model = ck.UpliftEvaluation(random_state=0).fit(test, effect=model, **roles)
    assert by_model.effects.values[0] == pytest.approx(by_effects.effects.values[0], rel=1e-9)
    plan = ck.Targeting(value=1.0, cost=0.2, budget=100.0, random_state=0).fit(test, effect=effects, **roles)
    assert plan.summary()
