"""The verdict on weak instruments, in words."""

import math
import sys
from pathlib import Path

import pytest

import causalkit as ck
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.weak_report import describe_set

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import ROLES, table


@pytest.mark.parametrize(("strength", "status"), [(0.6, "pass"), (0.27, "warn"), (0.05, "fail")])
def test_one_instrument(strength, status):
    fit = ck.IV().fit(table(strength), instruments=["z1"], **ROLES)
    check = fit.checks["weak_instruments"]
    assert check.status == status
    assert check.statistic == pytest.approx(fit.first_stage.effective_f)
    assert "23.11" in check.message
    assert "Anderson-Rubin" in check.message
    assert [row[0] for row in check.table.rows] == ["Anderson-Rubin", "tF", "Wald"]
    assert (check.advice == "") == (status == "pass")


def test_several_instruments():
    fit = ck.IV().fit(table(0.1), instruments=["z1", "z2", "z3"], **ROLES)
    check = fit.checks["weak_instruments"]
    assert check.status in ("warn", "fail")
    assert "CLR" in check.message
    assert 'method="clr"' in check.advice
    assert [row[0] for row in check.table.rows] == ["CLR", "Anderson-Rubin", "Wald"]


def test_liml_has_critical_values_of_its_own():
    data = table(0.3)
    said = [
        ck.IV(method=method).fit(data, instruments=["z1", "z2", "z3"], **ROLES).checks["weak_instruments"].message
        for method in ("2sls", "liml")
    ]
    assert said[0] != said[1]


def test_two_treatments():
    roles = {"outcome": "y", "treatment": ["d", "d2"], "instruments": ["z1", "z2", "z3"]}
    check = ck.IV().fit(table(0.05), **roles).checks["weak_instruments"]
    assert check.status == "warn"
    assert "conditional first-stage F" in check.message
    assert ck.IV().fit(table(1.0), **roles).checks["weak_instruments"].status == "pass"


def test_an_outcome_that_the_treatment_determines():
    fit = ck.IV().fit(table().assign(y=lambda t: 2 * t["d"]), outcome="y", treatment="d", instruments=["z1"])
    check = fit.checks["weak_instruments"]
    assert check.status == "untestable"
    assert "determine the outcome" in check.message


def test_sets_in_words():
    ray = (-math.inf, -1.0)
    assert "model itself is rejected" in describe_set(ConfidenceSet(()), "AR")
    assert "can't rule out any effect." in describe_set(ConfidenceSet.real_line(), "AR")
    assert "rule out effects between -1.000 and 2.000" in describe_set(ConfidenceSet((ray, (2.0, math.inf))), "AR")
    assert "rule out effects above -1.000" in describe_set(ConfidenceSet((ray,)), "AR")
    assert "rule out effects below 2.000" in describe_set(ConfidenceSet(((2.0, math.inf),)), "AR")
    assert "2 pieces" in describe_set(ConfidenceSet(((0.0, 1.0), (2.0, 3.0))), "AR", alpha=0.1)
    assert describe_set(ConfidenceSet(((0.0, 1.0),)), "AR", alpha=0.1) == "The 90% AR set is [0, 1.000]."


def test_sets_have_the_digits_of_other_numbers():
    fit = ck.IV().fit(table(0.6), instruments=["z1"], **ROLES)
    [low, high] = fit.ci(method="ar").intervals[0]
    for text in (fit.checks["weak_instruments"].table.rows[0][1], fit.checks["weak_instruments"].message):
        assert f"[{low:.4f}, {high:.4f}]" in text
    assert "95%" in fit.checks["weak_instruments"].message


def test_a_reading_does_not_repeat_its_set():
    weak = ck.IV().fit(table(0.02, seed=3), instruments=["z1"], **ROLES).checks["weak_instruments"].table
    for _, region, reading in weak.rows:
        assert region not in reading
        assert reading[0].isupper()


def test_the_first_stage_of_one_treatment_repeats_nothing():
    one = ck.IV().fit(table(0.6), instruments=["z1", "z2"], **ROLES)
    [passage] = [part for part in one.passages() if part.title == "First stage"]
    assert passage.table.columns == ("Treatment", "F", "pvalue", "df1", "df2", "Partial R²")
    assert passage.table.rows[0][3:5] == (2, 400 - 4)
    two = ck.IV().fit(table(1.0), outcome="y", treatment=["d", "d2"], instruments=["z1", "z2", "z3"])
    [passage] = [part for part in two.passages() if part.title == "First stage"]
    assert passage.table.columns[-1] == "Conditional F"
