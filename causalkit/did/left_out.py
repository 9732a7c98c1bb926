"""Units that were left out of a panel, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.input_checks import missing_check
from causalkit.core.panel import Panel
from causalkit.core.sample import Dropped, Sample
from causalkit.core.table import Table
from causalkit.did.row_panel import RowPanel
from causalkit.kernels.arrays import Bools

#: Why a unit is left out that nothing is compared with.
NO_COMPARISON = "in no comparison"


@dataclass(frozen=True)
class LeftOut:
    """Units that were left out, and why."""

    reason: str
    units: tuple[object, ...]
    rows: int
    first_row: int

    @classmethod
    def of(cls, panel: Panel, out: Bools, reason: str) -> LeftOut:
        """Name some units of a panel.

        Parameters
        ----------
        panel : Panel
        out : Bools, shape (n_units,)
            The units.
        reason : str
            What they are, such as "not observed in every period".
        """
        rows = out[panel.unit.codes]
        first = int(panel.sample.rows.positions[np.flatnonzero(rows)].min())
        if isinstance(panel, RowPanel):
            units: tuple[object, ...] = tuple(panel.sample.rows.positions[out].tolist())
        else:
            units = tuple(panel.unit.labels[code] for code in np.flatnonzero(out))
        return cls(reason, units, int(rows.sum()), first)

    def counted(self, dropped: Dropped, unit: str) -> Dropped:
        """Return the account of left-out rows with these."""
        return dropped.plus(f"unit {self.reason}", unit, self.rows, self.first_row)


def units_check(sample: Sample, left_out: Sequence[LeftOut]) -> Check:
    """Say which rows and which units were left out, and why; the table names every unit."""
    missing = missing_check(sample)
    if not left_out:
        return missing
    names = "; ".join(f"{fmt.plural(len(gone.units), 'unit')} {gone.reason}" for gone in left_out)
    units = [(unit, gone.reason) for gone in left_out for unit in gone.units]
    return replace(missing, message=f"{missing.message} Units: {names}.", table=Table.of(("unit", "reason"), units))
