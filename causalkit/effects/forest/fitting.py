"""From centred outcomes and treatments to a forest and its out-of-bag predictions, as the public class is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalkit.core.settings import n_jobs_or_default, say
from causalkit.effects.forest.growing import grow_forest
from causalkit.effects.forest.honest import Growth
from causalkit.effects.forest.local_linear import LocalLinear, tune_local_linear
from causalkit.effects.forest.predicting import Prediction, oob_predict
from causalkit.effects.forest.trees import Forest
from causalkit.kernels.arrays import Floats
from causalkit.kernels.compiling import on_compilation
from causalkit.nuisance.features import FeatureMatrix

if TYPE_CHECKING:
    from causalkit.effects.causal_forest import CausalForest

#: Rows times trees that take more than about two seconds.
LONG = 4_000_000


def grow_and_predict(
    run: CausalForest, features: FeatureMatrix, y: Floats, w: Floats, **more: Any
) -> tuple[Forest, LocalLinear | None, Prediction]:
    """Grow the trees on centred outcomes and treatments, and predict out of bag.

    Parameters
    ----------
    run : CausalForest
        How, with a seed.
    features : FeatureMatrix
        Covariates, (n, p), in canonical order.
    y, w : Floats, shapes (n,), (n, k)
        Centred outcome and treatments.
    **more
        ``arms``, ``weights``, ``groups`` and ``extra`` of :func:`causalkit.effects.forest.growing.grow_forest`.

    Returns
    -------
    Forest, LocalLinear or None, Prediction
    """

    seed, jobs = run.random_state or 0, n_jobs_or_default(run.n_jobs)
    if len(y) * run.n_trees > LONG:
        say(f"CausalForest: growing {run.n_trees:,} trees on {len(y):,} rows.")
    growth = Growth(
        n_trees=run.n_trees,
        min_node_size=run.min_node_size,
        sample_fraction=run.sample_fraction,
        keep_rows=run.local_linear,
    )
    x, categorical, local = features.values, features.categorical, None
    with on_compilation(lambda: say("CausalForest: compiling its loops, once after an installation.")):
        forest, bags = grow_forest(
            x, y, w, categorical=categorical, growth=growth, random_state=seed, n_jobs=jobs, **more
        )
        found = oob_predict(forest, bags, x, n_jobs=jobs)
        if run.local_linear:
            plain, weights = found.mean[:, : forest.n_treatments], more.get("weights")
            local = tune_local_linear(
                forest, bags, x, y, w, weights=weights, categorical=categorical, plain=plain, random_state=seed
            )
        if local is not None:
            found = oob_predict(forest, bags, x, local=local, n_jobs=jobs)
    return forest, local, found
