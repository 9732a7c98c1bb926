"""Make panel.csv and pyfixest.json; run with an interpreter that has pyfixest 0.60.0.

    python tests/reference/linear/make_reference.py

The effects are written in alphabetical order. pyfixest 0.60.0 matches the names in a formula with columns that it has
sorted, so ``y ~ x1 | unit + time`` clustered by unit counts both effects as nested and has another standard error.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyfixest as pf

HERE = Path(__file__).parent
SEED = 20240611
CALLS = {
    "iid": ("y ~ x1 + x2 | time + unit", "iid", None),
    "hetero": ("y ~ x1 + x2 | time + unit", "hetero", None),
    "cluster_unit": ("y ~ x1 + x2 | time + unit", {"CRV1": "unit"}, None),
    "cluster_region": ("y ~ x1 + x2 | time + unit", {"CRV1": "region"}, None),
    "cluster_two_way": ("y ~ x1 + x2 | time + unit", {"CRV1": "unit + time"}, None),
    "weighted_cluster_unit": ("y ~ x1 + x2 | time + unit", {"CRV1": "unit"}, "w"),
    "weighted_hetero": ("y ~ x1 + x2 | time + unit", "hetero", "w"),
    "three_effects": ("y ~ x1 + x2 | sector + time + unit", {"CRV1": "unit"}, None),
    "one_effect": ("y ~ x1 + x2 | unit", {"CRV1": "unit"}, None),
    "no_effect": ("y ~ x1 + x2", {"CRV1": "unit"}, None),
}


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    unit, time = np.repeat(np.arange(40), 6), np.tile(np.arange(6), 40)
    keep = rng.random(unit.size) > 0.15
    unit, time = unit[keep], time[keep]
    alpha, gamma, n = rng.standard_normal(40), rng.standard_normal(6), unit.size
    x = rng.standard_normal((n, 2)) + 0.5 * alpha[unit, None] + 0.4 * gamma[time, None]
    sector = rng.integers(0, 4, n)
    y = 2.0 + alpha[unit] + gamma[time] + 0.3 * sector + x @ [0.5, -0.3]
    y += rng.standard_normal(n) * (0.5 + 0.5 * np.abs(x[:, 0])) + 0.5 * rng.standard_normal(40)[unit] * x[:, 0]
    w = rng.uniform(0.2, 3.0, n)
    return pd.DataFrame(
        {
            "y": y,
            "x1": x[:, 0],
            "x2": x[:, 1],
            "w": w,
            "unit": unit,
            "time": time,
            "region": unit // 4,
            "sector": sector,
        }
    )


def main() -> None:
    table = panel()
    assert (table["unit"].value_counts() > 1).all(), "no singletons, so that every policy agrees"
    table.to_csv(HERE / "panel.csv", index=False)
    table = pd.read_csv(HERE / "panel.csv")
    out = {"package": "pyfixest", "version": pf.__version__, "python": sys.version.split()[0], "seed": SEED, "fits": {}}
    for name, (formula, vcov, weights) in CALLS.items():
        fit = pf.feols(
            formula, table, vcov=vcov, weights=weights, demeaner=pf.LsmrDemeaner(fixef_atol=1e-15, fixef_btol=1e-15)
        )
        out["fits"][name] = {
            "call": f"pyfixest.feols({formula!r}, vcov={vcov!r}, weights={weights!r}, tolerance 1e-15)",
            "names": fit.coef().index.tolist(),
            "estimate": fit.coef().tolist(),
            "se": fit.se().tolist(),
            "vcov": np.asarray(fit._vcov).tolist(),
            "n": int(fit._N),
            "r2": float(fit._r2),
            "r2_within": None if np.isnan(fit._r2_within) else float(fit._r2_within),
        }
    (HERE / "pyfixest.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
