from __future__ import annotations

import numpy as np
import pytest

from causalkit.linear.rank import collinear_reason, select_columns, select_from_gram


def columns(seed=0, n=60):
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal((3, n))
    table = np.column_stack([a, b, a - 2 * b, c, c])
    return table / np.linalg.norm(table, axis=0)


@pytest.mark.parametrize("by", ["columns", "triangle", "gram"])
def test_the_later_of_collinear_columns_goes(by):
    table = columns()
    if by == "gram":
        selection = select_from_gram(table.T @ table, 1e-6)
    else:
        matrix = table if by == "columns" else np.linalg.qr(table)[1]
        selection = select_columns(matrix, np.full(5, 1e-9))
    np.testing.assert_array_equal(selection.kept, [0, 1, 3])
    assert selection.relations == {2: [0, 1], 4: [3]}


@pytest.mark.parametrize(("size", "kept"), [(1e-8, 2), (1e-10, 1)])
def test_the_tolerance_is_on_what_a_column_adds(size, kept):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((50, 2)))[0]
    table = np.column_stack([basis[:, 0], basis[:, 0] + size * basis[:, 1]])
    assert select_columns(table, np.full(2, 1e-9)).kept.size == kept


def test_a_combination_of_nearly_equal_columns_is_found():
    """One orthogonalisation alone would leave 1e-9 or more of the last column."""
    rng = np.random.default_rng(0)
    v, *u = np.linalg.qr(rng.standard_normal((60, 6)))[0].T
    near = np.column_stack([v, *(v + 1e-7 * other for other in u)])
    near /= np.linalg.norm(near, axis=0)
    last = near @ np.array([1.0, -2.0, 3.0, 1.0, -1.0, 2.0])
    table = np.column_stack([near, last / np.linalg.norm(last)])
    selection = select_columns(table, np.full(7, 1e-9))
    assert selection.kept.tolist() == [0, 1, 2, 3, 4, 5]
    difference = select_columns(np.column_stack([near, near[:, 1] - near[:, 2]]), np.full(7, 1e-14)).kept
    assert difference.tolist() == [0, 1, 2, 3, 4, 5]


def test_no_more_columns_than_rows():
    table = np.random.default_rng(0).standard_normal((3, 5))
    assert select_columns(table, np.full(5, 1e-9)).kept.tolist() == [0, 1, 2]


def test_reasons():
    assert collinear_reason([]) == "zero in every row"
    assert collinear_reason(["a", "b"]) == "collinear with a, b"
    assert collinear_reason([f"x{j}" for j in range(8)]) == "collinear with x0, x1, x2, x3, x4 and 3 more"
