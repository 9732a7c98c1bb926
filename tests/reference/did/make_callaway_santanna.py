"""Make ``callaway_santanna_csdid_0.4.3.json``: what csdid says of ``staggered_panel.csv``.

Run with Python 3.11, csdid 0.4.3 and drdid 1.1.7 (a port of R's did 2.5.1, with which it agrees)::

    python make_callaway_santanna.py
"""

import contextlib
import io
import json
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from csdid.att_gt import ATTgt

HERE = Path(__file__).parent
CONTROLS = {"never_treated": ["nevertreated"], "not_yet_treated": ["notyettreated"]}
KINDS = {"simple": "simple", "cohort": "group", "event_time": "dynamic", "calendar": "calendar"}


def cases() -> dict:
    """Return the calls by name: configuration in our words."""
    found = {}
    for covariates, method, control, base in product(
        ([], ["x"]), ("dr", "ipw", "reg"), CONTROLS, ("varying", "universal")
    ):
        found[f"{method} {control} {base} {'x' if covariates else '1'}"] = {
            "method": method, "control_group": control, "base_period": base, "covariates": covariates,
        }  # fmt: skip
    for method in ("dr", "ipw", "reg"):
        found[f"repeated {method}"] = {"method": method, "covariates": ["x"], "repeated": True}
        found[f"cells {method}"] = {"method": method, "covariates": ["x"], "unbalanced": "cells", "thinned": True}
    found["drop"] = {"covariates": ["x"], "unbalanced": "drop", "thinned": True}
    found["repeated without covariates"] = {"control_group": "not_yet_treated", "repeated": True}
    found["repeated weighted"] = {"covariates": ["x"], "weights": "w", "repeated": True}
    found["anticipation"] = {"anticipation": 1, "control_group": "not_yet_treated"}
    found["clustered"] = {"cluster": "region", "covariates": ["x"]}
    found["clustered without covariates"] = {"cluster": "region"}
    found["weighted"] = {"weights": "w", "covariates": ["x"], "control_group": "not_yet_treated"}
    found["weighted without covariates"] = {"weights": "w", "control_group": "not_yet_treated"}
    found["no never treated"] = {"control_group": "not_yet_treated", "treated_only": True}
    return found


def run(data: pd.DataFrame, case: dict) -> dict:
    """Run one case."""
    if case.get("thinned"):
        data = data[np.arange(len(data)) % 11 != 3]
    if case.get("treated_only"):
        data = data[data["cohort"] > 0]
    repeated = case.get("repeated", False)
    call = {
        "yname": "y", "tname": "time", "gname": "cohort", "idname": None if repeated else "unit", "data": data,
        "control_group": CONTROLS[case.get("control_group", "never_treated")],
        "xformla": "~x" if case.get("covariates") else None, "panel": not repeated,
        "allow_unbalanced_panel": case.get("unbalanced") == "cells", "clustervar": case.get("cluster"),
        "weights_name": case.get("weights"), "anticipation": case.get("anticipation", 0),
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        model = ATTgt(**call).fit(
            est_method=case.get("method", "dr"), base_period=case.get("base_period", "varying"), bstrap=False
        )
        out = {name: [float(v) for v in np.ravel(model.results[name])] for name in ("group", "year", "att", "se")}
        for ours, theirs in KINDS.items():
            found = model.aggte(typec=theirs, bstrap=False, cband=False).atte
            out[ours] = {
                "estimate": float(found["overall_att"]),
                "se": float(np.ravel(found["overall_se"])[0]),
                "values": [] if found["att_egt"] is None else [float(v) for v in np.ravel(found["att_egt"])],
                "errors": [] if found["se_egt"] is None else [float(v) for v in np.ravel(found["se_egt"])],
            }
    return out


if __name__ == "__main__":
    table = pd.read_csv(HERE / "staggered_panel.csv")
    table["w"] = 1 + table["unit"] % 5
    results = {name: {"case": case, **run(table, case)} for name, case in cases().items()}
    text = {
        "package": f"csdid {version('csdid')}, drdid {version('drdid')}",
        "call": "ATTgt(...).fit(..., bstrap=False), .aggte(typec=..., bstrap=False, cband=False), by this script",
        "results": results,
    }
    (HERE / "callaway_santanna_csdid_0.4.3.json").write_text(json.dumps(text, indent=None) + "\n")
