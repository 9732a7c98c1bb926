"""Many-instrument estimates and jackknives against R's ManyIV on the census of 1980 (Angrist and Krueger 1991).

The table is not shipped: it is read from the folder that the environment variable CAUSALKIT_REFERENCE_DATA names.
``manyiv_R.json`` holds package, version and calls.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from causalkit.iv.jackknife import from_projections, jackknife_fit
from causalkit.iv.jackknife import projections as prepare
from causalkit.iv.many_instruments import many_instrument_fit

R = json.loads((Path(__file__).parent / "manyiv_R.json").read_text())


@cache
def _census():
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (path := Path(folder) / "ak80.csv.gz").exists():
        pytest.skip(
            "the census extract is not shipped; CAUSALKIT_REFERENCE_DATA does not name a folder with ak80.csv.gz"
        )
    import pandas as pd

    table = pd.read_csv(path, usecols=["lwage", "education", "qob", "yob", "sob"])
    codes = {name: pd.factorize(table[name])[0].astype(np.int32) for name in ("qob", "yob", "sob")}
    return table["lwage"].to_numpy(float), table["education"].to_numpy(float), codes


def _design(name, codes):
    by_year, by_state = codes["yob"] * 4 + codes["qob"], codes["sob"] * 4 + codes["qob"]
    return {
        "qob by yob": {"labels": [by_year], "absorb": [codes["yob"]]},
        "qob by yob and qob by sob": {"labels": [by_year, by_state], "absorb": [codes["yob"], codes["sob"]]},
        "qob": {"labels": [codes["qob"]]},
    }[name]


@pytest.mark.parametrize("name", list(R["cases"]))
def test_k_class(name):
    y, D, codes = _census()
    fit, case = many_instrument_fit(y, D, **_design(name, codes)), R["cases"][name]
    assert (fit.kept.n_instruments, fit.kept.controls.rank) == (case["instruments"], case["controls"])
    for estimate in ("ols", "2sls", "liml", "mbtsls"):
        for field, value in case[estimate].items():
            assert getattr(fit.estimates[estimate], field) == pytest.approx(value, rel=1e-9), (estimate, field)


def test_jackknife():
    y, D, codes = _census()
    kept = prepare(y.size, **_design("qob by yob", codes))
    for method, case in R["jackknife"].items():
        if method == "call":
            continue
        fit = from_projections(y, D, kept, None, method)
        for field, value in case.items():
            assert getattr(fit, field) == pytest.approx(value, rel=3e-9), (method, field)
    assert fit.first_stage_f == pytest.approx(4.9, abs=0.05)


def test_group_means_in_extended_precision():
    """R's last digits of UJIVE (2e-9 of the estimate) are rounding; group means in 80 bits decide between the two."""
    y, D, codes = _census()
    year, cell = codes["yob"], codes["yob"] * 4 + codes["qob"]
    y, D = y.astype(np.longdouble), D.astype(np.longdouble)

    def mean(values, by):
        sums = np.zeros(by.max() + 1, dtype=np.longdouble)
        np.add.at(sums, by, values)
        return (sums / np.bincount(by))[by]

    h, p = ((np.longdouble(1) / np.bincount(by))[by] for by in (cell, year))
    fitted = mean(D, cell) - mean(D, year) - (D - mean(D, cell)) * (h - p) / (1 - h)
    exact = float((fitted @ (y - y.mean())) / (fitted @ D))
    fit = jackknife_fit(y.astype(float), D.astype(float), labels=[cell], absorb=[year])
    assert fit.estimate == pytest.approx(exact, rel=1e-11)


def test_nothing_changes_where_the_labels_are_columns():
    y, D, codes = _census()
    Z = (codes["qob"][:, None] == np.arange(1, 4)).astype(float)
    one, two = jackknife_fit(y, D, labels=[codes["qob"]]), jackknife_fit(y, D, Z=Z)
    assert one.estimate == pytest.approx(two.estimate, rel=1e-9)
    assert one.se_constant_effect == pytest.approx(two.se_constant_effect, rel=1e-9)
