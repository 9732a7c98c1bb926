"""Make ivmodels.json; run with an interpreter that has ivmodels 0.10.0.

    python tests/reference/iv/make_ivmodels.py

Statistics and p-values are those of the package. Of its confidence sets only those of AR and LR are closed forms; it solves
for the ends of the others to 1e-6, and it misses the far piece of some LM sets.
"""

import json
from pathlib import Path

import numpy as np
from ivmodels.tests import (
    anderson_rubin_test,
    conditional_likelihood_ratio_test,
    inverse_anderson_rubin_test,
    inverse_likelihood_ratio_test,
    lagrange_multiplier_test,
    likelihood_ratio_test,
)
from weak_table import weak_table

HERE = Path(__file__).parent
NULLS = (-1.0, 0.0, 0.5, 2.0)


def one_treatment(q, strength):
    y, d, z, w = weak_table(q, strength)
    common = {"Z": z, "X": d[:, :1], "y": y, "C": w, "fit_intercept": True}
    found = {}
    for null in NULLS:
        beta = np.array([null])
        found[str(null)] = {
            "ar": list(map(float, anderson_rubin_test(**common, beta=beta))),
            "ar_f": list(map(float, anderson_rubin_test(**common, beta=beta, critical_values="f"))),
            "lm": list(map(float, lagrange_multiplier_test(**common, beta=beta))),
            "lr": list(map(float, likelihood_ratio_test(**common, beta=beta))),
            "clr": list(map(float, conditional_likelihood_ratio_test(**common, beta=beta, tol=1e-12))),
        }
    sets = {
        str(alpha): {
            "ar": str(inverse_anderson_rubin_test(**common, alpha=alpha)),
            "ar_f": str(inverse_anderson_rubin_test(**common, alpha=alpha, critical_values="f")),
            "lr": str(inverse_likelihood_ratio_test(**common, alpha=alpha)),
        }
        for alpha in (0.1, 0.05, 0.01)
    }
    return {"tests": found, "sets": sets}


def two_treatments(q, strength):
    y, d, z, w = weak_table(q, strength)
    joint = {"Z": z, "X": d, "y": y, "C": w, "fit_intercept": True}
    one = {"Z": z, "X": d[:, :1], "W": d[:, 1:], "y": y, "C": w, "fit_intercept": True}
    found = {}
    for null in NULLS:
        beta = np.array([null, 0.5])
        found[str(null)] = {
            "joint_ar": list(map(float, anderson_rubin_test(**joint, beta=beta))),
            "joint_lm": list(map(float, lagrange_multiplier_test(**joint, beta=beta))),
            "subvector_ar": list(map(float, anderson_rubin_test(**one, beta=np.array([null])))),
        }
    sets = {str(alpha): str(inverse_anderson_rubin_test(**one, alpha=alpha)) for alpha in (0.1, 0.05, 0.01)}
    return {"tests": found, "sets": sets}


out = {
    "package": "ivmodels 0.10.0",
    "call": "python tests/reference/iv/make_ivmodels.py",
    "one": {f"{q},{s}": one_treatment(q, s) for q, s in ((1, 0.3), (3, 0.3), (3, 0.05), (6, 0.15))},
    "two": {f"{q},{s}": two_treatments(q, s) for q, s in ((3, 0.5), (4, 0.1))},
}
(HERE / "ivmodels.json").write_text(json.dumps(out, indent=1) + "\n")
