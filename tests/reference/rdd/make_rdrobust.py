"""Write rdrobust_2.1.1.json: run in an environment with rdrobust 2.1.1 (pip install rdrobust==2.1.1 numba).

    python tests/reference/rdd/make_rdrobust.py

The table is made by simulated_scores.py, so that nothing but numbers is stored.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from simulated_scores import CALLS, table  # noqa: E402


def run(call: dict) -> dict:
    from rdrobust import rdrobust

    options = dict(call)
    data = table(options.pop("table", "smooth"))
    columns = {"cluster": "cluster", "weights": "weights", "fuzzy": "fuzzy"}
    named = {keyword: data[options.pop(keyword)] for keyword in columns if keyword in options}
    if "covs" in options:
        named["covs"] = data[options.pop("covs")]
    found = rdrobust(data["y"], data["x"], **named, **options)
    out = {
        "bandwidths": [*map(float, found.bws.iloc[0]), *map(float, found.bws.iloc[1])],
        "coef": [float(found.coef.iloc[0, 0]), float(found.coef.iloc[1, 0])],
        "se": [float(found.se.iloc[0, 0]), float(found.se.iloc[2, 0])],
        "n_h": [int(n) for n in found.N_h],
        "n_b": [int(n) for n in found.N_b],
        "bias": [float(b) for b in found.bias],
    }
    if "fuzzy" in named:
        out["first_stage"] = [*map(float, found.tau_T.iloc[:2, 0]), *map(float, found.se_T.iloc[[0, 2], 0])]
    return out


def main() -> None:
    warnings.filterwarnings("ignore")
    results = {name: {"call": call, "result": run(call)} for name, call in CALLS.items()}
    document = {"package": "rdrobust", "version": version("rdrobust"), "results": results}
    (HERE / "rdrobust_2.1.1.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
