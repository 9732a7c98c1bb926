from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.data.identity import token_of


class Table:
    pass


def test_same_object_same_token_and_others_differ():
    one, two = Table(), Table()
    assert token_of(one) == token_of(one)
    assert token_of(one) != token_of(two)


def test_an_object_without_weak_references_gets_a_fresh_token():
    plain = {"a": [1]}
    assert token_of(plain) != token_of(plain)


def test_tokens_of_dead_objects_are_forgotten():
    from causalkit.data import identity

    table = Table()
    token_of(table)
    key = id(table)
    assert key in identity._known
    del table
    assert key not in identity._known


def sort_in_place(table, by):
    order = np.argsort(table[by].to_numpy(), kind="stable")
    for name in table:
        table[name] = table[name].to_numpy()[order]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"y": rng.normal(size=2000), "t": rng.integers(0, 2, 2000), "name": rng.choice(list("abc"), 2000)}
    )


@pytest.mark.parametrize("column", ["y", "name"])
def test_a_table_sorted_in_place_is_another_table(table, column):
    before = token_of(table)
    sort_in_place(table, column)
    after = token_of(table)
    assert after != before
    assert token_of(table) == after


def test_columns_may_come_and_go(table):
    before = token_of(table)
    table["x"] = 1.0
    assert token_of(table) == before
    del table["name"]
    assert token_of(table) == before
    sort_in_place(table, "x")  # nothing moves
    assert token_of(table) == before


def test_an_array_changed_in_place_is_another_array():
    scores = np.random.default_rng(0).normal(size=100)
    before = token_of(scores)
    assert token_of(scores) == before
    scores.sort()
    assert token_of(scores) != before


def test_results_before_and_after_an_in_place_sort_do_not_subtract(table):
    roles = {"outcome": "y", "treatment": "t"}
    first = ck.OLS().fit(table, **roles)
    assert (first - ck.OLS(vcov="HC0").fit(table, **roles)).estimate == 0.0
    sort_in_place(table, "y")
    with pytest.raises(ck.InferenceUnavailable, match="unit="):
        first - ck.OLS().fit(table, **roles)
