"""One estimate from several random splits of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.kernels.arrays import Floats, read_only


def median_of(parts: Sequence[Estimate]) -> Estimate:
    """Join the estimates of repeated cross-fits by medians.

    ``theta = median(theta_r)`` and ``se^2 = median(se_r^2 + (theta_r - theta)^2)``, term by term, so that the error holds
    what the splits add to it (Chernozhukov et al. 2018, "Double/debiased machine learning", definition 3.3). Influence
    values and correlations are the mean over repetitions, on the scale of that error.

    Parameters
    ----------
    parts : sequence of Estimate
        Estimates of the same terms on the same rows; one is returned as it is.

    Returns
    -------
    Estimate
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    theta = np.median([part.theta for part in parts], axis=0)
    center = None if first.center is None else np.median([part.location for part in parts], axis=0)
    about = theta if center is None else center
    variance = np.median([part.se**2 + (part.location - about) ** 2 for part in parts], axis=0)
    kept = [part.carrier for part in parts if isinstance(part.carrier, Influence)]
    if len(kept) == len(parts):
        psi = np.mean([carrier.psi for carrier in kept], axis=0)
        mean = replace(kept[0], psi=psi)
        factor = _factor(variance, mean.vcov)
        return Estimate(theta, replace(mean, psi=read_only(psi * factor)), center)
    matrix = np.mean([part.vcov for part in parts], axis=0)
    factor = _factor(variance, matrix)
    kind = first.carrier.kind
    return Estimate(theta, Covariance(read_only(matrix * np.outer(factor, factor)), first.df, kind), center)


def _factor(variance: Floats, matrix: Floats) -> Floats:
    own = np.diag(matrix)
    return np.sqrt(np.divide(variance, own, out=np.ones_like(own), where=own > 0))
