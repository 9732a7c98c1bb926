from __future__ import annotations

import numpy as np
import pytest

from causalkit.nuisance.calibration import _fit_map, _newton, calibrate, softmax


def simulated(n, slope, k=2, seed=0):
    """Codes drawn with log-odds slope * z, and the probabilities softmax(z) of an overconfident (or shy) model."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    truth = softmax(slope * z)
    codes = (rng.random((n, 1)) > truth.cumsum(axis=1)).sum(axis=1).astype(np.int32)
    return softmax(z), truth, codes, (np.arange(n) % 5).astype(np.int32)


def test_the_map_is_the_maximum_likelihood_logit():
    import statsmodels.api as sm

    probabilities, _, codes, _ = simulated(800, 0.5)
    logs = np.log(probabilities)
    intercepts, slope = _newton(logs, codes, np.ones(800), np.zeros(2), 0.0, free=True)
    reference = sm.Logit(codes, sm.add_constant(logs[:, 1] - logs[:, 0])).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose([intercepts[1], slope], reference.params, atol=2e-5)


def test_three_classes_have_a_zero_score():
    probabilities, _, codes, _ = simulated(900, 0.7, k=3)
    logs = np.log(probabilities)
    intercepts, slope = _newton(logs, codes, np.ones(900), np.zeros(3), 0.0, free=True)
    fitted = softmax(intercepts + slope * logs)
    residual = np.eye(3)[codes] - fitted
    np.testing.assert_allclose(residual.sum(axis=0), 0.0, atol=5e-3)
    assert abs((residual * logs).sum()) < 5e-3
    assert slope == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize("k", [2, 3])
def test_an_overconfident_model_is_mended(k):
    probabilities, truth, codes, folds = simulated(4000, 0.4, k)
    mended = calibrate(probabilities, codes, folds)
    np.testing.assert_allclose(mended.sum(axis=1), 1.0, atol=1e-12)
    assert np.sqrt(np.mean((mended - truth) ** 2)) < 0.2 * np.sqrt(np.mean((probabilities - truth) ** 2))


def test_noise_collapses_to_the_shares():
    for seed in range(20):
        probabilities, _, codes, folds = simulated(3000, 0.0, seed=seed)
        assert calibrate(probabilities, codes, folds)[:, 1].std() < 0.02


def test_a_reversed_model_gets_the_share_of_the_other_folds():
    probabilities, _, codes, folds = simulated(1000, -1.0)
    mended = calibrate(probabilities, codes, folds)
    for fold in range(5):
        np.testing.assert_allclose(mended[folds == fold, 1], codes[folds != fold].mean(), atol=1e-12)


def test_a_rows_own_fold_plays_no_part_in_its_map():
    probabilities, _, codes, folds = simulated(1000, 0.8)
    flipped = np.where(folds == 2, 1 - codes, codes).astype(np.int32)
    before, after = calibrate(probabilities, codes, folds), calibrate(probabilities, flipped, folds)
    np.testing.assert_array_equal(before[folds == 2], after[folds == 2])
    assert not np.allclose(before[folds != 2], after[folds != 2])


def test_separated_classes_stay_finite():
    codes = np.repeat([0, 1], 50).astype(np.int32)
    probabilities = np.where(np.arange(2) == codes[:, None], 0.9, 0.1)
    mended = calibrate(probabilities, codes, (np.arange(100) % 5).astype(np.int32))
    assert np.isfinite(mended).all()
    assert mended[np.arange(100), codes].min() > 0.99


def test_weights_count_as_repetition():
    probabilities, _, codes, _ = simulated(300, 0.8)
    weight = np.random.default_rng(1).integers(0, 3, size=300)
    rows = np.repeat(np.arange(300), weight)
    logs = np.log(probabilities)
    weighted = _fit_map(logs, codes, weight.astype(float))
    repeated = _fit_map(logs[rows], codes[rows], np.ones(len(rows)))
    np.testing.assert_allclose(weighted[0], repeated[0], atol=1e-8)
    assert weighted[1] == pytest.approx(repeated[1], abs=1e-8)
