"""Shift-share estimates against StatsPAI 1.40.2, which follows R's ShiftShareSE and bartik.weight."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

PEER = json.loads((Path(__file__).parent / "shift_share_statspai.json").read_text())
SAID = PEER["diagnostics"]


@pytest.fixture(scope="module")
def result():
    shares = [f"s{k}" for k in range(8)]
    return ck.ShiftShareIV().fit(
        pd.DataFrame(PEER["data"]),
        outcome="y",
        treatment="d",
        covariates=["x"],
        shares=shares,
        shocks=PEER["shocks"],
    )


def test_estimate_and_errors(result):
    assert result.estimate == pytest.approx(PEER["estimate"], rel=1e-10)
    assert result.se == pytest.approx(SAID["SE (AKM)"], rel=1e-9)
    assert result.pvalue == pytest.approx(SAID["p-value (AKM)"], rel=1e-6)
    assert result.with_vcov("HC0").se == pytest.approx(SAID["SE (EHW)"], rel=1e-9)
    np.testing.assert_allclose(result.ci(), [SAID["CI lower (AKM, 95%)"], SAID["CI upper (AKM, 95%)"]], rtol=1e-8)
    [limits] = result.ci(method="akm0").intervals
    np.testing.assert_allclose(limits, [SAID["CI lower (AKM0, 95%)"], SAID["CI upper (AKM0, 95%)"]], rtol=1e-8)
    assert result.test(method="akm0").pvalue == pytest.approx(SAID["p-value (AKM0)"], rel=1e-7)


def test_rotemberg_weights(result):
    found = result.rotemberg
    np.testing.assert_allclose(found.alpha, PEER["alpha"], rtol=1e-8)
    np.testing.assert_allclose(found.beta, PEER["beta"], rtol=1e-8)
    np.testing.assert_allclose(found.first_stage_f, PEER["first_stage_f"], rtol=1e-8)
