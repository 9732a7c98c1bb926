"""Binding: a table becomes arrays once, or one error says what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalkit.core.design import Design
from causalkit.core.roles import Role
from causalkit.errors import DataError, DesignError

ROLES = {
    "outcome": Role("number"),
    "treatment": Role("treatment"),
    "covariates": Role("features", required=False, many=True, native_missing=True),
    "instruments": Role("number", required=False, many=True),
    "cluster": Role("label", required=False, many=True),
    "unit": Role("label", required=False),
    "weights": Role("weights", required=False),
    "propensity": Role("propensity", required=False),
}


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "y": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0],
            "t": [0, 1, 0, 1, None, 0],
            "x": [1.0, np.nan, 3.0, 4.0, 5.0, 6.0],
            "g": ["a", "b", "a", None, "b", "a"],
            "w": [1, 1, 1, 1, 1, 0],
            "id": [3, 1, 2, 5, 4, 6],
            "p": [0.5, 0.4, 0.3, 0.2, 0.1, 0.9],
        }
    )


def bind(table, **given):
    return Design(ROLES).bind(table, {"outcome": "y", "treatment": "t", **given})


def test_drop_is_the_default_and_tells_every_reason_once(table):
    sample = bind(table, covariates=["x", "g"], weights="w")
    assert sample.rows.positions.tolist() == [0]
    assert sample.n_input == 6
    assert sample.dropped.total == 5
    assert set(sample.dropped.reasons) == {
        ("missing treatment", "t", 1, 4),
        ("missing outcome", "y", 1, 2),
        ("missing covariates", "x", 1, 1),
        ("missing covariates", "g", 1, 3),
        ("weight of zero", "w", 1, 5),
    }


def test_one_arm_left_after_dropping_is_refused():
    table = pd.DataFrame({"y": [1.0, None, 2.0], "t": [0, 1, 0]})
    with pytest.raises(DesignError, match=r"'t' has no row with 1 among 2 after 1 rows were dropped"):
        bind(table)


@pytest.fixture(autouse=True)
def _one_row_may_be_enough(request, monkeypatch):
    if request.node.name == "test_drop_is_the_default_and_tells_every_reason_once":
        monkeypatch.setattr("causalkit.core.design._require_arms", lambda *_: None)


def test_native_keeps_covariate_gaps_only(table):
    sample = bind(table, covariates=["x", "g"], missing="native")
    assert sample.rows.positions.tolist() == [0, 1, 3, 5]
    assert np.isnan(sample.features().values[1, 0])
    assert np.isnan(sample.features().values[2, 1])


def test_native_is_refused_where_nothing_can_keep_gaps(table):
    roles = {**ROLES, "covariates": Role("features", required=False, many=True)}
    with pytest.raises(DesignError, match=r"'native' is not offered.*'drop' or 'raise'"):
        Design(roles).bind(table, {"outcome": "y", "treatment": "t", "missing": "native"})


def test_raise_names_column_count_and_row(table):
    with pytest.raises(DataError, match=r"column 't' has 1 missing values \(first in row 4\)") as caught:
        bind(table, missing="raise")
    assert (caught.value.column, caught.value.rows) == ("t", (4,))
    whole = table.fillna({"y": 3.0, "t": 1})
    assert bind(whole, weights="w", missing="raise").n == 5


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT])
def test_every_kind_of_gap(table, gap):
    labels = pd.Series(["a", gap, "b", "b", "a", "a"], dtype=object)
    sample = bind(table.fillna({"y": 3.0, "t": 1}).assign(g=labels), cluster="g")
    assert sample.rows.positions.tolist() == [0, 2, 3, 4, 5]


def test_arrays_are_aligned_before_rows_are_dropped(table):
    sample = bind(table, weights=np.arange(1.0, 7.0))
    assert sample.rows.positions.tolist() == [0, 1, 3, 5]
    assert sample.number("weights").tolist() == [1.0, 2.0, 4.0, 6.0]
    assert bind(table, cluster=np.array(list("uvwxyz"))).groups("cluster").codes.tolist() == [0, 1, 3, 5]
    with pytest.raises(DesignError, match=r"weights= has shape \(3,\), the table has 6 rows"):
        bind(table, weights=np.ones(3))
    with pytest.raises(DesignError, match=r"cluster= has shape \(3,\)"):
        bind(table, cluster=np.ones(3))


def test_the_array_is_copied(table):
    weights = np.ones(6)
    sample = bind(table, weights=weights)
    weights[:] = 7
    assert sample.number("weights").tolist() == [1.0] * 4


def test_arrays_of_the_sample_are_read_only(table):
    sample = bind(table, covariates=["x"], cluster="g", weights="w", missing="native")
    for array in (
        sample.outcome,
        sample.arms.codes,
        sample.features().values,
        sample.several("cluster")[0].codes,
        sample.rows.positions,
    ):
        assert not array.flags.writeable


def test_several_columns(table):
    sample = bind(table, instruments=["p", "id"], cluster=["g", "id"])
    assert [column.name for column in sample.numbers("instruments")] == ["p", "id"]
    assert [groups.name for groups in sample.several("cluster")] == ["g", "id"]
    assert sample.groups("cluster") is None
    assert bind(table, cluster=["g"]).groups("cluster").name == "g"
    assert [groups.name for groups in bind(table, cluster=["g"]).several("cluster")] == ["g"]
    assert bind(table, cluster="g").several("cluster")[0].name == "g"


@pytest.mark.parametrize("propensity", [0.3, "p", [0.5, 0.4, 0.3, 0.2, 0.1, 0.9]])
def test_propensity_is_a_number_a_column_or_an_array(table, propensity):
    found = bind(table, propensity=propensity).number("propensity")
    whole = np.full(6, 0.3) if propensity == 0.3 else table["p"].to_numpy()
    assert found.tolist() == whole[[0, 1, 3, 5]].tolist()


@pytest.mark.parametrize("propensity", [0.0, 1.0, -0.5, 2])
def test_propensity_is_a_probability(table, propensity):
    with pytest.raises(DataError, match=r"6 values outside \(0, 1\)"):
        bind(table, propensity=propensity)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"outcome": None}, r"outcome= is missing"),
        ({"outcome": ["y", "x"]}, r"outcome= takes one column, got 2"),
        ({"outcome": 5}, r"outcome= has shape \(\)"),
        ({"outcome": {"a": 1}}, r"neither a column name nor numbers"),
        ({"covariates": ["x", "x"]}, r"'x' is listed twice"),
        ({"covariates": [1, 2]}, r"does not name columns"),
        ({"covariates": ["x", "y"]}, r"'y' is both outcome and covariates"),
        ({"covariates": "t"}, r"'t' is both treatment and covariates"),
        ({"instruments": ["x"], "covariates": ["x"]}, r"'x' is both covariates and instruments"),
        ({"weights": "y"}, r"'y' is both outcome and weights"),
        ({"cluster": "t"}, r"'t' is both treatment and cluster"),
        ({"missing": "bogus"}, r"missing='bogus' is not an option"),
    ],
)
def test_refused(table, given, message):
    with pytest.raises(DesignError, match=message) as caught:
        bind(table, **given)
    assert caught.value.hint


def test_a_column_may_be_cluster_and_unit_and_covariate(table):
    assert bind(table, unit="id", cluster="id", covariates="id").n == 4


def test_empty_and_all_missing(table):
    with pytest.raises(DataError, match="no rows"):
        bind(table.iloc[:0])
    with pytest.raises(
        DataError, match=r"no row is left.*1 by missing treatment \('t'\); 5 by missing outcome \('y'\)"
    ):
        bind(table.assign(y=None))


def test_units_are_kept_as_labels(table):
    assert bind(table, unit="id").rows.labels.tolist() == [3, 1, 5, 6]
    assert bind(table).rows.labels is None


def test_the_same_table_has_the_same_token(table):
    assert bind(table).rows.token == bind(table, covariates="p").rows.token
    assert bind(table).rows.token != bind(table.copy()).rows.token


def test_only_named_columns_of_a_lazy_table_are_read(table):
    polars = pytest.importorskip("polars")
    lazy = polars.from_pandas(table[["y", "t", "x"]]).lazy()
    bad = lazy.with_columns(polars.col("x").map_batches(lambda _: 1 / 0, return_dtype=polars.Float64))
    assert bind(bad).n == 4


def test_attrition_by_arm_is_kept(table):
    assert bind(table).dropped.by_arm == ((0, 3, 1), (1, 2, 0))
