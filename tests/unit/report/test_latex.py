from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from causalkit.core.passage import Passage
from causalkit.core.table import Table
from causalkit.report import compose, to_latex, write_report


def test_a_whole_document(owners):
    text = to_latex(compose(owners))
    assert text.startswith(r"\documentclass")
    assert text.endswith("\\end{document}\n")
    assert r"\section*{What we found}" in text
    assert "Std. error" in text
    assert text == to_latex(compose(owners))


def test_hostile_text_is_no_command(hostile):
    text = to_latex(compose(hostile))
    assert r"\input{" not in text.replace(r"\textbackslash{}input", "")
    assert r"\write18" not in text
    assert text.count(r"\end{document}") == 1
    body = text[text.index(r"\begin{document}") :]
    plain = re.sub(r"\\([&%$#_{}]|textbackslash\{\}|\\|[A-Za-z]+)", "", body)
    assert not set("$#^_") & set(plain)
    assert re.search(r"\\\\\s*\[", body) is None
    assert "\x00" not in text


def test_accents_stay_and_other_scripts_are_wrapped(fake):
    text = to_latex(compose(fake("Müller – 漢 τ ≤ 5 €")))
    assert r"Müller -- \anychar{漢}{6F22} \ensuremath{\tau} \ensuremath{\leq} 5 \texteuro{}" in text


def test_long_tables_break_over_pages(fake):
    table = Table.of(("a", "b"), [(i, "x") for i in range(50)])
    text = to_latex(compose(fake("A", (Passage("found", "t", ("x",), table),))))
    assert r"\begin{longtable}" in text
    assert text.count(" & ") == 51


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["owners", "hostile"])
def test_it_compiles(name, request, tmp_path):
    path = write_report(request.getfixturevalue(name), tmp_path / "a report.tex")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", path.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-1500:]
    assert (tmp_path / "a report.pdf").stat().st_size > 10_000
