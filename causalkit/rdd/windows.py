"""Split rows at the cutoff: each side by distance, and the facts about the running variable that selectors use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.rdd.line import KERNELS, Line, interquartile_range
from causalkit.rdd.moments import Side, mean_of


@dataclass(frozen=True, eq=False)
class Split:
    """A running variable split at its cutoff.

    Attributes
    ----------
    left, right : Side
    n : int
        Rows.
    n_by_side : (int, int)
        Rows below, and at or above the cutoff.
    distinct : (int, int)
        Distinct values on each side.
    sd, iqr : float
        Spread of the running variable.
    reach : (float, float)
        Distance from the cutoff to the farthest row on each side.
    clusters : (int, int) or None
        Clusters on each side.
    n_treatments : int
        1 where the second column is a treatment, else 0.
    sharp : bool
        Whether the treatment does not vary on one of the sides.
    """

    left: Side
    right: Side
    n: int
    n_by_side: tuple[int, int]
    distinct: tuple[int, int]
    sd: float
    iqr: float
    reach: tuple[float, float]
    clusters: tuple[int, int] | None
    n_treatments: int
    sharp: bool

    @property
    def sides(self) -> tuple[Side, Side]:
        """Below the cutoff, and above."""
        return self.left, self.right

    @property
    def n_columns(self) -> int:
        """Outcome, treatment and covariates."""
        return self.left.n_columns

    def with_outcome(self, outcome: Floats) -> Split:
        """Return the same rows with another outcome and without treatment and covariates."""
        sides = [side.with_columns((outcome[side.rows] - outcome.mean())[None, :]) for side in self.sides]
        return replace(self, left=sides[0], right=sides[1], n_treatments=0, sharp=False)

    def without_treatment(self) -> Split:
        """Return the same rows without the treatment."""
        if not self.n_treatments:
            return self
        left, right = (side.without_column(1) for side in self.sides)
        return replace(self, left=left, right=right, n_treatments=0, sharp=False)

    def without(self, radius: float) -> Split:
        """Return the rows at least this far from the cutoff; the spread of the running variable stays that of all."""
        sides = [side.from_radius(radius) for side in self.sides]
        counts = (sides[0].n, sides[1].n)
        return replace(self, left=sides[0], right=sides[1], n=sum(counts), n_by_side=counts)

    def at_placebo(self, distance: float) -> Split:
        """Return one side of the cutoff, split at a place on it.

        Parameters
        ----------
        distance : float
            Where, from the cutoff; negative for a place below it.
        """
        side, far = (self.right, distance) if distance > 0 else (self.left, -distance)
        inner, outer = side.before(far, -side.sign), side.beyond(far, side.sign)
        left, right = (inner, outer) if side.sign > 0 else (outer, inner)
        sd, iqr = side.spread
        counts = (left.n, right.n)
        return Split(
            left=left,
            right=right,
            n=side.n,
            n_by_side=counts,
            distinct=(left.n_distinct, right.n_distinct),
            sd=sd,
            iqr=iqr,
            reach=(left.reach, right.reach),
            clusters=None if left.codes is None else (_count(left.codes), _count(right.codes)),
            n_treatments=self.n_treatments,
            sharp=bool(self.n_treatments) and any(float(np.ptp(part.columns[1])) == 0.0 for part in (left, right)),
        )

    @property
    def mass(self) -> tuple[float, float]:
        """Share of rows that repeat another value, by side."""
        (left, right), (n_left, n_right) = self.distinct, self.n_by_side
        return 1.0 - left / n_left, 1.0 - right / n_right


def split(
    x: Any,
    y: Any,
    cutoff: float = 0.0,
    *,
    treatment: Any = None,
    covariates: Any = None,
    cluster: Any = None,
    weights: Any = None,
    kernel: str = "triangular",
    bias_order: int = 2,
    donut: float = 0.0,
    names: tuple[str, str] = ("the running variable", "the outcome"),
) -> Split:
    """Split arrays at the cutoff; rows at the cutoff are above.

    Parameters
    ----------
    x, y : array, shape (n,)
        Running variable and outcome, finite.
    cutoff : float
    treatment : array, shape (n,), optional
        Treatment received, for fuzzy designs.
    covariates : array, shape (n, k), optional
    cluster : array, shape (n,), optional
        Labels or codes.
    weights : array, shape (n,), optional
        Not negative; rows of weight zero are left out of fits.
    kernel : {"triangular", "uniform", "epanechnikov"}
    bias_order : int
        Order of the bias correction: fits go up to two orders above it.
    donut : float
        Rows nearer to the cutoff than this are left out.
    names : (str, str)
        What error messages call the running variable and the outcome.

    Raises
    ------
    DataError, DesignError
        If the arrays hold what no fit can use, or the cutoff does not split them.
    """
    if kernel not in KERNELS:
        raise DesignError(f"kernel={kernel!r} is not an option.", hint=f"Use one of {', '.join(map(repr, KERNELS))}.")
    running = _numbers(names[0], x)
    rows = [_numbers(names[1], y)]
    if treatment is not None:
        rows.append(_numbers("the treatment", treatment))
    if covariates is not None:
        matrix = np.asarray(covariates, dtype=float).reshape(running.size, -1)
        rows += [_numbers("a covariate", column) for column in matrix.T]
    _require_inside(running, cutoff, names[0])
    codes, n_clusters = _codes(cluster)
    for values in (*rows, *(() if codes is None else (codes,))):
        if values.size != running.size:
            raise DataError(f"{names[0]} has {running.size} rows, and another array {values.size}.")
    order = _Order.of(running, cutoff, donut)
    _require_values(order.distinct, bias_order, cutoff, names[0])
    found = _split(
        order, running, rows, treatment is not None, codes, n_clusters, _weights(weights, running.size), kernel,
        bias_order + 2,
    )  # fmt: skip
    _require_values((found.left.n_distinct, found.right.n_distinct), bias_order, cutoff, names[0])
    return found


def _require_values(distinct: tuple[int, int], bias_order: int, cutoff: float, name: str) -> None:
    """Refuse sides with fewer distinct values than the polynomials have coefficients."""
    for count, where in zip(distinct, ("below", "above"), strict=True):
        if count <= bias_order:
            raise DesignError(
                f"{name} has {count} distinct values {where} the cutoff {cutoff:g}; the polynomials need {bias_order + 1}.",
                hint="Check the cutoff, or compare the rows next to it with a local randomization design.",
            )


def _require_inside(running: Floats, cutoff: float, name: str) -> None:
    """Refuse a cutoff that has no rows on one of its sides."""
    low, high = float(running.min()), float(running.max())
    if low == high:
        raise DesignError(
            f"{name} is {low:g} in every row.", hint="A discontinuity needs a running variable that varies."
        )
    if not low < cutoff <= high:
        raise DesignError(
            f"the cutoff {cutoff:g} does not divide {name}, which goes from {low:g} to {high:g}.",
            hint="Pass the cutoff in the units of the running variable; rows at the cutoff count as above.",
        )


@dataclass(frozen=True, eq=False)
class _Order:
    """Rows by distance from the cutoff, on both sides.

    Attributes
    ----------
    distance, rows : pair of arrays
        Ascending distances and the rows they belong to, below and above.
    distinct : (int, int)
        Distinct distances.
    """

    distance: tuple[Floats, Floats]
    rows: tuple[Ints, Ints]
    distinct: tuple[int, int]

    @classmethod
    def of(cls, x: Floats, cutoff: float, donut: float) -> _Order:
        """Sort rows outside of a donut."""
        from causalkit.kernels.rd_split import place_rows, split_keys

        n_bits = max(x.size - 1, 1).bit_length()
        keys, below = split_keys(x, cutoff, donut, n_bits)
        keys.sort()
        distance, rows, distinct = np.empty(keys.size), keys.view(np.int64), []  # rows take the places of their keys
        spans = (slice(None, below), slice(below, None))
        for span in spans:
            count = place_rows(keys[span], n_bits, x, cutoff, distance[span], rows[span])
            if count < 0:
                exact = np.abs(x[rows[span]] - cutoff)
                order = np.argsort(exact, kind="stable")
                rows[span], distance[span] = rows[span][order], exact[order]
                count = 1 + int(np.count_nonzero(np.diff(distance[span])))
            distinct.append(count)
        for array in (distance, rows):
            array.flags.writeable = False
        left, right = spans
        return cls((distance[left], distance[right]), (rows[left], rows[right]), (distinct[0], distinct[1]))

    def at_rank(self, rank: int) -> int:
        """Return the row at a rank of the running variable."""
        below, above = self.rows
        return int(below[below.size - 1 - rank] if rank < below.size else above[rank - below.size])


def _split(
    order: _Order, x: Floats, values: Sequence[Floats], fuzzy: bool, codes: Codes | None, n_clusters: int,
    weights: Floats, kernel: str, top_order: int,
) -> Split:  # fmt: skip
    """Split rows that are in order."""
    from causalkit.kernels.rd_split import spread

    sharp = False
    if fuzzy:
        taken = [values[1][rows] for rows in order.rows]
        sharp = any(float(np.ptp(part)) == 0.0 for part in taken)
        if sharp and float(np.ptp(np.concatenate(taken))) == 0.0:
            raise DesignError(
                "the treatment has the same value in every row, so nothing jumps at the cutoff.",
                hint="Check treatment= and the cutoff.",
            )
    pivots = read_only(np.array([column.mean() for column in values]))
    left, right = (
        _side(sign, order, at, values, pivots, codes, n_clusters, weights, kernel, top_order)
        for at, sign in enumerate((-1, 1))
    )
    counts = (order.rows[0].size, order.rows[1].size)
    n = sum(counts)
    return Split(
        left=left,
        right=right,
        n=n,
        n_by_side=counts,
        distinct=order.distinct,
        sd=float(spread(*order.distance)),
        iqr=interquartile_range(lambda rank: float(x[order.at_rank(rank)]), n),
        reach=(float(order.distance[0][-1]), float(order.distance[1][-1])),
        clusters=None if codes is None else (_count(codes[order.rows[0]]), _count(codes[order.rows[1]])),
        n_treatments=int(fuzzy),
        sharp=sharp,
    )


def _side(
    sign: int, order: _Order, at: int, values: Sequence[Floats], pivots: Floats, codes: Codes | None, n_clusters: int,
    weights: Floats, kernel: str, top_order: int,
) -> Side:  # fmt: skip
    """Return one side, nearest first, without rows of weight zero."""
    from causalkit.kernels.rd_split import gather

    distance, rows, distinct = order.distance[at], order.rows[at], order.distinct[at]
    if weights.size and not weights.all():
        kept = weights[rows] > 0
        distance, rows = distance[kept], rows[kept]
        distinct = int(np.count_nonzero(np.diff(distance))) + (distance.size > 0)
    columns, levels = np.empty((len(values), rows.size)), np.zeros(len(values))
    for k, column in enumerate(values):
        gather(column, rows, pivots[k], columns[k])
        if rows.size:
            levels[k] = mean_of(columns[k])
            columns[k] -= levels[k]
    line = Line(
        distance=distance,
        columns=read_only(columns),
        weights=read_only(weights[rows]) if weights.size else weights,
        codes=None if codes is None else codes[rows],
        n_clusters=n_clusters,
        kernel=kernel,
        top_order=top_order,
        rows=rows,
        n_distinct=distinct,
    )
    return Side(line, sign, read_only(levels), pivots, 0, rows.size)


def _count(codes: Codes | None) -> int:
    return 0 if codes is None else int(np.count_nonzero(np.bincount(codes)))


def _numbers(what: str, values: Any) -> Floats:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} is not numeric (dtype {array.dtype}).", hint="Convert it to numbers first.")
    array = np.ascontiguousarray(array, dtype=float).ravel()
    bad = ~np.isfinite(array)
    if bad.any():
        at = np.flatnonzero(bad)
        raise DataError(
            f"{what} has {at.size} values that are missing or infinite (first at row {at[0]}).",
            hint="Drop or repair those rows.",
            rows=at[:5].tolist(),
        )
    return array


def _weights(weights: Any, n: int) -> Floats:
    if weights is None:
        return np.zeros(0)
    values = _numbers("weights", weights)
    if values.size != n:
        raise DataError(f"there are {n} rows, and {values.size} weights.")
    if (values < 0).any() or not (values > 0).any():
        raise DataError("weights must not be negative, and some must be positive.")
    return values


def _codes(cluster: Any) -> tuple[Codes | None, int]:
    if cluster is None:
        return None, 0
    values = np.asarray(cluster)
    if values.dtype.kind in "iu":
        from causalkit.kernels.groups import factorize_integers

        found, integers = factorize_integers(values)
        return found, integers.size
    labels, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int32), labels.size
