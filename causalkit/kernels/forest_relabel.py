"""Gradient relabelling: what a row would add to the effect of its node (Athey, Tibshirani and Wager 2019, eq. 20)."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints

#: Columns of a table of contributions that belong to the row (its weight), before three for each treatment.
HEAD = 1
#: A tally is the number of rows plus this times the number of high ones: both counts in one float, exactly.
HIGH = 2.0**26
_FLAT = 1e-10


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def relabel(rows: Ints, y: Floats, w: Floats, s: Floats, arms: Codes, table: Floats) -> bool:
    """Fill the table of what each row adds to a bin; return whether the treatments vary in the node.

    With ``A`` the weighted covariance of the treatments in the node, ``tau`` their coefficients in a regression of the
    outcome, and bars for weighted means, row i is relabelled ``rho_i = A^-1 (w_i - wbar) (y_i - ybar - (w_i - wbar)'
    tau)``, whose weighted mean over a child approximates how far the child's effect is from the node's.

    Parameters
    ----------
    rows : Ints, shape (m,)
        Rows of the node.
    y, s : Floats, shape (n,)
        Outcome and weight.
    w : Floats, shape (n, k)
        Treatments.
    arms : Codes, shape (n,)
        Arm of each row, 0 the control and k + 1 in all; -1 for a dose, which is high where above its mean.
    table : Floats, shape (at least m, 1 + 3 k)
        Out: weight, and for each treatment weighted rho, a tally (one row, and whether it is high), and the row's
        information ``s (w - wbar)^2``.
    """
    k = w.shape[1]
    if k == 1:
        return _relabel_one(rows, y, w, s, arms, table)  # type: ignore[no-any-return]
    mean = np.zeros(k)
    total, center = 0.0, 0.0
    for i in rows:
        total += s[i]
        center += s[i] * y[i]
        for a in range(k):
            mean[a] += s[i] * w[i, a]
    center /= total
    mean /= total
    gram, cross = np.zeros((k, k)), np.zeros(k)
    size = 0.0
    for i in rows:
        for a in range(k):
            d = s[i] * (w[i, a] - mean[a])
            cross[a] += d * (y[i] - center)
            size += s[i] * w[i, a] * w[i, a]
            for b in range(a + 1):
                gram[a, b] += d * (w[i, b] - mean[b])
    for a in range(k):
        if gram[a, a] <= _FLAT * size:
            return False
    if not invert(gram):
        return False
    tau = np.zeros(k)
    for a in range(k):
        for b in range(k):
            tau[a] += gram[a, b] * cross[b]
    for j in range(rows.size):
        i = rows[j]
        residual = y[i] - center
        for a in range(k):
            residual -= (w[i, a] - mean[a]) * tau[a]
        table[j, 0] = s[i]
        for a in range(k):
            rho = 0.0
            for b in range(k):
                rho += gram[a, b] * (w[i, b] - mean[b])
            d = w[i, a] - mean[a]
            high = d > 0.0 if arms[i] < 0 else arms[i] == a + 1
            table[j, HEAD + 3 * a] = total * s[i] * rho * residual
            table[j, HEAD + 3 * a + 1] = 1.0 + HIGH if high else 1.0
            table[j, HEAD + 3 * a + 2] = s[i] * d * d
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _relabel_one(rows: Ints, y: Floats, w: Floats, s: Floats, arms: Codes, table: Floats) -> bool:
    """Relabel for one treatment, written out for speed."""
    total, center, mean = 0.0, 0.0, 0.0
    for j in range(rows.size):
        i = rows[j]
        total += s[i]
        center += s[i] * y[i]
        mean += s[i] * w[i, 0]
    center /= total
    mean /= total
    gram, cross, size = 0.0, 0.0, 0.0
    for j in range(rows.size):
        i = rows[j]
        d = w[i, 0] - mean
        cross += s[i] * d * (y[i] - center)
        gram += s[i] * d * d
        size += s[i] * w[i, 0] * w[i, 0]
    if gram <= _FLAT * size:
        return False
    tau, scale = cross / gram, total / gram
    for j in range(rows.size):
        i = rows[j]
        d = w[i, 0] - mean
        high = d > 0.0 if arms[i] < 0 else arms[i] == 1
        table[j, 0] = s[i]
        table[j, 1] = scale * s[i] * d * (y[i] - center - d * tau)
        table[j, 2] = 1.0 + HIGH if high else 1.0
        table[j, 3] = s[i] * d * d
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def invert(matrix: Floats) -> bool:
    """Invert a small symmetric matrix given by its lower triangle, in place; False where it is not positive definite."""
    k = matrix.shape[0]
    if k == 1:
        if matrix[0, 0] <= 1e-300:
            return False
        matrix[0, 0] = 1.0 / matrix[0, 0]
        return True
    root = np.zeros((k, k))
    for a in range(k):
        for b in range(a + 1):
            left = matrix[a, b]
            for c in range(b):
                left -= root[a, c] * root[b, c]
            if a == b:
                if left <= _FLAT * matrix[a, a] or left <= 1e-300:
                    return False
                root[a, a] = np.sqrt(left)
            else:
                root[a, b] = left / root[b, b]
    inverse = np.zeros((k, k))  # of the root, lower triangular
    for b in range(k):
        inverse[b, b] = 1.0 / root[b, b]
        for a in range(b + 1, k):
            left = 0.0
            for c in range(b, a):
                left -= root[a, c] * inverse[c, b]
            inverse[a, b] = left / root[a, a]
    for a in range(k):
        for b in range(k):
            total = 0.0
            for c in range(max(a, b), k):
                total += inverse[c, a] * inverse[c, b]
            matrix[a, b] = total
    return True
