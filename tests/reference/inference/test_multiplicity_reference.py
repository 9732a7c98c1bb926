from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.inference.multiplicity import adjust_pvalues

R = json.loads((Path(__file__).parent / "estimatr.json").read_text())["p_adjust"]
BH1995 = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1.0,
]


@pytest.mark.parametrize(
    ("method", "name"), [("bonferroni", "bonferroni"), ("holm", "holm"), ("bh", "BH"), ("by", "BY")]
)
def test_matches_r(method, name):
    np.testing.assert_allclose(adjust_pvalues(BH1995, method), R[name], rtol=1e-13)


@pytest.mark.parametrize(
    ("method", "name"), [("bonferroni", "bonferroni"), ("holm", "holm"), ("bh", "fdr_bh"), ("by", "fdr_by")]
)
def test_matches_statsmodels(method, name):
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(3).random(200) ** 3
    p[5] = p[6]
    np.testing.assert_allclose(adjust_pvalues(p, method), multipletests(p, method=name)[1], rtol=1e-12)
