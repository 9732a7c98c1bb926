"""The tests of AUTOC and Qini under no heterogeneity: held-out rows, and a model on its own training table."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.uplift.folds import by_fold
from causalkit.uplift.ranking import rank_weighted_effect

COVARIATES = ["recency", "loyalty", "channel"]
ROLES = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon"}


def _quick(runs: int, n: int = 600, n_folds: int = 5) -> dict[str, float]:
    """Share of rejections at 5 %, one-sided, of rankings by least squares on noise."""
    counts = dict.fromkeys(["held_out autoc", "held_out qini", "by_fold autoc", "by_fold qini"], 0)
    for seed in range(runs):
        rng = np.random.default_rng([7, seed])
        x = np.column_stack([np.ones(n), rng.normal(size=(n, 4))])
        scores = 0.3 + 2.0 * rng.standard_t(6, size=n)
        folds = rng.permutation(np.arange(n) % n_folds).astype(np.int32)
        priority = np.empty(n)
        for k in range(n_folds):
            priority[folds == k] = x[folds == k] @ np.linalg.lstsq(x[folds != k], scores[folds != k])[0]
        train = folds < 2
        ranked = x[~train] @ np.linalg.lstsq(x[train], scores[train])[0]
        for method in ("autoc", "qini"):
            fixed = rank_weighted_effect(scores[~train], ranked, method)
            counts[f"held_out {method}"] += fixed.estimate > 1.645 * fixed.se
            counts[f"by_fold {method}"] += by_fold(scores, priority, folds, method).pvalue < 0.05
    return {name: count / runs for name, count in counts.items()}


def test_rejections_of_a_null_ranking() -> None:
    rates = _quick(600)
    assert max(rates.values()) <= 0.07, rates
    assert min(rates["held_out autoc"], rates["held_out qini"]) >= 0.02, rates


def rejections(runs: int, n: int = 1000, propensity: float | None = 0.5) -> dict[str, float]:
    """The same of the public tools: a learner of effects, evaluated on its own table and on new rows."""
    counts = dict.fromkeys(["held_out autoc", "held_out qini", "by_fold autoc", "by_fold qini"], 0)
    for seed in range(runs):
        data, new = (
            ck.datasets.coupon_campaign(n, effect=0.1, heterogeneity=0.0, random_state=2 * seed + part + 10_000)
            for part in (0, 1)
        )
        given = {**ROLES, "covariates": COVARIATES, "propensity": propensity}
        learner = ck.DRLearner(random_state=seed, regressor="linear", classifier="linear", n_boot=10)
        model = learner.fit(data, **given)
        for name, table in (("by_fold", data), ("held_out", new)):
            found = ck.UpliftEvaluation(random_state=seed).fit(table, effect=model)
            for at, method in enumerate(("autoc", "qini")):
                counts[f"{name} {method}"] += found.effects.values[at] > 1.645 * found.effects.se[at]
    return {name: count / runs for name, count in counts.items()}


@pytest.mark.long
def test_rejections_of_the_public_tools() -> None:
    rates = rejections(500)
    assert max(rates.values()) <= 0.07, rates
