"""What each effect of an event study belongs to: a cohort, a period, the units behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from causalkit.kernels.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Cells:
    """What each effect of an event study belongs to.

    Parameters
    ----------
    cohort, time : tuple of labels
        The cohort and the period of each effect.
    event_time : Floats, shape (k,)
        Time since the cohort's start (negative before it), in the units of time where it is a number.
    post : Bools, shape (k,)
        Whether the effect is one of treatment: the period is not before the start.
    share_of : Ints, shape (k,)
        Position of the cell's weight among the shares.
    n_treated, n_control : Ints, shape (k,)
        Units behind each cell.
    """

    cohort: tuple[Any, ...]
    time: tuple[Any, ...]
    event_time: Floats
    post: Bools
    share_of: Ints
    n_treated: Ints
    n_control: Ints

    def __len__(self) -> int:
        return len(self.cohort)

    @property
    def terms(self) -> tuple[str, ...]:
        """A name for each cell."""
        return tuple(f"{cohort} in {time}" for cohort, time in zip(self.cohort, self.time, strict=True))

    def columns(self) -> dict[str, list[Any]]:
        """Columns that stand before the numbers in the table of effects."""
        return {
            "cohort": list(self.cohort),
            "time": list(self.time),
            "event_time": [whole(e) for e in self.event_time],
            "n_treated": self.n_treated.tolist(),
            "n_control": self.n_control.tolist(),
        }


def event_time_of(value: float) -> str:
    """Name the effect at one event time."""
    return f"event time {whole(value)}"


def whole(value: float) -> int | float:
    """Return a whole number as one."""
    return int(value) if float(value).is_integer() else float(value)
