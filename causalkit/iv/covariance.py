"""The variance of the estimates: of the endogenous variables' coefficients, and of all coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.rows import Groups, Rows
from causalkit.errors import InferenceUnavailable
from causalkit.iv.fit import Solved
from causalkit.iv.gmm import gmm_loads
from causalkit.iv.gram import IVGram
from causalkit.iv.iv_data import IVData
from causalkit.kernels.arrays import Floats, read_only
from causalkit.kernels.iv_gram import score_products


def estimate_of(data: IVData, solved: Solved, rows: Rows, clusters: Sequence[Groups]) -> Estimate:
    """Return the coefficients of the endogenous variables with the carrier that the kind of variance calls for.

    Parameters
    ----------
    data : IVData
    solved : Solved
    rows : Rows
        Whose the influence values are.
    clusters : sequence of Groups
        The clusters by name; their codes are those of the data.
    """
    n, k, variance = data.n, data.n_exogenous + data.m, data.variance
    require_df(n, k)
    df = np.full(data.m, variance.df(n, k))
    if variance.kind == "iid":
        return Estimate(solved.beta, Covariance(read_only(_iid_scale(data, solved) * _bread(solved)), df, "iid"))
    if variance.kind == "HAC":
        return Estimate(solved.beta, Covariance(read_only(variance.meat(solved.psi)), df, "HAC"))
    scale = variance.scale(n, k)
    first = clusters[0] if variance.is_clustered else None
    crossed = tuple(clusters[1:]) if variance.is_clustered else ()
    carrier = Influence(read_only(solved.psi), rows, first, scale, df, variance.kind, crossed)
    if first is None:
        return Estimate(solved.beta, carrier)
    if not crossed:
        return Estimate(solved.beta, require_positive(carrier, clusters))
    return Estimate(solved.beta, require_positive(carrier.knowing(joint_block(data, solved)), clusters))


def require_positive(carrier: Influence, clusters: Sequence[Groups]) -> Influence:
    """Refuse a clustered variance of zero: one that its repair made zero, or scores that cancel in every cluster.

    Raises
    ------
    InferenceUnavailable
        If the variance of a coefficient is zero although its influence values are not.
    """
    variances, sizes = np.diag(carrier.vcov), np.sum(np.square(carrier.psi), axis=0)
    if np.any((variances <= 1e-12 * sizes) & (sizes > 0)):
        names = ", ".join(repr(way.name) for way in clusters)
        if len(clusters) == 1:
            raise InferenceUnavailable(
                f"the variance clustered by {names} is zero: residuals add up to zero in each of its {clusters[0].count} "
                "clusters, as where an instrument only tells clusters apart and there is one cluster for each of its values.",
                hint="Such a design has one comparison and no error; find more clusters.",
            )
        raise InferenceUnavailable(
            f"the variance clustered by {names} is not positive: the ways of clustering have too few clusters.",
            hint="Cluster by the coarser of them, or in one way.",
        )
    return carrier


def joint_block(data: IVData, solved: Solved) -> Floats:
    """Variance of the endogenous variables' coefficients as a block of that of all coefficients.

    The two differ with multiway clusters: a matrix that is not positive semi-definite is repaired as a whole.
    """
    matrix = all_coefficients(data, solved, data.endogenous).vcov[: data.m, : data.m]
    return np.ascontiguousarray(matrix)


def all_coefficients(data: IVData, solved: Solved, terms: Sequence[str]) -> Effects:
    """Return every coefficient of the second stage: endogenous variables, intercept, exogenous columns.

    Parameters
    ----------
    data : IVData
    solved : Solved
    terms : sequence of str
        Names of the endogenous variables' coefficients.
    """
    theta, names = _values(data, solved), (*terms, *data.eliminated.names)
    lift = _to_given_columns(data)
    if data.variance.kind == "iid":
        matrix = _iid_scale(data, solved) * (lift @ _iid_matrix(data, _bread(solved)) @ lift.T)
    else:
        matrix = _scores_matrix(data, solved, lift)
    n, k = data.n, data.n_exogenous + data.m
    df = np.full(len(names), data.variance.df(n, k))
    return Effects(names, Estimate(theta, Covariance(read_only(matrix), df, data.variance.kind)))


def instrument_regression(data: IVData, rows: Floats) -> tuple[Floats, Floats]:
    """Regress projected columns on the instruments.

    Parameters
    ----------
    data : IVData
    rows : array, shape (r, n)

    Returns
    -------
    coefficients : array, shape (r, q)
    vcov : array, shape (r, q, r, q)
        Of all coefficients jointly, with the small-sample factor of the kind.
    """
    gram = data.gram
    inverse = gram.whitening.T @ gram.whitening
    Z = data.rows[1 + data.m :]
    coefficients = (rows @ Z.T) @ inverse
    left = rows - coefficients @ Z
    return coefficients, instrument_vcov(data, left, inverse)


def instrument_vcov(data: IVData, left: Floats, inverse: Floats) -> Floats:
    """Joint variance of regressions on the instruments, from their residuals of shape (r, n)."""
    r, q, variance = left.shape[0], data.q, data.variance
    require_df(data.n, data.n_exogenous + q)
    if variance.kind == "iid":
        sigma = left @ left.T / data.gram.df_first
        return np.asarray(np.einsum("ab,ij->aibj", sigma, inverse))
    Z = data.rows[1 + data.m :]
    scores = (left[:, None, :] * Z[None, :, :]).reshape(r * q, data.n)
    meat = variance.meat(scores.T).reshape(r, q, r, q)
    matrix: Floats = np.einsum("ki,aibj,jl->akbl", inverse, meat, inverse)
    return matrix * variance.scale(data.n, data.n_exogenous + q)


def require_df(n: int, k: int) -> None:
    """Refuse inference without residual degrees of freedom."""
    if n <= k:
        raise InferenceUnavailable(
            f"{n} rows leave no residual degrees of freedom for {k} parameters.",
            hint="Drop covariates, instruments or absorbed effects.",
        )


def _bread(solved: Solved) -> Floats:
    if solved.bread is None:
        raise InferenceUnavailable(
            "jackknife estimators have no variance for residuals of one variance.",
            hint='Use vcov="HC1", or CR1 with cluster=.',
        )
    return solved.bread


def _iid_scale(data: IVData, solved: Solved) -> float:
    return float(solved.residuals @ solved.residuals) / (data.n - data.n_exogenous - data.m)


def _values(data: IVData, solved: Solved) -> Floats:
    """Coefficients in the units of the columns as given."""
    found, m = data.eliminated, data.m
    gamma = found.shares[:, 0] - found.shares[:, 1 : 1 + m] @ solved.beta
    if solved.gmm is not None:
        gamma = gamma + solved.gmm.shift
    theta: Floats = _to_given_columns(data) @ np.concatenate([solved.beta, gamma])
    if data.effects is None:
        theta[m] += found.outer.pivots[0]
    return theta


def _to_given_columns(data: IVData) -> Floats:
    """Map coefficients of pivoted columns to those of the columns as given: the intercept takes the pivots."""
    found, m = data.eliminated, data.m
    lift = np.eye(m + found.inner.k)
    if data.effects is None:
        lift[m, :m] = -found.outer.pivots[1 : 1 + m]
        lift[m, m + 1 :] = -found.inner.pivots[1:]
    return lift


def _iid_matrix(data: IVData, bread: Floats) -> Floats:
    """Inverse of the second stage's matrix, from its partition."""
    shares, m = data.eliminated.shares[:, 1 : 1 + data.m], data.m
    matrix = np.empty((m + shares.shape[0],) * 2)
    matrix[:m, :m] = bread
    matrix[m:, :m] = -shares @ bread
    matrix[:m, m:] = matrix[m:, :m].T
    matrix[m:, m:] = data.eliminated.bread + shares @ bread @ shares.T
    return matrix


def _scores_matrix(data: IVData, solved: Solved, to_given: Floats) -> Floats:
    """Variance from the scores of all coefficients, summed by row, cluster or lag."""
    inner, variance = data.eliminated.inner, data.variance
    scores, lift = _scores(data, solved)
    lift = to_given @ lift
    scale = variance.scale(data.n, data.n_exogenous + data.m)
    if variance.kind != "HAC" and not variance.is_clustered:
        return lift @ score_products(inner, solved.residuals, scores) @ lift.T * scale
    r = scores.shape[0]
    full = np.empty((r + inner.k, data.n))
    full[:r] = scores
    for low, high, block in inner.blocks():
        np.multiply(block, solved.residuals[low:high], out=full[r:, low:high])
    if len(variance.ways) > 1:  # repaired as a matrix of the coefficients
        return variance.meat((lift @ full).T) * scale
    return lift @ variance.meat(full.T) @ lift.T * scale


def _scores(data: IVData, solved: Solved) -> tuple[Floats, Floats]:
    """Rows that are summed besides those of the exogenous columns, and the map from all sums to coefficients."""
    m, bread = data.m, data.eliminated.bread
    k, shares = bread.shape[0], data.eliminated.shares[:, 1 : 1 + m]
    if solved.gmm is None:
        lift = np.zeros((m + k, m + k))
        lift[:m, :m], lift[m:, :m], lift[m:, m:] = np.eye(m), -shares, bread
        return np.ascontiguousarray(solved.psi.T), lift
    # The moments of the exogenous columns are not zero at a GMM estimate.
    q, weights, gram = data.q, solved.gmm.weights, data.gram
    cross = bread @ np.linalg.solve(weights[:q, :q], weights[:q, q:]).T
    loads = gmm_loads(data, solved.gmm)
    lift = np.zeros((m + k, q + k))
    lift[:m, :q], lift[m:, :q], lift[m:, q:] = loads, -(shares - cross @ gram.ZD) @ loads - cross, bread
    return data.rows[1 + m :] * solved.residuals, lift


def fitted_share(gram: IVGram) -> Floats:
    """Share of the variation of each endogenous variable that the instruments explain, covariates held fixed."""
    share: Floats = np.diag(gram.explained)[1:] / np.diag(gram.total)[1:]
    return share
