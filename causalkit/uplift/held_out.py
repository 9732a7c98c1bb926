"""Held-out doubly robust scores of all arms: those of a fitted model on its own rows, or cross-fitted once for the rows given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.roles import LEVELS
from causalkit.core.sample import Sample
from causalkit.effects.crossfit_study import ROLES, arm_names, clusters_of, cross_fit
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints, read_only

N_FOLDS = 5
#: Share of the outcome's spread that is rounding.
_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of all arms, in the order of the sample's arms.

    Parameters
    ----------
    contrasts : Floats, shape (n, n_arms - 1)
        Scores of the effect of each arm over the control.
    levels : Floats, shape (n, n_arms)
        Scores of the outcome under each arm.
    mu, chances : Floats, shape (n, n_arms)
        Expected outcomes and propensities.
    propensity : {"known", "estimated"}
        Where the propensities come from.
    checks : mapping of str to Check
        Checks of these nuisances.
    """

    contrasts: Floats
    levels: Floats
    mu: Floats
    chances: Floats
    propensity: str
    checks: Mapping[str, Check] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the fields of Evidence that they make: of all arms, and of the arm of interest."""
        return {
            "scores": read_only(self.contrasts[:, 0]),
            "arm_scores": read_only(self.levels[:, :2]),
            "contrasts": read_only(self.contrasts),
            "levels": read_only(self.levels),
            "expected": read_only(self.mu[:, :2]),
            "chances": read_only(self.chances[:, :2]),
            "propensity": self.propensity,
        }


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Scores of one table that were cross-fitted before, so that rankings of the same people share them.

    Parameters
    ----------
    any_learner : bool
        Whether rankings share scores whatever learners their models ask for: those of the first are used.
    """

    any_learner: bool = False
    found: list[tuple[tuple[Any, ...], HeldOut]] = field(default_factory=list)

    def get(self, asked: tuple[Any, ...]) -> HeldOut | None:
        """Return the scores that were made of the same rows and roles by the same learners, if there are any."""
        same = (made for key, made in self.found if all(_alike(a, b) for a, b in zip(key, asked, strict=True)))
        return next(same, None)


@dataclass(frozen=True, eq=False)
class Maker:
    """Cross-fits scores with one seed, unless they are known.

    Parameters
    ----------
    random_state : int
        Seed of the folds.
    known : KnownScores
        Where scores are kept. One serves one table.
    """

    random_state: int
    known: KnownScores

    def cross_fitted(self, sample: Sample, by: Any = None) -> HeldOut:
        """Return the scores of a sample with the learners of an estimator ``by`` (those by default, where it has none)."""
        learners = [getattr(by, key, None) for key in ("regressor", "classifier")]
        wanted = () if self.known.any_learner else learners
        asked = (sample.rows.positions, *wanted, *(sample.given.get(role) for role in (*ROLES, *LEVELS)))
        made = self.known.get(asked)
        if made is None:
            made = _cross_fit(sample, self.random_state, *learners)
            self.known.found.append((asked, made))
        return made


def scores_of(model: Any, at: Ints, arms: Ints) -> HeldOut:
    """Return the scores of a fitted model, of its rows ``at`` and of its arms by code (the control first)."""
    nuisances, chances = model.nuisances, model.nuisances.propensity
    contrasts = np.asarray(model.scores).reshape(len(model.nuisances.mu), -1)
    return HeldOut(
        contrasts=_settled(contrasts[at][:, arms[1:] - 1], model.study.scale.unit),
        levels=nuisances.scores[at][:, arms],
        mu=nuisances.mu[at][:, arms],
        chances=chances.values[at][:, arms],
        propensity=chances.source,
    )


def require_one_arm(sample: Sample) -> None:
    """Refuse several arms of which none was named: nothing may be said of the first of them by accident."""
    arms = sample.arms
    if arms.count <= 2 or sample.given.get("treatment_level") is not None:
        return
    others = ", ".join(map(repr, arms.levels[1:]))
    raise DesignError(
        f"the treatment {arms.name!r} has {arms.count - 1} arms besides {arms.control!r} ({others}), and this tool "
        "looks at one at a time.",
        hint=f"Name the arm: treatment_level={arms.treatment_level!r}. Targeting and PolicyTree choose among all arms.",
        column=arms.name,
    )


def arms_in_model(model: Any, sample: Sample) -> Ints:
    """Return the model's code of each arm of a sample, shape (n_arms,).

    Raises
    ------
    DesignError
        If the model was not fitted on an arm, or on another control.
    """
    known, arms = list(model.study.arms.levels), sample.arms
    if arms.control != known[0]:
        raise DesignError(
            f"control={arms.control!r}, but the model's effects are those over {known[0]!r}.",
            hint="Fit the model with this control.",
        )
    new = [level for level in arms.levels if level not in known]
    if new:
        raise DesignError(
            f"the model was not fitted on the arm {new[0]!r} of {arms.name!r}.",
            hint=f"It knows {', '.join(map(repr, known))}: leave other rows out.",
            column=arms.name,
        )
    return np.array([known.index(level) for level in arms.levels], dtype=np.int64)


def _settled(contrasts: Floats, unit: float) -> Floats:
    """Scores that differ by rounding only (nothing is left of the outcome given arm and covariates) are all their mean."""
    flat = np.ptp(contrasts, axis=0) <= _ROUNDING * unit
    return np.where(flat, contrasts.mean(axis=0), contrasts) if flat.any() else contrasts


def _require_rows(sample: Sample) -> None:
    """Refuse an arm that is too small for the folds, which are not the caller's to choose."""
    groups, arms = clusters_of(sample), sample.arms
    for arm, name in enumerate(arm_names(arms)):
        rows = np.flatnonzero(arms.codes == arm)
        count = len(rows) if groups is None else len(np.unique(groups.codes[rows]))
        if count < N_FOLDS:
            raise DesignError(
                f"arm {name!r} has {fmt.plural(count, 'row' if groups is None else 'cluster')}, and held-out scores need "
                f"{N_FOLDS} in each arm.",
                hint="Pass more rows" + (" or leave this arm out." if arms.count > 2 else "."),
                column=arms.name,
            )


def _alike(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(np.array_equal(np.asarray(a), np.asarray(b))))


def _cross_fit(sample: Sample, random_state: int, regressor: Any, classifier: Any) -> HeldOut:
    from causalkit.core.settings import n_jobs_or_default
    from causalkit.effects.checks import overlap_check

    # What the scores will judge says only how to order rows that are equal in all that makes scores: else the user's order
    # would say which of them is in which fold.
    order = sample.canonical_order
    back = np.argsort(order)
    bare = replace(sample, columns={role: c for role, c in sample.columns.items() if role in ROLES}).take(order)
    _require_rows(bare)
    run = cross_fit(
        bare, n_folds=N_FOLDS, random_state=random_state, n_jobs=n_jobs_or_default(None),
        regressor=regressor, classifier=classifier,
    )  # fmt: skip
    study = run.in_user_order(bare)
    nuisances = study.in_outcome_units()
    return HeldOut(
        # The contrast is taken on the learning scale: a difference of levels would lose digits far from zero.
        contrasts=_settled(study.scale.unit * study.contrasts[back], study.scale.unit),
        levels=nuisances.scores[back],
        mu=nuisances.mu[back],
        chances=nuisances.propensity.values[back],
        propensity=nuisances.propensity.source,
        checks={"overlap": overlap_check(study)},
    )


__all__ = ["HeldOut", "KnownScores", "Maker", "arms_in_model", "require_one_arm", "scores_of"]
