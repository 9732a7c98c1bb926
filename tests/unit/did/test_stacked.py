"""The stack against explicit stacked rows."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import causalkit as ck
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(12)
    n, periods = 40, 7
    start = np.array([0, 3, 4, 5, 7])[np.arange(n) % 5]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    on = (start[unit] > 0) & (time >= start[unit])
    y = rng.normal(size=n)[unit] + 0.2 * time + on * 0.4 + rng.normal(size=unit.size)
    return pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "x": rng.normal(size=y.size), "y": y})


def stack(table, pre, post):
    parts = []
    for a in (3, 4, 5):
        inside = table["time"].between(a - pre, a + post)
        member = (table["cohort"] == a) | (table["cohort"] == 0) | (table["cohort"] > a + post)
        parts.append(table[inside & member].assign(a=a, e=table["time"] - a, D=(table["cohort"] == a).astype(float)))
    return pd.concat(parts, ignore_index=True)


def test_effects_of_unit_and_time_within_experiment(table):
    result = ck.StackedDiD(pre_window=2, post_window=1, method="plain").fit(table, covariates=["x"], **ROLES)
    rows = stack(table, 2, 1)
    columns = {f"event time {e}": rows["D"] * (rows["e"] == e) for e in (-2, 0, 1)} | {"x": rows["x"]}
    unit, time = rows["a"] * 1000 + rows["unit"], rows["a"] * 1000 + rows["time"]
    dummies = [pd.get_dummies(unit, prefix="u", dtype=float)]
    dummies += [pd.get_dummies(time[rows["a"] == a], prefix="t", dtype=float).iloc[:, 1:] for a in (3, 4, 5)]
    frame = pd.concat([pd.DataFrame(columns), *dummies], axis=1).fillna(0.0)
    reference = sm.OLS(rows["y"], frame).fit(cov_type="cluster", cov_kwds={"groups": rows["unit"]})
    np.testing.assert_allclose(result.effects.values, reference.params[list(result.effects.terms)], rtol=0, atol=1e-11)
    n, k, nested = len(rows), frame.shape[1], unit.nunique()
    factor = (n - k) / (n - (k - nested + 1))
    np.testing.assert_allclose(
        result.effects.se, reference.bse[list(result.effects.terms)] * np.sqrt(factor), rtol=1e-9
    )


def test_cohorts_without_their_window_are_named(table):
    result = ck.StackedDiD(pre_window=2, post_window=1).fit(table, **ROLES)
    assert result.checks["window"].status == "warn"
    assert result.checks["window"].message.endswith(": 7.")
    assert result.effects.columns["n_treated"] == [24, 24, 24]
    assert result.estimate == pytest.approx(result.effects.values[1:].mean(), abs=1e-14)
    with pytest.raises(DesignError, match="pre_window"):
        ck.StackedDiD(pre_window=6).fit(table, **ROLES)


def test_weights_of_two_are_two_copies(table):
    heavy = table.assign(w=1.0 + (table["unit"] % 3 == 0))
    copies = pd.concat([table, table[table["unit"] % 3 == 0].assign(unit=lambda d: d["unit"] + 1000)])
    config = ck.StackedDiD(pre_window=2, post_window=1)
    one, two = config.fit(heavy, weights="w", **ROLES), config.fit(copies, **ROLES)
    np.testing.assert_allclose(one.effects.values, two.effects.values, rtol=0, atol=1e-12)


def test_an_experiment_with_a_gap_is_refused(table):
    holes = table[~((table["cohort"] == 4) & (table["time"] == 3))]
    with pytest.raises(DesignError, match="no treated or no control"):
        ck.StackedDiD(pre_window=2, post_window=1).fit(holes, **ROLES)


def test_anticipation_moves_the_reference(table):
    result = ck.StackedDiD(pre_window=1, post_window=0, anticipation=1).fit(table, **ROLES)
    assert result.effects.columns["event_time"] == [-1, 0]
    assert result.reference == -2.0


@pytest.mark.parametrize("kind", [ck.StackedDiD, ck.LocalProjectionsDiD])
def test_two_ways_of_clustering(table, kind):
    # Units nested in regions: the variance by both ways is that by region alone.
    ways = table.assign(region=table["unit"] // 5)
    both = kind(pre_window=2, post_window=1).fit(ways, cluster=["unit", "region"], **ROLES)
    one = kind(pre_window=2, post_window=1).fit(ways, cluster="region", **ROLES)
    np.testing.assert_allclose(both.effects.se, one.effects.se, rtol=1e-12)
