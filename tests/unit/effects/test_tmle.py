from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import ConvergenceError, DesignError

LINEAR = ck.AIPW(method="tmle", regressor="linear", classifier="linear", random_state=0)


@pytest.fixture(scope="module")
def targeted(trial, roles):
    return LINEAR.fit(trial, **roles, cluster="village")


@pytest.mark.parametrize("method", ["tmle", "tmle_linear"])
@pytest.mark.parametrize("binary", [False, True])
def test_the_estimate_is_the_plug_in_of_targeted_models(trial, roles, method, binary):
    table = trial.assign(y=(trial["y"] > 1).astype(int)) if binary else trial
    found = LINEAR.replace(method=method).fit(table, **roles, weights="w")
    w = table["w"] / table["w"].sum()
    mu = found.nuisances.mu
    assert float(w @ (mu[:, 1] - mu[:, 0])) == pytest.approx(found.estimate, abs=1e-10)
    assert found.effects.numbers.carrier.psi.sum() == pytest.approx(0.0, abs=1e-10)


def test_bounds_hold_where_aipw_leaves_them():
    """One rare success with a small propensity weighs more than all other rows together."""
    n = 200
    x = np.linspace(-1, 1, n)
    e = np.where(np.arange(n) < 6, 0.02, 0.5)
    arm = np.where(np.arange(n) < 6, np.arange(n) < 2, np.arange(n) % 2 == 0).astype(int)
    y = (arm == 1) * ((np.arange(n) < 2) | (np.arange(n) % 3 == 0)) + (arm == 0) * (np.arange(n) % 5 == 1)
    table = {"y": y.astype(float), "arm": arm, "x": x, "e": e}
    roles = {"outcome": "y", "treatment": "arm", "propensity": "e"}
    plain = ck.AIPW(regressor="mean", n_folds=2, random_state=0).fit(table, **roles)
    bounded = ck.AIPW(method="tmle", regressor="mean", n_folds=2, random_state=0).fit(table, **roles)
    assert np.all((bounded.nuisances.mu > 0) & (bounded.nuisances.mu < 1))
    assert 0 < bounded.average_outcomes().effects.values[1] < 1
    assert plain.estimate != pytest.approx(bounded.estimate, abs=1e-3)


def test_targets(targeted, trial, roles):
    plain = ck.AIPW(regressor="linear", classifier="linear", random_state=0).fit(trial, **roles, cluster="village")
    for target in ("all", "treated", "control"):
        one, two = targeted.ate(target), plain.ate(target)
        assert abs(one.estimate - two.estimate) < 0.5 * two.se
        assert one.se == pytest.approx(two.se, rel=0.1)
    with pytest.raises(DesignError, match="overlap-weighted"):
        targeted.ate("overlap")
    assert targeted.ate("all").estimate == pytest.approx(targeted.estimate, rel=1e-10)


def test_projections_rest_on_targeted_scores(targeted):
    groups = targeted.gate("group").effects
    assert len(groups) == 3
    assert targeted.scores.mean() == pytest.approx(targeted.estimate, rel=1e-10)


def test_an_arm_at_the_end_of_the_range_is_refused():
    arm = np.arange(100) % 2
    table = {"y": np.where(arm == 1, 1.0, np.arange(100) % 4 == 0), "arm": arm}
    with pytest.raises(ConvergenceError, match="same end of the range"):
        ck.AIPW(method="tmle", random_state=0).fit(table, outcome="y", treatment="arm", propensity=0.5)


def test_a_constant_outcome_has_no_effect():
    table = {"y": np.ones(40), "arm": np.arange(40) % 2}
    found = ck.AIPW(method="tmle", random_state=0).fit(table, outcome="y", treatment="arm", propensity=0.5)
    assert found.estimate == 0.0
