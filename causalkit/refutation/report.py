"""What a refutation says: a row for each test, what it can see and can't, its p-value and its power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.presentation import Presentable
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.held_out import has_held_out_scores

if TYPE_CHECKING:
    from causalkit.core.result import Result

_BLIND = "None of these tests can see a common cause that was not measured"


@dataclass(frozen=True, eq=False, repr=False)
class Refutation(Report):
    """Attempts to refute a result.

    Parameters
    ----------
    result : Result
        What was under test.
    found : mapping of str to (Challenge, Finding)
        The tests that were run.
    skipped : mapping of str to str
        The tests that this analysis has no use for, and why.
    n_sim : int
        Altered tables of each test that draws.
    seconds : float
        Of one fit, by which ``n_sim`` was chosen; 0 where it was given.
    """

    result: Result
    found: Mapping[str, tuple[Challenge, Finding]]
    skipped: Mapping[str, str]
    n_sim: int
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """What was under test."""
        return f"Refutation of {self.result.title}"

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """The verdicts by test."""
        return Checks({name: finding.check for name, (_, finding) in self.found.items()})

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests that the result did not survive."""
        return tuple(name for name, check in self.checks.items() if check.status == "fail")

    @property
    def answer(self) -> str:
        """What failed, and what no test could see."""
        if self.failed:
            said = f"{len(self.failed)} of {fmt.plural(len(self.found), 'test')} found a violation: {', '.join(self.failed)}."
        else:
            said = f"{fmt.plural(len(self.found), 'test')} saw no violation of what they look for."
        return f"{said} {self._blind()}"

    def _blind(self) -> str:
        """Say what no test can see, and how large it would have to be."""
        strategies = self.result.estimator.strategies
        if {"negative_outcome", "negative_treatment"} & set(self.found):
            said = "Only a negative control can see a common cause that was not measured, and only one that it shares"
        else:
            said = _BLIND
        if "adjustment" not in strategies:
            return f"{said}, nor that the assumptions of the design hold where they can't be tested."
        from causalkit.refutation.strength import strength_of

        strength = None if self.result.sample is None else strength_of(self.result, self.result.sample)
        if strength is None:
            return f"{said}: how strong one must be to matter is what ck.sensitivity says."
        return (
            f"{said}: one that explains {fmt.share(strength.robustness_value())} of what is left of both treatment and "
            "outcome could bring the estimate to zero (see ck.sensitivity)."
        )

    def to_table(self) -> Table:
        """Return one row per test."""
        names = ("test", "verdict", "statistic", "pvalue", "power", "against", "detects", "cannot detect")
        rows = [
            (
                name,
                finding.check.status,
                finding.check.statistic,
                finding.check.pvalue,
                finding.power,
                finding.planted,
                challenge.detects,
                challenge.cannot_detect,
            )
            for name, (challenge, finding) in self.found.items()
        ]
        return Table.of(names, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict, what was drawn, and what was not run."""
        text = [self.answer, self._drawn()]
        if self.skipped:
            told = "; ".join(f"{name} ({why})" for name, why in self.skipped.items())
            text.append(f"Not run: {told}.")
        return (Passage("assumptions", self.title, tuple(text), self._short_table()),)

    def _short_table(self) -> Table:
        """Return what fits on a page: the verdicts, and what no pass can rule out."""
        rows = [
            (name, finding.check.status, finding.check.pvalue, fmt.share(finding.power, 0), challenge.cannot_detect)
            for name, (challenge, finding) in self.found.items()
        ]
        return Table.of(("test", "verdict", "pvalue", "power", "what a pass can't rule out"), rows)

    def _drawn(self) -> str:
        measured = f", chosen because a fit takes {self.seconds:.2g} s" if self.seconds else ""
        told = f"Tests that draw altered the table {self.n_sim} times each{measured}."
        if self.result.sample is None or not has_held_out_scores(self.result.sample):
            return told
        return f"{told} The held-out scores were made again each time; the ranking stays as it is."

    def summary(self) -> str:
        """Return the verdict, what each test saw, and what was not run."""
        lines = [self.title, "=" * len(self.title), self.answer, self._drawn(), ""]
        for name, (challenge, finding) in self.found.items():
            mark = {"pass": "✓", "fail": "✗"}.get(finding.check.status, "!")
            power = "" if finding.power is None else f" Power {finding.power:.0%} against {finding.planted}."
            lines.append(f"{mark} {name}: {finding.check.message}{power} {finding.check.advice}".rstrip())
            lines.append(f"    can't see: {challenge.cannot_detect}")
        return "\n".join([*lines, *(f"- {name} not run: {why}" for name, why in self.skipped.items())])


class Refutations(Presentable, Mapping[str, Refutation]):
    """The refutations of several results, by name.

    Parameters
    ----------
    parts : mapping of str to Refutation
        One for each result.
    """

    def __init__(self, parts: Mapping[str, Refutation]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> Refutation:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def title(self) -> str:
        """How many results were under test."""
        return f"Refutation of {fmt.plural(len(self), 'result')}"

    @property
    def failed(self) -> tuple[str, ...]:
        """The tests that a result did not survive, named ``result: test``."""
        return tuple(f"{name}: {test}" for name, part in self.items() for test in part.failed)

    @property
    def answer(self) -> str:
        """Which results failed a test."""
        bad = [f"{name} ({', '.join(part.failed)})" for name, part in self.items() if part.failed]
        return f"Violations were found for {'; '.join(bad)}." if bad else f"No violation was seen. {_BLIND}."

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """All verdicts, named ``result: test``."""
        return Checks.together({name: part.checks for name, part in self.items()})

    def to_table(self) -> Table:
        """Return the tables of all, with a column that names the result."""
        tables: dict[str, Table] = {name: part.to_table() for name, part in self.items()}
        head = next(iter(tables.values())).columns if tables else ("test",)
        rows: list[tuple[Any, ...]] = [(name, *row) for name, table in tables.items() for row in table.rows]
        return Table.of(("result", *head), rows)
