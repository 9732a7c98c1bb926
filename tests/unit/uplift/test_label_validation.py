"""Labels stay only as far as held-out scores bear them out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causalkit.effects.prediction import EffectPrediction
from causalkit.uplift.label_validation import kept_labels, parts_of
from causalkit.uplift.labels import claim_pvalues, label


def _predicted(effect, se):
    n = len(effect)
    return EffectPrediction(np.zeros(n), effect, np.full(n, 0.1), np.full(n, se), np.zeros(n), np.inf)


def _labelled(effect, scores, se=0.01, variance=1.0, **more):
    p = _predicted(effect, se)
    first = label(claim_pvalues(p, 0.0, 0.05, 0.5), 0.05)
    parts = {code: parts_of(code, p, scores, np.zeros(len(effect)), 0.0, 0.05, 0.5) for code in range(4)}
    return first, kept_labels(first, parts, 0.05, variance, **more)


@pytest.fixture
def smooth_over_a_step():
    """Predicted effects fall along a line; the true effect is one for the first half and nothing for the rest."""
    rng = np.random.default_rng(0)
    effect = np.linspace(1.0, 0.1, 2000)
    truth = np.where(np.arange(2000) < 1000, 1.0, 0.0)
    return effect, truth, truth + rng.normal(size=2000)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_labels_end_where_the_effect_does(smooth_over_a_step, sign):
    effect, truth, scores = smooth_over_a_step
    first, kept = _labelled(sign * effect, sign * scores)
    code = 0 if sign > 0 else 3
    assert (first.codes == code).all()
    decided = kept.codes == code
    assert decided[truth > 0].mean() > 0.95
    assert decided[truth == 0].mean() < 0.1
    assert (kept.pvalue[decided] <= 0.05).all()
    assert (kept.pvalue[~decided] > 0.05).all()


def test_a_segment_that_is_contradicted_is_not_shown():
    rng = np.random.default_rng(1)
    _, kept = _labelled(np.full(500, 0.3), -0.3 + rng.normal(size=500))
    assert (kept.codes == 4).all()


def test_one_slice_is_a_t_test():
    scores = 0.2 + np.random.default_rng(2).normal(size=400)
    _, kept = _labelled(np.full(400, 0.2), scores)
    exact = stats.ttest_1samp(scores, 0.0, alternative="greater").pvalue
    np.testing.assert_allclose(kept.pvalue, 2 * exact, rtol=1e-9)


def test_doubled_variance_and_clusters_are_more_careful():
    scores = 0.1 + np.repeat(np.random.default_rng(3).normal(size=100), 4)
    _, plain = _labelled(np.full(400, 0.2), scores)
    _, doubled = _labelled(np.full(400, 0.2), scores, variance=2.0)
    _, clustered = _labelled(np.full(400, 0.2), scores, groups=np.repeat(np.arange(100), 4).astype(np.int32))
    assert plain.pvalue[0] < doubled.pvalue[0]
    exact = stats.ttest_1samp(scores[::4], 0.0, alternative="greater").pvalue
    assert clustered.pvalue[0] == pytest.approx(2 * exact, rel=1e-9)


def test_a_weight_counts_people():
    rng = np.random.default_rng(4)
    scores = np.where(np.arange(600) < 300, -1.0, 1.0) + rng.normal(size=600)
    weights = np.where(np.arange(600) < 300, 0.2, 1.8)
    _, plain = _labelled(np.full(600, 0.2), scores)
    _, weighted = _labelled(np.full(600, 0.2), scores, weights=weights)
    assert (plain.codes == 4).all()
    assert (weighted.codes == 0).all()
