"""Layers: who imports whom, and that nothing heavy is imported when a module is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import causalkit

ROOT = Path(causalkit.__file__).parent
LAZY = {
    "econml",
    "dowhy",
    "lightgbm",
    "sklearn",
    "statsmodels",
    "matplotlib",
    "numba",
    "shap",
    "duckdb",
    "pyspark",
    "ibis",
    "pandas",
    "polars",
    "pyarrow",
    "networkx",
}
FAMILIES = {"did", "rdd", "iv", "synth", "effects", "graph", "experiment", "geo", "switchback"}
#: The exceptions that the design states.
MAY = {("geo", "synth"), ("experiment", "iv")}


def _imports(path: Path, *, inside_functions: bool) -> set[str]:
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
            is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if not is_typing and (inside_functions or not is_function):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


SOURCES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}


@pytest.mark.skipif(not (ROOT.parent / ".importlinter").exists(), reason="the contracts are in a checkout only")
def test_import_linter():
    pytest.importorskip("importlinter", reason="import-linter is in the extra dev")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_heavy_at_the_top_of_a_module(name):
    heavy = {module.partition(".")[0] for module in _imports(SOURCES[name], inside_functions=False)} & LAZY
    # Compiled loops are imported inside functions; tests/api/test_import.py sees that numba waits.
    assert heavy <= ({"numba"} if name.startswith("kernels/") else set())
    assert "scipy.stats" not in _imports(SOURCES[name], inside_functions=False)


def test_families_do_not_import_each_other():
    strays = []
    for name, path in SOURCES.items():
        family = name.partition("/")[0]
        for module in _imports(path, inside_functions=True) if family in FAMILIES else ():
            other = ([*module.split("."), ""])[1] if module.startswith("causalkit.") else ""
            if other in FAMILIES - {family} and (family, other) not in MAY:
                strays.append((name, module))
    assert not strays


@pytest.mark.parametrize("name", SOURCES)
def test_modules_are_read_in_one_sitting(name):
    assert len(SOURCES[name].read_text(encoding="utf-8").splitlines()) <= 420


def test_core_reaches_up_in_one_place_only():
    for name, path in SOURCES.items():
        text = path.read_text(encoding="utf-8")
        if name.startswith("core/") and name != "core/_upward.py":
            assert "import_module(" not in text, name
            assert "causalkit.plot" not in text, name
            assert "causalkit.report" not in text, name
