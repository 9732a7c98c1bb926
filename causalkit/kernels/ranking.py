"""Two walks along a ranking: the areas under the targeting curve and the influence of each unit on them."""

from __future__ import annotations

from numba import njit

from causalkit.kernels.arrays import Floats, Ints


@njit(cache=True)  # type: ignore[untyped-decorator]
def areas_and_influence(
    width: Floats, centred: Floats, starts: Ints, autoc_psi: Floats, qini_psi: Floats
) -> tuple[float, float]:
    """Areas under TOC(q) and under q TOC(q); influence values are written to the last two arrays, in ranked order.

    Parameters
    ----------
    width : Floats, shape (m,)
        Weights in ranked order, summing to one.
    centred : Floats, shape (m,)
        Scores in ranked order, with weighted mean zero.
    starts : Ints, shape (B,)
        Where each block of ties begins.
    autoc_psi, qini_psi : Floats, shape (m,)
        Filled with influence values, 1/n folded in.
    """
    m, n_blocks = width.size, starts.size
    share, total = 0.0, 0.0
    autoc, tail, tail_mean = 0.0, 0.0, 0.0
    qini, level = 0.0, 0.0
    for b in range(n_blocks):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        mean = _block_mean(width, centred, start, stop)
        for i in range(start, stop):
            w = width[i]
            share += w
            total += w * mean
            inverse = w / share
            autoc += inverse * total
            tail += inverse
            tail_mean += inverse * total / share
            qini += w * total
            level += w * share
    whole = share
    share, total, before, before_mean = 0.0, 0.0, 0.0, 0.0
    # What lies behind a unit is the whole less what lies before it.
    for b in range(n_blocks):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        mean = _block_mean(width, centred, start, stop)
        mass, autoc_score, autoc_weight, qini_score, qini_weight = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(start, stop):
            w = width[i]
            behind = whole - share
            share += w
            total += w * mean
            mass += w
            inverse = 1.0 / share
            autoc_score += w * (tail - before - 1.0)
            autoc_weight += w * (total * inverse - (tail_mean - before_mean) - autoc)
            qini_score += w * (behind - level)
            qini_weight += w * (total - 2.0 * qini)
            before += w * inverse
            before_mean += w * total * inverse * inverse
        for i in range(start, stop):
            part = width[i] / mass
            autoc_psi[i] = part * (centred[i] * autoc_score + autoc_weight)
            qini_psi[i] = part * (centred[i] * qini_score + qini_weight)
    return autoc, qini


@njit(cache=True)  # type: ignore[untyped-decorator]
def _block_mean(width: Floats, centred: Floats, start: int, stop: int) -> float:
    if stop == start + 1:
        return float(centred[start])
    total, mass = 0.0, 0.0
    for i in range(start, stop):
        total += width[i] * centred[i]
        mass += width[i]
    return total / mass
