"""Reading what an owner hands over for a figure: arrays of one length, with an error that names what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

PlotData = Mapping[str, Any]


def vector(data: PlotData, key: str) -> Floats:
    """Return ``data[key]`` as a one-dimensional array of floats."""
    if key not in data:
        raise DesignError(f"the figure's data lack {key!r}.", hint=f"plot_data gave {', '.join(map(repr, data))}.")
    values = np.asarray(data[key], dtype=np.float64)
    if values.ndim != 1:
        raise DesignError(f"{key!r} must be a vector, not an array of shape {values.shape}.")
    return values


def optional(data: PlotData, key: str, length: int) -> Floats | None:
    """Return ``data[key]`` as an array of ``length`` floats, or None where it was not given."""
    if data.get(key) is None:
        return None
    return _fits(vector(data, key), key, length)


def columns(data: PlotData, *keys: str) -> tuple[Floats, ...]:
    """Return several vectors that must have one length, which must not be zero."""
    found = [vector(data, key) for key in keys]
    if not found[0].size:
        raise DesignError(f"the figure has nothing to draw: {keys[0]!r} is empty.")
    return tuple(_fits(values, key, found[0].size) for values, key in zip(found, keys, strict=True))


def names(data: PlotData, key: str, length: int) -> tuple[str, ...]:
    """Return ``data[key]`` as ``length`` strings."""
    if key not in data:
        raise DesignError(f"the figure's data lack {key!r}.")
    found = tuple(str(name) for name in data[key])
    if len(found) != length:
        raise DesignError(f"{key!r} has {len(found)} names for {length} values.")
    return found


def number(data: PlotData, key: str) -> float | None:
    """Return ``data[key]`` as a finite float, or None."""
    value = data.get(key)
    if value is None or not np.isfinite(float(value)):
        return None
    return float(value)


def text(data: PlotData, key: str, default: str = "") -> str:
    """Return ``data[key]`` as a string, or the default."""
    value = data.get(key)
    return default if value is None else str(value)


def arms(data: PlotData) -> tuple[tuple[str, ...], list[Floats]]:
    """Return the names of the arms and the finite values of each."""
    raw: Sequence[Any] = data["values"]
    labels = names(data, "arms", len(raw))
    values = [np.asarray(part, dtype=np.float64) for part in raw]
    values = [part[np.isfinite(part)] for part in values]
    if not any(part.size for part in values):
        raise DesignError("the figure has nothing to draw: no arm has finite values.")
    return labels, values


def _fits(values: Floats, key: str, length: int) -> Floats:
    if values.size != length:
        raise DesignError(f"{key!r} has {values.size} values where {length} are needed.")
    return values
