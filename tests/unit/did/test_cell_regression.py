"""Regressions on cohort-by-period cells: sums by cohort give what the regression on rows gives, whatever is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.did.cell_regression import (
    by_row,
    cell_indicators,
    cell_regression,
    cell_totals,
    closed_form,
    one_of_each,
)
from causalkit.did.cohorts import Cohorts
from causalkit.did.saturated import numbers_of, two_way_fit
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


def panel(seed, n_periods=6, n=60, gaps=0.1, lone=0):
    """A staggered panel in random order, of which a share of the rows and all but one row of some units are missing."""
    rng = np.random.default_rng(seed)
    start = rng.choice(np.r_[0, 2 : n_periods + 1], n)
    unit, time = np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n)
    y = 100.0 * rng.normal(size=n)[unit] + rng.normal(size=n_periods)[time] + rng.normal(size=unit.size)
    table = pd.DataFrame({"unit": unit, "time": time + 1, "cohort": start[unit], "y": y + (start[unit] <= time)})
    table["w"], table["region"] = rng.uniform(0.5, 2.0, len(table)), unit // 3
    there = rng.random(len(table)) > gaps
    there &= (unit >= lone) | (time == rng.integers(0, n_periods, n)[unit])
    return table[there].sample(frac=1.0, random_state=seed)


def cells(table, **more):
    cohorts = Cohorts.of(ck.SunAbraham().bind(table, **more, **ROLES), unbalanced="cells")
    sizes = cell_totals(cohorts)
    plan = [(g, t) for g, s in enumerate(cohorts.starts) for t in np.flatnonzero(sizes[g]) if t != s - 1]
    return cohorts, cell_indicators(plan, len(cohorts.starts), cohorts.n_periods), [f"{g} {t}" for g, t in plan]


def agree(ours, theirs):
    size = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * size)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    n_periods=st.integers(3, 8),
    gaps=st.sampled_from([0.0, 0.02, 0.2, 0.5]),
    lone=st.sampled_from([0, 12]),
    kind=st.sampled_from(["auto", "CR0", "CR1", "HC1", "iid"]),
    weights=st.booleans(),
    region=st.booleans(),
)
# The unit effect of a cell's only row absorbs its indicator: then the rows must say so.
@example(seed=362881, n_periods=5, gaps=0.5, lone=12, kind="auto", weights=False, region=False)
@example(seed=362881, n_periods=5, gaps=0.5, lone=12, kind="auto", weights=True, region=False)
def test_sums_give_the_regression_on_rows(seed, n_periods, gaps, lone, kind, weights, region):
    more = {"weights": "w"} if weights else {}
    more |= {"cluster": "region"} if region and kind not in ("HC1", "iid") else {}
    cohorts, design, names = cells(panel(seed, n_periods, gaps=gaps, lone=lone), **more)
    ours = closed_form(cohorts, design, kind)
    assume(ours is not None)
    theirs = numbers_of(two_way_fit(cohorts, by_row(cohorts, design), names, kind), cohorts, names)
    agree(ours.theta, theirs.theta)
    agree(ours.vcov, theirs.vcov)
    assert list(ours.df) == list(theirs.df)
    assert ours.carrier.kind == theirs.carrier.kind
    if kind not in ("HC1", "iid"):
        agree(ours.carrier.psi, theirs.carrier.psi)
        assert ours.carrier.scale == pytest.approx(theirs.carrier.scale, rel=1e-14)


@pytest.mark.parametrize("kind", ["auto", "CR0", "HC1", "iid"])
def test_gaps_do_not_send_large_panels_to_rows(kind, monkeypatch):
    """Nor does a weight that varies over time; and what is computed in blocks is computed for all units."""
    table = panel(1, n=400, gaps=0.05, lone=7)
    cohorts, design, names = cells(table, weights="w")
    theirs = numbers_of(two_way_fit(cohorts, by_row(cohorts, design), names, kind), cohorts, names)
    monkeypatch.setattr("causalkit.did.cell_regression.two_way_fit", None)
    monkeypatch.setattr("causalkit.did.cell_paths._BLOCK", 17)
    ours = cell_regression(cohorts, design, names, kind)
    agree(ours.theta, theirs.theta)
    agree(ours.vcov, theirs.vcov)
    monkeypatch.setattr("causalkit.did.cell_paths._FEW", 0)
    agree(cell_regression(cohorts, design, names, kind).vcov, theirs.vcov)


@pytest.mark.parametrize("kind", ["CR0", "CR1"])
def test_one_unit_against_one_fits_exactly(kind):
    """In the last period, one unit that has just been treated and one that never is: no residual, but earlier ones."""
    table = panel(2, n_periods=5, n=40, gaps=0.0)
    first = table["unit"] == table.groupby("cohort")["unit"].transform("min")
    table = table[(first | ~table["cohort"].isin([0, 5])) & ~(first & (table["cohort"] == 3) & (table["time"] == 5))]
    effects = ck.ExtendedTWFE(vcov=kind).fit(table, **ROLES).effects
    exact = np.array(effects.terms) == "5 in 5"
    assert effects.se[exact] < 1e-12
    assert (effects.se[~exact] > 1e-3).all()


def test_a_large_level_costs_no_digits_where_rows_are_missing():
    table = panel(3, n=200, gaps=0.2)
    one, two = (ck.SunAbraham().fit(t, **ROLES).effects for t in (table, table.assign(y=table["y"] + 2.0**30)))
    np.testing.assert_allclose(one.values, two.values, rtol=0, atol=1e-6)
    np.testing.assert_allclose(one.se, two.se, rtol=0, atol=1e-6)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, "w"])
def test_what_is_collinear_is_read_from_one_unit_of_each_kind(gaps, weights):
    cohorts, _, _ = cells(panel(4, n_periods=4, n=3_000, gaps=gaps), **({"weights": weights} if weights else {}))
    plan = [(0, t) for t in range(4)]
    design, names = cell_indicators(plan, len(cohorts.starts), 4), [str(t) for _, t in plan]
    few = one_of_each(cohorts)
    assert few.n_units <= 4 * 15 < cohorts.n_units / 10
    assert few.labels == cohorts.labels
    messages = []
    for chosen in (cohorts, few):
        with pytest.raises(DesignError) as error:
            two_way_fit(chosen, by_row(chosen, design), names, "auto")
        messages.append(str(error.value))
    with pytest.raises(DesignError) as error:
        cell_regression(cohorts, design, names, "auto")
    assert messages == [str(error.value)] * 2


def test_a_cell_of_lone_rows_is_absorbed_by_their_units():
    table = panel(5, gaps=0.1)
    at = (table["cohort"] == 3) & (table["time"] == 4)
    table = table[~(table["unit"].isin(table.loc[at, "unit"]) & ~at)]
    with pytest.raises(DesignError, match="not identified"):
        ck.SunAbraham().fit(table, **ROLES)


def test_periods_that_no_unit_links_are_left_to_the_rows():
    table = panel(6, n_periods=8, n=200, gaps=0.0)
    table = table[(table["unit"] % 2 == 0) == (table["time"] <= 4)]
    table = table[(table["cohort"] == 0) | ((table["unit"] % 2 == 0) & (table["cohort"].isin([3, 4])))]
    cohorts, design, names = cells(table)
    assert closed_form(cohorts, design, "auto") is None
    assert np.isfinite(cell_regression(cohorts, design, names, "auto").theta).all()
