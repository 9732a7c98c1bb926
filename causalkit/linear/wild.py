"""The wild cluster bootstrap of a regression: partialling out what may be, keeping as columns what must be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.core.rows import Groups
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.bootstrap import WildBootstrap, wild_cluster_bootstrap
from causalkit.kernels.arrays import Floats
from causalkit.kernels.groups import is_nested
from causalkit.linear.absorb import absorber
from causalkit.linear.rank import select_columns

#: Crossing effects are written out as indicators; more levels than this take too much memory.
MOST_INDICATORS = 1000


def wild_bootstrap(
    y: Floats,
    design: Floats,
    coefficient: int,
    absorb: Sequence[Groups],
    cluster: Groups,
    *,
    weights: Floats | None,
    n_parameters: int,
    null: float,
    n_boot: int | None,
    random_state: int,
) -> WildBootstrap:
    """Run the bootstrap (Cameron, Gelbach and Miller 2008, null imposed) on a regression with absorbed effects.

    Effects nested in the clusters are partialled out, which leaves the bootstrap unchanged; others enter as indicators.

    Raises
    ------
    InferenceUnavailable
        If crossing effects have more than 1,000 levels.
    DesignError
        If the coefficient is not identified.
    """
    nested = [effect for effect in absorb if is_nested(effect.codes, cluster.codes, int(effect.codes.max()) + 1)]
    crossing = [effect for effect in absorb if not any(effect is other for other in nested)]
    levels = sum(len(effect.labels) for effect in crossing)
    if levels > MOST_INDICATORS:
        raise InferenceUnavailable(
            f"{levels:,} levels of {' and '.join(effect.name for effect in crossing)} cross the clusters.",
            hint='Use vcov="CR2", or cluster by a column that the effects are nested in.',
        )
    indicators = [(effect.codes == code).astype(float) for effect in crossing for code in range(len(effect.labels))]
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    columns = np.stack([y, *design.T, *indicators])
    # Against the norms before partialling out, what the nested effects leave of a column they determine is nothing.
    norms = np.maximum(np.sqrt((columns[1:] ** 2).sum(axis=1)), np.finfo(float).tiny)
    if nested:
        columns = absorber([effect.codes for effect in nested], weights).partial_out(list(columns)).columns
    matrix = columns * root
    regressors = matrix[1:].T
    kept = select_columns(np.linalg.qr(regressors / norms)[1], np.full(regressors.shape[1], 1e-9)).kept
    if coefficient not in kept:
        raise DesignError("the coefficient is not identified beside the other columns.")
    return wild_cluster_bootstrap(
        matrix[0],
        regressors[:, kept],
        cluster.codes,
        int(np.flatnonzero(kept == coefficient)[0]),
        null=null,
        n_boot=n_boot,
        random_state=random_state,
        n_parameters=n_parameters,
    )
