"""Two arms and their covariates, bound from a table once, for balance, matching and weighting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np

from causalkit.core.design import Design
from causalkit.core.roles import Role
from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.effects.crossfit_study import arm_names
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

ROLES: Mapping[str, Role] = {
    "treatment": Role("treatment"),
    "covariates": Role("features", many=True),
    "weights": Role("weights", required=False),
}


@dataclass(frozen=True, eq=False)
class Compared:
    """The rows of two arms.

    Parameters
    ----------
    sample : Sample
        Arms and covariates of the rows used.
    """

    sample: Sample

    @cached_property
    def treated(self) -> Bools:
        """Rows of the arm of interest, shape (n,)."""
        treated: Bools = self.sample.arms.codes == 1
        return treated

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Columns of ``x``."""
        return self.sample.features().dummies()[1]

    @cached_property
    def x(self) -> Floats:
        """Covariates as numbers and indicators, shape (n, p)."""
        return self.sample.features().dummies()[0]

    @property
    def arms(self) -> tuple[str, str]:
        """Names of control and treatment."""
        one, two = arm_names(self.sample.arms)[:2]
        return one, two

    def spread(self, values: Floats) -> Floats:
        """Return values of the rows used over all rows of the user's table, zero elsewhere.

        Parameters
        ----------
        values : Floats, shape (n,)
            One value per row used.
        """
        out = np.zeros(self.sample.n_input)
        out[self.sample.rows.positions] = values
        return out


def compare(
    data: Any,
    treatment: str,
    covariates: Sequence[str] | str,
    control: Any = None,
    treatment_level: Any = None,
    weights: Any = None,
) -> Compared:
    """Bind a table; rows of other arms than the two, and rows with gaps, are left out and counted.

    The rows come in an order that does not depend on that of the table, so that ties are broken alike.

    Raises
    ------
    DesignError
        If there are no covariates, or several arms and none is named.
    DataError
        As any fit raises.
    """
    given = {
        "treatment": treatment,
        "covariates": covariates,
        "control": control,
        "treatment_level": treatment_level,
        "weights": weights,
        "missing": "drop",
    }
    sample = Design(ROLES).bind(data, given)
    sample = sample.take(_shuffled(data, sample))
    sample = sample.take(sample.canonical_order)
    arms = sample.arms
    if arms.count > 2 and treatment_level is None:
        raise DesignError(
            f"treatment {arms.name!r} has {arms.count} arms.",
            hint=f"Name the one to compare with the control: treatment_level= one of {', '.join(map(repr, arms.levels[1:]))}.",
            column=arms.name,
        )
    if arms.count > 2:
        sample = sample.take(np.flatnonzero(arms.codes < 2))
    found = Compared(sample)
    if not found.names:
        raise DataError("no covariate has more than one value.", hint="Name covariates= that vary.")
    return found


def _shuffled(data: Any, sample: Sample) -> Ints:
    """Return an order of the rows that looks random but depends on what they hold only: it breaks ties.

    Rows with equal covariates differ in other columns. Ranks are hashed instead of sorted by, so that nobody is
    preferred for a large outcome, and another unit of measurement changes nothing.
    """
    frame = Frame.read(data)
    rows = sample.rows.positions
    key: np.ndarray[Any, np.dtype[np.uint64]] = np.zeros(len(rows), dtype=np.uint64)
    if frame.is_lazy:
        return np.arange(len(rows))
    for name in frame.columns:
        if frame.is_numeric(name) or frame.is_boolean(name):
            values = frame.numeric(name)[rows]
        elif frame.is_text(name):
            values = frame.labels(name)[0][rows].astype(float)
        else:
            continue
        rank = np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.uint64)
        key += _mixed(rank + np.uint64(crc32(name.encode()) << 32))
    return np.argsort(key, kind="stable")


def _mixed(x: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Scramble the bits of each number (the finalizer of splitmix64, Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
