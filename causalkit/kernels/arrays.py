"""The array types that every layer speaks, and the one way to freeze an array."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Bools = NDArray[np.bool_]

_A = TypeVar("_A", bound=NDArray[Any])


def read_only(array: _A) -> _A:
    """Return ``array`` with writing switched off (a view when it does not own its memory)."""
    frozen = array if array.flags.owndata else array.view()
    frozen.flags.writeable = False
    return frozen
