from __future__ import annotations

import numpy as np
import pytest

from causalkit.effects.forest.binning import Binning, learn_binning
from causalkit.kernels.forest_binning import MISSING


def test_few_values_have_a_bin_each_cut_halfway():
    x = np.array([[3.0], [1.0], [2.0], [np.nan], [1.0]])
    binning = learn_binning(x)
    assert binning.edges.tolist() == [1.5, 2.5]
    assert binning.code_all(x)[0].tolist() == [2, 0, 1, MISSING, 0]
    assert binning.code_all(np.array([[-9.0], [1.5], [1.6], [9.0]]))[0].tolist() == [0, 0, 1, 2]
    assert binning.n_codes.tolist() == [3]


@pytest.mark.parametrize("max_bins", [2, 16, 255])
def test_many_values_have_bins_of_even_size(max_bins):
    x = np.random.default_rng(0).exponential(size=(10_000, 2))
    binning = learn_binning(x, max_bins=max_bins)
    codes = binning.code_all(x)
    for row in codes:
        counts = np.bincount(row)
        assert len(counts) == max_bins
        assert counts.max() - counts.min() <= 2
    order = np.argsort(x[:, 0])
    assert (np.diff(codes[0][order].astype(int)) >= 0).all()


def test_a_heavy_value_and_the_others():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(5000) < 0.7, 0.0, rng.normal(size=5000))[:, None]
    codes = learn_binning(x, max_bins=20).code_all(x)[0]
    zero = np.unique(codes[x[:, 0] == 0.0])
    assert len(zero) == 1  # equal values are never parted
    assert len(np.unique(codes[x[:, 0] > 0])) >= 3


@pytest.mark.parametrize("value", [1e308, 5e-324, 1.0])
def test_neighbouring_floats_are_told_apart(value):
    x = np.array([value, np.nextafter(value, np.inf)])[:, None]
    assert learn_binning(x).code_all(x)[0].tolist() == [0, 1]


TINY = np.nextafter(0.0, 1.0)
LADDERS = {
    "even": np.sort(np.random.default_rng(0).normal(size=40)),
    "one": np.array([0.5]),
    "crowded": np.concatenate([np.nextafter(np.zeros(200), 1.0).cumsum(), [1.0]]),
    "far": np.array([-1e308, -1.0, 0.0, 1e-300, 1.0, 1e308]),
    "near": np.array([0.0, TINY]),
    "tails": np.concatenate([-np.logspace(300, -300, 127), np.logspace(-300, 300, 127)]),
}


@pytest.mark.parametrize("name", LADDERS)
def test_the_rule_of_edges(name):
    edges = LADDERS[name]
    near = [np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf), [-np.inf, np.inf, 0.0, -TINY]]
    x = np.concatenate([*near, np.random.default_rng(1).normal(size=600)])[:, None]
    codes = Binning.from_edges([edges]).code_all(x)[0]
    assert ((codes[:, None] <= np.arange(len(edges))) == (x <= edges)).all()


def test_pairs_are_codes_and_codes_plus_one_row_by_row():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=1100), rng.integers(0, 5, 1100)])
    x[::7] = np.nan
    binning = learn_binning(x, categorical=[1])
    codes, pairs = binning.code_all(x)[:, 3:], binning.pairs(x, 3)
    assert np.array_equal(pairs[:, :2], codes.T)
    assert np.array_equal(pairs[:, 2:], codes.T + np.uint8(1))
    assert np.array_equal(codes[1], np.where(np.isnan(x[3:, 1]), MISSING, x[3:, 1]))


def test_categories():
    x = np.array([[0.0], [2.0], [np.nan], [1.0]])
    binning = learn_binning(x, categorical=[0])
    assert binning.code_all(x)[0].tolist() == [0, 2, MISSING, 1]
    assert binning.code_all(np.array([[7.0], [-1.0]]))[0].tolist() == [MISSING, MISSING]  # never met


def test_rare_categories_share_a_bin():
    common, rare = np.repeat(np.arange(300.0, 554.0), 3), np.arange(300.0)
    x = np.concatenate([common, rare])[:, None]
    codes = learn_binning(x, categorical=[0]).code_all(x)[0]
    assert len(np.unique(codes[: len(common)])) == 254
    assert np.unique(codes[len(common) :]).tolist() == [254]


def test_a_covariate_without_values():
    x = np.full((5, 1), np.nan)
    assert learn_binning(x).code_all(x)[0].tolist() == [MISSING] * 5


def test_blocks_and_threads_agree(data):
    binning = learn_binning(data.x, n_jobs=2)
    whole = binning.code_all(data.x, n_jobs=2)
    assert whole.tolist() == binning.code_all(data.x).tolist()
    assert whole[:, 100:130].tolist() == binning.code_all(data.x[100:130]).tolist()
