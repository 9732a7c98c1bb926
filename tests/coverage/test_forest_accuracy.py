"""The causal forest beside R grf 2.6.1 on seven designs: accuracy, coverage, and what local regressions add."""

from __future__ import annotations

import hte_designs as designs
import numpy as np
import pytest

import causalkit as ck

#: Data sets of each design: the five that grf saw, and fresh ones.
REPS = 20


def forest(**configuration):
    def fit(people, seed):
        model = ck.CausalForest(random_state=seed, **configuration)
        return model.fit(people.table, outcome="y", treatment="w", covariates=list(designs.NAMES))

    return fit


def mean_scores(name, reps, **configuration):
    found = [designs.score(name, seed, forest(**configuration)) for seed in range(reps)]
    return np.mean([(s.rmse, s.covered) for s in found], axis=0)


@pytest.mark.parametrize("name", [name for name in designs.GRF if name != "rct"])
def test_the_designs_are_those_that_grf_saw(name):
    """The error of giving everybody the average, on the same five data sets."""
    errors = [designs.error_of_the_average(name, seed) for seed in range(5)]
    assert np.mean(errors) == pytest.approx(designs.GRF[name][2], abs=5.1e-4)


def test_local_regressions_follow_steep_effects():
    for name in ("nwB", "nwD"):
        quick = {"n_trees": 100, "regressor": "linear", "classifier": "linear", "n_folds": 2}
        plain = designs.score(name, 0, forest(**quick), n=1000)
        local = designs.score(name, 0, forest(**quick, local_linear=True), n=1000)
        assert local.rmse < 0.9 * plain.rmse
        assert local.covered > plain.covered


@pytest.mark.long
def test_accuracy_and_coverage_beside_grf():
    ratios = {}
    for name, (rmse, covered, _) in designs.GRF.items():
        own_rmse, own_covered = mean_scores(name, REPS)
        ratios[name] = own_rmse / rmse
        assert own_covered > covered - 0.03
    assert np.mean(list(ratios.values())) < 1.03
    assert max(ratios.values()) < 1.10, ratios


@pytest.mark.long
@pytest.mark.parametrize(("name", "share"), [("nwB", 0.9), ("nwD", 0.75)])
def test_local_regressions_at_length(name, share):
    rmse, covered, _ = designs.GRF[name]
    own_rmse, own_covered = mean_scores(name, REPS, local_linear=True)
    assert own_rmse < share * rmse
    assert own_covered > covered
