"""Importing the package costs next to nothing, and loads nothing that a user has not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "numpy",
    "pandas",
    "narwhals",
    "scipy",
    "sklearn",
    "statsmodels",
    "lightgbm",
    "econml",
    "dowhy",
    "matplotlib",
    "numba",
    "duckdb",
    "pyspark",
    "ibis",
    "polars",
    "pyarrow",
    "networkx",
    "shap",
]

#: What the registry and the errors may not need, on top of an import of the package.
LIGHT_COMMANDS = ("causalkit.errors", "causalkit.cli")


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("statement", ["import causalkit", "import causalkit; dir(causalkit); causalkit.DesignError"])
def test_import_loads_nothing_heavy(statement):
    before = set(_run("import sys; print(*sys.modules)").split())
    after = set(_run(f"{statement}; import sys; print(*sys.modules)").split())
    assert "causalkit" in after
    assert {name.partition(".")[0] for name in after - before} & set(HEAVY) == set()


@pytest.mark.parametrize("module", LIGHT_COMMANDS)
def test_light_modules(module):
    assert set(_run(f"import {module}, sys; print(*sys.modules)").split()) & set(HEAVY) == set()


@pytest.mark.parametrize(
    "module",
    [
        "causalkit.core.result",
        "causalkit.linear.ols",
        "causalkit.effects.aipw",
        "causalkit.uplift",
        "causalkit.testing",
    ],
)
def test_what_is_slow_waits_for_its_first_use(module):
    later = set(HEAVY) - {"numpy", "narwhals", "scipy"}
    # narwhals looks for the libraries of tables that are already imported; it imports none itself.
    assert set(_run(f"import {module}, sys; print(*sys.modules)").split()) & later == set()


def test_import_takes_less_than_a_tenth_of_a_second():
    timed = "import time; start = time.process_time(); {}; print(time.process_time() - start)"
    spent = min(float(_run(timed.format("import causalkit"))) for _ in range(5))
    assert spent < 0.1
