"""What all tests share: figures without a screen, and one small randomized study."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


@pytest.fixture
def study():
    """Return 300 customers of 30 stores, half of whom were offered a coupon."""
    from causalkit.testing.table import table

    return table()
