"""The frontier as a slider: what each budget spends, earns and whom it reaches, written out stop by stop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.slider import Slider
from causalkit.kernels.arrays import Floats
from causalkit.uplift.frontier import Frontier
from causalkit.uplift.labels import SEGMENTS
from causalkit.uplift.segment_report import NAMES


def money(amount: float) -> str:
    """Write an amount: whole from a thousand on, else with two decimals (more where it is tiny)."""
    if abs(round(amount, 2)) >= 1000:
        return f"{amount:,.0f}"
    if amount == 0 or abs(amount) >= 0.01:
        return f"{amount:,.2f}"
    return fmt.number(amount, 2)


def budget_slider(
    numbers: Frontier,
    band: tuple[Floats, Floats],
    n_people: int,
    arms: Sequence[str],
    spend: float,
    level: str,
    segments: Floats | None = None,
) -> Slider | None:
    """Build the slider, or None where there is no budget to move.

    Parameters
    ----------
    numbers : Frontier
        Totals at each budget.
    band : (low, high)
        Band that holds at all budgets at once.
    n_people : int
        People of the table.
    arms : sequence of str
        The arms in words; with one, only the people treated are counted.
    spend : float
        Where the slider starts.
    level : str
        Coverage of the band in words.
    segments : Floats, shape (k, 5), optional
        People treated of each segment.
    """
    k = len(numbers.budget)
    if k < 2:
        return None
    low, high = band
    treated = [f"{n:,.0f} ({fmt.share(n / n_people, 0)})" for n in numbers.n_treated]
    readings = [
        ("Profit", tuple(money(v) for v in numbers.profit)),
        (f"{level} band", tuple(f"{money(a)} to {money(b)}" for a, b in zip(low, high, strict=True))),
        ("People treated", tuple(treated)),
    ]
    if len(arms) > 1:
        readings += [
            (f"Given {arm}", tuple(f"{n:,.0f}" for n in counts))
            for arm, counts in zip(arms, numbers.counts.T, strict=True)
        ]
    if segments is not None:
        readings.append(("Segments treated", tuple(_segments_in_words(row) for row in segments)))
    last = (numbers.budget >= numbers.budget[-1]) | (numbers.price <= 0)
    cut = tuple("none" if end else money(p) for end, p in zip(last, numbers.price, strict=True))
    readings.append(("Cut-off: profit per cost", cut))
    return Slider(
        label="Budget",
        stops=tuple(money(b) for b in numbers.budget),
        readings=tuple(readings),
        start=int(np.argmin(np.abs(numbers.budget - spend))),
        x=tuple(float(v) for v in numbers.budget),
        y=tuple(float(v) for v in numbers.profit),
        low=tuple(float(v) for v in low),
        high=tuple(float(v) for v in high),
        ylabel="Profit",
    )


def _segments_in_words(counts: Floats) -> str:
    told = [f"{n:,.0f} {NAMES[segment]}" for segment, n in zip(SEGMENTS, counts, strict=True) if round(n) > 0]
    return ", ".join(told) or "nobody"


__all__ = ["budget_slider", "money"]
