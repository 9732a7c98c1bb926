"""Two arms and their covariates, bound from a table once, for balance, matching and weighting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core.design import Design
from causalkit.core.roles import Role
from causalkit.core.sample import Sample
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats

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
        labels = self.sample.arms.levels
        return str(labels[0]), str(labels[1])

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
