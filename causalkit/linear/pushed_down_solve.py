"""Coefficients from moments, refined on residuals that the engine sums, and the covariance from sums of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.data.engines import fetch_small
from causalkit.data.expressions import indicator
from causalkit.data.frame import Frame
from causalkit.data.moments import Moments
from causalkit.inference.vcov import require_two_clusters
from causalkit.kernels.arrays import Floats, Ints
from causalkit.linear.pushed_down_design import NeedsRows, PushedDesign
from causalkit.linear.rank import TOLERANCE, collinear_reason, select_from_gram

_EPSILON = float(np.finfo(np.float64).eps)
_GRAM_TOLERANCE = 1e-6
#: Beyond this condition number the inverse of the scaled cross-products keeps less than ten digits.
_MOST_CONDITION = 1e5
#: Beyond these the coefficients, or the sum of squared residuals, are taken from residuals, not from moments alone.
_REFINE_CONDITION = 1e3
_REFINE_SHARE = 1e-3
_MAX_CORRECTIONS = 4


@dataclass(frozen=True, eq=False)
class Solved:
    """A regression on columns centred at their means.

    Attributes
    ----------
    kept : array of int
        Positions of the regressors that stay.
    dropped : dict of str to str
        The others, and why.
    slopes : array, shape (r,)
    constant : float
        What the residuals add to the intercept: rounding.
    inverse : array, shape (r, r)
        Inverse of the cross-products of the kept regressors.
    rss : float
        (Weighted) sum of squared residuals.
    """

    kept: Ints
    dropped: dict[str, str]
    slopes: Floats
    constant: float
    inverse: Floats
    rss: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums of the scores ``w e (1, z)`` over rows or over clusters.

    Attributes
    ----------
    total : array, shape (1 + r,)
    meat : array, shape (1 + r, 1 + r)
        Sum of outer products.
    rss : float
    n_units : int
        Rows or clusters.
    units_of_arms : array of int
        Clusters that hold each arm; empty without clusters.
    """

    total: Floats
    meat: Floats
    rss: float
    n_units: int
    units_of_arms: Ints


@dataclass(frozen=True, eq=False)
class PushedFit:
    """Coefficients in the order treatment, intercept, covariates, with their covariance."""

    names: tuple[str, ...]
    coefficients: Floats
    matrix: Floats
    df: float
    r2: float
    dropped: dict[str, str]
    units_of_arms: Ints


def solve(design: PushedDesign, kind: str, intercept: str) -> PushedFit:
    """Regress the outcome of a pushed-down design on its regressors.

    Parameters
    ----------
    design : PushedDesign
    kind : {"iid", "HC0", "HC1", "CR0", "CR1"}
    intercept : str
        Name of the intercept.

    Raises
    ------
    NeedsRows
        When the regressors are so nearly collinear that cross-products do not tell them apart, or rows are too few.
    DesignError
        With fewer than two clusters.
    """
    solved, doubtful = _from_moments(design)
    parameters = solved.kept.size + 1
    if design.screen.n_kept <= parameters:
        raise NeedsRows(f"{design.screen.n_kept} rows are too few for sums")
    scores = None
    if kind != "iid" or doubtful:
        solved, scores = _refined(design, solved, kind)
    matrix, df = _covariance(design, solved, scores, kind)
    return _assembled(design, solved, scores, matrix, df, intercept)


def _from_moments(design: PushedDesign) -> tuple[Solved, bool]:
    """Solve from the cross-products; also say whether digits are at stake."""
    moments, names = design.moments, design.names
    cross, total = moments.sums.scatter[0], float(moments.totals[0])
    spread = np.sqrt(np.diag(cross))
    raw = np.sqrt(spread**2 + total * moments.means[0] ** 2)
    varies = np.flatnonzero(spread[1:] > 8.0 * _EPSILON * raw[1:])
    dropped = {
        j: "zero in every row" if raw[j + 1] == 0 else "constant, beside an intercept"
        for j in range(len(names))
        if j not in varies
    }
    gram = cross[np.ix_(varies + 1, varies + 1)] / np.outer(spread[varies + 1], spread[varies + 1])
    selection = select_from_gram(gram, _GRAM_TOLERANCE)
    for j, partners in selection.relations.items():
        dropped[int(varies[j])] = collinear_reason([names[varies[i]] for i in partners])
    kept = varies[selection.kept]
    gram = gram[np.ix_(selection.kept, selection.kept)]
    values = np.linalg.eigvalsh(gram) if kept.size else np.ones(1)
    if values[0] * _MOST_CONDITION < values[-1]:
        raise NeedsRows("the regressors are so nearly collinear that their products do not tell them apart")
    inverse = np.linalg.inv(gram) / np.outer(spread[kept + 1], spread[kept + 1])
    slopes = inverse @ cross[kept + 1, 0]
    rss = max(float(cross[0, 0] - slopes @ cross[kept + 1, 0]), 0.0)
    told = {names[j]: dropped[j] for j in sorted(dropped)}
    solved = Solved(kept, told, slopes, 0.0, np.asarray(inverse), rss)
    _require_collinear(design, solved, varies[list(selection.relations)], spread)
    doubtful = values[0] * _REFINE_CONDITION < values[-1] or rss <= _REFINE_SHARE * cross[0, 0]
    return solved, bool(doubtful)


def _require_collinear(design: PushedDesign, solved: Solved, gone: Ints, spread: Floats) -> None:
    """See in the rows that columns which products take for collinear are: squares hide what is below 1e-8."""
    if not len(gone):
        return
    cross = design.moments.sums.scatter[0]
    table = _centred(design)
    rests = []
    for j in gone:
        shares = solved.inverse @ cross[solved.kept + 1, j + 1]
        rest = nw.col(f"z{j + 1}") - _combination(solved.kept, shares)
        rests.append(rest.alias(f"r{j}"))
    weight = nw.col("w") if design.moments.weighted else nw.lit(1.0)
    table = table.with_columns(*rests)
    sums = [(weight * nw.col(f"r{j}") * nw.col(f"r{j}")).alias(f"r{j}") for j in gone]
    answer = Frame.read(fetch_small(table.select(*sums).select(*(nw.col(f"r{j}").sum() for j in gone))))
    for j in gone:
        if np.sqrt(answer.numeric(f"r{j}")[0]) > TOLERANCE * spread[j + 1]:
            raise NeedsRows(f"{design.names[j]!r} is so nearly collinear that products do not tell it apart")


def _combination(kept: Ints, slopes: Floats) -> nw.Expr:
    found = nw.lit(0.0)
    for j, slope in zip(kept, slopes, strict=True):
        found = found + nw.lit(float(slope)) * nw.col(f"z{j + 1}")
    return found


def _centred(design: PushedDesign) -> Any:
    """Return ``z0``, ``z1``, ...: the columns minus pivot, then minus what is left of the mean, so no digit is lost."""
    moments = design.moments
    moved = [
        (nw.col(f"d{at}") - float(pivot) - float(shift)).alias(f"z{at}")
        for at, (pivot, shift) in enumerate(zip(moments.pivot, moments.sums.shift[0], strict=True))
    ]
    extra = [name for name in ("w", "g") if name in design.table.collect_schema().names()]
    arms = [nw.col(f"d{arm}").alias(f"a{arm}") for arm in range(1, 1 + _n_treated(design))]
    return design.table.select(*moved, *arms, *extra)


def _n_treated(design: PushedDesign) -> int:
    return 0 if design.arms is None else len(design.terms)


def _refined(design: PushedDesign, solved: Solved, kind: str) -> tuple[Solved, Scores]:
    """Correct the coefficients on the residuals until they settle, and return the scores of the last pass."""
    moments = design.moments
    spread = np.sqrt(np.diag(moments.sums.scatter[0]))
    settled = 4.0 * _EPSILON * spread[0]
    for _ in range(_MAX_CORRECTIONS):
        scores = _scores(design, solved, kind)
        change = solved.inverse @ scores.total[1:]
        moved = float(np.abs(change * spread[solved.kept + 1]).max(initial=0.0))
        solved = replace(
            solved,
            slopes=solved.slopes + change,
            constant=solved.constant + scores.total[0] / float(moments.totals[0]),
            rss=scores.rss,
        )
        if moved <= max(settled, 1e-12 * np.sqrt(scores.rss)):
            break
    return solved, scores


def _scores(design: PushedDesign, solved: Solved, kind: str) -> Scores:
    """Run one aggregate query: sums of scores, of their outer products by row or by cluster, and of squares."""
    size, clustered = solved.kept.size + 1, kind.startswith("CR")
    table = _centred(design)
    residual = nw.col("z0") - float(solved.constant) - _combination(solved.kept, solved.slopes)
    table = table.with_columns(residual.alias("e"))
    weighted = nw.col("e") * nw.col("w") if design.moments.weighted else nw.col("e")
    table = table.with_columns(weighted.alias("u0"))
    products = [(nw.col("u0") * nw.col(f"z{j + 1}")).alias(f"u{at}") for at, j in enumerate(solved.kept, start=1)]
    squares = (nw.col("u0") * nw.col("e")).alias("q")
    columns = [f"u{at}" for at in range(size)]
    arms = [f"a{arm}" for arm in range(1, 1 + _n_treated(design))] if clustered else []
    if arms:
        control = nw.lit(1.0)
        for name in arms:
            control = control - nw.col(name)
        products.append(control.alias("a0"))
        arms = ["a0", *arms]
    extra = ["g"] if clustered else []
    table = table.select("u0", *products, squares, *(name for name in arms if name != "a0"), *extra)
    if clustered:
        summed = [nw.col(name).sum().alias(name) for name in (*columns, "q", *arms)]
        table = table.group_by("g").agg(*summed)
    return _read(table, columns, arms, kind != "iid")


def _read(table: Any, columns: Sequence[str], arms: Sequence[str], with_meat: bool) -> Scores:
    """Sum the units of a table of scores, and bring the sums into memory."""
    size = len(columns)
    held = [indicator(nw.col(name) > 0).alias(name) for name in arms]
    table = table.select(*columns, "q", *held)
    sums = [nw.len().alias("n"), *(nw.col(name).sum().alias(name) for name in (*columns, "q", *arms))]
    if with_meat:
        sums += [
            (nw.col(columns[i]) * nw.col(columns[j])).sum().alias(f"m{i}_{j}")
            for i in range(size)
            for j in range(i, size)
        ]
    answer = Frame.read(fetch_small(table.select(*sums)))
    meat = np.zeros((size, size))
    for i in range(size if with_meat else 0):
        for j in range(i, size):
            meat[i, j] = meat[j, i] = answer.numeric(f"m{i}_{j}")[0]
    return Scores(
        np.array([answer.numeric(name)[0] for name in columns]),
        meat,
        float(answer.numeric("q")[0]),
        int(answer.numeric("n")[0]),
        np.array([answer.numeric(name)[0] for name in arms], dtype=np.int64),
    )


def _covariance(design: PushedDesign, solved: Solved, scores: Scores | None, kind: str) -> tuple[Floats, float]:
    """Return the covariance of the centred problem (constant first) and the degrees of freedom."""
    n, size = design.screen.n_kept, solved.kept.size + 1
    bread = np.zeros((size, size))
    bread[0, 0], bread[1:, 1:] = 1.0 / float(design.moments.totals[0]), solved.inverse
    if kind == "iid" or scores is None:
        return bread * (solved.rss / (n - size)), float(n - size)
    matrix = bread @ scores.meat @ bread
    if kind in ("HC0", "HC1"):
        return matrix * (n / (n - size) if kind == "HC1" else 1.0), float(n - size)
    count = scores.n_units
    require_two_clusters(count)
    return matrix * (count / (count - 1) * (n - 1) / (n - size) if kind == "CR1" else 1.0), float(count - 1)


def _assembled(
    design: PushedDesign, solved: Solved, scores: Scores | None, matrix: Floats, df: float, intercept: str
) -> PushedFit:
    """Carry the centred problem to the columns as given, in the order treatment, intercept, covariates."""
    moments = design.moments
    means = moments.means[0]
    transform = np.eye(solved.kept.size + 1)
    transform[0, 1:] = -means[solved.kept + 1]
    constant = means[0] + solved.constant - means[solved.kept + 1] @ solved.slopes
    values = np.concatenate([[constant], solved.slopes])
    ahead = int(np.sum(solved.kept < len(design.terms)))
    order = np.array([*range(1, 1 + ahead), 0, *range(1 + ahead, len(values))])
    names = (intercept, *(design.names[j] for j in solved.kept))
    matrix = transform @ matrix @ transform.T
    return PushedFit(
        tuple(names[at] for at in order),
        values[order],
        matrix[np.ix_(order, order)],
        df,
        _r2(moments, solved.rss),
        solved.dropped,
        np.empty(0, dtype=np.int64) if scores is None else scores.units_of_arms,
    )


def _r2(moments: Moments, left: float) -> float:
    total, mean = float(moments.sums.scatter[0, 0, 0]), float(moments.means[0, 0])
    raw = total + float(moments.totals[0]) * mean**2
    return 1.0 - left / total if total > (8.0 * _EPSILON) ** 2 * raw else float("nan")
