"""Least squares, 2SLS, LIML and bias-corrected 2SLS with errors that hold up when instruments are many.

Everything follows from two 2 x 2 matrices of (outcome, treatment): ``T``, their cross-products explained by the
instruments, and ``S``, the covariance of what controls and instruments leave. Each estimate is
``(T_yd - m S_yd) / (T_dd - m S_dd)`` with its own ``m``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.iv.jackknife import _centred, projections
from causalkit.iv.jackknife_projection import Kept
from causalkit.kernels.arrays import Codes, Floats

#: Names of the estimates, in the order of the results.
ESTIMATES = ("ols", "2sls", "liml", "mbtsls")


@dataclass(frozen=True)
class ManyInstrument:
    """One estimate with its errors.

    Attributes
    ----------
    name : str
        ``"ols"``, ``"2sls"``, ``"liml"`` or ``"mbtsls"`` (Nagar's 2SLS, modified so that it is consistent with many
        instruments).
    estimate : float
    se : float
        Homoskedastic, few instruments.
    se_robust : float
        Robust to heteroskedasticity, few instruments.
    se_heterogeneous : float or None
        Robust as well to effects that differ between rows, for ``"2sls"`` and ``"mbtsls"``. LIML has none: its estimand
        is then outside the range of the effects.
    se_many : float or None
        Valid with many instruments (Bekker asymptotics) and normal errors, for ``"liml"`` (from the Hessian of the
        random-effects likelihood) and ``"mbtsls"`` (minimum distance).
    """

    name: str
    estimate: float
    se: float
    se_robust: float
    se_heterogeneous: float | None = None
    se_many: float | None = None


@dataclass(frozen=True, eq=False)
class ManyInstrumentFit:
    """All estimates of one design.

    Attributes
    ----------
    estimates : dict of str to ManyInstrument
    first_stage_f : float
        Homoskedastic F of the instruments.
    overid_statistic, overid_pvalue : float or None
        Cragg-Donald test of overidentifying restrictions, its p-value corrected for many instruments and controls under
        normal errors; None with one instrument.
    kept : Kept
        Rows used.
    """

    estimates: dict[str, ManyInstrument]
    first_stage_f: float
    overid_statistic: float | None
    overid_pvalue: float | None
    kept: Kept


@dataclass(frozen=True, eq=False)
class _Moments:
    """Cross-products by instruments, and what is left, of (outcome, treatment)."""

    n: int
    k: int
    l: int  # noqa: E741
    T: Floats
    S: Floats
    tilde: Floats
    explained: Floats

    @property
    def nu(self) -> int:
        return self.n - self.k - self.l

    @property
    def roots(self) -> Floats:
        """Eigenvalues of inv(S) T, the smaller first, from the symmetric problem."""
        lower = np.linalg.cholesky(self.S)
        half = np.linalg.solve(lower, self.T)
        return np.linalg.eigvalsh(np.linalg.solve(lower, half.T))


def many_instrument_fit(
    y: Floats,
    D: Floats,
    *,
    labels: Sequence[Codes] = (),
    Z: Floats | None = None,
    W: Floats | None = None,
    absorb: Sequence[Codes] = (),
    weights: Floats | None = None,
    kept: Kept | None = None,
) -> ManyInstrumentFit:
    """Estimate the effect of one treatment by k-class estimators with many-instrument errors.

    Parameters
    ----------
    y, D : array, shape (n,)
        Outcome and treatment.
    labels, Z, W, absorb, weights
        As for :func:`causalkit.iv.jackknife.jackknife_fit`.
    kept : Kept, optional
        Prepared projections of the same design.

    References
    ----------
    Kolesar (2018), *Minimum distance approach to inference with many instruments*; Bekker (1994), *Alternative
    approximations to the distributions of instrumental variable estimators*; Anatolyev and Gospodinov (2011),
    *Specification testing in models with many instruments*.
    """
    kept = projections(y.size, labels, Z, W, absorb, weights) if kept is None else kept
    root = np.ones(kept.rows.size) if weights is None else np.sqrt(weights[kept.rows] / weights[kept.rows].mean())
    both = [_centred(column[kept.rows], root) for column in (y, D)]
    tilde, left = kept.controls.residuals(*both), kept.full.residuals(*both)
    explained = tilde - left
    n, k, l = kept.rows.size, kept.n_instruments, kept.controls.rank  # noqa: E741
    moments = _Moments(n, k, l, explained @ explained.T / n, left @ left.T / (n - k - l), tilde, explained)
    overid = _overid(moments)
    share = k / n
    return ManyInstrumentFit(
        {name: _estimate(name, moments) for name in ESTIMATES},
        float(moments.T[1, 1] / (share * moments.S[1, 1])),
        *overid,
        kept,
    )


def _estimate(name: str, at: _Moments) -> ManyInstrument:
    m = {"ols": -at.nu / at.n, "2sls": 0.0, "liml": float(at.roots[0]), "mbtsls": at.k / at.n}[name]
    denominator = float(at.T[1, 1] - m * at.S[1, 1])
    beta = float(at.T[0, 1] - m * at.S[0, 1]) / denominator
    residuals = at.tilde[0] - beta * at.tilde[1]
    scale = at.n / (at.n - at.l - 1) if name == "ols" else 1.0
    bread = at.n * max(denominator, 0.0)
    with np.errstate(divide="ignore"):
        se = float(np.sqrt(scale * (residuals @ residuals) / at.n / np.float64(bread)))
        weight = at.tilde[1] if name == "ols" else at.explained[1]
        robust = float(np.sqrt(scale * ((weight * residuals) ** 2).sum()) / np.float64(bread))
        mixed = None
        if name in ("2sls", "mbtsls"):
            moved = (at.explained[0] - beta * at.explained[1]) * (at.tilde[1] - at.explained[1])
            mixed = float(np.sqrt(((weight * residuals + moved) ** 2).sum()) / np.float64(bread))
    many = {"liml": _random_effects_se, "mbtsls": _minimum_distance_se}.get(name)
    return ManyInstrument(name, beta, se, robust, mixed, None if many is None else many(beta, at))


def _residual_form(beta: float, matrix: Floats) -> float:
    """Return the quadratic form of ``(1, -beta)``."""
    b = np.array([1.0, -beta])
    return float(b @ matrix @ b)


def _inverse_form(beta: float, matrix: Floats) -> float:
    """Return the quadratic form of ``(beta, 1)`` in the inverse."""
    a = np.array([beta, 1.0])
    return float(a @ np.linalg.solve(matrix, a))


def _random_effects(beta: float, at: _Moments) -> tuple[float, Floats]:
    """Return concentration per row and covariance of the reduced form at the random-effects likelihood's maximum."""
    strength = max(float(at.roots[1]) - at.k / at.n, 0.0)
    a = np.array([beta, 1.0])
    signal = strength * np.outer(a, a) / _inverse_form(beta, at.S)
    return strength, (at.nu * at.S + at.n * (at.T - signal)) / (at.n - at.l)


def _random_effects_se(beta: float, at: _Moments) -> float:
    """Return the error of LIML from the Hessian of the random-effects likelihood (Chamberlain and Imbens 2004)."""
    strength, omega = _random_effects(beta, at)
    share = at.k / at.n
    if strength == 0.0:
        return float("inf")
    q = _residual_form(beta, at.T) / _residual_form(beta, omega)
    c = strength * q / ((share + strength) * (1 - at.l / at.n))
    inner = q * omega[1, 1] - at.T[1, 1] + c * q / ((1 - c) * _inverse_form(beta, omega))
    variance = -_residual_form(beta, omega) * (strength + share) / (at.n * strength * inner)
    return float(np.sqrt(variance)) if variance > 0 else float("inf")


def _minimum_distance_se(beta: float, at: _Moments) -> float:
    """Return the error of bias-corrected 2SLS with many instruments and normal errors (Kolesar 2018, section 4)."""
    share = at.k / at.n
    signal = float(at.T[1, 1] - share * at.S[1, 1])
    if signal <= 0.0:
        return float("inf")
    b = np.array([1.0, -beta])
    of_residual, of_treatment, both = b @ at.S @ b, at.S[1, 1], b @ at.S[:, 1]
    tau = share * (at.n - at.l) / at.nu
    variance = of_residual / signal + tau * (of_residual * of_treatment + both**2) / signal**2
    return float(np.sqrt(variance / at.n))


def _overid(at: _Moments) -> tuple[float | None, float | None]:
    if at.k == 1:
        return None, None
    from scipy.stats import chi2, norm

    statistic = at.n * float(at.roots[0])
    spread = np.sqrt((at.n - at.l) / at.nu)
    return statistic, float(norm.sf(norm.ppf(chi2.cdf(statistic, at.k - 1)) / spread))
