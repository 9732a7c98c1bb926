"""Split rows at the cutoff: each side by distance, and the facts about the running variable that selectors use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.rdd.moments import KERNELS, Side, quantile


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
        return len(self.left.columns)

    def with_outcome(self, outcome: Floats) -> Split:
        """Return the same rows with another outcome and without treatment and covariates."""
        sides = [side.with_columns((outcome[side.rows] - outcome.mean())[None, :]) for side in self.sides]
        return replace(self, left=sides[0], right=sides[1], n_treatments=0, sharp=False)

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
            sharp=bool(self.n_treatments) and any(not part.columns[1].any() for part in (left, right)),
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
    pivots = np.array([row.mean() for row in rows])
    rows = [row - pivot for row, pivot in zip(rows, pivots, strict=True)]
    order = np.argsort(running)
    if donut > 0:
        order = order[np.abs(running[order] - cutoff) >= donut]
    codes, n_clusters = _codes(cluster)
    found = _split_sorted(
        running[order], [row[order] for row in rows], cutoff, treatment is not None,
        None if codes is None else codes[order], n_clusters, _weights(weights, order), kernel, bias_order + 2, order,
        pivots,
    )  # fmt: skip
    for side, count, where in zip(found.sides, found.distinct, ("below", "above"), strict=True):
        if min(count, side.n_distinct) <= bias_order:
            raise DesignError(
                f"{names[0]} has {count} distinct values {where} the cutoff {cutoff:g}; the polynomials need "
                f"{bias_order + 1}.",
                hint="Check the cutoff, or compare the rows next to it with a local randomization design.",
            )
    return found


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


def _split_sorted(
    x: Floats, rows: Sequence[Floats], cutoff: float, fuzzy: bool, codes: Codes | None, n_clusters: int,
    weights: Floats, kernel: str, top_order: int, places: Ints, pivots: Floats,
) -> Split:  # fmt: skip
    """Split rows that are sorted by the running variable."""
    n, at = x.size, int(np.searchsorted(x, cutoff, side="left"))
    spans = (slice(None, at), slice(at, None))
    distance = np.abs(x - cutoff)
    sharp = fuzzy and any(float(np.ptp(rows[1][span])) == 0.0 for span in spans)
    if sharp and float(np.ptp(rows[1])) == 0.0:
        raise DesignError(
            "the treatment has the same value in every row, so nothing jumps at the cutoff.",
            hint="Check treatment= and the cutoff.",
        )
    keep = None if not weights.size or weights.all() else weights > 0
    sides = [
        _side(sign, span, distance, rows, codes, n_clusters, weights, keep, kernel, top_order, places, pivots)
        for sign, span in zip((-1, 1), spans, strict=True)
    ]
    return Split(
        left=sides[0],
        right=sides[1],
        n=n,
        n_by_side=(at, n - at),
        distinct=(_distinct(x[:at], sides[0], keep), _distinct(x[at:], sides[1], keep)),
        sd=_sd(x - cutoff),
        iqr=quantile(x, 0.75) - quantile(x, 0.25),
        reach=(float(distance[0]), float(distance[-1])),
        clusters=None if codes is None else (_count(codes[:at]), _count(codes[at:])),
        n_treatments=int(fuzzy),
        sharp=sharp,
    )


def _side(
    sign: int, span: slice, distance: Floats, rows: Sequence[Floats], codes: Codes | None, n_clusters: int,
    weights: Floats, keep: Bools | None, kernel: str, top_order: int, places: Ints, pivots: Floats,
) -> Side:  # fmt: skip
    """Return one side, nearest first, without rows of weight zero."""

    def part(values: Any) -> Any:
        chosen = values[span] if keep is None else values[span][keep[span]]
        return np.ascontiguousarray(chosen[::sign])

    columns = np.stack([part(row) for row in rows])
    levels = columns.mean(axis=1)
    columns -= levels[:, None]
    return Side(
        sign=sign,
        distance=read_only(part(distance)),
        columns=read_only(columns),
        levels=read_only(levels),
        pivots=read_only(pivots),
        weights=read_only(part(weights)) if weights.size else weights,
        codes=None if codes is None else part(codes),
        n_clusters=n_clusters,
        kernel=kernel,
        top_order=top_order,
        rows=part(places),
    )


def _sd(values: Floats) -> float:
    """Return the standard deviation, in fewer passes than ``np.std``."""
    values = values - values.mean()
    return float(np.sqrt(values @ values / (values.size - 1)))


def _count(codes: Codes | None) -> int:
    return 0 if codes is None else int(np.count_nonzero(np.bincount(codes)))


def _distinct(x: Floats, side: Side, keep: Bools | None) -> int:
    """Count distinct values among all rows of a side."""
    return side.n_distinct if keep is None else 1 + int(np.count_nonzero(np.diff(x)))


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


def _weights(weights: Any, order: Ints) -> Floats:
    if weights is None:
        return np.zeros(0)
    values = _numbers("weights", weights)
    if (values < 0).any() or not (values > 0).any():
        raise DataError("weights must not be negative, and some must be positive.")
    return values[order]


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
