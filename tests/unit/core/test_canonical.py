"""The canonical order: one order of rows, whatever the user's order, labels and column names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit.core.canonical import sorted_by
from causalkit.core.design import Design
from causalkit.linear.ols import OLS
from causalkit.testing.table import table

ROLES = {key: OLS.roles[key] for key in ("outcome", "treatment", "covariates", "cluster", "weights")}
GIVEN = {
    "outcome": "spend", "treatment": "arm", "control": "none", "covariates": ["age", "segment", "income"],
    "cluster": "store", "weights": "weight",
}  # fmt: skip
STUDY = table().iloc[:80]


def canonical(data, **changes):
    return Design(ROLES).bind(data, {**GIVEN, **changes}).canonical()


def fingerprint(sample):
    numbers = np.column_stack([sample.outcome, sample.arms.codes, sample.features().values, sample.number("weights")])
    return numbers.tobytes(), sample.groups("cluster").codes.tobytes()


@settings(max_examples=25)
@given(st.permutations(range(len(STUDY))))
def test_any_order_of_rows(order):
    assert fingerprint(canonical(STUDY.iloc[list(order)])) == fingerprint(canonical(STUDY))


@settings(max_examples=25)
@given(st.data())
def test_any_labels(data):
    def renamed(column):
        labels = sorted(STUDY[column].unique())
        new = data.draw(st.lists(st.text(min_size=1), min_size=len(labels), max_size=len(labels), unique=True))
        return STUDY[column].map(dict(zip(labels, new, strict=True)))

    changed = STUDY.assign(store=renamed("store"), segment=renamed("segment"))
    assert fingerprint(canonical(changed)) == fingerprint(canonical(STUDY))


def test_codes_are_numbered_by_first_appearance():
    codes = canonical(STUDY).groups("cluster").codes
    _, first = np.unique(codes, return_index=True)
    assert (np.diff(first) > 0).all()


def test_labels_stay_with_their_rows():
    sample = Design(ROLES).bind(STUDY, GIVEN)
    again = sample.canonical()
    groups = again.groups("cluster")
    assert [groups.labels[code] for code in groups.codes] == STUDY["store"].iloc[again.rows.positions].tolist()
    j = again.features().names.index("segment")
    levels = again.features().schema.levels[j]
    told = [levels[int(code)] for code in again.features().values[:, j]]
    assert told == STUDY["segment"].iloc[again.rows.positions].tolist()


@pytest.mark.parametrize("unused", [["x"], ["a", "zz"]])
def test_gaps_and_unused_levels(unused):
    import pandas as pd

    levels = [*unused, *STUDY["segment"].unique()]
    data = STUDY.assign(segment=pd.Categorical(STUDY["segment"], categories=levels))
    assert fingerprint(canonical(data)) == fingerprint(canonical(STUDY))


def test_no_columns_at_all():
    from causalkit.core.canonical import canonical_order
    from causalkit.core.rows import Rows
    from causalkit.core.sample import Sample

    assert canonical_order(Sample({}, Rows(np.arange(4), "t"), 4)).tolist() == [0, 1, 2, 3]


@settings(max_examples=200)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(0, 10_000))
def test_rows_are_sorted_as_by_all_keys_at_once(n, k, seed):
    rng = np.random.default_rng(seed)
    keys = [rng.choice([np.nan, -0.0, 0.0, 1.0, rng.normal()], n) for _ in range(k)]
    assert sorted_by(iter(keys), n).tolist() == np.lexsort(keys[::-1]).tolist()
