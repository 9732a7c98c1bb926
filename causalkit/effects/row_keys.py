"""Recognising rows that trained a model, also when the model no longer holds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causalkit.kernels.arrays import Floats

Keys = NDArray[np.uint64]


def row_keys(rows: Floats) -> Keys:
    """One number per row, equal for equal rows."""
    bits: Keys = np.ascontiguousarray(rows + 0.0).view(np.uint64)
    drawn = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64)
    odd: Keys = np.bitwise_or(drawn, np.uint64(1))
    total: Keys = np.zeros(len(bits), dtype=np.uint64)
    for j in range(bits.shape[1]):
        mixed = np.asarray(bits[:, j] * odd[j])
        np.bitwise_xor(total, mixed, out=total)
        np.bitwise_xor(total, np.right_shift(mixed, np.uint64(29)), out=total)
        np.multiply(total, np.uint64(0x9E3779B97F4A7C15), out=total)
    return total
