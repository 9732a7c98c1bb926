"""Marginal treatment effects on arrays: a propensity, one regression, and averages of effects, all with influence values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.mte_basis import Basis
from causalkit.iv.mte_logit import Logit, logit
from causalkit.kernels.arrays import Floats, Ints, read_only

_RANK = 1e-9


@dataclass(frozen=True, eq=False)
class Probability:
    """Probabilities, and how they move with the coefficients of the propensity.

    Attributes
    ----------
    values : array, shape (n,)
    gradient : array, shape (n, g)
        Zero columns where they do not depend on it.
    """

    values: Floats
    gradient: Floats


@dataclass(frozen=True, eq=False)
class MTEFit:
    """A fitted model of marginal treatment effects.

    Attributes
    ----------
    basis : Basis
        The method.
    X : array, shape (n, k)
        An intercept and the covariates, centred and scaled.
    weights : array, shape (n,)
        With sum one.
    propensity : Logit
        Of the treatment given covariates and instruments.
    theta : array, shape (r,)
        Coefficients of the regression.
    psi : array, shape (n, r)
        Their influence values, the estimation of the propensity included.
    residuals : array, shape (n,)
    instrument_columns : array of int
        Columns of the propensity's design that are instruments.
    """

    basis: Basis
    X: Floats
    weights: Floats
    propensity: Logit
    theta: Floats
    psi: Floats
    residuals: Floats
    instrument_columns: Ints

    @property
    def n(self) -> int:
        """Rows."""
        return self.weights.size

    @property
    def P(self) -> Probability:
        """The propensity of each row."""
        p = self.propensity.probability
        return Probability(p, self.propensity.design * (p * (1 - p))[:, None])

    def constant(self, value: float) -> Probability:
        """Return one probability for all rows."""
        return Probability(np.full(self.n, value), np.zeros((self.n, self.propensity.coefficients.size)))

    def with_instruments_of(self, row: int) -> Probability:
        """Return the propensity of each row if its instruments were those of another row."""
        design = np.array(self.propensity.design)
        design[:, self.instrument_columns] = design[row, self.instrument_columns]
        p = 1.0 / (1.0 + np.exp(-design @ self.propensity.coefficients))
        return Probability(p, design * (p * (1 - p))[:, None])

    def curve(self, u: Floats) -> tuple[Floats, Floats]:
        """Return the marginal treatment effect at ``u`` for average covariates, and influence values of shape (n, len(u)).

        Parameters
        ----------
        u : array
            Resistances between 0 and 1.
        """
        k = self.X.shape[1]
        average = np.zeros((u.size, k))
        average[:, 0] = 1.0  # covariates are centred
        load = self.basis.effect(u, average)
        middle = np.full(k, 0.5)
        by_covariate = self.basis.effect(middle, np.eye(k)) - self.basis.effect(middle, np.zeros((k, k)))
        delta = by_covariate @ self.theta
        delta[0] = 0.0
        at_average = self.weights * (self.X @ delta)  # which covariates are average is estimated too
        return load @ self.theta, self.psi @ load.T + at_average[:, None]

    def average(self, low: Probability, high: Probability) -> tuple[float, Floats]:
        """Return the mean effect on those whose resistance lies between two probabilities, and influence values.

        ``sum_i w_i int_low^high MTE(x_i, u) du / sum_i w_i (high_i - low_i)``.
        """
        load = self.basis.integral(low.values, high.values, self.X)
        effects = load @ self.theta
        width = high.values - low.values
        size = float(self.weights @ width)
        if not abs(size) > 1e-12:
            raise DesignError("nobody's treatment changes.", hint="Choose a larger change of the propensity.")
        theta = float(self.weights @ effects) / size
        ends = [
            ((self.basis.effect(end.values, self.X) @ self.theta - theta) * self.weights) @ end.gradient
            for end in (high, low)
        ]
        through = self.propensity.influence @ (ends[0] - ends[1])
        direct = self.weights * (effects - theta * width)
        return theta, (direct + self.psi @ (self.weights @ load) + through) / size

    def at_margin(self, density: Floats, slope: Floats) -> tuple[float, Floats]:
        """Return the mean effect on those who are indifferent, weighted by ``density``; and influence values.

        Parameters
        ----------
        density : array, shape (n,)
            How many at the margin of each row a small change of policy moves, as a function of its propensity.
        slope : array, shape (n,)
            Derivative of ``density`` in the propensity.
        """
        P = self.P
        load = self.basis.effect(P.values, self.X)
        effects, size = load @ self.theta, float(self.weights @ density)
        theta = float(self.weights @ (density * effects)) / size
        inner = slope * (effects - theta) + density * (self.basis.slope(P.values, self.X) @ self.theta)
        through = self.propensity.influence @ ((self.weights * inner) @ P.gradient)
        direct = self.weights * density * (effects - theta)
        return theta, (direct + self.psi @ ((self.weights * density) @ load) + through) / size


def fit_mte(
    y: Floats,
    D: Floats,
    Z: Floats,
    X: Floats,
    basis: Basis,
    weights: Floats | None = None,
    propensity: Logit | None = None,
) -> MTEFit:
    """Estimate a model of marginal treatment effects.

    Parameters
    ----------
    y, D : array, shape (n,)
        Outcome, and treatment as 0 and 1.
    Z, X : array, shape (n, q) and (n, p)
        Instruments and covariates.
    basis : Basis
        The method.
    weights : array, shape (n,), optional
        Positive weights.
    propensity : Logit, optional
        As :func:`propensity_of` returns it.

    Raises
    ------
    DesignError
        If the propensity takes too few values to tell the terms of the method apart.
    """
    w = np.full(D.size, 1.0 / D.size) if weights is None else weights / weights.sum()
    fitted = propensity_of(D, Z, X, weights) if propensity is None else propensity
    covariates = _scaled(X, w)
    p = fitted.probability
    R, by_p = basis.design(p, D, covariates)
    root = np.sqrt(w)
    size = np.linalg.norm(R * root[:, None], axis=0)
    triangle = np.linalg.qr(R * root[:, None] / np.where(size > 0, size, 1.0), mode="r")
    if R.shape[0] < R.shape[1] or np.abs(np.diag(triangle)).min() <= _RANK:
        raise DesignError(
            "the propensity does not vary enough to tell the terms of the marginal treatment effect apart.",
            hint="Use a lower order=, method='normal', or instruments with more values.",
        )
    centred = y - y[0]
    centred = centred - w @ centred
    theta = np.linalg.lstsq(R * root[:, None], centred * root, rcond=None)[0]
    theta = theta + np.linalg.lstsq(R * root[:, None], (centred - R @ theta) * root, rcond=None)[0]
    left = centred - R @ theta
    bread = np.linalg.inv((R * w[:, None]).T @ R)
    by_gamma = fitted.design * (p * (1 - p))[:, None]
    cross = ((w * left)[:, None] * by_p - (w * (by_p @ theta))[:, None] * R).T @ by_gamma
    psi = ((w * left)[:, None] * R + fitted.influence @ cross.T) @ bread
    return MTEFit(
        basis,
        read_only(covariates),
        read_only(w),
        fitted,
        read_only(theta),
        read_only(psi),
        read_only(left),
        np.flatnonzero(np.array(fitted.kept) >= X.shape[1]),
    )


def propensity_of(D: Floats, Z: Floats, X: Floats, weights: Floats | None) -> Logit:
    """Fit the logit of the treatment on covariates and instruments.

    Raises
    ------
    DesignError
        If covariates determine every instrument.
    """
    fitted = logit(D, np.hstack([X, Z]), weights)
    if max(fitted.kept) < X.shape[1]:
        raise DesignError("the instruments are determined by the covariates.", hint="Leave out such covariates.")
    return fitted


def _scaled(X: Floats, w: Floats) -> Floats:
    """Return an intercept and independent covariates, centred and scaled."""
    from causalkit.iv.mte_logit import _standardised

    return _standardised(X, w)[0]
