"""A result derived from another one, and the name of what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalkit.core.result import Result
from causalkit.core.rows import Groups


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PlainResult(Result):
    """An average or a projection derived from another result."""

    #: Parameters that the variance counts.
    n_parameters: int = 1

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return the parameters that the variance was made with."""
        return self.n_parameters


def outcome_name(roles: Mapping[str, Any]) -> str:
    """Return the name of the outcome."""
    name = roles.get("outcome")
    return name if isinstance(name, str) else "outcome"
