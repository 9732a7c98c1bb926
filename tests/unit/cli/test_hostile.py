"""A hostile file goes from CSV through DuckDB and OLS into the report, and stays text all the way."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.cli import main

DROP = '"; DROP TABLE x; --'
SCRIPT = "<script>alert(1)</script>"
QUOTES = 'O\'Brien "the" `best` \\ 100%'
LINES = "first line\nsecond line"
UNICODE = "naïve ∑ 漢字 \u202e evil"
IMAGE = '<img src=x onerror="alert(2)">'


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.handlers, self.addresses, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value for name, value in attrs if name in ("href", "src", "xlink:href", "action")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def hostile(tmp_path):
    rng = np.random.default_rng(3)
    arm = np.where(rng.random(200) < 0.5, SCRIPT, QUOTES)
    data = pd.DataFrame(
        {
            DROP: rng.normal(size=200) + (arm == SCRIPT),
            IMAGE: arm,
            UNICODE: np.array([LINES, SCRIPT, UNICODE, DROP])[rng.integers(0, 4, 200)],
            "__import__('os').system('true')": rng.normal(size=200),
        }
    )
    data.to_csv(tmp_path / "hostile.csv", index=False)
    study = {"outcome": DROP, "treatment": IMAGE, "control": QUOTES, "covariates": list(data.columns[2:])}
    lines = ["[data]", 'source = "hostile.csv"', "[estimator]", 'name = "OLS"', "[roles]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in study.items()]
    lines += ["[report]", f"title = {json.dumps(SCRIPT + DROP)}", f"subtitle = {json.dumps(IMAGE)}"]
    (tmp_path / "study.toml").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path, data, study


def test_html(hostile, capsys):
    folder, data, roles = hostile
    assert main(["run", str(folder / "study.toml"), "--out", str(folder / "r.html")]) == 0
    text = (folder / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not page.handlers
    assert all(address.startswith("#") for address in page.addresses)
    assert SCRIPT in page.text
    assert DROP in page.text
    assert "\u202e" not in text
    told = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    result = ck.OLS().fit(data, **roles)
    assert repr(result.estimate)[:9] in json.dumps(told)
    assert result.coefficients.terms[0] == f"{SCRIPT} minus {QUOTES}"


@pytest.mark.parametrize("suffix", ["md", "tex"])
def test_other_formats(hostile, capsys, suffix):
    folder, *_ = hostile
    assert main(["run", str(folder / "study.toml"), "--out", str(folder / f"r.{suffix}")]) == 0
    text = (folder / f"r.{suffix}").read_text(encoding="utf-8")
    if suffix == "md":
        assert not re.search(r"(?<!\\)<(?:script|img)", text)
    else:
        assert "100%" not in text.replace(r"100\%", "")


def test_describe_and_check(hostile, capsys):
    folder, data, _ = hostile
    assert main(["describe", str(folder / "hostile.csv")]) == 0
    out = capsys.readouterr().out
    rows = out.split("─\n")[1].strip().splitlines()
    assert len(rows) == len(data.columns), "a label broke a row of the table"
    assert rows[0].startswith(DROP)
    assert main(["check", str(folder / "study.toml")]) == 0


def test_the_database_is_untouched(hostile, capsys):
    import duckdb

    folder, data, roles = hostile
    path = folder / "d.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("given", data)
        connection.execute("CREATE TABLE x AS SELECT * FROM given")
    before = path.read_bytes()
    text = (folder / "study.toml").read_text(encoding="utf-8").replace('"hostile.csv"', '"duckdb://d.duckdb#x"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    assert main(["run", str(folder / "study.toml"), "--out", str(folder / "r.json")]) == 0
    assert path.read_bytes() == before
    with duckdb.connect(str(path), read_only=True) as connection:
        result = ck.OLS().fit(connection.table("x"), **roles)
        assert connection.execute("SELECT count(*) FROM x").fetchone() == (200,)
    assert result.estimate == pytest.approx(ck.OLS().fit(data, **roles).estimate, rel=1e-10)
