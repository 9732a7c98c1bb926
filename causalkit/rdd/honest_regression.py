"""Local linear regression at a cutoff as a weighted sum of outcomes: estimate, worst-case bias, standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.rdd.honest_data import HonestData, kernel_weights


@dataclass(frozen=True, eq=False)
class LocalFit:
    """A local linear regression with separate lines on each side.

    Parameters
    ----------
    data : HonestData
        The rows inside the window.
    weights : array, shape (n_h,)
        The estimate is ``weights @ y``: they hold the sign of the side.
    jumps : array, shape (m,)
        Jump of the outcome (and of the treatment taken).
    residuals : array, shape (n_h, m)
        Of the regression.
    adjusted : array, shape (n_h, m)
        Outcomes after what covariates explain is taken out.
    slopes : array, shape (k, m)
        Coefficients of the covariates.
    """

    data: HonestData
    weights: Floats
    jumps: Floats
    residuals: Floats
    adjusted: Floats
    slopes: Floats

    @property
    def leverage(self) -> float:
        """Largest share of one row in the sum of squared weights."""
        share = (self.weights / self.data.weights) ** 2
        return float(share.max() / share.sum())

    def unit_bias(self, smoothness_class: str) -> float:
        """Worst-case bias for a second derivative bounded by one."""
        squares = self.weights * self.data.x**2
        if smoothness_class == "taylor":
            return float(np.abs(squares).sum() / 2.0)
        at = self.data.split
        return float(abs(squares[:at].sum() - squares[at:].sum()) / 2.0)

    def covariance(self, vcov: str, n_neighbors: int = 3) -> Floats:
        """Return the covariance of the jumps, shape (m, m): nearest neighbours, robust, or by cluster."""
        if vcov == "CR0":
            assert self.data.cluster is not None
            codes: Ints = np.unique(self.data.cluster, return_inverse=True)[1]
            moved = self.weights[:, None] * self.residuals
            sums = np.stack([np.bincount(codes, column) for column in moved.T], axis=1)
            return np.asarray(sums.T @ sums)
        deviations = self.residuals if vcov == "HC0" else self._neighbours(n_neighbors)
        scaled = self.weights[:, None] * deviations
        return np.asarray(scaled.T @ scaled)

    def _neighbours(self, n_neighbors: int) -> Floats:
        from causalkit.kernels.rd_honest import neighbour_residuals

        data, parts = self.data, []
        for right in (False, True):
            rows = data.side(right)
            parts.append(
                neighbour_residuals(
                    data.x[rows], np.ascontiguousarray(self.adjusted[rows]), data.weights[rows], n_neighbors
                )
            )
        return np.concatenate(parts)

    def effective_rows(self, bandwidth: float, window: HonestData) -> float:
        """Return how many rows a uniform kernel would need for the same variance."""
        uniform = local_linear(window, bandwidth, "uniform")
        same = uniform.weights**2 / uniform.data.weights
        own = self.weights**2 / self.data.weights
        return float(uniform.data.weights.sum() * same.sum() / own.sum())


def local_linear(data: HonestData, bandwidth: float, kernel: str) -> LocalFit:
    """Fit lines on both sides of the cutoff.

    Raises
    ------
    DesignError
        If a side has fewer than two distinct values inside the bandwidth.
    """
    weight = kernel_weights(data.x / bandwidth, kernel) * data.weights
    kept = np.flatnonzero(weight > 0)
    window = take(data, kept)
    weight = weight[kept]
    u = window.x / bandwidth
    for right, name in ((False, "below"), (True, "above")):
        if np.unique(u[window.side(right)]).size < 2:
            raise DesignError(
                f"fewer than two distinct values of the running variable lie {name} the cutoff within the bandwidth "
                f"{bandwidth:.6g}.",
                hint="Use a larger bandwidth.",
            )
    if not window.covariates.shape[1]:
        return _two_lines(window, u, weight)
    return _with_covariates(window, u, weight)


def take(data: HonestData, at: Ints) -> HonestData:
    """Return some of the rows."""
    return HonestData(
        data.x[at],
        data.y[at],
        data.weights[at],
        None if data.cluster is None else data.cluster[at],
        data.covariates[at],
    )


def _two_lines(window: HonestData, u: Floats, weight: Floats) -> LocalFit:
    """Fit each side by itself, in closed form."""
    rows, residuals = np.empty_like(u), np.empty_like(window.y)
    for right, sign in ((False, -1.0), (True, 1.0)):
        part = window.side(right)
        w, v, y = weight[part], u[part], window.y[part]
        middle = float(w @ v / w.sum())
        centred = v - middle
        spread = float(w @ centred**2)
        own = w * (1.0 / w.sum() - centred * middle / spread)
        rows[part] = sign * own
        slope = (w * centred) @ y / spread
        residuals[part] = y - w @ y / w.sum() - centred[:, None] * slope
    return LocalFit(window, rows, rows @ window.y, residuals, window.y, np.empty((0, window.y.shape[1])))


def _with_covariates(window: HonestData, u: Floats, weight: Floats) -> LocalFit:
    """Fit both sides together, covariates with one slope each; collinear covariates get the slope zero."""
    side = (u >= 0).astype(float)
    lines = np.column_stack([side, np.ones_like(u), u, u * side])
    root = np.sqrt(weight)[:, None]
    basis, _ = np.linalg.qr(root * lines)
    scaled = root * window.covariates
    left = scaled - basis @ (basis.T @ scaled)
    keep = _independent(left, scaled)
    design = np.column_stack([lines, window.covariates[:, keep]])
    q, r = np.linalg.qr(root * design)
    own = np.linalg.solve(r, (root * q).T)[0]
    coefficients = np.linalg.solve(r, q.T @ (root * window.y))
    slopes = np.zeros((window.covariates.shape[1], window.y.shape[1]))
    slopes[keep] = coefficients[4:]
    residuals = window.y - design @ coefficients
    return LocalFit(window, own, coefficients[0], residuals, window.y - window.covariates @ slopes, slopes)


def _independent(left: Floats, whole: Floats) -> Bools:
    """Whether each covariate adds something to the lines and to the covariates before it."""
    keep = np.zeros(left.shape[1], dtype=bool)
    basis: list[Floats] = []
    for j in range(left.shape[1]):
        rest = left[:, j].copy()
        for vector in basis:
            rest -= vector * (vector @ rest)
        size = float(np.sqrt(rest @ rest))
        if size > 1e-9 * max(float(np.sqrt(whole[:, j] @ whole[:, j])), 1e-300):
            keep[j] = True
            basis.append(rest / size)
    return keep
