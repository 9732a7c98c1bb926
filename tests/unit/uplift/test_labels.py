"""Claims about people: each p-value against its closed form, and the rule from claims to segments."""

from __future__ import annotations

import numpy as np
from scipy import stats

from causalkit.effects.prediction import EffectPrediction
from causalkit.uplift.labels import SEGMENTS, claim_pvalues, label


def _people(baseline, effect, se, df=np.inf):
    n = len(effect)
    return EffectPrediction(
        np.asarray(baseline, float), np.asarray(effect, float), np.full(n, se), np.full(n, se), np.zeros(n), df
    )


def test_claims_are_one_sided_tests():
    p = claim_pvalues(_people([0.9], [0.10], 0.02, df=9.0), tolerance=0.02, margin=0.05, cutoff=0.5)[0]
    np.testing.assert_allclose(p[0], stats.t.sf(4.0, 9), rtol=1e-10)
    np.testing.assert_allclose(p[3], stats.t.sf(-6.0, 9), rtol=1e-10)
    # Not small: the larger of the two one-sided p-values rules.
    np.testing.assert_allclose(p[1], stats.t.sf(-2.5, 9), rtol=1e-10)
    np.testing.assert_allclose(p[2], stats.t.sf(-20.0, 9), rtol=1e-10)


def test_everyone_clear_gets_the_right_name():
    people = _people([0.2, 0.9, 0.1, 0.5, 0.5], [0.3, 0.0, 0.0, -0.3, 0.02], 0.01)
    found = label(claim_pvalues(people, 0.0, 0.05, 0.5), alpha=0.01)
    names = [SEGMENTS[code] for code in found.codes]
    assert names == ["persuadable", "sure_thing", "lost_cause", "sleeping_dog", "undecided"]
    assert (found.pvalue[:4] <= 0.01).all()
    assert found.pvalue[4] > 0.01


def test_a_clear_sign_comes_before_smallness():
    found = label(claim_pvalues(_people([0.9], [0.02], 0.001), 0.0, 0.05, 0.5), alpha=0.05)
    assert SEGMENTS[found.codes[0]] == "persuadable"


def test_without_error_the_sign_decides():
    found = label(claim_pvalues(_people([0.9, 0.9], [0.1, 0.0], 0.0), 0.0, 0.05, 0.5), alpha=0.05)
    assert [SEGMENTS[c] for c in found.codes] == ["persuadable", "sure_thing"]


def test_false_labels_are_few_where_errors_are_independent():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        effect = np.where(np.arange(400) < 100, 0.3, 0.0)
        people = _people(np.full(400, 0.5), effect + 0.1 * rng.normal(size=400), 0.1)
        codes = label(claim_pvalues(people, 0.0, 0.01, 0.5), alpha=0.1).codes
        wrong = ((codes == 0) & (effect <= 0)) | (codes == 3)
        shares.append(wrong.sum() / max((codes != 4).sum(), 1))
    assert np.mean(shares) <= 0.1


def test_yekutieli_decides_about_fewer():
    rng = np.random.default_rng(1)
    people = _people(np.full(300, 0.5), rng.normal(0.1, 0.1, 300), 0.05)
    claims = claim_pvalues(people, 0.0, 0.01, 0.5)
    bh, by = (label(claims, 0.05, m).codes != 4 for m in ("bh", "by"))
    assert by.sum() < bh.sum()
    assert not (by & ~bh).any()
