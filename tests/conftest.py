"""What all tests share: figures without a screen, repeatable random examples, and one small randomized study."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

# Whether the tests pass depends on the code alone: not on the draw, nor on how busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("hunt", deadline=None)  # new examples on every run: pytest --hypothesis-profile=hunt
settings.load_profile("repeatable")


@pytest.fixture
def study():
    """Return 300 customers of 30 stores, half of whom were offered a coupon."""
    from causalkit.testing.table import table

    return table()
