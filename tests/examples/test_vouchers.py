"""The main example as a user runs it, and what it says when there is nothing to find."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vouchers")
    assert main(["run", str(EXAMPLES / "vouchers.toml"), "--out", str(folder / "vouchers.html")]) == 0
    return folder


def test_the_study_is_valid(capsys):
    assert main(["check", str(EXAMPLES / "vouchers.toml")]) == 0
    said = capsys.readouterr().out
    assert "2,830 would be used" in said
    assert "67 for missing outcome (fetching the result)" in said


def test_the_report_is_one_small_offline_file(run):
    page = (run / "vouchers.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 500_000
    assert "http://" not in page.replace("http://www.w3.org/", "")  # names of SVG, never fetched
    assert "https://" not in page
    assert page.count("<script") == 2  # the budget slider, inline: its numbers and its code
    assert "<script src" not in page
    order = [
        page.index(f">{title}") for title in ("What we found", "Whom to treat", "How sure we are", "Which assumptions")
    ]
    assert order == sorted(order)


def test_the_numbers_are_those_of_the_experiment(run):
    report = json.loads((run / "vouchers.json").read_text(encoding="utf-8"))
    text = json.dumps(report)
    assert "missing_outcomes" in text
    people = ck.datasets.load("thornton_hiv").dropna(subset=["got", "any", "villnum"])
    shares = people.astype(float).groupby("any")["got"].mean()
    model = next(part for part in report["results"] if part.get("estimator", {}).get("name") == "CausalForest")
    # Adjusting for covariates moves a randomized comparison by little.
    assert abs(model["table"][0]["estimate"] - (shares[1.0] - shares[0.0])) < 0.01


def test_everybody_is_on_the_list(run):
    people = pd.read_csv(run / "vouchers_people.csv")
    assert len(people) == 2830
    assert people["row"].is_unique
    assert people["treat"].sum() == 1000
    assert set(people["segment"]) == {"persuadable"}


def test_the_same_from_python(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "vouchers.py"))
    assert "persuadable" in capsys.readouterr().out
    assert (tmp_path / "vouchers.html").stat().st_size > 10_000
    lines = (EXAMPLES / "vouchers.py").read_text().splitlines()
    assert sum(bool(line.strip()) and not line.startswith(('"""', "import")) for line in lines) < 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shuffled_treatment_finds_nothing_and_targets_nobody(tmp_path, capsys, seed):
    people = ck.datasets.load("thornton_hiv")
    randomized = people["any"].notna().to_numpy()
    shuffled = people.loc[randomized, "any"].to_numpy(float)
    people = people.astype(float)
    people.loc[randomized, "any"] = np.random.default_rng(seed).permutation(shuffled)
    people.to_csv(tmp_path / "shuffled.csv", index=False)
    study = (EXAMPLES / "vouchers.toml").read_text().replace("../datasets/thornton_hiv.csv", "shuffled.csv")
    (tmp_path / "shuffled.toml").write_text(study)
    assert main(["run", str(tmp_path / "shuffled.toml"), "--out", str(tmp_path / "report.html")]) == 0
    said = capsys.readouterr().out
    assert "No evidence of heterogeneity" in said
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No evidence of heterogeneity" in page
    model = ck.DRLearner(random_state=0).fit(
        people, outcome="got", treatment="any", covariates=["age", "distvct", "hiv2004"], cluster="villnum"
    )
    labels = np.asarray(ck.Segmentation(random_state=0).fit(people, effect=model).segments)
    assert (labels == "undecided").mean() > 0.9
    plan = ck.Targeting(value=5.0, cost=1.0, budget=1000.0, random_state=0).fit(people, effect=model)
    assert plan.assignment.sum() == 0
