from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from causalkit.linear.solve import solve_columns


def exact_slopes(rows, target):
    """Solve the normal equations in rational arithmetic."""
    k = rows.shape[0]
    X = [[Fraction(float(value)) for value in row] for row in rows]
    y = [Fraction(float(value)) for value in target]
    system = [[sum(a * b for a, b in zip(X[i], X[j], strict=True)) for j in range(k)] for i in range(k)]
    right = [sum(a * b for a, b in zip(X[i], y, strict=True)) for i in range(k)]
    for i in range(k):
        for j in range(k):
            if j != i:
                share = system[j][i] / system[i][i]
                system[j] = [a - share * b for a, b in zip(system[j], system[i], strict=True)]
                right[j] -= share * right[i]
    return np.array([float(right[i] / system[i][i]) for i in range(k)])


@pytest.mark.parametrize(("gap", "factorisation"), [(1.0, "cholesky"), (3e-3, "cholesky"), (1e-4, "qr"), (1e-7, "qr")])
def test_slopes_are_accurate_however_close_the_columns_are(gap, factorisation):
    rng = np.random.default_rng(0)
    a, b, noise = rng.standard_normal((3, 30))
    rows = np.stack([a, a + gap * b, b])[:2]
    target = rows[0] - rows[1] + noise
    norms = np.linalg.norm(rows, axis=1)
    found = solve_columns(np.vstack([target, rows]), norms, norms)
    assert found.factorisation == factorisation
    expected = exact_slopes(rows, target)
    np.testing.assert_allclose(found.coefficients, expected, rtol=4e-15 / gap)
    np.testing.assert_allclose(found.residuals, target - expected @ rows, atol=1e-12)
    np.testing.assert_allclose(found.bread @ (rows @ rows.T), np.eye(2), atol=1e-10 / gap**2)


@pytest.mark.parametrize("units", [1e-9, 1e9])
def test_units_change_neither_rank_nor_factorisation(units):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 40))
    rows[2] = rows[0] + rows[1]
    target = rng.standard_normal(40)
    scale = np.array([units, 1.0, 1.0])
    norms = np.linalg.norm(rows, axis=1)
    plain = solve_columns(np.vstack([target, rows]), norms, norms)
    scaled = solve_columns(np.vstack([target, rows * scale[:, None]]), norms * scale, norms * scale)
    np.testing.assert_array_equal(plain.kept, [0, 1])
    np.testing.assert_array_equal(scaled.kept, [0, 1])
    np.testing.assert_allclose(scaled.coefficients * scale[:2], plain.coefficients, rtol=1e-12)


def test_columns_with_nothing_left_are_empty():
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.standard_normal(20), 1e-12 * rng.standard_normal(20), np.zeros(20)])
    found = solve_columns(np.vstack([rng.standard_normal(20), rows]), np.ones(3), np.ones(3))
    assert found.empty == (1, 2)
    np.testing.assert_array_equal(found.kept, [0])
