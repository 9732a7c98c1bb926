"""The worst Nagar bias of two-stage least squares and LIML, relative to what a useless first stage would give."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats

_STARTS = 720
_ROUNDING = 1e-11


def worst_tsls_bias(form: ReducedForm) -> float:
    """Largest relative bias of two-stage least squares over all effects and directions of the first stage.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.

    Returns
    -------
    float
        B of Montiel Olea and Pflueger (2013, theorem 1); at most one.
    """
    return _largest(lambda angles: tsls_bias(form, angles))


def worst_liml_bias(form: ReducedForm) -> float:
    """Largest relative bias of LIML over all effects and directions of the first stage.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.

    Returns
    -------
    float
    """
    return _largest(lambda angles: liml_bias(form, angles))


def tsls_bias(form: ReducedForm, angles: Floats) -> Floats:
    """Relative bias of two-stage least squares at effects ``tan(angle)``, in the worst direction of the first stage."""
    _, mixed, size = _parts(form, angles)
    total = np.einsum("tii->t", mixed)
    return _worst(total, 2.0 * mixed, size)


def liml_bias(form: ReducedForm, angles: Floats) -> Floats:
    """Relative bias of LIML at effects ``tan(angle)``, in the worst direction of the first stage."""
    own, mixed, size = _parts(form, angles)
    a = _null(angles)
    variance = np.einsum("ta,ab,tb->t", a, form.sigma, a)
    slope = np.divide(a @ form.sigma[:, 1], variance, out=np.zeros_like(variance), where=variance > 0)
    total = np.einsum("tii->t", mixed) - slope * np.einsum("tii->t", own)
    return _worst(total, 2.0 * mixed - slope[:, None, None] * own, size)


def _null(angles: Floats) -> Floats:
    return np.column_stack([np.cos(angles), -np.sin(angles)])


def _parts(form: ReducedForm, angles: Floats) -> tuple[Floats, Floats, Floats]:
    """Variance of the scores under the null, their covariance with the first stage (made symmetric), and the unit."""
    a = _null(angles)
    own = form.covariance(a, a)
    mixed = np.einsum("ta,aij->tij", a, form.cross[:, 1])
    mixed = 0.5 * (mixed + mixed.transpose(0, 2, 1))
    total = np.einsum("tii->t", own)
    # Where the errors are perfectly correlated some effect leaves no variance, and rounding in its place.
    known = total > _ROUNDING * float(np.einsum("aaii->", form.cross))
    size = np.sqrt(np.where(known, total, 0.0) * np.trace(form.cross[1, 1]))
    return own, mixed, size


def _worst(total: Floats, matrices: Floats, size: Floats) -> Floats:
    """Larger of the two extremes of ``|total - c'Mc|`` over unit vectors c, relative to ``size``."""
    values = np.linalg.eigvalsh(0.5 * (matrices + matrices.transpose(0, 2, 1)))
    extremes = np.maximum(np.abs(total - values[:, 0]), np.abs(total - values[:, -1]))
    return np.asarray(np.divide(extremes, size, out=np.zeros_like(size), where=size > 0))


def _largest(bias: Callable[[Floats], Floats]) -> float:
    """Maximise over half a turn: an even grid, then the best stretches refined until they no longer gain."""
    width = math.pi / _STARTS
    angles = np.asarray(np.arange(_STARTS) * width - math.pi / 2, dtype=float)
    values = bias(angles)
    peaks = (values >= np.roll(values, 1)) & (values >= np.roll(values, -1))
    centres = angles[peaks][np.argsort(-values[peaks])[:8]]
    best = float(values.max())
    while width > 1e-12:
        around = (centres[:, None] + np.linspace(-width, width, 17)).ravel()
        found = bias(around).reshape(len(centres), 17)
        centres = around.reshape(len(centres), 17)[np.arange(len(centres)), found.argmax(axis=1)]
        best, width = max(best, float(found.max())), width / 6.0
    return best
