"""Doubly robust scores."""

from __future__ import annotations

import numpy as np

from causalkit.kernels.arrays import Codes, Floats


def dr_scores(outcome: Floats, arms: Codes, mu: Floats, e: Floats) -> Floats:
    """Return each unit's doubly robust (AIPW) score for each arm.

    ``score[i, a] = mu[i, a] + 1{arm i = a} (y[i] - mu[i, a]) / e[i, a]``, whose mean estimates E[Y(a)] and is right if
    either the outcome model or the propensity is (Robins and Rotnitzky 1995). Contrasts of arms are differences of
    columns.

    Parameters
    ----------
    outcome : Floats, shape (n,)
        Outcome.
    arms : Codes, shape (n,)
        Arm of each row.
    mu : Floats, shape (n, n_arms)
        Expected outcome under each arm.
    e : Floats, shape (n, n_arms)
        Probability of each arm.

    Returns
    -------
    Floats, shape (n, n_arms)
        In the units of the outcome.
    """
    scores = mu.copy()
    rows = np.arange(len(outcome))
    own = mu[rows, arms]
    scores[rows, arms] = own + (outcome - own) / e[rows, arms]
    return scores
