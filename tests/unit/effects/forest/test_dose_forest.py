from __future__ import annotations

import pickle

import numpy as np
import pytest

from causalkit.effects.causal_forest import CausalForest
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "treatment": "d", "covariates": ["x0", "x1", "x2"]}
QUICK = CausalForest(n_trees=200, regressor="linear", random_state=0)


def trial(n=1200, seed=0):
    """The dose varies most where the effect is large, so that the average is not the slope of the linear model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    dose = x[:, 0] + (1 + (x[:, 1] > 0)) * rng.normal(size=n)
    tau = 1.0 + (x[:, 1] > 0)
    table = {"y": x[:, 0] + dose * tau + rng.normal(size=n), "d": dose}
    return table | {f"x{j}": x[:, j] for j in range(3)}, tau


@pytest.fixture(scope="module")
def fit():
    table, tau = trial()
    return QUICK.fit(table, **ROLES), table, tau


def test_the_average_partial_effect_and_the_linear_slope(fit):
    model, _, tau = fit
    assert model.estimate == pytest.approx(tau.mean(), abs=3 * model.se)
    overlap = model.ate("overlap")
    assert overlap.estimate == pytest.approx(1.8, abs=0.12)  # (1 + 4 * 2) / 5: weighted by the variance of the dose
    assert model.ate().estimate == pytest.approx(model.estimate)
    assert model.ate().se == pytest.approx(model.se)
    assert model.scores.mean() == pytest.approx(model.estimate)
    with pytest.raises(DesignError, match="treated"):
        model.ate("treated")


def test_effects_person_by_person(fit):
    model, table, tau = fit
    assert np.corrcoef(model.cate(), tau)[0, 1] > 0.9
    low, high = model.cate_ci()
    assert np.mean((low <= tau) & (tau <= high)) > 0.8
    assert np.array_equal(model.cate(table), model.cate())
    people = {name: table[name][:5] for name in ROLES["covariates"]}
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.cate(people), model.cate(people))


def test_units_of_dose_and_outcome(fit):
    model, table, _ = fit
    moved = QUICK.fit({**table, "d": 1000.0 * table["d"], "y": 10.0 * table["y"] + 5}, **ROLES)
    assert 100 * moved.estimate == pytest.approx(model.estimate, rel=1e-6)
    assert 100 * moved.cate() == pytest.approx(model.cate(), rel=1e-6)
    assert moved.estimand == "average effect of one more unit of d on y"


def test_refits_and_refusals(fit):
    model, table, _ = fit
    assert model.refit(table).estimate == model.estimate
    with pytest.raises(DesignError, match="propensity"):
        QUICK.fit(table, **ROLES, propensity=0.5)
    thin = {**table, "d": table["x0"] + 0.05 * (table["d"] - table["x0"])}
    assert model.checks["overlap"].status == "pass"
    assert QUICK.fit(thin, **ROLES).checks["overlap"].status in ("warn", "fail")


def test_averages_cover():
    """Twenty draws: the average partial effect lies in its interval."""
    quick = CausalForest(n_trees=100, regressor="linear", n_folds=2, random_state=0)
    inside = 0
    for seed in range(20):
        table, _ = trial(n=500, seed=seed)
        low, high = quick.fit(table, **ROLES).ci()
        inside += low <= 1.5 <= high
    assert inside >= 16
