"""From a bound sample to the columns of an instrumental-variables analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Number, Sample
from causalkit.errors import DataError, DesignError
from causalkit.iv.iv_data import IVData, iv_data
from causalkit.kernels.arrays import Floats, Ints

#: Largest absolute values of a column between which sums of products of columns neither overflow nor vanish.
_SMALLEST, _LARGEST = 1e-70, 1e70


def data_of(sample: Sample, kind: str) -> IVData:
    """Project the covariates and absorbed effects of a sample out of outcome, treatments and instruments.

    Parameters
    ----------
    sample : Sample
    kind : str
        Name of the variance, which the data carry along.
    """
    treated, terms = treatments(sample)
    instruments, instrument_names = sample.features("instruments").dummies()
    covariates, names = sample.features().dummies()
    absorb = sample.several("absorb")
    clusters = sample.several("cluster") if kind.startswith("CR") else ()
    _require_distinct(names, instrument_names)
    return iv_data(
        sample.outcome,
        treated,
        list(instruments.T),
        list(covariates.T),
        outcome=sample.name("outcome"),
        endogenous=terms,
        instruments=instrument_names,
        exogenous=names,
        weights=sample.optional("weights"),
        absorb=[effect.codes for effect in absorb],
        absorb_names=[effect.name for effect in absorb],
        groups=[way.codes for way in clusters],
        order=in_time_order(sample) if kind == "HAC" else None,
        kind=kind,
    )


def treatments(sample: Sample) -> tuple[list[Floats], list[str]]:
    """Return the endogenous variables and their names: numbers, or one indicator for each arm but the control."""
    column = sample.columns["treatment"]
    if isinstance(column, Arms):
        codes = column.codes
        return [(codes == arm).astype(float) for arm in range(1, column.count)], [
            column.contrast(arm) for arm in range(1, column.count)
        ]
    if isinstance(column, tuple):
        listed = sample.numbers("treatment")
        return [part.values for part in listed], [part.name for part in listed]
    assert isinstance(column, Number)
    return [column.values], [column.name]


def require_usable(sample: Sample) -> None:
    """Refuse a single cluster, and numbers whose squares do not fit in a float.

    Raises
    ------
    DesignError
        If a cluster column has one cluster only.
    DataError
        If a column is so large or so small that its sum of squares overflows or vanishes.
    """
    for way in sample.several("cluster"):
        if way.count < 2:
            raise DesignError(
                f"cluster {way.name!r} has one cluster only.",
                hint='Clustered inference needs two or more; without cluster= use vcov="HC1".',
                column=way.name,
            )
    columns = [(sample.name("outcome"), sample.outcome)]
    if not isinstance(sample.columns["treatment"], Arms):
        listed, names = treatments(sample)
        columns += zip(names, listed, strict=True)
    for role in ("instruments", "covariates"):
        part = sample.features(role)
        columns += [(name, part.values[:, j]) for j, name in enumerate(part.names) if j not in part.categorical]
    for name, values in columns:
        _require_scale(name, values, sample)


def _require_scale(name: str, values: Floats, sample: Sample) -> None:
    largest = max(float(values.max()), -float(values.min()))
    if largest == 0.0 or _SMALLEST <= largest <= _LARGEST:
        return
    at = int(np.argmax(np.abs(values)))
    row, outside = int(sample.rows.positions[at]), int(np.count_nonzero(np.abs(values) > _LARGEST))
    told = f"holds {outside} values beyond {_LARGEST:g}" if outside else f"holds no value beyond {_SMALLEST:g}"
    raise DataError(
        f"column {name!r} {told} (row {row} holds {values[at]:g}), whose squares a float can't hold.",
        hint="Use other units.",
        column=name,
        rows=(row,),
    )


def instrument_names(sample: Sample) -> tuple[str, ...]:
    """Return the columns that are instruments."""
    return sample.features("instruments").names


def clusters_of(sample: Sample, kind: str) -> tuple[Groups, ...]:
    """Return the clusters of a clustered variance; none for another."""
    return sample.several("cluster") if kind.startswith("CR") else ()


def in_time_order(sample: Sample) -> Ints:
    """Return the order of the rows of one time series.

    Raises
    ------
    DesignError
        If there is no time, or a value of it repeats.
    """
    time = sample.groups("time")
    if time is None:
        raise DesignError('vcov="HAC" needs time=.', hint="Name the column that orders the rows.")
    order = np.argsort(time.codes, kind="stable")
    repeats = np.flatnonzero(np.diff(time.codes[order]) == 0)
    if len(repeats):
        row = int(sample.rows.positions[order[repeats + 1]].min())
        raise DesignError(
            f'vcov="HAC" is for one series, but {len(repeats)} rows repeat a value of time {time.name!r} (first in row {row}).',
            hint='Cluster a panel by unit instead: vcov="CR1", cluster=.',
            column=time.name,
            rows=(row,),
        )
    return order


def _require_distinct(covariates: Sequence[str], instruments: Sequence[str]) -> None:
    both = [name for name in instruments if name in set(covariates)]
    if both:
        raise DesignError(
            f"column {both[0]!r} is both covariates and instruments.", hint="Take it out of one.", column=both[0]
        )
