"""Writes density_locrand.csv and the numbers of rddensity 3.0 and rdlocrand 3.0 on it.

Run in an environment with these packages: ``python make_density_locrand.py``.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rddensity import rddensity
from rdlocrand import rdrandinf, rdwinselect

HERE = Path(__file__).parent
CUTOFF = 0.25


def table() -> pd.DataFrame:
    """A score with a pile beyond the cutoff and some repeated values; an outcome, a treatment received, covariates."""
    rng = np.random.default_rng(2024)
    score = np.round(np.concatenate([rng.normal(0.3, 1.0, 560), rng.uniform(0.25, 0.45, 40)]), 4)
    score[::9] = np.round(score[::9], 2)
    right = score >= CUTOFF
    received = np.where(right, rng.random(600) < 0.8, rng.random(600) < 0.15).astype(float)
    outcome = np.round(0.8 * received + 0.5 * score + rng.normal(size=600), 3)
    age, urban = np.round(rng.normal(40, 9, 600), 1), (rng.random(600) < 0.4).astype(float)
    wealth = np.round(0.4 * score + rng.normal(size=600), 3)
    columns = {"score": score, "outcome": outcome, "received": received, "age": age, "urban": urban, "wealth": wealth}
    return pd.DataFrame(columns)


DENSITY = {
    "default": {},
    "plugin": {"vce": "plugin"},
    "restricted": {"fitselect": "restricted"},
    "restricted_plugin": {"fitselect": "restricted", "vce": "plugin"},
    "restricted_sum": {"fitselect": "restricted", "bwselect": "sum"},
    "uniform": {"kernel": "uniform"},
    "epanechnikov": {"kernel": "epanechnikov"},
    "epanechnikov_plugin": {"kernel": "epanechnikov", "vce": "plugin"},
    "order_1": {"p": 1},
    "order_3": {"p": 3},
    "order_2_bias_4": {"p": 2, "q": 4},
    "given": {"h": [0.5, 0.8]},
    "each": {"bwselect": "each"},
    "diff": {"bwselect": "diff"},
    "sum": {"bwselect": "sum"},
    "no_mass_points": {"massPoints": False},
    "no_regularization": {"regularize": False},
}


def density(score) -> dict:
    """Numbers of the density tests."""
    out = {}
    for name, kw in DENSITY.items():
        r = rddensity(score, c=CUTOFF, useall=True, **kw)
        key = "asy" if r.vce == "plugin" else "jk"
        sd, sd_p = (r.sd_asy, r.sd_asy_p) if key == "asy" else (r.sd_jk, r.sd_jk_p)
        out[name] = {
            "kw": kw,
            "bandwidths": [r.h["left"], r.h["right"]],
            "robust": [r.hat["left"], r.hat["right"], sd["left"], sd["right"], sd["diff"], r.test[f"t_{key}"]],
            "robust_pvalue": r.test[f"p_{key}"],
            "conventional": [r.hat_p["left"], r.hat_p["right"], sd_p["left"], sd_p["right"], sd_p["diff"]],
            "n": [int(r.n[k]) for k in ("left", "right", "eff_left", "eff_right")],
        }
    return out


RANDINF = {
    "diffmeans": {},
    "ksmirnov": {"statistic": "ksmirnov"},
    "ranksum": {"statistic": "ranksum"},
    "triangular": {"kernel": "triangular"},
    "epanechnikov": {"kernel": "epan"},
    "order_1": {"p": 1},
    "order_1_hc1_triangular": {"p": 1, "vce": "HC1", "kernel": "triangular"},
    "order_2_hc2": {"p": 2, "vce": "HC2"},
    "tsls": {"fuzzy": "tsls"},
    "tsls_order_1": {"fuzzy": "tsls", "p": 1},
    "ar": {"fuzzy": "ar"},
}
WINDOW = 0.3


def locrand(data) -> dict:
    """Numbers of local randomization that do not depend on draws."""
    out = {"randinf": {}, "winselect": {}}
    for name, kw in RANDINF.items():
        call = dict(kw)
        if "fuzzy" in call:
            call["fuzzy"] = [data["received"].to_numpy(), call["fuzzy"]]
        r = rdrandinf(
            data["outcome"], data["score"], cutoff=CUTOFF, wl=CUTOFF - WINDOW, wr=CUTOFF + WINDOW, reps=2000,
            quietly=True, **call,
        )  # fmt: skip
        scalar = lambda value: float(np.asarray(value).reshape(-1)[0])  # noqa: E731
        out["randinf"][name] = {
            "kw": kw,
            "statistic": scalar(r["obs.stat"]),
            "asymptotic_pvalue": scalar(r["asy.pvalue"]),
            "drawn_pvalue": scalar(r["p.value"]),
            "n": [int(v) for v in r["sumstats"][1]],
        }
    for statistic in ("diffmeans", "ksmirnov", "ranksum", "hotelling"):
        r = rdwinselect(
            data["score"], data[["age", "urban", "wealth"]], cutoff=CUTOFF, wmin=0.1, wstep=0.05, nwindows=8,
            approx=True, statistic=statistic, quietly=True,
        )  # fmt: skip
        out["winselect"][statistic] = r["results"].to_numpy().tolist()
    return out


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    data = table()
    data.to_csv(HERE / "density_locrand.csv", index=False)
    numbers = {
        "packages": "rddensity 3.0, rdlocrand 3.0 (Python 3.11)",
        "script": "make_density_locrand.py",
        "cutoff": CUTOFF,
        "window": WINDOW,
        "density": density(data["score"].to_numpy()),
        "locrand": locrand(data),
    }
    text = json.dumps(numbers, indent=1, default=float).replace("NaN", "null")
    (HERE / "density_locrand.json").write_text(text + "\n")
