"""The assumption ledger: each identifying assumption of a result, how it was probed and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from causalkit.core.table import Table

Status = Literal["pass", "warn", "fail", "untestable"]


@dataclass(frozen=True)
class Check:
    """One assumption and how it was probed.

    Parameters
    ----------
    name : str
        Name from the contract, such as ``"overlap"``.
    status : {"pass", "warn", "fail", "untestable"}
        The verdict.
    message : str
        What was seen, in one sentence with the numbers in it.
    statistic, pvalue : float, optional
        The test, where there is one. ``pvalue`` tests "the assumption holds": small is bad.
    advice : str
        What to do about it; empty for a pass.
    table : Table, optional
        The numbers behind the verdict.
    """

    name: str
    status: Status
    message: str
    statistic: float | None = None
    pvalue: float | None = None
    advice: str = ""
    table: Table | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        out: dict[str, Any] = {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            "advice": self.advice,
        }
        if self.table is not None:
            out["table"] = {"columns": list(self.table.columns), "rows": [list(row) for row in self.table.rows]}
        return out


class Checks(Mapping[str, Check]):
    """A lazy, read-only mapping from name to :class:`Check`; a check is made when it is first read.

    Parameters
    ----------
    makers : mapping of str to (Check or callable)
        Finished checks, or functions without arguments that make one.
    """

    def __init__(self, makers: Mapping[str, Check | Callable[[], Check]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Check] = {}

    @classmethod
    def together(cls, ledgers: Mapping[str, Mapping[str, Check]]) -> Checks:
        """Return one ledger of several, its checks named ``ledger: check``; no check is made by this."""
        return cls(
            {
                f"{title}: {name}": lambda ledger=ledger, name=name: ledger[name]  # type: ignore[misc]
                for title, ledger in ledgers.items()
                for name in ledger
            }
        )

    def __getitem__(self, name: str) -> Check:
        if name not in self._made:
            if name not in self._makers:
                raise KeyError(f"no check named {name!r}; this result has {', '.join(self._makers) or 'none'}")
            maker = self._makers[name]
            self._made[name] = maker if isinstance(maker, Check) else maker()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def joined(self, other: Mapping[str, Check]) -> Checks:
        """Return a ledger with the checks of both; those of ``other`` win where names collide."""
        lazy = {name: (lambda name=name: other[name]) for name in other}
        return Checks({**self._makers, **self._made, **lazy})

    def with_status(self, *statuses: Status) -> tuple[Check, ...]:
        """Return the checks that have one of these statuses (this makes every check)."""
        return tuple(check for check in self.values() if check.status in statuses)

    def to_table(self) -> Table:
        """Return the ledger as a table."""
        rows = [(c.name, c.status, c.pvalue, c.message, c.advice) for c in self.values()]
        return Table.of(("check", "status", "pvalue", "what was seen", "advice"), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary of all checks."""
        return {name: check.to_dict() for name, check in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        # Makers hold closures over the sample; a pickle keeps what they found.
        return Checks, (dict(self.items()),)

    def __repr__(self) -> str:
        return f"Checks({', '.join(self._makers)})"

    def _repr_html_(self) -> str:
        return self.to_table().to_html()
