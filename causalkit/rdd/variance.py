"""Variance of a weighted sum of outcomes on one side of the cutoff: nearest-neighbour, HC0 to HC3, CR1 to CR3."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.line import KERNELS
from causalkit.rdd.moments import Side
from causalkit.rdd.polynomial_fit import Fit

#: A cluster whose leverage is that near to one has a direction of the polynomial for itself.
_ALONE = 1e-9
#: Up to this order power sums lose nothing that matters; above, scores are summed row by row.
_MOMENT_ORDER = 3
#: A variance below this share of what its power sums add up is summed row by row too.
_CANCELLED = 1e-6


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
        spare_rows(regression.rows, len(beta))
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
        value, size = _from_powers(side, weights, edge, outer[0])
        if value >= _CANCELLED * size:
            return float(s[0] ** 2) * value
    inner = s @ side.neighbour_residuals[:, :edge]
    rows = weights.rows
    total: float = squared_scores(side.distance, side.weights, inner, 0, min(edge, rows), *weights.parts)
    if rows > edge:
        total += squared_scores(side.distance, side.weights, s @ outer, edge, rows, *weights.parts)
    return total


def _from_powers(side: Side, weights: Weights, edge: int, outer: Floats) -> tuple[float, float]:
    """Square the weight polynomials and put stored sums of squared residuals for the powers of the distance.

    The second number is the sum of the sizes of what is added up: the first has lost its digits where it is far smaller.
    """
    from causalkit.kernels.rd_powers import weigh_squares

    near, near_rows, near_h, far, far_rows, far_h = weights.parts
    parts = [(near, near, side.squared_residual_sums(near_rows, edge, outer, near_h))]
    if far.size:
        parts.append((far, far, side.squared_residual_sums(far_rows, edge, outer, far_h)))
        in_far = near * (far_h / near_h) ** np.arange(near.size)
        parts.append((in_far, -2.0 * far, side.squared_residual_sums(min(near_rows, far_rows), edge, outer, far_h)))
    value, size = 0.0, 0.0
    for a, b, sums in parts:
        value += weigh_squares(a, b, sums)
        size += weigh_squares(np.abs(a), np.abs(b), sums)
    return value, size


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
    k = beta.size
    root = np.zeros((0, 0)) if vcov == "CR1" else np.linalg.cholesky(regression.inverse)
    sizes, scores, crossed, grams, moments = cluster_scores(
        side.distance, side.weights, outcome, side.codes, side.n_clusters, *weights.parts, beta, regression.bandwidth,
        regression.rows, KERNELS[side.kernel], root,
    )  # fmt: skip
    present = sizes > 0
    n, g = outcome.size, int(present.sum())
    where = "above" if side.sign > 0 else "below"
    if g < 2:
        raise DesignError(
            f"only {g} cluster lies in the window {where} the cutoff.",
            hint="Clustered inference needs two or more a side.",
        )
    factor = (n - 1) / spare_rows(n, k) * g / (g - 1)
    if vcov == "CR1":
        return scores, factor
    # What rounding of the inverse leaves of correlation in the basis is taken out: digits are worth that where powers are
    # almost collinear.
    back = np.linalg.inv(np.linalg.cholesky(grams.sum(axis=0)))
    values, vectors = np.linalg.eigh(back @ grams[present] @ back.T)
    if vcov == "CR3" and values.max() > 1.0 - _ALONE:
        raise DesignError(
            f"without one of the clusters in the window {where} the cutoff its polynomial could not be fitted, so CR3 has no "
            "value.",
            hint='Use vcov="CR2", a larger bandwidth, or a lower order.',
        )
    crossed, moments = ((part[present] @ back.T)[:, None, :] @ vectors for part in (crossed, moments))
    scores[present] += (crossed * moments * _gains(np.maximum(values, 0.0), vcov)[:, None, :]).sum(axis=(1, 2))
    return scores, 1.0


def _gains(leverage: Floats, vcov: str) -> Floats:
    """Return what correcting residuals for a leverage adds to them, by unit of it (CR2: Bell and McCaffrey 2002)."""
    room = np.maximum(1.0 - leverage, 1e-8 if vcov == "CR2" else _ALONE)
    if vcov == "CR3":
        return 1.0 / room
    root = np.sqrt(room)
    gains: Floats = 1.0 / (root * (1.0 + root))
    return gains


def spare_rows(n: int, k: int) -> int:
    """Return the rows of a window beyond the coefficients of its polynomial, which small-sample factors divide by."""
    if n <= k:
        raise DesignError(
            f"a window has {n} rows for {k} coefficients, so none are left for its variance.",
            hint="Use a larger bandwidth.",
        )
    return n - k
