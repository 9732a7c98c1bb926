"""Every public class, function and method says in numpydoc form what it does and what each of its parameters is."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

import causalkit

#: Results and what they hand out: public through what ``fit`` returns.
RETURNED = [
    "causalkit.core.result.Result",
    "causalkit.core.result_map.ResultMap",
    "causalkit.core.difference.Difference",
    "causalkit.core.effects.Effects",
    "causalkit.core.check.Check",
    "causalkit.core.check.Checks",
    "causalkit.linear.ols.OLSResult",
    "causalkit.effects.average_result.AverageEffect",
    "causalkit.effects.model.EffectModel",
    "causalkit.uplift.evaluation_result.UpliftResult",
]


def _load(path: str):
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def _public() -> dict[str, object]:
    found = {name: getattr(causalkit, name) for name in causalkit._PUBLIC}
    for package in causalkit._PACKAGES:
        home = getattr(causalkit, package)
        found |= {f"{package}.{name}": getattr(home, name) for name in getattr(home, "__all__", ())}
    found |= {path.rpartition(".")[2]: _load(path) for path in RETURNED}
    return {name: value for name, value in found.items() if callable(value)}


def _methods(kind: type):
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        function = getattr(member, "__func__", getattr(member, "fget", None) or getattr(member, "func", None) or member)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("causalkit"):
            yield name, function, isinstance(member, staticmethod)


def _cases():
    seen = set()
    for name, value in _public().items():
        if not inspect.isclass(value):
            yield name, value, list(inspect.signature(value).parameters)
            continue
        yield name, value, _fields(value)
        for method, function, is_static in _methods(value):
            if function.__qualname__ in seen:
                continue
            seen.add(function.__qualname__)
            parameters = list(inspect.signature(function).parameters)[0 if is_static else 1 :]
            yield f"{name}.{method}", function, parameters


def _fields(kind: type) -> list[str]:
    if dataclasses.is_dataclass(kind):
        # Fields of a base are documented there.
        inherited = {
            field.name
            for base in kind.__mro__[1:]
            if dataclasses.is_dataclass(base)
            for field in dataclasses.fields(base)
        }
        return [field.name for field in dataclasses.fields(kind) if field.init and field.name not in inherited]
    if "__init__" not in vars(kind):
        return []
    return list(inspect.signature(kind.__init__).parameters)[1:]


def documented(docstring: str) -> set[str]:
    """Return the names in the Parameters (or Attributes) section of a numpydoc docstring."""
    names: set[str] = set()
    for title in ("Parameters", "Attributes"):
        section = re.search(rf"^{title}\n-{{3,}}\n(.*?)(?=^\S[^\n]*\n-{{3,}}\n|\Z)", docstring, re.S | re.M)
        for line in section[1].splitlines() if section else ():
            if line and not line[0].isspace():
                names |= {part.strip().lstrip("*") for part in line.partition(" : ")[0].split(",")}
    return names


def _sibling(name: str, method: str):
    return getattr(_public().get(name.partition(".")[0]), method, None)


CASES = {name: (value, parameters) for name, value, parameters in _cases()}


@pytest.mark.parametrize("name", CASES)
def test_documented(name):
    value, parameters = CASES[name]
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    summary = text.splitlines()[0]
    assert summary.endswith((".", "?", ":")) or len(text.splitlines()) > 1, summary
    # ``see :meth:`cate` `` hands the reader on to where the same parameters are documented.
    shared = [inspect.getdoc(_sibling(name, other)) or "" for other in re.findall(r":meth:`(?:\w+\.)?(\w+)`", text)]
    # What a method of the base documents holds for the one that replaces it.
    owner, _, method = name.partition(".")
    bases = getattr(_public().get(owner), "__mro__", ())[1:]
    shared += [inspect.getdoc(vars(base)[method]) or "" for base in bases if method in vars(base)]
    known = documented(text).union(*map(documented, shared))
    missing = [parameter for parameter in parameters if parameter not in known]
    if len(parameters) == 1 and "." in name and not inspect.isclass(value):
        return  # a method of one argument says it all in its sentence
    # So does a sentence that names the parameter.
    told = [parameter for parameter in missing if re.search(rf"``[^`]*\b{parameter}\b[^`]*``", text)]
    assert set(missing) == set(told), f"{name} does not document {sorted(set(missing) - set(told))}"


@pytest.mark.parametrize("name", [name for name in causalkit._PUBLIC if hasattr(getattr(causalkit, name), "fit")])
def test_what_can_be_fitted_says_all(name):
    kind = getattr(causalkit, name)
    said = inspect.getdoc(kind.fit)
    assert documented(said) >= set(inspect.signature(kind.fit).parameters) - {"self"}
    assert "Raises\n------" in said
    assert documented(inspect.getdoc(kind)) >= {field.name for field in dataclasses.fields(kind)}


def test_the_parser_of_this_test():
    text = (
        "Do it.\n\nParameters\n----------\na, b : int\n    Numbers.\n**rest\n    Others.\n\nReturns\n-------\nc : int\n"
    )
    assert documented(text) == {"a", "b", "rest"}
