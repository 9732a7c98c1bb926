"""Write ``shift_share_statspai.json``: a table of our own and StatsPAI's shift-share numbers on it.

python make_shift_share_statspai.py      # in an environment with statspai 1.40.2
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import statspai

NAMES = [f"s{k}" for k in range(8)]


def main() -> None:
    rng = np.random.default_rng(11)
    n, k = 60, len(NAMES)
    shares = np.round(rng.dirichlet(np.ones(k), n) * rng.uniform(0.5, 0.95, n)[:, None], 3)
    shocks = np.round(rng.normal(size=k), 3)
    u, x = shares @ rng.normal(size=k), np.round(rng.normal(size=n), 3)
    d = np.round(shares @ shocks + 0.3 * u + 0.2 * rng.normal(size=n), 3)
    y = np.round(1.5 * d - u + 0.5 * x + 0.3 * rng.normal(size=n), 3)
    data = pd.DataFrame({"y": y, "d": d, "x": x, "sum": shares.sum(axis=1)})
    table, g = pd.DataFrame(shares, columns=NAMES), pd.Series(shocks, index=NAMES)
    call = "statspai.bartik(data, 'y', 'd', shares, shocks, covariates=['x', 'sum'], leave_one_out=False)"
    fit = statspai.bartik(data, "y", "d", table, g, covariates=["x", "sum"], leave_one_out=False)
    akm = statspai.shift_share_se(fit, shares)
    weights = statspai.rotemberg_summary(
        data.join(table),
        "y",
        "d",
        NAMES,
        pd.DataFrame({"industry": NAMES, "g": shocks}),
        covariates=["x", "sum"],
        top=8,
    )
    cells = weights["cells"].set_index("industry").loc[NAMES]
    out = {
        "package": "statspai",
        "version": statspai.__version__,
        "calls": [call, "statspai.shift_share_se(fit, shares)", "statspai.rotemberg_summary(..., top=8)"],
        "data": {**data.drop(columns="sum").to_dict("list"), **table.to_dict("list")},
        "shocks": shocks.tolist(),
        "estimate": float(akm.params["d"]),
        "se": float(akm.std_errors["d"]),
        "diagnostics": {key: float(value) for key, value in akm.diagnostics.items() if isinstance(value, float)},
        "alpha": cells["alpha"].tolist(),
        "beta": cells["beta"].tolist(),
        "first_stage_f": weights["industries"]["F"].loc[NAMES].tolist(),
    }
    (Path(__file__).parent / "shift_share_statspai.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
