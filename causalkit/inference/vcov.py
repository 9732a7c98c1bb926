"""Covariances of least-squares coefficients, and the sandwich of any influence values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.bias_reduced import cr2_residuals, cr3_residuals
from causalkit.inference.meat import (
    MultiwayVcov,
    SmallSample,
    checked_codes,
    cluster_sums,
    count_clusters,
    hac,
    multiway,
    multiway_vcov,
    newey_west_lags,
    require_two_clusters,
    sandwich,
)
from causalkit.kernels.arrays import Codes, Floats, read_only

__all__ = [
    "CLUSTER_KINDS",
    "LEAST_SQUARES_KINDS",
    "LeastSquaresVcov",
    "MultiwayVcov",
    "cluster_sums",
    "count_clusters",
    "hac",
    "least_squares_vcov",
    "multiway",
    "multiway_vcov",
    "newey_west_lags",
    "require_two_clusters",
    "sandwich",
]

LeastSquaresKind = Literal["iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"]
LEAST_SQUARES_KINDS: tuple[str, ...] = ("iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3")
CLUSTER_KINDS: tuple[str, ...] = ("CR0", "CR1", "CR2", "CR3")

_SATURATED = 1e-10


@dataclass(frozen=True, eq=False)
class LeastSquaresVcov:
    """The covariance of least-squares coefficients and what it rests on.

    Attributes
    ----------
    matrix : (k, k) array
    df : (k,) array
        Degrees of freedom of each coefficient's t statistic; NaN where CR2's variance is zero by construction.
    scale : float
        Small-sample factor. ``matrix == sandwich(adjusted_psi, groups, scale)`` for every kind but ``"iid"`` and
        several ways of clustering.
    psi : (n, k) array
        Influence values with 1/n folded in: row i is ``bread x_i w_i e_i``.
    adjusted_psi : (n, k) array or None
        Influence values with leverage-adjusted residuals for HC2, HC3, CR2 and CR3; ``psi`` itself for HC0, HC1, CR0
        and CR1; None for iid.
    kind : str
    n_clusters : tuple of int
        Clusters of each way; empty without clusters.
    n_saturated : int
        Rows with leverage one, which HC2 and HC3 leave out because their residual is zero.
    repaired : bool
        True if a multiway matrix was not positive semi-definite and was replaced by the nearest one that is.
    """

    matrix: Floats
    df: Floats
    scale: float
    psi: Floats
    adjusted_psi: Floats | None
    kind: LeastSquaresKind
    n_clusters: tuple[int, ...] = ()
    n_saturated: int = 0
    repaired: bool = False

    def __post_init__(self) -> None:
        for name in ("matrix", "df", "psi", "adjusted_psi"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, read_only(value))


def least_squares_vcov(
    kind: LeastSquaresKind,
    design: Floats,
    residuals: Floats,
    bread: Floats,
    *,
    groups: Codes | Sequence[Codes] | None = None,
    n_parameters: int | None = None,
    leverage_extra: Floats | None = None,
    weights: Floats | None = None,
    factor: SmallSample = "min",
) -> LeastSquaresVcov:
    """Covariance of the coefficients of a (weighted) least-squares fit.

    Parameters
    ----------
    kind : {"iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"}
        HC1 has the factor n/(n-K). CR1 is Stata's ``G/(G-1) (n-1)/(n-K)``. CR2 is Bell-McCaffrey. CR3 is the cluster
        jackknife centred on the estimate, ``(G-1)/G sum (b_(-g) - b)(b_(-g) - b)'`` (CV3 of MacKinnon, Nielsen and
        Webb 2023); clubSandwich's CR3 leaves out the factor.
    design : (n, k) array
        Full-rank regressors times the square root of the weights, possibly with absorbed effects partialled out.
    residuals : (n,) array
        Residuals times the square root of the weights.
    bread : (k, k) array
        Inverse of ``design' design``.
    groups : (n,) integer codes, or a sequence of them
        Clusters, required by the CR kinds. Several arrays mean multiway clustering (CR0 and CR1 only).
    n_parameters : int, optional
        K: columns of the design plus the absorbed effects that count. Default k.
    leverage_extra : (n,) array, optional
        Leverage of the absorbed effects, added to that of the design for HC2 and HC3. CR2 and CR3 do not use it: they
        are exact where absorbed effects are nested in clusters, otherwise pass those effects as columns.
    weights : (n,) array, optional
        The weights themselves, used by CR2 only: its working model is homoskedastic on the unweighted scale, which is
        the convention of estimatr and clubSandwich. Without them CR2 treats the weighted rows as the model, right for
        inverse-variance weights. Rows of weight zero do not enter CR2.
    factor : {"min", "each"}
        How multiway CR1 applies G/(G-1); see :func:`multiway_vcov`.

    Returns
    -------
    LeastSquaresVcov
        df is n-K for iid and HC; G-1 for CR0, CR1 and CR3 (smallest G of several); per coefficient for CR2.

    Raises
    ------
    DesignError
        If the kind is unknown or does not go with ``groups``, or there are fewer than two clusters.
    InferenceUnavailable
        If n does not exceed K.
    DataError
        If lengths differ or a cluster code is negative.
    """
    from causalkit.kernels.normal import influence_values  # compiled: loaded with the first fit

    ways = _ways(kind, groups, design.shape[0])
    n_rows, k = design.shape
    n_parameters = k if n_parameters is None else n_parameters
    if n_rows <= n_parameters and kind not in ("HC0", "CR0", "CR2", "CR3"):
        raise InferenceUnavailable(
            f"{n_rows} rows leave no residual degrees of freedom for {n_parameters} parameters.",
            hint="Drop covariates or absorbed effects.",
        )
    psi = influence_values(design, residuals, bread)
    residual_df = max(n_rows - n_parameters, 0)
    if kind == "iid":
        matrix = bread * (float(residuals @ residuals) / residual_df)
        return LeastSquaresVcov(matrix, np.full(k, float(residual_df)), 1.0, psi, None, kind)
    if not ways:
        return _heteroskedastic(kind, design, residuals, bread, psi, n_parameters, leverage_extra)
    if kind in ("CR0", "CR1"):
        return _clustered(kind, psi, ways, n_parameters, factor)
    return _bias_reduced(kind, design, residuals, bread, psi, ways[0], weights)


def _ways(kind: str, groups: Codes | Sequence[Codes] | None, n_rows: int) -> list[Codes]:
    """Check that kind and clusters go together; return the clusterings as a list."""
    if kind not in LEAST_SQUARES_KINDS:
        raise DesignError(f"Unknown covariance {kind!r}.", hint=f"Use one of {', '.join(LEAST_SQUARES_KINDS)}.")
    if kind not in CLUSTER_KINDS:
        if groups is not None:
            raise DesignError(f"{kind} does not take clusters.", hint="Use CR0, CR1, CR2 or CR3.")
        return []
    if groups is None:
        raise DesignError(f"{kind} needs clusters.", hint="Name them, or use HC1, HC2 or HC3.")
    ways = [groups] if isinstance(groups, np.ndarray) and groups.ndim == 1 else [np.asarray(way) for way in groups]
    if len(ways) > 1 and kind in ("CR2", "CR3"):
        raise DesignError(f"{kind} takes one way of clustering, not {len(ways)}.", hint="Use CR1.")
    for way in ways:
        checked_codes(n_rows, way)
        require_two_clusters(count_clusters(way))
    return ways


def _heteroskedastic(
    kind: LeastSquaresKind,
    design: Floats,
    residuals: Floats,
    bread: Floats,
    psi: Floats,
    n_parameters: int,
    leverage_extra: Floats | None,
) -> LeastSquaresVcov:
    n_rows, k = design.shape
    df = np.full(k, float(max(n_rows - n_parameters, 0)))
    if kind in ("HC0", "HC1"):
        scale = n_rows / (n_rows - n_parameters) if kind == "HC1" else 1.0
        return LeastSquaresVcov(sandwich(psi, None, scale), df, scale, psi, psi, kind)
    leverage = np.einsum("ij,ij->i", design @ bread, design)
    gap = 1.0 - (leverage if leverage_extra is None else leverage + leverage_extra)
    kept = gap > _SATURATED
    stretch = np.zeros(n_rows)
    stretch[kept] = gap[kept] ** (-0.5 if kind == "HC2" else -1.0)
    adjusted = psi * stretch[:, None]
    n_saturated = int(n_rows - np.count_nonzero(kept))
    return LeastSquaresVcov(sandwich(adjusted), df, 1.0, psi, adjusted, kind, n_saturated=n_saturated)


def _clustered(
    kind: LeastSquaresKind, psi: Floats, ways: Sequence[Codes], n_parameters: int, factor: SmallSample
) -> LeastSquaresVcov:
    n_rows, k = psi.shape
    counts = tuple(count_clusters(way) for way in ways)
    df = np.full(k, float(min(counts) - 1))
    small = kind == "CR1"
    rows_factor = (n_rows - 1) / (n_rows - n_parameters) if small else 1.0
    if len(ways) == 1:
        scale = rows_factor * (counts[0] / (counts[0] - 1) if small else 1.0)
        return LeastSquaresVcov(sandwich(psi, ways[0], scale), df, scale, psi, psi, kind, counts)
    joint = multiway_vcov(psi, ways, small_sample=small, factor=factor, scale=rows_factor)
    return LeastSquaresVcov(joint.matrix, df, rows_factor, psi, psi, kind, counts, repaired=joint.repaired)


def _bias_reduced(
    kind: LeastSquaresKind,
    design: Floats,
    residuals: Floats,
    bread: Floats,
    psi: Floats,
    groups: Codes,
    weights: Floats | None,
) -> LeastSquaresVcov:
    n_clusters = count_clusters(groups)
    if kind == "CR3":
        adjusted = cr3_residuals(design, residuals, groups).residuals
        scale, df = (n_clusters - 1) / n_clusters, np.full(design.shape[1], n_clusters - 1.0)
    else:
        used = slice(None) if weights is None else np.flatnonzero(weights > 0)
        part = cr2_residuals(design[used], residuals[used], groups[used], None if weights is None else weights[used])
        adjusted = np.zeros_like(residuals)
        adjusted[used] = part.residuals
        scale, df = 1.0, np.asarray(part.df)
    adjusted_psi = (design * adjusted[:, None]) @ bread
    matrix = sandwich(adjusted_psi, groups, scale)
    return LeastSquaresVcov(matrix, df, scale, psi, adjusted_psi, kind, (n_clusters,))
