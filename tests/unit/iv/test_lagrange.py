"""The K test and its sets of up to several pieces."""

import sys
from pathlib import Path

import numpy as np
import pytest

from causalkit.iv.anderson_rubin import ar_set, ar_test, statistics
from causalkit.iv.fit import solve
from causalkit.iv.iv_data import iv_data
from causalkit.iv.lagrange import lm_set, lm_test
from causalkit.iv.weak_sets_form import reduced_form_of

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import KINDS, agrees, columns, form


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_set_is_the_dual_of_the_test(kind, seed):
    found = form(kind, seed=seed, q=2 + seed, strength=(0.02, 0.1, 0.2, 0.5)[seed])
    agrees(lm_set(found), lambda beta: lm_test(found, beta).pvalue)


def test_a_spurious_piece_far_from_the_estimate():
    found = form("iid", seed=1, q=3, strength=0.5)
    pieces = lm_set(found).intervals
    assert len(pieces) == 2
    assert all(lm_test(found, sum(piece) / 2).pvalue > 0.05 for piece in pieces)


def test_a_narrow_piece_between_steep_walls():
    """Around a zero of the score the statistic may rise within a thousandth of the axis: no grid would see the piece."""
    found = form("HC1", seed=0, q=3, strength=3.0)
    pieces = lm_set(found).intervals
    assert len(pieces) == 2
    narrow = min(pieces, key=lambda piece: piece[1] - piece[0])
    assert narrow[1] - narrow[0] < 0.003
    assert lm_test(found, sum(narrow) / 2).pvalue > 0.05


@pytest.mark.parametrize(("seed", "strength"), [(759, 0.2), (18, 0.3)])
def test_a_narrow_piece_under_one_variance(seed, strength):
    """Its ends are close to the coefficient that fits worst, and are not to be found by a difference from it."""
    found = form("iid", seed=seed, q=2, strength=strength)
    pieces = lm_set(found).intervals
    narrow = min(pieces, key=lambda piece: piece[1] - piece[0])
    assert len(pieces) == 2
    assert narrow[1] - narrow[0] < 2e-5
    np.testing.assert_allclose([lm_test(found, end).pvalue for end in narrow], 0.05, atol=1e-10)


def test_with_one_instrument_it_is_anderson_rubin():
    found = form("HC1", seed=3, q=1, strength=0.3)
    assert lm_set(found) == ar_set(found)
    assert lm_test(found, 0.4) == ar_test(found, 0.4)


def test_the_score_is_zero_at_liml():
    from weak_designs import columns

    y, d, z, _ = columns(seed=5, strength=0.4)
    data = iv_data(y, [d[:, 0]], list(z.T), kind="iid")
    beta = float(solve(data, "liml").beta[0])
    assert lm_test(reduced_form_of(data), beta).statistic < 1e-12


@pytest.mark.parametrize("kind", ["HC1", "CR1"])
def test_robust_statistics_from_raw_regressions(kind):
    """Kleibergen's (2005) statistics in the coordinates of the instruments as given, scores written out."""
    y, d, z, groups = columns(seed=6, strength=0.3)
    n, beta = len(y), 0.4
    bread = np.linalg.inv(z.T @ z)
    slopes = bread @ z.T @ np.column_stack([y - beta * d[:, 0], d[:, 0]])
    errors = np.column_stack([y - beta * d[:, 0], d[:, 0]]) - z @ slopes
    psi = np.concatenate([(z * errors[:, [j]]) @ bread for j in (0, 1)], axis=1)
    if kind == "CR1":
        psi = np.array([psi[groups == g].sum(axis=0) for g in np.unique(groups)])
        factor = len(psi) / (len(psi) - 1) * (n - 1) / (n - 4)
    else:
        factor = n / (n - 4)
    joint = factor * psi.T @ psi
    null, mixed, rest = joint[:3, :3], joint[3:, :3], joint[3:, 3:]
    delta, pi = slopes.T
    first = pi - mixed @ np.linalg.solve(null, delta)
    path = np.linalg.solve(null, first)
    wanted = (
        delta @ np.linalg.solve(null, delta),
        (delta @ path) ** 2 / (first @ path),
        first @ np.linalg.solve(rest - mixed @ np.linalg.solve(null, mixed.T), first),
    )
    found = form(kind, seed=6, strength=0.3)
    ours = statistics(found, found.direction(beta)[None, :])
    np.testing.assert_allclose([float(value[0]) for value in ours[:3]], wanted, rtol=1e-9)
    assert ours.sign[0] == np.sign(delta @ path)
    assert lm_test(found, beta).statistic == pytest.approx(wanted[1], rel=1e-9)
