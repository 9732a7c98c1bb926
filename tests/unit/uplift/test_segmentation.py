"""Segmentation: labels, their validation on held-out scores, and what is said where nothing can be told."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.result import Report
from causalkit.core.rows import Groups
from causalkit.effects.bagged import Spread
from causalkit.inference.vcov import sandwich
from causalkit.uplift.labels import SEGMENTS, claim_pvalues, label


@pytest.fixture(scope="module")
def strong():
    """Effects from -0.4 to 0.4 along x, baselines along z."""
    rng = np.random.default_rng(5)
    n = 3000
    x, z, arm = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.integers(0, 2, n)
    effect = np.where(x > 0.3, 0.4, np.where(x < -0.3, -0.4, 0.0))
    y = 2.0 * z + arm * effect + 0.3 * rng.normal(size=n)
    return {"y": y, "arm": arm, "x": x, "z": z, "kind": np.where(x > 0, "right", "left"), "truth": effect}


@pytest.fixture(scope="module")
def strong_model(strong):
    learner = ck.DRLearner(random_state=0, n_boot=20)
    return learner.fit(strong, outcome="y", treatment="arm", covariates=["x", "z", "kind"], propensity=0.5)


@pytest.fixture(scope="module")
def report(strong, strong_model):
    return ck.Segmentation(margin=0.2, tolerance=0.1, random_state=0).fit(strong, effect=strong_model)


def test_labels_are_those_of_the_claims(report, strong_model):
    p = strong_model.prediction()
    exact = label(claim_pvalues(p, 0.1, 0.2, report.cutoff), 0.05)
    gone = report.codes != exact.codes
    assert (report.segments[gone] == "undecided").all()
    assert gone.sum() == sum(report.withdrawn.values()) < 0.05 * len(gone)
    assert report.counts == {name: int(np.sum(report.segments == name)) for name in SEGMENTS}
    assert sum(report.counts.values()) == 3000


def test_all_kinds_are_found_and_few_labels_are_wrong(report, strong):
    truth, found = strong["truth"], report.segments
    assert all(report.counts[name] > 20 for name in ("persuadable", "sleeping_dog", "sure_thing", "lost_cause"))
    wrong = ((found == "persuadable") & (truth <= 0.1)) | ((found == "sleeping_dog") & (truth >= -0.1))
    wrong |= np.isin(found, ["sure_thing", "lost_cause"]) & (np.abs(truth) > 0.2)
    wrong |= (found == "sure_thing") & (2 * strong["z"] < report.cutoff)
    assert wrong.sum() <= 0.05 * (found != "undecided").sum()


def test_validation_is_the_mean_held_out_score(report, strong_model):
    table = report.validation.set_index("segment")
    inside = report.segments == "persuadable"
    scores = strong_model.scores
    assert table.loc["persuadable", "estimate"] == pytest.approx(scores[inside].mean(), rel=1e-12)
    n = len(scores)
    psi = inside * (scores - scores[inside].mean()) / inside.sum()
    assert table.loc["persuadable", "se"] == pytest.approx(np.sqrt(n / (n - 1) * np.sum(psi**2)), rel=1e-12)
    pointwise = report.effects.ci(0.05)
    at = report.effects.index("persuadable")
    assert table.loc["persuadable", "ci_low"] < pointwise[0][at]
    assert table.loc["persuadable", "ci_low"] > 0.1
    assert table.loc["sleeping_dog", "ci_high"] < -0.1
    assert table["share"].sum() == pytest.approx(1.0)
    assert report.checks["validation"].status == "pass"


def test_the_frame_has_one_row_per_person(report, strong, strong_model):
    frame = report.to_frame()
    assert list(frame) == ["row", "baseline", "effect", "effect_low", "effect_high", "segment", "pvalue"]
    np.testing.assert_array_equal(frame["row"], np.arange(3000))
    np.testing.assert_allclose(frame["effect"], strong_model.cate())
    np.testing.assert_allclose(frame["effect_low"], strong_model.cate_ci()[0])
    decided = frame["segment"] != "undecided"
    assert (frame.loc[decided, "pvalue"] <= 0.05).all()
    assert (frame.loc[~decided, "pvalue"] > 0.05).all()


def test_the_profile_tells_segments_apart(report, strong):
    profile = report.profile.set_index(["covariate", "segment"])
    inside = report.segments == "persuadable"
    assert profile.loc[("x", "persuadable"), "mean"] == pytest.approx(strong["x"][inside].mean())
    distance = (strong["x"][inside].mean() - strong["x"][~inside].mean()) / strong["x"].std()
    assert profile.loc[("x", "persuadable"), "standardised_difference"] == pytest.approx(distance)
    assert profile.loc[("kind[right]", "persuadable"), "mean"] == pytest.approx(
        np.mean(strong["kind"][inside] == "right")
    )


def test_the_order_of_rows_does_not_matter(strong, strong_model):
    order = np.random.default_rng(0).permutation(3000)
    shuffled = {name: column[order] for name, column in strong.items()}
    learner = ck.DRLearner(random_state=0, n_boot=20)
    model = learner.fit(shuffled, outcome="y", treatment="arm", covariates=["x", "z", "kind"], propensity=0.5)
    here = ck.Segmentation(margin=0.2, random_state=0).fit(strong, effect=strong_model)
    there = ck.Segmentation(margin=0.2, random_state=0).fit(shuffled, effect=model)
    np.testing.assert_array_equal(there.segments, here.segments[order])


def test_one_effect_for_all_is_said_in_words(campaign, roles):
    learner = ck.DRLearner(random_state=0, regressor="mean", classifier="mean", n_boot=10)
    flat = learner.fit(campaign, covariates=["recency"], **roles)
    report = ck.Segmentation(random_state=0).fit(campaign, effect=flat)
    assert any("all are placed alike" in line for line in report.passages()[0].text)
    assert report.counts["persuadable"] == len(campaign)  # the average effect is clear, and everybody has it
    assert report.checks["heterogeneity"].status == "warn"
    beyond = ck.Segmentation(tolerance=0.15, random_state=0).fit(campaign, effect=flat)
    assert beyond.counts["persuadable"] == beyond.counts["sleeping_dog"] == 0


def test_without_evidence_a_label_needs_the_average_effect(campaign, model):
    noise = np.random.default_rng(0).normal(size=model.ranking.shape)
    certain = Spread(model.out_of_fold.mean, 1e-4 * model.out_of_fold.covariance)
    bold = replace(model, ranking=noise, out_of_fold=certain)
    assert not ck.UpliftEvaluation(random_state=0).fit(campaign, effect=bold).has_evidence
    alone = label(claim_pvalues(bold.prediction(), 0.1, 0.1, 0.5), 0.05)
    assert (alone.codes == 0).mean() > 0.2  # a model this sure of itself names persuadables
    report = ck.Segmentation(tolerance=0.1, random_state=0).fit(campaign, effect=bold)
    assert report.counts["persuadable"] == 0  # the average effect is not shown to be above 0.1
    assert any("no evidence" in line for line in report.passages()[0].text)


def test_numbers_are_calibrated_first(fresh, roles):
    report = ck.Segmentation(random_state=0).fit(fresh, effect="recency", covariates=["loyalty"], **roles)
    frame = report.to_frame()
    # The least-squares line of scores on the numbers, pulled towards flat.
    evaluation = ck.UpliftEvaluation(random_state=0).fit(fresh, effect="recency", covariates=["loyalty"], **roles)
    scores = evaluation.sample.number("held_out_score")
    x = fresh["recency"].to_numpy() - fresh["recency"].mean()
    slope = (x @ scores) / (x @ x)
    psi = x * (scores - scores.mean() - slope * x) / (x @ x)
    t = slope / np.sqrt(psi @ psi)
    np.testing.assert_allclose(frame["effect"], scores.mean() + (1 - 1 / t**2) * slope * x, rtol=1e-9)
    assert report.counts["persuadable"] > 0


def test_clusters_enter_the_validation(strong):
    data = {**strong, "village": np.repeat(np.arange(100), 30)}
    learner = ck.DRLearner(random_state=0, regressor="linear", n_boot=10)
    model = learner.fit(data, outcome="y", treatment="arm", covariates=["x", "z"], propensity=0.5, cluster="village")
    report = ck.Segmentation(margin=0.2, random_state=0).fit(data, effect=model)
    name = report.effects.terms[0]
    inside = report.segments == name
    psi = inside * (model.scores - model.scores[inside].mean()) / inside.sum()
    codes = Groups(np.repeat(np.arange(100), 30).astype(np.int32), tuple(range(100))).codes
    exact = np.sqrt(100 / 99 * sandwich(psi[:, None], codes)[0, 0])
    assert report.effects.se[0] == pytest.approx(exact, rel=1e-10)


def test_the_house_contract(report, tmp_path):
    assert isinstance(report, Report)
    told = json.loads(report.to_json())
    assert told["counts"] == report.counts
    assert [row["segment"] for row in told["table"]] == list(SEGMENTS)
    back = pickle.loads(pickle.dumps(report))
    np.testing.assert_array_equal(back.segments, report.segments)
    text = report.report(tmp_path / "s.html").read_text()
    assert text.count('class="ck-figure"') == 2
    assert "persuadables" in report.summary()
    assert {p.section for p in report.passages()} == {"found", "certainty"}


def test_the_dictionary_says_how_it_was_done(report):
    told = report.to_dict()
    assert (told["alpha"], told["tolerance"], told["method"], told["margin"]) == (0.05, 0.1, "bh", 0.2)
    assert isinstance(told["random_state"], int)
    assert told["rules"][0].keys() >= {"who", "segment", "share_in_segment"}


def test_segments_in_words(report, strong):
    rules = report.rules
    assert rules["n"].sum() == 3000
    # The truth is a step in x; the rule must find it and name both ends.
    assert {"persuadable", "sleeping_dog"} <= set(rules["segment"])
    assert rules["who"].str.contains("x").all()
    ends = rules.set_index("segment")
    for name in ("persuadable", "sleeping_dog"):
        inside = report.segments == name
        row = ends.loc[[name]]
        assert row["share_of_segment"].sum() > 0.9
        assert (row["n"] * row["share_in_segment"]).sum() == pytest.approx(row["share_of_segment"].sum() * inside.sum())


def test_the_profile_is_drawn(report):
    data = report.plot_data("profile")
    at = data["names"].index("persuadables"), data["covariates"].index("x")
    inside = report.segments == "persuadable"
    x = report.profile.set_index(["covariate", "segment"]).loc[("x", "persuadable")]
    assert inside.any()
    assert data["difference"][at[0]][at[1]] == x["standardised_difference"]
    assert report.plots == ("segments", "profile")


def test_refusals_teach(strong, strong_model):
    with pytest.raises(ck.DesignError, match=r"margin=0\.1 is below tolerance=0\.2"):
        ck.Segmentation(margin=0.1, tolerance=0.2)
    with pytest.raises(ck.DesignError, match="tolerance"):
        ck.Segmentation(tolerance=-1)
    with pytest.raises(ck.DesignError, match="method"):
        ck.Segmentation(method="holm")
    with pytest.raises(ck.DesignError, match="effect= is missing"):
        ck.Segmentation(random_state=0).fit(strong)
    half = {name: column[:1500] for name, column in strong.items()}
    with pytest.raises(ck.DesignError, match="trained the model"):
        ck.Segmentation(random_state=0).fit(half, effect=strong_model)


def test_the_default_limits(strong_model, strong, model, campaign):
    dollars = ck.Segmentation(random_state=0).fit(strong, effect=strong_model)
    assert dollars.margin == pytest.approx(0.1 * strong["y"].std())
    assert dollars.cutoff == pytest.approx(strong_model.nuisances.scores[:, 0].mean())
    binary = ck.Segmentation(random_state=0).fit(campaign, effect=model)
    assert (binary.margin, binary.cutoff) == (0.05, 0.5)
    assert ck.Segmentation(tolerance=0.2, random_state=0).fit(campaign, effect=model).margin == 0.2


def test_equal_rows_do_not_fall_into_folds_by_the_order_of_the_table():
    """A 0/1 outcome and no covariates: rows differ in nothing but the effect that is judged."""
    rng = np.random.default_rng(6)
    n = 400
    arm, e = rng.integers(0, 2, n), rng.normal(size=n)
    data = {"y": (rng.random(n) < 0.2 + 0.5 * arm * (e > 0)).astype(int), "arm": arm, "e": e}
    roles = {"effect": "e", "outcome": "y", "treatment": "arm", "propensity": 0.5}
    order = rng.permutation(n)
    tool = ck.Segmentation(random_state=0)
    one, two = tool.fit(data, **roles).to_frame(), tool.fit({k: v[order] for k, v in data.items()}, **roles).to_frame()
    assert np.ptp(one["effect"]) > 0.1
    for column in ("effect", "effect_low", "baseline", "pvalue"):
        np.testing.assert_allclose(one[column].to_numpy()[order], two[column], rtol=1e-9, atol=1e-12)


def test_an_outcome_to_be_avoided_is_the_mirror_image():
    """Those whom the treatment keeps from leaving are persuadable, and whoever stays anyway is a sure thing."""
    rng = np.random.default_rng(7)
    n = 2000
    arm, kind = rng.integers(0, 2, n), rng.integers(0, 4, n)
    effect, base = np.array([0.5, -0.5, 0.0, 0.0])[kind], np.array([0.25, 0.75, 0.9, 0.05])[kind]
    stayed = (rng.random(n) < base + effect * arm).astype(int)
    data = {"stayed": stayed, "left": 1 - stayed, "arm": arm, "x": np.eye(4)[kind][:, 0], "z": np.eye(4)[kind][:, 1]}
    data["u"] = np.eye(4)[kind][:, 2]
    roles = {"treatment": "arm", "covariates": ["x", "z", "u"], "propensity": 0.5}
    model = ck.DRLearner(random_state=0, regressor="linear").fit(data, outcome="left", **roles)
    mirror = ck.DRLearner(random_state=0, regressor="linear").fit(data, outcome="stayed", **roles)
    margin = {"margin": 0.2, "random_state": 0}
    avoided = ck.Segmentation(value=-1.0, **margin).fit(data, effect=model)
    wanted = ck.Segmentation(**margin).fit(data, effect=mirror)
    assert np.mean(avoided.segments == wanted.segments) > 0.97  # folds are drawn in the order of the outcome
    for code, name in enumerate(("persuadable", "sleeping_dog", "sure_thing", "lost_cause")):
        assert np.mean(avoided.segments[kind == code] == name) > 0.9, name
    assert avoided.checks["validation"].status == "pass"
    assert "below zero" in avoided.passages()[1].text[0]
    assert "below or above" in avoided.passages()[1].text[0]
    upside_down = ck.Segmentation(**margin).fit(data, effect=model)
    assert upside_down.counts["persuadable"] == pytest.approx(avoided.counts["sleeping_dog"], rel=0.1)
    assert avoided.to_dict()["value"] == -1.0
    with pytest.raises(ck.DesignError, match="value=0"):
        ck.Segmentation(value=0.0)
