"""The hidden confounder: placebo tests pass, the negative control does not, and the page says what it would take."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "personalization.py"


def test_the_report_says_what_the_tests_can_not_see(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(SCRIPT))
    assert found["result"].ci()[0] > 3  # the truth is 1
    assert found["tests"].failed == ("negative_outcome",)
    assert 0.3 < found["sensitivity"].robustness_value < 0.9
    assert found["controls"].base is None
    told = capsys.readouterr().out
    assert "A common cause that was not measured: dealing the treatment out at random removes it." in told
    page = (tmp_path / "personalization.html").read_text(encoding="utf-8")
    assert "robustness value" in page
    assert "https://" not in page
