"""The difference-in-differences examples, as scripts and as study files, with what they must find."""

import json
import runpy
from pathlib import Path

import pytest

import causalkit as ck
from causalkit.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = ("rollout", "staggered", "castle")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("did")
    for name in STUDIES:
        assert main(["check", str(EXAMPLES / f"{name}.toml")]) == 0
        assert main(["run", str(EXAMPLES / f"{name}.toml"), "--out", str(folder / f"{name}.html")]) == 0
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in STUDIES}, folder


def part(report, title):
    return next(part for part in report["results"] if part["title"].startswith(title))


@pytest.mark.parametrize("name", STUDIES)
def test_each_report_is_one_offline_page_with_an_event_study(written, name):
    page = (written[1] / f"{name}.html").read_text(encoding="utf-8")
    assert "https://" not in page
    assert "time since the start" in page.lower()
    assert not list(written[1].glob("*_people.csv"))


def test_the_feature_has_the_effect_that_was_simulated(written):
    report = written[0]["rollout"]
    accounts = ck.datasets.feature_rollout()
    truth = accounts.loc[(accounts["start"] > 0) & (accounts["month"] >= 7), "true_effect"].mean()
    result = ck.CallawaySantAnna().fit(accounts, outcome="hours", unit="account", time="month", cohort="start")
    assert result.ci()[0] < truth < result.ci()[1]
    assert f"{result.estimate:.3f}" in part(report, "CallawaySantAnna")["answer"]
    assert part(report, "Placebo in time")["checks"]["placebo_in_time"]["status"] == "pass"
    assert part(report, "Placebo outcomes")["checks"]["placebo_outcome"]["status"] == "pass"


def test_two_way_fixed_effects_misses_the_truth_of_the_staggered_rollout(written):
    stores = ck.datasets.staggered_rollout()
    truth = stores.loc[stores["treated"] == 1, "true_effect"].mean()
    rows = {row["estimator"]: row for row in part(written[0]["staggered"], "Estimators compared")["table"]}
    assert (
        rows["CallawaySantAnna, never treated"]["ci_low"] < truth < rows["CallawaySantAnna, never treated"]["ci_high"]
    )
    assert rows["TWFE"]["ci_high"] < truth
    page = (written[1] / "staggered.html").read_text(encoding="utf-8")
    assert "Why the estimators differ" in page


def test_castle_tells_that_its_estimators_differ_by_their_base(written):
    rows = {row["estimator"]: row for row in part(written[0]["castle"], "Estimators compared")["table"]}
    assert rows["TWFE"]["estimate"] == pytest.approx(0.0693984, abs=1e-6)  # diff-diff 3.13.0
    assert rows["ImputationDiD"]["estimate"] > 3 * rows["CallawaySantAnna, not yet treated"]["estimate"]


@pytest.mark.parametrize("name", STUDIES)
def test_the_same_from_python(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert "CallawaySantAnna" in capsys.readouterr().out
    assert (tmp_path / f"{name}.html").stat().st_size > 10_000
