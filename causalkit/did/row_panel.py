"""Rows that are not followed: every one is a unit of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from causalkit.core.panel import Panel
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.kernels.arrays import Bools, Codes, read_only

#: The name of the column that stands for units where rows are not followed.
ROW = "row"


@dataclass(frozen=True, eq=False)
class RowPanel(Panel):
    """The structure of repeated cross-sections."""

    @classmethod
    def of(cls, sample: Sample) -> RowPanel:
        """Number the rows as units, and read the periods.

        Raises
        ------
        DesignError
            If ``time`` was not given, or there is one period only.
        """
        codes = read_only(np.arange(sample.n, dtype=np.int32))
        labels = cast(tuple[object, ...], range(sample.n))  # as a tuple they would take more memory than the table
        return cast(RowPanel, super().of(sample.with_column("unit", Groups(codes, labels, ROW))))

    def first_of_unit(self, groups: Groups) -> tuple[Codes, Bools | None]:
        """Return the codes: nothing varies within a row."""
        return groups.codes, None

    def _refuse_duplicates(self) -> None:
        """A row is there once."""


def without_units(sample: Sample) -> Sample:
    """Return the rows without the numbers that :class:`RowPanel` gave them."""
    return replace(sample, columns={role: column for role, column in sample.columns.items() if role != "unit"})
