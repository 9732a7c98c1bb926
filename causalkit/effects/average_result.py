"""The result that every estimator of effects gives: average effects, their scores, and what can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.features import Features
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.effects.averages import TARGETS, Target, average_effect, target_effect
from causalkit.effects.checks import LARGE, NOTICEABLE, balance_of, effect_checks
from causalkit.effects.crossfit_study import Study, arm_names
from causalkit.effects.projection import best_linear_projection
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.nuisance.bundle import Nuisances

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        balance = self.sample is not None and bool(self.sample.features().names)
        return ("effects", "overlap", "balance") if balance else ("effects", "overlap")

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
        s, n = self.study, self.study.nuisances
        numbers = target_effect(
            target, s.z, s.arms.codes, n.mu, n.e, weights=s.weights, groups=s.groups, rows=s.rows
        )  # fmt: skip
        estimand = f"{_POPULATION[target]} of {self.study.terms[0]} on {outcome_name(self.roles)}"
        effects = Effects(self.study.terms, numbers * s.scale.unit)
        return self._derived(effects, self.headline, estimand, ("ate", (target,), ()), 2 if target == "overlap" else 1)

    def blp(self, covariates: Any = None) -> Result:
        """Return the best linear projection of the effect on covariates: which people gain more.

        Parameters
        ----------
        covariates : str, list of str, table or array, optional
            Covariates of the fit by name (default: all), or a table with the rows used (or of the whole table).
            Categories enter as indicators of all but their first level.

        Returns
        -------
        Result
            A constant and one coefficient per column, for the arm of interest. HC3, or CR1 with clusters.

        Raises
        ------
        DataError
            If a covariate has missing values.
        """
        features = self._projected(covariates)
        columns, names = features.dummies()
        gaps = np.isnan(features.values).sum(axis=0)
        if gaps.any():
            name, count = features.names[int(np.argmax(gaps > 0))], int(gaps[gaps > 0][0])
            raise DataError(
                f"covariate {name!r} has {count} missing values; a linear projection can't use these rows.",
                hint="Name covariates without gaps, or fit with missing='drop'.",
                column=name,
            )
        s = self.study
        found = best_linear_projection(
            s.contrasts[:, 0], columns, names, weights=s.weights, groups=s.groups, rows=s.rows
        )  # fmt: skip
        estimand = f"linear projection of the effect of {s.terms[0]} on {outcome_name(self.roles)}"
        effects = Effects(found.terms, found.estimate * s.scale.unit)
        return self._derived(effects, None, estimand, ("blp", (covariates,), ()), len(effects))

    def _projected(self, covariates: Any) -> Features:
        if covariates is None or isinstance(covariates, str) or _all_text(covariates):
            features = self._kept().features()
            if covariates is None:
                wanted: tuple[str, ...] = features.names
            else:
                wanted = (covariates,) if isinstance(covariates, str) else tuple(covariates)
            return select_features(features, wanted)
        from causalkit.core.features import Schema
        from causalkit.data.frame import Frame

        if isinstance(covariates, np.ndarray):
            wide = covariates.reshape(len(covariates), -1)
            covariates = {f"x{j}": wide[:, j] for j in range(wide.shape[1])}
        frame = Frame.read(covariates).collect()
        features = Schema.of(frame, frame.columns).read(frame)
        if len(features.values) == self.n:
            return features
        if self.sample is None or len(features.values) != self.sample.n_input:
            raise DesignError(
                f"covariates= has {len(features.values)} rows; {self.n} were used.",
                hint="Pass one row per row used, or per row of the table.",
            )
        return features.take(self.study.rows.positions)

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

    def count_parameters(self, groups: Groups | None) -> int:
        """Return 1: each average is a mean of its own, however many there are."""
        return 1

    # Showing it.

    @cached_property
    def levels(self) -> Estimate:
        """Average outcome under each arm, in the units of the outcome, with influence values."""
        s = self.study
        z = average_effect(s.nuisances.scores, s.weights, s.groups, rows=s.rows)
        moved = z * s.scale.unit
        return Estimate(s.scale.level(z.theta), moved.carrier)

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding in plain words with its three numbers, and how certain it is."""
        return (self._found(), self._certainty())

    @property
    def answer(self) -> str:
        """The headline in plain words, with its interval."""
        show, name = self._show, outcome_name(self.roles)
        without, treated = (float(v) for v in self.levels.theta[:2])
        control, arm = arm_names(self.study.arms)[:2]
        low, high = self._limits()
        moved = "raises" if low > 0 else "lowers" if high < 0 else "changes"
        amount, ends = self.estimate, (low, high)
        if moved == "lowers":
            amount, ends = -amount, (-high, -low)
        interval = f"{show(ends[0], points=True).removesuffix(' points')} to {show(ends[1], points=True)}"
        sentence = (
            f"On average {arm} instead of {control} {moved} {name} by {show(amount, points=True)} (95% interval {interval}), "
            f"from {show(without)} to {show(treated)}."
        )
        return sentence if moved != "changes" else f"{sentence} The data are compatible with no effect at all."

    def _found(self) -> Passage:
        without, treated = (float(v) for v in self.levels.theta[:2])
        show, name = self._show, outcome_name(self.roles)
        control, arm = arm_names(self.study.arms)[:2]
        low, high = self._limits()
        facts = (
            (f"{name} with {control}", show(without), "average if nobody were treated"),
            (f"{name} with {arm}", show(treated), "average if everybody were treated"),
            (
                "Difference",
                show(self.estimate, points=True),
                f"95% interval {show(low, points=True).removesuffix(' points')} to {show(high, points=True)}",
            ),
        )
        return Passage("found", f"Average effect on {name}", (self.answer,), facts=facts)

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

    def _limits(self) -> tuple[float, float]:
        low, high = self.effects.ci()
        return float(low[self._at]), float(high[self._at])

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
            found = balance_of(self._kept(), self.study)
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PlainResult(Result):
    """An average or a projection derived from another result."""

    #: Parameters that the variance counts.
    n_parameters: int = 1

    def count_parameters(self, groups: Groups | None) -> int:
        """Return the parameters that the variance was made with."""
        return self.n_parameters


def outcome_name(roles: Mapping[str, Any]) -> str:
    """Return the name of the outcome."""
    name = roles.get("outcome")
    return name if isinstance(name, str) else "outcome"


def select_features(features: Features, names: tuple[str, ...]) -> Features:
    """Return some of the columns.

    Raises
    ------
    DesignError
        If one was not a covariate of the fit.
    """
    from causalkit.core.features import Schema

    for name in names:
        if name not in features.names:
            raise DesignError(
                f"{name!r} was not a covariate of the fit.",
                hint=f"Covariates: {', '.join(features.names)}. Or pass a table with the columns.",
                column=name,
            )
    at = [features.names.index(name) for name in names]
    schema = Schema(names, tuple(features.schema.levels[j] for j in at))
    return Features(read_only(np.asfortranarray(features.values[:, at])), schema)


def headline_fields(estimator: Any, sample: Sample, study: Study) -> dict[str, Any]:
    """Return the fields that every result of effects starts from: the AIPW averages and the ledger."""
    numbers = average_effect(study.contrasts, study.weights, study.groups, rows=study.rows) * study.scale.unit
    terms = study.terms
    return {
        "estimator": estimator,
        "effects": Effects(terms, numbers.folded()),
        "headline": terms[0],
        "estimand": f"average effect of {terms[0]} on {outcome_name(sample.given)}",
        "checks": effect_checks(sample, study),
        "sample": sample,
        "n": sample.n,
        "dropped": sample.dropped,
        "roles": sample.given,
        "study": study,
    }


def _all_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
