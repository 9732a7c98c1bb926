"""UpliftEvaluation: is a ranking of people by effect any good, and what does treating its top bring?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.roles import Assignment, Role
from causalkit.core.rows import Groups
from causalkit.core.sample import Number, Sample
from causalkit.data.frame import Frame
from causalkit.effects.crossfit_study import clusters_of
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.comparison import Comparison, named_rankings, roles_of_each, rows_of_all
from causalkit.uplift.curves import Curve, curve_psi, curves, profit_curve
from causalkit.uplift.evaluation_result import UpliftResult, calibration_check
from causalkit.uplift.evidence import BOUND, Evidence, gather
from causalkit.uplift.folds import fold_ranks
from causalkit.uplift.gates import Calibration, GroupEffects, calibration, group_effects
from causalkit.uplift.guards import CHANCES, EXPECTED, null_model_check, placebo_check, score_balance_check
from causalkit.uplift.held_out import KnownScores
from causalkit.uplift.heterogeneity import Heterogeneity, heterogeneities
from causalkit.uplift.observed_metrics import auuc_from
from causalkit.uplift.ranking import Method
from causalkit.uplift.ranks import Ranking, Scored, free_groups, rank_units, small_sample

#: Shares whose uplift is reported, and points of the curves.
TOP = (0.1, 0.2, 0.3)
GRID = np.arange(1, 51) / 50
GROUPS = 5


@dataclass(frozen=True, kw_only=True)
class UpliftEvaluation(Estimator[UpliftResult]):
    """Evaluate a ranking of people by their effect on held-out doubly robust scores.

    Estimates AUTOC (the headline) and QINI, the areas under the targeting curve TOC(q) and under q TOC(q), where TOC(q)
    is the effect among the top share q less the average effect (Yadlowsky et al. 2025); AUUC, the area under the gain
    curve; and the effect among the top 10, 20 and 30 %. A ranking no better than chance has AUTOC and QINI of zero. Ties are
    ties: a constant effect scores exactly zero, and no value depends on the order of rows. All standard errors come from
    influence values.

    Parameters
    ----------
    alpha : float
        Level of the one-sided verdict ``has_evidence``, and one minus the coverage of bands.
    value : float
        Money per unit of the outcome.
    cost : float
        Money per treated person. With ``value`` or a cost the result has a profit curve.
    random_state : int, optional
        Seed of the cross-fitting of scores (where the effects are not those of a model on its own training table), and of
        the shuffles of the placebo.

    Notes
    -----
    For a model on its own training table effects are out of fold, and people are ranked within folds; the variance of
    AUTOC and QINI is doubled, because the folds' rankings learned from each other's outcomes (see
    :mod:`causalkit.uplift.folds`). Effects that have seen the outcomes that judge them are refused.

    Limits and bands at small shares go by the t distribution of the few people (clusters) who carry them (Satterthwaite's
    degrees of freedom), because their standard errors are known less well than those of the whole.

    Every evaluation checks itself: ``placebo_treatment`` shuffles the treatment and evaluates again, ``null_model`` compares
    the predicted effects with the same effect for all, ``score_balance`` asks whether the ranking knows who was treated,
    ``overlap`` reports the propensities, and ``held_out`` says whether the effects have seen these outcomes, as far as rows
    can be known again: new rows of few, discrete covariates equal training rows by chance, and are then no proof.

    The scores assume what the model assumes: no unmeasured confounding given the covariates (or known propensities),
    and overlap.

    References
    ----------
    Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), "Evaluating treatment prioritization rules via rank-weighted
    average treatment effects", *JASA*.
    """

    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    value: float = params.number(1.0, low=0.0, open_low=True)
    cost: float = params.number(0.0, low=0.0)
    random_state: int | None = params.seed()

    roles: ClassVar[Mapping[str, Role]] = BOUND
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
        cost: Any = None,
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
        cost : str, array or float, optional
            Cost of treating each person, instead of the ``cost`` of the configuration.
        missing : {"native", "drop", "raise"}, optional
            What to do with covariates that have gaps.

        Returns
        -------
        UpliftResult

        Raises
        ------
        DesignError
            If there is no effect, the table is a part of the model's training table, or there are several arms and no
            ``treatment_level``.
        DataError
            If the table holds values that can't be used.
        """
        if isinstance(score, Mapping) or (isinstance(score, list | tuple) and any(isinstance(s, str) for s in score)):
            raise DesignError("score= names several rankings.", hint="Use UpliftEvaluation().compare(data, score=...).")
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
            "cost": cost,
            "missing": missing,
        }
        run: UpliftEvaluation = self.seeded()  # type: ignore[assignment]
        return run._gathered(data, given, KnownScores())

    def _gathered(self, data: Any, given: dict[str, Any], known: KnownScores, only: Ints | None = None) -> UpliftResult:
        """Evaluate one ranking; scores that another ranking of the same people needed are not made again."""
        run, cost = self, given["cost"]
        if isinstance(cost, Real) and not isinstance(cost, bool):
            run, given = replace(run, cost=float(cost)), {**given, "cost": None}
        evidence = gather(data, given, run.random_state or 0, known=known, only=only)
        result = run._evaluate(_as_sample(evidence), evidence.checks())
        return replace(result, roles={**evidence.sample.given, "effect": given["effect"]})

    def compare(
        self,
        data: Any,
        *,
        effect: Mapping[str, Any] | None = None,
        score: Mapping[str, Any] | Sequence[str] | None = None,
        outcome: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] = (),
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        cost: Any = None,
        missing: str | None = None,
    ) -> Comparison:
        """Evaluate several rankings of the same people, with the standard errors of their differences.

        Rows that some ranking lacks are left out of all. Rankings with the same roles are judged by the same scores (but for
        models on their own training table, which have their own).

        Parameters
        ----------
        data : table
            As for :meth:`fit`.
        effect : mapping of str to (fitted model, str or array), optional
            Rankings by name, each as for :meth:`fit`.
        score : mapping of str to (str or array), or list of str, optional
            Further rankings by name; a list names columns.
        outcome, treatment, covariates, control, treatment_level, propensity, cluster, unit, weights, cost, missing
            As for :meth:`fit`; by default those of the first model.

        Returns
        -------
        Comparison
            A mapping from name to result, with ``difference(a, b)``, ``differences()`` and ``sample_size(a, b)``.

        Raises
        ------
        DesignError, DataError
            As :meth:`fit`; or fewer than two rankings, or two of one name, or models of different outcomes or arms.
        """
        run: UpliftEvaluation = self.seeded()  # type: ignore[assignment]
        rankings = named_rankings(effect, score)
        shared: dict[str, Any] = {
            "effect": None,
            "score": None,
            "outcome": outcome,
            "treatment": treatment,
            "covariates": covariates,
            "control": control,
            "treatment_level": treatment_level,
            "propensity": propensity,
            "cluster": cluster,
            "unit": unit,
            "weights": weights,
            "cost": cost,
            "missing": missing,
        }
        table = Frame.read(data)  # one identity of its rows for all, so that results subtract
        given = roles_of_each(rankings, shared)
        known = KnownScores(any_learner=True)
        results = {name: run._gathered(table, roles, known) for name, roles in given.items()}
        both = rows_of_all(list(results.values()))
        if both is not None:
            results = {name: run._gathered(table, roles, known, both) for name, roles in given.items()}
        return Comparison(results)

    def estimate(self, sample: Sample) -> UpliftResult:
        """Evaluate the held-out scores and effects that a sample of this class holds."""
        if not sample.has("held_out_score"):
            raise InferenceUnavailable(
                "this sample has no held-out scores.", hint="Call fit(data, effect=...), or refit(data) with a table."
            )
        run: UpliftEvaluation = self.seeded()  # type: ignore[assignment]
        return run._evaluate(sample, {"missing": lambda: missing_check(sample)})

    def _evaluate(self, sample: Sample, checks: Mapping[str, Any]) -> UpliftResult:
        scores, effect = sample.number("held_out_score"), sample.number("predicted_effect")
        ranked_by = sample.number("priority")
        weights, groups = sample.optional("weights"), clusters_of(sample)
        codes = None if groups is None else groups.codes
        fold_groups = sample.groups("fold")
        folds = None if fold_groups is None else fold_groups.codes
        # Folds' effects come from different models: curves use ranks within folds.
        # Rounded, so that equals of different folds stay equals.
        priority = ranked_by if folds is None else np.round(fold_ranks(ranked_by, folds, weights), 12)
        ranking = rank_units(priority, weights)
        scored = Scored.of(scores, ranking)
        if folds is None:
            tests = heterogeneities(scored, ranking, groups=codes)
        else:
            tests = heterogeneities(scores, ranked_by, weights, codes, folds)
        is_effect = "score" not in sample.given
        line = _line(scores, effect, weights, codes) if is_effect else None
        shapes = curves(scored, ranking, ("toc", "gain"), GRID, groups=codes)
        name = sample.arms.contrast()
        return UpliftResult(
            estimator=self,
            effects=self._numbers(scores, scored, tests, sample, groups, shapes["gain"]),
            headline="autoc",
            estimand=f"how well people are ranked by the effect of {name} (area under the targeting curve, AUTOC)",
            checks=Checks(
                {
                    **checks,
                    **outcome_check(sample),
                    "heterogeneity": tests["autoc"].check(self.alpha),
                    "calibration": calibration_check(line, self.alpha, is_effect=is_effect),
                    **self._guards(sample, tests["autoc"], is_effect),
                }
            ),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            heterogeneity=tests["autoc"],
            toc=shapes["toc"],
            gain=shapes["gain"],
            profit=self._profit(sample, scores, ranking, codes),
            groups=_gates(scored, effect, shapes["gain"]),
            slope=None if line is None else (line.slope, float(line.se[1])),
            average=_average(scores, weights),
            contrast=name,
        )

    def _guards(self, sample: Sample, test: Heterogeneity, is_effect: bool) -> dict[str, Any]:
        """Checks that are made when they are first read."""
        told = test.effect
        observed = told.estimate / told.se if told.se > 0 else 0.0
        seed = self.random_state or 0
        no_size = Check("null_model", "untestable", "A score has no size to compare; see heterogeneity.")
        return {
            "null_model": (lambda: null_model_check(sample, self.alpha)) if is_effect else no_size,
            "score_balance": lambda: score_balance_check(sample),
            "placebo_treatment": lambda: placebo_check(sample, self.alpha, seed, observed),
        }

    def _profit(self, sample: Sample, scores: Floats, ranking: Ranking, codes: Codes | None) -> Curve | None:
        if not sample.has("cost") and self.value == 1.0 and self.cost == 0.0:
            return None
        cost = sample.number("cost") if sample.has("cost") else self.cost
        return profit_curve(scores, ranking, self.value, cost, GRID, groups=codes)

    def _numbers(
        self,
        scores: Floats,
        scored: Scored,
        tests: Mapping[Method, Heterogeneity],
        sample: Sample,
        groups: Groups | None,
        gain: Curve,
    ) -> Effects:
        """All terms with joint influence values, on one small-sample factor; few people carry a small share."""
        codes = None if groups is None else groups.codes
        ranking = scored.ranking
        scale, n_groups = small_sample(ranking, codes)
        values, psi = curve_psi(scored, ranking, "uplift", np.array(TOP))
        ranked = [test.effect for test in tests.values()]
        columns = [np.sqrt(effect.scale / scale) * effect.psi for effect in ranked]
        area = auuc_from(ranked[1].estimate, columns[1], scores, sample.optional("weights"))
        theta = np.concatenate([[effect.estimate for effect in ranked], [area.value], values])
        assert gain.free is not None
        df = np.concatenate([np.full(3, free_groups(n_groups, codes)), gain.free[np.searchsorted(GRID, TOP)]])
        kind = "HC1" if groups is None else "CR1"
        joint = read_only(np.column_stack([*columns, area.psi, psi]))
        carrier = Influence(joint, sample.rows, groups, scale, df, kind)
        terms = (*tests, "auuc", *(f"uplift_top_{round(100 * q)}" for q in TOP))
        return Effects(terms, Estimate(theta, carrier).folded())


def _as_sample(evidence: Evidence) -> Sample:
    """The rows with their held-out scores and effects as columns, so that they can be taken and evaluated again."""
    added: dict[str, Any] = {
        "held_out_score": Number(read_only(evidence.scores), "held-out score"),
        "predicted_effect": Number(evidence.effect, "predicted effect"),
        "priority": Number(evidence.priority, "priority"),
    }
    for arm in (0, 1):
        added[EXPECTED[arm]] = Number(evidence.expected[:, arm], "expected outcome")
        added[CHANCES[arm]] = Number(evidence.chances[:, arm], "propensity")
    if evidence.folds is not None:
        labels = tuple(range(int(evidence.folds.max()) + 1))
        added["fold"] = Groups(evidence.folds, labels, "fold")
    return replace(evidence.sample, columns={**evidence.sample.columns, **added})


def _line(scores: Floats, effect: Floats, weights: Floats | None, codes: Codes | None) -> Calibration | None:
    try:
        return calibration(scores, effect, weights, codes)
    except InferenceUnavailable:
        return None


def _gates(scored: Scored, effect: Floats, gain: Curve) -> GroupEffects | None:
    """Effects by fifth of the ranking, with the mean predicted effect of each."""
    if scored.ranking.n_units < 2 * GROUPS:
        return None
    return group_effects(scored, scored.ranking, GROUPS, predicted=effect, gain=gain)


def _average(scores: Floats, weights: Floats | None) -> float:
    return float(np.average(scores, weights=weights))


__all__ = ["Curve", "UpliftEvaluation"]
