"""The split search against brute force in plain numpy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from causalkit.kernels.forest_binning import MISSING
from causalkit.kernels.forest_relabel import HEAD, HIGH, invert, relabel, relabel_many
from causalkit.kernels.forest_sorting import best_cut, choose_sides, deal, keep, sort_rows
from causalkit.kernels.forest_splitting import PLACE, SHIFT, TOTAL, WORK_ROWS, best_split, enough

SEARCHES = ["histograms", "sorted rows"]


def node(seed, m=60, arms=2, gaps=0.0, n_codes=12):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_codes, (1, m)).astype(np.uint8)
    codes[:, rng.random(m) < gaps] = MISSING
    arm = rng.integers(0, arms, m).astype(np.int32)
    w = np.column_stack([(arm == a) - 1 / arms for a in range(1, arms)])
    y = rng.normal(size=m) + w[:, 0] * codes[0] / 4
    return codes, y, w, rng.uniform(0.5, 2.0, m), arm


def rho_by_hand(y, w, s):
    d = w - np.average(w, axis=0, weights=s)
    cov = (d * s[:, None]).T @ d / s.sum()
    z = y - np.average(y, weights=s)
    tau = np.linalg.solve(cov * s.sum(), (d * s[:, None]).T @ z)
    return (d * (z - d @ tau)[:, None]) @ np.linalg.inv(cov)


def info(w, s):
    return s[:, None] * (w - np.average(w, axis=0, weights=s)) ** 2


def gain_by_hand(left, rho, s, arm, d, min_node, alpha):
    """The criterion in its two-sided form; None where the split is not allowed."""
    for side in (left, ~left):
        if any((arm[side] == a).sum() < min_node for a in range(arm.max() + 1)):
            return None
        if (d[side].sum(axis=0) < alpha * d.sum(axis=0)).any():
            return None
    total = (rho * s[:, None])[left].sum(axis=0), (rho * s[:, None])[~left].sum(axis=0)
    return sum((t**2).sum() / s[side].sum() for t, side in zip(total, (left, ~left), strict=True))


def fill(y, w, s, arm):
    """The table of a node of all rows, or None where the treatment does not vary."""
    m, k = w.shape
    table, totals, rows = np.empty((m, HEAD + 3 * k)), np.empty(HEAD + 3 * k), np.arange(m)
    cells = np.column_stack([y, s, arm, w])
    if k == 1:
        fine = relabel(rows, 0, m, cells, False, table, totals)
    else:
        fine = relabel_many(rows, 0, m, cells, False, table, totals, np.empty((k + 3, k)))
    if fine:
        assert totals == pytest.approx(table.sum(axis=0), abs=1e-9)
    return table if fine else None


def sort(codes):
    p, m = codes.shape
    lists = np.empty((p, m), np.uint32)
    sort_rows(codes, np.arange(m), 0, m, lists, np.empty(257, np.int64))
    return lists


def search(codes, table, w, how, *, category=False, every_arm=False, min_node=2, alpha=0.05):
    """What the split search returns, and the set of categories."""
    p, m = codes.shape
    chosen, sums = np.zeros((2, 4), np.uint64), np.zeros((WORK_ROWS, table.shape[1]))
    sums[TOTAL] = table.sum(axis=0)
    if not enough(sums, min_node):
        return -1, 0, False, chosen[0]
    rest = (
        table, w[:1, 0] if w.shape[1] == 1 else w[:1], np.arange(p), p, np.full(p, category), np.full(p, MISSING),
        every_arm, min_node, alpha, sums, np.empty(257, np.uint32), np.zeros(1, np.uint64), chosen,
    )  # fmt: skip
    if how == "sorted rows":
        found = best_cut(sort(codes), 0, m, *rest)
    else:
        found = best_split(codes, np.arange(m), 0, m, *rest)
    assert not sums[:TOTAL].any() or np.flatnonzero(sums.any(axis=1)).min() >= 1024  # bins are left empty
    return *found, chosen[0]


def split(codes, y, w, s, arm, how, *, category=False, min_node=2, alpha=0.05):
    every_arm = w.shape[1] > 1
    f, t, side, chosen = search(
        codes, fill(y, w, s, arm), w, how, category=category, every_arm=every_arm, min_node=min_node, alpha=alpha
    )
    if f < 0:
        return None
    if category:
        return np.array([bool(int(chosen[q >> 6]) >> (int(q) & 63) & 1) for q in codes[f]])
    return np.where(codes[f] == MISSING, side, codes[f] <= t)


@pytest.mark.parametrize("arms", [2, 3])
def test_relabelling_is_the_formula(arms):
    _, y, w, s, arm = node(1, arms=arms)
    table = fill(y, w, s, arm)
    assert table[:, 0] == pytest.approx(s)
    assert table[:, 1::3] == pytest.approx(rho_by_hand(y, w, s) * s[:, None], rel=1e-10, abs=1e-12)
    assert table[:, 2::3] == pytest.approx(1 + HIGH * (arm[:, None] == np.arange(1, arms)))
    assert table[:, 3::3] == pytest.approx(info(w, s))
    assert table[:, 1::3].sum(axis=0) == pytest.approx(0.0, abs=1e-9)


def test_a_dose_is_high_above_its_mean():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(30, 1))
    table = fill(rng.normal(size=30), w, np.ones(30), np.full(30, -1, np.int32))
    assert (table[:, 2] > HIGH).tolist() == (w[:, 0] > w.mean()).tolist()


@pytest.mark.parametrize("k", [1, 2])
def test_nothing_to_relabel_where_the_treatment_is_constant(k):
    w = np.full((20, k), 0.3)
    assert fill(np.arange(20.0), w, np.ones(20), np.zeros(20, np.int32)) is None


@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("m", [60, 200])
@pytest.mark.parametrize("how", SEARCHES)
def test_numbers(arms, gaps, seed, m, how):
    codes, y, w, s, arm = node(seed, m=m, arms=arms, gaps=gaps)
    rho, d = rho_by_hand(y, w, s), info(w, s)
    known = codes[0] != MISSING
    options = []
    for cut in range(13):
        options.append(known & (codes[0] <= cut))
        options.append(~known | (codes[0] <= cut))
    gains = [g for left in options if (g := gain_by_hand(left, rho, s, arm, d, 2, 0.05)) is not None]
    left = split(codes, y, w, s, arm, how)
    assert gain_by_hand(left, rho, s, arm, d, 2, 0.05) == pytest.approx(max(gains), rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("how", SEARCHES)
def test_categories_find_the_best_of_all_subsets(seed, how):
    codes, y, w, s, arm = node(seed, m=150, gaps=0.15, n_codes=6)
    rho, d = rho_by_hand(y, w, s), info(w, s)
    levels = np.unique(codes)
    options = [np.isin(codes[0], part) for size in range(1, len(levels)) for part in combinations(levels, size)]
    gains = [gain_by_hand(left, rho, s, arm, d, 0, 0.0) for left in options]
    left = split(codes, y, w, s, arm, how, category=True, min_node=0, alpha=0.0)
    assert gain_by_hand(left, rho, s, arm, d, 0, 0.0) == pytest.approx(max(gains), rel=1e-9)


@pytest.mark.parametrize("how", SEARCHES)
def test_the_best_covariate_wins(how):
    codes, y, w, s, arm = node(3, m=300)
    noise = np.random.default_rng(0).integers(0, 12, (4, 300)).astype(np.uint8)
    both = np.vstack([noise[:2], codes, noise[2:]])
    assert split(both, y, w, s, arm, how).tolist() == split(codes, y, w, s, arm, how).tolist()


@pytest.mark.parametrize(("min_node", "alpha"), [(11, 0.0), (1, 0.4)])
@pytest.mark.parametrize("how", SEARCHES)
def test_the_leaf_rules_bind(min_node, alpha, how):
    changed = 0
    for seed in range(10):
        codes, y, w, s, arm = node(seed, m=60)
        free = split(codes, y, w, s, arm, how, min_node=1, alpha=0.0)
        left = split(codes, y, w, s, arm, how, min_node=min_node, alpha=alpha)
        if left is None:
            continue
        changed += left.tolist() != free.tolist()
        for side in (left, ~left):
            assert min((arm[side] == a).sum() for a in (0, 1)) >= min_node
            assert info(w, s)[side].sum() >= alpha * info(w, s).sum()
    assert changed


@pytest.mark.parametrize("how", SEARCHES)
def test_no_split_where_an_arm_is_too_rare(how):
    codes, y, w, s, arm = node(5, m=60)
    assert split(codes, y, w, s, arm, how, min_node=int(arm.sum()) // 2 + 1) is None


@pytest.mark.parametrize("how", SEARCHES)
def test_high_codes_and_the_middle_of_a_gap(how):
    rng = np.random.default_rng(0)
    half = rng.random(80) < 0.5
    codes = np.where(half, 10, 254).astype(np.uint8)[None]
    arm = rng.integers(0, 2, 80).astype(np.int32)
    w = (arm - 0.5)[:, None]
    table = fill(half * arm * 1.0, w, np.ones(80), arm)
    f, t, *_ = search(codes, table, w, how)
    assert (f, t) == (0, 132)


@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("category", [False, True])
def test_both_searches_find_the_same(arms, category):
    for seed in range(20):
        codes, y, w, s, arm = node(seed, m=90, arms=arms, gaps=0.2, n_codes=40)
        first, second = (split(codes, y, w, s, arm, how, category=category) for how in SEARCHES)
        assert np.array_equal(first, second)


def test_rows_are_sorted_and_dealt_in_order():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (3, 70)).astype(np.uint8)
    lists, goes_left, spare = sort(codes), np.empty(70, np.uint8), np.empty(70, np.uint32)
    for f in range(3):
        order = np.argsort(codes[f], kind="stable")
        assert (lists[f] & PLACE).tolist() == order.tolist()
        assert (lists[f] >> SHIFT).tolist() == codes[f, order].tolist()
    left = choose_sides(lists[1], 0, 70, False, 90, True, np.zeros((2, 4), np.uint64), goes_left)
    by_hand = np.where(codes[1] == MISSING, True, codes[1] <= 90)
    assert (goes_left == by_hand).all()
    assert left == by_hand.sum()
    kept = {side: lists.copy() for side in (0, 1)}
    deal(lists, 0, 70, goes_left, spare)
    for f in range(3):
        order = np.argsort(codes[f], kind="stable")
        assert (lists[f] & PLACE).tolist() == [*order[by_hand[order]], *order[~by_hand[order]]]
    for side, rows in kept.items():
        keep(rows, 0, 70, goes_left, side)
        size, own = (left, slice(0, left)) if side else (70 - left, slice(left, 70))
        assert np.array_equal(rows[:, :size], lists[:, own])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_invert(k):
    root = np.random.default_rng(k).normal(size=(k, k + 2))
    matrix = root @ root.T
    inverse = matrix.copy()
    assert invert(inverse, k)
    assert inverse == pytest.approx(np.linalg.inv(matrix), rel=1e-9)
    assert not invert(np.zeros((k, k)), k)
    assert k == 1 or not invert(np.ones((k, k)), k)
