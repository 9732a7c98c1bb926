"""Make double_ml_iv.json (run in an environment with DoubleML 0.11.4, scikit-learn 1.9.1 and statsmodels).

The fold of a row is its position mod 5 (clusters: their label mod 5), so that nothing is drawn.
"""

from __future__ import annotations

import json
import sys

import doubleml as dml
import numpy as np
import pandas as pd
import sklearn
import statsmodels.api as sm
from double_ml_iv_table import N, X, table
from sklearn.linear_model import LinearRegression, LogisticRegression

DATA = pd.DataFrame(table())


def logit():
    return LogisticRegression(C=1e6, tol=1e-10, max_iter=10000)


def parts(folds):
    return [(np.where(folds != k)[0], np.where(folds == k)[0]) for k in np.unique(folds)]


def numbers(model, **more):
    return {"coef": np.ravel(model.coef).tolist(), "se": np.ravel(model.se).tolist(), **more}


def fitted(model, *repeats):
    model.set_sample_splitting([parts(folds) for folds in repeats or (np.arange(N) % 5,)])
    return model.fit(store_predictions=True)


def pliv(instruments, outcome="y", treatment="d", n_rep=1, repeats=()):
    data = dml.DoubleMLData(DATA, y_col=outcome, d_cols=treatment, x_cols=X, z_cols=instruments)
    learners = [LinearRegression() for _ in range(3)]
    return fitted(dml.DoubleMLPLIV(data, *learners, n_folds=5, n_rep=n_rep), *repeats)


def first_stage(model, instruments):
    """Regress residual on residual by statsmodels, with a constant and HC1."""
    predicted = model.predictions
    names = ["ml_m"] if len(instruments) == 1 else [f"ml_m_{name}" for name in instruments]
    v = np.column_stack([DATA[z] - np.ravel(predicted[m]) for z, m in zip(instruments, names, strict=True)])
    w = DATA["d"] - np.ravel(predicted["ml_r"])
    found = sm.OLS(w, sm.add_constant(v)).fit(cov_type="HC1", use_t=True)
    f = found.f_test(np.eye(len(instruments) + 1)[1:])
    return {"coef": found.params.tolist()[1:], "se": found.bse.tolist()[1:], "F": float(f.fvalue)}


def clustered():
    code = DATA["cluster"].to_numpy()
    labels = np.unique(code)
    data = dml.DoubleMLClusterData(DATA, y_col="y", d_cols="d", x_cols=X, z_cols="z", cluster_cols="cluster")
    model = dml.DoubleMLPLIV(data, LinearRegression(), LinearRegression(), LinearRegression(), n_folds=5)
    groups = [[([labels[labels % 5 != k]], [labels[labels % 5 == k]]) for k in range(5)]]
    model.set_sample_splitting([parts(code % 5)], groups)
    return model.fit()


def iivm(outcome="late", treatment="taken", learner=None, **options):
    data = dml.DoubleMLData(DATA, y_col=outcome, d_cols=treatment, x_cols=X, z_cols="offered")
    model = dml.DoubleMLIIVM(data, learner or LinearRegression(), logit(), logit(), n_folds=5, **options)
    model = fitted(model)
    return numbers(
        model,
        robust_confset=[list(map(float, part)) for part in model.robust_confset()],
        share=float(-np.mean(model.psi_elements["psi_a"])),
    )


def main():
    at = np.arange(N)
    one, two = pliv("z"), pliv(["z", "z2"])
    many = pliv("z", n_rep=3, repeats=(at % 5, at // 180, (at // 2) % 5))
    found = {
        "about": "Computed by double_ml_iv_reference.py beside this file on the table of double_ml_iv_table.py.",
        "package": "DoubleML",
        "version": dml.__version__,
        "scikit-learn": sklearn.__version__,
        "statsmodels": sm.__version__ if hasattr(sm, "__version__") else __import__("statsmodels").__version__,
        "pliv": numbers(one, call="DoubleMLPLIV(data, LinearRegression() x 3)", first_stage=first_stage(one, ["z"])),
        "pliv_two": numbers(two, call="the same, z_cols=[z, z2]", first_stage=first_stage(two, ["z", "z2"])),
        "pliv_arms": numbers(pliv("offered", "late", "taken"), call="the same, binary treatment and instrument"),
        "pliv_clustered": numbers(clustered(), call="the same, DoubleMLClusterData(cluster_cols=cluster)"),
        "pliv_repeated": numbers(
            many,
            call="the same, n_rep=3 (folds: row mod 5, row // 180, row // 2 mod 5)",
            all_coef=np.ravel(many.all_coef).tolist(),
            all_se=np.ravel(many.all_se).tolist(),
        ),
        "iivm": {**iivm(), "call": "DoubleMLIIVM(data, LinearRegression(), logit, logit)"},
        "iivm_one_sided": {
            **iivm(treatment="one_sided", subgroups={"always_takers": False, "never_takers": True}),
            "call": "the same, subgroups always_takers False",
        },
        "iivm_binary": {**iivm("bought", learner=logit()), "call": "the same, logit for the outcome"},
    }
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
