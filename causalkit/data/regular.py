"""Columns of whole numbers that repeat in a regular way, as the unit and the time of a sorted panel do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Codes, read_only

#: Rows that must show a rule before all rows are held against it.
_SOME = 1024


@dataclass(frozen=True, eq=False)
class Regular:
    """A column that says each of a few values ``each`` times over, and all of that ``times`` over.

    Attributes
    ----------
    codes : Codes, shape (m,)
        Positions of the values among the sorted distinct ones.
    each, times : int
    size : int
        Distinct values.
    made : callable
        Returns the distinct values, sorted.
    """

    codes: Codes
    each: int
    times: int
    size: int
    made: Callable[[], tuple[object, ...]]

    @cached_property
    def labels(self) -> tuple[object, ...]:
        """The distinct values, sorted, as plain Python values."""
        return self.made()

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.codes) * self.each * self.times

    @property
    def ascends(self) -> bool:
        """Whether every value is said in one place only, in ascending order."""
        return len(self.codes) == self.size and bool((self.codes[1:] > self.codes[:-1]).all())

    def written(self) -> Codes:
        """Return the code of each row."""
        codes = self.codes if self.each == 1 else np.repeat(self.codes, self.each)
        return read_only(codes if self.times == 1 else np.tile(codes, self.times))

    def once(self) -> Regular:
        """Return the values that are repeated, each once."""
        return replace(self, each=1, times=1)


def regular(values: Any, count: Callable[[Any], tuple[Codes, tuple[object, ...]] | None]) -> Regular | None:
    """Return how whole numbers repeat; None where they follow no such rule, or it does not show in the first rows.

    Parameters
    ----------
    values : array of integers
    count : callable
        Returns codes and labels of integers, or None where it can't.
    """
    rule = _rule(values)
    if rule is None:
        return None
    said, each, times = rule
    if (said[1:] > said[:-1]).all():
        kept = said.copy()  # the table may change before the labels are asked for
        return Regular(np.arange(len(said), dtype=np.int32), each, times, len(said), lambda: tuple(kept.tolist()))
    counted = count(said)
    if counted is None:
        return None
    codes, labels = counted
    return Regular(read_only(codes), each, times, len(labels), lambda: labels)


def _rule(values: Any) -> tuple[Any, int, int] | None:
    """Return what is repeated, how often in a row, and how often all of that."""
    first = values[:_SOME]
    changes = np.flatnonzero(first[1:] != first[:-1]) + 1
    if not len(changes):
        return None
    each = int(np.gcd.reduce(changes))
    if each > 1:
        differs = values[1:] != values[:-1]
        if len(values) % each or np.count_nonzero(differs) != np.count_nonzero(differs[each - 1 :: each]):
            return None
        return values[::each], each, 1
    again = np.flatnonzero(first[1:] == first[0])
    period = int(again[0]) + 1 if len(again) else len(values)
    if period == len(values) or len(values) % period or (values[period:] != values[:-period]).any():
        return None
    return values[:period], 1, len(values) // period
