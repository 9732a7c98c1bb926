"""Another variance after the fit is that of a fit with it, whatever the estimator, and never one without an error."""

import numpy as np
import pytest

import causalkit as ck

LAW = {"outcome": "l_homicide", "unit": "sid", "time": "year", "cohort": "start"}
REGRESSIONS = [
    ck.TWFE(), ck.TWFE(dynamic=True), ck.SunAbraham(), ck.ExtendedTWFE(), ck.StackedDiD(pre_window=2, post_window=1),
]  # fmt: skip
MEANS = [ck.CallawaySantAnna(), ck.TwoStageDiD(), ck.ImputationDiD(), ck.DCDH()]


@pytest.fixture(scope="module")
def states():
    return ck.datasets.load("castle").assign(
        region=lambda d: d["sid"] % 17, treated=lambda d: ((d["start"] > 0) & (d["year"] >= d["start"])).astype(int)
    )


def name(estimator):
    return type(estimator).__name__ + ("-dynamic" if getattr(estimator, "dynamic", False) else "")


@pytest.mark.parametrize("estimator", REGRESSIONS, ids=name)
def test_of_a_regression(estimator, states):
    """As many effects as units, and yet CR1 counts rows and parameters of the regression."""
    by_unit, by_region = (estimator.fit(states, **LAW, **more) for more in ({}, {"cluster": "region"}))
    units = states.groupby("sid")["region"].first().to_numpy()
    for start, others, aimed in ((by_unit, (None, states["sid"].to_numpy()), by_unit), (by_unit, (units,), by_region)):
        for cluster in others:
            found = start.with_vcov("CR0").with_vcov("CR1", cluster)
            np.testing.assert_allclose(found.effects.se, aimed.effects.se, rtol=1e-10)
            np.testing.assert_allclose(found.ci(), aimed.ci(), rtol=1e-8)
    with pytest.raises(ck.InferenceUnavailable, match=r"HC1 is by row.*CR1"):
        by_unit.with_vcov("HC1")


@pytest.mark.parametrize("estimator", MEANS, ids=name)
def test_of_means(estimator, states):
    """Fifty states and up to fifty effects: the factor is G / (G - 1), and df are G - 1."""
    when = {"treatment": "treated"} if isinstance(estimator, ck.DCDH) else {"cohort": "start"}
    result = estimator.fit(states, **{**{role: LAW[role] for role in ("outcome", "unit", "time")}, **when})
    plain, small = result.with_vcov("CR0", states["sid"].to_numpy()), result.with_vcov("CR1")
    np.testing.assert_allclose(small.effects.se, plain.effects.se * np.sqrt(50 / 49), rtol=1e-10)
    assert small.se == pytest.approx(result.se * np.sqrt(50 / 49), rel=1e-10)
    assert small.effects.numbers.df[0] == 49.0
    assert small.ci()[1] - small.ci()[0] > result.ci()[1] - result.ci()[0]


def test_of_several_regressions(states):
    result = ck.LocalProjectionsDiD().fit(states, **LAW)
    with pytest.raises(ck.InferenceUnavailable, match=r"regression of its own.*cluster= at the fit"):
        result.with_vcov("CR1", states["region"].to_numpy())


def test_a_table_of_rows_has_no_clusters_by_itself():
    rng = np.random.default_rng(0)
    table = {"y": rng.normal(size=60), "w": np.arange(60) % 2, "i": np.arange(60), "t": np.arange(60) // 30}
    with pytest.raises(ck.DesignError, match="no cluster to go by"):
        ck.OLS().fit(table, outcome="y", treatment="w").with_vcov("CR1")


@pytest.mark.parametrize("estimator", [ck.StackedDiD(pre_window=2, post_window=1), ck.LocalProjectionsDiD()], ids=name)
def test_averages_by_event_time_say_that_they_are_no_others(estimator, states):
    result = estimator.fit(states, **LAW)
    assert result.aggregate("event_time") is result
    with pytest.raises(ck.InferenceUnavailable, match=r"averages by event time; others need.*CallawaySantAnna"):
        result.aggregate("cohort")
    with pytest.raises(ck.DesignError, match=r"aggregate\('dose'\) is unknown"):
        result.aggregate("dose")
