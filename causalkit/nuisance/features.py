"""What the nuisance layer asks of covariates, and the one-hot coding for learners that don't know categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from causalkit.kernels.arrays import Floats, Ints


class FeatureMatrix(Protocol):
    """Covariates as one matrix of numbers.

    ``values`` has shape (n, p), with NaN where missing; ``names`` holds p column names; ``categorical`` holds the
    positions of the columns whose numbers are category codes (0, 1, ...).
    """

    @property
    def values(self) -> Floats: ...  # noqa: D102

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def categorical(self) -> tuple[int, ...]: ...  # noqa: D102


def take_rows(x: Floats, rows: Ints) -> Floats:
    """Return some rows of a matrix with each column contiguous, as learners of columns read them."""
    out: Floats = np.take(x.T, rows, axis=1).T
    return out


@dataclass(frozen=True)
class OneHot:
    """Indicators for category codes: the numeric columns first, in their order, then one indicator per level.

    A level that was not seen when the coding was learned, and a missing category, have no indicator set.

    Parameters
    ----------
    numeric : tuple of int
        Positions of the columns that pass as they are.
    levels : tuple of (int, tuple of float)
        Position and codes of each categorical column.
    """

    numeric: tuple[int, ...]
    levels: tuple[tuple[int, tuple[float, ...]], ...]

    @classmethod
    def learn(cls, x: Floats, categorical: tuple[int, ...]) -> OneHot:
        """Read the levels that occur in the rows of ``x``, shape (n, p)."""
        numeric = tuple(j for j in range(x.shape[1]) if j not in categorical)
        levels = tuple((j, tuple(np.unique(x[~np.isnan(x[:, j]), j]).tolist())) for j in categorical)
        return cls(numeric, levels)

    def apply(self, x: Floats) -> Floats:
        """Return the coded matrix, shape (n, number of numeric columns + number of levels)."""
        if not self.levels:
            return x
        indicators = [(x[:, [j]] == np.asarray(codes)).astype(float) for j, codes in self.levels]
        return np.column_stack([x[:, list(self.numeric)], *indicators])
