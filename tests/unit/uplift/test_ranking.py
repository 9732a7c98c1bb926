from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats
from causalkit.uplift.ranking import paired_difference, rank_units, rank_weighted_effect, toc
from causalkit.uplift.ranks import falling_order

METHODS = ("autoc", "qini")


def draw(n: int = 400, seed: int = 0, levels: int | None = None) -> tuple[Floats, Floats, Floats]:
    """Scores, priority (rounded to ``levels`` steps a unit) and weights."""
    rng = np.random.default_rng(seed)
    priority = rng.normal(size=n)
    scores = 0.5 + priority + rng.normal(size=n)
    if levels is not None:
        priority = np.round(priority * levels) / levels
    return scores, priority, rng.uniform(0.2, 2.0, n)


def definition(scores: Floats, priority: Floats, method: str) -> float:
    """Equal weights: for each rank i, mean score of the first i (ties averaged) less the mean; O(n^2)."""
    n = scores.size
    tied = np.array([scores[priority == p].mean() for p in priority])[np.argsort(-priority, kind="stable")]
    gaps = np.array([tied[: i + 1].mean() - scores.mean() for i in range(n)])
    return float(np.mean(gaps if method == "autoc" else gaps * np.arange(1, n + 1) / n))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("levels", [None, 2])
def test_estimate_is_the_definition(method: str, levels: int | None) -> None:
    scores, priority, _ = draw(300, levels=levels)
    assert rank_weighted_effect(scores, priority, method).estimate == pytest.approx(
        definition(scores, priority, method), abs=1e-13
    )


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 1, 4]), weighted=st.booleans())
@settings(max_examples=25)
def test_row_order_does_not_matter(method: str, seed: int, levels: int | None, weighted: bool) -> None:
    scores, priority, weights = draw(120, seed, levels)
    w = weights if weighted else None
    order = np.random.default_rng(seed + 1).permutation(scores.size)
    a = rank_weighted_effect(scores, priority, method, w)
    b = rank_weighted_effect(scores[order], priority[order], method, None if w is None else w[order])
    assert b.estimate == pytest.approx(a.estimate, abs=1e-12)
    assert b.psi == pytest.approx(a.psi[order], abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, -3.7])
def test_constant_priority_is_exactly_nothing(method: str, level: float) -> None:
    scores, _, weights = draw()
    for w in (None, weights):
        result = rank_weighted_effect(scores, np.full(scores.size, level), method, w)
        assert (result.estimate, result.se) == (0.0, 0.0)
        assert not result.psi.any()


@pytest.mark.parametrize("method", METHODS)
def test_only_the_order_of_the_priority_counts(method: str) -> None:
    scores, priority, weights = draw(levels=3)
    a = rank_weighted_effect(scores, priority, method, weights)
    b = rank_weighted_effect(scores, np.exp(priority), method, weights)
    assert (a.estimate, a.se) == (b.estimate, b.se)


@pytest.mark.parametrize("method", METHODS)
def test_follows_scale_and_level_of_the_outcome(method: str) -> None:
    scores, priority, weights = draw(levels=3)
    a = rank_weighted_effect(scores, priority, method, weights)
    b = rank_weighted_effect(scores * 1e6, priority, method, weights)
    c = rank_weighted_effect(scores + 1e9, priority, method, weights)
    assert [b.estimate, b.se] == pytest.approx([1e6 * a.estimate, 1e6 * a.se], rel=1e-12)
    # scores near 1e9 carry an error of 1e-7 each before anything is computed
    assert [c.estimate, c.se] == pytest.approx([a.estimate, a.se], abs=2e-8)


@pytest.mark.parametrize("method", METHODS)
def test_weight_zero_is_a_dropped_row(method: str) -> None:
    scores, priority, weights = draw(levels=3)
    keep = np.arange(scores.size) % 3 > 0
    groups = (np.arange(scores.size) // 7).astype(np.int32)
    a = rank_weighted_effect(scores, priority, method, weights * keep, groups)
    b = rank_weighted_effect(scores[keep], priority[keep], method, weights[keep], groups[keep])
    assert [a.estimate, a.se, a.scale] == pytest.approx([b.estimate, b.se, b.scale], abs=1e-14)
    assert not a.psi[~keep].any()


@pytest.mark.parametrize("method", METHODS)
def test_influence_values_are_the_derivative_where_weights_are_equal(method: str) -> None:
    scores, priority, _ = draw(60)
    weights = np.full(60, 3.0)
    psi = rank_weighted_effect(scores, priority, method, weights).psi
    step = 1e-6
    slopes = []
    for i in range(scores.size):
        up, down = weights.copy(), weights.copy()
        up[i] *= 1 + step
        down[i] *= 1 - step
        high = rank_weighted_effect(scores, priority, method, up).estimate
        low = rank_weighted_effect(scores, priority, method, down).estimate
        slopes.append((high - low) / (2 * step))
    assert psi == pytest.approx(np.array(slopes), abs=1e-9)
    assert psi.sum() == pytest.approx(0.0, abs=1e-14)
    assert psi == pytest.approx(rank_weighted_effect(scores, priority, method).psi, abs=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("levels", "off", "sigma"), [(None, 0.002, 0.5), (None, 0.002, 2.5), (3, 0.03, 0.5)])
def test_influence_values_are_those_of_leaving_one_out(
    method: str, levels: int | None, off: float, sigma: float
) -> None:
    scores, priority, _ = draw(120, levels=levels)
    weights = np.exp(sigma * np.random.default_rng(1).normal(size=120))
    found = rank_weighted_effect(scores, priority, method, weights)
    changes = []
    for i in range(120):
        rest = np.arange(120) != i
        left = rank_weighted_effect(scores[rest], priority[rest], method, weights[rest]).estimate
        changes.append(119 / 120 * (found.estimate - left))
    assert found.psi == pytest.approx(np.array(changes), abs=off * np.abs(changes).max())


def test_the_standard_error_is_right_under_extreme_weights() -> None:
    rng = np.random.default_rng(2)
    estimates, squares = [], []
    for _ in range(400):
        weights = np.exp(1.5 * rng.normal(size=300))
        priority = rng.normal(size=300)
        found = rank_weighted_effect(0.5 * priority + 2 * rng.normal(size=300), priority, "autoc", weights)
        estimates.append(found.estimate)
        squares.append(found.se**2)
    ratio = np.sqrt(np.mean(squares)) / np.std(estimates, ddof=1)
    assert abs(ratio - 1.0) < 3 * 0.05  # the derivative alone gives .83; 400 draws tell it to about 5 %


@pytest.mark.parametrize("kind", ["normal", "ties", "close", "far", "huge", "signed zeros"])
def test_many_rows_are_sorted_as_few_are(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60_000)
    priority = {
        "normal": x,
        "ties": np.round(x, 1),
        "close": 1.0 + 1e-9 * x,
        "far": 1e9 + x,
        "huge": x * 1e300,
        "signed zeros": np.where(x > 0, 0.0, -0.0) + np.where(np.abs(x) > 1, x, 0.0),
    }[kind]
    order, ranked = falling_order(priority)
    exact = np.argsort(-priority, kind="stable")
    np.testing.assert_array_equal(ranked, priority[exact])
    np.testing.assert_array_equal(order, exact)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["plain", "ties", "weights", "clusters"])
def test_standard_error_agrees_with_a_half_sample_bootstrap(method: str, kind: str) -> None:
    scores, priority, weights = draw(1500, 3, levels=2 if kind == "ties" else None)
    groups = np.arange(scores.size)
    if kind == "clusters":
        groups = groups // 5
        scores = scores + np.random.default_rng(5).normal(size=groups.max() + 1)[groups]
    w = weights if kind == "weights" else None
    codes = groups.astype(np.int32)
    result = rank_weighted_effect(scores, priority, method, w, codes if kind == "clusters" else None)
    rng = np.random.default_rng(7)
    n_groups = groups.max() + 1
    values = []
    for _ in range(2500):
        chosen = np.zeros(n_groups, dtype=bool)
        chosen[rng.permutation(n_groups)[: n_groups // 2]] = True
        rows = chosen[groups]
        half = rank_weighted_effect(scores[rows], priority[rows], method, None if w is None else w[rows])
        values.append(half.estimate)
    assert result.se == pytest.approx(np.std(values), rel=0.04)


def test_groups_are_summed_before_squaring() -> None:
    scores, priority, weights = draw()
    groups = (np.arange(scores.size) // 8).astype(np.int32)
    result = rank_weighted_effect(scores, priority, "autoc", weights, groups)
    sums = result.psi.reshape(-1, 8).sum(axis=1)
    assert result.n_groups == 50
    assert result.se == pytest.approx(np.sqrt(50 / 49 * np.sum(sums**2)), rel=1e-14)


def test_paired_difference_uses_the_common_noise() -> None:
    scores, priority, _ = draw()
    a = rank_weighted_effect(scores, priority, "qini")
    b = rank_weighted_effect(scores, priority + 0.05 * np.sin(np.arange(scores.size)), "qini")
    difference = paired_difference(a, b)
    assert difference.estimate == a.estimate - b.estimate
    assert difference.se < 0.3 * np.hypot(a.se, b.se)
    assert paired_difference(a, a).se == 0.0
    groups = (np.arange(scores.size) // 8).astype(np.int32)
    a = rank_weighted_effect(scores, priority, "qini", groups=groups)
    nothing = rank_weighted_effect(scores, np.zeros(scores.size), "qini", groups=groups)
    assert paired_difference(a, nothing, groups).se == pytest.approx(a.se, rel=1e-14)


def test_toc_by_hand() -> None:
    scores = np.array([4.0, 2.0, 0.0, 2.0])
    priority = np.array([9.0, 5.0, 5.0, 1.0])
    # mean 2; shares 1/4: 4; 1/2: (4 + 1)/2; 3/4: 6/3; within the tied pair every unit counts 1
    assert toc(scores, priority, np.array([0.1, 0.25, 0.5, 0.75, 1.0])) == pytest.approx([2.0, 2.0, 0.5, 0.0, 0.0])


def test_a_ranking_serves_many_scores() -> None:
    scores, priority, weights = draw(levels=2)
    ranking = rank_units(priority, weights)
    assert (
        rank_weighted_effect(scores, ranking, "autoc").se == rank_weighted_effect(scores, priority, "autoc", weights).se
    )
    with pytest.raises(DesignError, match="twice"):
        rank_weighted_effect(scores, ranking, "autoc", weights)


def test_errors_name_what_is_wrong() -> None:
    scores, priority, weights = draw(10)
    bad = priority.copy()
    bad[[3, 7]] = np.nan
    with pytest.raises(DataError, match="priority holds 2 missing or infinite values, the first in row 3") as caught:
        rank_weighted_effect(scores, bad)
    assert caught.value.rows == (3, 7)
    with pytest.raises(DataError, match="scores holds 1"):
        rank_weighted_effect(np.where(np.arange(10) == 2, np.inf, scores), priority)
    with pytest.raises(DataError, match="1 weights are negative, the first in row 0"):
        rank_weighted_effect(scores, priority, weights=np.where(np.arange(10) == 0, -1.0, weights))
    with pytest.raises(DataError, match="All weights are zero"):
        rank_units(priority, np.zeros(10))
    with pytest.raises(DataError, match="9 scores but 10 priorities"):
        rank_weighted_effect(scores[:9], priority)
    with pytest.raises(DataError, match="at least two groups, not 1"):
        rank_weighted_effect(scores, priority, groups=np.zeros(10, dtype=np.int32))
    with pytest.raises(DataError, match="no units"):
        rank_units(np.empty(0))
    with pytest.raises(DataError, match="shares"):
        toc(scores, priority, np.array([0.0]))
    with pytest.raises(DesignError, match="'aouc' is not known"):
        rank_weighted_effect(scores, priority, "aouc")
    with pytest.raises(DesignError, match="not paired"):
        paired_difference(rank_weighted_effect(scores, priority), rank_weighted_effect(scores, priority, "qini"))
