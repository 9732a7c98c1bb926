"""Double machine learning with instruments against DoubleML 0.11.4, statsmodels 0.15 and linearmodels 7.1.

The public estimator runs on the folds and learners of the references; numbers, versions and calls lie in
``double_ml_iv.json``, made by ``double_ml_iv_reference.py`` from the table of ``double_ml_iv_table.py``.
"""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalkit as ck
from causalkit.effects.double_ml_nuisance import Splits
from causalkit.effects.double_ml_setup import Setup

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "double_ml_iv.json").read_text())
MADE = runpy.run_path(str(HERE / "double_ml_iv_table.py"))
DATA, X, AT = MADE["table"](), MADE["X"], np.arange(MADE["N"])


@pytest.fixture
def on_folds(monkeypatch):
    """Let every repetition use given folds, in the order of the table."""

    def install(*repeats):
        original = Setup.learners

        def learners(self, run, repeat):
            return replace(original(self, run, repeat), splits=Splits.of(repeats[repeat][self.order]))

        monkeypatch.setattr(Setup, "learners", learners)

    return install


def logit():
    return LogisticRegression(C=1e6, tol=1e-10, max_iter=10000)


def pliv(instruments="z", outcome="y", treatment="d", n_repeats=1, **roles):
    estimator = ck.DoubleML(method="pliv", regressor=LinearRegression(), n_repeats=n_repeats, random_state=0)
    return estimator.fit(DATA, outcome=outcome, treatment=treatment, instruments=instruments, covariates=X, **roles)


def iivm(outcome="late", treatment="taken", **changes):
    given = {"regressor": LinearRegression(), "classifier": logit(), "random_state": 0, **changes}
    estimator = ck.DoubleML(**given)  # auto: a binary instrument of two arms
    return estimator.fit(DATA, outcome=outcome, treatment=treatment, instruments="offered", covariates=X)


def same(result, name, vcov="HC0"):
    reference = REFERENCE[name]
    assert result.estimate == pytest.approx(reference["coef"][0], abs=1e-9)
    assert result.with_vcov(vcov).se == pytest.approx(reference["se"][0], abs=1e-9)


@pytest.mark.parametrize(("name", "instruments"), [("pliv", "z"), ("pliv_two", ["z", "z2"])])
def test_doubleml_pliv(on_folds, name, instruments):
    on_folds(AT % 5)
    found = pliv(instruments)
    same(found, name)
    stage = REFERENCE[name]["first_stage"]  # statsmodels, on DoubleML's residuals
    np.testing.assert_allclose(found.first_stage.values, stage["coef"], atol=1e-9)
    np.testing.assert_allclose(found.first_stage.se, stage["se"], atol=1e-9)
    assert found.strength.statistic == pytest.approx(stage["F"], rel=1e-9)


def test_doubleml_pliv_of_arms(on_folds):
    on_folds(AT % 5)
    same(pliv("offered", "late", "taken"), "pliv_arms")


def test_doubleml_pliv_clusters(on_folds):
    on_folds(DATA["cluster"] % 5)
    same(pliv(cluster="cluster"), "pliv_clustered", "CR0")


def test_doubleml_pliv_repeated(on_folds):
    """The median is DoubleML's; the error is definition 3.3 of Chernozhukov et al., from DoubleML's single fits."""
    on_folds(AT % 5, AT // 180, (AT // 2) % 5)
    found = pliv(n_repeats=3)
    reference = REFERENCE["pliv_repeated"]
    assert found.estimate == pytest.approx(reference["coef"][0], abs=1e-9)
    single, se = np.array(reference["all_coef"]), np.array(reference["all_se"])
    expected = np.sqrt(np.median(900 / 899 * se**2 + (single - found.estimate) ** 2))
    assert found.se == pytest.approx(expected, abs=1e-9)


CASES = {
    "iivm": {},
    "iivm_one_sided": {"treatment": "one_sided", "always_takers": False},
    "iivm_binary": {"outcome": "bought", "regressor": None},
}


@pytest.mark.parametrize("name", list(CASES))
def test_doubleml_iivm(on_folds, name):
    on_folds(AT % 5)
    found = iivm(**CASES[name])
    same(found, name)
    reference = REFERENCE[name]
    assert found.compliers.values[0] == pytest.approx(reference["share"], abs=1e-9)
    # DoubleML inverts the same score with a normal critical value and no small-sample factor.
    (form,) = found.with_vcov("HC0").score_forms
    region = form.level_set(float(ndtri(0.975)) ** 2).intervals
    np.testing.assert_allclose(np.array(region) * found.unit, reference["robust_confset"], atol=1e-8)


def test_linearmodels_overidentification(on_folds):
    """linearmodels 7.1, ``IVGMM(u, None, w, v, weight_type="robust", center=False).fit(initial_weight=W, iter_limit=2)``.

    u, w and v are the residuals of the same folds; W is diagonal, one over the sums of squares of v w.
    """
    on_folds(AT % 5)
    found = pliv(["z", "z2"]).with_vcov("HC0").overidentification_test()
    assert found.statistic == pytest.approx(2.0699040416191634, rel=1e-8)
    assert found.df == 1.0


def test_a_test_of_several_instruments_by_least_squares(on_folds):
    """The statistic is the uncentred moment test of the residual ``u - theta w`` times the instruments, row by row."""
    on_folds(AT % 5)
    found = pliv(["z", "z2"]).with_vcov("HC0")
    x = np.column_stack([np.ones(len(AT)), *(DATA[name] for name in X)])

    def residual(column):
        out = np.empty(len(AT))
        for fold in range(5):
            train = fold != AT % 5
            out[~train] = column[~train] - x[~train] @ np.linalg.lstsq(x[train], column[train], rcond=None)[0]
        return out

    u, w, v = residual(DATA["y"]), residual(DATA["d"]), np.column_stack([residual(DATA["z"]), residual(DATA["z2"])])
    for theta in (-0.4, 0.7, 2.0):
        psi = v * (u - theta * w)[:, None]
        wanted = psi.sum(axis=0) @ np.linalg.solve(psi.T @ psi, psi.sum(axis=0))
        assert 2 * found.test(theta, method="ar").statistic == pytest.approx(wanted, rel=1e-9)
