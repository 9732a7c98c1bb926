"""Which model of double machine learning instruments lead to, and what they must look like for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.features import Features
from causalkit.core.sample import Arms, Number, Sample
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, read_only

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML

METHODS = ("pliv", "iivm")


@dataclass(frozen=True, eq=False)
class BinaryInstrument:
    """An instrument with two levels.

    Parameters
    ----------
    levels : Arms
        Code 1 is the level at which more rows take the treatment.
    turned : bool
        Whether that is the lower one of the two values.
    """

    levels: Arms
    turned: bool


def method_of(run: DoubleML, sample: Sample) -> str:
    """Return the method that suits instruments and treatment.

    Raises
    ------
    DesignError
        If instruments are missing or do not go with the method, or the treatment does not.
    """
    if not sample.has("instruments"):
        raise DesignError(
            f'method="{run.method}" needs instruments=.',
            hint="Name columns that move the treatment and affect the outcome in no other way; without any, use "
            'method="plr" for a dose and "irm" for arms.',
        )
    if run.method not in ("auto", *METHODS):
        hint = 'Use method="pliv" (several instruments, a dose) or "iivm" (a binary instrument of arms), or leave them out.'
        if run.method == "plr_iv":
            hint = f'"plr_iv" is a score of the partially linear model, which has no instrument. {hint}'
        raise DesignError(f'instruments= does not go with method="{run.method}".', hint=hint)
    column = sample.columns["treatment"]
    arms = column if isinstance(column, Arms) else None
    method = str(run.method)
    if method == "auto":
        method = "iivm" if arms is not None and arms.count == 2 and is_binary(sample) else "pliv"
    if arms is not None and arms.count > 2:
        raise DesignError(
            f"treatment {arms.name!r} has {arms.count} arms, and instruments identify the effect of two here.",
            hint="Keep the rows of two arms, or use IV(), which takes one instrument for each arm but the control.",
            column=arms.name,
        )
    if method == "iivm":
        _require_binary(sample, arms)
    elif sample.has("propensity"):
        raise DesignError(
            'propensity= is the probability of the upper level of a binary instrument here, which method="pliv" does not use.',
            hint='Use method="iivm", or leave it out.',
        )
    return method


def is_binary(sample: Sample) -> bool:
    """Whether there is one instrument, with two values."""
    columns = sample.features("instruments")
    return len(columns.names) == 1 and len(np.unique(columns.values)) == 2


def instrument_columns(sample: Sample) -> tuple[Floats, tuple[str, ...]]:
    """Return the instruments as numbers, shape (n, q), one indicator per category but the first, and their names.

    Raises
    ------
    DesignError
        If an instrument does not vary.
    """
    values, names = sample.features("instruments").dummies()
    for j, name in enumerate(names):
        if np.ptp(values[:, j]) == 0:
            raise DesignError(f"instrument {name!r} does not vary.", hint="Leave it out.", column=name)
    return values, names


def binary_instrument(sample: Sample, treated: Floats, weights: Floats | None) -> BinaryInstrument:
    """Return the instrument with two levels, turned so that more rows take the treatment at level 1.

    Parameters
    ----------
    sample : Sample
        With one instrument of two values.
    treated : Floats, shape (n,)
        0 or 1.
    weights : Floats, shape (n,), optional
    """
    columns = sample.features("instruments")
    name = columns.names[0]
    values = columns.values[:, 0]
    upper = values == values.max()
    w = np.ones(len(values)) if weights is None else weights
    turned = bool(np.average(treated[upper], weights=w[upper]) < np.average(treated[~upper], weights=w[~upper]))
    codes = (upper != turned).astype(np.int32)
    labels = _labels(columns)
    return BinaryInstrument(Arms(read_only(codes), labels[::-1] if turned else labels, name), turned)


def _labels(columns: Features) -> tuple[object, object]:
    """Return the lower and the upper value of a binary column, as the user knows them."""
    low, high = np.unique(columns.values[:, 0])
    levels = columns.schema.levels[0]
    if levels is None:
        return _plain(low), _plain(high)
    return levels[int(low)], levels[int(high)]


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _require_binary(sample: Sample, arms: Arms | None) -> None:
    if arms is None:
        column = sample.columns["treatment"]
        assert isinstance(column, Number)
        raise DesignError(
            f'method="iivm" is for two arms, and {column.name!r} holds a dose.',
            hint='Use method="pliv", or name the baseline level of arms: control=.',
            column=column.name,
        )
    columns = sample.features("instruments")
    if len(columns.names) > 1:
        raise DesignError(
            f'method="iivm" takes one binary instrument, and instruments= names {len(columns.names)} columns.',
            hint='Use method="pliv" for several.',
        )
    found = len(np.unique(columns.values))
    if found != 2:
        told = "does not vary" if found == 1 else f"has {found} values"
        raise DesignError(
            f'method="iivm" takes a binary instrument, and {columns.names[0]!r} {told}.',
            hint='Use method="pliv" for an instrument with more than two values.',
            column=columns.names[0],
        )
