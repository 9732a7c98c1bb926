"""Whether treatment changes sides where the boundary lies: rows that are treated on the untreated side are no comparison."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.kernels.arrays import Bools, Floats

#: From this share of rows on the wrong side on, what is estimated is not the effect at the boundary.
WRONG = 0.05


def sides_check(scores: Floats, points: Floats, treated: Bools, bandwidth: float) -> Check | None:
    """Count the rows next to the boundary whose treatment is that of the other side; None where sides are not defined.

    Parameters
    ----------
    scores : array, shape (n, d)
    points : array, shape (m, d)
        The boundary, in order.
    treated : array of bool, shape (n,)
    bandwidth : float
        Rows farther away are left aside.
    """
    found = side_of_line(scores, points)
    if found is None:
        return None
    side, distance = found
    near = (side != 0) & (distance <= bandwidth)
    n = int(near.sum())
    if n == 0:
        return Check("sides", "untestable", "No row next to the boundary lies beside one of its parts.")
    turned = int(np.count_nonzero((side[near] > 0) != treated[near]))
    wrong = min(turned, n - turned)
    message = f"{wrong:,} of {n:,} rows within the bandwidth have the treatment of the other side of the boundary."
    if wrong == 0:
        return Check("sides", "pass", message, 0.0)
    advice = (
        "Their distance is counted on the side of their treatment, where they are not. Name as treatment= the side on which "
        "a row lies, not what it took, and check the points of the boundary."
    )
    told = f"{message} That is {fmt.share(wrong / n)}."
    return Check("sides", "fail" if wrong >= WRONG * n else "warn", told, wrong / n, advice=advice)


def side_of_line(scores: Floats, points: Floats) -> tuple[Floats, Floats] | None:
    """Return on which side of a line through points each row lies (1, -1; 0 where that is open), and its distance.

    Open are rows on the line, and rows to which one of its two ends is nearest: the boundary may go on there in any
    direction. With one score there is one point, with two scores a line; else None.
    """
    m, d = points.shape
    if d == 1 and m == 1:
        gap = scores[:, 0] - points[0, 0]
        return np.sign(gap), np.abs(gap)
    if d != 2 or m < 2:
        return None
    along = np.diff(points, axis=0)
    normals = np.column_stack([-along[:, 1], along[:, 0]]) / np.linalg.norm(along, axis=1)[:, None]
    # At a bend the side is that of the sum of the normals of the two parts that meet there.
    bends = np.vstack([np.zeros(2), normals[:-1] + normals[1:], np.zeros(2)])
    side, nearest = np.zeros(len(scores)), np.full(len(scores), np.inf)
    for j, (start, step) in enumerate(zip(points[:-1], along, strict=True)):
        gap = scores - start
        share = np.clip(gap @ step / (step @ step), 0.0, 1.0)
        away = gap - share[:, None] * step
        square = np.einsum("ij,ij->i", away, away)
        normal = np.where(
            (share == 0.0)[:, None], bends[j], np.where((share == 1.0)[:, None], bends[j + 1], normals[j])
        )
        closer = square < nearest
        side = np.where(closer, np.sign(np.einsum("ij,ij->i", away, normal)), side)
        nearest = np.minimum(nearest, square)
    return side, np.sqrt(nearest)
