"""The search for policy trees: against brute force on small tables, and columns of categories and gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.core.features import Features, Schema
from causalkit.uplift.policy_tree_columns import Rule, candidate_columns, dense_codes, simplest_between
from causalkit.uplift.policy_tree_nodes import Branch, leaf_words
from causalkit.uplift.policy_tree_search import grow


def _codes(x):
    return np.array([np.unique(column, return_inverse=True)[1] for column in x.T], dtype=np.int32)


def _brute(x, scores, depth, least):
    """The best tree by trying every cut."""
    best = scores.sum(axis=0).max()
    if depth == 0:
        return best
    for column in x.T:
        for value in np.unique(column)[:-1]:
            left = column <= value
            if min(left.sum(), (~left).sum()) >= least:
                parts = [_brute(x[side], scores[side], depth - 1, least) for side in (left, ~left)]
                best = max(best, sum(parts))
    return best


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 2),
    st.integers(2, 40),
    st.integers(1, 3),
    st.integers(2, 4),
    st.integers(1, 5),
)
def test_the_optimum_is_that_of_brute_force(seed, depth, n, p, k, least):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(n, p)), rng.integers(0, 3))
    scores = rng.normal(size=(n, k))
    tree = grow(_codes(x), scores, depth, least)
    assert tree.reward == pytest.approx(_brute(x, scores, depth, least), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_depth_three(seed):
    rng = np.random.default_rng(seed)
    x, scores = np.round(rng.normal(size=(18, 2)), 1), rng.normal(size=(18, 3))
    exact = grow(_codes(x), scores, 3, 2, "exact").reward
    assert exact == pytest.approx(_brute(x, scores, 3, 2), abs=1e-9)
    assert grow(_codes(x), scores, 3, 2, "hybrid").reward <= exact + 1e-9


@pytest.mark.parametrize("least", [1, 7, 40])
def test_blocks_of_many_values(least):
    """More distinct values than a block holds, on both sides of the bound of the sweep."""
    rng = np.random.default_rng(5)
    x = np.column_stack([rng.normal(size=120), np.round(rng.normal(size=120), 1)])
    scores = rng.normal(size=(120, 3))
    assert grow(_codes(x), scores, 2, least).reward == pytest.approx(_brute(x, scores, 2, least), abs=1e-9)


def test_leaves_hold_enough_people_and_the_tree_assigns_what_it_promised():
    rng = np.random.default_rng(1)
    x, scores = rng.normal(size=(400, 3)), rng.normal(size=(400, 3))
    features = Features(x, Schema(("a", "b", "c"), (None, None, None)))
    columns = candidate_columns(features, scores)
    node = grow(dense_codes(columns), scores, 3, 30)
    tree = Branch.of(node, columns)
    actions = tree.assign(x)
    assert scores[np.arange(400), actions].sum() == pytest.approx(node.reward, abs=1e-9)
    assert min(leaf.n for _, leaf in tree.leaves()) >= 30
    assert sum(leaf.n for _, leaf in tree.leaves()) == 400
    assert tree.depth <= 3


def test_ties_make_no_cut():
    assert grow(_codes(np.arange(6.0)[:, None]), np.ones((6, 2)), 2).is_leaf
    same = np.column_stack([np.zeros(6), np.ones(6)])
    assert grow(_codes(np.arange(6.0)[:, None]), same, 2).action == 1


def test_every_division_of_few_categories_is_tried():
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 4, 200).astype(float)
    gain = np.where(np.isin(kind, (0, 3)), 1.0, -1.0)
    scores = np.column_stack([np.zeros(200), gain])
    columns = candidate_columns(Features(kind[:, None], Schema(("kind",), (("a", "b", "c", "d"),))), scores)
    tree = Branch.of(grow(dense_codes(columns), scores, 1), columns)
    np.testing.assert_array_equal(tree.assign(kind[:, None]), (gain > 0).astype(int))
    assert {leaf_words(path) for path, _ in tree.leaves()} == {"kind is a or d", "kind is b or c"}


def test_many_categories_are_ordered_by_their_gain():
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 12, 600).astype(float)
    kind[:50] = np.nan
    good = np.isin(kind, (1, 5, 8, 11)) | np.isnan(kind)
    scores = np.column_stack([np.zeros(600), np.where(good, 1.0, -1.0)])
    labels = tuple(f"k{j}" for j in range(12))
    columns = candidate_columns(Features(kind[:, None], Schema(("kind",), (labels,))), scores)
    tree = Branch.of(grow(dense_codes(columns), scores, 1), columns)
    np.testing.assert_array_equal(tree.assign(kind[:, None]), good.astype(int))
    assert any("or missing" in leaf_words(path) for path, _ in tree.leaves())


@pytest.mark.parametrize(("gaps", "words"), [("low", "≤ 0"), ("high", "> 0"), ("alone", "x is missing")])
def test_gaps_go_where_they_gain_most(gaps, words):
    x = np.linspace(-1, 1, 201)
    x = np.where(np.arange(201) % 5 == 0, np.nan, x)
    better = {"low": ~(x > 0), "high": ~(x <= 0), "alone": np.isnan(x)}[gaps]
    scores = np.column_stack([np.zeros(201), np.where(better, 1.0, -1.0)])
    columns = candidate_columns(Features(x[:, None], Schema(("x",), (None,))), scores)
    tree = Branch.of(grow(dense_codes(columns), scores, 1), columns)
    np.testing.assert_array_equal(tree.assign(x[:, None]), better.astype(int))
    treated = next(leaf_words(path) for path, leaf in tree.leaves() if leaf.action == 1)
    assert words in treated
    assert "missing" in treated


def test_someone_with_a_new_gap_goes_with_the_larger_side():
    x = np.arange(10.0)[:, None]
    scores = np.column_stack([np.zeros(10), np.where(x[:, 0] < 3, 1.0, -1.0)])
    columns = candidate_columns(Features(x, Schema(("x",), (None,))), scores)
    tree = Branch.of(grow(dense_codes(columns), scores, 1), columns)
    assert tree.assign(np.array([[np.nan]])).tolist() == [0]


def test_fewer_cuts_are_quantiles_and_lose_little():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 2))
    scores = np.column_stack([np.zeros(2000), np.where(x[:, 0] > 0.2, 1.0, -1.0) + rng.normal(size=2000)])
    columns = candidate_columns(Features(x, Schema(("a", "b"), (None, None))), scores)
    coarse = dense_codes(columns, 64)
    assert all(len(np.unique(codes)) <= 64 for codes in coarse)
    full, quick = (grow(codes, scores, 2) for codes in (dense_codes(columns), coarse))
    assert 0.97 * full.reward < quick.reward <= full.reward
    tree = Branch.of(quick, columns)
    assert scores[np.arange(2000), tree.assign(x)].sum() == pytest.approx(quick.reward, abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(5, 6, 5), (0.1234, 0.1301, 0.13), (-1.27, -1.2, -1.27), (-0.3, 0.2, 0), (1e9, 1e9 + 1, 1e9)],
)
def test_cuts_are_short_numbers(low, high, found):
    assert simplest_between(low, high) == found


@settings(max_examples=200)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
@example(0.0, 2.2250738585e-313)
def test_cuts_lie_between_their_neighbours(a, b):
    low, high = min(a, b), max(a, b)
    if low < high:
        assert low <= simplest_between(low, high) < high


def test_a_search_without_end_is_refused():
    x = np.random.default_rng(0).normal(size=(3000, 5))
    with pytest.raises(ck.DesignError, match="takes too long"):
        grow(_codes(x), np.zeros((3000, 2)), 3, 1, "exact")
    columns = candidate_columns(Features(x, Schema(tuple("abcde"), (None,) * 5)), np.zeros((3000, 2)))
    scores = np.column_stack([np.zeros(3000), np.where((x[:, 0] > 0) & (x[:, 1] > 0) & (x[:, 2] > 0), 1.0, -1.0)])
    assert (
        Branch.of(grow(dense_codes(columns, 8), scores, 3, 20, "exact"), columns).depth == 3
    )  # with fewer cuts it ends


def test_a_limit_is_written_with_all_its_digits_and_a_name_as_it_is():
    rule = Rule(0, "pre-spend", threshold=1_700_000_012_345.5)
    assert rule.words(True) == "pre-spend ≤ 1,700,000,012,345.5"
    assert Rule(0, "x", threshold=-1200.0).words(False) == "x > −1,200"
    assert Rule(0, "x", threshold=0.25).words(True) == "x ≤ 0.25"
