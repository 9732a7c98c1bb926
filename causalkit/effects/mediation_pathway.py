"""Cross-fitted nuisances of a treatment that acts through mediators: what mediation and the front door both need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.core.roles import Role
from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Arms, Sample
from causalkit.effects.crossfit_study import ROLES, InCanonicalOrder, arm_names, clusters_of
from causalkit.effects.mediation_learning import Learning, Predictions
from causalkit.effects.outcome_scale import Scale
from causalkit.effects.shared import shared, spec_key
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.crossfit import make_folds
from causalkit.nuisance.propensity import Propensity, estimate_propensity

#: Combinations of mediator values up to which they are modelled by their probabilities.
MOST_LEVELS = 10

MEDIATOR_ROLES: dict[str, Role] = {
    **{role: ROLES[role] for role in ("outcome", "treatment")},
    "mediator": Role("features", many=True),
    **{role: ROLES[role] for role in ("covariates", "cluster", "unit", "weights")},
}


@dataclass(frozen=True, eq=False)
class Pathway:
    """Outcomes, arms and cross-fitted nuisances, row by row; outcomes are on their learning scale.

    Parameters
    ----------
    z : Floats, shape (n,)
        The outcome on its learning scale.
    scale : Scale
        From z to the outcome.
    arms : Arms
        The treatment, with two arms.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    groups : Groups or None
        Clusters.
    rows : Rows
        Identity of the rows.
    folds : Codes, shape (n,)
        Fold of each row.
    propensity : Propensity
        Probability of each arm given the covariates.
    mu : Floats, shape (n, 2)
        Expected outcome of the row with its own mediators, in each arm.
    nested : Floats, shape (n, 2, 2)
        ``nested[:, a, b]``: expected outcome in arm a with mediators drawn as in arm b, given the covariates.
    ratio : Floats, shape (n, 2)
        ``ratio[:, b]``: density of the row's mediators in arm b over that in its own arm, given the covariates.
    levels : int or None
        Combinations of mediator values, where they are modelled by their probabilities; None for density ratios.
    clipped : int
        Rows in which a probability behind ``ratio`` was clipped.
    """

    z: Floats
    scale: Scale
    arms: Arms
    weights: Floats | None
    groups: Groups | None
    rows: Rows
    folds: Codes
    propensity: Propensity
    mu: Floats
    nested: Floats
    ratio: Floats
    levels: int | None
    clipped: int

    @property
    def own(self) -> Floats:
        """Expected outcome of each row in its own arm with its own mediators, shape (n,)."""
        found: Floats = self.mu[np.arange(len(self.z)), self.arms.codes]
        return found

    #: Arrays with one entry per row, which change with the order of rows.
    by_row: ClassVar[tuple[str, ...]] = ("z", "folds", "mu", "nested", "ratio")


@dataclass(frozen=True, eq=False)
class _Restore(InCanonicalOrder):
    order: Ints


@dataclass(frozen=True, eq=False)
class _Held:
    """What is shared between fits: a pathway in canonical order."""

    pathway: Pathway


def mediator_names(sample: Sample) -> str:
    """Return the mediators in words."""
    return ", ".join(sample.features("mediator").names)


def require_mediators(sample: Sample) -> None:
    """Raise DesignError unless the treatment has two arms and every mediator varies."""
    arms = sample.arms
    if arms.count > 2:
        raise DesignError(
            f"treatment {arms.name!r} has {arms.count} arms; an effect through mediators is that of one arm against another.",
            hint="Keep the rows of two arms, or join arms.",
            column=arms.name,
        )
    features = sample.features("mediator")
    for j, name in enumerate(features.names):
        if np.ptp(features.values[:, j]) == 0:
            raise DesignError(
                f"mediator {name!r} has one value only, so nothing can act through it.",
                hint="Leave it out of mediator=.",
                column=name,
            )
        if name in sample.features().names:
            raise DesignError(
                f"column {name!r} is both mediator and covariate: held fixed, it carries nothing.",
                hint="Leave it out of covariates=: they were measured before the treatment.",
                column=name,
            )


@dataclass(frozen=True)
class Unshared:
    """Values of a mediator that one arm has and the other lacks.

    Parameters
    ----------
    share : float
        Rows of the arm that have one: beyond the other arm's numbers, or in a category that it never has.
    mediator : str
        The column.
    arm : int
        The arm that has them.
    """

    share: float
    mediator: str
    arm: int


def unshared(sample: Sample) -> Unshared:
    """Return the mediator with most rows that have no like in the other arm."""
    features, codes = sample.features("mediator"), sample.arms.codes
    found = []
    for j, name in enumerate(features.names):
        for arm in (0, 1):
            mine, other = features.values[codes == arm, j], features.values[codes != arm, j]
            if features.schema.levels[j] is None:
                strange = (mine < other.min()) | (mine > other.max())
            else:
                strange = ~np.isin(mine, other)
            found.append(Unshared(float(strange.mean()), name, arm))
    return max(found, key=lambda one: one.share)


def _require_shared(sample: Sample) -> None:
    """Raise DesignError where the arms have no value of a mediator in common: nothing can be compared."""
    features, arms = sample.features("mediator"), sample.arms
    for j, name in enumerate(features.names):
        one, two = (features.values[arms.codes == arm, j] for arm in (0, 1))
        if features.schema.levels[j] is None:
            apart = one.max() < two.min() or two.max() < one.min()
        else:
            apart = not np.isin(one, two).any()
        if apart:
            raise DesignError(
                f"mediator {name!r} takes no value in both arms of {arms.name!r}: it is the treatment by another name.",
                hint="Leave it out of mediator=, or name one that occurs alike in both arms.",
                column=name,
            )


def validate_pathway(sample: Sample, n_folds: int) -> None:
    """Raise what :func:`cross_fit_pathway` raises before it fits anything."""
    require_mediators(sample)
    _require_shared(sample)
    arms, groups = sample.arms, clusters_of(sample)
    codes = None if groups is None else groups.codes
    make_folds(sample.n, n_folds, arms=arms.codes, groups=codes, arm_names=arm_names(arms))


def cross_fit_pathway(
    sample: Sample, *, n_folds: int, regressor: Any, classifier: Any, random_state: int, n_jobs: int
) -> Pathway:
    """Fit the nuisances on canonical rows, once for equal rows and settings, and return them in the user's order.

    Raises
    ------
    DesignError
        If there are more than two arms, a mediator is constant, or rows or clusters are too few for the folds.
    """
    validate_pathway(sample, n_folds)
    settings = ("pathway", n_folds, spec_key(regressor), spec_key(classifier), random_state)
    held = shared(sample, settings, lambda: _fit(sample, n_folds, regressor, classifier, random_state, n_jobs))
    back = _Restore(sample.canonical_order)
    found = held.pathway
    weights = None if found.weights is None else back.restore(found.weights)
    return replace(
        found,
        **{name: back.restore(getattr(found, name)) for name in Pathway.by_row},
        propensity=replace(found.propensity, values=back.restore(found.propensity.values), models=()),
        weights=weights,
        arms=sample.arms,
        groups=clusters_of(sample),
        rows=sample.rows,
    )


def _fit(sample: Sample, n_folds: int, regressor: Any, classifier: Any, random_state: int, n_jobs: int) -> _Held:
    rows = sample.canonical()
    arms, groups = rows.arms, clusters_of(rows)
    codes = None if groups is None else groups.codes
    scale = Scale.learn(rows.outcome)
    z = scale.apply(rows.outcome)
    weights = rows.optional("weights")
    if weights is not None:
        weights = read_only(weights / weights.mean())
    names = arm_names(arms)
    folds = make_folds(
        rows.n, n_folds, arms=arms.codes, groups=codes, outcome=z, random_state=random_state, arm_names=names
    )
    near, mediators = rows.features(), rows.features("mediator")
    bare = not near.names
    shared_settings: dict[str, Any] = {"weights": weights, "groups": codes, "random_state": random_state}
    chances = estimate_propensity(
        near,
        arms.codes,
        folds,
        n_arms=2,
        classifier="mean" if bare else classifier,
        n_jobs=n_jobs,
        arm_names=names,
        **shared_settings,
    )
    level = _levels(mediators, arms.codes, 2 * n_folds)
    wide = joined(mediators if level is None else _as_category(level), near)
    learning = Learning(near, wide, z, arms.codes, folds, regressor, classifier, n_jobs=n_jobs, **shared_settings)
    if level is None:
        found, ratio, clipped = _by_ratio(learning, chances, names)
    else:
        found = learning.by_probabilities(level)
        ratio, clipped = found.law / found.law[np.arange(rows.n), arms.codes][:, None], found.clipped
    nuisances = Pathway(
        z, scale, arms, weights, groups, rows.rows, folds, chances, found.mu, found.nested, read_only(ratio),
        None if level is None else int(level.max()) + 1, clipped,
    )  # fmt: skip
    return _Held(nuisances)


def _by_ratio(learning: Learning, chances: Propensity, names: tuple[str, ...]) -> tuple[Predictions, Floats, int]:
    """Return predictions and density ratios by Bayes' rule, from the arm given the mediators and covariates."""
    given = estimate_propensity(
        learning.wide,
        learning.codes,
        learning.folds,
        n_arms=2,
        classifier=learning.classifier,
        weights=learning.weights,
        groups=learning.groups,
        random_state=learning.random_state,
        n_jobs=learning.n_jobs,
        arm_names=names,
    )
    odds = given.values / chances.values  # proportional to the density of the mediators in each arm
    ratio = odds / odds[np.arange(len(odds)), learning.codes][:, None]
    return learning.by_regression(), ratio, given.clipped


def joined(first: Features, second: Features) -> Features:
    """Return two sets of columns side by side."""
    schema = Schema((*first.names, *second.names), (*first.schema.levels, *second.schema.levels))
    return Features(read_only(np.asfortranarray(np.column_stack([first.values, second.values]))), schema)


def _levels(mediators: Features, arms: Codes, fewest: int) -> Codes | None:
    """Number the combinations of mediator values by first appearance; None where they are many, or rare in an arm."""
    if any(len(np.unique(column)) > MOST_LEVELS for column in mediators.values.T):
        return None
    _, first, inverse = np.unique(mediators.values, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    if (
        len(first) > MOST_LEVELS
        or min(np.bincount(inverse[arms == a], minlength=len(first)).min() for a in (0, 1)) < fewest
    ):
        return None
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return read_only(rank[inverse])


def _as_category(level: Codes) -> Features:
    labels: tuple[object, ...] = tuple(range(int(level.max()) + 1))
    return Features(level[:, None].astype(float), Schema(("mediator level",), (labels,)))
