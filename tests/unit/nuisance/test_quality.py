from __future__ import annotations

import numpy as np
import pytest

from causalkit.nuisance.quality import area_under_curve, discrimination, log_loss_skill, r_squared


def test_against_scikit_learn():
    from sklearn.metrics import log_loss, r2_score, roc_auc_score

    rng = np.random.default_rng(0)
    y, w = rng.normal(size=200), rng.random(200)
    guess = y + rng.normal(size=200)
    assert r_squared(y, guess, w) == pytest.approx(r2_score(y, guess, sample_weight=w), abs=1e-12)
    codes = rng.integers(2, size=200).astype(np.int32)
    score = np.round(0.4 + 0.2 * codes + 0.2 * rng.random(200), 2)
    assert area_under_curve(score, codes == 1) == pytest.approx(roc_auc_score(codes, score), abs=1e-12)
    share = np.full(200, np.average(codes, weights=w))
    ratio = log_loss(codes, score, sample_weight=w) / log_loss(codes, share, sample_weight=w)
    assert log_loss_skill(codes, np.column_stack([1 - score, score]), w) == pytest.approx(1 - ratio, abs=1e-12)


def test_edges():
    assert r_squared(np.full(5, 3.0), np.full(5, 3.0)) == 0.0
    assert log_loss_skill(np.zeros(5, dtype=np.int32), np.tile([0.9, 0.1], (5, 1))) == 0.0
    assert np.isnan(area_under_curve(np.arange(3.0), np.ones(3, dtype=bool)))


def test_fold_shares_do_not_enter_discrimination():
    codes = np.array([0, 0, 1, 0, 1, 1], dtype=np.int32)
    folds = np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    out_of_fold = np.where(folds == 0, 2 / 3, 1 / 3)  # each fold gets the share of the other: pooled, worse than chance
    assert area_under_curve(out_of_fold, codes == 1) < 0.5
    assert discrimination(np.column_stack([1 - out_of_fold, out_of_fold]), codes, folds) == 0.5
