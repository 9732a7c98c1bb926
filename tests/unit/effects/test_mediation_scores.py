"""Scores are influence functions: with saturated models they are the derivatives of the plug-in formulas."""

from __future__ import annotations

import numpy as np
import pytest

from causalkit.core.rows import Rows
from causalkit.core.sample import Arms
from causalkit.effects.mediation_pathway import Pathway
from causalkit.effects.mediation_scores import CELLS, crossed_scores, front_door_scores
from causalkit.effects.outcome_scale import Scale
from causalkit.nuisance.propensity import known_propensity

N, X, M = 400, 2, 3


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(6)
    x = rng.integers(0, X, N)
    a = (rng.random(N) < 0.3 + 0.3 * x).astype(np.int32)
    m = rng.integers(0, M, N)
    m = np.where((a == 1) & (rng.random(N) < 0.5), 2, m)
    return x, a, m, a + m * (1 + x) + rng.normal(size=N)


def tables(columns, w):
    """Weighted cell means: P(x), e(a | x), f(m | a, x) and E[y | a, m, x]."""
    x, a, m, y = columns
    count = np.zeros((X, 2, M))
    total = np.zeros((X, 2, M))
    np.add.at(count, (x, a, m), w)
    np.add.at(total, (x, a, m), w * y)
    of_x = count.sum(axis=(1, 2))
    e = count.sum(axis=2) / of_x[:, None]
    f = count / count.sum(axis=2, keepdims=True)
    return of_x / of_x.sum(), e, f, total / count


def plug_in(columns, w):
    """Return E[Y(a, M(b))] for the four pairs, and the front-door E[Y(b)] for both arms, by their formulas."""
    p, e, f, mu = tables(columns, w)
    crossed = [float(p @ (mu[:, a] * f[:, b]).sum(axis=1)) for a, b in CELLS]
    door = [float(p @ (f[:, b] * (e[:, :, None] * mu).sum(axis=1)).sum(axis=1)) for b in (0, 1)]
    return np.array([*crossed, *door])


def pathway(columns):
    x, a, m, y = columns
    _, e, f, mu = tables(columns, np.ones(N))
    nested = np.stack([[(mu[x, a_] * f[x, b]).sum(axis=1) for b in (0, 1)] for a_ in (0, 1)]).transpose(2, 0, 1)
    law = np.stack([f[x, b, m] for b in (0, 1)], axis=1)
    return Pathway(
        z=y, scale=Scale(0.0, 0.0, 1.0, False), arms=Arms(a, (0, 1), "a"), weights=None, groups=None,
        rows=Rows(np.arange(N), ""), folds=np.zeros(N, np.int32), propensity=known_propensity(e[x], a, 2),
        mu=np.stack([mu[x, a_, m] for a_ in (0, 1)], axis=1), nested=nested, ratio=law / law[np.arange(N), a][:, None],
        levels=M, clipped=0,
    )  # fmt: skip


def test_means_of_scores_are_the_plug_in_formulas(columns):
    made = pathway(columns)
    found = np.column_stack([crossed_scores(made), front_door_scores(made)]).mean(axis=0)
    np.testing.assert_allclose(found, plug_in(columns, np.ones(N)), rtol=1e-12)


def test_scores_are_the_derivatives_by_the_weight_of_a_row(columns):
    made = pathway(columns)
    scores = np.column_stack([crossed_scores(made), front_door_scores(made)])
    step = 1e-5
    for i in range(0, N, 23):
        up, down = np.ones(N), np.ones(N)
        up[i] += step
        down[i] -= step
        slope = (plug_in(columns, up) - plug_in(columns, down)) / (2 * step) * N
        np.testing.assert_allclose(scores[i] - scores.mean(axis=0), slope, atol=1e-6)
