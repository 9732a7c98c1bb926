"""Public functions of doubly robust scores and a priority, beside ``rate``: curves, profit, sequential folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.data.frame import Frame
from causalkit.errors import DataError
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift import curves as _curves
from causalkit.uplift.curves import Curve
from causalkit.uplift.folds import FoldEffect, by_fold_sequential
from causalkit.uplift.gain_parts import Kind
from causalkit.uplift.ranking import Method
from causalkit.uplift.ranks import as_floats


def curve(
    dr_scores: Any, priority: Any, kind: Kind = "gain", q: Any = None, weights: Any = None, cluster: Any = None
) -> Curve:
    """Curve over the share treated, with pointwise limits and a simultaneous band.

    Parameters
    ----------
    dr_scores : array, shape (n,)
        Doubly robust scores of the effect, such as ``model.scores``, of rows that did not teach the priority.
    priority : array, shape (n,)
        Who is treated first: larger is earlier. Ties share their block's mean.
    kind : {"gain", "uplift", "toc", "excess"}
        Gain per head of everyone; effect among the treated; the same less the average effect; gain over a random order.
    q : array, shape (k,), optional
        At most 101 shares in (0, 1]; by default 0.01, 0.02, ..., 1.
    weights : array, shape (n,), optional
        Sampling weights.
    cluster : array, shape (n,), optional
        Clusters of rows that are not independent.

    Returns
    -------
    Curve
        ``.q``, ``.value``, ``.se``, ``.limits(alpha)``, ``.band(alpha)``, ``.to_frame()``.

    Raises
    ------
    DataError
        If the arrays differ in length or hold missing or infinite values.
    DesignError
        If the kind is unknown, or there are too many shares.
    """
    return _curves.curve(
        as_floats(dr_scores, "dr_scores"), as_floats(priority, "priority"), kind, q, _optional(weights), _codes(cluster)
    )


def profit_curve(
    dr_scores: Any,
    priority: Any,
    value: Any = 1.0,
    cost: Any = 0.0,
    q: Any = None,
    weights: Any = None,
    cluster: Any = None,
) -> Curve:
    """Profit per head of everyone when the first share ``q`` of a ranking is treated.

    Parameters
    ----------
    dr_scores, priority, q, weights, cluster
        As for :func:`curve`.
    value : float or array, shape (n,)
        Money per unit of the outcome.
    cost : float or array, shape (n,)
        Money per treated person. For a cost that arises only on redemption pass doubly robust scores of that cost.

    Returns
    -------
    Curve

    Raises
    ------
    DataError, DesignError
        As :func:`curve`.
    """
    return _curves.profit_curve(
        as_floats(dr_scores, "dr_scores"),
        as_floats(priority, "priority"),
        value,
        cost,
        q,
        _optional(weights),
        _codes(cluster),
    )


def sequential_rate(
    dr_scores: Any, priority: Any, stage: Any, method: Method = "autoc", weights: Any = None, cluster: Any = None
) -> FoldEffect:
    """Test a learner's rankings where stage k was ranked by a model of the stages before it.

    The stages' statistics are martingale differences, so that their sum over the square root of their number is standard
    normal whatever the learner: the test of heterogeneity to use where there is no separate evaluation sample.

    Parameters
    ----------
    dr_scores, priority, weights, cluster
        As for :func:`curve`; priorities of the first stage are not read and may be NaN.
    stage : array of int, shape (n,)
        Stage of each row, drawn at random and not negative; a cluster must lie within one stage.
    method : {"autoc", "qini"}
        Which area under the targeting curve.

    Returns
    -------
    FoldEffect
        ``.statistic``, ``.pvalue`` (one-sided), ``.fold_estimates``, ``.effect.estimate``, ``.effect.se``.

    Raises
    ------
    DataError
        If there are fewer than two stages, or a cluster lies in two.

    References
    ----------
    Wager (2024), "Sequential validation of treatment heterogeneity", arXiv:2405.05534.
    """
    stages = as_floats(stage, "stage")
    odd = np.flatnonzero(~(np.isfinite(stages) & (stages >= 0) & (stages == np.floor(stages))))
    if odd.size:
        raise DataError(
            f"stage= has {odd.size} values that are no whole number from 0 (first in row {odd[0]}).",
            hint="Number the stages 0, 1, 2, ...",
        )
    return by_fold_sequential(
        as_floats(dr_scores, "dr_scores"),
        as_floats(priority, "priority"),
        np.unique(stages, return_inverse=True)[1].astype(np.int32),
        method,
        _optional(weights),
        _codes(cluster),
    )


def _optional(weights: Any) -> Floats | None:
    return None if weights is None else as_floats(weights, "weights")


def _codes(labels: Any) -> Codes | None:
    if labels is None:
        return None
    codes, _ = Frame.read({"cluster": np.asarray(labels)}).labels("cluster")
    gone = np.flatnonzero(codes < 0)
    if gone.size:
        raise DataError(
            f"cluster= has {gone.size} missing labels (first in row {gone[0]}).", hint="Leave these rows out."
        )
    return codes
