"""The marketing funnel tells good controls from bad ones."""

import runpy
from pathlib import Path


def test_the_funnel(capsys):
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "funnel.py"))
    said = capsys.readouterr().out
    assert "Identified (adjustment)" in said
    assert "season, intent and search: fine" in said
    assert "visit must not be adjusted for" in said
    assert "Identified (front-door)" in said
