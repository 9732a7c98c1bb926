from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.inference.multiplicity import adjust_pvalues, romano_wolf


@pytest.mark.parametrize("method", ["holm", "bonferroni", "bh", "by"])
def test_nan_is_kept_and_not_counted(method):
    p = np.array([0.01, np.nan, 0.2, 0.03])
    adjusted = adjust_pvalues(p, method)
    assert np.isnan(adjusted[1])
    np.testing.assert_array_equal(np.delete(adjusted, 1), adjust_pvalues(np.delete(p, 1), method))
    assert adjust_pvalues([], method).size == 0
    assert np.isnan(adjust_pvalues([np.nan], method)).all()


def test_refusals():
    with pytest.raises(DataError, match="position 1"):
        adjust_pvalues([0.1, 1.2])
    with pytest.raises(DesignError, match="Unknown adjustment"):
        adjust_pvalues([0.1], "sidak")
    with pytest.raises(DataError, match="shape"):
        romano_wolf(np.ones(2), np.ones((5, 3)))
    with pytest.raises(DataError, match="NaN"):
        romano_wolf(np.ones(2), np.full((5, 2), np.nan))
    with pytest.raises(DataError, match="no draws"):
        romano_wolf(np.ones(2), np.empty((0, 2)))


def test_romano_wolf_by_hand():
    draws = np.array([[0.1, 2.5, 0.3], [1.1, 0.2, -3.5], [0.4, 0.1, 0.2]])
    adjusted = romano_wolf(np.array([1.0, -3.0, 0.25]), draws)
    # Largest first: |-3| against all three columns, then 1.0 against columns 0 and 2, then 0.25 against column 2.
    np.testing.assert_allclose(adjusted, [2 / 4, 2 / 4, 3 / 4])


def test_romano_wolf_one_hypothesis_and_nan():
    draws = np.random.default_rng(0).normal(size=(99, 1))
    count = np.count_nonzero(np.abs(draws) >= 1.3)
    assert romano_wolf(np.array([1.3]), draws)[0] == (1 + count) / 100
    both = romano_wolf(np.array([1.3, np.nan]), np.column_stack([draws, np.full(99, np.nan)]))
    assert both[0] == (1 + count) / 100
    assert np.isnan(both[1])


def test_romano_wolf_beats_holm_under_dependence():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(1999, 1)) + 0.1 * rng.normal(size=(1999, 6))
    statistics = np.array([2.6, 2.5, 2.4, 2.3, 0.3, 0.1])
    single = np.array([(1 + np.count_nonzero(np.abs(draws[:, j]) >= statistics[j])) / 2000 for j in range(6)])
    adjusted = romano_wolf(statistics, draws)
    assert (adjusted >= single).all()
    assert (adjusted[:4] < adjust_pvalues(single)[:4]).all()
