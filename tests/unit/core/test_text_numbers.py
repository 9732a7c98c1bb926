"""Numbers stored as text are refused as covariates; codes and categories are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.core.text_numbers import numbers_in_text

PRICES = [f"{price:.1f}" for price in np.linspace(10, 90, 60)]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"y": rng.normal(size=120), "t": np.arange(120) % 2, "x": PRICES * 2})


def fit(table):
    return ck.OLS().fit(table, outcome="y", treatment="t", covariates="x")


def test_numbers_as_text_are_refused(table):
    message = r"column 'x' holds numbers as text: 120 rows with 60 different ones, such as '10.0' in row 0.*to_numeric"
    with pytest.raises(ck.DataError, match=message):
        fit(table)
    assert fit(table.assign(x=pd.to_numeric(table["x"]))).coefficients.terms[-1] == "x"


def test_words_for_gaps_are_named(table):
    table.loc[3, "x"] = "n/a"
    with pytest.raises(ck.DataError, match=r"119 rows .* only 'n/a' is not"):
        fit(table)


def test_declared_categories_are_believed(table):
    assert len(fit(table.assign(x=table["x"].astype("category"))).coefficients) > 50


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (PRICES, True),
        ([str(age) for age in range(18, 80)], True),
        ([f"${n},{n}.50" for n in range(100, 120)], True),
        ([f"{n}%" for n in range(40)], True),
        ([f"1e-{n}" for n in range(20)], True),
        ([f"{n},5" for n in range(20)], True),
        (["1", "2", "3"], False),
        (["1.5", "2.0", "3.3"], False),
        ([f"{n:05d}" for n in range(900, 1000)], False),
        ([f"store {n}" for n in range(100)], False),
        ([str(n) for n in range(20)] + [f"word {n}" for n in range(20)], False),
        (list(range(100)), False),
        ([], False),
    ],
)
def test_what_is_a_number(labels, found):
    assert bool(numbers_in_text(tuple(labels))) is found
