from __future__ import annotations

import json
import re

import pytest

from causalkit.errors import DesignError
from causalkit.report import write_report


@pytest.mark.parametrize("suffix", [".html", ".md", ".tex", ".json", ".HTML"])
def test_the_suffix_chooses_and_nothing_else_is_left(owners, tmp_path, suffix):
    path = write_report(owners, tmp_path / "new" / f"study{suffix}", title="A title", metadata={"Data": "x"})
    assert path == tmp_path / "new" / f"study{suffix}"
    text = path.read_text("utf-8")
    assert "A title" in text
    start = {".html": "<!DOCTYPE html>", ".md": "# A title", ".tex": "\\documentclass", ".json": "{"}
    assert text.startswith(start[suffix.lower()])
    left = {p.name for p in (tmp_path / "new").iterdir()}
    assert left == {path.name} | ({"study_figures"} if suffix in (".md", ".tex") else set())


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.htm"])
def test_another_suffix_names_the_four(owners, tmp_path, name):
    with pytest.raises(DesignError, match=r"\.html, \.md, \.tex or \.json"):
        write_report(owners, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".html", ".md", ".tex", ".json"])
def test_same_bytes_every_time(owners, tmp_path, suffix):
    one = write_report(owners, tmp_path / "1" / f"r{suffix}")
    two = write_report(owners, tmp_path / "2" / f"r{suffix}")
    files = sorted(p.relative_to(one.parent) for p in one.parent.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two.parent) for p in two.parent.rglob("*") if p.is_file())
    for file in files:
        assert (one.parent / file).read_bytes() == (two.parent / file).read_bytes(), file


@pytest.mark.parametrize(("suffix", "kind"), [(".md", b"<svg"), (".tex", b"%PDF")])
def test_figures_lie_where_the_text_points(owners, tmp_path, suffix, kind):
    path = write_report(owners, tmp_path / f"my [study]{suffix}")
    pointed = re.findall(r"my--study-_figures/figure\d\.\w+", path.read_text("utf-8"))
    assert len(pointed) == 2
    for address in pointed:
        content = (tmp_path / address).read_bytes()
        assert content.startswith(kind)
        assert b"var(" not in content


def test_an_existing_report_survives_a_failure(owners, tmp_path, fake):
    path = write_report(owners[0], tmp_path / "r.json")
    before = path.read_bytes()

    class Broken(fake):
        def to_dict(self):
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_report(Broken("A"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_one_owner_needs_no_list(owners, tmp_path):
    data = json.loads(write_report(owners[0], tmp_path / "r.json").read_text("utf-8"))
    assert [result["title"] for result in data["results"]] == ["Effect of the coupon"]
