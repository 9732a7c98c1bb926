from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import ConvergenceError, DataError, InferenceUnavailable
from causalkit.linear.absorb import absorber

SIZES = [(30,), (30, 6), (25, 20), (30, 8, 4), (12, 12, 5, 3)]


def problem(sizes, weighted, n=240, seed=3):
    rng = np.random.default_rng(seed)
    effects = [np.concatenate([np.arange(g), rng.integers(0, g, n - g)]).astype(np.int32) for g in sizes]
    for codes in effects:
        rng.shuffle(codes)
    weights = rng.uniform(0.2, 3.0, n) if weighted else None
    return effects, weights, rng.standard_normal((3, n))


def dummy_residuals(effects, weights, columns):
    D = np.hstack([np.eye(codes.max() + 1)[codes] for codes in effects])
    root = np.ones(D.shape[0]) if weights is None else np.sqrt(weights)
    left, values, _ = np.linalg.svd(D * root[:, None], full_matrices=False)
    basis = left[:, values > 1e-10 * values[0]]
    scaled = columns * root
    return (scaled - (scaled @ basis) @ basis.T) / root, basis


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_dense", [3000, 0])
@pytest.mark.parametrize("sizes", SIZES)
def test_residuals_and_rank_agree_with_dummies(sizes, max_dense, weighted):
    effects, weights, columns = problem(sizes, weighted)
    given = columns.copy()
    absorbed = absorber(effects, weights, max_dense=max_dense)
    part = absorbed.partial_out(list(columns))
    expected, basis = dummy_residuals(effects, weights, columns)
    np.testing.assert_allclose(part.columns, expected, atol=1e-11)
    np.testing.assert_array_equal(columns, given)
    assert part.certificate.max() < 1e-12
    assert absorbed.rank == basis.shape[1]


@pytest.mark.parametrize("sizes", SIZES)
def test_effects_add_up_to_what_was_taken_out(sizes):
    effects, weights, columns = problem(sizes, weighted=True)
    part = absorber(effects, weights).partial_out(list(columns + 50.0))
    rebuilt = sum(values[codes] for values, codes in zip(part.effects, effects, strict=True)).T + part.columns
    np.testing.assert_allclose(rebuilt, columns + 50.0, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_leverage_is_the_diagonal_of_the_projection(sizes, weighted):
    effects, weights, columns = problem(sizes, weighted)
    _, basis = dummy_residuals(effects, weights, columns)
    np.testing.assert_allclose(absorber(effects, weights).leverage(), (basis**2).sum(axis=1), atol=1e-12)


def test_leverage_of_effects_too_large_is_refused():
    effects, _, _ = problem((30, 20), weighted=False)
    with pytest.raises(InferenceUnavailable, match="20 levels"):
        absorber(effects, max_dense=3).leverage()


@pytest.mark.parametrize("max_dense", [3000, 0])
def test_disconnected_panels_lose_one_parameter_per_component(max_dense):
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(12), 4).astype(np.int32)
    time = (np.tile(np.arange(4), 12) + 4 * (unit % 3)).astype(np.int32)
    absorbed = absorber([time, unit], max_dense=max_dense)
    assert absorbed.components == 3
    assert absorbed.rank == 12 + 12 - 3
    columns = rng.standard_normal((2, 48))
    expected, _ = dummy_residuals([unit, time], None, columns)
    np.testing.assert_allclose(absorbed.partial_out(list(columns)).columns, expected, atol=1e-12)


@pytest.mark.parametrize("max_dense", [3000, 0])
def test_an_effect_nested_in_another_adds_nothing(max_dense):
    rng = np.random.default_rng(0)
    unit = rng.integers(0, 20, 100).astype(np.int32)
    region = (unit // 5).astype(np.int32)
    absorbed = absorber([region, unit], max_dense=max_dense)
    assert absorbed.rank == np.unique(unit).size
    column = rng.standard_normal(100)
    np.testing.assert_allclose(
        absorbed.partial_out([column]).columns, absorber([unit]).partial_out([column]).columns, atol=1e-12
    )


def test_a_long_chain_is_solved_exactly():
    """Each unit meets the next in one period: the worst conditioned graph there is."""
    n = 2000
    unit, time = np.repeat(np.arange(n), 2).astype(np.int32), np.zeros(2 * n, dtype=np.int32)
    time[0::2], time[1::2] = np.arange(n), np.arange(1, n + 1)
    rng = np.random.default_rng(0)
    extra = rng.integers(0, 2 * n, 50)
    unit, time = np.concatenate([unit, unit[extra]]), np.concatenate([time, rng.permutation(time[extra])])
    column = rng.standard_normal(unit.size)
    exact = absorber([unit, time], max_dense=3000)
    iterated = absorber([unit, time], max_dense=0, max_iterations=100_000)
    a, b = exact.partial_out([column]), iterated.partial_out([column])
    assert exact.method == "exact"
    assert iterated.method == "conjugate gradients"
    assert a.certificate[0] < 1e-11
    np.testing.assert_allclose(a.columns, b.columns, atol=1e-8)


def test_too_few_iterations_are_an_error():
    effects, _, columns = problem((25, 20), weighted=False)
    with pytest.raises(ConvergenceError, match="3 iterations"):
        absorber(effects, max_dense=0, max_iterations=3).partial_out(list(columns))


def test_a_certificate_above_the_limit_is_an_error():
    effects, _, columns = problem((25, 20), weighted=False)
    with pytest.raises(ConvergenceError, match="relative residual"):
        absorber(effects).partial_out(list(columns), certified=0.0)


def test_the_number_of_threads_does_not_matter(monkeypatch):
    from causalkit.kernels import demean

    effects, weights, columns = problem((30, 8), weighted=True)
    one = absorber(effects, weights).partial_out(list(columns)).columns
    monkeypatch.setattr(demean, "_ROWS_WORTH_A_THREAD", 1)
    monkeypatch.setattr(demean.os, "cpu_count", lambda: 2)
    two = absorber(effects, weights).partial_out(list(columns)).columns
    np.testing.assert_array_equal(one, two)


def test_large_means_cost_no_digits():
    effects, _, columns = problem((30, 8), weighted=False)
    exact = np.round(columns, 3)
    shifted = absorber(effects).partial_out(list(exact + 2.0**30))
    plain = absorber(effects).partial_out(list((exact + 2.0**30) - 2.0**30))
    np.testing.assert_allclose(shifted.columns, plain.columns, atol=1e-13)


def test_codes_come_back_in_the_order_given():
    effects, _, _ = problem((4, 30, 8), weighted=False)
    absorbed = absorber(effects)
    for position, codes in enumerate(effects):
        np.testing.assert_array_equal(absorbed.codes(position), codes)
    assert absorbed.sizes == (4, 30, 8)


def test_bad_effects_are_named():
    with pytest.raises(DataError, match="no effect"):
        absorber([])
    with pytest.raises(DataError, match="Effect 1 has shape"):
        absorber([np.zeros(3, np.int32), np.zeros(2, np.int32)])
    with pytest.raises(DataError, match="1 rows have no level of effect 0") as caught:
        absorber([np.array([0, -1, 1], dtype=np.int32)])
    assert caught.value.rows == (1,)
    with pytest.raises(DataError, match="no rows"):
        absorber([np.zeros(0, np.int32)])
    with pytest.raises(DataError, match="weights of shape"):
        absorber([np.zeros(3, np.int32)], np.ones(2))
