"""What a segmentation has to say: who is in which segment, whether held-out outcomes agree, and who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.effects.prediction import EffectPrediction
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.uplift.labels import SEGMENTS, UNDECIDED

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.uplift.segmentation import Segmentation

#: Segments in words.
NAMES = {
    "persuadable": "persuadables",
    "sure_thing": "sure things",
    "lost_cause": "lost causes",
    "sleeping_dog": "sleeping dogs",
    "undecided": "undecided",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SegmentReport(Report):
    """People by segment.

    Parameters
    ----------
    tool : Segmentation
        The configuration.
    checks : Checks
        The assumption ledger.
    rows : Ints, shape (n,)
        Position of each person in the user's table.
    prediction : EffectPrediction
        Baseline and effect of each person, with their errors.
    effect_low, effect_high : Floats, shape (n,)
        Interval of each person's effect, pointwise.
    codes : Codes, shape (n,)
        Segment codes.
    pvalue : Floats, shape (n,)
        Adjusted p-value of each label (of the best claim, for the undecided): the larger of that by the errors of the
        prediction and that of held-out outcomes.
    margin, cutoff : float
        Limits that were used.
    effects : Effects
        Held-out effect of each segment that holds ten people or more.
    profile_table : Table
        Means of covariates by segment.
    rule_table : Table
        Two cuts that tell the segments apart best.
    outcome, contrast : str
        What was affected, and what was compared.
    has_evidence : bool
        Whether the ranking by effect is better than a random one.
    withdrawn : mapping of str to int
        Labels by segment that the predictions gave and held-out outcomes did not bear out; these people are undecided.
    """

    tool: Segmentation
    checks: Checks
    rows: Ints
    prediction: EffectPrediction
    effect_low: Floats
    effect_high: Floats
    codes: Codes
    pvalue: Floats
    margin: float
    cutoff: float
    effects: Effects
    profile_table: Table
    rule_table: Table
    outcome: str
    contrast: str
    has_evidence: bool
    withdrawn: Mapping[str, int] = field(default_factory=dict)

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        return ("segments", "profile") if self._apart() else ("segments",)

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.codes)

    @cached_property
    def segments(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Segment of each person, shape (n,), in the order of the rows used."""
        return np.array(SEGMENTS)[self.codes]

    @property
    def counts(self) -> dict[str, int]:
        """People in each segment."""
        found = np.bincount(self.codes, minlength=len(SEGMENTS))
        return {name: int(count) for name, count in zip(SEGMENTS, found, strict=True)}

    @property
    def validation(self) -> pd.DataFrame:
        """Held-out effect of each segment; the limits hold for all segments at once."""
        import pandas as pd

        table = self._validation_table()
        return pd.DataFrame(table.rows, columns=list(table.columns))

    @property
    def profile(self) -> pd.DataFrame:
        """Mean of each covariate by segment, and its standardised difference from everyone else."""
        import pandas as pd

        return pd.DataFrame(self.profile_table.rows, columns=list(self.profile_table.columns))

    @property
    def rules(self) -> pd.DataFrame:
        """Segments in words: who, the segment, and how many of them are in it. It describes labels, it doesn't make them."""
        import pandas as pd

        return pd.DataFrame(self.rule_table.rows, columns=list(self.rule_table.columns))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per person: position in the table, baseline, effect with its interval, segment, p-value."""
        import pandas as pd

        return pd.DataFrame(
            {
                "row": self.rows,
                "baseline": self.prediction.baseline,
                "effect": self.prediction.effect,
                "effect_low": self.effect_low,
                "effect_high": self.effect_high,
                "segment": self.segments,
                "pvalue": self.pvalue,
            }
        )

    # Telling it.

    @property
    def title(self) -> str:
        """What was sorted."""
        return f"Segments: what {self.contrast} does to people"

    @property
    def is_constant(self) -> bool:
        """Whether everybody has the same predicted effect."""
        effect = self.prediction.effect
        return bool(np.ptp(effect) <= 1e-9 * max(float(np.abs(effect).max()), 1e-300))

    @property
    def answer(self) -> str:
        """The segments in one sentence."""
        counts = self.counts
        decided = [f"{counts[s]:,} {NAMES[s]} ({fmt.share(counts[s] / self.n, 0)})" for s in SEGMENTS[:4] if counts[s]]
        rest = counts["undecided"]
        if not decided:
            return f"Nobody of {self.n:,} people can be placed: the data can't tell what {self.contrast} does to any of them."
        tail = f"; {rest:,} ({fmt.share(rest / self.n, 0)}) can't be placed" if rest else ""
        alike = (
            " No differences between people were found: all are placed by the average effect." if self._alike else ""
        )
        return f"Of {self.n:,} people: {', '.join(decided)}{tail}.{alike}"

    @property
    def _alike(self) -> bool:
        return bool(np.ptp(self.prediction.effect) <= 1e-12 * max(1.0, float(np.abs(self.prediction.effect).max())))

    def to_table(self) -> Table:
        """Return people, predicted effect and held-out effect by segment."""
        return self._validation_table()

    def _validation_table(self) -> Table:
        low, high = self._limits()
        known = {name: at for at, name in enumerate(self.effects.terms)}
        rows: list[tuple[object, ...]] = []
        for code, name in enumerate(SEGMENTS):
            inside = self.codes == code
            count, at = int(inside.sum()), known.get(name)
            head = (name, count, count / self.n)
            predicted = float(self.prediction.effect[inside].mean()) if count else None
            if at is None:
                rows.append((*head, predicted, None, None, None, None))
                continue
            numbers = (self.effects.values[at], self.effects.se[at], low[at], high[at])
            rows.append((*head, predicted, *(float(v) for v in numbers)))
        level = f"{100 * (1 - self.tool.alpha):.0f}%"
        caption = f"Effect by segment on held-out scores; the {level} limits hold for all segments at once"
        return Table.of(("segment", "n", "share", "predicted", "estimate", "se", "ci_low", "ci_high"), rows, caption)

    def _limits(self) -> tuple[Floats, Floats]:
        if not len(self.effects) or not self.effects.se.any():
            return self.effects.values, self.effects.values
        return self.effects.ci(self.tool.alpha, simultaneous=True)

    def passages(self) -> tuple[Passage, ...]:
        """Return who is in which segment, whether held-out outcomes agree, and what was tested."""
        facts = tuple(
            (NAMES[s].capitalize(), fmt.share(c / self.n, 0), fmt.plural(c, "person").replace("persons", "people"))
            for s, c in self.counts.items()
        )
        notes = [self.answer]
        if self.is_constant:
            notes.append(
                "The data show no differences between people that a prediction could use, so everybody is given the "
                "average effect and its interval: all are placed alike."
            )
        elif not self.has_evidence:
            notes.append(
                "There is no evidence that the predictions tell people apart, so a label had to be supported by the average "
                "effect as well."
            )
        found = Passage("found", "Who is moved", tuple(notes), figure="segments", facts=facts)
        checked = Passage("certainty", "Segments on held-out outcomes", (self._tested(),), self.to_table())
        told = [found, checked]
        if self.rule_table.rows:
            told.append(Passage("found", "The segments in words", (self._ruled(),), self.rule_table))
        about = self._profile_extract()
        if about is not None:
            told.append(Passage("found", "What sets the segments apart", (), about, "profile"))
        return tuple(told)

    def _ruled(self) -> str:
        return (
            "A description in two cuts. The labels are given person by person, so a group holds people of other segments "
            "too: the table says how many of a group are in its segment, and how much of the segment it holds."
        )

    def _tested(self) -> str:
        tool = self.tool
        gone = sum(self.withdrawn.values())
        kept = "every label was borne out" if not gone else f"{gone:,} labels were not borne out and are withdrawn"
        wanted = tool.value > 0
        limit = fmt.number(tool.tolerance if wanted else -tool.tolerance) if tool.tolerance else "zero"
        moved, sides = ("above", "above or below") if wanted else ("below", "below or above")
        adjusted = "Benjamini-Hochberg" if tool.method == "bh" else "Benjamini-Yekutieli"
        return (
            f"Of the labels given, at most {fmt.share(tool.alpha, 0)} are expected to be wrong ({adjusted}; people share "
            f"one model, so their errors are dependent). Persuadable: effect on {self.outcome} {moved} {limit}; sleeping dog: "
            f"the mirror image. Sure thing and lost cause: effect within {fmt.number(self.margin, 3)} of zero, and "
            f"{self.outcome} without treatment {sides} {fmt.number(self.cutoff, 3)}. Labels were then held against held-out "
            f"outcomes, the surest of each segment first: {kept}. The same outcomes make the table, so the mean of a segment "
            "that barely stayed is a little too far from zero."
        )

    def _profile_extract(self, most: int = 4) -> Table | None:
        """The covariates that set each segment apart most, undecided people left out."""
        rows = self._apart()
        kept: list[tuple[object, ...]] = []
        for segment in SEGMENTS[:UNDECIDED]:
            own = [r for r in rows if r[1] == segment]
            kept += sorted(own, key=lambda r: -abs(float(str(r[4]))))[:most]
        head = ("segment", "covariate", "mean", "mean_others", "standardised_difference")
        return Table.of(head, [(r[1], r[0], *r[2:]) for r in kept]) if kept else None

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of the segment map, or of the profile."""
        if kind == "profile" and self._apart():
            return self._profile_data()
        if kind != "segments":
            raise KeyError(kind)
        return {
            "title": self.title,
            "baseline": self.prediction.baseline,
            "effect": self.prediction.effect,
            "codes": self.codes,
            "names": [NAMES[name] for name in SEGMENTS],
            "baseline_cut": self.cutoff,
            "effect_cut": self.tool.tolerance if self.tool.value > 0 else -self.tool.tolerance,
            "xlabel": f"Predicted {self.outcome} without treatment",
            "ylabel": f"Predicted effect on {self.outcome}",
        }

    def _apart(self) -> list[tuple[object, ...]]:
        """Rows of the profile that compare a decided segment with everyone else."""
        return [r for r in self.profile_table.rows if r[4] is not None and r[1] != SEGMENTS[UNDECIDED]]

    def _profile_data(self) -> Mapping[str, Any]:
        rows = self._apart()
        covariates = list(dict.fromkeys(str(r[0]) for r in rows))
        present = [name for name in SEGMENTS if any(r[1] == name for r in rows)]
        known = {(r[1], r[0]): float(str(r[4])) for r in rows}
        return {
            "title": "What sets the segments apart",
            "covariates": covariates,
            "names": [NAMES[name] for name in present],
            "difference": [[known.get((name, c), float("nan")) for c in covariates] for name in present],
            "codes": [SEGMENTS.index(name) for name in present],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the person-level rows as a JSON-ready dictionary."""
        profile = [dict(zip(self.profile_table.columns, row, strict=True)) for row in self.profile_table.rows]
        rules = [dict(zip(self.rule_table.columns, row, strict=True)) for row in self.rule_table.rows]
        tool = {name: getattr(self.tool, name) for name in ("alpha", "tolerance", "value", "method", "random_state")}
        said = {
            "n": self.n,
            "outcome": self.outcome,
            "contrast": self.contrast,
            "counts": self.counts,
            **tool,
            "margin": self.margin,
            "cutoff": self.cutoff,
            "has_evidence": self.has_evidence,
            "withdrawn": dict(self.withdrawn),
            "rules": rules,
            "profile": profile,
        }
        return plain({**super().to_dict(), **said})  # type: ignore[no-any-return]


def validation_check(
    effects: Effects, tolerance: float, alpha: float, withdrawn: Mapping[str, int], sign: float = 1.0
) -> Check:
    """Check the labels against held-out scores: no segment's mean effect may contradict what its label claims."""
    lost = ", ".join(f"{count:,} {NAMES[name]}" for name, count in withdrawn.items())
    gone = f" Withdrawn, because held-out outcomes did not bear them out: {lost}." if lost else ""
    claims = {"persuadable": sign, "sleeping_dog": -sign}
    told, wrong = [], []
    low, high = effects.ci(alpha, simultaneous=True) if len(effects) and effects.se.any() else (effects.values,) * 2
    for at, name in enumerate(effects.terms):
        if name not in claims:
            continue
        told.append(f"{NAMES[name]} {fmt.number(float(effects.values[at]), 3)} {fmt.interval(low[at], high[at], 3)}")
        limit = high[at] if claims[name] > 0 else -low[at]
        if limit < tolerance:
            wrong.append(NAMES[name])
    if not told:
        return Check("validation", "untestable", f"No ten people are labelled persuadable or sleeping dog.{gone}")
    message = f"Mean effect on held-out outcomes: {'; '.join(told)}.{gone}"
    if not wrong:
        return Check("validation", "pass", message)
    return Check(
        "validation", "fail", message, advice=f"The data contradict the label of {', '.join(wrong)}: don't act on it."
    )
