"""What an evaluation of a ranking has to say: numbers, curves, the verdict and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.core.table import Table
from causalkit.effects.plain_result import outcome_name
from causalkit.errors import DesignError
from causalkit.inference.wald import t_quantile, upper_pvalue
from causalkit.kernels.arrays import Floats
from causalkit.uplift.curves import Curve, joint_half_widths
from causalkit.uplift.gates import Calibration, GroupEffects
from causalkit.uplift.heterogeneity import Heterogeneity

#: Checks of how effects and scores were made, which hold for any part of the same rows.
OF_THE_FIT = ("missing_outcomes", "balance", "overlap", "held_out")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UpliftResult(Result):
    """An evaluated ranking.

    Parameters
    ----------
    heterogeneity : Heterogeneity
        The one-sided test of AUTOC behind ``has_evidence``.
    toc, gain : Curve
        Targeting curve and gain curve (per head of everyone), with their joint covariance.
    profit : Curve or None
        Profit per head of everyone, where a value or a cost was given.
    groups : GroupEffects or None
        Effects by fifth of the ranking; None for fewer than ten people.
    slope : (float, float) or None
        Calibration slope of held-out scores on predicted effects, and its standard error.
    average : float
        Average effect of these rows.
    contrast : str
        What is compared.
    """

    heterogeneity: Heterogeneity
    toc: Curve
    gain: Curve
    profit: Curve | None
    groups: GroupEffects | None
    slope: tuple[float, float] | None
    average: float
    contrast: str

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        curves = ("toc", "gain") if self.profit is None else ("toc", "gain", "profit")
        return (*curves, "calibration") if self.groups is not None else curves

    @property
    def alpha(self) -> float:
        """Level of the verdict and of the bands."""
        return float(self.estimator.alpha)  # type: ignore[attr-defined]

    @property
    def has_evidence(self) -> bool:
        """Whether the ranking is better than a random one, at one-sided level ``alpha``."""
        return self.heterogeneity.found(self.alpha)

    @property
    def title(self) -> str:
        """What was evaluated."""
        return f"Ranking people by the effect of {self.contrast}"

    @property
    def answer(self) -> str:
        """The verdict."""
        return self.heterogeneity.verdict(self.alpha)

    def band(self, kind: str = "toc") -> tuple[Floats, Floats]:
        """Return the simultaneous band (low, high) of the curve ``"toc"``, ``"gain"`` or ``"profit"`` at its shares ``q``."""
        return self._curve(kind).band(self.alpha)

    def _curve(self, kind: str) -> Curve:
        curves = {"toc": self.toc, "gain": self.gain, "profit": self.profit}
        curve = curves.get(kind)
        if curve is None:
            known = ", ".join(repr(name) for name, there in curves.items() if there is not None)
            hint = "Set value= or cost= of the evaluation." if kind == "profit" else f"Use one of {known}."
            raise DesignError(f"there is no curve {kind!r}.", hint=hint)
        return curve

    def refit(self, data: Any = None) -> Any:
        """Run the same evaluation on other data; on rows of this one it keeps what is known of the effects.

        Parameters
        ----------
        data : table or Sample, optional
            Other rows; by default the rows this result keeps.
        """
        result = super().refit(data)
        if data is not None and not isinstance(data, Sample):
            return result
        known = {name: (lambda name=name: self.checks[name]) for name in OF_THE_FIT if name in self.checks}
        return replace(result, checks=Checks(known).joined(result.checks))

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: each term is a mean of influence values of its own."""
        return 1

    # Telling it.

    def passages(self) -> tuple[Passage, ...]:
        """Return whether ranking people pays, and how sure that is."""
        return (self._found(), *self._certainty())

    def _found(self) -> Passage:
        top, name = self.effects.index("uplift_top_20"), outcome_name(self.roles)
        low, high = self.effects.ci(self.alpha)
        uplift = float(self.effects.values[top])
        sentence = (
            f"The fifth of people ranked first gain {fmt.number(uplift, 3)} in {name} "
            f"{fmt.interval(low[top], high[top], 3)}; everyone together gains {fmt.number(self.average, 3)} a head."
        )
        advice = "" if self.has_evidence else "Choosing people by this ranking is not justified by these data."
        told = f"{100 * (1 - self.alpha):.0f}% interval"
        facts = (
            ("Effect, top 20%", fmt.number(uplift, 3), f"{told} {fmt.interval(low[top], high[top], 3)}"),
            ("Effect, everyone", fmt.number(self.average, 3), "average of held-out scores"),
            ("AUTOC", fmt.number(self.estimate, 3), f"one-sided p-value {fmt.pvalue(self.heterogeneity.pvalue)}"),
        )
        text = tuple(line for line in (self.answer, sentence, advice) if line)
        return Passage("found", "Does ranking people pay?", text, facts=facts)

    def _certainty(self) -> tuple[Passage, ...]:
        rows = f"{fmt.plural(self.n, 'row')} evaluated on scores that the ranking has not seen."
        level = f"{100 * (1 - self.alpha):.0f}%"
        band = f"The darker band holds at each share with {level} confidence, the lighter one at all shares at once."
        first = Passage("certainty", "The top of the ranking against everyone", (rows, band), self.to_table(), "toc")
        gain = Passage("certainty", "What treating the top of the ranking gains", (band,), figure="gain")
        curves: tuple[Passage, ...] = (first, gain)
        if self.profit is not None:
            curves = (
                *curves,
                Passage("certainty", "What treating the top of the ranking earns", (band,), figure="profit"),
            )
        if self.groups is None:
            return curves
        said = self.checks["calibration"].message
        varies = np.ptp(self.groups.mean_priority) > 1e-12
        figure = "calibration" if varies else None
        groups = Passage("certainty", "Predicted and estimated effects", (said,), self.groups_table(), figure)
        return (*curves, groups)

    def groups_table(self) -> Table:
        """Return predicted and estimated effects by fifth of the ranking, with simultaneous limits."""
        if self.groups is None:
            raise DesignError("there are too few people for groups.", hint="Read the table of effects.")
        g, (low, high) = self.groups, self._group_limits(simultaneous=True)
        lower = [0.0, *g.upper[:-1]]
        rows = [
            (f"{100 * a:.0f} to {100 * b:.0f}%", float(p), float(v), float(s), float(lo), float(hi))
            for a, b, p, v, s, lo, hi in zip(lower, g.upper, g.mean_priority, g.value, g.se, low, high, strict=True)
        ]
        head = ("group", "predicted", "estimate", "se", "ci_low", "ci_high")
        return Table.of(
            head, rows, "Effects by fifth of the ranking, the first fifth first; limits hold for all at once"
        )

    def _group_limits(self, simultaneous: bool) -> tuple[Floats, Floats]:
        assert self.groups is not None
        g = self.groups
        if simultaneous:
            half = joint_half_widths(g.vcov, g.free, self.alpha)
        else:
            half = t_quantile(1.0 - self.alpha / 2.0, g.free) * g.se
        return g.value - half, g.value + half

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of one figure."""
        if kind == "calibration" and self.groups is not None:
            low, high = self._group_limits(simultaneous=False)
            g = self.groups
            return {"title": self.title, "predicted": g.mean_priority, "estimate": g.value, "low": low, "high": high}
        curve = self._curve(kind)
        low, high = curve.limits(self.alpha)
        band_low, band_high = curve.band(self.alpha)
        whole = curve.value[-1] * curve.q  # the last share is everyone
        reference = np.zeros(len(curve.q)) if kind == "toc" else whole
        return {
            "title": self.title,
            "q": curve.q,
            "value": curve.value,
            "low": low,
            "high": high,
            "band_low": band_low,
            "band_high": band_high,
            "reference": reference,
            "reference_label": "a random order",
            "xlabel": "Share treated, in the order of the ranking",
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary."""
        from causalkit.core.presentation import plain

        kinds = [kind for kind in self.plots if kind != "calibration"]
        curves = {kind: {"q": self._curve(kind).q, "value": self._curve(kind).value} for kind in kinds}
        said = {"has_evidence": self.has_evidence, "one_sided_pvalue": self.heterogeneity.pvalue, "curves": curves}
        return plain({**super().to_dict(), **said})  # type: ignore[no-any-return]


def calibration_check(line: Calibration | None, alpha: float, *, is_effect: bool) -> Check:
    """Test that the slope of held-out scores on predicted effects is one."""
    if not is_effect:
        return Check("calibration", "untestable", "A score that is not an effect can't be calibrated.")
    if line is None:
        return Check(
            "calibration", "untestable", "Everybody has the same predicted effect, so there is no slope to calibrate."
        )
    slope, se = line.slope, float(line.se[1])
    pvalue = 2.0 * float(upper_pvalue(abs(slope - 1.0) / se, line.df)) if se > 0 else 1.0
    message = (
        f"A difference of 1 between predicted effects goes with a difference of {fmt.number(slope, 3)} between estimated "
        f"ones (standard error {fmt.number(se, 3)}; 1 is ideal, p-value {fmt.pvalue(pvalue)})."
    )
    if pvalue >= alpha:
        return Check("calibration", "pass", message, slope, pvalue)
    wrong = "overstate" if slope < 1 else "understate"
    return Check(
        "calibration", "warn", message, slope, pvalue,
        f"The predictions {wrong} how much people differ: use their order, not their size.",
    )  # fmt: skip
