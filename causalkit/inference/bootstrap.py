"""Resampling: multiplier bootstrap of influence values, pairs bootstrap, jackknife, wild cluster bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from causalkit.errors import DesignError
from causalkit.inference.meat import checked_codes, cluster_sums, count_clusters, require_two_clusters
from causalkit.inference.multipliers import Multiplier, draw_multipliers
from causalkit.inference.wild import WildBootstrap, wild_cluster_bootstrap
from causalkit.kernels.arrays import Codes, Floats, Ints

__all__ = [
    "Jackknife",
    "WildBootstrap",
    "draw_multipliers",
    "jackknife",
    "multiplier_bootstrap",
    "pairs_bootstrap",
    "wild_cluster_bootstrap",
]

RandomState = int | np.random.Generator | None

_CHUNK = 4_000_000
"""Multipliers kept in memory at once."""


def multiplier_bootstrap(
    psi: Floats,
    groups: Codes | None = None,
    n_boot: int = 999,
    kind: Multiplier = "rademacher",
    random_state: RandomState = None,
) -> Floats:
    """Draw from the sampling distribution of estimates by perturbing their influence values.

    Parameters
    ----------
    psi : (n, k) array
        Influence values with 1/n folded in.
    groups : (n,) integer codes, optional
        Clusters that share one multiplier.
    n_boot : int
        Number of draws B.
    kind : {"rademacher", "mammen", "webb", "normal"}
    random_state : int, Generator or None

    Returns
    -------
    (B, k) array
        Draws of ``estimate - truth``: centred on zero, with covariance ``sandwich(psi, groups)``.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> y = np.random.default_rng(0).normal(size=400)
    >>> psi = (y - y.mean()) / 400  # influence values of a mean
    >>> draws = ck.inference.multiplier_bootstrap(psi, n_boot=999, random_state=0)
    >>> draws.shape, round(float(draws.std()), 3), round(float(y.std() / 20), 3)
    ((999, 1), 0.049, 0.05)
    """
    _require_positive(n_boot)
    rng = np.random.default_rng(random_state)
    psi = np.asarray(psi, dtype=np.float64)
    psi = psi[:, None] if psi.ndim == 1 else psi
    sums = psi if groups is None else cluster_sums(psi, groups)
    step = max(1, _CHUNK // max(sums.shape[0], 1))
    draws = np.empty((n_boot, sums.shape[1]))
    for start in range(0, n_boot, step):
        size = min(step, n_boot - start)
        draws[start : start + size] = draw_multipliers(rng, size, sums.shape[0], kind) @ sums
    return draws


def pairs_bootstrap(
    statistic: Callable[[Ints], Floats],
    n: int,
    groups: Codes | None = None,
    n_boot: int = 999,
    random_state: RandomState = None,
) -> Floats:
    """Recompute a statistic on rows, or whole clusters, drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Takes the drawn row numbers and returns a (k,) array or a number.
    n : int
        Number of rows.
    groups : (n,) integer codes, optional
        Clusters to draw; every draw holds as many clusters as there are, so its number of rows varies.
    n_boot : int
    random_state : int, Generator or None

    Returns
    -------
    (B, k) array.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> y = np.random.default_rng(0).normal(size=400)
    >>> draws = ck.inference.pairs_bootstrap(lambda rows: np.median(y[rows]), 400, n_boot=99, random_state=0)
    >>> draws.shape
    (99, 1)
    """
    _require_positive(n_boot)
    rng = np.random.default_rng(random_state)
    blocks = _blocks(n, groups)
    draws = []
    for _ in range(n_boot):
        chosen = rng.integers(0, n if blocks is None else len(blocks), size=n if blocks is None else len(blocks))
        rows = chosen if blocks is None else np.concatenate([blocks[block] for block in chosen])
        draws.append(np.atleast_1d(np.asarray(statistic(rows), dtype=np.float64)))
    return np.stack(draws)


class Jackknife(NamedTuple):
    """Delete-one jackknife: ``bias`` (k,), ``vcov`` (k, k) and the leave-one-out ``values`` (G, k)."""

    bias: Floats
    vcov: Floats
    values: Floats


def jackknife(statistic: Callable[[Ints], Floats], n: int, groups: Codes | None = None) -> Jackknife:
    """Leave out one row, or one cluster, at a time.

    Parameters
    ----------
    statistic : callable
        Takes the row numbers that stay and returns a (k,) array or a number.
    n : int
        Number of rows.
    groups : (n,) integer codes, optional
        Clusters to leave out.

    Returns
    -------
    Jackknife
        ``bias = (G-1)(mean - estimate)`` and ``vcov = (G-1)/G sum (value - mean)(value - mean)'``.

    Raises
    ------
    DesignError
        If there is only one row or cluster.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> y = np.random.default_rng(0).normal(size=50)
    >>> found = ck.inference.jackknife(lambda rows: y[rows].mean(), 50)
    >>> bool(np.isclose(found.vcov[0, 0], y.var(ddof=1) / 50))
    True
    """
    blocks = _blocks(n, groups)
    n_blocks = n if blocks is None else len(blocks)
    if n_blocks < 2:
        raise DesignError("The jackknife needs at least two rows or clusters.")
    everything = np.arange(n)
    full = np.atleast_1d(np.asarray(statistic(everything), dtype=np.float64))
    values = np.empty((n_blocks, full.size))
    for block in range(n_blocks):
        values[block] = statistic(np.delete(everything, block if blocks is None else blocks[block]))
    deviations = values - values.mean(axis=0)
    shrink = (n_blocks - 1) / n_blocks
    return Jackknife((n_blocks - 1) * (values.mean(axis=0) - full), shrink * (deviations.T @ deviations), values)


def _blocks(n: int, groups: Codes | None) -> list[Ints] | None:
    """Row numbers of each cluster, or None without clusters."""
    if groups is None:
        return None
    groups = checked_codes(n, groups)
    require_two_clusters(count_clusters(groups))
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _require_positive(n_boot: int) -> None:
    if n_boot < 1:
        raise DesignError(f"n_boot={n_boot} must be at least 1.")
