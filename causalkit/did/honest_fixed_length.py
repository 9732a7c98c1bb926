"""The shortest interval of fixed length under a bound on second differences (Armstrong and Kolesar 2020)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats
from causalkit.kernels.honest_normal import folded_quantile

_POINTS = 33
_ROUNDS = 9


@dataclass(frozen=True, eq=False)
class FixedLength:
    """Affine estimators of ``weights' tau`` whose bias under second differences of at most M is bounded.

    The coefficients before the reference period enter with weights that annihilate a linear trend. What is left free
    is how much of each early second difference they carry, ``kappa``; the worst bias is ``M (fixed + |kappa|_1)``. The
    estimators on the frontier of variance and bias are a lasso path, which is followed exactly.

    Parameters
    ----------
    start : Floats, shape (k,)
        Weights of the estimator at ``kappa = 0``.
    basis : Floats, shape (k, n_pre - 1)
        How they move with kappa.
    fixed : float
        Bias that no early coefficient can take away, per unit of M.
    values, vcov : Floats
        The coefficients and their covariance.
    """

    start: Floats
    basis: Floats
    fixed: float
    values: Floats
    vcov: Floats

    @classmethod
    def of(cls, values: Floats, vcov: Floats, n_pre: int, weights: Floats) -> FixedLength:
        """Set the problem up."""
        n_post = len(weights)
        times = np.arange(1, n_post + 1)
        carried = [float(weights[j:] @ (times[j:] - j)) for j in range(n_post)]
        # Weight of the coefficient s periods before the reference: the second difference of kappa at s.
        second = np.zeros((n_pre, n_pre))
        for s in range(1, n_pre + 1):
            for at, size in ((s - 1, 1.0), (s, -2.0), (s + 1, 1.0)):
                if at < n_pre:
                    second[n_pre - s, at] += size
        start = np.concatenate([second[:, 0] * float(weights @ times), weights])
        basis = np.vstack([second[:, 1:], np.zeros((n_post, n_pre - 1))])
        return cls(start, basis, float(np.abs(carried).sum()), values, vcov)

    def path(self) -> Floats:
        """Return the corners of the path of kappa, from zero to the least variance, one a row."""
        hessian = self.basis.T @ self.vcov @ self.basis
        linear = self.basis.T @ self.vcov @ self.start
        return lasso_path(hessian, linear)

    def interval(self, magnitude: float, alpha: float) -> tuple[float, float, Floats]:
        """Return the interval and the weights of the estimator in its middle."""
        corners = self.path()
        best = (np.inf, corners[-1])
        for one, two in itertools.pairwise(corners):
            low, high = 0.0, 1.0
            for _ in range(_ROUNDS):
                share = np.linspace(low, high, _POINTS)
                kappa = one + share[:, None] * (two - one)
                half = self._half(kappa, magnitude, alpha)
                at = int(np.argmin(half))
                if half[at] < best[0]:
                    best = (float(half[at]), kappa[at])
                low, high = share[max(at - 1, 0)], share[min(at + 1, _POINTS - 1)]
        if len(corners) == 1:
            best = (float(self._half(corners, magnitude, alpha)[0]), corners[0])
        weights = self.start + self.basis @ best[1]
        middle = float(weights @ self.values)
        return middle - best[0], middle + best[0], weights

    def _half(self, kappa: Floats, magnitude: float, alpha: float) -> Floats:
        weights = self.start + kappa @ self.basis.T
        spread = np.sqrt(np.einsum("ij,jk,ik->i", weights, self.vcov, weights))
        bias = magnitude * (self.fixed + np.abs(kappa).sum(axis=1))
        return np.asarray(folded_quantile(1.0 - alpha, bias / spread) * spread)


def lasso_path(hessian: Floats, linear: Floats) -> Floats:
    """Return the corners of ``argmin x'Hx/2 + linear'x + penalty |x|_1`` as the penalty falls to zero.

    Parameters
    ----------
    hessian : (k, k) array
        Positive definite.
    linear : (k,) array

    Returns
    -------
    (c, k) array
        From zero to ``-H^-1 linear``; straight lines lie between (Efron et al. 2004; Osborne, Presnell and Turlach
        2000).
    """
    size = len(linear)
    x = np.zeros(size)
    corners = [x]
    if not size:
        return np.array(corners)
    penalty = float(np.abs(linear).max())
    active = [int(np.abs(linear).argmax())]
    sign = np.zeros(size)
    sign[active[0]] = -np.sign(linear[active[0]])
    left = -1
    for _ in range(20 * size + 20):
        move = np.zeros(size)  # of x, per unit that the penalty falls
        move[active] = np.linalg.solve(hessian[np.ix_(active, active)], sign[active])
        gradient, turn = hessian @ x + linear, hessian @ move
        step, event, enters = penalty, -1, False
        for j in range(size):
            if j in active:
                length = -x[j] / move[j] if move[j] * sign[j] < 0 else np.inf
                if length < step:
                    step, event, enters = length, j, False
                continue
            for side in (1.0, -1.0):  # side * gradient reaches the falling penalty
                rate = side * turn[j] + 1.0
                length = (penalty - side * gradient[j]) / rate if rate > 1e-14 else np.inf
                if (j != left or length > 1e-10 * penalty) and -1e-12 * penalty <= length < step:
                    step, event, enters = max(length, 0.0), j, True
        x = x + step * move
        penalty -= step
        left = -1
        if event < 0:
            return np.array([*corners, x])
        if enters:
            active.append(event)
            sign[event] = -np.sign((hessian @ x + linear)[event])
        else:
            x[event] = 0.0
            active.remove(event)
            left = event
        corners.append(x)
        if not active:
            return np.array(corners)
    return np.array([*corners, np.linalg.solve(hessian, -linear)])
