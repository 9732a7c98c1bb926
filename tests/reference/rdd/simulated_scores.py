"""Tables whose regression-discontinuity estimates were computed with rdrobust, and the calls that were made."""

from __future__ import annotations

import numpy as np
import pandas as pd


def table(kind: str = "smooth", n: int = 600, seed: int = 4_711) -> pd.DataFrame:
    """A running variable with two covariates, clusters, weights and a treatment that the cutoff moves.

    ``kind`` is ``smooth``, ``discrete`` (the running variable takes 81 values), ``one_sided`` (nobody below the cutoff is
    treated), or ``far`` (a cutoff of 100 in other units).
    """
    rng = np.random.default_rng(seed)
    x = np.round(2.0 * rng.beta(2.0, 3.0, n) - 1.0, 6)
    if kind == "discrete":
        x = np.round(x * 40) / 40
    z1, z2 = rng.normal(size=n), rng.integers(0, 3, n).astype(float)
    cluster = rng.integers(0, 40, n)
    above = x >= 0
    chance = np.where(above, 0.8, 0.0 if kind == "one_sided" else 0.15)
    taken = (rng.random(n) < chance).astype(float)
    level = rng.normal(size=40)[cluster]
    y = 1.0 + 1.5 * x - 2.0 * x**2 + above * (0.6 - 0.8 * x) + 0.7 * taken + 0.4 * z1 + 0.2 * z2
    y = np.round(y + 0.3 * level + rng.normal(size=n) * (0.5 + 0.4 * np.abs(x)), 6)
    weights = np.round(0.5 + 2.0 * rng.random(n), 3)
    if kind == "far":
        x, y = 100.0 + 250.0 * x, 40.0 + 1e-3 * y
    return pd.DataFrame({"y": y, "x": x, "z1": z1, "z2": z2, "cluster": cluster, "taken": taken, "weights": weights})


_BOTH = ["z1", "z2"]

#: Name -> keywords of rdrobust; ``table`` names the table, and columns go by name.
CALLS = {
    "default": {},
    "uniform": {"kernel": "uni"},
    "epanechnikov": {"kernel": "epa"},
    **{
        f"rule_{rule}": {"bwselect": rule}
        for rule in "msetwo msesum msecomb1 msecomb2 cerrd certwo cersum cercomb1 cercomb2".split()  # noqa: SIM905
    },
    **{vce: {"vce": vce} for vce in ("hc0", "hc1", "hc2", "hc3")},
    **{vce: {"vce": vce, "cluster": "cluster"} for vce in ("cr1", "cr2", "cr3")},
    **{f"{vce}_given": {"vce": vce, "cluster": "cluster", "h": 0.4, "b": 0.6} for vce in ("cr1", "cr2", "cr3")},
    **{f"{vce}_rho1": {"vce": vce, "cluster": "cluster", "h": 0.5} for vce in ("cr1", "cr2", "cr3")},
    # Not CR2: where a cluster has too few rows within the smaller bandwidth, its leverage correction beyond it is a
    # matter of choice, and rdrobust's depends on the unit of x.
    **{f"{vce}_wide": {"vce": vce, "cluster": "cluster", "h": 0.6, "b": 0.4} for vce in ("cr1", "cr3")},
    "hc2_given": {"vce": "hc2", "h": 0.3, "b": 0.5, "kernel": "uni"},
    "hc3_wide": {"vce": "hc3", "h": 0.5, "b": 0.3},
    "nn_wide": {"h": 0.5, "b": 0.3},
    "order_0": {"p": 0},
    "order_2": {"p": 2},
    "kink": {"deriv": 1, "p": 2},
    "kink_linear": {"deriv": 1, "p": 1},
    "second_derivative": {"deriv": 2, "p": 3, "h": 0.6, "b": 0.8},
    "covariates_pair": {"covs": _BOTH, "h": [0.3, 0.6], "b": 0.7},
    "bias_order_3": {"q": 3, "h": 0.4, "b": 0.7},
    "pair": {"h": [0.3, 0.5], "b": [0.4, 0.7]},
    "rho": {"rho": 0.5},
    "covariates": {"covs": _BOTH},
    "covariates_hc1": {"covs": _BOTH, "vce": "hc1"},
    "covariates_cr2": {"covs": _BOTH, "vce": "cr2", "cluster": "cluster"},
    "covariates_cr3": {"covs": _BOTH, "vce": "cr3", "cluster": "cluster", "bwselect": "msetwo"},
    "covariates_kink": {"covs": _BOTH, "deriv": 1, "p": 2},
    "weights": {"weights": "weights"},
    "weights_covariates_hc3": {"weights": "weights", "covs": _BOTH, "vce": "hc3"},
    "weights_cr2": {"weights": "weights", "vce": "cr2", "cluster": "cluster"},
    "fuzzy": {"fuzzy": "taken"},
    "fuzzy_hc1": {"fuzzy": "taken", "vce": "hc1"},
    "fuzzy_cr1": {"fuzzy": "taken", "cluster": "cluster"},
    "fuzzy_cr3": {"fuzzy": "taken", "vce": "cr3", "cluster": "cluster"},
    "fuzzy_covariates": {"fuzzy": "taken", "covs": _BOTH},
    "fuzzy_covariates_weights": {"fuzzy": "taken", "covs": _BOTH, "weights": "weights"},
    "fuzzy_kink": {"fuzzy": "taken", "deriv": 1, "p": 2, "h": 0.6, "b": 0.8},
    "fuzzy_sharp_bandwidth": {"fuzzy": "taken", "sharpbw": True},
    "fuzzy_one_sided": {"fuzzy": "taken", "table": "one_sided"},
    "discrete": {"table": "discrete"},
    "discrete_uniform": {"table": "discrete", "kernel": "uni"},
    "discrete_check": {"table": "discrete", "masspoints": "check"},
    "discrete_off": {"table": "discrete", "masspoints": "off"},
    "discrete_two": {"table": "discrete", "bwselect": "cercomb2"},
    "discrete_given": {"table": "discrete", "h": 0.3, "b": 0.5},
    "discrete_fuzzy": {"table": "discrete", "fuzzy": "taken", "covs": _BOTH},
    "no_regularization": {"scaleregul": 0},
    "far": {"table": "far", "c": 100.0},
    "placebo_far": {"table": "far", "c": 130.0, "kernel": "epa"},
}
