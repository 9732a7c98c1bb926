"""Functions of a family and operations of a result as steps of a study file."""

import pytest

from causalkit.cli import main
from causalkit.cli.calls import functions

STUDY = """
[data]
source = "simulated://feature_rollout"
[estimator]
name = "CallawaySantAnna"
base_period = "universal"
[roles]
outcome = "hours"
unit = "account"
time = "month"
cohort = "start"
[[then]]
name = "did.placebo_outcome"
outcome = "tickets"
[[then]]
name = "aggregate"
kind = "event_time"
"""

REFUSED = [
    ('outcome = "tickets"', 'outcome = "tocket"', "no column 'tocket'"),
    ('outcome = "tickets"', "", "does not name the outcome"),
    ('outcome = "tickets"', 'outcome = "tickets"\nperiods = 3', "no key 'periods'"),
    ('"did.placebo_outcome"', '"did.placebo_outcomes"', "Did you mean 'did.placebo_outcome'"),
    ('"did.placebo_outcome"', '"os.system"', "can't follow a fit"),
    ('"did.placebo_outcome"', '"report.write_report"', "can't follow a fit"),
    ('kind = "event_time"', 'kinds = "event_time"', "Did you mean 'kind'"),
    ("simulated://feature_rollout", "simulated://feature", "no simulator 'feature'"),
]


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_a_study_with_calls_runs(study, capsys):
    assert main(["check", str(study)]) == 0
    assert "then: did.placebo_outcome" in capsys.readouterr().out
    assert main(["run", str(study), "--out", str(study.with_suffix(".md"))]) == 0
    text = study.with_suffix(".md").read_text(encoding="utf-8")
    assert "Placebo outcomes" in text
    assert "each event time weighted alike" in text


@pytest.mark.parametrize(("old", "new", "told"), REFUSED)
def test_what_can_not_run_is_refused_at_the_check(study, capsys, old, new, told):
    assert old in STUDY
    study.write_text(STUDY.replace(old, new), encoding="utf-8")
    assert main(["check", str(study)]) == 2
    assert told in capsys.readouterr().err


def test_a_call_needs_an_estimator_of_its_family(study, capsys):
    text = STUDY.replace('"CallawaySantAnna"\nbase_period = "universal"', '"OLS"')
    text = text.replace('time = "month"\ncohort = "start"', 'treatment = "start"').replace('unit = "account"\n', "")
    study.write_text(text, encoding="utf-8")
    assert main(["check", str(study)]) == 2
    assert "does not go with OLS" in capsys.readouterr().err


def test_list_names_the_functions(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for name in functions():
        assert f"\n{name} " in said
