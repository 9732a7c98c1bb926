"""Segmentation: persuadables, sure things, lost causes and sleeping dogs, and whoever can't be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core import params
from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.table import Table
from causalkit.effects.averages import average_effect, shares
from causalkit.effects.prediction import EffectPrediction
from causalkit.errors import DesignError
from causalkit.inference.wald import t_interval
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.evidence import Evidence, gather, seeded
from causalkit.uplift.heterogeneity import Heterogeneity, heterogeneity
from causalkit.uplift.label_validation import OUT_OF_FOLD_VARIANCE, kept_labels, parts_of
from causalkit.uplift.labels import SEGMENTS, UNDECIDED, Labels, claim_pvalues, label
from causalkit.uplift.segment_report import SegmentReport, validation_check
from causalkit.uplift.segment_rules import segment_rules

#: Default margin: of a 0/1 outcome (five points), and of another one (a tenth of its standard deviation).
BINARY_MARGIN, MARGIN_IN_SD = 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Sort people by what the treatment does to them, and leave undecided whom the data can't place.

    =============  =====================================================================================
    persuadable    the effect is above ``tolerance``
    sleeping dog   the effect is below ``-tolerance``: the treatment does harm
    sure thing     the effect is smaller than ``margin`` either way, and the outcome without treatment is high
    lost cause     the effect is smaller than ``margin`` either way, and the outcome without treatment is low
    undecided      none of these can be claimed
    =============  =====================================================================================

    Of an outcome to be avoided (``value=-1``) it is the other way round: a persuadable has an effect below ``-tolerance``, and
    a sure thing a low outcome without treatment.

    Each label is a claim that was tested with the errors of the person's predicted effect and baseline: among all labels
    given, the expected share of wrong ones is at most ``alpha`` (false discovery rate), as far as these errors are right.
    Then held-out outcomes have their say: from the surest label of a segment downwards, slice by slice, a label stays only
    where the claim is borne out there.

    Parameters
    ----------
    alpha : float
        False discovery rate of the labels; and one minus the coverage of intervals.
    tolerance : float
        Smallest effect that matters, in units of the outcome.
    margin : float, optional
        An effect within ``margin`` of zero is as good as none. By default 0.05 for a 0/1 outcome and a tenth of the
        outcome's standard deviation otherwise, and never less than ``tolerance``.
    cutoff : float, optional
        Where a high outcome without treatment begins: by default 0.5 for a 0/1 outcome, the mean outcome of untreated
        people otherwise.
    value : float
        What a unit of the outcome is worth, as for :class:`~causalkit.uplift.targeting.Targeting`. Only its sign counts here:
        negative for an outcome to be avoided, such as churn.
    method : {"bh", "by"}
        Adjustment for the number of people: Benjamini-Hochberg, or Benjamini-Yekutieli.
    random_state : int, optional
        Seed of the cross-fitting of scores, where the effects are not those of a model on its own training table.

    Notes
    -----
    People share one model, so their errors are dependent. Benjamini-Hochberg holds under independence and positive
    dependence, which a shared model mostly makes; ``method="by"`` holds under any dependence and decides about fewer
    people.

    The errors of predictions speak of the noise of the model, not of what it can't see: where a model smooths over a step in
    the effect, people near the step are labelled with too much confidence. Each segment is therefore cut into slices by
    confidence, large enough to be judged, and each slice's mean held-out score tested one-sided at ``alpha / 2``; labels from
    the first slice that fails are withdrawn (``withdrawn`` counts them). For a model on its own training table the variance
    of these means is doubled, because the folds' labels and scores taught each other. The same scores make ``validation``:
    intervals of the segments as they are shown hold together, but the mean of a segment that barely stayed is a little too far
    from zero. A kept slice is right on average, not
    person by person: use a flexible learner, and ``tolerance`` to stay away from the boundary (``docs/coverage.md``).

    A person's interval is that of the model's prediction. Where the model found no differences between people, everybody
    has the average effect with its interval: then either everybody is persuadable (a clear average effect) or nobody is.

    Where the ranking is not better than a random one (check ``heterogeneity``), the differences between people are not
    trusted to make a claim: a label then needs the support of the average effect too.

    Effects handed over as numbers have no errors of their own; they are calibrated on the held-out scores, and labels
    speak of people with that number on average.

    References
    ----------
    Benjamini and Hochberg (1995); Benjamini and Yekutieli (2001); Berger (1982), "Multiparameter hypothesis testing and
    acceptance sampling", *Technometrics* 24; Schuirmann (1987).
    """

    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    tolerance: float = params.number(0.0, low=0.0)
    margin: float | None = params.number(None, low=0.0, open_low=True)
    cutoff: float | None = params.number(None)
    value: float = params.number(1.0)
    method: str = params.choice("bh", "bh", "by")
    random_state: int | None = params.seed()

    def __post_init__(self) -> None:
        params.enforce(self)
        if self.value == 0:
            raise DesignError(
                "value=0: of an outcome that is worth nothing there is nobody to persuade.",
                hint="Pass value=1, or value=-1 for an outcome to be avoided.",
            )
        if self.margin is not None and self.margin < self.tolerance:
            raise DesignError(
                f"margin={self.margin:g} is below tolerance={self.tolerance:g}, so effects between them have no segment.",
                hint="An effect too small to matter is one within the margin: use margin of tolerance or more.",
            )

    def fit(
        self,
        data: Any,
        *,
        effect: Any = None,
        score: Any = None,
        outcome: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] = (),
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str | None = None,
    ) -> SegmentReport:
        """Sort the people of a table.

        Parameters
        ----------
        data : table
            The model's training table (effects are then out of fold), or rows it has not seen.
        effect, score, outcome, treatment, covariates, control, treatment_level, propensity, cluster, unit, weights, missing
            As for :class:`~causalkit.uplift.evaluation.UpliftEvaluation`; with a fitted model its roles are the default.

        Returns
        -------
        SegmentReport

        Raises
        ------
        DesignError
            If there is no effect, or the table is a part of the model's training table.
        DataError
            If the table holds values that can't be used.
        """
        given = {
            "effect": effect,
            "score": score,
            "outcome": outcome,
            "treatment": treatment,
            "covariates": covariates,
            "control": control,
            "treatment_level": treatment_level,
            "propensity": propensity,
            "cluster": cluster,
            "unit": unit,
            "weights": weights,
            "missing": missing,
        }
        run = seeded(self)
        return run._segment(gather(data, given, run.random_state or 0))

    def _segment(self, evidence: Evidence) -> SegmentReport:
        p = evidence.prediction
        first, labels, found, margin, cutoff = self._labelled(evidence)
        low, high = t_interval(p.effect, p.effect_se, p.df, self.alpha)
        validation = _validate(evidence, labels.codes)
        ledger = {**evidence.checks(), "heterogeneity": found.check(self.alpha)}
        withdrawn = _count(first.codes[labels.codes != first.codes])
        ledger["validation"] = validation_check(validation, self.tolerance, self.alpha, withdrawn, self._sign)
        return SegmentReport(
            tool=self,
            checks=Checks(ledger),
            rows=evidence.sample.rows.positions,
            prediction=p,
            effect_low=read_only(np.asarray(low)),
            effect_high=read_only(np.asarray(high)),
            codes=labels.codes,
            pvalue=labels.pvalue,
            margin=margin,
            cutoff=cutoff,
            effects=validation,
            profile_table=_profile(evidence, labels.codes),
            rule_table=segment_rules(evidence.sample.features(), labels.codes, shares(p.effect.size, evidence.weights)),
            outcome=evidence.outcome,
            contrast=evidence.contrast,
            has_evidence=found.found(self.alpha),
            withdrawn=withdrawn,
        )

    @property
    def _sign(self) -> float:
        return 1.0 if self.value > 0 else -1.0

    def _labelled(self, evidence: Evidence) -> tuple[Labels, Labels, Heterogeneity, float, float]:
        """Labels by the errors of predictions, those that held-out scores bore out, the ranking's verdict, and the limits."""
        margin, cutoff, sign = self._margin(evidence), self._cutoff(evidence), self._sign
        scores = sign * evidence.scores
        found = heterogeneity(
            scores, sign * evidence.priority, "autoc", evidence.weights, evidence.codes, evidence.folds
        )
        wanted = _signed(evidence.prediction, sign)
        limits = (self.tolerance, margin, sign * cutoff)
        claims = claim_pvalues(wanted, *limits)
        if not found.found(self.alpha):
            claims = np.maximum(claims, claim_pvalues(_signed(_averaged(evidence), sign), *limits))
        first = label(claims, self.alpha, self.method)  # type: ignore[arg-type]
        control = sign * evidence.arm_scores[:, 0]
        parts = {code: parts_of(code, wanted, scores, control, *limits) for code in range(UNDECIDED)}
        variance = OUT_OF_FOLD_VARIANCE if evidence.source == "out_of_fold" else 1.0
        sliced = found.found(self.alpha)
        labels = kept_labels(first, parts, self.alpha, variance, evidence.weights, evidence.codes, sliced)
        return first, labels, found, margin, cutoff

    def _margin(self, evidence: Evidence) -> float:
        if self.margin is not None:
            return self.margin
        natural = BINARY_MARGIN if evidence.is_binary else MARGIN_IN_SD * float(evidence.sample.outcome.std())
        return max(natural, self.tolerance)

    def _cutoff(self, evidence: Evidence) -> float:
        if self.cutoff is not None:
            return self.cutoff
        if evidence.is_binary:
            return 0.5
        return float(np.average(evidence.arm_scores[:, 0], weights=evidence.weights))


def _count(codes: Codes) -> dict[str, int]:
    return {SEGMENTS[code]: int(n) for code, n in enumerate(np.bincount(codes, minlength=UNDECIDED)) if n}


def segment_codes(tool: Segmentation, evidence: Evidence) -> Codes:
    """Return the segment of each person, as a position in :data:`~causalkit.uplift.labels.SEGMENTS`."""
    return tool._labelled(evidence)[1].codes


def _signed(p: EffectPrediction, sign: float) -> EffectPrediction:
    """The prediction of what is wanted: the outcome, or its opposite."""
    return replace(p, baseline=sign * p.baseline, effect=sign * p.effect)


def _averaged(evidence: Evidence) -> EffectPrediction:
    """Everybody's own baseline with the average effect and its error."""
    p, n = evidence.prediction, evidence.sample.n
    average = average_effect(evidence.scores, evidence.weights, evidence.groups)
    effect, se = np.full(n, average.theta[0]), np.full(n, average.se[0])
    return EffectPrediction(p.baseline, effect, p.baseline_se, se, np.zeros(n), float(average.df[0]))


def _validate(evidence: Evidence, codes: Codes) -> Effects:
    """Mean held-out score of each segment that holds ten people or more, with joint influence values."""
    share = shares(len(codes), evidence.weights)
    scores, present = evidence.scores, [c for c in range(len(SEGMENTS)) if np.sum(codes == c) >= 10]
    theta, psi, columns = [], [], {"n": [], "share": [], "predicted": []}  # type: ignore[var-annotated]
    for code in present:
        inside = codes == code
        mass = float(share[inside].sum())
        theta.append(float(share[inside] @ scores[inside]) / mass)
        psi.append(share * inside * (scores - theta[-1]) / mass)
        columns["n"].append(int(inside.sum()))
        columns["share"].append(mass)
        columns["predicted"].append(float(share[inside] @ evidence.prediction.effect[inside]) / mass)
    matrix = np.column_stack(psi) if psi else np.empty((len(codes), 0))
    groups = evidence.groups
    count = len(codes) if groups is None else groups.count
    kind, df = ("HC1", np.inf) if groups is None else ("CR1", float(count - 1))
    carrier = Influence(
        read_only(matrix), evidence.sample.rows, groups, count / (count - 1), np.full(len(theta), df), kind
    )
    numbers = Estimate(np.array(theta), carrier.folded()) if theta else Estimate(np.empty(0), carrier)
    return Effects(tuple(SEGMENTS[code] for code in present), numbers, columns)


def _profile(evidence: Evidence, codes: Codes) -> Table:
    """Mean of each covariate (share of each category) by segment, and its distance from everyone else's."""
    features, weights = evidence.sample.features(), shares(len(codes), evidence.weights)
    rows = []
    for name, column in _columns(features):
        known = ~np.isnan(column)
        if not known.any():
            continue
        spread = float(np.sqrt(np.cov(column[known], aweights=weights[known], ddof=0))) if known.sum() > 1 else 0.0
        for code, segment in enumerate(SEGMENTS):
            inside, others = known & (codes == code), known & (codes != code)
            if not inside.any():
                continue
            mean = float(np.average(column[inside], weights=weights[inside]))
            rest = float(np.average(column[others], weights=weights[others])) if others.any() else None
            distance = None if rest is None or spread == 0 else (mean - rest) / spread
            rows.append((name, segment, mean, rest, distance))
    head = ("covariate", "segment", "mean", "mean_others", "standardised_difference")
    return Table.of(head, rows, "Means of covariates; a category's mean is its share")


def _columns(features: Any) -> list[tuple[str, Floats]]:
    out: list[tuple[str, Floats]] = []
    for j, (name, levels) in enumerate(zip(features.names, features.schema.levels, strict=True)):
        column = features.values[:, j]
        if levels is None:
            out.append((name, column))
            continue
        for code, level in enumerate(levels):
            out.append((f"{name}[{level}]", np.where(np.isnan(column), np.nan, column == code)))
    return out


__all__ = ["Segmentation", "segment_codes"]
