"""Public names: each is there, none hides another, and type checkers see the same table as the interpreter."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import causalkit

ROOT = Path(causalkit.__file__).parent
MODULES = sorted(
    f"causalkit.{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}".removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py"
)
PACKAGES = [name for name in MODULES if (ROOT / Path(*name.split(".")[1:]) / "__init__.py").exists()]


def _run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_every_module_can_be_imported_first():
    """Each module in an interpreter that has imported nothing else of ours: a cycle can't hide behind the order."""
    code = """
import importlib, sys
def fresh(name):
    for loaded in [m for m in sys.modules if m.partition(".")[0] == "causalkit"]:
        del sys.modules[loaded]
    importlib.import_module(name)
failed = []
for name in {modules!r}:
    try:
        fresh(name)
    except Exception as error:
        failed.append(f"{{name}}: {{error!r}}")
print(*failed, sep="\\n")
"""
    done = _run(code.format(modules=MODULES))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_every_public_name_is_there_after_all_modules_were_imported():
    code = """
import importlib, causalkit
for name in {modules!r}:
    importlib.import_module(name)
for name, module in causalkit._PUBLIC.items():
    value = getattr(causalkit, name)
    assert callable(value) and value.__module__ == module and value.__name__ == name, (name, value)
for name in causalkit._PACKAGES:
    package = getattr(causalkit, name)
    assert package.__name__ == f"causalkit.{{name}}", name
    for inner in getattr(package, "__all__", ()):
        value = getattr(package, inner)
        assert not type(value).__name__ == "module", f"{{name}}.{{inner}} is a module"
"""
    done = _run(code.format(modules=MODULES))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_the_name_of_a_function_of_its_package(package):
    home = importlib.import_module(package)
    modules = {info.name for info in pkgutil.iter_modules(home.__path__)}
    functions = set(getattr(home, "__all__", ())) - set(getattr(home, "_PACKAGES", ()))
    assert modules & functions == set()
    defined = {name for name, value in vars(home).items() if callable(value) and not name.startswith("_")}
    assert modules & defined == set()


def test_dir_and_all_list_the_table():
    expected = {"__version__", *causalkit._PUBLIC, *causalkit._PACKAGES}
    assert set(dir(causalkit)) == set(causalkit.__all__) == expected
    assert list(causalkit._PUBLIC) == sorted(causalkit._PUBLIC)
    assert list(causalkit._PACKAGES) == sorted(causalkit._PACKAGES)


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(AttributeError, match=r"causalkit has no 'DRLearnr'\. Did you mean 'DRLearner'\?"):
        _ = causalkit.DRLearnr
    with pytest.raises(AttributeError, match=r"causalkit has no 'zzzz'\.$"):
        _ = causalkit.zzzz
    assert not hasattr(causalkit, "__wrapped__")


def test_the_stub_says_what_the_table_says():
    tree = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    found, packages, declared = {}, set(), set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names if node.module != "typing" else ():
                assert alias.name == alias.asname, "a stub exports only `import Y as Y`"
                if node.module == "causalkit":
                    packages.add(alias.name)
                else:
                    found[alias.name] = node.module
        elif isinstance(node, ast.AnnAssign):
            declared.add(node.target.id)
    assert found == causalkit._PUBLIC
    assert packages == set(causalkit._PACKAGES)
    assert declared == {"__all__", "__version__", "_PACKAGES", "_PUBLIC"}


def test_public_functions_of_packages_are_lazy_or_light():
    for name in causalkit._PACKAGES:
        package = getattr(causalkit, name)
        for inner in getattr(package, "__all__", ()):
            assert inspect.getdoc(getattr(package, inner)), f"{name}.{inner}"
