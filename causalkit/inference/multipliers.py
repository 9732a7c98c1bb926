"""Random multipliers with mean zero and variance one, for bootstraps by perturbation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints

Multiplier = Literal["rademacher", "mammen", "webb", "normal"]

_GOLDEN = (1.0 + np.sqrt(5.0)) / 2.0


def draw_multipliers(rng: np.random.Generator, n_draws: int, n_groups: int, kind: str) -> Floats:
    """Draw independent multipliers.

    Parameters
    ----------
    rng : numpy Generator
    n_draws, n_groups : int
    kind : {"rademacher", "mammen", "webb", "normal"}
        Rademacher: ±1. Mammen (1993): two points with third moment one. Webb (2014): six points, for few clusters.

    Returns
    -------
    (n_draws, n_groups) array.

    Raises
    ------
    DesignError
        If the kind is unknown.
    """
    shape = (n_draws, n_groups)
    if kind == "rademacher":
        packed = np.frombuffer(rng.bytes((n_draws * n_groups + 7) // 8), dtype=np.uint8)
        bits = np.unpackbits(packed, count=n_draws * n_groups).reshape(shape)
        signs: Floats = np.multiply(bits, 2.0) - 1.0
        return signs
    if kind == "mammen":
        steps: Floats = np.where(rng.random(shape) < _GOLDEN / np.sqrt(5.0), 1.0 - _GOLDEN, _GOLDEN)
        return steps
    if kind == "webb":
        points = np.sqrt(np.array([1.5, 1.0, 0.5]))
        chosen: Floats = np.concatenate([-points, points])[rng.integers(0, 6, size=shape, dtype=np.int8)]
        return chosen
    if kind == "normal":
        return rng.standard_normal(shape)
    raise DesignError(f"Unknown multiplier {kind!r}.", hint="Use 'rademacher', 'mammen', 'webb' or 'normal'.")


def all_signs(n_groups: int) -> Floats:
    """All vectors of ±1 with a first entry of +1, the identity first; their negatives are the other half."""
    codes = np.arange(2 ** (n_groups - 1), dtype=np.int64)
    bits: Ints = (codes[:, None] >> np.arange(n_groups - 1)) & 1
    return np.concatenate([np.ones((codes.size, 1)), 1.0 - 2.0 * bits], axis=1)
