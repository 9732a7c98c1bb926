from __future__ import annotations

from math import comb

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.inference.randomization import randomization_test


def difference(y):
    return lambda codes: y[codes == 1].mean() - y[codes == 0].mean()


def test_fisher_exact():
    """Lady tasting tea: 2 x 2 table with margins fixed is Fisher's exact test."""
    from scipy import stats

    y = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0], dtype=float)
    treatment = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=np.int32)
    for alternative in ("greater", "less"):
        ours = randomization_test(difference(y), treatment, alternative=alternative)
        table = [[3, 1], [1, 4]]
        assert ours.pvalue == pytest.approx(stats.fisher_exact(table, alternative=alternative).pvalue, rel=1e-12)
        assert ours.exact
        assert ours.n_draws == comb(9, 4)
        assert ours.monte_carlo_error == 0.0


def test_matches_scipy_permutation_test():
    from scipy import stats

    rng = np.random.default_rng(0)
    y = rng.normal(size=11)
    treatment = (np.arange(11) < 5).astype(np.int32)
    ours = randomization_test(difference(y), treatment)
    reference = stats.permutation_test(
        (y[:5], y[5:]), lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=np.inf
    )
    assert ours.pvalue == pytest.approx(reference.pvalue, rel=1e-12)
    assert ours.n_draws == comb(11, 5)


def test_every_assignment_once():
    seen = []
    treatment = np.array([0, 1, 2, 0, 1, 1, 0], dtype=np.int32)
    strata = np.array([0, 0, 0, 0, 1, 1, 1], dtype=np.int32)
    randomization_test(lambda codes: seen.append(tuple(codes)) or 0.0, treatment, strata=strata)
    assert len(seen) - 1 == len(set(seen)) == 12 * 3
    for codes in seen:
        assert sorted(codes[:4]) == [0, 0, 1, 2]
        assert sorted(codes[4:]) == [0, 1, 1]


def test_clusters_move_together():
    groups = np.array([5, 5, 2, 2, 2, 9], dtype=np.int32)
    treatment = np.array([1, 1, 0, 0, 0, 0], dtype=np.int32)
    seen = []
    ours = randomization_test(lambda codes: seen.append(tuple(codes)) or 1.0, treatment, groups=groups)
    assert ours.n_draws == 3
    assert set(seen) == {(1, 1, 0, 0, 0, 0), (0, 0, 1, 1, 1, 0), (0, 0, 0, 0, 0, 1)}
    assert ours.pvalue == 1.0


def test_draws():
    rng = np.random.default_rng(1)
    y, treatment = rng.normal(size=40), (np.arange(40) % 2).astype(np.int32)
    ours = randomization_test(difference(y), treatment, n_draws=499, random_state=3)
    assert not ours.exact
    assert ours.n_draws == 499
    assert ours == randomization_test(difference(y), treatment, n_draws=499, random_state=3)
    assert (ours.pvalue * 500) % 1 == pytest.approx(0.0, abs=1e-9)
    assert ours.monte_carlo_error > 0
    reached = randomization_test(lambda codes: 1e9 * (codes == treatment).all(), treatment, n_draws=99, random_state=0)
    assert reached.pvalue == 1 / 100


def test_many_rows_are_counted_quickly():
    treatment = (np.arange(200_000) % 3).astype(np.int32)
    ours = randomization_test(lambda codes: float(codes[0]), treatment, n_draws=9, random_state=0)
    assert not ours.exact


def test_exact_and_drawn_agree():
    y, treatment = np.random.default_rng(2).normal(size=14), (np.arange(14) < 7).astype(np.int32)
    exact = randomization_test(difference(y), treatment)
    drawn = randomization_test(difference(y), treatment, n_draws=4000, max_exact=10, random_state=0)
    assert abs(exact.pvalue - drawn.pvalue) < 4 * drawn.monte_carlo_error


def test_ties_up_to_rounding_count():
    y = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    treatment = np.array([1, 1, 1, 0, 0, 0], dtype=np.int32)
    shifted = randomization_test(lambda codes: difference(y)(codes) + 1e-17, treatment)
    integers = randomization_test(difference(np.array([1.0, 2, 3, 1, 2, 3])), treatment)
    assert integers.pvalue == 1.0
    assert randomization_test(difference(y), treatment[::-1].copy()).pvalue == pytest.approx(1.0)
    assert shifted.n_draws == 20


def test_undefined_statistics_count_as_extreme():
    treatment = np.array([1, 0, 0, 0], dtype=np.int32)
    ours = randomization_test(lambda codes: 5.0 if codes[0] else np.nan if codes[1] else 0.0, treatment)
    assert (ours.pvalue, ours.n_undefined) == (0.5, 1)
    with pytest.raises(InferenceUnavailable, match="NaN"):
        randomization_test(lambda codes: np.nan, treatment)


def test_refusals():
    treatment = np.array([0, 1, 1, 0], dtype=np.int32)
    with pytest.raises(DataError, match="varies within a cluster in 1 rows, the first is row 1"):
        randomization_test(difference(treatment), treatment, groups=np.array([0, 0, 1, 2], dtype=np.int32))
    with pytest.raises(DataError, match="stratum codes"):
        randomization_test(difference(treatment), treatment, strata=np.zeros(3, dtype=np.int32))
    with pytest.raises(DesignError, match="two arms"):
        randomization_test(difference(treatment), treatment, strata=np.array([0, 1, 1, 0], dtype=np.int32))
    with pytest.raises(DesignError, match="alternative"):
        randomization_test(difference(treatment), treatment, alternative="both")


def test_statistic_cannot_write():
    def vandal(codes):
        codes[:] = 0
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        randomization_test(vandal, np.array([0, 1], dtype=np.int32))
