"""The data of a study file: columns renamed, values put into words."""

from __future__ import annotations

import pytest

import causalkit as ck
from causalkit.cli import main
from causalkit.cli.study import Study

WORDS = """
[data.rename]
spend = "money; DROP"
offered = "voucher"
[data.recode.voucher]
0 = "no voucher"
1 = "voucher"
[estimator]"""
ROLES = [
    ("[estimator]", WORDS),
    ('outcome = "spend"', 'outcome = "money; DROP"'),
    ('control = "none"', 'control = "no voucher"'),
]


@pytest.fixture
def renamed(folder):
    text = (folder / "study.toml").read_text(encoding="utf-8").replace('"arm"', '"voucher"')
    for old, new in ROLES:
        text = text.replace(old, new)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder / "study.toml"


def test_words(renamed, study, capsys):
    result = Study.read(renamed).run().parts[0]
    reference = ck.OLS().fit(study, outcome="spend", treatment="offered", covariates=["age", "segment"])
    assert result.estimate == pytest.approx(reference.estimate, rel=1e-12)
    assert result.effects.terms == ("voucher minus no voucher",)
    assert main(["run", str(renamed)]) == 0
    assert "voucher minus no voucher on money; DROP" in capsys.readouterr().out


def test_gaps_stay_gaps(renamed, study):
    study.assign(offered=study["offered"].where(study.index > 4)).to_csv(renamed.parent / "study.csv", index=False)
    result = Study.read(renamed).run().parts[0]
    assert result.dropped.reasons == (("missing treatment", "voucher", 5, 0),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('spend = "money; DROP"', 'spent = "money; DROP"', "There is no column 'spent'"),
        ('spend = "money; DROP"', 'spend = "age"', "More than one column is named 'age'"),
        ('spend = "money; DROP"', "spend = 5", "must give each column a new name"),
        ("[data.recode.voucher]", "[data.recode.vaucher]", "Did you mean 'voucher'"),
        ('1 = "voucher"', "", "has no word for 1"),
        ('1 = "voucher"', "1 = 1", "must give each value a word"),
        ("[data.recode.voucher]", "[data.recoded.voucher]", "Did you mean 'recode'?"),
    ],
)
def test_refused(renamed, capsys, old, new, message):
    text = renamed.read_text(encoding="utf-8")
    assert old in text
    renamed.write_text(text.replace(old, new), encoding="utf-8")
    assert main(["check", str(renamed)]) == 2
    assert message in capsys.readouterr().err
