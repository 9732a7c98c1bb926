"""ContinuousDiD: identities, splines, coverage, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.did.continuous_spline import Spline

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "start", "treatment": "dose"}


def _panel(seed: int, n: int = 120, periods: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = np.array([0, 3, 4])[np.arange(n) % 3]
    dose = np.where(start > 0, rng.uniform(0.2, 2.0, n), 0.0)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    on = (start[unit] > 0) & (time >= start[unit])
    y = rng.normal(size=unit.size) + 0.5 * time + on * dose[unit] ** 2
    return pd.DataFrame({"unit": unit, "time": time, "start": start[unit], "dose": dose[unit], "y": y})


@pytest.mark.parametrize("weighted", [False, True])
def test_the_average_effect_is_that_of_callaway_santanna(weighted):
    data = _panel(1).assign(w=lambda d: 1.0 + d.unit % 4)
    more = {"weights": "w"} if weighted else {}
    ours = ck.ContinuousDiD(control_group="not_yet_treated").fit(data, **ROLES, **more)
    roles = {role: column for role, column in ROLES.items() if role != "treatment"}
    theirs = ck.CallawaySantAnna(control_group="not_yet_treated").fit(data, **roles, **more)
    np.testing.assert_allclose(ours.event_study().effects.values, theirs.effects.values, atol=1e-12)
    np.testing.assert_allclose(ours.event_study().effects.se, theirs.effects.se, rtol=1e-12)
    by_cohort = theirs.aggregate("cohort")
    np.testing.assert_allclose([ours.estimate, ours.se], [by_cohort.estimate, by_cohort.se], rtol=1e-12)


def test_averages_are_those_of_the_event_studies():
    result = ck.ContinuousDiD(order=2).fit(_panel(2), **ROLES)
    for quantity, term in (("effect", "average effect"), ("response", "average response")):
        found = result.event_study(quantity).aggregate("cohort")
        j = result.effects.index(term)
        np.testing.assert_allclose(found.estimate, result.effects.values[j], atol=1e-12)
        np.testing.assert_allclose(found.se, result.effects.se[j], rtol=1e-12)


def test_two_periods_and_a_line_are_least_squares():
    data = _panel(3)
    data = data[data.time.isin([2, 3]) & data.start.isin([0, 3])]
    result = ck.ContinuousDiD(order=1, doses=[0.5, 1.5]).fit(data, **ROLES)
    wide = data.pivot(index="unit", columns="time", values="y")
    change = (wide[3] - wide[2]).to_numpy()
    dose = data.groupby("unit").dose.first().to_numpy()
    x = np.column_stack([np.ones((dose > 0).sum()), dose[dose > 0]])
    y = change[dose > 0]
    slope = np.linalg.lstsq(x, y, rcond=None)[0]
    bread, residual = np.linalg.inv(x.T @ x), y - x @ slope
    vcov = bread @ (x * residual[:, None] ** 2).T @ x @ bread
    control = change[dose == 0]
    at = np.array([[1, 0.5], [1, 1.5]])
    np.testing.assert_allclose(result.curve().values, at @ slope - control.mean(), atol=1e-12)
    wanted = np.sqrt(np.diag(at @ vcov @ at.T) + control.var() / len(control))
    np.testing.assert_allclose(result.curve().se, wanted, rtol=1e-10)
    np.testing.assert_allclose(result.curve("response").values, slope[1], atol=1e-12)
    np.testing.assert_allclose(result.curve("response").se, np.sqrt(vcov[1, 1]), rtol=1e-10)


def test_the_units_of_the_dose():
    data = _panel(4)
    base = ck.ContinuousDiD(doses=[0.5, 1.0]).fit(data, **ROLES)
    cents = ck.ContinuousDiD(doses=[50.0, 100.0]).fit(data.assign(dose=100 * data.dose), **ROLES)
    np.testing.assert_allclose(base.curve().values, cents.curve().values, atol=1e-10)
    np.testing.assert_allclose(base.curve("response").values, 100 * cents.curve("response").values, atol=1e-10)


@pytest.mark.parametrize(("order", "n_knots"), [(1, 0), (1, 3), (2, 2), (3, 0), (3, 2)])
def test_the_spline_spans_what_scipy_spans(order, n_knots):
    from scipy.interpolate import BSpline

    doses = np.random.default_rng(5).uniform(1, 4, 80)
    knots = np.quantile(doses, np.linspace(0, 1, n_knots + 2)[1:-1])
    spline = Spline.of(doses, knots, order)
    full = np.concatenate([[doses.min()] * (order + 1), knots, [doses.max()] * (order + 1)])
    theirs = [BSpline(full, row, order) for row in np.eye(spline.size)]
    x = np.sort(doses)[1:-1]
    basis = np.column_stack([part(x) for part in theirs])
    change = np.linalg.lstsq(spline.basis(x), basis, rcond=None)[0]
    np.testing.assert_allclose(spline.basis(x) @ change, basis, atol=1e-9)
    slope = np.column_stack([part.derivative()(x) for part in theirs])
    inside = ~np.isin(x, knots)
    np.testing.assert_allclose((spline.slope(x) @ change)[inside], slope[inside], atol=1e-8)


def test_doses_that_vary_too_little():
    assert Spline.of(np.array([1.0, 1.0, 2.0]), np.empty(0), 2) is None
    assert Spline.of(np.ones(9), np.empty(0), 1) is None
    data = _panel(6)
    few = data.assign(dose=np.where(data.start == 4, 1.0, data.dose))
    result = ck.ContinuousDiD(order=2).fit(few, **ROLES)
    assert result.checks["overlap"].status == "warn"
    assert set(result.event_study("response").cells.cohort) == {3}
    assert set(result.event_study().cells.cohort) == {3, 4}
    with pytest.raises(ck.InferenceUnavailable, match="no cohort has doses"):
        ck.ContinuousDiD().fit(data.assign(dose=1.0 * (data.start > 0)), **ROLES)


def test_the_dose_may_be_zero_before_the_start():
    data = _panel(7)
    later = data.assign(dose=np.where(data.time >= data.start, data.dose, 0.0))
    np.testing.assert_array_equal(
        ck.ContinuousDiD().fit(data, **ROLES).effects.values, ck.ContinuousDiD().fit(later, **ROLES).effects.values
    )


def test_refused():
    data = _panel(8)
    with pytest.raises(ck.DataError, match="is negative"):
        ck.ContinuousDiD().fit(data.assign(dose=data.dose - 1), **ROLES)
    with pytest.raises(ck.DataError, match="varies in"):
        ck.ContinuousDiD().fit(data.assign(dose=data.dose * data.time), **ROLES)
    with pytest.raises(ck.DataError, match="is zero in"):
        ck.ContinuousDiD().fit(data.assign(dose=data.dose * (data.unit != 1)), **ROLES)
    with pytest.raises(ck.DesignError, match="reaches beyond"):
        ck.ContinuousDiD(doses=[0.5, 99.0]).fit(data, **ROLES)
    with pytest.raises(ck.DesignError, match="does not rise"):
        ck.ContinuousDiD(doses=[1.0, 0.5])
    with pytest.raises(ck.DesignError, match="not a list of numbers"):
        ck.ContinuousDiD(doses="all")
    with pytest.raises(ck.DesignError, match="quantity="):
        ck.ContinuousDiD().fit(data, **ROLES).curve("level")


def test_other_variances_and_refits_follow():
    data = _panel(9).assign(state=lambda d: d.unit % 24)
    by_unit, by_state = (ck.ContinuousDiD().fit(data, **ROLES, **more) for more in ({}, {"cluster": "state"}))
    again = by_unit.with_vcov("CR0", cluster=np.arange(120) % 24)
    np.testing.assert_allclose(again.effects.se, by_state.effects.se, rtol=1e-12)
    np.testing.assert_allclose(again.event_study().effects.se, by_state.event_study().effects.se, rtol=1e-12)
    study = by_unit.event_study("response")
    np.testing.assert_allclose(study.refit(data).effects.values, study.effects.values)
    shown = by_unit.plot_data("dose_response")
    assert (shown["band_low"] < shown["low"]).all()


def test_coverage_of_averages_curve_and_band():
    """120 samples: within four binomial errors of 95 % for the averages, one point of each curve, and the band."""
    truth = {"effect": 2.0 * 0.9 - 0.5 * 0.9**2, "response": 2.0 - 0.9}
    hits = np.zeros(4)
    at = np.array([0.3, 0.9, 1.6])
    for seed in range(120):
        rng = np.random.default_rng(seed)
        dose = np.where(np.arange(150) < 60, 0.0, rng.uniform(0.1, 2.0, 150))
        before = rng.normal(size=150)
        after = before + 2.0 * dose - 0.5 * dose**2 + rng.normal(size=150) * (1 + dose)
        data = pd.DataFrame(
            {"unit": np.tile(np.arange(150), 2), "time": np.repeat([1, 2], 150), "y": np.concatenate([before, after])}
        ).assign(dose=lambda d, dose=dose: dose[d.unit], start=lambda d: np.where(d.dose > 0, 2, 0))
        result = ck.ContinuousDiD(order=2, doses=at.tolist()).fit(data, **ROLES)
        low, high = result.effects.ci()
        average = 2.0 * 1.05 - 0.5 * (1.05**2 + 1.9**2 / 12)
        for j, (term, value) in enumerate(
            [("average effect", average), ("effect at 0.9", truth["effect"]), ("response at 0.9", truth["response"])]
        ):
            k = result.effects.index(term)
            hits[j] += low[k] <= value <= high[k]
        low, high = result.curve().ci(simultaneous=True)
        curve = 2.0 * at - 0.5 * at**2
        hits[3] += bool(((low <= curve) & (curve <= high)).all())
    assert (np.abs(hits / 120 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 120)).all(), hits
