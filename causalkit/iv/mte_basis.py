"""How marginal treatment effects vary with the resistance to treatment: what each method regresses on, and what follows.

Untreated and treated outcomes are ``Y_j = x'b_j + U_j``; a row is treated if its resistance ``u``, uniform on [0, 1], is below
its propensity. ``MTE(x, u) = x'(b_1 - b_0) + k(u)`` is linear in the coefficients of each regression, and so are its integrals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from causalkit.kernels.arrays import Floats

_EDGE = 1e-12


class Basis(Protocol):
    """A method: its regressors and the effect they imply."""

    def design(self, P: Floats, D: Floats, X: Floats) -> tuple[Floats, Floats]:
        """Return the regressors, shape (n, r), and their derivatives in the propensity."""
        ...

    def effect(self, u: Floats, X: Floats) -> Floats:
        """Return the weights of the coefficients in ``MTE(x, u)``, row by row, shape (n, r)."""
        ...

    def integral(self, low: Floats, high: Floats, X: Floats) -> Floats:
        """Return the weights of the coefficients in the integral of ``MTE(x, u)`` over u from ``low`` to ``high``."""
        ...

    def slope(self, u: Floats, X: Floats) -> Floats:
        """Return the weights of the coefficients in the derivative of ``MTE(x, u)`` in u."""
        ...

    def shape(self, k: int) -> list[int]:
        """Return the positions of the coefficients that make the effect vary with u, for k columns of X."""
        ...


@dataclass(frozen=True)
class Polynomial:
    """Local instrumental variables: ``E[Y | x, p] = x'b_0 + p x'd + K(p)``, so that ``MTE = x'd + K'(p)``.

    ``K`` is a polynomial of degree ``order + 1`` (the linear term belongs to ``d``), with a cubic for each knot.

    Attributes
    ----------
    order : int
        Degree of the marginal treatment effect in u.
    knots : tuple of float
        Where its second derivative may jump.
    """

    order: int
    knots: tuple[float, ...] = ()

    def _terms(self, p: Floats) -> tuple[Floats, Floats, Floats]:
        """Return ``K`` by term, its first and its second derivative, each of shape (n, terms)."""
        level, first, second = [], [], []
        for j in range(2, self.order + 2):
            level.append(p**j)
            first.append(j * p ** (j - 1))
            second.append(j * (j - 1) * p ** (j - 2))
        for knot in self.knots:
            above = np.maximum(p - knot, 0.0)
            level.append(above**3)
            first.append(3 * above**2)
            second.append(6 * above)
        return np.stack(level, axis=1), np.stack(first, axis=1), np.stack(second, axis=1)

    def design(self, P: Floats, D: Floats, X: Floats) -> tuple[Floats, Floats]:
        """Return ``[X, P X, K(P)]`` and its derivative."""
        level, first, _ = self._terms(P)
        return np.hstack([X, P[:, None] * X, level]), np.hstack([np.zeros_like(X), X, first])

    def effect(self, u: Floats, X: Floats) -> Floats:
        """Return weights of ``x'd + K'(u)``."""
        return np.hstack([np.zeros_like(X), X, self._terms(u)[1]])

    def integral(self, low: Floats, high: Floats, X: Floats) -> Floats:
        """Return weights of the integral."""
        return np.hstack([np.zeros_like(X), (high - low)[:, None] * X, self._terms(high)[0] - self._terms(low)[0]])

    def slope(self, u: Floats, X: Floats) -> Floats:
        """Return weights of ``K''(u)``."""
        return np.hstack([np.zeros_like(X), np.zeros_like(X), self._terms(u)[2]])

    def shape(self, k: int) -> list[int]:
        """Return the positions of the terms of K."""
        return list(range(2 * k, 2 * k + self.order + len(self.knots)))


@dataclass(frozen=True)
class Normal:
    """The normal selection model: ``k(u) = (r_1 - r_0) inverse normal cdf(u)``, from regressions by arm.

    Outcomes of the treated are regressed on ``X`` and ``-phi/P``, those of the untreated on ``X`` and ``phi/(1-P)``, with phi the
    normal density at the P-quantile (Heckman 1979; Bjorklund and Moffitt 1987).
    """

    def design(self, P: Floats, D: Floats, X: Floats) -> tuple[Floats, Floats]:
        """Return ``[D X, -D phi/P, (1-D) X, (1-D) phi/(1-P)]`` and its derivative."""
        q, height = _normal(P)
        d, c = D[:, None], 1.0 - D[:, None]
        treated, untreated = -height / P, height / (1 - P)
        by_p = (q / P + height / P**2, -q / (1 - P) + height / (1 - P) ** 2)
        none = np.zeros_like(X)
        level = np.hstack([d * X, d * treated[:, None], c * X, c * untreated[:, None]])
        return level, np.hstack([none, d * by_p[0][:, None], none, c * by_p[1][:, None]])

    def effect(self, u: Floats, X: Floats) -> Floats:
        """Return weights of ``x'(b_1 - b_0) + (r_1 - r_0) q(u)``."""
        q = _normal(u)[0][:, None]
        return np.hstack([X, q, -X, -q])

    def integral(self, low: Floats, high: Floats, X: Floats) -> Floats:
        """Return weights of the integral: that of the quantile is minus the density."""
        q = (_normal(low)[1] - _normal(high)[1])[:, None]
        width = (high - low)[:, None]
        return np.hstack([width * X, q, -width * X, -q])

    def slope(self, u: Floats, X: Floats) -> Floats:
        """Return weights of ``(r_1 - r_0) / phi``."""
        rise, none = 1.0 / _normal(u)[1][:, None], np.zeros_like(X)
        return np.hstack([none, rise, none, -rise])

    def shape(self, k: int) -> list[int]:
        """Return the positions of the two selection terms."""
        return [k, 2 * k + 1]


def _normal(u: Floats) -> tuple[Floats, Floats]:
    """Return quantiles and the density there; 0 and 1 have an infinite quantile and no density."""
    q = ndtri(np.clip(u, _EDGE, 1 - _EDGE))
    height = np.exp(-0.5 * q**2) / np.sqrt(2 * np.pi)
    inside = (u > _EDGE) & (u < 1 - _EDGE)
    return q, np.where(inside, height, 0.0)
