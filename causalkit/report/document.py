"""A report before it is written: one or several results composed into ordered sections with one ledger of checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import causalkit
from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.passage import SECTIONS, Passage, Section
from causalkit.core.slider import Slider
from causalkit.errors import DesignError
from causalkit.plot import Drawable

STATUS_WORDS: dict[Status, str] = {
    "fail": "Failed",
    "warn": "Needs attention",
    "untestable": "Can't be tested",
    "pass": "Passed",
}
"""What each status is called in a report, the worst first: the order of the ledger."""

HEADS = {
    "estimate": "Estimate",
    "se": "Std. error",
    "statistic": "Statistic",
    "pvalue": "p-value",
    "ci_low": "CI low",
    "ci_high": "CI high",
    "term": "Term",
    "n": "n",
    "estimator": "Estimator",
    "controls": "Controls",
    "measured_from": "Measured from",
    "minus_reference": "Difference",
    "se_of_difference": "Its std. error",
    "share_of_cells": "Share of cells",
}
"""Column heads of the toolkit's own tables as a reader sees them; other heads are shown as they are."""


class Reportable(Drawable, Protocol):
    """Who can be reported: every Result and every Report of the toolkit."""

    @property
    def title(self) -> str:
        """What this is, as a heading."""

    @property
    def checks(self) -> Checks:
        """The assumption ledger."""

    def passages(self) -> tuple[Passage, ...]:
        """Return what there is to say, piece by piece."""

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, JSON-ready."""


@dataclass(frozen=True)
class Item:
    """A passage with who says it.

    Parameters
    ----------
    owner : Reportable
        Whose passage it is: draws its figure.
    passage : Passage
        What is said.
    source : str
        The owner's title where the document has several owners, else empty.
    heading : str
        The passage's title; empty where it would only repeat the title of the document.
    """

    owner: Reportable
    passage: Passage
    source: str
    heading: str


@dataclass(frozen=True)
class Finding:
    """A check with whose assumption it is (empty where the document has one owner)."""

    check: Check
    source: str


@dataclass(frozen=True)
class Document:
    """A composed report, ready for a writer.

    Parameters
    ----------
    title, subtitle : str
        The heading and one line under it (may be empty).
    lead : str
        The answer in one sentence (may be empty).
    metadata : tuple of (label, value)
        What was run.
    sections : tuple of (section, items)
        In the order of the reader's questions; a question that nothing speaks to is left out, except assumptions.
    ledger : tuple of Finding
        All checks, failed ones first.
    owners : tuple of Reportable
        Who was reported.
    """

    title: str
    subtitle: str
    lead: str
    metadata: tuple[tuple[str, str], ...]
    sections: tuple[tuple[Section, tuple[Item, ...]], ...]
    ledger: tuple[Finding, ...]
    owners: tuple[Reportable, ...]

    @property
    def attention(self) -> tuple[Finding, ...]:
        """The checks that failed or warn."""
        return tuple(f for f in self.ledger if f.check.status in ("fail", "warn"))

    @property
    def figures(self) -> tuple[Item, ...]:
        """The items that have a figure, in the order of the document."""
        return tuple(item for _, items in self.sections for item in items if item.passage.figure)

    @property
    def sliders(self) -> tuple[tuple[Item, Slider], ...]:
        """The items that have a slider, with it, in the order of the document."""
        every = (item for _, items in self.sections for item in items)
        return tuple((item, item.passage.slider) for item in every if item.passage.slider is not None)

    def verdict(self) -> str:
        """Say in one sentence how many assumptions need attention."""
        total, open_ = len(self.ledger), len(self.attention)
        if not total:
            return "No assumptions were checked."
        untestable = sum(f.check.status == "untestable" for f in self.ledger)
        if open_:
            verb = "needs" if open_ == 1 else "need"
            return f"{open_} of {fmt.plural(total, 'assumption')} {verb} your attention."
        if untestable == total:
            return "None of the assumptions can be tested from data."
        passed = total - untestable
        said = (
            "The one assumption that can be tested passed."
            if passed == 1
            else f"All {passed} tested assumptions passed."
        )
        return f"{said} {untestable} can't be tested from data." if untestable else said


def compose(
    owners: Reportable | Iterable[Reportable],
    *,
    title: str | None = None,
    subtitle: str = "",
    lead: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Document:
    """Compose one or several results into a document.

    Parameters
    ----------
    owners : Reportable or iterable of Reportable
        What to report, in the order in which it should be read.
    title : str, optional
        The heading; the first owner's title where left out.
    subtitle : str
        One line under the heading.
    lead : str, optional
        The answer in one sentence; where left out, the first owner's ``answer``, or else the first sentence found.
    metadata : mapping, optional
        What was run, shown at the end; it is put before what the owners say of themselves (``estimator``, ``tool``, ``n``,
        ``source``, ``random_state``) and the package's version. No date is added, so equal inputs give equal bytes.

    Raises
    ------
    DesignError
        When there is nothing to report.
    """
    # A map of results is one owner, although it is iterable.
    several = (cast(Reportable, owners),) if hasattr(owners, "passages") else tuple(owners)
    if not several:
        raise DesignError("there is nothing to report.", hint="Pass a result, or a list of results.")
    for owner in several:
        if not hasattr(owner, "passages"):
            raise DesignError(
                f"{type(owner).__name__} can't be reported.", hint="Pass results or reports of causalkit, not tables."
            )
    sources = _sources(several)
    title = title or several[0].title
    items = [
        Item(owner, p, source, "" if p.title == title and len(several) == 1 else p.title)
        for owner, source in zip(several, sources, strict=True)
        for p in owner.passages()
    ]
    said = _answer(several[0], items) if lead is None else lead
    items = [_without(item, said) for item in items]
    sections = tuple((key, tuple(item for item in items if item.passage.section == key)) for key in SECTIONS)
    return Document(
        title=title,
        subtitle=subtitle,
        lead=said,
        metadata=_metadata(several, sources, metadata or {}),
        sections=tuple((key, found) for key, found in sections if found or key == "assumptions"),
        ledger=_ledger(several, sources),
        owners=several,
    )


def _sources(owners: tuple[Reportable, ...]) -> tuple[str, ...]:
    """Return a name for each owner, numbered where two have one title; empty where there is one owner."""
    if len(owners) == 1:
        return ("",)
    titles = [owner.title for owner in owners]
    return tuple(
        f"{title} ({titles[: i + 1].count(title)})" if titles.count(title) > 1 else title
        for i, title in enumerate(titles)
    )


def _answer(owner: Reportable, items: list[Item]) -> str:
    """Return the owner's answer, or else the first sentence of the first finding."""
    answer = getattr(owner, "answer", None)
    if isinstance(answer, str) and answer:
        return answer
    for item in items:
        if item.passage.section == "found" and item.passage.text:
            # A full stop ends a sentence only where a capital follows, so "0.4 vs. 0.3" stays whole.
            return re.split(r"(?<=[.!?])\s+(?=[A-Z])", item.passage.text[0].strip(), maxsplit=1)[0]
    return ""


def _without(item: Item, lead: str) -> Item:
    """Drop a paragraph that only repeats the lead, where the passage has something else to show."""
    passage = item.passage
    rest = tuple(paragraph for paragraph in passage.text if paragraph != lead)
    if rest == passage.text or not (rest or passage.facts or passage.table or passage.figure or passage.slider):
        return item
    return replace(item, passage=replace(passage, text=rest))


def _ledger(owners: tuple[Reportable, ...], sources: tuple[str, ...]) -> tuple[Finding, ...]:
    """Join all ledgers, the worst first; a check that two owners share word for word is told once."""
    findings: list[Finding] = []
    seen: set[tuple[object, ...]] = set()
    for owner, source in zip(owners, sources, strict=True):
        for check in owner.checks.values():
            key = (check.name, check.status, check.message, check.advice, repr(check.pvalue))
            if key not in seen:
                seen.add(key)
                findings.append(Finding(check, source))
    rank = list(STATUS_WORDS)
    return tuple(sorted(findings, key=lambda finding: rank.index(finding.check.status)))


def _metadata(
    owners: tuple[Reportable, ...], sources: tuple[str, ...], given: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    rows = [(str(key), fmt.number(value)) for key, value in given.items()]
    for owner, source in zip(owners, sources, strict=True):
        said: list[str] = []
        for name, label in _OWN:
            value = getattr(owner, name, None)
            # The configuration names its seed itself.
            if value is not None and not any(re.search(rf"\b{name}=", part) for part in said):
                said.append(f"{label} {_plain(value)}".strip())
        if said:
            rows.append((source or "Analysis", ", ".join(said)))
    return (*rows, ("Software", f"causalkit {causalkit.__version__}"))


_OWN = (("estimator", ""), ("tool", ""), ("n", "n ="), ("source", "data:"), ("random_state", "random_state ="))


def _plain(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else f"{value:,}"
        if type(value) is int
        else re.sub(" at 0x[0-9a-f]+", "", repr(value))
    )


_SPOKEN = {
    "srm": "sample ratio",
    "sutva": "no interference",
    "missing": "missing values",
    "pre_trends": "trends before treatment",
    "density": "density at the cutoff",
}


def readable(name: str) -> str:
    """Write a name from the contract as a reader sees it: ``weak_instruments`` is "Weak instruments"."""
    words = _SPOKEN.get(name, name.replace("_", " ").strip())
    return words[:1].upper() + words[1:]


def chance(pvalue: float | None) -> str:
    """Write ``p = 0.012`` or ``p < 0.001``; empty where there is no p-value."""
    if pvalue is None:
        return ""
    said = fmt.pvalue(pvalue)
    return f"p < {said[1:]}" if said.startswith("<") else f"p = {said}" if said != fmt.MISSING else ""


def clean(text: object) -> str:
    """Return text without what no document may hold: control characters, halves of surrogate pairs, direction marks."""
    flat = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(text))
    return re.sub(r"[\u202a-\u202e\u2066-\u2069]", "", flat)
