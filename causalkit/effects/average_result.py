"""The result that every estimator of effects gives: average effects, their scores, and what can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from causalkit.core import format as fmt
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.headline import compared, headline_of
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.effects.averages import TARGETS, Clusters, Target, average_effect, group_effects, target_effect
from causalkit.effects.checks import LARGE, NOTICEABLE, balance_of, effect_checks
from causalkit.effects.crossfit_study import Study, arm_names
from causalkit.effects.plain_result import PlainResult, outcome_name
from causalkit.effects.projection import best_linear_projection
from causalkit.effects.regressors import group_codes, regressors
from causalkit.effects.repeats import median_of
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.nuisance.bundle import Nuisances

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from causalkit.effects.balance import Balance

_POPULATION = {
    "all": "average effect",
    "treated": "average effect on the treated",
    "control": "average effect on the control group",
    "overlap": "overlap-weighted average effect",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AverageEffect(Result):
    """Average effects with the doubly robust scores behind them.

    Parameters
    ----------
    study : Study
        Outcomes, arms and cross-fitted nuisances in the user's order of rows.
    """

    study: Study

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        if self.sample is None:
            balance = self.covariate_balance is not None
        else:
            balance = bool(self.sample.features().names)
        return ("effects", "overlap", "balance") if balance else ("effects", "overlap")

    @cached_property
    def covariate_balance(self) -> Balance | None:
        """Differences of the covariates between arms; None where there are none. A pickle keeps them."""
        if self.sample is None or not self.sample.features().names:
            return None
        return balance_of(self.sample, self.study)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "covariate_balance": self.covariate_balance}

    @cached_property
    def nuisances(self) -> Nuisances:
        """Folds, propensities, expected outcomes and scores by arm, out of fold, in the user's order of rows."""
        return self.study.in_outcome_units()

    @property
    def folds(self) -> Codes:
        """Fold of each row used, shape (n,)."""
        return self.study.nuisances.folds

    @cached_property
    def scores(self) -> Floats:
        """Doubly robust scores of the effect: shape (n,) for two arms, (n, n_arms - 1) for more; read-only.

        Row by row they are unbiased for the effect given covariates, but very noisy; averages and regressions of them
        are what they are for.
        """
        scores = self.study.scale.unit * self.study.contrasts
        return read_only(scores[:, 0] if scores.shape[1] == 1 else scores)

    def ate(self, target: Target = "all") -> Result:
        """Return the average effect in a target population.

        Parameters
        ----------
        target : {"all", "treated", "control", "overlap"}
            Everybody (the headline); those in the treated arm; those in the control arm; or people weighted by how
            likely both arms were, which stays precise where overlap is poor.

        Returns
        -------
        Result
            One term per arm other than the control. HC1, or CR1 with clusters.
        """
        if target not in TARGETS:
            raise DesignError(
                f"target={target!r} is not an option.", hint=f"Use one of {', '.join(map(repr, TARGETS))}."
            )
        s = self.study
        numbers = median_of([self._target_effect(study, target) for study in self._studies])
        estimand = f"{_POPULATION[target]} of {compared(s.arms, self.headline)} on {outcome_name(self.roles)}"
        effects = Effects(self.study.terms, numbers * s.scale.unit)
        return self._derived(effects, self.headline, estimand, ("ate", (target,), ()), 2 if target == "overlap" else 1)

    def blp(self, covariates: Any = None, vcov: str = "auto") -> Result:
        """Return the best linear projection of the effect on covariates: which people gain more.

        Parameters
        ----------
        covariates : str, list of str, table or array, optional
            Covariates of the fit by name (default: all), or a table with the rows used (or of the whole table).
            Categories enter as indicators of all but their first level.
        vcov : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"}
            Variance; ``"auto"`` is HC3, or CR1 with clusters.

        Returns
        -------
        Result
            A constant and one coefficient per column, for the arm of interest.

        Raises
        ------
        DataError
            If a covariate has missing values.
        InferenceUnavailable
            If there are several arms and ``treatment_level`` named none.
        """
        self._require_one_arm()
        s = self.study
        columns, names = regressors(self.sample, s.rows, covariates)
        found = [
            best_linear_projection(
                one.contrasts[:, 0], columns, names, weights=s.weights, groups=self._clusters, rows=s.rows, vcov=vcov
            )
            for one in self._studies
        ]
        estimand = f"linear projection of the effect of {s.terms[0]} on {outcome_name(self.roles)}"
        effects = Effects(found[0].terms, median_of([one.estimate for one in found]) * s.scale.unit)
        return self._derived(effects, None, estimand, ("blp", (covariates, vcov), ()), len(effects))

    def gate(self, covariates: Any) -> Result:
        """Return the average effect in each group (GATE).

        Parameters
        ----------
        covariates : str or array
            A covariate of the fit whose values are the groups (50 at most), or one label per row used (or per row of the
            table). Groups must not be chosen by looking at the outcome.

        Returns
        -------
        Result
            One term per group, for the arm of interest: the mean of its doubly robust scores. HC1, or CR1 with clusters;
            ``effects.ci(simultaneous=True)`` covers all groups at once.

        Raises
        ------
        DesignError
            If there are fewer than two groups, or more than 50.
        InferenceUnavailable
            If there are several arms and ``treatment_level`` named none.

        References
        ----------
        Chernozhukov, Demirer, Duflo and Fernández-Val (2018), NBER 24678. Semenova and Chernozhukov (2021).
        """
        self._require_one_arm()
        s = self.study
        by = group_codes(self.sample, s.rows, covariates)
        numbers = median_of(
            [
                group_effects(one.contrasts[:, 0], by, weights=s.weights, groups=self._clusters, rows=s.rows)
                for one in self._studies
            ]
        )
        estimand = f"average effect of {s.terms[0]} on {outcome_name(self.roles)} by {by.name}"
        terms = tuple(f"{by.name}={label}" for label in by.labels)
        effects = Effects(terms, numbers * s.scale.unit, {"group": list(by.labels)})
        return self._derived(effects, None, estimand, ("gate", (covariates,), ()), len(effects))

    def average_outcomes(self) -> Result:
        """Return the average outcome if everybody were in one arm, for each arm (average potential outcomes).

        Returns
        -------
        Result
            One term per arm, the control first, in the units of the outcome. HC1, or CR1 with clusters. Their contrasts
            are ``.effects`` of this result, or ``effects.contrast(...)``.
        """
        terms = tuple(f"{self.study.arms.name}={level}" for level in self.study.arms.levels)
        estimand = f"average {outcome_name(self.roles)} if everybody were in one arm"
        return self._derived(Effects(terms, self.levels), None, estimand, ("average_outcomes", (), ()))

    # What a repeated or targeted fit does differently.

    @property
    def _studies(self) -> tuple[Study, ...]:
        """The cross-fits that the estimates are the median of."""
        return (self.study,)

    @property
    def _clusters(self) -> Clusters:
        """The clusters that errors go by."""
        return self.study.groups

    def _target_effect(self, study: Study, target: Target) -> Estimate:
        s, n = study, study.nuisances
        return target_effect(
            target, s.z, s.arms.codes, n.mu, n.e, weights=s.weights, groups=self._clusters, rows=s.rows
        )  # fmt: skip

    def _derived(
        self, effects: Effects, headline: str | None, estimand: str, step: Any, n_parameters: int = 1
    ) -> Result:
        """Return a plain result of the same rows, which a refit reaches by repeating the step."""
        return PlainResult(
            estimator=self.estimator,
            effects=effects,
            headline=headline,
            estimand=estimand,
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, step),
            n_parameters=n_parameters,
        )

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: each average is a mean of its own, however many there are."""
        return 1

    # Showing it.

    @cached_property
    def levels(self) -> Estimate:
        """Average outcome under each arm, in the units of the outcome, with influence values."""
        s = self.study
        z = median_of(
            [average_effect(one.nuisances.scores, s.weights, self._clusters, rows=s.rows) for one in self._studies]
        )
        moved = z * s.scale.unit
        return Estimate(s.scale.level(z.theta), moved.carrier)

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding in plain words with its three numbers, and how certain it is."""
        return (self._found(), self._certainty())

    @property
    def answer(self) -> str:
        """The headline in plain words, with its interval; one sentence for each arm where there is no headline."""
        return " ".join(self._sentence(term) for term in self._shown)

    @property
    def _shown(self) -> tuple[int, ...]:
        """Positions of the effects that sentences speak of: the headline, or every arm where none was named."""
        return tuple(range(len(self.effects))) if self.headline is None else (self._at,)

    def _sentence(self, term: int) -> str:
        show, name = self._show, outcome_name(self.roles)
        without, treated = float(self.levels.theta[0]), float(self.levels.theta[1 + term])
        control, arm = arm_names(self.study.arms)[0], arm_names(self.study.arms)[1 + term]
        low, high = self._limits(term)
        moved = "raises" if low > 0 else "lowers" if high < 0 else "changes"
        amount, ends = float(self.effects.values[term]), (low, high)
        if moved == "lowers":
            amount, ends = -amount, (-high, -low)
        interval = f"{show(ends[0], points=True).removesuffix(' points')} to {show(ends[1], points=True)}"
        sentence = (
            f"On average {arm} instead of {control} {moved} {name} by {show(amount, points=True)} (95% interval {interval}), "
            f"from {show(without)} to {show(treated)}."
        )
        return sentence if moved != "changes" else f"{sentence} The data are compatible with no effect at all."

    def _found(self) -> Passage:
        name = outcome_name(self.roles)
        control = arm_names(self.study.arms)[0]
        facts = [(f"{name} with {control}", self._show(float(self.levels.theta[0])), "average if nobody were treated")]
        for term in self._shown:
            facts += self._facts_of(term)
        return Passage("found", f"Average effect on {name}", (self.answer,), facts=tuple(facts))

    def _facts_of(self, term: int) -> list[tuple[str, str, str]]:
        show, arm = self._show, arm_names(self.study.arms)[1 + term]
        low, high = self._limits(term)
        level = show(float(self.levels.theta[1 + term]))
        interval = f"95% interval {show(low, points=True).removesuffix(' points')} to {show(high, points=True)}"
        difference = "Difference" if self.headline is not None else self.effects.terms[term]
        return [
            (f"{outcome_name(self.roles)} with {arm}", level, "average if everybody were treated"),
            (difference, show(float(self.effects.values[term]), points=True), interval),
        ]

    def _certainty(self) -> Passage:
        groups = self.study.groups
        rows = f"{fmt.plural(self.n, 'row')} used"
        if self.n_dropped:
            rows += f", {self.n_dropped:,} left out"
        if groups is not None:
            rows += f"; errors are clustered by {groups.name} ({groups.count:,} clusters)"
        return Passage("certainty", "Average effect", (super().answer, f"{rows}."), self.to_table(), self._figure)

    @property
    def _figure(self) -> str:
        return "effects"

    def _limits(self, term: int) -> tuple[float, float]:
        low, high = self.effects.ci()
        return float(low[term]), float(high[term])

    def _require_one_arm(self) -> None:
        """Refuse what speaks of one arm where nobody named it."""
        if self.headline is None:
            raise InferenceUnavailable(
                f"this speaks of one arm, and {self.study.arms.name!r} has {self.study.arms.count}.",
                hint="Name the arm of interest at the fit: treatment_level=.",
            )

    def _show(self, value: float, points: bool = False) -> str:
        """Write a level or difference: a share in percent (a difference in points) for a 0/1 outcome."""
        scale = self.study.scale
        if scale.binary and scale.pivot == 0.0 and scale.unit == 1.0:
            shown = round(100 * value, 1) + 0.0  # no minus before a zero
            return f"{shown:.1f} points" if points else f"{shown:.1f}%"
        return fmt.number(value, 3)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of one figure."""
        if kind == "overlap":
            return self._overlap_data()
        if kind == "balance":
            found = self.covariate_balance
            if found is None:
                raise DesignError("no covariates were named, so there is no balance to draw.", hint="Name covariates=.")
            return {
                "title": self.title,
                "covariates": found.names,
                "difference": found.difference,
                "adjusted": found.adjusted,
                "thresholds": [NOTICEABLE, LARGE],
            }
        if kind == "effects":
            return {**super().plot_data(kind), "xlabel": f"Effect on {outcome_name(self.roles)}"}
        raise DesignError(
            f"{type(self).__name__} has no figure {kind!r}.", hint=f"It has {', '.join(map(repr, self.plots))}."
        )

    def _overlap_data(self) -> Mapping[str, Any]:
        s = self.study
        chance = s.nuisances.e[:, 1]
        return {
            "title": self.title,
            "arms": list(arm_names(s.arms)),
            "values": [chance[s.arms.codes == arm] for arm in range(s.arms.count)],
            "low": 0.05,
            "high": 0.95,
            "xlabel": f"Probability of {arm_names(s.arms)[1]}",
        }


def headline_fields(estimator: Any, sample: Sample, study: Study) -> dict[str, Any]:
    """Return the fields that every result of effects starts from: the AIPW averages and the ledger."""
    numbers = average_effect(study.contrasts, study.weights, study.groups, rows=study.rows) * study.scale.unit
    terms = study.terms
    headline = headline_of(sample, terms)
    return {
        "estimator": estimator,
        "effects": Effects(terms, numbers.folded()),
        "headline": headline,
        "estimand": f"average effect of {compared(study.arms, headline)} on {outcome_name(sample.given)}",
        "checks": effect_checks(sample, study),
        "sample": sample,
        "n": sample.n,
        "dropped": sample.dropped,
        "roles": sample.given,
        "study": study,
    }
