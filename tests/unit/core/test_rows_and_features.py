"""Features: one schema for the fit and for new rows. Samples: rows that may be taken, and roles that may be replaced."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalkit.core.features import Schema
from causalkit.core.input_checks import missing_check
from causalkit.core.rows import Groups
from causalkit.core.sample import Number
from causalkit.data.frame import Frame
from causalkit.errors import DataError, DesignError
from causalkit.linear.ols import OLS

NAMES = ("x", "g", "b")
TABLE = pd.DataFrame({"x": [1.0, np.nan, 3.0], "g": ["v", "u", None], "b": [True, False, True]})


def schema():
    return Schema.of(Frame.read(TABLE), NAMES)


def test_codes_and_gaps():
    features = schema().read(Frame.read(TABLE))
    np.testing.assert_array_equal(features.values, [[1, 1, 1], [np.nan, 0, 0], [3, np.nan, 1]])
    assert features.schema.levels == (None, ("u", "v"), None)
    assert features.categorical == (1,)
    assert features.missing.tolist() == [False, True, True]


def test_new_rows_are_read_in_the_schema_of_the_fit():
    new = pd.DataFrame({"g": pd.Categorical(["v"], categories=["w", "v"]), "extra": [0], "b": [1], "x": [5]})
    assert schema().read(Frame.read(new)).values.tolist() == [[5.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"g": ["v", "zz", "yy"]}, r"'g' has 2 categories that the fit has not seen, first 'yy' in row 1"),
        ({"x": ["a", "b", "c"]}, r"'x' must be numeric"),
        ({"x": [1.0, np.inf, 2.0]}, r"'x' has 1 infinite value \(first in row 1\)"),
        ({"g": [1, 2, 3]}, r"'g' has 3 categories"),
    ],
)
def test_new_rows_that_do_not_fit(change, message):
    with pytest.raises(DataError, match=message) as caught:
        schema().read(Frame.read(TABLE.assign(**change)))
    assert caught.value.hint


def test_a_missing_column():
    with pytest.raises(DataError, match="no column 'x'"):
        schema().read(Frame.read(TABLE[["g", "b"]]))


def test_dates_are_no_covariate():
    with pytest.raises(DataError, match="'d' holds dates"):
        Schema.of(Frame.read(pd.DataFrame({"d": pd.date_range("2020-01-01", periods=3)})), ("d",))


def test_dummies():
    values, names = schema().read(Frame.read(TABLE)).dummies()
    assert names == ("x", "g[v]", "b")
    np.testing.assert_array_equal(values[:, 1], [1, 0, 0])


def test_no_covariates(study):
    sample = OLS().bind(study, outcome="spend", treatment="offered")
    assert sample.features().values.shape == (len(study), 0)
    assert sample.features().dummies()[0].shape == (len(study), 0)
    assert not sample.features().missing.any()


@pytest.fixture
def sample(study):
    roles = {"covariates": ["age", "segment"], "cluster": "store", "unit": "customer", "weights": "weight"}
    return OLS().bind(study, outcome="spend", treatment="offered", **roles)


def test_taken_rows_keep_everything_together(sample, study):
    at = np.array([5, 5, 290, 0])
    part = sample.take(at)
    rows = study.iloc[at]
    assert part.n == 4
    assert part.outcome.tolist() == rows["spend"].tolist()
    assert part.arms.codes.tolist() == rows["offered"].tolist()
    assert part.features().values[:, 0].tolist() == rows["age"].tolist()
    assert [part.groups("cluster").labels[code] for code in part.groups("cluster").codes] == rows["store"].tolist()
    assert part.rows.labels.tolist() == rows["customer"].tolist()
    assert part.rows.positions.tolist() == at.tolist()
    assert part.rows.token == sample.rows.token


def test_a_role_can_be_replaced(sample):
    changed = sample.with_column("outcome", Number(-sample.outcome, "minus spend"))
    assert OLS().estimate(changed).estimate == pytest.approx(-OLS().estimate(sample).estimate, rel=1e-12)
    assert sample.name("outcome") == "spend"
    assert changed.name("outcome") == "minus spend"


def test_roles_are_asked_for_by_kind(sample, study):
    with pytest.raises(DesignError, match="'unit' is not numeric"):
        sample.number("unit")
    with pytest.raises(DesignError, match="does not hold numeric columns"):
        sample.numbers("covariates")
    dose = OLS().bind(study, outcome="spend", treatment="dose")
    with pytest.raises(DesignError, match=r"a dose here.*control="):
        _ = dose.arms
    assert dose.optional("weights") is None
    assert dose.groups("cluster") is None
    assert dose.several("cluster") == ()
    assert dose.numbers("instruments") == ()


def test_groups_count_those_that_occur():
    assert Groups(np.array([0, 2, 2], dtype=np.int32), ("a", "b", "c")).count == 2


@pytest.mark.parametrize(("gaps", "status"), [(0, "pass"), (10, "pass"), (30, "warn")])
def test_missing_check(study, gaps, status):
    data = study.assign(spend=study["spend"].where(study.index >= gaps))
    check = missing_check(OLS().bind(data, outcome="spend", treatment="offered"))
    assert check.status == status
    assert bool(check.advice) == (status == "warn")
    if gaps:
        assert f"{gaps} of 300 rows" in check.message
        assert check.statistic == gaps / 300
