"""The variance of a forest's prediction from the spread of groups of trees, without the part that is Monte Carlo error."""

from __future__ import annotations

import math

import numpy as np

from causalkit.kernels.arrays import Codes, Floats


def debiased_variance(between: Floats, total: Floats, n_groups: Codes, group_size: int) -> Floats:
    """Return covariances of predictions.

    Parameters
    ----------
    between : Floats, shape (n, q, q)
        Mean products of the means of groups.
    total : Floats, shape (n, q)
        Mean squares of trees.
    n_groups : Codes, shape (n,)
        Groups behind each row.
    group_size : int
        Trees of a group.

    Returns
    -------
    Floats, shape (n, q, q)
        Variances as :func:`posterior_mean` makes them from ``between - (total - between) / (group_size - 1)``;
        correlations are those of ``between``, so the matrix is positive semi-definite.
    """
    raw = np.diagonal(between, axis1=1, axis2=2)
    noise = (total - raw) / (group_size - 1)
    spread = np.maximum(raw, noise) * np.sqrt(2.0 / np.maximum(n_groups, 1))[:, None]
    root = np.sqrt(posterior_mean(raw - noise, spread))
    scale = np.divide(root, np.sqrt(raw), out=np.zeros_like(root), where=raw > 0)
    out: Floats = between * scale[:, :, None] * scale[:, None, :]
    return out


def monte_carlo_variance(between: Floats, total: Floats, n_groups: Codes, group_size: int) -> Floats:
    """Return the variance of predictions over repeated draws of the trees, shape (n, q); arguments as above.

    The variance of the mean of a group's trees given its half-sample, over the number of groups. Half-samples come in
    complementary pairs, so that what they differ by cancels.
    """
    raw = np.diagonal(between, axis1=1, axis2=2)
    noise = np.maximum(total - raw, 0.0) / (group_size - 1)
    out: Floats = noise / np.maximum(n_groups, 1)[:, None]
    return out


def posterior_mean(estimate: Floats, se: Floats) -> Floats:
    """Return the mean of a normal distribution (estimate, se) cut off below zero: a flat prior on the half-line.

    Equal to ``estimate + se phi(r) / Phi(r)`` with ``r = estimate / se``; never negative.
    """
    from scipy.special import erfcx

    r = np.divide(estimate, se, out=np.zeros_like(estimate), where=se > 0)
    mills = math.sqrt(2.0 / math.pi) / erfcx(-r / math.sqrt(2.0))
    out: Floats = np.where(se > 0, estimate + se * mills, np.maximum(estimate, 0.0))
    return np.maximum(out, 0.0)
