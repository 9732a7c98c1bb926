"""Where on the projective line the statistics of one treatment vary: the two axes of identification."""

from __future__ import annotations

import math

import numpy as np

from causalkit.iv.anderson_rubin import pencil_angles, statistics
from causalkit.iv.weak_sets_circle import directions, find_candidates
from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats

_HALF = math.pi / 2
_EXACT = 1e-14
_NARROW = 1e-6
_GROWTH = 6.0
#: A pole further than this from the real line leaves the statistics smooth enough.
_FAR = 0.2


def roots_of_identification(form: ReducedForm) -> tuple[float, float]:
    """Return the smallest and the largest homoskedastic AR statistic over all coefficients (chi-square scale).

    The smallest is LIML's, the statistic of overidentification. The largest is infinite where the instruments determine
    the treatment without error.
    """
    sigma = form.sigma
    left = sigma[0, 0] - sigma[0, 1] ** 2 / sigma[1, 1] if sigma[1, 1] > 0 else 0.0
    if sigma[1, 1] <= _EXACT or left <= _EXACT * sigma[0, 0]:
        return _without_error(form), math.inf
    whitened = np.linalg.solve(np.linalg.cholesky(sigma), form.scores.T)
    values = np.linalg.svd(whitened, compute_uv=False) ** 2
    return (float(values[-1]) if form.n_instruments > 1 else 0.0), float(values[0])


def axes_of_identification(form: ReducedForm) -> Floats:
    """Return the directions of the smallest and of the largest homoskedastic AR statistic: columns, of variance one.

    At ``cos(t)`` times the first plus ``sin(t)`` times the second the statistic is the smallest one times ``cos(t)^2``
    plus the largest times ``sin(t)^2``.
    """
    root = np.linalg.inv(np.linalg.cholesky(form.sigma)).T
    axes = np.linalg.svd(form.scores @ root, full_matrices=False)[2]
    return np.asarray(root @ axes[::-1].T)


def _without_error(form: ReducedForm) -> float:
    """Smallest statistic where one direction has no variance: that direction is left out of the scores of the other."""
    values, vectors = np.linalg.eigh(form.sigma)
    exact, other = form.scores @ vectors[:, 0], form.scores @ vectors[:, 1]
    left = other - exact * (exact @ other) / (exact @ exact)
    return float(left @ left / values[1])


def breaks(form: ReducedForm, level: float) -> Floats:
    """Return angles, ascending over one period, between which statistics are smooth on one scale.

    The statistics change fastest near the coefficient that fits best, near the one that fits worst, and where a pole or a
    level of Anderson and Rubin's statistic lies close to the real line; the angles get closer to all of these in geometric
    steps, down to the width that each of them sets. Zeros of the score are among them: however narrow, a piece of the set
    lies around each where the instruments contradict each other.
    """
    spread = np.einsum("abii->ab", form.cross) / form.n_instruments
    values, vectors = np.linalg.eigh(spread)
    root = vectors / np.sqrt(np.maximum(values, _EXACT * values[-1]))
    _, strengths, axes = np.linalg.svd(form.scores @ root, full_matrices=True)
    turned = _towards(np.array([0.0, _HALF]), np.full(2, 0.5 / max(float(strengths[0]), 1.0)))
    directed = np.cos(turned)[:, None] * (root @ axes[1]) + np.sin(turned)[:, None] * (root @ axes[0])
    special = np.concatenate([pencil_angles(form, height) for height in (math.inf, level, 4.0 * level)])
    special = special[(special.imag >= 0.0) & (special.imag < _FAR)]
    angles = np.concatenate(
        [np.arctan2(-directed[:, 1], directed[:, 0]), _towards(special.real, np.maximum(special.imag, _NARROW))]
    )
    ascending = np.unique(np.mod(angles + _HALF, math.pi) - _HALF)
    apart = np.append(True, np.diff(ascending) > 0.1 * _NARROW)
    ascending = _closed(ascending[apart])
    return _closed(np.unique(np.concatenate([ascending[:-1], _zeros_of_score(form, level, ascending)])))


def _closed(ascending: Floats) -> Floats:
    return np.append(ascending, ascending[0] + math.pi)


def _zeros_of_score(form: ReducedForm, level: float, ascending: Floats) -> Floats:
    """Return the angles at which the score changes sign, which shows however steep it is."""

    def root(angles: Floats) -> Floats:
        found = statistics(form, directions(angles))
        return np.asarray(found.sign * np.sqrt(found.lm / (found.lm + level)))

    candidates = np.unique(np.mod(find_candidates(root, ascending) + _HALF, math.pi) - _HALF)
    between = 0.5 * (candidates + _closed(candidates)[1:])
    changes = np.sign(root(between)) != np.sign(root(np.roll(between, 1)))
    return np.asarray(candidates[changes])


def _towards(centres: Floats, widths: Floats) -> Floats:
    """Return each centre and points at geometrically growing distances on both sides of it."""
    found = [centres]
    for centre, width in zip(centres, widths, strict=True):
        if width < 0.5 * _HALF:
            n_steps = 1 + math.ceil(math.log(0.5 * _HALF / width, _GROWTH))
            steps = np.minimum(width * _GROWTH ** np.arange(n_steps), 0.5 * _HALF)
            found += [centre - steps, centre + steps]
    return np.concatenate(found)
