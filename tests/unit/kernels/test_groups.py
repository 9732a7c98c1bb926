from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from causalkit.kernels.groups import (
    compact_codes,
    connected_components,
    factorize_integers,
    group_sums,
    is_nested,
    singleton_rows,
)


@pytest.mark.parametrize(
    "values",
    [
        [5, 3, 5, 9],
        [-4, 10, -4, 0],
        [0, 2**60, -(2**60), 0],
        [7],
    ],
)
def test_factorize_integers_agrees_with_numpy(values):
    codes, labels = factorize_integers(np.array(values))
    expected_labels, expected = np.unique(values, return_inverse=True)
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(labels, expected_labels)


def test_factorize_integers_of_nothing():
    codes, labels = factorize_integers(np.array([], dtype=np.int64))
    assert codes.size == labels.size == 0


def test_compact_codes_removes_levels_without_rows():
    codes, sizes = compact_codes(np.array([4, 0, 4, 7], dtype=np.int32))
    np.testing.assert_array_equal(codes, [1, 0, 1, 2])
    np.testing.assert_array_equal(sizes, [1, 2, 1])


def test_compact_codes_keeps_an_array_that_is_compact():
    given = np.array([1, 0, 1], dtype=np.int32)
    codes, sizes = compact_codes(given)
    assert codes is given
    np.testing.assert_array_equal(sizes, [1, 2])


def test_group_sums_of_columns():
    sums = group_sums(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]), np.array([1, 0, 1], dtype=np.int32), 3)
    np.testing.assert_array_equal(sums, [[2.0, 20.0], [5.0, 50.0], [0.0, 0.0]])


@pytest.mark.parametrize("seed", range(5))
def test_connected_components_agree_with_networkx(seed):
    rng = np.random.default_rng(seed)
    left, right = compact_codes(rng.integers(0, 30, 40))[0], compact_codes(rng.integers(0, 25, 40))[0]
    labels, count = connected_components(left, right, left.max() + 1, right.max() + 1)
    graph = nx.Graph([(("l", a), ("r", b)) for a, b in zip(left.tolist(), right.tolist(), strict=True)])
    expected = list(nx.connected_components(graph))
    assert count == len(expected)
    for part in expected:
        assert len({labels[node] for side, node in part if side == "r"}) == 1


def test_nesting():
    inner, outer = np.array([0, 0, 1, 2], dtype=np.int32), np.array([0, 0, 1, 1], dtype=np.int32)
    assert is_nested(inner, outer, 3)
    assert not is_nested(outer, inner, 2)


def test_singletons_are_found_repeatedly():
    unit = np.array([0, 0, 1, 1, 2], dtype=np.int32)
    time = np.array([0, 1, 0, 1, 2], dtype=np.int32)
    np.testing.assert_array_equal(singleton_rows([unit, time]), [False] * 4 + [True])
    chain_unit, chain_time = np.array([0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 1, 2], dtype=np.int32)
    assert singleton_rows([chain_unit, chain_time]).all()
    np.testing.assert_array_equal(singleton_rows([chain_unit, chain_time], recursive=False), [True, False, False, True])
