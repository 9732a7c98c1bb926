"""Every refuter rejects the violation that it looks for and lets a clean design pass; one that does not is not shipped."""

from __future__ import annotations

import numpy as np
import pytest
import refutation_designs as designs

from causalkit.refutation.refuting import CHALLENGES


def test_every_refuter_has_a_design():
    assert set(designs.DESIGNS) == set(CHALLENGES)


@pytest.mark.parametrize("name", list(designs.DESIGNS))
def test_one_draw_of_each(name):
    assert designs.rejects(name, 0, planted=True, n_sim=60)
    assert not designs.rejects(name, 0, planted=False, n_sim=60)


@pytest.mark.long
@pytest.mark.parametrize("name", list(designs.DESIGNS))
def test_stated_rates(name):
    planted = np.mean([designs.rejects(name, seed, planted=True) for seed in range(100)])
    clean = np.mean([designs.rejects(name, seed, planted=False) for seed in range(100)])
    assert planted >= 0.8
    assert clean <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)
