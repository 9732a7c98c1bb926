"""Steps that follow the fit: what configures them, and what names a column."""

from __future__ import annotations

import pytest

import causalkit as ck
from causalkit.cli.study import Study
from causalkit.errors import DesignError

STUDY = """
[data]
source = "study.csv"
[estimator]
name = "DRLearner"
[roles]
outcome = "y"
treatment = "t"
covariates = ["x"]
[[then]]
name = "Targeting"
value = 5.0
cost = {cost}
"""


def step(tmp_path, cost):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(cost=cost), encoding="utf-8")
    return Study.read(path).steps[0]


def test_a_cost_is_a_number_or_a_column(tmp_path):
    fixed = step(tmp_path, "0.5")
    assert (fixed.tool, fixed.keywords) == (ck.Targeting(value=5.0, cost=0.5), {})
    column = step(tmp_path, '"price"')
    assert (column.tool, column.keywords) == (ck.Targeting(value=5.0), {"cost": "price"})
    with pytest.raises(DesignError, match="cost=-1"):
        step(tmp_path, "-1")
