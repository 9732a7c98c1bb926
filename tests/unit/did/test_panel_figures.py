"""The figures of the panel behind a result: averages by cohort, and who is treated when."""

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import CausalKitError

ROLES = {"outcome": "y", "unit": "id", "time": "t", "cohort": "g"}


def panel(n=40, gaps=0.0, seed=0):
    rng = np.random.default_rng(seed)
    cohort = rng.permutation(np.resize([2002, 2004, 0], n))
    table = pd.DataFrame({"id": np.repeat(np.arange(n), 5), "t": np.tile([2000, 2001, 2002, 2004, 2005], n)})
    table["g"] = cohort[table.id]
    table["d"] = ((table.g > 0) & (table.t >= table.g)).astype(int)
    table["y"] = 1e6 + rng.normal(size=len(table)) + 2.0 * table.d
    table["w"] = rng.uniform(1, 2, n)[table.id]
    return table[rng.random(len(table)) >= gaps].sample(frac=1, random_state=seed)


def test_paths_are_the_weighted_means_of_cohorts():
    table = panel(gaps=0.1)
    result = ck.CallawaySantAnna(unbalanced="cells").fit(table, **ROLES, weights="w")
    data = result.plot_data("cohort_paths")
    assert list(data["cohorts"]) == ["2002", "2004", "never"]
    assert data["start"][:2].tolist() == [2002, 2004]
    assert np.isnan(data["start"][2])
    for name, mean in zip((2002, 2004, 0), data["mean"], strict=True):
        group = table[table.g == name]
        known = (group.y * group.w).groupby(group.t).sum() / group.w.groupby(group.t).sum()
        np.testing.assert_allclose(mean, known.to_numpy(), rtol=1e-12)


def test_the_map_says_who_is_treated_and_observed():
    table = panel(gaps=0.1)
    result = ck.CallawaySantAnna(unbalanced="cells").fit(table, **ROLES)
    data = result.plot_data("timing")
    status, units = np.asarray(data["status"]), np.asarray(data["units"])
    assert units.sum() == pytest.approx(40)
    assert (status == 1).sum() == table.d.sum()
    assert (status == -1).sum() == 40 * 5 - len(table)
    assert list(dict.fromkeys(data["cohort"])) == ["2002", "2004", "never"]


@pytest.mark.parametrize("kind", ["cohort_paths", "timing"])
def test_every_result_of_a_panel_draws_them(kind):
    table = panel()
    for estimator in (ck.TWFE(), ck.SunAbraham(), ck.ImputationDiD(), ck.LocalProjectionsDiD()):
        result = estimator.fit(table, **ROLES)
        assert kind in result.plots
        assert result.plot(kind).axes
    assert result.plot_data("timing")["xlabel"] == "t"


def test_a_treatment_that_ends_has_no_paths_but_a_map():
    table = panel()
    table["d"] = table.d * (table.t != 2005)
    result = ck.DCDH().fit(table, outcome="y", unit="id", time="t", treatment="d")
    assert "cohort_paths" not in result.plots
    status = np.asarray(result.plot_data("timing")["status"])
    assert not (status[:, -1] == 1).any()
    assert (status == 1).sum() == table.d.sum()


def test_large_panels_are_drawn_from_some_of_their_units():
    table = panel(n=3000)
    data = ck.CallawaySantAnna().fit(table, **ROLES).plot_data("timing")
    assert len(data["units"]) <= 240
    assert sum(data["units"]) == pytest.approx(3000)


def test_without_rows_or_units_there_are_none():
    table = panel()
    result = ck.CallawaySantAnna().fit(table, **ROLES)
    assert pickle.loads(pickle.dumps(result)).plots == ("event_study", "effects")
    waves = ck.CallawaySantAnna().fit(table, outcome="y", time="t", cohort="g")
    with pytest.raises(CausalKitError):
        waves.plot("timing")


def test_periods_that_are_text_are_counted_and_named():
    table = panel()
    table["t"] = "y" + table.t.astype(str)
    table["g"] = np.where(table.g == 0, None, "y" + table.g.astype(str))
    data = ck.CallawaySantAnna().fit(table, **ROLES).plot_data("cohort_paths")
    assert data["labels"] == ["y2000", "y2001", "y2002", "y2004", "y2005"]
    assert data["start"][:2].tolist() == [2, 3]
