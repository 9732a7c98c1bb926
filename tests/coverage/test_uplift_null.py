"""Where the treatment does nothing, or the same to all: no ranking is praised, nobody is labelled, nobody is treated.

Each tool is run on fresh draws with a known answer. The short versions use a quick learner; run the long ones with
``-m long``. Bounds are the nominal level plus three binomial standard errors.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

ROLES = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "propensity": 0.5}
COVARIATES = ["recency", "loyalty", "channel"]


def _run(seed, *, effect, n, cost, **learner):
    data = ck.datasets.coupon_campaign(n, effect=effect, heterogeneity=0.0, random_state=seed)
    model = ck.DRLearner(random_state=seed, **learner).fit(data, covariates=COVARIATES, **ROLES)
    evaluation = ck.UpliftEvaluation().fit(data, effect=model)
    segments = ck.Segmentation().fit(data, effect=model)
    plan = ck.Targeting(value=10.0, cost=cost).fit(data, effect=model)
    placed = 1.0 - segments.counts["undecided"] / n
    return evaluation.has_evidence, placed, segments.counts["sleeping_dog"] / n, plan.policy


def _limit(level, runs):
    return level + 3 * np.sqrt(level * (1 - level) / runs)


def _null(runs, **learner):
    found = [_run(9000 + seed, effect=0.0, n=1000, cost=0.3, **learner) for seed in range(runs)]
    evidence, placed, _, policy = zip(*found, strict=True)
    assert np.mean(evidence) <= _limit(0.05, runs)
    # Labels are all false here, so the false discovery rate is the share of draws with any label.
    assert np.mean([share > 0 for share in placed]) <= _limit(0.05, runs)
    assert np.mean([name != "nobody" for name in policy]) <= _limit(0.05, runs)


def _same_for_all(runs, **learner):
    found = [_run(9500 + seed, effect=0.12, n=1000, cost=0.3, **learner) for seed in range(runs)]
    evidence, _, sleeping, policy = zip(*found, strict=True)
    assert np.mean(evidence) <= _limit(0.05, runs)
    assert np.mean([share > 0 for share in sleeping]) <= _limit(0.05, runs)
    assert np.mean([name == "everyone" for name in policy]) >= 0.7  # a clear effect is not thrown away


def test_no_effect():
    _null(15, regressor="linear", classifier="linear", n_boot=10)


def test_the_same_effect_for_all():
    _same_for_all(10, regressor="linear", classifier="linear", n_boot=10)


def test_labels_of_a_ranking_by_noise():
    """Numbers that have nothing to do with the effect make neither sleeping dogs nor plans by rank."""
    rng = np.random.default_rng(0)
    sleeping, ranked, runs = 0, 0, 60
    for seed in range(runs):
        n = 600
        arm = rng.integers(0, 2, n)
        data = {"y": rng.normal(size=n) + 0.3 * arm, "arm": arm, "noise": rng.normal(size=n)}
        given = {"outcome": "y", "treatment": "arm", "propensity": 0.5, "effect": "noise"}
        sleeping += ck.Segmentation(random_state=seed).fit(data, **given).counts["sleeping_dog"] > 0
        ranked += ck.Targeting(cost=0.1, random_state=seed).fit(data, **given).policy == "ranked"
    assert sleeping / runs <= _limit(0.05, runs)
    assert ranked / runs <= _limit(0.05, runs)


def test_the_interval_of_a_profit_covers():
    """The profit of a rule that was fixed beforehand lies in its interval as often as it should."""
    rng = np.random.default_rng(1)
    covered, runs = 0, 200
    for _ in range(runs):
        n = 500
        x, arm = rng.uniform(-1, 1, n), rng.integers(0, 2, n)
        data = {"y": rng.normal(size=n) + arm * x, "arm": arm, "x": x}
        plan = ck.Targeting(value=1.0, cost=0.0, random_state=0).fit(
            data, outcome="y", treatment="arm", propensity=0.5, effect="x"
        )
        low, high = plan.candidates[1].profit.ci()
        covered += low <= 0.0 <= high  # treating everyone earns nothing on average
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs) <= covered / runs <= 1.0


@pytest.mark.long
def test_no_effect_with_the_default_learner():
    _null(100)


@pytest.mark.long
def test_the_same_effect_for_all_with_the_default_learner():
    _same_for_all(60)
