"""Weak-instrument tests and sets against ivmodels 0.10.0 (``make_ivmodels.py`` wrote the numbers)."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from causalkit.iv.anderson_rubin import ar_level_set, ar_set, ar_test, critical_value, statistics, tail
from causalkit.iv.conditional_lr import clr_test, likelihood_ratio
from causalkit.iv.iv_data import iv_data
from causalkit.iv.lagrange import lm_test
from causalkit.iv.subvector import joint_lm_test, subvector_ar_set, subvector_ar_test
from causalkit.iv.weak_sets_chart import roots_of_identification
from causalkit.iv.weak_sets_form import reduced_form_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from weak_table import weak_table  # noqa: E402

FOUND = json.loads((HERE / "ivmodels.json").read_text())


def form(key, m, chi_square=True):
    q, strength = key.split(",")
    y, d, z, w = weak_table(int(q), float(strength))
    return reduced_form_of(iv_data(y, list(d[:, :m].T), list(z.T), list(w.T), kind="iid"), chi_square=chi_square)


def ends(text):
    return [[float(end) for end in piece.strip("[] ").split(",")] for piece in text.split("U")]


@pytest.mark.parametrize("key", FOUND["one"])
def test_tests_of_one_treatment(key):
    ours, with_f = form(key, 1), form(key, 1, chi_square=False)
    for null, theirs in FOUND["one"][key]["tests"].items():
        beta = float(null)
        found = ar_test(ours, beta)
        np.testing.assert_allclose([found.statistic / found.df1, found.pvalue], theirs["ar"], rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(ar_test(with_f, beta).pvalue, theirs["ar_f"][1], rtol=1e-9, atol=1e-13)
        found = lm_test(ours, beta)
        np.testing.assert_allclose([found.statistic, found.pvalue], theirs["lm"], rtol=1e-9, atol=1e-13)
        found = clr_test(ours, beta)
        np.testing.assert_allclose([found.statistic, found.pvalue], theirs["clr"], rtol=1e-9, atol=1e-13)
        ratio = float(likelihood_ratio(statistics(ours, ours.direction(beta)[None, :]))[0])
        np.testing.assert_allclose([ratio, tail(ratio, 1, np.inf)], theirs["lr"], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("key", FOUND["one"])
@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
def test_sets_of_one_treatment(key, alpha):
    theirs = FOUND["one"][key]["sets"][str(alpha)]
    ours = form(key, 1)
    np.testing.assert_allclose(ar_set(ours, alpha).to_list(), ends(theirs["ar"]), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(
        ar_set(form(key, 1, False), alpha).to_list(), ends(theirs["ar_f"]), rtol=1e-9, atol=1e-13
    )
    ratio = ar_level_set(ours, roots_of_identification(ours)[0] + critical_value(alpha, 1, np.inf))
    np.testing.assert_allclose(ratio.to_list(), ends(theirs["lr"]), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("key", FOUND["two"])
def test_two_treatments(key):
    ours = form(key, 2)
    for null, theirs in FOUND["two"][key]["tests"].items():
        beta = np.array([float(null), 0.5])
        joint = ar_test(ours, beta)
        np.testing.assert_allclose(
            [joint.statistic / joint.df1, joint.pvalue], theirs["joint_ar"], rtol=1e-9, atol=1e-13
        )
        score = joint_lm_test(ours, beta)
        np.testing.assert_allclose([score.statistic, score.pvalue], theirs["joint_lm"], rtol=1e-9, atol=1e-13)
        one = subvector_ar_test(ours, 0, float(null))
        np.testing.assert_allclose([one.statistic / one.df1, one.pvalue], theirs["subvector_ar"], rtol=1e-9, atol=1e-13)
    for alpha, text in FOUND["two"][key]["sets"].items():
        np.testing.assert_allclose(subvector_ar_set(ours, 0, float(alpha)).to_list(), ends(text), rtol=1e-9, atol=1e-13)
