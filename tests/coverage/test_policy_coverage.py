"""The value of a policy tree covers its truth, and few people are called sleeping dogs who are none.

The short versions run with the tests; ``-m long`` runs those whose numbers docs/coverage.md keeps.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck


def _draw(n, seed, kind):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 5))
    arm = rng.integers(0, 2, n)
    effect = {
        "none": np.zeros(n),
        "same": np.full(n, 0.15),
        "weak": 0.2 * np.sign(x[:, 0]),
        "strong": np.where((x[:, 0] > 0) & (x[:, 1] > -0.3), 1.0, -0.5),
    }[kind]
    data = {"y": arm * effect + rng.normal(size=n), "arm": arm, **{f"x{j}": x[:, j] for j in range(5)}}
    return data, effect


def _coverage(kind, runs, n=600):
    """Shares of runs in which the interval holds the final rule's true gain, and in which the rule is declared a gain."""
    covered, declared = 0, 0
    people, effect = _draw(20_000, 999, kind)
    for seed in range(runs):
        data, _ = _draw(n, seed, kind)
        tool = ck.PolicyTree(random_state=seed, regressor="mean", classifier="mean", n_cuts=100)
        names = [f"x{j}" for j in range(5)]
        found = tool.fit(data, outcome="y", treatment="arm", covariates=names, propensity=0.5)
        truth = float(np.mean(found.assign(people) * effect))
        low, high = found.ci()
        covered += low <= truth <= high
        declared += found.checks["policy_gain"].status == "pass"
    return covered / runs, declared / runs


@pytest.mark.parametrize("kind", ["none", "strong"])
def test_value_of_a_rule(kind):
    covered, declared = _coverage(kind, 15)
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 15)
    assert declared <= 0.2 if kind == "none" else declared >= 0.8


@pytest.mark.long
@pytest.mark.parametrize("kind", ["none", "same", "weak", "strong"])
def test_value_of_a_rule_long(kind):
    covered, declared = _coverage(kind, 500, n=1000)
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 500)
    if kind in ("none", "same"):  # no rule beats the better of treating all and treating none
        assert declared <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


def _false_sleeping_dogs(runs, n, effect, heterogeneity):
    """Mean share of those labelled sleeping dogs whom the treatment does not harm (zero where nobody is labelled)."""
    shares = []
    for seed in range(runs):
        data = ck.datasets.coupon_campaign(n, effect=effect, heterogeneity=heterogeneity, random_state=5000 + seed)
        learner = ck.DRLearner(random_state=seed, regressor="linear", classifier="linear", n_boot=20)
        roles = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "propensity": 0.5}
        model = learner.fit(data, covariates=["recency", "loyalty", "channel"], **roles)
        dogs = ck.Segmentation(random_state=0).fit(data, effect=model).segments == "sleeping_dog"
        shares.append(np.mean(data["true_effect"].to_numpy()[dogs] >= 0) if dogs.any() else 0.0)
    return float(np.mean(shares))


@pytest.mark.parametrize(("effect", "heterogeneity"), [(0.0, 0.0), (0.1, 2.0)])
def test_few_false_sleeping_dogs(effect, heterogeneity):
    assert _false_sleeping_dogs(4, 1000, effect, heterogeneity) <= 0.3


@pytest.mark.long
@pytest.mark.parametrize(("effect", "heterogeneity"), [(0.0, 0.0), (0.12, 0.0), (0.08, 1.5), (0.1, 2.0)])
def test_few_false_sleeping_dogs_long(effect, heterogeneity):
    assert _false_sleeping_dogs(500, 1000, effect, heterogeneity) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)
