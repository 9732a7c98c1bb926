"""Make the DoubleML part of double_ml.json (run in an environment with DoubleML 0.11.4 and scikit-learn 1.9.1).

Rows are those of predictions.csv.gz; double_ml.csv.gz adds x3, x4 and the binary outcome yb. The fold of a row is its
position mod 5, so that nothing is drawn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import doubleml as dml
import numpy as np
import pandas as pd
import sklearn
from sklearn.linear_model import LinearRegression, LogisticRegression

HERE = Path(__file__).parent
DATA = pd.concat([pd.read_csv(HERE / "predictions.csv.gz"), pd.read_csv(HERE / "double_ml.csv.gz")], axis=1)
N = len(DATA)
X = [f"x{j}" for j in range(5)]


def logit():
    return LogisticRegression(C=1e6, tol=1e-10, max_iter=10000)


def parts(folds):
    return [(np.where(folds != k)[0], np.where(folds == k)[0]) for k in np.unique(folds)]


SPLITS = [parts(np.arange(N) % 5)]


def table(outcome="y", treatment="w", covariates=X):
    return dml.DoubleMLData(DATA, y_col=outcome, d_cols=treatment, x_cols=covariates)


def fitted(model, splits=SPLITS, clusters=None):
    if clusters is None:
        model.set_sample_splitting(splits)
    else:
        model.set_sample_splitting(splits, clusters)
    model.fit()
    return model


def numbers(model, **more):
    return {"coef": np.ravel(model.coef).tolist(), "se": np.ravel(model.se).tolist(), **more}


def clustered():
    code = DATA.cluster.to_numpy().astype(int)
    labels = np.unique(code)
    groups = [[([labels[labels % 5 != k]], [labels[labels % 5 == k]]) for k in range(5)]]
    data = dml.DoubleMLClusterData(DATA, y_col="y", d_cols="w", x_cols=X, cluster_cols="cluster")
    return fitted(dml.DoubleMLPLR(data, LinearRegression(), logit(), n_folds=5), [parts(code % 5)], groups)


def two_way():
    one, two = DATA.cluster.to_numpy().astype(int), (np.arange(N) * 7) % 50
    data = dml.DoubleMLClusterData(
        DATA.assign(other=two), y_col="y", d_cols="w", x_cols=X, cluster_cols=["cluster", "other"]
    )
    a, b = np.unique(one), np.unique(two)
    splits, groups = [], []
    for k in range(2):
        for m in range(2):
            train, test = (one % 2 != k) & (two % 2 != m), (one % 2 == k) & (two % 2 == m)
            splits.append((np.where(train)[0], np.where(test)[0]))
            groups.append(([a[a % 2 != k], b[b % 2 != m]], [a[a % 2 == k], b[b % 2 == m]]))
    return fitted(dml.DoubleMLPLR(data, LinearRegression(), logit(), n_folds=2), [splits], [groups])


def repeated():
    at = np.arange(N)
    model = dml.DoubleMLPLR(table(), LinearRegression(), logit(), n_folds=5, n_rep=3)
    return fitted(model, [parts(at % 5), parts(at // 400), parts((at // 2) % 5)])


def main():
    irm = fitted(dml.DoubleMLIRM(table(), LinearRegression(), logit(), n_folds=5))
    groups = pd.DataFrame({"low": DATA.x1 <= 0, "high": DATA.x1 > 0})
    basis = pd.DataFrame({"1": np.ones(N), "x1": DATA.x1, "x2": DATA.x2})
    DATA["a"] = (DATA.w * (1 + np.arange(N) % 2)).astype(int)
    apos = fitted(
        dml.DoubleMLAPOS(table(treatment="a"), LinearRegression(), logit(), treatment_levels=[0, 1, 2], n_folds=5)
    )
    contrast = apos.causal_contrast(reference_levels=[0])
    dose = table(treatment="x2", covariates=["x0", "x1", "x3", "x4"])
    shared = {"ml_l": LinearRegression(), "ml_m": logit(), "n_folds": 5}
    many = repeated()
    found = {
        "about": "Computed by double_ml_reference.py beside this file.",
        "package": "DoubleML",
        "version": dml.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "plr": numbers(fitted(dml.DoubleMLPLR(table(), **shared))),
        "plr_iv": numbers(fitted(dml.DoubleMLPLR(table(), **shared, ml_g=LinearRegression(), score="IV-type"))),
        "irm": numbers(irm),
        "irm_gate": irm.gate(groups).summary.to_numpy().tolist(),
        "irm_cate": irm.cate(basis).summary.to_numpy().tolist(),
        "irm_atte": numbers(fitted(dml.DoubleMLIRM(table(), LinearRegression(), logit(), score="ATTE", n_folds=5))),
        "irm_hajek": numbers(
            fitted(dml.DoubleMLIRM(table(), LinearRegression(), logit(), normalize_ipw=True, n_folds=5))
        ),
        "irm_binary": numbers(fitted(dml.DoubleMLIRM(table("yb"), logit(), logit(), n_folds=5))),
        "plr_dose": numbers(fitted(dml.DoubleMLPLR(dose, LinearRegression(), LinearRegression(), n_folds=5))),
        "plr_clustered": numbers(clustered()),
        "plr_two_way": numbers(two_way()),
        "plr_repeated": numbers(many, all_coef=np.ravel(many.all_coef).tolist(), all_se=np.ravel(many.all_se).tolist()),
        "apos": numbers(
            apos,
            arm="w * (1 + row mod 2)",
            contrast=[np.ravel(contrast.thetas).tolist(), np.ravel(contrast.ses).tolist()],
        ),
    }
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
