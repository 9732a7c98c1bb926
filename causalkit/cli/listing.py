"""``causalkit list``: every estimator, in one line each, with the roles it needs."""

from __future__ import annotations

import inspect

import causalkit
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


def listing() -> str:
    """Return the table of estimators as text."""
    rows = []
    for name, kind in estimators().items():
        needs = ", ".join(role for role, spec in kind.roles.items() if spec.required)
        takes = ", ".join(role for role, spec in kind.roles.items() if not spec.required)
        rows.append((name, needs, takes, _first_line(kind)))
    table = Table.of(("name", "needs", "also takes", "what it does"), rows)
    return (
        f'{table.to_text()}\n\nIn a study file: [estimator] name = "{rows[0][0]}". In Python: causalkit.{rows[0][0]}().'
    )


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".")
