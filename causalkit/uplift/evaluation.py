"""UpliftEvaluation: is a ranking of people by effect any good, and what does treating its top bring?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment, Role
from causalkit.core.rows import Groups
from causalkit.core.sample import Number, Sample
from causalkit.effects.crossfit_study import clusters_of
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.curves import Curve, curve, curve_psi
from causalkit.uplift.evaluation_result import UpliftResult, calibration_check
from causalkit.uplift.evidence import BOUND, Evidence, gather
from causalkit.uplift.folds import fold_ranks
from causalkit.uplift.gates import Calibration, GroupEffects, calibration, group_effects
from causalkit.uplift.heterogeneity import Heterogeneity, heterogeneity
from causalkit.uplift.ranks import free_groups, rank_units, small_sample

#: Shares whose uplift is reported, and points of the curves.
TOP = (0.1, 0.2, 0.3)
GRID = np.arange(1, 51) / 50
GROUPS = 5


@dataclass(frozen=True, kw_only=True)
class UpliftEvaluation(Estimator[UpliftResult]):
    """Evaluate a ranking of people by their effect on held-out doubly robust scores.

    Estimates AUTOC (the headline) and QINI, the areas under the targeting curve TOC(q) and under q TOC(q), where TOC(q)
    is the effect among the top share q less the average effect (Yadlowsky et al. 2025), and the effect among the top
    10, 20 and 30 %. A ranking no better than chance has AUTOC and QINI of zero. Ties are ties: a constant effect scores
    exactly zero, and no value depends on the order of rows.

    Parameters
    ----------
    alpha : float
        Level of the one-sided verdict ``has_evidence``, and one minus the coverage of bands.
    random_state : int, optional
        Seed of the cross-fitting of scores, where the effects are not those of a model on its own training table.

    Notes
    -----
    For a model on its own training table effects are out of fold, and people are ranked within folds; the variance of
    AUTOC and QINI is doubled, because the folds' rankings learned from each other's outcomes (see
    :mod:`causalkit.uplift.folds`). Effects that have seen the outcomes that judge them are refused.

    The scores assume what the model assumes: no unmeasured confounding given the covariates (or known propensities),
    and overlap.

    References
    ----------
    Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), "Evaluating treatment prioritization rules via rank-weighted
    average treatment effects", *JASA*.
    """

    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    random_state: int | None = params.seed()

    roles: ClassVar[Mapping[str, Role]] = {role: spec for role, spec in BOUND.items() if role != "cost"}
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "row")
    strategies: ClassVar[tuple[str, ...]] = ("adjustment",)

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
    ) -> UpliftResult:
        """Evaluate a ranking.

        Parameters
        ----------
        data : table
            The model's training table (effects are then out of fold), or rows it has not seen.
        effect : fitted model, str or array
            A model of effects (its roles are the default of those below), a fitted model of another library with
            ``effect(X)`` or ``predict(X)`` (name its covariates), or predicted effects in units of the outcome.
        score : str or array, optional
            Instead: any numbers that rank people, the largest to be treated first.
        outcome, treatment : str
            As for DRLearner.
        covariates : str or list of str, optional
            For the doubly robust scores; without them the scores adjust for nothing, which is right in a randomised
            experiment (but noisier).
        control, treatment_level : label, optional
            The baseline arm and, with several, the arm of interest.
        propensity : float or str, optional
            Known probability of the arm of interest; estimated where left out.
        cluster, unit, weights : str, optional
            Rows that are not independent; labels that match people across results; weights of rows.
        missing : {"native", "drop", "raise"}, optional
            What to do with covariates that have gaps.

        Returns
        -------
        UpliftResult

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
        run: UpliftEvaluation = self.seeded()  # type: ignore[assignment]
        evidence = gather(data, given, run.random_state or 0)
        result = run._evaluate(_as_sample(evidence), evidence.checks())
        return replace(result, roles={**evidence.sample.given, "effect": effect})

    def estimate(self, sample: Sample) -> UpliftResult:
        """Evaluate the held-out scores and effects that a sample of this class holds."""
        if not sample.has("held_out_score"):
            raise InferenceUnavailable(
                "this sample has no held-out scores.", hint="Call fit(data, effect=...), or refit(data) with a table."
            )
        run: UpliftEvaluation = self.seeded()  # type: ignore[assignment]
        return run._evaluate(sample, {})

    def _evaluate(self, sample: Sample, checks: Mapping[str, Check]) -> UpliftResult:
        scores, effect = sample.number("held_out_score"), sample.number("predicted_effect")
        ranked_by = sample.number("priority")
        weights, groups = sample.optional("weights"), clusters_of(sample)
        codes = None if groups is None else groups.codes
        fold_groups = sample.groups("fold")
        folds = None if fold_groups is None else fold_groups.codes
        tests = {m: heterogeneity(scores, ranked_by, m, weights, codes, folds) for m in ("autoc", "qini")}
        # Folds' effects come from different models: curves use ranks within folds.
        # Rounded, so that equals of different folds stay equals.
        priority = ranked_by if folds is None else np.round(fold_ranks(ranked_by, folds, weights), 12)
        line = _line(scores, effect, weights, codes) if "score" not in sample.given else None
        numbers = self._numbers(sample, scores, priority, tests, groups)
        name = sample.arms.contrast()
        return UpliftResult(
            estimator=self,
            effects=numbers,
            headline="autoc",
            estimand=f"how well people are ranked by the effect of {name} (area under the targeting curve, AUTOC)",
            checks=Checks(
                {
                    **checks,
                    "heterogeneity": tests["autoc"].check(self.alpha),
                    "calibration": calibration_check(line, self.alpha, is_effect="score" not in sample.given),
                }
            ),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            heterogeneity=tests["autoc"],
            toc=curve(scores, priority, "toc", GRID, weights, codes),
            gain=curve(scores, priority, "gain", GRID, weights, codes),
            groups=_gates(scores, effect, priority, weights, codes),
            slope=None if line is None else (line.slope, float(line.se[1])),
            average=_average(scores, weights),
            contrast=name,
        )

    def _numbers(
        self,
        sample: Sample,
        scores: Floats,
        priority: Floats,
        tests: Mapping[str, Heterogeneity],
        groups: Groups | None,
    ) -> Effects:
        """All terms with joint influence values, on one small-sample factor."""
        weights = sample.optional("weights")
        ranking = rank_units(priority, weights)
        codes = None if groups is None else groups.codes
        scale, n_groups = small_sample(ranking, codes)
        values, psi = curve_psi(scores, ranking, "uplift", np.array(TOP))
        ranked = [test.effect for test in tests.values()]
        columns = [np.sqrt(effect.scale / scale) * effect.psi for effect in ranked]
        theta = np.concatenate([[effect.estimate for effect in ranked], values])
        df = np.full(len(theta), free_groups(n_groups, codes))
        kind = "HC1" if groups is None else "CR1"
        carrier = Influence(read_only(np.column_stack([*columns, psi])), sample.rows, groups, scale, df, kind)
        terms = (*tests, *(f"uplift_top_{round(100 * q)}" for q in TOP))
        return Effects(terms, Estimate(theta, carrier).folded())


def _as_sample(evidence: Evidence) -> Sample:
    """The rows with their held-out scores and effects as columns, so that they can be taken and evaluated again."""
    added: dict[str, Any] = {
        "held_out_score": Number(read_only(evidence.scores), "held-out score"),
        "predicted_effect": Number(evidence.effect, "predicted effect"),
        "priority": Number(evidence.priority, "priority"),
    }
    if evidence.folds is not None:
        labels = tuple(range(int(evidence.folds.max()) + 1))
        added["fold"] = Groups(evidence.folds, labels, "fold")
    return replace(evidence.sample, columns={**evidence.sample.columns, **added})


def _line(scores: Floats, effect: Floats, weights: Floats | None, codes: Codes | None) -> Calibration | None:
    try:
        return calibration(scores, effect, weights, codes)
    except InferenceUnavailable:
        return None


def _gates(
    scores: Floats, effect: Floats, priority: Floats, weights: Floats | None, codes: Codes | None
) -> GroupEffects | None:
    """Effects by fifth of the ranking, with the mean predicted effect of each."""
    if rank_units(priority, weights).n_units < 2 * GROUPS:
        return None
    found = group_effects(scores, priority, GROUPS, weights, codes)
    return replace(found, mean_priority=group_effects(effect, priority, GROUPS, weights, codes).value)


def _average(scores: Floats, weights: Floats | None) -> float:
    return float(np.average(scores, weights=weights))


__all__ = ["Curve", "UpliftEvaluation"]
