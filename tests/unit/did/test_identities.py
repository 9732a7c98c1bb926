"""What must be equal whatever the data: identities between estimators, on random panels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.did.cell_regression import cell_indicators, cell_regression, closed_form
from causalkit.did.cohorts import Cohorts
from causalkit.did.saturated import numbers_of, two_way_fit
from causalkit.did.sun_abraham import SunAbraham
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


def panel(seed, n_periods=6, n=40, never=True, weights=False):
    rng = np.random.default_rng(seed)
    choices = np.arange(1, n_periods) if never is False else np.arange(n_periods)
    start = rng.choice(choices, n)
    start[:4] = [1, 2, n_periods - 1, choices[0]]
    unit, time = np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n)
    cohort = np.where(start > 0, start + 1990, 0)[unit]
    y = rng.normal(size=n)[unit] + rng.normal(size=n_periods)[time] + rng.normal(size=unit.size)
    table = pd.DataFrame({"unit": unit, "time": time + 1990, "cohort": cohort, "y": y + 0.5 * (time >= start[unit])})
    table["region"], table["x"] = unit // 3, rng.normal(size=unit.size)
    table["w"] = rng.uniform(0.5, 2.0, n)[unit] if weights else 1.0
    return table


seeds = st.integers(0, 2**20)
few = settings(max_examples=12)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@few
@given(seed=seeds, n_periods=st.integers(4, 8), never=st.booleans(), weights=st.booleans())
def test_extended_imputation_and_two_stage_agree(seed, n_periods, never, weights):
    table = panel(seed, n_periods, never=never, weights=weights)
    fits = [kind().fit(table, weights="w", **ROLES) for kind in (ck.ExtendedTWFE, ck.ImputationDiD, ck.TwoStageDiD)]
    first, second, third = fits
    post = third.cells.post
    assert first.effects.terms == second.effects.terms == tuple(np.array(third.effects.terms)[post])
    close(first.effects.values, second.effects.values)
    close(first.effects.values, third.effects.values[post])
    for kind in ("simple", "event_time", "cohort", "calendar"):
        values = [fit.aggregate(kind).estimate for fit in fits]
        close(values, values[0])


@few
@given(seed=seeds, never=st.booleans(), cluster=st.sampled_from([None, "region"]))
def test_saturated_with_never_treated_is_sun_and_abraham(seed, never, cluster):
    table = panel(seed, never=never)
    ours = ck.ExtendedTWFE(control_group="never_treated").fit(table, cluster=cluster, **ROLES)
    theirs = ck.SunAbraham().fit(table, cluster=cluster, **ROLES)
    assert ours.effects.terms == theirs.effects.terms
    close(ours.effects.values, theirs.effects.values)
    close(ours.effects.se, theirs.effects.se)
    close([ours.estimate, ours.se], [theirs.estimate, theirs.se])


@few
@given(seed=seeds, n_periods=st.integers(3, 7), vcov=st.sampled_from(["auto", "CR0"]), region=st.booleans())
def test_cohort_means_give_the_general_regression(seed, n_periods, vcov, region):
    table = panel(seed, n_periods, weights=True)
    more = {"cluster": "region"} if region else {}
    cohorts = Cohorts.of(SunAbraham().bind(table, weights="w", **more, **ROLES))
    plan = [(g, t) for g, start in enumerate(cohorts.starts) for t in range(n_periods) if t != start - 1]
    design = cell_indicators(plan, len(cohorts.starts), n_periods)
    names = [f"{g} {t}" for g, t in plan]
    at = cohorts.of_unit[cohorts.panel.unit.codes], cohorts.panel.time.codes
    general = numbers_of(two_way_fit(cohorts, [d[at].astype(float) for d in design], names, vcov), cohorts, names)
    fast = closed_form(cohorts, design, vcov)
    close(fast.theta, general.theta)
    close(fast.vcov, general.vcov)
    close(fast.carrier.psi, general.carrier.psi)
    assert fast.carrier.scale == pytest.approx(general.carrier.scale, rel=1e-14)
    assert list(fast.df) == list(general.df)
    assert fast.carrier.kind == general.carrier.kind


@few
@given(seed=seeds)
def test_event_study_from_cohort_means(seed):
    table = panel(seed, weights=True)
    fast = ck.TWFE(dynamic=True).fit(table, weights="w", **ROLES)
    slow = ck.TWFE(dynamic=True, vcov="HC1").fit(table, weights="w", **ROLES)
    close(fast.effects.values, slow.effects.values)


@few
@given(seed=seeds, never=st.booleans())
def test_last_horizons_weighted_alike_are_those_of_callaway_and_santanna(seed, never):
    table = panel(seed, never=True)
    group = "never_treated" if never else "not_yet_treated"
    ours = ck.LocalProjectionsDiD(method="equally_weighted", control_group=group).fit(table, **ROLES)
    theirs = ck.CallawaySantAnna(control_group=group).fit(table, **ROLES).aggregate("event_time")
    after = [e for e in ours.effects.columns["event_time"] if e >= 0]
    for e in after:
        name = f"event time {e}"
        close(ours.effects.values[ours.effects.index(name)], theirs.effects.values[theirs.effects.index(name)])


@few
@given(seed=seeds)
def test_corrective_stack_is_the_average_of_its_experiments(seed):
    table = panel(seed, 7, n=60)
    result = ck.StackedDiD(pre_window=2, post_window=1, control_group="never_treated").fit(table, **ROLES)
    cells = ck.CallawaySantAnna(base_period="universal").fit(table, **ROLES)
    kept = [start for start in range(1992, 1996) if (table["cohort"] == start).any()]
    sizes = np.array([(table["cohort"] == start).sum() for start in kept], dtype=float)
    for e, value in zip(result.effects.columns["event_time"], result.effects.values, strict=True):
        parts = [cells.effects.values[cells.effects.index(f"{start} in {start + e}")] for start in kept]
        close(value, sizes @ parts / sizes.sum())


def test_collinear_indicators_are_left_to_the_general_path():
    table = panel(3)
    cohorts = Cohorts.of(SunAbraham().bind(table, **ROLES))
    plan = [(0, t) for t in range(6)]
    design = cell_indicators(plan, len(cohorts.starts), 6)
    assert closed_form(cohorts, design, "auto") is None
    with pytest.raises(DesignError, match="not identified"):
        cell_regression(cohorts, design, [str(t) for _, t in plan], "auto")


def test_a_large_level_costs_no_digits():
    table = panel(5)
    moved = table.assign(y=table["y"] + 1e9)
    for kind in (ck.SunAbraham, ck.ImputationDiD, ck.ExtendedTWFE, ck.TwoStageDiD, ck.LocalProjectionsDiD):
        one, two = kind().fit(table, **ROLES), kind().fit(moved, **ROLES)
        np.testing.assert_allclose(one.effects.values, two.effects.values, rtol=0, atol=2e-6)
        np.testing.assert_allclose(one.effects.se, two.effects.se, rtol=0, atol=2e-6)


@few
@given(seed=seeds, never=st.booleans(), weights=st.booleans())
def test_sun_and_abraham_is_callaway_and_santanna_from_one_base_period(seed, never, weights):
    table = panel(seed, never=never, weights=weights)
    ours = ck.SunAbraham().fit(table, weights="w", **ROLES)
    if not never:  # the last cohort is what the others are compared with, before it starts
        last = table["cohort"].max()
        table = table[table["time"] < last].assign(cohort=table["cohort"].where(table["cohort"] < last, 0))
    theirs = ck.CallawaySantAnna(base_period="universal").fit(table, weights="w", **ROLES)
    assert ours.effects.terms == theirs.effects.terms
    close(ours.effects.values, theirs.effects.values)


@few
@given(seed=seeds, control=st.sampled_from(["never_treated", "not_yet_treated"]), weights=st.booleans())
def test_without_covariates_all_methods_are_one(seed, control, weights):
    table = panel(seed, weights=weights)
    fits = [
        ck.CallawaySantAnna(method=method, control_group=control).fit(table, weights="w", **ROLES)
        for method in ("dr", "ipw", "reg")
    ]
    for fit in fits[1:]:
        close(fit.effects.values, fits[0].effects.values)
        close(fit.joint.vcov, fits[0].joint.vcov)


@few
@given(seed=seeds, never=st.booleans(), n_periods=st.integers(3, 7))
def test_the_decomposition_adds_up_to_two_way_fixed_effects(seed, never, n_periods):
    table = panel(seed, n_periods, never=never)
    found = ck.did.bacon_decomposition(table, **ROLES)
    close(sum(part.weight for part in found.comparisons), 1.0)
    close(sum(part.weight * part.estimate for part in found.comparisons), ck.TWFE().fit(table, **ROLES).estimate)


@few
@given(seed=seeds)
def test_rows_that_are_not_followed_give_the_effects_of_the_panel(seed):
    table = panel(seed)
    rows = {role: name for role, name in ROLES.items() if role != "unit"}
    close(
        ck.CallawaySantAnna().fit(table, **rows).effects.values,
        ck.CallawaySantAnna().fit(table, **ROLES).effects.values,
    )
