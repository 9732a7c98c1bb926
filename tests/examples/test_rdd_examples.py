"""The regression discontinuity examples, as scripts and as study files, with what they must find."""

import json
import runpy
from pathlib import Path

import pytest

from causalkit.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = ("elections", "eligibility")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rdd")
    for name in STUDIES:
        assert main(["check", str(EXAMPLES / f"{name}.toml")]) == 0
        assert main(["run", str(EXAMPLES / f"{name}.toml"), "--out", str(folder / f"{name}.html")]) == 0
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in STUDIES}, folder


@pytest.mark.parametrize("name", STUDIES)
def test_each_report_is_one_offline_page_with_the_figure_of_the_jump(written, name):
    page = (written[1] / f"{name}.html").read_text(encoding="utf-8")
    assert "https://" not in page
    assert "<svg" in page
    assert "bandwidth" in page.lower()


def test_a_seat_is_worth_nine_points_of_the_vote_as_rdrobust_says(written):
    # rdrobust 2.1.1: rdrobust(demvoteshare, lagdemvoteshare, c=0.5, cluster=seat) on the rows without a missing share
    part = written[0]["elections"]["results"][0]
    rows = {row["term"]: row for row in part["table"]}
    assert rows["conventional"]["estimate"] == pytest.approx(0.08935048825184372, rel=1e-8)
    assert rows["conventional"]["se"] == pytest.approx(0.00841233037715567, rel=1e-8)
    assert rows["robust"]["estimate"] == pytest.approx(0.08775723569770705, rel=1e-8)
    assert rows["robust"]["se"] == pytest.approx(0.009857924247409519, rel=1e-8)
    assert "fail" not in {check["status"] for check in part["checks"].values()}


def test_the_advice_is_worth_what_was_simulated_and_its_set_is_told(written):
    part = written[0]["eligibility"]["results"][0]
    rows = {row["term"]: row for row in part["table"]}
    assert rows["robust"]["ci_low"] < 5 < rows["robust"]["ci_high"]
    page = (written[1] / "eligibility.html").read_text(encoding="utf-8")
    assert "First stage" in page
    assert "The 95% set of effects is" in page


@pytest.mark.parametrize("name", STUDIES)
def test_the_same_from_python(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert "RegressionDiscontinuity" in capsys.readouterr().out
    assert (tmp_path / f"{name}.html").stat().st_size > 10_000
