"""Gradient relabelling: what a row would add to the effect of its node (Athey, Tibshirani and Wager 2019, eq. 20)."""

from __future__ import annotations

from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints

#: Columns of a table of contributions that belong to the row (its weight), before three for each treatment.
HEAD = 1
#: A tally is the number of rows plus this times the number of high ones: both counts in one float, exactly.
HIGH = 2.0**26
_FLAT = 1e-10


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def relabel(rows: Ints, first: int, stop: int, y: Floats, w: Floats, s: Floats, arms: Codes, table: Floats) -> bool:
    """Fill the table of what each row adds to a bin; return whether the treatment varies in the node.

    With ``A`` the weighted covariance of the treatments in the node, ``tau`` their coefficients in a regression of the
    outcome, and bars for weighted means, row i is relabelled ``rho_i = A^-1 (w_i - wbar) (y_i - ybar - (w_i - wbar)'
    tau)``, whose weighted mean over a child approximates how far the child's effect is from the node's.
    One treatment here; several in :func:`relabel_many`.

    Parameters
    ----------
    rows : Ints
        Rows of the tree; those of the node are ``rows[first:stop]``.
    y, w, s : Floats, shape (n,)
        Outcome, treatment and weight.
    arms : Codes, shape (n,)
        Arm of each row, 0 the control; -1 for a dose, which is high where above its mean.
    table : Floats, shape (at least stop - first, 4)
        Out: weight, weighted rho, a tally (one row, and whether it is high), and the row's information
        ``s (w - wbar)^2``.
    """
    total, center, mean = 0.0, 0.0, 0.0
    for j in range(first, stop):
        i = rows[j]
        total += s[i]
        center += s[i] * y[i]
        mean += s[i] * w[i]
    center /= total
    mean /= total
    gram, cross, size = 0.0, 0.0, 0.0
    for j in range(first, stop):
        i = rows[j]
        d = w[i] - mean
        cross += s[i] * d * (y[i] - center)
        gram += s[i] * d * d
        size += s[i] * w[i] * w[i]
    if gram <= _FLAT * size:
        return False
    tau, scale = cross / gram, total / gram
    for j in range(first, stop):
        i = rows[j]
        d = w[i] - mean
        high = d > 0.0 if arms[i] < 0 else arms[i] == 1
        at = j - first
        table[at, 0] = s[i]
        table[at, 1] = scale * s[i] * d * (y[i] - center - d * tau)
        table[at, 2] = 1.0 + HIGH if high else 1.0
        table[at, 3] = s[i] * d * d
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def relabel_many(
    rows: Ints, first: int, stop: int, y: Floats, w: Floats, s: Floats, arms: Codes, table: Floats, work: Floats
) -> bool:
    """Relabel for several treatments; ``w`` has shape (n, k), the table 1 + 3 k columns, ``work`` shape (k + 3, k)."""
    k = w.shape[1]
    cross, mean, tau = k, k + 1, k + 2  # rows of the work space, after the k of the covariance
    for a in range(k + 3):
        for b in range(k):
            work[a, b] = 0.0
    total, center, size = 0.0, 0.0, 0.0
    for j in range(first, stop):
        i = rows[j]
        total += s[i]
        center += s[i] * y[i]
        for a in range(k):
            work[mean, a] += s[i] * w[i, a]
    center /= total
    for a in range(k):
        work[mean, a] /= total
    for j in range(first, stop):
        i = rows[j]
        for a in range(k):
            d = s[i] * (w[i, a] - work[mean, a])
            work[cross, a] += d * (y[i] - center)
            size += s[i] * w[i, a] * w[i, a]
            for b in range(a + 1):
                work[a, b] += d * (w[i, b] - work[mean, b])
    for a in range(k):
        if work[a, a] <= _FLAT * size:
            return False
    if not invert(work, k):
        return False
    for a in range(k):
        for b in range(k):
            work[tau, a] += work[a, b] * work[cross, b]
    for j in range(first, stop):
        i = rows[j]
        at = j - first
        residual = y[i] - center
        for a in range(k):
            residual -= (w[i, a] - work[mean, a]) * work[tau, a]
        table[at, 0] = s[i]
        for a in range(k):
            rho = 0.0
            for b in range(k):
                rho += work[a, b] * (w[i, b] - work[mean, b])
            d = w[i, a] - work[mean, a]
            high = d > 0.0 if arms[i] < 0 else arms[i] == a + 1
            table[at, HEAD + 3 * a] = total * s[i] * rho * residual
            table[at, HEAD + 3 * a + 1] = 1.0 + HIGH if high else 1.0
            table[at, HEAD + 3 * a + 2] = s[i] * d * d
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def invert(matrix: Floats, k: int) -> bool:
    """Invert the symmetric matrix in the first k rows, given by its lower triangle, in place.

    Returns False where it is not positive definite. Sweeps one pivot after another: the pivots are the squares of
    Cholesky's.
    """
    for a in range(k):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
    for p in range(k):
        pivot = matrix[p, p]
        if pivot <= 1e-300:
            return False
        for a in range(k):
            if a > p and matrix[a, a] - matrix[a, p] * matrix[p, a] / pivot <= _FLAT * matrix[a, a]:
                return False
        for b in range(k):
            matrix[p, b] = matrix[p, b] / pivot if b != p else 1.0 / pivot
        for a in range(k):
            if a != p:
                factor = matrix[a, p]
                for b in range(k):
                    matrix[a, b] = (matrix[a, b] if b != p else 0.0) - factor * matrix[p, b]
    return True
