"""DCDH: identities, direction of switches, what is left out, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

ROLES = {"outcome": "y", "unit": "unit", "time": "time"}


def _panel(level, y=None, seed: int = 0) -> pd.DataFrame:
    level = np.asarray(level, dtype=float)
    n, periods = level.shape
    y = np.random.default_rng(seed).normal(size=level.shape) if y is None else np.asarray(y, dtype=float)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), periods),
            "time": np.tile(np.arange(1, periods + 1), n),
            "level": level.ravel(),
            "y": y.ravel(),
        }
    ).dropna()


def _staggered(seed: int, n: int = 60, periods: int = 6) -> tuple[pd.DataFrame, np.ndarray]:
    start = np.array([2, 3, 4, 9])[np.arange(n) % 4]
    return _panel(np.arange(periods)[None, :] >= start[:, None], seed=seed), start


def test_absorbing_treatment_gives_callaway_santanna():
    data, _ = _staggered(1)
    ours = ck.DCDH().fit(data, treatment="level", **ROLES)
    theirs = (
        ck.CallawaySantAnna(control_group="not_yet_treated", base_period="universal")
        .fit(data, treatment="level", **ROLES)
        .aggregate("event_time")
    )
    at = {e: j for j, e in enumerate(theirs.event_times)}
    for e, value in zip(ours.event_times, ours.effects.values, strict=True):
        if e >= 0:
            np.testing.assert_allclose(value, theirs.effects.values[at[e]], atol=1e-12)
    weights = np.array([ours.effects.columns["n_treated"][j] for j in np.flatnonzero(ours.post)])
    np.testing.assert_allclose(ours.estimate, weights @ ours.effects.values[ours.post] / weights.sum(), atol=1e-12)


def test_a_fall_mirrors_a_rise():
    data, _ = _staggered(2)
    rise = ck.DCDH().fit(data, treatment="level", **ROLES)
    fall = ck.DCDH().fit(data.assign(level=1 - data.level, y=-data.y), treatment="level", **ROLES)
    np.testing.assert_allclose(rise.effects.values, fall.effects.values, atol=1e-12)
    np.testing.assert_allclose(rise.effects.se, fall.effects.se, rtol=1e-12)
    with pytest.raises(ck.DesignError, match="no change of the treatment"):
        ck.DCDH(switchers="out").fit(data, treatment="level", **ROLES)


def test_normalized_and_total_effects_of_a_known_response():
    """With y = 2 * treatment, each normalized effect is 2 over the number of periods counted, and the total is 2."""
    level = np.zeros((30, 5))
    level[:15, 2:] = 3.0
    level[15:20, 3:] = 1.0
    data = _panel(level, 2 * level + np.arange(5) + np.arange(30)[:, None])
    plain = ck.DCDH(n_placebos=0).fit(data, treatment="level", **ROLES)
    assert plain.estimate == pytest.approx(2.0)
    normalized = ck.DCDH(n_placebos=0, normalized=True).fit(data, treatment="level", **ROLES)
    np.testing.assert_allclose(normalized.effects.values, [2.0, 1.0, 2.0 / 3.0], atol=1e-12)
    assert normalized.estimate == pytest.approx(2.0)


def test_units_are_left_out_once_they_crossed_their_first_treatment():
    level = np.ones((12, 5))
    level[:4, 2:] = 2.0
    level[:4, 4] = 0.0
    y = np.arange(5) + 10.0 * (level - 1)
    result = ck.DCDH(n_placebos=0).fit(_panel(level, y), treatment="level", **ROLES)
    assert list(result.event_times) == [0, 1]
    np.testing.assert_allclose(result.effects.values, 10.0)
    assert "4 units are left out once" in result.checks["switchers"].message


def test_only_units_of_the_same_first_treatment_are_controls():
    level = np.repeat([[0.0], [0.0], [5.0]], [6, 6, 6], axis=0) * np.ones((18, 3))
    level[:6, 1:] = 1.0
    y = np.where(level[:, :1] == 5.0, 100.0 * np.arange(3), 0.0) + (level == 1.0)
    result = ck.DCDH(n_placebos=0).fit(_panel(level, y), treatment="level", **ROLES)
    np.testing.assert_allclose(result.effects.values, 1.0)


def test_variance_of_one_comparison_is_that_of_two_means():
    """One cohort, one horizon: Welch's variance, as the demeaned influence values have the factor n / (n - 1)."""
    rng = np.random.default_rng(3)
    level = np.zeros((40, 2))
    level[:15, 1] = 1
    y = rng.normal(size=(40, 2))
    result = ck.DCDH().fit(_panel(level, y), treatment="level", **ROLES)
    change = y[:, 1] - y[:, 0]
    wanted = np.sqrt(change[:15].var(ddof=1) / 15 + change[15:].var(ddof=1) / 25)
    assert result.se == pytest.approx(wanted, rel=1e-12)
    assert result.estimate == pytest.approx(change[:15].mean() - change[15:].mean(), rel=1e-12)


def test_same_switchers_keeps_the_make_up():
    data, _ = _staggered(4)
    result = ck.DCDH(n_effects=4, n_placebos=0, same_switchers=True).fit(data, treatment="level", **ROLES)
    assert set(result.effects.columns["n_treated"]) == {15}


def test_unbalanced():
    data, _ = _staggered(5)
    holes = data[data.index % 7 != 3]
    dropped = ck.DCDH(unbalanced="drop", n_effects=1, n_placebos=0).fit(holes, treatment="level", **ROLES)
    complete = holes[holes.groupby("unit").time.transform("size") == 6]
    np.testing.assert_allclose(
        dropped.estimate, ck.DCDH(n_effects=1, n_placebos=0).fit(complete, treatment="level", **ROLES).estimate
    )
    assert dropped.n == len(complete)
    assert dropped.n_dropped == len(holes) - len(complete)
    with pytest.raises(ck.DataError, match="not observed in every period"):
        ck.DCDH(unbalanced="raise").fit(holes, treatment="level", **ROLES)


def test_a_change_after_a_gap_is_not_dated():
    level = np.zeros((12, 5))
    level[:4, 3:] = 1.0
    level[4:6, 3:] = 1.0
    data = _panel(level, np.arange(5) + 3.0 * level)
    holes = data[~(data.unit.isin([4, 5]) & (data.time == 3))]
    result = ck.DCDH(n_placebos=0).fit(holes, treatment="level", **ROLES)
    assert result.effects.columns["n_treated"] == [4, 4]
    np.testing.assert_allclose(result.effects.values, 3.0)


def test_refused():
    data, _ = _staggered(6)
    with pytest.raises(ck.DesignError, match="n_effects=9: only 4 effects"):
        ck.DCDH(n_effects=9).fit(data, treatment="level", **ROLES)
    with pytest.raises(ck.DesignError, match="never changes within a unit"):
        ck.DCDH().fit(data.assign(level=data.unit % 3), treatment="level", **ROLES)
    text = data.assign(level=np.array(["a", "b", "c"])[(data.time + data.unit) % 3])
    with pytest.raises(ck.DesignError, match="levels that are not numbers"):
        ck.DCDH().fit(text, treatment="level", control="a", **ROLES)
    with pytest.raises(ck.InferenceUnavailable, match="one effect only"):
        ck.DCDH(n_effects=1).fit(data, treatment="level", **ROLES).equal_effects()


def test_text_levels_and_booleans_read_alike():
    data, _ = _staggered(7)
    numbers = ck.DCDH().fit(data, treatment="level", **ROLES)
    text = ck.DCDH().fit(
        data.assign(level=np.where(data.level == 1, "on", "off")), treatment="level", control="off", **ROLES
    )
    np.testing.assert_allclose(numbers.effects.values, text.effects.values)


def test_one_cluster_is_refused():
    data, _ = _staggered(8)
    with pytest.raises(ck.DesignError, match="cluster 'all' has one cluster only"):
        ck.DCDH().fit(data.assign(all="here"), treatment="level", cluster="all", **ROLES)
