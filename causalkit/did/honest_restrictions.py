"""What is assumed about the violation of parallel trends: unions of polyhedra ``A delta <= d`` (Rambachan and Roth 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

Kind = Literal["relative_magnitudes", "smoothness", "relative_smoothness"]
KINDS = ("relative_magnitudes", "smoothness", "relative_smoothness")


@dataclass(frozen=True)
class Restriction:
    """A class of violations, up to its magnitude M.

    Parameters
    ----------
    kind : {"relative_magnitudes", "smoothness", "relative_smoothness"}
        Changes after the reference period are at most M times the largest before it; second differences (changes of the
        slope) are at most M; second differences after it are at most M times the largest before it.
    bias : {"positive", "negative"} or None
        The sign of the violation after the reference period.
    trend : {"increasing", "decreasing"} or None
        The direction of the violation over all periods.
    """

    kind: Kind
    bias: Literal["positive", "negative"] | None = None
    trend: Literal["increasing", "decreasing"] | None = None

    def require(self, n_pre: int) -> None:
        """Raise DesignError where there are too few early periods."""
        if self.kind == "relative_smoothness" and n_pre < 2:
            raise DesignError(
                "relative_smoothness needs two coefficients before the reference period.",
                hint='Use "relative_magnitudes" or "smoothness".',
            )

    @property
    def plain(self) -> bool:
        """Whether it is a bound on second differences and nothing else."""
        return self.kind == "smoothness" and self.bias is None and self.trend is None

    def pieces(self, n_pre: int) -> tuple[tuple[int, int], ...]:
        """Return the polyhedra it is a union of: the early change that is the largest, and its sign."""
        if self.kind == "smoothness":
            return ((0, 1),)
        changes = n_pre if self.kind == "relative_magnitudes" else n_pre - 1
        return tuple((at, sign) for at in range(changes) for sign in (1, -1))

    def inequalities(self, n_pre: int, n_post: int, magnitude: float, piece: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return ``A`` and ``d`` of one piece, in coefficients without the reference period."""
        steps = _steps(n_pre, n_post, 1 if self.kind == "relative_magnitudes" else 2)
        early = len(steps) - n_post
        if self.kind == "smoothness":
            rows, limit = np.vstack([steps, -steps]), np.full(2 * len(steps), magnitude)
        else:
            at, sign = piece
            bound = np.outer(np.append(np.ones(early), np.full(n_post, magnitude)), sign * steps[at])
            rows = np.vstack([steps - bound, -steps - bound])
            rows = rows[np.abs(rows).max(axis=1) > 1e-12]
            limit = np.zeros(len(rows))
        extra = np.vstack([rows[:0], *self._signs(n_pre, n_post)])
        return np.vstack([rows, extra]), np.append(limit, np.zeros(len(extra)))

    def _signs(self, n_pre: int, n_post: int) -> Iterator[Floats]:
        if self.bias is not None:
            after = np.hstack([np.zeros((n_post, n_pre)), np.eye(n_post)])
            yield -after if self.bias == "positive" else after
        if self.trend is not None:
            changes = _steps(n_pre, n_post, 1)
            yield -changes if self.trend == "increasing" else changes

    @property
    def words(self) -> str:
        """The class in words, with a place for M."""
        said = {
            "relative_magnitudes": "changes of the violation are at most {m} times the largest one before the start",
            "smoothness": "the slope of the violation changes by at most {m} from period to period",
            "relative_smoothness": "the slope of the violation changes by at most {m} times its largest change before the "
            "start",
        }[self.kind]
        more = [] if self.bias is None else [f"the bias is {self.bias}"]
        more += [] if self.trend is None else [f"the violation is {self.trend}"]
        return ", ".join([said, *more])


def _steps(n_pre: int, n_post: int, order: int) -> Floats:
    """First or second differences over all periods, without the column of the reference period."""
    differences = np.diff(np.eye(n_pre + n_post + 1), order, axis=0)
    return np.asarray(np.delete(differences, n_pre, axis=1))
