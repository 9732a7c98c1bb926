"""What all tests share: figures without a screen, repeatable random examples, and one small randomized study."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

# Whether the tests pass depends on the code alone. To hunt with new examples: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def study():
    """Return 300 customers of 30 stores, half of whom were offered a coupon."""
    from causalkit.testing.table import table

    return table()
