"""Steps that follow the fit: what configures them, and what names a column."""

from __future__ import annotations

import pytest

import causalkit as ck
from causalkit.cli import main
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


CHECKED = """
[data]
source = "study.csv"
[estimator]
name = "DRLearner"
n_folds = 2
regressor = "linear"
classifier = "linear"
[roles]
outcome = "spend"
treatment = "arm"
control = "none"
covariates = ["age", "segment"]
[[then]]
name = "Targeting"
cost = "visits"
[[then]]
name = "UpliftEvaluation"
"""

REFUSED = [
    ('regressor = "linear"', 'regressor = "forrest"', "regressor='forrest' is unknown"),
    ('classifier = "linear"', "classifier = 3", "classifier=3 is not a learner"),
    ('cost = "visits"', 'cost = "vists"', "no column 'vists'"),
    ('cost = "visits"', 'cluster = "shop"', "no column 'shop'"),
    ('cost = "visits"', 'weights = "segment"', "'segment' must be numeric"),
    ('cost = "visits"', 'covariates = ["spend"]', "'spend' is both"),
    ('cost = "visits"', "budget = -1", "budget=-1"),
    ('name = "UpliftEvaluation"', 'name = "UpliftEvaluation"\nqini = 1', "no key 'qini'"),
    ('name = "UpliftEvaluation"', 'name = "OLS"', "can't follow a fit"),
    ("n_folds = 2", "n_folds = 200", "fewer than n_folds=200"),
    ('name = "DRLearner"\nn_folds = 2', 'name = "AIPW"\nn_folds = 2', "Targeting needs effects person by person"),
]


@pytest.mark.parametrize(("old", "new", "told"), REFUSED)
def test_check_refuses_what_run_would_refuse(folder, capsys, old, new, told):
    path = folder / "study.toml"
    path.write_text(CHECKED, encoding="utf-8")
    assert main(["check", str(path)]) == 0
    capsys.readouterr()
    assert old in CHECKED
    path.write_text(CHECKED.replace(old, new), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    assert told in capsys.readouterr().err


def test_check_refuses_a_variance_without_its_clusters(folder, capsys):
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text.replace('name = "OLS"', 'name = "OLS"\nvcov = "CR2"'), encoding="utf-8")
    assert main(["check", str(folder / "study.toml")]) == 2
    assert "needs cluster=" in capsys.readouterr().err


def test_list_names_the_steps(capsys):
    assert main(["list"]) == 0
    _, _, steps = capsys.readouterr().out.partition("[[then]]")
    for name in ("Segmentation", "Targeting", "UpliftEvaluation"):
        assert f"\n{name} " in steps
