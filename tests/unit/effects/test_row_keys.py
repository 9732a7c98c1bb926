from __future__ import annotations

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.effects.row_keys import in_schema, locate, row_keys


def test_rows_are_found_in_any_order():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    rows[5, 1] = np.nan
    order = rng.permutation(200)
    assert np.array_equal(locate(row_keys(rows), row_keys(rows[order])), order)
    strangers = rng.normal(size=(7, 3))
    found = locate(row_keys(rows), row_keys(np.vstack([strangers, rows[:3]])))
    assert found.tolist() == [-1] * 7 + [0, 1, 2]


def test_equal_rows_take_turns():
    rows = np.arange(30.0).reshape(30, 1)
    rows[7] = rows[3]
    found = locate(row_keys(rows), row_keys(rows[[7, 0, 3, 3]]))
    assert found.tolist() == [3, 0, 7, 7]


def test_common_rows_tell_nobody_apart():
    rows = np.repeat([[1.0], [2.0]], 10, axis=0)
    assert (locate(row_keys(rows), row_keys(rows)) == -1).all()
    assert locate(row_keys(rows[:0]), row_keys(rows)).tolist() == [-1] * 20


def test_zero_has_no_sign():
    assert row_keys(np.array([[0.0]])) == row_keys(np.array([[-0.0]]))


def test_categories_are_coded_as_the_other_schema_does():
    own = Features(np.array([[0.0, 5.0], [1.0, 6.0], [np.nan, 7.0]]), Schema(("g", "x"), (("a", "b"), None)))
    found = in_schema(own, Schema(("g", "x"), (("b", "a"), None)))
    np.testing.assert_array_equal(found, [[1.0, 5.0], [0.0, 6.0], [np.nan, 7.0]])
