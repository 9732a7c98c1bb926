"""ContinuousDiD against moderndid's port of contdid, on a simulated panel: curves, averages and their errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated_doses import dose_panel  # noqa: E402

REFERENCE = json.loads((HERE / "continuous_moderndid_0.4.1.json").read_text())
CASES, DOSES = REFERENCE["cases"], REFERENCE["doses"]
GROUPS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}


@pytest.mark.parametrize("name", CASES)
def test_against_moderndid(name):
    periods, control_group, order, n_knots = name.split("|")
    case, data = CASES[name], dose_panel()
    if periods == "two":
        data = data[data.time.isin([2, 3]) & data.start.isin([0, 3])]
    estimator = ck.ContinuousDiD(
        order=int(order), n_knots=int(n_knots), doses=DOSES, control_group=GROUPS[control_group]
    )
    result = estimator.fit(data, outcome="y", unit="unit", time="time", cohort="start", treatment="dose")
    np.testing.assert_allclose(
        result.effects.values, [case["att"], case["acrt"], *case["att_d"], *case["acrt_d"]], atol=1e-11
    )
    # Standard errors of the peer's influence functions, without its bootstrap.
    wanted = [case["att_se"], case["acrt_se"], *case["att_d_se"], *case["acrt_d_se"]]
    np.testing.assert_allclose(result.effects.se, wanted, rtol=1e-9)
