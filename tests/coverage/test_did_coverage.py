"""Coverage of 95 % intervals, and size of tests of parallel trends, where trends are parallel and the effect is known.

Bounds are the nominal level with three binomial standard errors; where the theory promises nothing (few clusters) the test
holds the level that docs/coverage.md tells. The long versions print the rows of its tables.
"""

from __future__ import annotations

import numpy as np
import pytest
from did_designs import EFFECT, clustered_panel

import causalkit as ck

ESTIMATORS = {
    "CallawaySantAnna": ck.CallawaySantAnna(base_period="universal"),
    "SunAbraham": ck.SunAbraham(),
    "ImputationDiD": ck.ImputationDiD(),
    "TwoStageDiD": ck.TwoStageDiD(),
    "TWFE": ck.TWFE(),
}
#: Estimators whose intervals have no small-sample factor; ``with_vcov("CR1")`` gives them one.
NORMAL = ("CallawaySantAnna", "ImputationDiD", "TwoStageDiD")
STAGGERED = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}
CLUSTERED = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "start", "cluster": "state"}


def many_units(n, runs, seed=0):
    """Return coverage by estimator, and the share of pre-tests that reject (all cells, by Wald and by the check; by event time)."""
    covered = dict.fromkeys(ESTIMATORS, 0)
    rejected = {"cells": 0, "check": 0, "event_time": 0, "leads": 0}
    for run in range(runs):
        data = ck.datasets.staggered_rollout(n, heterogeneity=0.0, effect=0.1, n_regions=n, random_state=seed + run)
        for name, estimator in ESTIMATORS.items():
            result = estimator.fit(data, **STAGGERED)
            low, high = result.ci()
            covered[name] += low <= 0.1 <= high
            if name == "CallawaySantAnna":
                rejected["cells"] += result.pre_trends().pvalue < 0.05
                rejected["check"] += result.checks["pre_trends"].pvalue < 0.05
                rejected["event_time"] += result.aggregate("event_time").pre_trends().pvalue < 0.05
            if name == "ImputationDiD":
                rejected["leads"] += result.pre_trends().pvalue < 0.05
    return {name: count / runs for name, count in covered.items()}, {k: v / runs for k, v in rejected.items()}


def few_clusters(n_clusters, runs, seed=0):
    """Return coverage by estimator, size of the pre-test, and size of the wild bootstrap and randomization tests."""
    covered = dict.fromkeys((*ESTIMATORS, "TWFE, CR3", *(f"{name}, CR1" for name in NORMAL)), 0)
    rejected = {"pre_trends": 0, "wild": 0, "randomization": 0}
    for run in range(runs):
        rng = np.random.default_rng(seed + run)
        data = clustered_panel(rng, n_clusters)
        for name, estimator in {**ESTIMATORS, "TWFE, CR3": ck.TWFE(vcov="CR3")}.items():
            result = estimator.fit(data, **CLUSTERED)
            low, high = result.ci()
            covered[name] += low <= EFFECT <= high
            if name in NORMAL:
                low, high = result.with_vcov("CR1").ci()
                covered[f"{name}, CR1"] += low <= EFFECT <= high
            if name == "SunAbraham":
                rejected["pre_trends"] += result.pre_trends().pvalue < 0.05
        plain = ck.TWFE().fit(data, **CLUSTERED)
        rejected["wild"] += (
            ck.did.wild_cluster_bootstrap(plain, null=EFFECT, n_boot=199, random_state=run).pvalue < 0.05
        )
        if n_clusters >= 10:  # with five there are too few assignments for a p-value of .05
            dealt = ck.TWFE().fit(_by_state(data), outcome="y", unit="state", time="time", cohort="start")
            found = ck.did.randomization_inference(dealt, n_draws=199, max_exact=2000, random_state=run)
            rejected["randomization"] += found.pvalue <= 0.05
    return {name: count / runs for name, count in covered.items()}, {k: v / runs for k, v in rejected.items()}


def _by_state(data):
    """Return means by state and year without the effect: states are what treatment was dealt out among."""
    on = (data["start"] > 0) & (data["time"] >= data["start"])
    still = data.assign(y=data["y"] - EFFECT * on)
    return still.groupby(["state", "time", "start"], as_index=False)["y"].mean()


def _margin(level, runs):
    return 3 * np.sqrt(level * (1 - level) / runs)


def test_intervals_cover_with_two_hundred_units():
    runs = 60
    covered, rejected = many_units(200, runs)
    for name, share in covered.items():
        assert share >= 0.95 - _margin(0.05, runs), name
    assert rejected["leads"] <= 0.05 + _margin(0.05, runs)
    assert rejected["check"] <= 0.05 + _margin(0.05, runs)


def test_the_wild_bootstrap_and_randomization_hold_their_level_with_ten_clusters():
    runs = 40
    _, rejected = few_clusters(10, runs)
    assert rejected["wild"] <= 0.05 + _margin(0.05, runs)
    assert rejected["randomization"] <= 0.05 + _margin(0.05, runs)


@pytest.mark.long
@pytest.mark.parametrize("n", [200, 500, 2000])
def test_many_units(n, capsys):
    runs = 500
    covered, rejected = many_units(n, runs, seed=10_000)
    with capsys.disabled():
        print(n, covered, rejected)
    for name, share in covered.items():
        assert abs(share - 0.95) <= _margin(0.05, runs), name


@pytest.mark.long
@pytest.mark.parametrize("n_clusters", [5, 10, 20, 50])
def test_few_clusters(n_clusters, capsys):
    runs = 400
    covered, rejected = few_clusters(n_clusters, runs, seed=20_000)
    with capsys.disabled():
        print(n_clusters, covered, rejected)
    assert covered["TWFE, CR3"] >= covered["TWFE"] >= covered["CallawaySantAnna"] - 0.02
    for name in NORMAL:  # what the check few_clusters advises
        assert covered[f"{name}, CR1"] >= covered[name]
        assert covered[f"{name}, CR1"] >= (0.93 if n_clusters >= 20 else 0.85) - _margin(0.05, runs)
    assert rejected["wild"] <= 0.05 + _margin(0.05, runs)
