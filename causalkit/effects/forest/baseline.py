"""The outcome without treatment: a model of the control's rows, and how far it varies from sample to sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Codes, Floats
from causalkit.nuisance.learners import Learner, Model

#: Pairs of halves that the variance is taken from.
PAIRS = 2


@dataclass(frozen=True, eq=False)
class Baseline:
    """A model of the baseline.

    Parameters
    ----------
    model : Model
        Fitted on all rows of the control.
    variance : float
        Mean variance of its predictions over samples.
    """

    model: Model
    variance: float


def fit_baseline(
    learner: Learner, x: Floats, z: Floats, arms: Codes, weights: Floats | None, groups: Codes | None, *, seed: int
) -> Baseline:
    """Fit the control's outcome model, and measure how far it varies.

    Models of two halves of the control's rows (of the clusters) differ by twice the variance of a half's model, which is
    about twice that of the whole's; the mean over people of a quarter of the squared difference is the variance told.
    """
    used = arms == 0
    if weights is not None:
        used &= weights > 0
    rows = np.flatnonzero(used)

    def fit(part: np.ndarray) -> Model:
        return learner.fit(
            x[part], z[part], None if weights is None else weights[part], None if groups is None else groups[part]
        )

    rng, found = np.random.default_rng([seed, 2]), []
    for _ in range(PAIRS):
        first = _half(rows if groups is None else groups[rows], rng)
        if min(len(np.unique(z[rows[half]])) for half in (first, ~first)) < 2:
            continue
        gap = fit(rows[first]).predict(x) - fit(rows[~first]).predict(x)
        found.append(float(np.average(gap**2, weights=weights)) / 4.0)
    variance = float(np.mean(found)) if found else float(np.var(z[rows])) / len(rows)
    return Baseline(fit(rows), variance)


def _half(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tell which rows are in a random half of the units, shape (rows,)."""
    _, first, unit = np.unique(labels, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[unit]  # by first appearance: names play no part
    drawn = np.zeros(len(first), bool)
    drawn[rng.permutation(len(first))[: len(first) // 2]] = True
    return np.asarray(drawn[place])
