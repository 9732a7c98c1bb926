"""Panels with parallel trends and one effect for all: what an interval must cover, and a test of trends must not reject."""

from __future__ import annotations

import numpy as np
import pandas as pd

EFFECT = 0.3


def clustered_panel(rng, n_clusters, per_cluster=10, n_periods=8, effect=EFFECT):
    """Return states that share shocks, two fifths of which are treated from the middle on."""
    starts = np.full(n_clusters, n_periods)
    starts[rng.permutation(n_clusters)[: max(2, round(0.4 * n_clusters))]] = n_periods // 2
    state = np.repeat(np.arange(n_clusters), per_cluster)
    time = np.arange(n_periods)
    shocks = rng.normal(scale=0.3, size=(n_clusters, n_periods))
    for t in range(1, n_periods):
        shocks[:, t] = 0.5 * shocks[:, t - 1] + np.sqrt(0.75) * shocks[:, t]
    on = time >= starts[state][:, None]
    y = rng.normal(size=state.size)[:, None] + 0.1 * time + shocks[state] + effect * on
    y = y + rng.normal(size=y.shape)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(state.size), n_periods),
            "time": np.tile(time + 1, state.size),
            "state": np.repeat(state, n_periods),
            "start": np.repeat(np.where(starts < n_periods, starts + 1, 0)[state], n_periods),
            "y": y.ravel(),
        }
    )
