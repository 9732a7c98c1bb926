from __future__ import annotations

import numpy as np
import pytest

from causalkit.kernels.normal import (
    cross_products,
    influence_values,
    residuals_and_scores,
    table_products,
    table_scores,
    table_values,
)


@pytest.mark.parametrize("k", [1, 3, 12, 20])
@pytest.mark.parametrize("n", [1, 5000])
def test_products_of_columns(k, n):
    rng = np.random.default_rng(k)
    rows, target, slopes = rng.standard_normal((k, n)), rng.standard_normal(n), rng.standard_normal(k)
    np.testing.assert_allclose(cross_products(rows), rows @ rows.T, atol=1e-11)
    residuals, scores = residuals_and_scores(target, rows, slopes)
    np.testing.assert_allclose(residuals, target - slopes @ rows, atol=1e-13)
    np.testing.assert_allclose(scores, rows @ (target - slopes @ rows), atol=1e-10)
    bread = rng.standard_normal((k, k))
    expected = (rows.T * target[:, None]) @ bread
    np.testing.assert_allclose(influence_values(rows.T, target, bread), expected, atol=1e-12)


@pytest.mark.parametrize("levels", [10, 80])
def test_products_with_a_table(levels):
    rng = np.random.default_rng(levels)
    table = rng.poisson(0.4, (300, levels)).astype(float)
    tall, wide = rng.standard_normal((300, 3)), rng.standard_normal((levels, 3))
    np.testing.assert_allclose(table_scores(table, tall.T.copy()), (table.T @ tall).T, atol=1e-11)
    np.testing.assert_allclose(table_values(table, wide.T.copy()), (table @ wide).T, atol=1e-11)
    totals = rng.uniform(1.0, 2.0, 300)
    np.testing.assert_allclose(table_products(table, totals), table.T @ (table / totals[:, None]), atol=1e-11)


def test_no_columns():
    residuals, scores = residuals_and_scores(np.arange(3.0), np.empty((0, 3)), np.empty(0))
    np.testing.assert_array_equal(residuals, np.arange(3.0))
    assert scores.size == 0
