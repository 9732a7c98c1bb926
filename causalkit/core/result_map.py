"""Several results by name: metrics of an experiment, learners, groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.effects import COLUMNS
from causalkit.core.presentation import Presentable
from causalkit.core.result import Result
from causalkit.core.table import Table


class ResultMap(Presentable, Mapping[str, Result]):
    """Results by name (metrics, learners, groups); it has no headline of its own.

    Parameters
    ----------
    results : mapping of str to Result
        The results, in the order in which they are shown.
    title : str
        What they have in common.
    """

    def __init__(self, results: Mapping[str, Result], title: str = "Results") -> None:
        self._results = dict(results)
        self._title = title

    def __getitem__(self, name: str) -> Result:
        if name not in self._results:
            raise KeyError(f"no result named {name!r}; there are {', '.join(self._results)}")
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def title(self) -> str:
        """What these results have in common."""
        return self._title

    @property
    def answer(self) -> str:
        """How many results there are."""
        return f"{fmt.plural(len(self), 'result')}: {', '.join(self)}."

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """All checks, named ``result: check``."""
        return Checks.together({name: result.checks for name, result in self.items()})

    def to_table(self) -> Table:
        """Return the tables of all results, with a column that names the result."""
        tables = {name: result.to_table() for name, result in self.items()}
        columns = next((table.columns for table in tables.values()), COLUMNS)
        rows = [(name, *row) for name, table in tables.items() for row in table.rows]
        return Table.of(("result", *columns), rows)

    def refit(self, data: Any = None) -> ResultMap:
        """Run every analysis again on other data."""
        return ResultMap({name: result.refit(data) for name, result in self.items()}, self._title)
