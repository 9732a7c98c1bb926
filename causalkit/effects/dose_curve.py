"""From pseudo-outcomes to a curve: local-linear regression with a bias-corrected center, and the density of a dose."""

from __future__ import annotations

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats

#: Points of the grid on which a density is computed before it is interpolated.
_GRID = 512
#: Constant of the rule-of-thumb bandwidth for a local line under the Epanechnikov kernel (Fan and Gijbels 1996, p. 67).
_RULE = 1.719
#: Fewest effective rows in a window.
_FEWEST = 10.0


def kernel_density(points: Floats, weights: Floats, at: Floats) -> Floats:
    """Gaussian kernel density of ``points`` evaluated ``at`` places, by binning and interpolation.

    The bandwidth is Silverman's ``0.9 min(sd, IQR / 1.34) n^(-1/5)``.

    Parameters
    ----------
    points, weights : Floats, shape (n,)
        Values and their weights.
    at : Floats
        Places, any shape.

    Returns
    -------
    Floats
        Of the shape of ``at``; zero outside the range of the points by more than four bandwidths.
    """
    share = weights / weights.sum()
    mean = float(share @ points)
    sd = float(np.sqrt(share @ (points - mean) ** 2))
    low, high = np.quantile(points, [0.25, 0.75])
    spread = min(sd, float(high - low) / 1.34) or sd
    width = 0.9 * spread * len(points) ** -0.2
    edges = np.linspace(points.min() - 4 * width, points.max() + 4 * width, _GRID + 1)
    step = edges[1] - edges[0]
    mass = np.histogram(points, edges, weights=share)[0]
    reach = np.arange(-int(np.ceil(5 * width / step)), int(np.ceil(5 * width / step)) + 1) * step
    bell = np.exp(-0.5 * (reach / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    density = np.convolve(mass, bell, "full")[len(reach) // 2 : len(reach) // 2 + _GRID]
    middle = 0.5 * (edges[:-1] + edges[1:])
    out: Floats = np.interp(at, middle, density, left=0.0, right=0.0)
    return out


def rule_of_thumb(dose: Floats, pseudo: Floats, share: Floats) -> float:
    """Bandwidth of a local line from a global quartic polynomial (Fan and Gijbels 1996, section 4.2), Epanechnikov.

    ``h = 1.719 (sigma^2 (b - a) / sum of m''(dose)^2)^(1/5)``, with the sum over rows between the 5th and 95th percentile,
    kept between a twentieth and one half of the range of the dose.
    """
    low, high = np.quantile(dose, [0.05, 0.95])
    reach = float(np.ptp(dose))
    t = (dose - dose.mean()) / reach
    root = np.sqrt(share)
    design = np.vander(t, 5, increasing=True)
    coefficients = np.linalg.lstsq(design * root[:, None], pseudo * root, rcond=None)[0]
    variance = float(share @ (pseudo - design @ coefficients) ** 2)
    inside = (dose >= low) & (dose <= high)
    second = (2 * coefficients[2] + 6 * coefficients[3] * t + 12 * coefficients[4] * t**2) / reach**2
    curvature = float((share * len(dose))[inside] @ second[inside] ** 2)
    width = _RULE * (variance * float(high - low) / curvature) ** 0.2 if curvature > 0 else np.inf
    return float(np.clip(width, 0.05 * reach, 0.5 * reach))


def local_weights(dose: Floats, share: Floats, at: float, bandwidth: float, order: int) -> Floats:
    """Weights, shape (n,), by which a local polynomial of ``order`` adds up its outcomes; they sum to one.

    Raises
    ------
    InferenceUnavailable
        If fewer than ten rows (in effect) lie in the window, or their doses are too few for a polynomial of this order.
    """
    u = (dose - at) / bandwidth
    kernel = share * np.maximum(0.0, 0.75 * (1.0 - u * u))
    total = float(kernel.sum())
    effective = total**2 / float(kernel @ kernel) if total > 0 else 0.0
    if effective < _FEWEST:
        raise InferenceUnavailable(
            f"only {effective:.0f} rows (in effect) have a dose within {bandwidth:.3g} of {at:g}.",
            hint="Leave this dose out of doses=, or use a larger bandwidth.",
        )
    design = np.vander(u, order + 1, increasing=True)
    gram = design.T @ (design * kernel[:, None])
    first = np.linalg.lstsq(gram, np.eye(order + 1)[0], rcond=None)[0]
    out: Floats = kernel * (design @ first)
    if abs(float(out.sum()) - 1.0) > 1e-6:
        raise InferenceUnavailable(
            f"too few different doses lie within {bandwidth:.3g} of {at:g} for a local polynomial.",
            hint="Leave this dose out of doses=, use a larger bandwidth, or compare the doses as arms with control=.",
        )
    return out
