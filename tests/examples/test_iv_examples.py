"""The instrumental-variables examples, as scripts and as study files, with what they must find."""

import json
import runpy
from pathlib import Path

import pytest

import causalkit as ck
from causalkit.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = ("schooling", "encouragement")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iv")
    for name in STUDIES:
        assert main(["check", str(EXAMPLES / f"{name}.toml")]) == 0
        assert main(["run", str(EXAMPLES / f"{name}.toml"), "--out", str(folder / f"{name}.html")]) == 0
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in STUDIES}, folder


def test_the_return_to_schooling_is_what_linearmodels_says(written):
    # linearmodels 7.1: IV2SLS(lwage, [1, exper, black, smsa, south], educ, nearc4).fit(cov_type="robust", debiased=True);
    # the same without instruments for least squares
    row = written[0]["schooling"]["results"][0]["table"][0]
    assert row["estimate"] == pytest.approx(0.13184970105248794, rel=1e-10)
    assert row["se"] == pytest.approx(0.04883878013714644, rel=1e-10)
    men = ck.datasets.load("close_college")
    least = ck.OLS().fit(men, outcome="lwage", treatment="educ", covariates=["exper", "black", "smsa", "south"])
    assert least.estimate == pytest.approx(0.07380700146403285, rel=1e-10)


def test_the_effect_on_those_whom_the_invitation_moved_is_found(written):
    users = ck.datasets.feature_encouragement()
    moved = users.loc[users["kind"] == "if invited", "true_effect"].mean()
    row = written[0]["encouragement"]["results"][0]["table"][0]
    assert row["ci_low"] < moved < row["ci_high"]
    assert users.loc[users["used"] == 1, "spend"].mean() - users.loc[users["used"] == 0, "spend"].mean() > 2 * moved


@pytest.mark.parametrize("name", STUDIES)
def test_each_report_is_one_offline_page_with_the_first_stage(written, name):
    page = (written[1] / f"{name}.html").read_text(encoding="utf-8")
    assert "https://" not in page
    assert "First stage" in page
    assert "However weak the instruments are" in page


@pytest.mark.parametrize("name", STUDIES)
def test_scripts_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert "95% interval" in capsys.readouterr().out
    assert (tmp_path / f"{name}.html").exists()
