"""Which effect speaks for a result: the only one, that of the arm of interest, or none."""

from __future__ import annotations

from collections.abc import Sequence

from causalkit.core.sample import Arms, Sample


def headline_of(sample: Sample, terms: Sequence[str]) -> str | None:
    """Return the headline among the effects of arms: the first term, or None where nobody named one of several arms."""
    column = sample.columns.get("treatment")
    several = isinstance(column, Arms) and column.count > 2
    return None if several and sample.given.get("treatment_level") is None else terms[0]


def compared(arms: Arms, headline: str | None) -> str:
    """Say what is compared: ``coupon minus none``, or ``each of 2 arms minus none`` where there is no headline."""
    if headline is not None:
        return headline
    control = arms.control if isinstance(arms.control, str) else f"{arms.name}={arms.control}"
    return f"each of {arms.count - 1} arms minus {control}"
