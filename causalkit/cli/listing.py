"""``causalkit list``: every estimator and every step that may follow, in one line each, with what it needs."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import causalkit
from causalkit.cli.calls import functions
from causalkit.core.estimator import Estimator
from causalkit.core.table import Table


def estimators() -> dict[str, type[Estimator[object]]]:
    """Return every public estimator by name."""
    found = {}
    for name in causalkit._PUBLIC:
        value = getattr(causalkit, name)
        if isinstance(value, type) and issubclass(value, Estimator):
            found[name] = value
    return found


def steps() -> dict[str, type[Any]]:
    """Return every public class that can follow a fit, by name: its ``fit`` takes an ``effect``."""
    public = {name: getattr(causalkit, name) for name in causalkit._PUBLIC}
    return {name: kind for name, kind in public.items() if isinstance(kind, type) and "effect" in fit_keywords(kind)}


def fit_keywords(kind: Any) -> tuple[str, ...]:
    """Return the keywords of the ``fit`` of a class."""
    fit = getattr(kind, "fit", None)
    return tuple(inspect.signature(fit).parameters)[2:] if callable(fit) else ()


def listing() -> str:
    """Return the tables of estimators and of steps as text."""
    rows = []
    following = steps()
    for name, kind in estimators().items():
        needs = ", ".join(role for role, spec in kind.roles.items() if spec.required)
        takes = ", ".join(role for role, spec in kind.roles.items() if not spec.required)
        rows.append((name, needs, takes, _first_line(kind)))
    table = Table.of(("name", "needs", "also takes", "what it does"), rows)
    columns = ("name", "needs", "configured by", "what it does")
    then = Table.of(columns, [_step(name, kind) for name, kind in following.items()])
    calls = Table.of(("name", "what it does"), [(name, _first_line(call)) for name, call in functions().items()])
    return (
        f"{table.to_text()}\n\nWhat may follow a fit, as [[then]] in a study file:\n\n{then.to_text()}\n\n{calls.to_text()}\n\n"
        f'In a study file: [estimator] name = "{rows[0][0]}". In Python: causalkit.{rows[0][0]}().'
    )


def _step(name: str, kind: type) -> tuple[str, str, str, str]:
    configured = ", ".join(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ""
    return name, "a fitted model of effects; or effects or scores as a column", configured, _first_line(kind)


def _first_line(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".")
