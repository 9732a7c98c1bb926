"""Abadie's kappa: weights that find compliers, always and never takers, with the influence of the estimated propensity.

With a binary instrument Z of probability ``e(X)`` and a binary treatment D, ``kappa = 1 - D(1-Z)/(1-e) - (1-D)Z/e`` has
mean one among compliers and zero among others (Abadie 2003, theorem 3.1). Every quantity here is a ratio
``E[a g] / E[a]`` for some weight ``a`` that depends on the propensity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalkit.iv.mte_logit import Logit, logit
from causalkit.kernels.arrays import Floats

#: Name -> the weight and its derivative in the propensity, of (D, Z, e).
_Weight = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
WEIGHTS: dict[str, _Weight] = {
    "compliers": lambda D, Z, e: (
        1 - D * (1 - Z) / (1 - e) - (1 - D) * Z / e,
        -D * (1 - Z) / (1 - e) ** 2 + (1 - D) * Z / e**2,
    ),
    "always takers": lambda D, Z, e: (D * (1 - Z) / (1 - e), D * (1 - Z) / (1 - e) ** 2),
    "never takers": lambda D, Z, e: ((1 - D) * Z / e, -(1 - D) * Z / e**2),
    "treated compliers": lambda D, Z, e: (
        D * (Z / e - (1 - Z) / (1 - e)),
        -D * (Z / e**2 + (1 - Z) / (1 - e) ** 2),
    ),
    "untreated compliers": lambda D, Z, e: (
        (1 - D) * ((1 - Z) / (1 - e) - Z / e),
        (1 - D) * ((1 - Z) / (1 - e) ** 2 + Z / e**2),
    ),
    "offered": lambda D, Z, e: (Z / e, -Z / e**2),
    "not offered": lambda D, Z, e: ((1 - Z) / (1 - e), (1 - Z) / (1 - e) ** 2),
    "everybody": lambda D, Z, e: (np.ones_like(D), np.zeros_like(D)),
}


@dataclass(frozen=True, eq=False)
class Kappa:
    """A binary instrument and treatment with the propensity of the instrument.

    Attributes
    ----------
    D, Z : array, shape (n,)
        0 and 1, the instrument turned so that it raises the treatment.
    weights : array, shape (n,)
        With sum one.
    propensity : Logit
        Of the instrument given the covariates.
    """

    D: Floats
    Z: Floats
    weights: Floats
    propensity: Logit

    def mean(self, who: str, values: Floats) -> tuple[Floats, Floats]:
        """Return means of columns among a group, and their influence values.

        Parameters
        ----------
        who : str
            One of ``WEIGHTS``.
        values : array, shape (n, k)

        Returns
        -------
        array, shape (k,), and array, shape (n, k)
        """
        e = self.propensity.probability
        a, slope = WEIGHTS[who](self.D, self.Z, e)
        a, slope = a * self.weights, slope * self.weights
        size = float(a.sum())
        pivot = values[0]
        theta = a @ (values - pivot) / size
        left = values - pivot - theta
        through = (self.propensity.design * (slope * e * (1 - e))[:, None]).T @ left
        return theta + pivot, (a[:, None] * left + self.propensity.influence @ through) / size


def kappa(D: Floats, Z: Floats, covariates: Floats, weights: Floats | None = None) -> Kappa:
    """Fit the propensity of the instrument (a logit; the mean without covariates).

    Parameters
    ----------
    D, Z : array, shape (n,)
        0 and 1.
    covariates : array, shape (n, p)
    weights : array, shape (n,), optional
    """
    w = np.full(D.size, 1.0 / D.size) if weights is None else weights / weights.sum()
    fitted = logit(Z, covariates, weights, name="the instrument")
    return Kappa(D, Z, w, fitted)
