from __future__ import annotations

import numpy as np
import pytest

from causalkit.linear.absorb import absorber
from causalkit.linear.parameters import count_parameters, nested_effects

UNIT = np.repeat(np.arange(20), 6).astype(np.int32)
TIME = np.tile(np.arange(6), 20).astype(np.int32)
REGION = (UNIT // 4).astype(np.int32)
SECTOR = ((UNIT + TIME) % 3).astype(np.int32)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ([], 2 + 20 + 6 - 1),
        ([UNIT], 2 + 6),
        ([REGION], 2 + 6),
        ([TIME], 2 + 20),
        ([UNIT, TIME], 2 + 1),
        ([SECTOR], 2 + 20 + 6 - 1),
    ],
)
def test_fixest_counts(ways, expected, order):
    """R fixest 0.12.2, ssc(fixef.K = "nested"): effects nested in a cluster count as one constant together."""
    assert count_parameters(2, absorber([UNIT, TIME][::order]), ways) == expected


def test_without_effects_every_coefficient_counts():
    assert count_parameters(3, None, [UNIT]) == 3


def test_one_effect():
    effects = absorber([UNIT])
    assert count_parameters(2, effects, []) == 22
    assert count_parameters(2, effects, [UNIT]) == 3
    assert count_parameters(2, effects, [TIME]) == 22


def test_two_nested_effects_of_three():
    effects = absorber([REGION, UNIT, TIME])
    assert effects.rank == 25
    assert nested_effects(effects, [REGION]) == [0, 1]
    assert count_parameters(2, effects, [REGION]) == 2 + 6


def test_components_count_once_each():
    apart = (TIME + 6 * (UNIT % 2)).astype(np.int32)
    assert count_parameters(1, absorber([UNIT, apart]), []) == 1 + 20 + 12 - 2
    assert count_parameters(1, absorber([UNIT, apart]), [UNIT]) == 1 + 1 + (20 + 12 - 2) - 20
