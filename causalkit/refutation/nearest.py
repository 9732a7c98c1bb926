"""Who is matched with whom: nearest neighbours in covariates, greedily or optimally, within exact groups and calipers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints

#: Most pairs of a group for which the optimal assignment is computed.
_MOST_PAIRS = 25_000_000


@dataclass(frozen=True, eq=False)
class Matches:
    """Matched rows.

    Parameters
    ----------
    focal : Ints, shape (m,)
        Rows that were matched, each once per match.
    partner : Ints, shape (m,)
        The row of the other arm.
    distance : Floats, shape (m,)
        Their distance.
    """

    focal: Ints
    partner: Ints
    distance: Floats


def whitened(x: Floats) -> Floats:
    """Return covariates in which Euclidean distance is Mahalanobis distance (pseudo-inverse of the pooled covariance).

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates.
    """
    centred = x - x.mean(axis=0)
    unit = centred.std(axis=0)
    centred = centred / np.where(unit > 0, unit, 1.0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    keep = values > 1e-10 * max(values.max(), 1e-300)
    out: Floats = centred @ vectors[:, keep] / np.sqrt(values[keep])
    return out


def with_replacement(z: Floats, focal: Ints, pool: Ints, ratio: int, caliper: float | None, stratum: Codes) -> Matches:
    """Match each focal row with its nearest rows of the pool, which may be used again; ties at the last place are all kept.

    Where there are fewer than ``ratio`` within the caliper, those count; a row without any is not matched.

    Parameters
    ----------
    z : Floats, shape (n, d)
        Coordinates.
    focal, pool : Ints
        Rows to match, and rows to match them with.
    ratio : int
        Matches per focal row.
    caliper : float or None
        Largest distance.
    stratum : Codes, shape (n,)
        Rows of different strata are not matched.
    """
    from scipy.spatial import cKDTree

    found: list[tuple[Ints, Ints, Floats]] = []
    for code in np.unique(stratum[focal]):
        mine, theirs = focal[stratum[focal] == code], pool[stratum[pool] == code]
        if not len(theirs):
            continue
        tree = cKDTree(z[theirs])
        last = np.atleast_2d(tree.query(z[mine], k=[min(ratio, len(theirs))])[0])[:, -1] * (1 + 1e-12) + 1e-300
        if caliper is not None:
            last = np.minimum(last, caliper)
        lists = tree.query_ball_point(z[mine], last)
        sizes = np.array([len(part) for part in lists], dtype=np.int64)
        if not sizes.sum():
            continue
        who = np.repeat(mine, sizes)
        whom = theirs[np.concatenate([np.sort(part) for part in lists]).astype(np.int64)]
        found.append((who, whom, np.linalg.norm(z[who] - z[whom], axis=1)))
    return _joined(found)


def without_replacement(
    z: Floats, focal: Ints, pool: Ints, ratio: int, caliper: float | None, stratum: Codes, *, optimal: bool
) -> Matches:
    """Match each focal row with rows of the pool that are used once.

    Parameters
    ----------
    z, focal, pool, ratio, caliper, stratum
        As for :func:`with_replacement`. Rows come in the order of ``focal`` where the matching is greedy.
    optimal : bool
        Minimise the total distance (of as many matches as there can be) instead of taking the nearest free row each time.

    Raises
    ------
    DesignError
        If an optimal matching of a stratum is too large.
    """
    found: list[tuple[Ints, Ints, Floats]] = []
    for code in np.unique(stratum[focal]):
        mine, theirs = focal[stratum[focal] == code], pool[stratum[pool] == code]
        if not len(theirs):
            continue
        pair = _optimal if optimal else _greedy
        found += pair(z, mine, theirs, ratio, np.inf if caliper is None else caliper)
    return _joined(found)


def _greedy(z: Floats, mine: Ints, theirs: Ints, ratio: int, caliper: float) -> list[tuple[Ints, Ints, Floats]]:
    from scipy.spatial import cKDTree

    tree = cKDTree(z[theirs])
    free = np.ones(len(theirs), dtype=bool)
    rows, partners, distances = [], [], []
    first = min(32, len(theirs))
    near, at = (np.asarray(part).reshape(len(mine), first) for part in tree.query(z[mine], k=first))
    for _ in range(ratio):
        for i, row in enumerate(mine):
            d, j = near[i], at[i]
            open_ = np.flatnonzero(free[j] & (d <= caliper))
            if not len(open_) and first < len(theirs) and d[-1] <= caliper:  # all known neighbours are taken
                left = np.flatnonzero(free)
                if not len(left):
                    continue
                d, j = np.linalg.norm(z[theirs[left]] - z[row], axis=1), left
                best = int(np.argmin(d))
                open_ = np.array([best]) if d[best] <= caliper else open_[:0]
            if not len(open_):
                continue
            chosen = j[open_[0]]
            free[chosen] = False
            rows.append(row)
            partners.append(theirs[chosen])
            distances.append(d[open_[0]])
    return [(np.array(rows, dtype=np.int64), np.array(partners, dtype=np.int64), np.array(distances))]


def _optimal(z: Floats, mine: Ints, theirs: Ints, ratio: int, caliper: float) -> list[tuple[Ints, Ints, Floats]]:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    who = np.repeat(mine, ratio)
    if len(who) * len(theirs) > _MOST_PAIRS:
        raise DesignError(
            f"an optimal matching of {len(who):,} with {len(theirs):,} rows is too large.",
            hint="Use method='nearest', or exact= columns that split the rows.",
        )
    distance = cdist(z[who], z[theirs])
    # A pair beyond the caliper costs more than all others together, so it is used only where nothing else is left.
    far = distance > caliper
    cost = np.where(far, distance.sum() + 1.0, distance) if far.any() else distance
    at, to = linear_sum_assignment(cost)
    kept = ~far[at, to]
    at, to = at[kept], to[kept]
    return [(who[at], theirs[to], distance[at, to])]


def _joined(found: list[tuple[Ints, Ints, Floats]]) -> Matches:
    if not found:
        none = np.empty(0, dtype=np.int64)
        return Matches(none, none, np.empty(0))
    focal, partner, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((distance, focal))
    return Matches(focal[order], partner[order], distance[order])
