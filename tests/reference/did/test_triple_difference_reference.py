"""Triple differences against moderndid's port of R's triplediff, on a simulated panel."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated_triple import triple_panel  # noqa: E402

CASES = json.loads((HERE / "triple_moderndid_0.4.1.json").read_text())["cases"]
GROUPS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
KINDS = {"simple": "simple", "event_time": "eventstudy", "cohort": "group", "calendar": "calendar"}


@pytest.mark.parametrize("name", CASES)
def test_against_moderndid(name):
    formula, control_group, base_period, method = name.split("|")
    case, data = CASES[name], triple_panel()
    result = ck.TripleDifference(method=method, base_period=base_period, control_group=GROUPS[control_group]).fit(
        data,
        outcome="y",
        unit="unit",
        time="period",
        cohort="start",
        eligible="eligible",
        covariates=["x"] if "x" in formula else [],
    )
    place = {cell: j for j, cell in enumerate(zip(case["group"], case["time"], strict=True))}
    at = [place[cell] for cell in zip(result.cells.cohort, result.cells.time, strict=True)]
    assert len(at) == 8
    # The peer's logit stops early (1e-8), and its combination of several controls divides the variance by n - 1.
    by_logit = method != "reg" and "x" in formula
    several = [control_group == "notyettreated" and time < 4 for time in case["time"]]
    np.testing.assert_allclose(result.effects.values, np.array(case["att"])[at], atol=2e-8 if by_logit else 1e-12)
    wanted = np.array(case["se"])[at]
    alike = ~np.array(several)[at]
    np.testing.assert_allclose(result.effects.se[alike], wanted[alike], rtol=1e-7 if by_logit else 1e-12)
    np.testing.assert_allclose(result.effects.se, wanted, rtol=3e-3)
    for kind, theirs in KINDS.items():
        found = result.aggregate(kind)
        np.testing.assert_allclose(found.estimate, case["agg"][theirs][0], atol=1e-8 if by_logit else 1e-12)
        np.testing.assert_allclose(found.se, case["agg"][theirs][1], rtol=1e-7 if by_logit else 1e-12)
