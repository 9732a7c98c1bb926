"""Variance of a weighted sum of outcomes on one side of the cutoff: nearest-neighbour, HC0 to HC3, CR1 to CR3."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.line import KERNELS
from causalkit.rdd.moments import Side
from causalkit.rdd.polynomial_fit import Fit

#: Up to this order power sums lose nothing that matters; above, scores are summed row by row.
_MOMENT_ORDER = 3


@dataclass(frozen=True, eq=False)
class Weights:
    """Row weights ``near(d / near_h) - far(d / far_h)``, each a polynomial on its own window.

    Attributes
    ----------
    near, far : array
        Coefficients, the kernel multiplied in; empty where a part is absent.
    near_rows, far_rows : int
    near_h, far_h : float
    """

    near: Floats
    near_rows: int
    near_h: float
    far: Floats = field(default_factory=lambda: np.zeros(0))
    far_rows: int = 0
    far_h: float = 1.0

    @property
    def rows(self) -> int:
        """Rows of the larger window."""
        return max(self.near_rows, self.far_rows)

    @property
    def parts(self) -> tuple[Floats, int, float, Floats, int, float]:
        """The fields in order, as the loops take them."""
        return self.near, self.near_rows, self.near_h, self.far, self.far_rows, self.far_h


def coefficient_weights(fit: Fit, kernel: str, nu: int) -> Weights:
    """Return the weights that give coefficient ``nu`` of a local polynomial, in units of its bandwidth."""
    return Weights(np.convolve(KERNELS[kernel], fit.inverse[nu]), fit.rows, fit.bandwidth)


def corrected_weights(fit: Fit, bias_fit: Fit, kernel: str, nu: int) -> Weights:
    """Return the weights of a bias-corrected coefficient, in units of the main bandwidth (CCT 2014, remark 7)."""
    p = fit.order
    factor = fit.next_power[nu] * (fit.bandwidth / bias_fit.bandwidth) ** (p + 1)
    near = np.convolve(KERNELS[kernel], fit.inverse[nu])
    far = factor * np.convolve(KERNELS[kernel], bias_fit.inverse[p + 1])
    return Weights(near, fit.rows, fit.bandwidth, far, bias_fit.rows, bias_fit.bandwidth)


def variance(side: Side, weights: Weights, regression: Fit, s: Floats, vcov: str, window: int) -> float:
    """Return the variance of the weighted sum of ``s @ columns``.

    Parameters
    ----------
    side : Side
    weights : Weights
        What each row counts.
    regression : Fit
        The fit that residuals and leverages are taken from (not for NN).
    s : array, shape (columns,)
        The combination of columns whose variance is wanted.
    vcov : {"NN", "HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3"}
    window : int
        Rows of the sample that residuals and small-sample factors refer to.
    """
    if vcov == "NN":
        return _neighbours(side, weights, s, window)
    outcome = s @ side.columns[:, :window]
    beta = regression.beta @ s
    kernel = KERNELS[side.kernel]
    if vcov.startswith("HC"):
        from causalkit.kernels.rd_local import leverage_scores

        power = {"HC2": 1, "HC3": 2}.get(vcov, 0)
        total: float = leverage_scores(
            side.distance, side.weights, outcome, *weights.parts, beta, regression.bandwidth, regression.rows, kernel,
            regression.inverse, power,
        )  # fmt: skip
        return total * window / spare_rows(window, len(beta)) if vcov == "HC1" else total
    return _clustered(side, weights, regression, outcome, beta, vcov)


def _neighbours(side: Side, weights: Weights, s: Floats, window: int) -> float:
    """Sum squared scores, from power sums where there is one column and the order is low."""
    from causalkit.kernels.rd_local import squared_scores

    edge, outer = side.residual_edge(window)
    longest = max(weights.near.size, weights.far.size) - KERNELS[side.kernel].size
    if len(s) == 1 and longest <= _MOMENT_ORDER:
        return float(s[0] ** 2) * _from_powers(side, weights, edge, outer[0])
    inner = s @ side.neighbour_residuals[:, :edge]
    rows = weights.rows
    total: float = squared_scores(side.distance, side.weights, inner, 0, min(edge, rows), *weights.parts)
    if rows > edge:
        total += squared_scores(side.distance, side.weights, s @ outer, edge, rows, *weights.parts)
    return total


def _from_powers(side: Side, weights: Weights, edge: int, outer: Floats) -> float:
    """Square the weight polynomials and put stored sums of squared residuals for the powers of the distance."""
    from causalkit.kernels.rd_powers import weigh_squares

    near, near_rows, near_h, far, far_rows, far_h = weights.parts
    value: float = weigh_squares(near, near, side.squared_residual_sums(near_rows, edge, outer, near_h))
    if far.size:
        value += weigh_squares(far, far, side.squared_residual_sums(far_rows, edge, outer, far_h))
        in_far = near * (far_h / near_h) ** np.arange(near.size)
        both = side.squared_residual_sums(min(near_rows, far_rows), edge, outer, far_h)
        value -= 2.0 * weigh_squares(in_far, far, both)
    return value


def _clustered(side: Side, weights: Weights, regression: Fit, outcome: Floats, beta: Floats, vcov: str) -> float:
    """Sum squared cluster scores."""
    scores, factor = cluster_sums(side, weights, regression, outcome, beta, vcov)
    return float(scores @ scores) * factor


def cluster_sums(
    side: Side, weights: Weights, regression: Fit, outcome: Floats, beta: Floats, vcov: str
) -> tuple[Floats, float]:
    """Return the score of every cluster, corrected for leverage (CR2, CR3), and the small-sample factor (CR1)."""
    from causalkit.kernels.rd_local import cluster_scores

    assert side.codes is not None
    sizes, scores, crossed, grams, moments = cluster_scores(
        side.distance, side.weights, outcome, side.codes, side.n_clusters, *weights.parts, beta, regression.bandwidth,
        regression.rows, KERNELS[side.kernel], vcov != "CR1",
    )  # fmt: skip
    present = sizes > 0
    n, g, k = outcome.size, int(present.sum()), beta.size
    if g < 2:
        where = "above" if side.sign > 0 else "below"
        raise DesignError(
            f"only {g} cluster lies in the window {where} the cutoff.",
            hint="Clustered inference needs two or more a side.",
        )
    if vcov == "CR1":
        return scores, (n - 1) / spare_rows(n, k) * g / (g - 1)
    at = np.add.outer(np.arange(k), np.arange(k))
    blocks, moments, crossed = grams[present][:, at], moments[present], crossed[present]
    adjust = (
        _lower_leverage(regression, blocks, moments) if vcov == "CR2" else _no_leverage(regression, blocks, moments)
    )
    scores[present] += np.einsum("gk,gk->g", crossed, adjust)
    return scores, 1.0


def spare_rows(n: int, k: int) -> int:
    """Return the rows of a window beyond the coefficients of its polynomial, which small-sample factors divide by."""
    if n <= k:
        raise DesignError(
            f"a window has {n} rows for {k} coefficients, so none are left for its variance.",
            hint="Use a larger bandwidth.",
        )
    return n - k


def _no_leverage(regression: Fit, blocks: Floats, moments: Floats) -> Floats:
    """Solve with each cluster left out of the Gram matrix (CR3)."""
    left = regression.gram - blocks
    scale = 1.0 / np.sqrt(np.diag(regression.gram))
    scaled = left * np.outer(scale, scale)
    solved: Floats = scale * np.einsum(
        "gjk,gk->gj", np.linalg.pinv(scaled, rcond=1e-13, hermitian=True), scale * moments
    )
    return solved


def _lower_leverage(regression: Fit, blocks: Floats, moments: Floats) -> Floats:
    """Return what (I - H)^(-1/2) adds to each cluster's residuals (CR2; Bell and McCaffrey 2002)."""
    root = np.linalg.cholesky(regression.inverse)
    values, vectors = np.linalg.eigh(root.T @ blocks @ root)
    values = np.maximum(values, 0.0)
    gain = 1.0 / np.sqrt(np.maximum(1.0 - values, 1e-8)) - 1.0
    factor = np.divide(gain, values, out=np.zeros_like(values), where=values >= 1e-14)
    turned = np.einsum("gkj,gk->gj", vectors, moments @ root) * factor
    added: Floats = np.einsum("gkj,gj->gk", vectors, turned) @ root.T
    return added
