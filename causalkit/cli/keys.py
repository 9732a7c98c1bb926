"""Keys of a study file: those that are not known and those that are lacking are named, with the remedy."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from causalkit.errors import DesignError


def known(given: Any, names: Collection[str], where: str, what: str) -> None:
    """Refuse a key that is not among ``names``, and anything that is no table."""
    if not isinstance(given, Mapping):
        raise DesignError(f"{where} must be a table.")
    for key in given:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names) or 'none'}."
            raise DesignError(f"{where} has no {what} {key!r}.", hint=hint)


def complete(given: Collection[str], parameters: Iterable[inspect.Parameter], where: str) -> None:
    """Require the keywords without which a function can't be called."""
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty and parameter.name not in given:
            raise DesignError(f"{where} does not name the {parameter.name}.", hint=f'Write {parameter.name} = "...".')
