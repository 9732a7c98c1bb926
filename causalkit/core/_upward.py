"""The one place where the core reaches up to the plots, the reports and the table of public names.

The modules are found by name when they are asked for, so that the layers below never import those above.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def draw(owner: Any, kind: str | None) -> Any:
    """Draw a figure of a result."""
    return import_module("causalkit.plot").draw(owner, kind or (owner.plots[0] if owner.plots else ""))


def write_report(owner: Any, path: Any) -> Path:
    """Write a report of a result."""
    written: Path = import_module("causalkit.report").write_report(owner, path)
    return written


def public(name: str) -> Any:
    """Return the public object of that name."""
    return getattr(import_module("causalkit"), name)
