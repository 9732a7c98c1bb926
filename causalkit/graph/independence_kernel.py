"""Dependence of any shape, by random Fourier features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np
from scipy import special

from causalkit.graph.implications import Implication
from causalkit.graph.independence_tests import Outcome, untested
from causalkit.graph.measured import Measured
from causalkit.kernels.arrays import Bools, Floats

#: Features of each tested column, and of the conditioning set.
_FEATURES, _FEATURES_GIVEN = 5, 100
#: Directions smaller than this, relative to the largest, are rounding.
_RIDGE = 1e-6
#: Rows that the median distance is taken from.
_MEDIAN_ROWS = 500


@dataclass(eq=False)
class RandomFeatures:
    """The randomised conditional correlation test (RCoT).

    Strobl, Zhang and Visweswaran (2019), *Approximate kernel-based conditional independence tests for fast non-parametric
    causal discovery*: random features of both columns, what the features of the conditioning set explain of them taken
    away, and the sum of squared covariances of what is left. Under independence it is a weighted sum of chi-squares, whose
    tail is had from its first four moments (Liu, Tang and Zhang 2009).

    Parameters
    ----------
    data : Measured
    random_state : int
        Draws the features.
    """

    data: Measured
    random_state: int = 0
    _left: dict[tuple[int, frozenset[int], frozenset[int]], Floats] = field(default_factory=dict)
    _bases: dict[tuple[frozenset[int], frozenset[int]], Floats] = field(default_factory=dict)

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many implications."""
        return np.array([self.test(one).pvalue for one in implications])

    def test(self, implication: Implication) -> Outcome:
        """Test one implication; the effect is the Frobenius norm of the covariance, relative to its largest value."""
        one, two, given = implication
        lost = self.data.gaps & {one, two, *given}
        rows = self.data.rows(lost)
        n = int(rows.sum())
        if n < 4 * _FEATURES:
            return untested("kernel", n)
        a, b = (self._features_left(column, given, lost, rows) for column in (one, two))
        covariance = a.T @ b / n
        size = np.sqrt(np.linalg.norm(a.T @ a / n) * np.linalg.norm(b.T @ b / n))
        if not size > 0:
            return untested("kernel", n)
        statistic = n * float((covariance**2).sum())
        weights = self._weights(a, b, self._basis(given, lost, rows).shape[1]) if given else _product_weights(a, b)
        p = weighted_chi2_pvalue(statistic, weights)
        return Outcome("kernel", float(np.linalg.norm(covariance) / size), nan, nan, statistic, nan, p, n)

    def _weights(self, a: Floats, b: Floats, explained: int) -> Floats:
        """Weights of the chi-squares from the covariance of the products of what is left."""
        n = len(a)
        products = (a[:, :, None] * b[:, None, :]).reshape(n, -1)
        products -= products.mean(axis=0)
        # Both columns lost these directions: their covariance once, the products that its variance is had from twice.
        return np.asarray(np.maximum(np.linalg.eigvalsh(products.T @ products / (n - 1 - explained)), 0.0))

    def _features_left(self, column: int, given: frozenset[int], lost: frozenset[int], rows: Bools) -> Floats:
        """Features of a column without what the conditioning set explains."""
        key = (column, given, lost)
        if key not in self._left:
            found = self._drawn(frozenset([column]), _FEATURES, rows)
            if given:
                basis = self._basis(given, lost, rows)
                found = found - basis @ (basis.T @ found)
            self._left[key] = found
        return self._left[key]

    def _basis(self, given: frozenset[int], lost: frozenset[int], rows: Bools) -> Floats:
        """Orthonormal columns that span the features of the conditioning set."""
        key = (given, lost)
        if key not in self._bases:
            n = int(rows.sum())
            features = self._drawn(given, min(_FEATURES_GIVEN, max(n // 10, _FEATURES)), rows)
            left, size, _ = np.linalg.svd(features, full_matrices=False)
            self._bases[key] = left[:, size > _RIDGE * size[0]]
        return self._bases[key]

    def _drawn(self, columns: frozenset[int], count: int, rows: Bools) -> Floats:
        """Centred and scaled random Fourier features of a Gaussian kernel, the median distance its width."""
        x = self.data.matrix(sorted(columns), rows)
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        head = x[:_MEDIAN_ROWS]
        squared = ((head[:, None, :] - head[None, :, :]) ** 2).sum(axis=2)[np.triu_indices(len(head), 1)]
        width = float(np.sqrt(np.median(squared[squared > 0]))) if (squared > 0).any() else 1.0
        rng = np.random.default_rng([self.random_state, *sorted(columns)])
        frequency, phase = rng.normal(size=(x.shape[1], count)) / width, rng.uniform(0.0, 2.0 * np.pi, size=count)
        features = np.sqrt(2.0) * np.cos(x @ frequency + phase)
        features -= features.mean(axis=0)
        size = features.std(axis=0)
        return np.asarray(features / np.where(size > 1e-12, size, 1.0))


def _product_weights(a: Floats, b: Floats) -> Floats:
    """Weights where nothing is given: independence makes the covariance of products the product of covariances."""
    one, two = (np.linalg.eigvalsh(part.T @ part / len(part)) for part in (a, b))
    return np.asarray(np.maximum(np.outer(one, two).ravel(), 0.0))


def weighted_chi2_pvalue(statistic: float, weights: Floats) -> float:
    """Return the upper tail of a sum of chi-squares of one degree of freedom, each times a weight of at least zero.

    Liu, Tang and Zhang (2009): a noncentral chi-square with the same first three cumulants, and the fourth where it can be
    matched.

    Parameters
    ----------
    statistic : float
    weights : Floats, shape (k,)
    """
    c1, c2, c3, c4 = (float((weights**power).sum()) for power in (1, 2, 3, 4))
    if not c2 > 0:
        return nan
    skewness, kurtosis = c3 / c2**1.5, c4 / c2**2
    if skewness**2 > kurtosis * (1.0 + 1e-12):
        a = 1.0 / (skewness - np.sqrt(skewness**2 - kurtosis))
        noncentral = skewness * a**3 - a**2
        df = a**2 - 2.0 * noncentral
    else:
        a, noncentral, df = 1.0 / skewness, 0.0, 1.0 / skewness**2
    at = (statistic - c1) / np.sqrt(2.0 * c2) * np.sqrt(2.0) * a + df + noncentral
    if at <= 0:
        return 1.0
    tail = special.chdtrc(df, at) if noncentral <= 0 else 1.0 - special.chndtr(at, df, noncentral)
    return float(np.clip(tail, 0.0, 1.0))
