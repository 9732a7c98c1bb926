"""Whole trees on one covariate, against all cuts of every node tried in turn."""

from __future__ import annotations

import numpy as np
import pytest

from causalkit.effects.forest.binning import learn_binning, paired
from causalkit.effects.forest.honest import Growth, Training, _grow
from causalkit.kernels.forest_binning import MISSING


def draw(seed):
    """Rows with ties, gaps and weights; two arms, several, or a dose."""
    rng = np.random.default_rng(seed)
    n, kind = int(rng.integers(30, 600)), seed % 3
    x = rng.normal(size=(n, 1))
    x = np.round(x, int(rng.integers(0, 3))) if seed % 2 else x
    x[rng.random(n) < 0.15 * (seed % 4 < 2)] = np.nan
    if kind == 2:
        arms, w = np.full(n, -1, np.int32), rng.integers(0, 3, (n, 1)) - 1.0 if seed % 2 else rng.normal(size=(n, 1))
    else:
        k = 1 + kind * int(rng.integers(1, 3))
        arms = rng.integers(0, k + 1, n).astype(np.int32)
        w = (arms[:, None] == np.arange(1, k + 1)) - rng.uniform(0.2, 0.6, (n, k))
    s = rng.exponential(size=n) + 0.1 if seed % 5 == 0 else np.ones(n)
    y = rng.normal(size=n) + w[:, 0] * np.sign(np.nan_to_num(x[:, 0]))
    growth = Growth(min_node_size=int(rng.integers(1, 6)), alpha=float(rng.choice([0.0, 0.05, 0.2])))
    return x, y, w, s, arms, growth, rng


def cuts(codes, y, w, s, arms, growth):
    """The gain of every cut that is allowed, and its rows on the left."""
    d = w - np.average(w, axis=0, weights=s)
    inverse = np.linalg.inv((s[:, None] * d).T @ d)
    z = y - np.average(y, weights=s)
    tau = inverse @ ((s * z) @ d)
    rho, info = s[:, None] * (d @ inverse) * (z - d @ tau)[:, None] * s.sum(), s[:, None] * d**2
    high = d > 0 if arms[0] < 0 else arms[:, None] == np.arange(1, w.shape[1] + 1)
    kinds = np.column_stack([high, ~high, arms[:, None] == 0]) if w.shape[1] > 1 else np.column_stack([high, ~high])
    if (high.sum(axis=0) < 2 * growth.min_node_size).any() or ((~high).sum(axis=0) < 2 * growth.min_node_size).any():
        return []
    gaps, found = codes == MISSING, []
    for value in np.unique(codes[~gaps]):
        for left in {tuple((codes <= value) & ~gaps), tuple((codes <= value) | gaps)}:
            left = np.array(left)
            sides = [left, ~left]
            if all(
                kinds[side].sum(axis=0).min() >= growth.min_node_size
                and (info[side].sum(axis=0) >= growth.alpha * info.sum(axis=0) - 1e-12).all()
                for side in sides
            ):
                found.append((sum((rho[side].sum(axis=0) ** 2).sum() / s[side].sum() for side in sides), left))
    return found


@pytest.mark.parametrize("seed", range(16))
def test_every_split_is_the_best_that_is_allowed(seed):
    x, y, w, s, arms, growth, rng = draw(seed)
    n, binning = len(y), learn_binning(x)
    codes = binning.code_all(x)
    training = Training(
        codes=codes, pairs=paired(codes), cells=np.column_stack([y, s, arms, w]), w=w, arms=arms,
        n_arms=0 if arms[0] < 0 else w.shape[1] + 1, parts=np.empty((n, 0)), weighted=True, own_unit=None, n_units=n,
        binning=binning,
    )  # fmt: skip
    feature, threshold, child, missing_left, _ = _grow(training, growth, np.arange(n), rng)
    waiting, splits = [(0, np.arange(n))], 0
    while waiting:
        node, rows = waiting.pop()
        own = [a[rows] for a in (codes[0], y, w, s, arms)]
        allowed = cuts(*own, growth) if len(rows) >= 4 * growth.min_node_size else []
        best = max((gain for gain, _ in allowed), default=0.0)
        if feature[node] < 0:
            assert best < 1e-9
            continue
        left = np.where(own[0] == MISSING, missing_left[node], own[0] <= threshold[node])
        gain = max(gain for gain, side in allowed if np.array_equal(side, left))
        assert gain == pytest.approx(best, rel=1e-9)
        waiting += [(child[node], rows[left]), (child[node] + 1, rows[~left])]
        splits += 1
    assert splits > 0
