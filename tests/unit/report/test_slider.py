"""A slider in a page: escaped, allowed by hash only, a table without scripts, and moved in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from causalkit.core.passage import Passage
from causalkit.core.slider import Slider
from causalkit.errors import DesignError
from causalkit.report import compose, to_html
from causalkit.report.slider import SCRIPT

EVIL = '</script><script>alert(1)</script>&"<b>'


def _slider(label="Budget"):
    return Slider(
        label=label,
        stops=("0", "10", "20"),
        readings=(("Profit", ("none", "some", f"much {EVIL}")), ("People", ("0", "5", "9"))),
        start=1,
        x=(0.0, 10.0, 20.0),
        y=(0.0, 4.0, 5.0),
        low=(0.0, 1.0, 1.5),
        high=(0.0, 7.0, 8.5),
        ylabel="Profit",
    )


class Owner:
    title = "Whom to treat"
    plots = ()
    checks: dict = {}  # noqa: RUF012

    def passages(self):
        slider = _slider(EVIL)
        return (Passage("action", "Other budgets", ("Move it.",), slider.to_table(), slider=slider),)

    def to_dict(self):
        return {}


@pytest.fixture(scope="module")
def page():
    return to_html(compose(Owner()))


def test_only_the_one_script_may_run(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    assert policy.startswith("default-src 'none'")
    assert page.count(f"<script>{SCRIPT}</script>") == 1
    for word in ("innerHTML", "eval", "fetch", "http", "Function", "document.write"):
        assert word not in SCRIPT


def test_hostile_text_stays_text(page):
    assert "alert(1)</script>" not in page
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.S).group(1)
    assert json.loads(data)["readings"][0][2] == f"much {EVIL}"
    assert page.count("<script") == 2


def test_it_is_labelled_hidden_without_scripts_and_told_by_a_table(page):
    assert '<div class="slider" hidden>' in page
    name = re.search(r'<input type="range" id="([^"]+)"', page).group(1)
    assert f'<label for="{name}">' in page
    assert 'aria-live="polite"' in page
    assert page.count('<th scope="row"') >= 3
    assert to_html(compose(Owner())) == page


def test_a_page_without_a_slider_has_no_script():
    class Plain(Owner):
        def passages(self):
            return (Passage("action", "Nothing to move", ("Read it.",)),)

    text = to_html(compose(Plain()))
    assert "<script" not in text
    assert "script-src" not in text


def test_sliders_that_do_not_add_up_are_refused():
    with pytest.raises(DesignError, match="can't start"):
        Slider("Budget", ("0",), (), 0, (0.0,), (0.0,), (0.0,), (0.0,), "Profit")
    with pytest.raises(DesignError, match="of length"):
        Slider("Budget", ("0", "1"), (("a", ("x",)),), 0, (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), "Profit")


def test_a_browser_moves_it(page, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    move = (
        "addEventListener('load',function(){var i=document.querySelector('.slider input');i.value=2;"
        "i.dispatchEvent(new Event('input'));document.body.dataset.said=i.getAttribute('aria-valuetext');});"
    )
    digest = base64.b64encode(hashlib.sha256(move.encode()).digest()).decode()
    moved = page.replace("script-src ", f"script-src 'sha256-{digest}' ").replace(
        "</body>", f"<script>{move}</script></body>"
    )
    path = tmp_path / "page.html"
    path.write_text(moved)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        pytest.skip("Chromium does not start on this machine")
    assert '<div class="slider">' in shown  # shown once the script runs
    outputs = re.findall(r"<output[^>]*>(.*?)</output>", shown)
    assert outputs[0] == "20"
    assert outputs[1].startswith("much &lt;/script&gt;")
    assert outputs[2] == "9"
    assert 'data-said="' in shown
    assert re.search(r'class="dot" cx="616', shown)
