"""Covariates in DCDH: what slopes do to estimates, their part in standard errors, and what can't be told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.did import dcdh_controls, dcdh_horizons

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "treatment": "level"}


def _panel(seed: int = 0, n: int = 60, periods: int = 5, starts=(2, 3, 99), bases=(0,), slope: float = 1.5):
    """Return units of some first levels, whose level rises by one in period ``starts`` (from 0) or never."""
    rng = np.random.default_rng(seed)
    start, base = rng.choice(starts, n), rng.choice(bases, n)
    level = base[:, None] + (np.arange(periods) >= start[:, None])
    x = rng.normal(size=(n, periods)).cumsum(axis=1) + 0.5 * level
    y = rng.normal(size=(n, 1)) + rng.normal(size=x.shape) + (1.0 + base[:, None]) * np.arange(periods) + level
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), periods),
            "time": np.tile(np.arange(periods), n),
            "level": level.ravel(),
            "x": x.ravel(),
            "z": rng.normal(size=x.size),
            "y": (y + slope * (1.0 + base[:, None]) * x).ravel(),
            "w": np.repeat(rng.uniform(0.5, 2.0, n), periods),
        }
    )


def _psi(result) -> np.ndarray:
    return np.asarray(result.effects.numbers.carrier.psi)


def test_slopes_are_those_of_a_regression_and_the_rest_is_dcdh():
    """By hand for one first level: regress on changes and periods among those who stay, then compare what is left."""
    data = _panel(1)
    first = data[data.level == 1].groupby("unit").time.min().reindex(data.unit).fillna(99).to_numpy()
    change = data.groupby("unit")[["x", "z", "y"]].diff()[(data.time > 0) & (data.time < first)]
    periods = pd.get_dummies(data.time[change.index]).to_numpy(float)
    slopes = np.linalg.lstsq(np.column_stack([change[["x", "z"]], periods]), change.y, rcond=None)[0][:2]
    by_hand = ck.DCDH().fit(data.assign(y=data.y - data[["x", "z"]].to_numpy() @ slopes), **ROLES)
    result = ck.DCDH().fit(data, covariates=["x", "z"], **ROLES)
    np.testing.assert_allclose(result.effects.values, by_hand.effects.values, atol=1e-12)
    assert (result.effects.se != by_hand.effects.se).all()


def test_what_covariates_explain_changes_nothing():
    """An outcome plus any multiple of a covariate, another for each first level, has the same effects and errors."""
    data = _panel(2, bases=(0, 3), n=120)
    base = data.groupby("unit")["level"].transform("first")
    before = ck.DCDH().fit(data, covariates=["x", "z"], **ROLES)
    after = ck.DCDH().fit(data.assign(y=data.y + (7 - 4 * base) * data.x - 2 * data.z), covariates=["x", "z"], **ROLES)
    np.testing.assert_allclose(after.effects.values, before.effects.values, atol=1e-11)
    np.testing.assert_allclose(after.effects.se, before.effects.se, rtol=1e-11)
    np.testing.assert_allclose(after.se, before.se, rtol=1e-11)


def test_standard_errors_are_derivatives(monkeypatch):
    """One first level and one first change: influence values are what a unit's weight does to the estimates.

    The factors for estimated means, which no derivative knows, are set to one.
    """
    expected = dcdh_horizons._expected
    monkeypatch.setattr(dcdh_horizons, "_expected", lambda *a: (expected(*a)[0], np.ones(a[0].n_units)))
    monkeypatch.setattr(dcdh_controls, "_counts", lambda switches, unit, level, size: np.zeros(size, dtype=np.int64))
    data, step = _panel(3, n=24, starts=(2, 99)), 1e-4

    def fit(weights):
        return ck.DCDH(n_effects=3, n_placebos=1).fit(
            data.assign(w=weights), covariates=["x", "z"], weights="w", **ROLES
        )

    psi = _psi(fit(data.w))
    for unit in range(24):
        up, down = (fit(data.w * np.where(data.unit == unit, 1 + sign * step, 1.0)) for sign in (1, -1))
        slope = (up.effects.values - down.effects.values) / (2 * step)
        np.testing.assert_allclose(psi[unit], slope, atol=1e-7)


def test_first_levels_are_apart():
    """Influence values of all first levels are those of each, by its share of the switchers."""
    data = _panel(4, n=150, bases=(0, 2, 5))
    base = data.groupby("unit")["level"].transform("first")
    model = ck.DCDH(n_effects=2, n_placebos=1)
    whole = model.fit(data, covariates=["x", "z"], **ROLES)
    psi, values = np.zeros((150, 3)), np.zeros(3)
    total = np.array(whole.effects.columns["n_treated"])
    for level in (0, 2, 5):
        part = model.fit(data[base == level], covariates=["x", "z"], **ROLES)
        share = np.array(part.effects.columns["n_treated"]) / total
        psi[np.unique(data.unit[base == level])] = _psi(part) * share
        values += part.effects.values * share
    np.testing.assert_allclose(whole.effects.values, values, atol=1e-12)
    np.testing.assert_allclose(_psi(whole), psi, atol=1e-12)


def test_categories_are_indicators():
    data = _panel(5)
    data["season"] = np.array(["dry", "rain", "snow"])[(data.time * data.unit) % 3]
    named = ck.DCDH().fit(data, covariates=["x", "season"], **ROLES)
    indicators = data.assign(rain=(data.season == "rain") * 1.0, snow=(data.season == "snow") * 1.0)
    by_hand = ck.DCDH().fit(indicators, covariates=["x", "rain", "snow"], **ROLES)
    np.testing.assert_allclose(named.effects.values, by_hand.effects.values, atol=1e-12)
    np.testing.assert_allclose(named.effects.se, by_hand.effects.se, rtol=1e-12)


@pytest.mark.parametrize("extra", ["constant", "trend", "own", "again"])
def test_covariates_that_tell_nothing_new_change_nothing_and_are_told(extra):
    data = _panel(6, bases=(0, 4), n=100).assign(constant=1e9, trend=lambda d: d.time * 0.1)
    data = data.assign(own=np.sqrt(2.0 + data.unit), again=1e4 - 300 * data.x)
    plain = ck.DCDH().fit(data, covariates=["x"], **ROLES)
    more = ck.DCDH().fit(data, covariates=["x", extra], **ROLES)
    np.testing.assert_allclose(more.effects.values, plain.effects.values, atol=1e-9)
    np.testing.assert_allclose(more.effects.se, plain.effects.se, rtol=1e-9)
    assert plain.checks["covariates"].status == "pass"
    assert more.checks["covariates"].status == "warn"
    assert "first treatment 0, 4 tell fewer slopes than the 2" in more.checks["covariates"].message


def test_first_treatments_are_named_as_in_the_table():
    data = _panel(12).assign(level=lambda d: np.where(d.level == 1, "on", "off"), constant=1.0)
    check = ck.DCDH().fit(data, covariates=["x", "constant"], control="off", **ROLES).checks["covariates"]
    assert "first treatment off tell fewer" in check.message


def test_too_few_changes_for_the_slopes_are_told():
    data = _panel(7, n=80)
    few = _panel(8, n=3, starts=(2,), bases=(9,))
    few.loc[few.unit == 0, "level"] = 9
    few["unit"] += 1000
    names = [f"x{j}" for j in range(6)]
    both = pd.concat([data, few], ignore_index=True)
    both[names] = np.random.default_rng(9).normal(size=(len(both), 6))
    check = ck.DCDH(n_effects=1).fit(both, covariates=names, **ROLES).checks["covariates"]
    assert check.status == "warn"
    assert "first treatment 9 tell fewer" in check.message


def test_rows_without_a_covariate_are_left_out():
    data = _panel(10)
    holes = data.assign(x=data.x.where(data.index % 9 != 4))
    result = ck.DCDH(n_effects=2, n_placebos=1).fit(holes, covariates="x", **ROLES)
    by_hand = ck.DCDH(n_effects=2, n_placebos=1).fit(holes.dropna(), covariates="x", **ROLES)
    np.testing.assert_allclose(result.effects.values, by_hand.effects.values, atol=1e-12)
    assert result.n_dropped > 0
    with pytest.raises(ck.DataError, match="'x'"):
        ck.DCDH().fit(holes, covariates="x", missing="raise", **ROLES)


def test_no_covariates_are_no_check():
    assert "covariates" not in ck.DCDH().fit(_panel(11), **ROLES).checks
