"""The data of a study: where they are, and the words that a reader should see for columns and levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causalkit.data.frame import Frame
from causalkit.data.sources import load_source
from causalkit.datasets import path_of
from causalkit.errors import DataError, DesignError

_DATASET = "dataset://"
_SIMULATED = "simulated://"
_SIMULATORS = (
    "account_eligibility",
    "close_elections",
    "coupon_campaign",
    "feature_encouragement",
    "feature_rollout",
    "linear_panel",
    "schooling",
    "staggered_rollout",
)


@dataclass(frozen=True)
class Source:
    """A source and the names to read it with.

    Parameters
    ----------
    name : str
        A file or a database table (see :func:`causalkit.data.sources.open_source`), ``dataset://name`` for one of
        :func:`causalkit.datasets.describe`, or ``simulated://name`` for what a simulator of :mod:`causalkit.datasets`
        draws by default.
    rename : mapping of str to str
        New names of columns.
    recode : mapping of str to (mapping of str to str)
        For a column (by its new name), a word for each of its values.
    """

    name: str
    rename: Mapping[str, str] = field(default_factory=dict)
    recode: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Source:
        """Read the ``[data]`` table of a study file."""
        if not isinstance(config.get("source"), str):
            raise DesignError("[data] names no source.", hint='Write source = "file.csv".')
        rename, recode = config.get("rename", {}), config.get("recode", {})
        if not _words(rename):
            raise DesignError("[data.rename] must give each column a new name.", hint='Write old = "new".')
        if not isinstance(recode, Mapping) or not all(_words(words) for words in recode.values()):
            raise DesignError("[data.recode.COLUMN] must give each value a word.", hint='Write 0 = "no voucher".')
        return cls(config["source"], rename, recode)

    def load(self, relative_to: Path) -> Any:
        """Return the table, renamed and recoded.

        Raises
        ------
        DataError
            If a column is not there, a new name is taken, or a value has no word.
        """
        table = self._table(relative_to)
        Frame.read(table).require(self.rename)
        table = table.rename(columns=dict(self.rename))
        frame = Frame.read(table)  # refuses a name that was taken
        frame.require(self.recode)
        words = {column: _recoded(frame, column, mapping) for column, mapping in self.recode.items()}
        return table.assign(**words)

    def _table(self, relative_to: Path) -> Any:
        if self.name.startswith(_SIMULATED):
            return _simulated(self.name.removeprefix(_SIMULATED))
        source: str | Path = self.name
        if self.name.startswith(_DATASET):
            source = path_of(self.name.removeprefix(_DATASET))
        return load_source(source, relative_to=relative_to)


def _simulated(name: str) -> Any:
    """Return what a simulator draws by default."""
    from causalkit import datasets

    if name not in _SIMULATORS:
        raise DataError(f"there is no simulator {name!r}.", hint=f"There are: {', '.join(_SIMULATORS)}.")
    return getattr(datasets, name)()


def _recoded(frame: Frame, column: str, words: Mapping[str, str]) -> Any:
    import pandas as pd

    codes, labels = frame.labels(column)
    lacking = [label for label in labels if str(label) not in words]
    if lacking:
        raise DataError(
            f"[data.recode] has no word for {lacking[0]!r}, a value of column {column!r}.",
            hint=f"Give a word to each of {', '.join(str(label) for label in labels[:8])}.",
            column=column,
        )
    return pd.Categorical([words[str(labels[code])] if code >= 0 else None for code in codes])


def _words(mapping: Any) -> bool:
    return isinstance(mapping, Mapping) and all(isinstance(word, str) for word in mapping.values())
