"""What a policy tree may cut on: numbers, categories and gaps, each turned into columns whose order a cut follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil, floor, isfinite, log10
from typing import Any

import numpy as np

from causalkit.core.features import Features
from causalkit.kernels.arrays import Bools, Floats

#: Up to this many categories (a gap is one) every division into two is tried; beyond, those along an order.
ALL_DIVISIONS = 5
GAP = -1


@dataclass(frozen=True)
class Rule:
    """One cut in the user's terms.

    Parameters
    ----------
    position : int
        Position of the covariate.
    name : str
        Its name.
    threshold : float
        Numbers up to it go left; infinite where only gaps are parted from the rest.
    levels : tuple of int
        Codes of the categories that go left (:data:`GAP` for a gap).
    labels : tuple
        All categories of the covariate; empty for a number.
    gaps_left : bool
        Whether people with a gap go left.
    has_gaps : bool
        Whether the rows of the fit had gaps.
    """

    position: int
    name: str
    threshold: float = -np.inf
    levels: tuple[int, ...] = ()
    labels: tuple[object, ...] = ()
    gaps_left: bool = False
    has_gaps: bool = False

    def goes_left(self, values: Floats) -> Bools:
        """Say who goes left, from a matrix of covariates (codes for categories, NaN for gaps)."""
        column = values[:, self.position]
        gap = np.isnan(column)
        if self.labels:
            inside = np.isin(column, [code for code in self.levels if code != GAP])
        else:
            with np.errstate(invalid="ignore"):
                inside = column <= self.threshold
        return np.asarray(np.where(gap, self.gaps_left, inside), dtype=bool)

    def words(self, left: bool) -> str:
        """Say in words who goes to a side."""
        tail = " or missing" if self.has_gaps and self.gaps_left == left else ""
        if self.labels:
            mine = [code for code in range(len(self.labels)) if (code in self.levels) == left]
            if not mine:
                return f"{self.name} is missing"
            return f"{self.name} is {_either([str(self.labels[code]) for code in mine])}{tail}"
        if not isfinite(self.threshold):
            return f"{self.name} is missing" if left == self.gaps_left else f"{self.name} is known"
        limit = f"{self.threshold:,}".removesuffix(".0").replace(
            "-", "−"
        )  # all digits: the cut lies between two values
        return f"{self.name} {'≤' if left else '>'} {limit}{tail}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary of what goes left."""
        told: dict[str, Any] = {"covariate": self.name, "left": self.words(True), "right": self.words(False)}
        if self.labels:
            told["levels_left"] = [self.labels[code] for code in self.levels if code != GAP]
        else:
            told["threshold"] = self.threshold
        return {**told, "missing_left": self.gaps_left}


@dataclass(frozen=True, eq=False)
class Column:
    """A column of sortable values, and how a cut in it is read back."""

    values: Floats
    rule: Rule
    #: Categories (codes) in the order of their values, where the column is an order of categories.
    order: tuple[int, ...] = ()

    def cut(self, code: int) -> Rule:
        """Return the rule that sends dense ranks up to ``code`` left."""
        if self.order:
            levels = tuple(sorted(self.order[: code + 1]))
            return replace(self.rule, levels=levels, gaps_left=GAP in levels if self.rule.has_gaps else False)
        if self.rule.labels:
            return self.rule
        known = np.unique(self.values)
        low, high = float(known[code]), float(known[code + 1])
        if np.isinf(low) or np.isinf(high):
            return replace(self.rule, threshold=low if np.isinf(low) else high)
        return replace(self.rule, threshold=simplest_between(low, high))


def candidate_columns(features: Features, scores: Floats) -> list[Column]:
    """Return the columns that a tree may cut on.

    A number is one column, or two where it has gaps: gaps may go to either side of a cut, or be parted from the rest. A
    covariate with up to five categories (a gap is one) has a column for each division into two; one with more has, for
    each action, its categories in the order of that action's mean advantage over the first, of which the best division is
    a prefix where there are two actions and one cut (Breiman et al. 1984, section 4.2.2; Fisher 1958).

    Parameters
    ----------
    features : Features
        Covariates of the rows that teach the tree.
    scores : Floats, shape (n, n_actions)
        Their scores.
    """
    found: list[Column] = []
    for j, (name, labels) in enumerate(zip(features.names, features.schema.levels, strict=True)):
        column = features.values[:, j]
        gap = np.isnan(column)
        if labels is None:
            found += _number_columns(column, gap, Rule(j, name, has_gaps=bool(gap.any())))
        else:
            codes = np.where(gap, GAP, column).astype(np.int64)
            found += _category_columns(codes, scores, Rule(j, name, labels=tuple(labels), has_gaps=bool(gap.any())))
    return found


def dense_codes(columns: list[Column], most: int | None = None) -> Any:
    """Ranks of the columns, int32 of shape (p, n): dense, or those at quantiles.

    Parameters
    ----------
    columns : list of Column
    most : int, optional
        Most distinct ranks of a column of numbers: beyond it, cuts are tried at quantiles only.
    """
    out = np.empty((len(columns), len(columns[0].values) if columns else 0), dtype=np.int32)
    for j, column in enumerate(columns):
        out[j] = np.unique(column.values, return_inverse=True)[1]
    return out if most is None else np.stack([_coarse(codes, most) for codes in out]) if len(out) else out


def _coarse(codes: Any, most: int) -> Any:
    """Keep a code at each quantile: rows between two take the upper one, so that cuts keep their meaning."""
    top = int(codes.max(initial=0))
    if top < most:
        return codes
    edges = np.unique(np.sort(codes)[np.linspace(0, codes.size - 1, most + 1).astype(np.int64)[1:]])
    return edges[np.searchsorted(edges, codes)].astype(np.int32)


def _number_columns(column: Floats, gap: Bools, rule: Rule) -> list[Column]:
    if not gap.any():
        # People with a gap who come later go with the larger side; see the tree.
        return [Column(column, rule)]
    first, last = (np.where(gap, end, column) for end in (-np.inf, np.inf))
    return [Column(first, replace(rule, gaps_left=True)), Column(last, replace(rule, gaps_left=False))]


def _category_columns(codes: Any, scores: Floats, rule: Rule) -> list[Column]:
    present = [int(code) for code in np.unique(codes)]
    if len(present) < 2:
        return []
    if len(present) <= ALL_DIVISIONS:
        head, rest = present[-1], present[:-1]  # the last one always stays on the right
        sets = [chosen for size in range(1, len(rest) + 1) for chosen in combinations(rest, size)]
        return [
            Column((~np.isin(codes, chosen)).astype(float), replace(rule, levels=chosen, gaps_left=GAP in chosen))
            for chosen in sets
            if head not in chosen
        ]
    columns = []
    for action in range(1, scores.shape[1]):
        gain = scores[:, action] - scores[:, 0]
        mean = [float(gain[codes == code].mean()) for code in present]
        order = [present[i] for i in np.argsort(mean, kind="stable")]
        rank = {code: float(place) for place, code in enumerate(order)}
        columns.append(Column(np.array([rank[int(c)] for c in codes]), rule, tuple(order)))
    return columns


#: Numbers closer than this have no decimals worth writing.
_TINY = 1e-290


def simplest_between(low: float, high: float) -> float:
    """The number with the fewest decimals that is at least ``low`` and below ``high``."""
    if not (isfinite(low) and isfinite(high) and low < high) or high - low < _TINY:
        return low
    for digits in range(max(-12, -ceil(log10(high - low)) - 1), 16 - floor(log10(max(abs(low), abs(high), 1e-300)))):
        scale = 10.0**digits
        value = ceil(low * scale) / scale if digits >= 0 else ceil(low * scale) * 10.0**-digits
        if low <= value < high:
            return value
    return low


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
