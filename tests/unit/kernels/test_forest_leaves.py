from __future__ import annotations

import numpy as np

from causalkit.kernels.forest_leaves import climb, compact, find_leaves, mark_leaves, pack, prune

#        0
#      1   2        splits: 0 on covariate 0 at 3, 1 on covariate 1 at 5, 4 on covariate 0 at 1
#    3  4
#      5  6
FEATURE = np.array([0, 1, -1, -1, 0, -1, -1], np.int32)
THRESHOLD = np.array([3, 5, 0, 0, 1, 0, 0], np.int32)
CHILD = np.array([1, 3, 0, 0, 5, 0, 0], np.int32)
MISSING_LEFT = np.array([True, False, False, False, False, False, False])
SETS = np.zeros((0, 4), np.uint64)
NUMBERS = np.zeros(2, bool)
CODES = np.array([[4, 0, 0, 2, 255, 255], [0, 5, 6, 6, 6, 255]], np.uint8)


def tree():
    return [a.copy() for a in (FEATURE, THRESHOLD, CHILD, MISSING_LEFT)]


def find(arrays, sets, kind, roots, codes):
    feature, threshold, child, missing_left = arrays
    n, m = len(feature), codes.shape[1]
    words, set_of, levels = np.empty(n, np.uint64), np.zeros(n, np.int32), np.zeros(len(roots), np.int32)
    pack(feature, threshold, child, missing_left, kind, words, set_of, levels, np.zeros(n, np.int32))
    rows = np.ascontiguousarray(np.vstack([codes, codes + np.uint8(1)]).T)
    out, marks = np.empty((len(roots), m), np.int32), np.zeros((n // 64 + 1, 2), np.uint64)
    mark_leaves(words, marks)
    find_leaves(rows, words, marks, set_of, sets, roots, levels, out)
    return np.where(out >= 0, np.flatnonzero(feature < 0)[out], -1), levels  # nodes


def leaves(arrays, codes=CODES):
    out, _ = find(arrays, SETS, NUMBERS, np.array([0, -1], np.int32), codes)
    assert (out[1] == -1).all()
    return out[0].tolist()


def seen_by_arms(leaf, arms, feature, child):
    counts = np.zeros((7, 2))
    np.add.at(counts, (leaf, arms), 1.0)
    climb(counts, feature, child)
    return (counts > 0).all(axis=1)


def test_rows_find_their_leaves():
    assert leaves(tree()) == [2, 3, 5, 6, 6, 6]


def test_categories_follow_their_set():
    sets = np.zeros((1, 4), np.uint64)
    sets[0, 0] = 1 << 2
    sets[0, 3] = 1 << 63  # 255, the missing values
    arrays = np.array([0, -1, -1], np.int32), np.zeros(3, np.int32), np.array([1, 0, 0], np.int32), np.zeros(3, bool)
    out, levels = find(arrays, sets, np.ones(1, bool), np.zeros(1, np.int32), np.array([[2, 3, 255, 66]], np.uint8))
    assert levels.tolist() == [1]
    assert out.tolist() == [[1, 2, 1, 2]]


def test_numbers_gaps_and_categories_in_many_trees_by_hand():
    rng = np.random.default_rng(0)
    kind, trees, n = np.array([False, True, False]), 12, 31
    feature = rng.integers(0, 3, n).astype(np.int32)
    child = np.zeros(n, np.int32)
    order = iter(range(1, n, 2))
    for node in range(n):
        child[node] = next(order, 0)
    feature[child == 0] = -1
    on_category = (feature >= 0) & kind[feature]
    threshold = np.where(on_category, np.cumsum(on_category) - 1, rng.integers(0, 255, n)).astype(np.int32)
    threshold[0] = 254 if not on_category[0] else threshold[0]
    sets = rng.integers(0, 2**64, (int(on_category.sum()), 4), dtype=np.uint64)
    missing_left = rng.random(n) < 0.5
    codes = rng.integers(0, 256, (3, 400)).astype(np.uint8)
    codes[:, ::5] = 255
    start = n * np.arange(trees)
    many = [np.tile(a, trees) for a in (feature, threshold, child, missing_left)]
    many[2] += np.where(many[0] >= 0, np.repeat(start, n), 0).astype(np.int32)
    out, levels = find(many, sets, kind, start.astype(np.int32), codes)
    assert (levels == 4).all()
    for i in range(400):
        node = 0
        while feature[node] >= 0:
            code = int(codes[feature[node], i])
            if on_category[node]:
                left = bool(int(sets[threshold[node], code >> 6]) >> (code & 63) & 1)
            else:
                left = missing_left[node] if code == 255 else code <= threshold[node]
            node = child[node] + (not left)
        assert (out[:, i] == start + node).all()


def test_a_leaf_without_an_arm_gives_way_to_its_sibling():
    arrays = tree()
    leaf = np.array([2, 2, 3, 5, 5, 6, 6], np.int32)
    arms = np.array([0, 1, 0, 0, 1, 0, 1], np.int32)  # leaf 3 has no treated row
    seen = seen_by_arms(leaf, arms, arrays[0], arrays[2])
    assert seen.tolist() == [True, True, True, False, True, True, True]
    prune(seen, *arrays)
    assert leaves(arrays) == [2, 5, 5, 6, 6, 6]


def test_two_blank_siblings_become_their_parent():
    arrays = tree()
    leaf = np.array([2, 2, 3, 3, 5, 6], np.int32)
    arms = np.array([0, 1, 0, 1, 0, 1], np.int32)  # 5 has one arm, 6 the other
    prune(seen_by_arms(leaf, arms, arrays[0], arrays[2]), *arrays)
    assert leaves(arrays) == [2, 3, 4, 4, 4, 4]


def test_compact_drops_what_nothing_leads_to():
    arrays = tree()
    prune(np.array([True, True, True, False, True, True, True]), *arrays)
    old, child, ends = (np.full(7, -9, np.int32) for _ in range(3))
    count = compact(arrays[0], arrays[2], old, child, ends)
    kept = old[:count]
    small = arrays[0][kept], arrays[1][kept], child[:count], arrays[3][kept]
    assert small[0].tolist() == [0, 0, -1, -1, -1]
    assert small[2][:2].tolist() == [1, 3]
    assert ends[:3].tolist() == [2, 5, 6]
    assert [kept[leaf] for leaf in leaves(small)] == leaves(arrays)
