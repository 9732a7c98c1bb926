"""The command line: answers on stdout, errors in one line on stderr with exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import causalkit as ck
from causalkit.cli import main
from causalkit.core.estimator import Estimator


def refused(capsys, *argv):
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("causalkit: ")
    assert "Traceback" not in err
    return err


def test_run(folder, capsys, study):
    assert main(["run", str(folder / "study.toml"), "--out", str(folder / "report.html")]) == 0
    out, err = capsys.readouterr()
    result = ck.OLS().fit(study, outcome="spend", treatment="arm", control="none", covariates=["age", "segment"])
    assert "Coupons\n=======" in out
    assert result.answer in out
    assert "wrote" in err
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert repr(result.estimate)[:10] in json.dumps(told)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>Coupons</title>" in page
    assert "coupon minus none" in page


@pytest.mark.parametrize("suffix", ["md", "tex", "json"])
def test_other_reports(folder, capsys, suffix):
    path = folder / f"report.{suffix}"
    assert main(["run", str(folder / "study.toml"), "--out", str(path)]) == 0
    assert "Coupons" in path.read_text(encoding="utf-8")


def test_run_without_a_report_writes_nothing(folder, capsys):
    before = sorted(path.name for path in folder.iterdir())
    assert main(["run", str(folder / "study.toml")]) == 0
    assert sorted(path.name for path in folder.iterdir()) == before


def test_check_estimates_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr(ck.OLS, "estimate", None)
    assert main(["check", str(folder / "study.toml")]) == 0
    out, _ = capsys.readouterr()
    assert "study.toml is valid." in out
    assert "300 rows, of which 300 would be used" in out
    assert "OLS(vcov='auto')" in out


def test_check_tells_what_would_be_left_out(folder, capsys, study):
    study.assign(spend=study["spend"].where(study.index > 2)).to_csv(folder / "study.csv", index=False)
    assert main(["check", str(folder / "study.toml")]) == 0
    assert "left out: 3 for missing outcome (spend)" in capsys.readouterr().out


def test_describe(folder, capsys, study):
    study.assign(age=study["age"].where(study.index > 0)).to_csv(folder / "study.csv", index=False)
    assert main(["describe", str(folder / "study.csv")]) == 0
    out, _ = capsys.readouterr()
    assert f"300 rows and {study.shape[1]} columns; 1 of the columns has missing values" in out
    rows = {line.split()[0]: line for line in out.splitlines() if line and line[0].isalpha() and "  " in line}
    assert "treatment (name control=)" in rows["arm"]
    assert "yes/no" in rows["offered"]
    assert "unit (every row has its own value)" in rows["customer"]
    assert "1 (0.3%)" in rows["age"]


def test_describe_tells_numbers_as_text(folder, capsys, study):
    study.assign(price=[f"${cents / 8:.2f}" for cents in range(300)]).to_csv(folder / "study.csv", index=False)
    assert main(["describe", str(folder / "study.csv")]) == 0
    assert "numbers as text" in capsys.readouterr().out


def test_list_names_every_estimator(capsys):
    assert main(["list"]) == 0
    out, _ = capsys.readouterr()
    kinds = {name: getattr(ck, name) for name in ck._PUBLIC}
    for name, kind in kinds.items():
        if isinstance(kind, type) and issubclass(kind, Estimator):
            assert f"\n{name} " in out


BROKEN = [
    ('source = "study.csv"', 'source = "nothing.csv"', "nothing.csv"),
    ('source = "study.csv"', 'sauce = "study.csv"', "Did you mean 'source'?"),
    ('source = "study.csv"', "source = 3", "names no source"),
    ('source = "study.csv"', 'source = "https://example.com/x.csv"', "only local files"),
    ('name = "OLS"', 'name = "OSL"', "Did you mean 'OLS'?"),
    ('name = "OLS"', "name = 5", "not the name of an estimator"),
    ('name = "OLS"', 'name = "datasets"', "is not an estimator"),
    ('name = "OLS"', 'vcov = "HC1"', "has no name"),
    ('name = "OLS"', 'name = "OLS"\nvcof = "HC1"', "Did you mean 'vcov'?"),
    ('name = "OLS"', 'name = "OLS"\nvcov = "HC9"', "'HC9' is not an option"),
    ("[estimator]", "[estimater]", "Did you mean 'estimator'?"),
    ('outcome = "spend"', 'outcome = "spent"', "Did you mean 'spend'"),
    ('outcome = "spend"', "outcome = 1", "outcome= has shape ()"),
    ('outcome = "spend"', "outcome = {a = 1}", "neither a column name nor numbers"),
    ('outcome = "spend"', "", "does not name the outcome"),
    ('outcome = "spend"', 'outcom = "spend"', "Did you mean 'outcome'?"),
    ('control = "none"', "", "control='coupon'"),
    ('control = "none"', 'control = "nobody"', "'nobody' is not a level"),
    ('title = "Coupons"', "title = 5", "is not text"),
    ('title = "Coupons"', 'titel = "x"', "Did you mean 'title'?"),
    ("[report]", '[then]\nname = "Targeting"\n[report]', "[[then]]"),
    ("[report]", "[[then]]\nvalue = 1\n[report]", "has no name"),
    ("[report]", '[[then]]\nname = "OLS"\n[report]', "can't follow a fit"),
    ("[report]", '[[then]]\nname = "__import__"\n[report]', "causalkit has no '__import__'"),
    ("[report]", "[[report]]", "[report] must be a table"),
    ("[data]", "[data", "is not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
@pytest.mark.parametrize("command", ["run", "check"])
def test_broken_studies(edit, capsys, command, old, new, message):
    assert message in refused(capsys, command, edit(old, new))


def test_files_that_are_not_there(tmp_path, capsys):
    assert "no study file" in refused(capsys, "run", str(tmp_path / "x.toml"))
    assert "x.csv" in refused(capsys, "describe", str(tmp_path / "x.csv"))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(capsys, "check", str(tmp_path / "b.toml"))
    assert "can't be read" in refused(capsys, "check", str(tmp_path))


@pytest.mark.parametrize(
    ("out", "message"), [("report.pdf", "no known suffix"), ("no/such/report.html", "does not exist")]
)
def test_a_report_that_could_not_be_written_stops_the_run_at_once(folder, capsys, monkeypatch, out, message):
    monkeypatch.setattr("causalkit.cli.source.load_source", None)
    study = folder / "study.toml"
    assert message in refused(capsys, "run", str(study), "--out", str(folder / out))


def test_a_directory_in_the_place_of_the_report(folder, capsys):
    (folder / "report.html").mkdir()
    assert main(["run", str(folder / "study.toml"), "--out", str(folder / "report.html")]) == 2
    err = capsys.readouterr().err
    assert err.count("causalkit:") == 1
    assert "report.html" in err
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".html", ".toml"]


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["run"], ["run", "a.toml", "--bogus"]])
def test_usage(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: causalkit" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"causalkit {ck.__version__}\n"


def _process(*argv, **changes):
    return subprocess.run(
        [sys.executable, "-m", "causalkit", *argv], capture_output=True, text=True, check=False, **changes
    )


def test_as_a_program(folder):
    done = _process("run", "study.toml", "--out", "report.html", cwd=folder)
    assert (done.returncode, (folder / "report.html").exists()) == (0, True), done.stderr
    (folder / "study.csv").unlink()
    done = _process("run", "study.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("causalkit: DataError: ")


def test_a_reader_that_leaves():
    code = f"{sys.executable} -m causalkit list | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
