"""The front door finds the effect of smoking where adjustment can't."""

import runpy
from pathlib import Path

TRUTH = 0.75 * 0.20


def test_smoking(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "smoking.py"))
    said = capsys.readouterr().out
    assert "Identified (front-door)" in said
    assert "carry all of the effect" in said
    low, high = found["result"].ci()
    assert low < TRUTH < high
    assert found["biased"].ci()[0] > TRUTH
    page = (tmp_path / "smoking.html").read_text(encoding="utf-8")
    assert "https://" not in page
    assert "carry all of the effect" in page
