from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.gates import calibration, group_effects


def draw(n: int = 400, seed: int = 0) -> tuple[Floats, Floats, Floats, Codes]:
    rng = np.random.default_rng(seed)
    priority = rng.normal(size=n)
    groups = (np.arange(n) // 5).astype(np.int32)
    scores = np.exp(0.5 * priority) + rng.normal(size=n) + rng.normal(size=n // 5)[groups]
    return scores, priority, rng.uniform(0.2, 2.0, n), groups


def test_group_means_without_ties() -> None:
    scores, priority, _, _ = draw()
    result = group_effects(scores, priority, 4)
    ranked = np.argsort(-priority).reshape(4, 100)
    assert result.value == pytest.approx(scores[ranked].mean(axis=1), abs=1e-12)
    assert result.mean_priority == pytest.approx(priority[ranked].mean(axis=1), abs=1e-12)
    assert result.upper == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_tied_block_is_shared_between_groups() -> None:
    scores = np.array([6.0, 3.0, 0.0, 3.0, 0.0, 0.0])
    priority = np.array([3.0, 2.0, 2.0, 2.0, 1.0, 1.0])
    # the three tied units have mean 2: two of them go to the first half
    assert group_effects(scores, priority, 2).value == pytest.approx([(6 + 2 + 2) / 3, (2 + 0 + 0) / 3])


def test_groups_average_to_the_mean_effect_with_its_variance() -> None:
    scores, priority, weights, groups = draw()
    result = group_effects(scores, np.round(priority, 1), 5, weights, groups)
    line = calibration(scores, np.round(priority, 1), weights, groups)
    assert result.value.mean() == pytest.approx(np.average(scores, weights=weights), abs=1e-13)
    n = scores.size
    assert result.vcov.mean() == pytest.approx(line.vcov[0, 0] * (n - 2) / (n - 1), rel=1e-10)


def test_group_errors_match_the_spread_over_samples() -> None:
    values, errors = [], []
    for seed in range(500):
        scores, priority, weights, groups = draw(seed=seed)
        result = group_effects(scores, priority, 4, weights, groups)
        values.append(result.value)
        errors.append(result.se)
    assert np.mean(errors, axis=0) == pytest.approx(np.std(values, axis=0), rel=0.1)


@pytest.mark.parametrize("clustered", [False, True])
def test_calibration_is_weighted_least_squares(clustered: bool) -> None:
    scores, priority, weights, groups = draw()
    result = calibration(scores, priority, weights, groups if clustered else None)
    x = priority - np.average(priority, weights=weights)
    model = sm.WLS(scores, sm.add_constant(x), weights=weights)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups}) if clustered else model.fit(cov_type="HC1")
    assert [result.mean, result.slope] == pytest.approx(fit.params, rel=1e-10)
    assert result.se[1] == pytest.approx(fit.bse[1], rel=1e-10)
    # the mean priority is estimated too: the mean has the error of a plain mean of the scores
    mean = sm.WLS(scores, np.ones(400), weights=weights)
    fit = mean.fit(cov_type="cluster", cov_kwds={"groups": groups}) if clustered else mean.fit(cov_type="HC1")
    assert result.se[0] == pytest.approx(fit.bse[0] * np.sqrt(399 / 398), rel=1e-10)


def test_calibration_of_the_true_effect_has_slope_one() -> None:
    rng = np.random.default_rng(1)
    effect = rng.normal(1.0, 0.5, 5000)
    result = calibration(effect + rng.normal(size=5000), effect)
    assert abs(result.slope - 1.0) < 3 * result.se[1]
    assert abs(result.mean - 1.0) < 3 * result.se[0]


def test_errors() -> None:
    scores, priority, _, _ = draw()
    with pytest.raises(InferenceUnavailable, match="priorities differ"):
        calibration(scores, np.ones(scores.size))
    for count in (1, 101):
        with pytest.raises(DesignError, match=f"n_quantiles={count}"):
            group_effects(scores, priority, count)
