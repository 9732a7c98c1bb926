"""Effective F, Anderson-Rubin, K and CLR on Card's and Mroz's data, whose sources ``weak_card_mroz.json`` names.

The tables come with linearmodels and are read from the folder that CAUSALKIT_REFERENCE_DATA names.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalkit.iv.anderson_rubin import ar_set, ar_test
from causalkit.iv.conditional_lr import clr_set, clr_test
from causalkit.iv.effective_f import effective_f
from causalkit.iv.iv_data import iv_data
from causalkit.iv.lagrange import lm_test
from causalkit.iv.weak_sets_form import reduced_form_of

FOUND = json.loads((Path(__file__).parent / "weak_card_mroz.json").read_text())["results"]
REGIONS = [f"reg66{region}" for region in range(2, 10)]
COVARIATES = {"card": ["exper", "expersq", "black", "smsa", "south", "smsa66", *REGIONS], "mroz": ["exper", "expersq"]}
FILES = {"card": "card.csv", "mroz": "mroz_lwage.csv"}


@pytest.fixture(scope="module")
def data():
    """Return projected data by name and kind."""
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")

    def make(name, kind):
        which = name.split("_")[0]
        if folder is None or not (Path(folder) / FILES[which]).exists():
            pytest.skip(f"{FILES[which]} may not be redistributed; CAUSALKIT_REFERENCE_DATA names no folder with it")
        table = pd.read_csv(Path(folder) / FILES[which]).astype(float)
        columns = [
            [table[column].to_numpy() for column in group] for group in (FOUND[name]["instruments"], COVARIATES[which])
        ]
        return iv_data(table["lwage"].to_numpy(), [table["educ"].to_numpy()], *columns, kind=kind)

    return make


@pytest.mark.parametrize("name", FOUND)
def test_effective_f(data, name):
    for kind, value in FOUND[name]["effective_f"].items():
        assert effective_f(data(name, kind)).statistic == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", FOUND)
def test_robust_anderson_rubin_set(data, name):
    form = reduced_form_of(data(name, "HC0"), chi_square=True)
    np.testing.assert_allclose(ar_set(form).intervals, FOUND[name]["ar_hc0"], atol=1e-11)


@pytest.mark.parametrize("name", [name for name in FOUND if "tests" in FOUND[name]])
def test_homoskedastic_tests_and_sets(data, name):
    columns = data(name, "iid")
    form, with_f = reduced_form_of(columns, chi_square=True), reduced_form_of(columns)
    for null, theirs in FOUND[name]["tests"].items():
        beta = float(null)
        ar, lm, clr = ar_test(form, beta), lm_test(form, beta), clr_test(form, beta)
        np.testing.assert_allclose([ar.statistic / ar.df1, ar.pvalue], theirs["ar"], rtol=1e-9)
        np.testing.assert_allclose(ar_test(with_f, beta).pvalue, theirs["ar_f"][1], rtol=1e-9)
        np.testing.assert_allclose([lm.statistic, lm.pvalue], theirs["lm"], rtol=1e-9)
        np.testing.assert_allclose([clr.statistic, clr.pvalue], theirs["clr"], rtol=1e-9)
    for alpha, theirs in FOUND[name]["sets"].items():
        np.testing.assert_allclose(ar_set(form, float(alpha)).intervals[0], theirs["ar"], atol=1e-10)
        np.testing.assert_allclose(ar_set(with_f, float(alpha)).intervals[0], theirs["ar_f"], atol=1e-10)
        # ivmodels finds the ends of CLR sets to 1e-6 only.
        np.testing.assert_allclose(clr_set(form, float(alpha)).intervals, FOUND[name]["clr_sets"][alpha], atol=1e-6)
