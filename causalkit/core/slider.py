"""Numbers along a scale that a reader may move over: a slider in an HTML report, a table everywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from causalkit.core.table import Table
from causalkit.errors import DesignError


@dataclass(frozen=True)
class Slider:
    """Stops of a scale and what holds at each, written out, so that a page only has to look them up.

    Parameters
    ----------
    label : str
        What the scale is.
    stops : tuple of str
        The value of each stop, in words.
    readings : tuple of (label, texts)
        What is shown as the slider moves; one text per stop.
    start : int
        The stop that is shown first.
    x, y, low, high : tuple of float
        A curve over the stops with its band.
    ylabel : str
        What ``y`` is.
    """

    label: str
    stops: tuple[str, ...]
    readings: tuple[tuple[str, tuple[str, ...]], ...]
    start: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    ylabel: str

    def __post_init__(self) -> None:
        n = len(self.stops)
        if n < 2 or not 0 <= self.start < n:
            raise DesignError(f"a slider with {n} stops can't start at {self.start}.", hint="Give two stops or more.")
        lengths = {len(texts) for _, texts in self.readings} | {len(v) for v in (self.x, self.y, self.low, self.high)}
        if lengths != {n}:
            raise DesignError(f"a slider with {n} stops has readings of length {sorted(lengths)}.")

    def to_table(self, rows: int = 11) -> Table:
        """Return what holds at evenly spaced stops, the first and the last among them, and at the start."""
        n = len(self.stops)
        shown = sorted({round(i * (n - 1) / (rows - 1)) for i in range(rows)} | {self.start})
        head = (self.label, *(label for label, _ in self.readings))
        return Table.of(head, [(self.stops[i], *(texts[i] for _, texts in self.readings)) for i in shown])
