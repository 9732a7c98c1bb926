"""Gradient relabelling: what a row would add to the effect of its node (Athey, Tibshirani and Wager 2019, eq. 20)."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats, Ints

#: Columns of a table of contributions that belong to the row (its weight), before three for each treatment.
HEAD = 1
#: A tally is the number of rows plus this times the number of high ones: both counts in one float, exactly.
HIGH = 2.0**26
_FLAT = 1e-10


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def relabel(rows: Ints, first: int, stop: int, cells: Floats, by_row: bool, table: Floats, totals: Floats) -> bool:
    """Fill the table of what each row adds to a bin; return whether the treatment varies in the node.

    With ``A`` the weighted covariance of the treatments in the node, ``tau`` their coefficients in a regression of the
    outcome, and bars for weighted means, row i is relabelled ``rho_i = A^-1 (w_i - wbar) (y_i - ybar - (w_i - wbar)'
    tau)``, whose weighted mean over a child approximates how far the child's effect is from the node's.
    One treatment here; several in :func:`relabel_many`.

    Parameters
    ----------
    rows : Ints
        Rows of the tree; those of the node are ``rows[first:stop]``.
    cells : Floats, shape (n, 4)
        Outcome, weight, arm, treatment of each row. The arm is 0 for the control, and -1 for a dose, which is high where
        above its mean.
    by_row : bool
        Whether to fill the table by the rows' own numbers; else by their places in the node.
    table : Floats, shape (at least stop - first, 4)
        Out: weight, weighted rho, a tally (one row, and whether it is high), and the row's information
        ``s (w - wbar)^2``.
    totals : Floats, shape (4,)
        Out: sums of the table over the node.
    """
    y0, w0 = cells[rows[first], 0], cells[rows[first], 3]
    total, center, mean, gram, cross = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(first, stop):  # differences from the first row: moments in one pass lose nothing
        i = np.uint64(rows[j])
        s, z, d = cells[i, 1], cells[i, 0] - y0, cells[i, 3] - w0
        total += s
        center += s * z
        mean += s * d
        gram += s * d * d
        cross += s * d * z
    center /= total
    mean /= total
    gram -= total * mean * mean
    cross -= total * mean * center
    center += y0
    mean += w0
    if gram <= _FLAT * (gram + total * mean * mean):
        return False
    tau, scale, count, info, left = cross / gram, total / gram, 0.0, 0.0, 0.0
    for j in range(first, stop):
        i = np.uint64(rows[j])
        s, d = cells[i, 1], cells[i, 3] - mean
        high = d > 0.0 if cells[i, 2] < 0.0 else cells[i, 2] == 1.0
        rho = scale * s * d * (cells[i, 0] - center - d * tau)
        tally, own = 1.0 + HIGH if high else 1.0, s * d * d
        at = i if by_row else np.uint64(j - first)
        table[at, 0] = s
        table[at, 1] = rho
        table[at, 2] = tally
        table[at, 3] = own
        left += rho
        count += tally
        info += own
    totals[0], totals[1], totals[2], totals[3] = total, left, count, info
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def relabel_many(
    rows: Ints, first: int, stop: int, cells: Floats, by_row: bool, table: Floats, totals: Floats, work: Floats
) -> bool:
    """Relabel for several treatments: ``cells`` have 3 + k columns, the table 1 + 3 k; ``work`` has shape (k + 3, k)."""
    k = cells.shape[1] - 3
    cross, mean, tau = k, k + 1, k + 2  # rows of the work space, after the k of the covariance
    for a in range(k + 3):
        for b in range(k):
            work[a, b] = 0.0
    for c in range(totals.size):
        totals[c] = 0.0
    total, center, size = 0.0, 0.0, 0.0
    for j in range(first, stop):
        i = rows[j]
        total += cells[i, 1]
        center += cells[i, 1] * cells[i, 0]
        for a in range(k):
            work[mean, a] += cells[i, 1] * cells[i, 3 + a]
    center /= total
    for a in range(k):
        work[mean, a] /= total
    for j in range(first, stop):
        i = rows[j]
        for a in range(k):
            d = cells[i, 1] * (cells[i, 3 + a] - work[mean, a])
            work[cross, a] += d * (cells[i, 0] - center)
            size += cells[i, 1] * cells[i, 3 + a] * cells[i, 3 + a]
            for b in range(a + 1):
                work[a, b] += d * (cells[i, 3 + b] - work[mean, b])
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
        at = i if by_row else j - first
        s, residual = cells[i, 1], cells[i, 0] - center
        for a in range(k):
            residual -= (cells[i, 3 + a] - work[mean, a]) * work[tau, a]
        table[at, 0] = s
        for a in range(k):
            rho = 0.0
            for b in range(k):
                rho += work[a, b] * (cells[i, 3 + b] - work[mean, b])
            d = cells[i, 3 + a] - work[mean, a]
            high = d > 0.0 if cells[i, 2] < 0.0 else cells[i, 2] == a + 1
            table[at, HEAD + 3 * a] = total * s * rho * residual
            table[at, HEAD + 3 * a + 1] = 1.0 + HIGH if high else 1.0
            table[at, HEAD + 3 * a + 2] = s * d * d
        for c in range(totals.size):
            totals[c] += table[at, c]
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
