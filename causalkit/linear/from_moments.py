"""Least squares from sufficient statistics: a count, means and centred cross-products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.linear.rank import collinear_reason, select_from_gram

INTERCEPT = "Intercept"
_GRAM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class MomentsFit:
    """A least-squares fit with an intercept, from moments.

    Attributes
    ----------
    names : tuple of str
        ``"Intercept"`` and the kept regressors.
    coefficients : array, shape (r,)
    vcov : array, shape (r, r)
        Homoskedastic covariance, ``sigma2`` times ``bread``.
    bread : array, shape (r, r)
        Inverse of the cross-products of the intercept and the kept regressors.
    df : float
        ``n - r``.
    n : int
    r2 : float
        NaN where the outcome does not vary.
    residual_variance : float
        Residual sum of squares by ``df``.
    dropped : mapping of str to str
        Dropped regressors and the reason.
    """

    names: tuple[str, ...]
    coefficients: Floats
    vcov: Floats
    bread: Floats
    df: float
    n: int
    r2: float
    residual_variance: float
    dropped: Mapping[str, str]


def least_squares_from_moments(
    count: float,
    mean: Floats,
    cross_products: Floats,
    names: Sequence[str],
    *,
    outcome: str,
    regressors: Sequence[str],
    total: float | None = None,
) -> MomentsFit:
    """Regress one column on others and an intercept, knowing only their moments.

    Parameters
    ----------
    count : float
        Number of rows, or sum of frequency weights: what degrees of freedom are counted from.
    mean : array, shape (p,)
        (Weighted) means of the columns.
    cross_products : array, shape (p, p)
        (Weighted) sum over rows of ``(z - mean)(z - mean)'``: not divided by the count.
    names : sequence of str
        Names of the p columns.
    outcome : str
        The column to explain.
    regressors : sequence of str
        The columns to explain it by; of collinear ones the later are dropped.
    total : float, optional
        Sum of the weights of a weighted regression; default ``count``.

    Returns
    -------
    MomentsFit

    Raises
    ------
    DataError
        If shapes differ, a name is unknown or repeated, or a moment is not finite.
    DesignError
        If the outcome is among the regressors.
    InferenceUnavailable
        If the rows do not exceed the parameters.

    Notes
    -----
    Cross-products are squares, so a regressor whose distance from the others is below 1e-6 of its own spread can't be
    told from a collinear one and is dropped; with the rows at hand `least_squares` goes to 1e-9.
    """
    mean, cross = np.asarray(mean, dtype=np.float64), np.asarray(cross_products, dtype=np.float64)
    _check(mean, cross, names, outcome, regressors)
    where = {name: position for position, name in enumerate(names)}
    target, wanted = where[outcome], np.array([where[name] for name in regressors], dtype=np.int64)
    spread = np.sqrt(np.diag(cross))
    total = count if total is None else total
    noise = 8.0 * np.finfo(np.float64).eps * np.abs(mean) * np.sqrt(total)
    varies = spread[wanted] > noise[wanted]
    dropped = {name: "constant" for name, moves in zip(regressors, varies, strict=True) if not moves}
    present = wanted[varies]
    gram = cross[np.ix_(present, present)] / np.outer(spread[present], spread[present])
    selection = select_from_gram(gram, _GRAM_TOLERANCE)
    for j, partners in selection.relations.items():
        dropped[names[present[j]]] = collinear_reason([names[present[i]] for i in partners])
    kept = present[selection.kept]
    inverse = np.linalg.inv(gram[np.ix_(selection.kept, selection.kept)]) / np.outer(spread[kept], spread[kept])
    slopes = inverse @ cross[kept, target]
    df = count - kept.size - 1
    if df <= 0:
        raise InferenceUnavailable(
            f"{count:g} rows leave no residual degrees of freedom for {kept.size + 1} parameters.",
            hint="Drop regressors.",
        )
    left = max(float(cross[target, target] - slopes @ cross[kept, target]), 0.0)
    bread = _with_intercept(inverse, mean[kept], total)
    varied = spread[target] > noise[target]
    return MomentsFit(
        names=(INTERCEPT, *(names[j] for j in kept)),
        coefficients=np.concatenate([[mean[target] - slopes @ mean[kept]], slopes]),
        vcov=bread * (left / df),
        bread=bread,
        df=float(df),
        n=round(count),
        r2=1.0 - left / float(cross[target, target]) if varied else float("nan"),
        residual_variance=left / df,
        dropped={name: dropped[name] for name in regressors if name in dropped},
    )


def _with_intercept(inverse: Floats, mean: Floats, total: float) -> Floats:
    """Border the inverse of the centred cross-products with the intercept's row and column."""
    bread = np.empty((mean.size + 1, mean.size + 1))
    bread[1:, 1:] = inverse
    bread[0, 1:] = bread[1:, 0] = -inverse @ mean
    bread[0, 0] = 1.0 / total + mean @ inverse @ mean
    return bread


def _check(mean: Floats, cross: Floats, names: Sequence[str], outcome: str, regressors: Sequence[str]) -> None:
    p = len(names)
    if mean.shape != (p,) or cross.shape != (p, p):
        raise DataError(f"There are {p} names, but means of shape {mean.shape} and cross-products of {cross.shape}.")
    if len(set(names)) < p or len(set(regressors)) < len(regressors):
        raise DataError("A column is named twice.")
    if outcome in regressors:
        raise DesignError(f"{outcome!r} is both the outcome and a regressor.", column=outcome)
    for name in (outcome, *regressors):
        if name not in names:
            raise DataError(f"There are no moments of {name!r}; there are {', '.join(names)}.", column=name)
        position = list(names).index(name)
        if not (np.isfinite(mean[position]) and np.isfinite(cross[position]).all()):
            raise DataError(f"A moment of {name!r} is not finite.", column=name)
