"""Outer products of influence values: by row, by cluster, by several clusterings, and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats

SmallSample = Literal["each", "min"]
HacKernel = Literal["bartlett", "parzen", "uniform"]


def cluster_sums(psi: Floats, groups: Codes) -> Floats:
    """Add the rows of ``psi`` within each group.

    Parameters
    ----------
    psi : (n, k) array
        Influence values.
    groups : (n,) integer codes, from 0
        The cluster of each row. Codes that never occur give a row of zeros.

    Returns
    -------
    (G, k) array, where G is one more than the largest code.

    Raises
    ------
    DataError
        If the lengths differ or a code is negative.
    """
    psi, groups = _columns(psi), checked_codes(psi.shape[0], groups)
    n_codes = int(groups.max()) + 1 if groups.size else 0
    sums = np.empty((n_codes, psi.shape[1]))
    for column in range(psi.shape[1]):
        sums[:, column] = np.bincount(groups, weights=psi[:, column], minlength=n_codes)
    return sums


def count_clusters(groups: Codes) -> int:
    """Count the codes that occur in ``groups``."""
    there = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.bool_)
    there[groups] = True
    return int(np.count_nonzero(there))


def sandwich(psi: Floats, groups: Codes | None = None, scale: float = 1.0) -> Floats:
    """Covariance from influence values: ``scale * sum over clusters (sum psi)(sum psi)'``.

    Parameters
    ----------
    psi : (n, k) array
        One influence value per row and estimate, with 1/n folded in.
    groups : (n,) integer codes, optional
        Clusters; without them every row stands alone.
    scale : float
        Small-sample factor.

    Returns
    -------
    (k, k) array.
    """
    sums = _columns(psi) if groups is None else cluster_sums(psi, groups)
    return scale * (sums.T @ sums)


@dataclass(frozen=True, eq=False)
class MultiwayVcov:
    """A multiway cluster covariance.

    Attributes
    ----------
    matrix : (k, k) array
    n_clusters : tuple of int
        Clusters of each way, in the order given.
    repaired : bool
        True if the inclusion-exclusion sum was not positive semi-definite; its negative eigenvalues are then zero.
    """

    matrix: Floats
    n_clusters: tuple[int, ...]
    repaired: bool


def multiway_vcov(
    psi: Floats, groups: Sequence[Codes], small_sample: bool = True, factor: SmallSample = "min", scale: float = 1.0
) -> MultiwayVcov:
    """Cluster covariance over several ways, by inclusion and exclusion.

    Every non-empty subset of the ways adds (odd size) or subtracts (even size) the one-way covariance of its
    intersection (Cameron, Gelbach and Miller 2011, eq. 2.13).

    Parameters
    ----------
    psi : (n, k) array
        Influence values with 1/n folded in.
    groups : sequence of (n,) integer codes
        One array per way; one or more.
    small_sample : bool
        Multiply by G/(G-1).
    factor : {"min", "each"}
        ``"min"``: one factor, from the way with the fewest clusters (fixest, reghdfe). ``"each"``: every term has
        the factor of its own intersection (statsmodels, cgmreg).
    scale : float
        A further factor on the whole, such as (n-1)/(n-K).

    Returns
    -------
    MultiwayVcov
        If the sum has a negative eigenvalue, after scaling to unit first-order variances, the nearest positive
        semi-definite matrix is returned and ``repaired`` is True.

    Raises
    ------
    DesignError
        If no way is given, or ``small_sample`` and a way has fewer than two clusters.
    """
    if len(groups) == 0:
        raise DesignError("Multiway clustering needs at least one array of clusters.")
    ways = [checked_codes(psi.shape[0], way) for way in groups]
    counts = tuple(count_clusters(way) for way in ways)
    if small_sample:
        require_two_clusters(min(counts))
    psi = _columns(psi)
    total = np.zeros((psi.shape[1], psi.shape[1]))
    reference = np.zeros(psi.shape[1])
    for size in range(1, len(ways) + 1):
        for subset in combinations(ways, size):
            joint = _intersection(subset)
            n_clusters = min(counts) if factor == "min" else count_clusters(joint)
            term = sandwich(psi, joint, n_clusters / (n_clusters - 1) if small_sample else 1.0)
            total += term if size % 2 else -term
            if size == 1:
                reference += np.diag(term)
    matrix, repaired = _nearest_psd(total, np.sqrt(reference))
    return MultiwayVcov(scale * matrix, counts, repaired)


def multiway(psi: Floats, groups: Sequence[Codes], small_sample: bool = True, factor: SmallSample = "min") -> Floats:
    """Return the matrix of :func:`multiway_vcov`."""
    return multiway_vcov(psi, groups, small_sample, factor).matrix


def newey_west_lags(n_periods: int) -> int:
    """Rule-of-thumb lag count, ``floor(4 (T/100)^(2/9))`` (Newey and West 1994)."""
    return int(np.floor(4.0 * (n_periods / 100.0) ** (2.0 / 9.0)))


def hac(psi: Floats, lags: int | None = None, kernel: HacKernel = "bartlett") -> Floats:
    """Covariance that allows for serial correlation (Newey and West 1987).

    Parameters
    ----------
    psi : (T, k) array
        Influence values in time order, evenly spaced, with 1/T folded in.
    lags : int, optional
        Largest lag with weight; None means ``floor(4 (T/100)^(2/9))``.
    kernel : {"bartlett", "parzen", "uniform"}
        Weights by ``lag / (lags + 1)``. The uniform kernel need not give a positive semi-definite matrix.

    Returns
    -------
    (k, k) array.

    Raises
    ------
    DesignError
        If ``lags`` is negative or not below T, or the kernel is unknown.
    """
    psi = _columns(psi)
    n_periods = psi.shape[0]
    lags = min(newey_west_lags(n_periods), n_periods - 1) if lags is None else lags
    if not 0 <= lags < n_periods:
        raise DesignError(f"lags={lags} must be at least 0 and below the {n_periods} periods.")
    total = psi.T @ psi
    for lag in range(1, lags + 1):
        cross = psi[lag:].T @ psi[:-lag]
        total += _lag_weight(lag / (lags + 1.0), kernel) * (cross + cross.T)
    return total


def require_two_clusters(n_clusters: int) -> None:
    """Raise DesignError where there are fewer than two clusters."""
    if n_clusters < 2:
        raise DesignError(
            f"Cluster-robust inference needs at least two clusters; there is {n_clusters}.",
            hint="Cluster on a finer level, or use a heteroskedasticity-robust covariance.",
        )


def _columns(psi: Floats) -> Floats:
    psi = np.asarray(psi, dtype=np.float64)
    return psi[:, None] if psi.ndim == 1 else psi


def checked_codes(n_rows: int, groups: Codes) -> Codes:
    """Return the codes as an array; raise DataError unless there is one per row and none is negative."""
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise DataError(f"There are {n_rows} rows but cluster codes of shape {groups.shape}.")
    if groups.dtype.kind not in "iub":
        raise DataError(
            f"cluster codes are whole numbers, not {groups.dtype}.",
            hint="Turn labels into codes: np.unique(labels, return_inverse=True)[1].",
        )
    if groups.size and groups.min() < 0:
        rows = np.flatnonzero(groups < 0)
        raise DataError(
            f"{rows.size} rows have no cluster (negative code), the first is row {rows[0]}.",
            hint="Drop these rows or give them a cluster.",
            rows=rows[:5].tolist(),
        )
    return groups


def _intersection(ways: Sequence[Codes]) -> Codes:
    """Dense codes of the combinations that occur."""
    joint = np.asarray(ways[0], dtype=np.int64)
    for way in ways[1:]:
        joint = joint * (int(way.max()) + 1) + way
        joint = np.unique(joint, return_inverse=True)[1].astype(np.int64)
    return joint.astype(np.int32)


def _nearest_psd(matrix: Floats, scales: Floats) -> tuple[Floats, bool]:
    """Set negative eigenvalues of the unit-scaled matrix to zero."""
    unit = np.where(scales > 0, scales, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(unit, unit))
    if values.size == 0 or values[0] >= -1e-12 * max(values[-1], 1.0):
        return matrix, False
    repaired = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return repaired * np.outer(unit, unit), True


def _lag_weight(ratio: float, kernel: HacKernel) -> float:
    if kernel == "bartlett":
        return 1.0 - ratio
    if kernel == "parzen":
        return 1.0 - 6.0 * ratio**2 + 6.0 * ratio**3 if ratio <= 0.5 else 2.0 * (1.0 - ratio) ** 3
    if kernel == "uniform":
        return 1.0
    raise DesignError(f"Unknown kernel {kernel!r}.", hint="Use 'bartlett', 'parzen' or 'uniform'.")
