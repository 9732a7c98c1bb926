"""Intervals hold the truth as often as they say; binomial error of 3.3 standard deviations."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

RUNS = 60
ROLES = {"outcome": "y", "treatment": "arm", "mediator": "m", "covariates": "x"}


def draw(seed, n=400, hidden=0.0, past=0.7, product=0.5):
    rng = np.random.default_rng(seed)
    x, unseen = rng.normal(size=(2, n))
    arm = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x - hidden * unseen))).astype(int)
    m = 0.5 + 0.8 * arm + 0.5 * x + rng.normal(size=n)
    y = past * arm + 1.2 * m + product * arm * m + 0.3 * x + hidden * unseen + rng.normal(size=n)
    return {"y": y, "arm": arm, "m": m, "x": x}


def share_held(fit, truth, runs):
    held = 0
    for seed in range(runs):
        low, high = fit(seed)
        held += low <= truth <= high
    return held / runs


def require_nominal(share, runs, level=0.95):
    assert abs(share - level) < 3.3 * np.sqrt(level * (1 - level) / runs), share


@pytest.mark.parametrize(("term", "truth"), [("indirect", 0.8 * 1.45), ("direct", 0.7 + 0.5 * 0.9), ("total", 2.31)])
def test_linear(term, truth):
    estimator = ck.Mediation(method="linear")
    at = ("indirect", "direct", "total").index(term)
    require_nominal(
        share_held(lambda s: [e[at] for e in estimator.fit(draw(s), **ROLES).effects.ci()], truth, 4 * RUNS), 4 * RUNS
    )


def test_robust():
    estimator = ck.Mediation(n_folds=2, regressor="linear", classifier="linear", random_state=0)
    require_nominal(share_held(lambda s: estimator.fit(draw(s), **ROLES).ci(), 0.8 * 1.45, RUNS), RUNS)


def test_front_door():
    estimator = ck.FrontDoor(n_folds=2, regressor="linear", classifier="linear", random_state=0)
    table = lambda s: draw(s, hidden=1.0, past=0.0, product=0.0)  # noqa: E731
    require_nominal(share_held(lambda s: estimator.fit(table(s), **ROLES).ci(), 0.96, RUNS), RUNS)


def test_the_share_by_fieller():
    estimator = ck.Mediation(method="product")
    held = 0
    for seed in range(4 * RUNS):
        share = estimator.fit(draw(seed, n=150, product=0.0), **ROLES).proportion_mediated()
        held += 0.96 / 1.66 in share.ci(method="fieller")
    require_nominal(held / (4 * RUNS), 4 * RUNS)
