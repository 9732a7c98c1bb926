"""From a bound sample to cross-fitted nuisances: computed on rows in canonical order, kept in the user's order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from causalkit.core.roles import Role
from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Arms, Sample
from causalkit.effects.outcome_scale import Scale
from causalkit.effects.shared import shared, spec_key
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.binned import BinnedTable, binned
from causalkit.nuisance.bundle import Nuisances, fit_nuisances
from causalkit.nuisance.crossfit import make_folds

_A = TypeVar("_A", bound=NDArray[Any])

ROLES: dict[str, Role] = {
    "outcome": Role("number"),
    "treatment": Role("treatment"),
    "covariates": Role("features", required=False, many=True, native_missing=True),
    "propensity": Role("propensity", required=False),
    "cluster": Role("label", required=False),
    "unit": Role("label", required=False),
    "weights": Role("weights", required=False),
}


@dataclass(frozen=True, eq=False)
class Study:
    """Outcomes, arms and cross-fitted nuisances, row by row.

    Parameters
    ----------
    z : Floats, shape (n,)
        The outcome on its learning scale.
    scale : Scale
        From z to the outcome.
    arms : Arms
        The treatment.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    groups : Groups or None
        Clusters; where none were named and ``unit`` repeats, the units.
    nuisances : Nuisances
        Out-of-fold nuisances of z.
    rows : Rows
        Identity of the rows.
    """

    z: Floats
    scale: Scale
    arms: Arms
    weights: Floats | None
    groups: Groups | None
    nuisances: Nuisances
    rows: Rows

    @cached_property
    def contrasts(self) -> Floats:
        """Doubly robust scores of each arm minus the control, on the scale of z, shape (n, n_arms - 1)."""
        return read_only(self.nuisances.scores[:, 1:] - self.nuisances.scores[:, :1])

    @property
    def terms(self) -> tuple[str, ...]:
        """The contrast of each arm with the control, in words."""
        return tuple(self.arms.contrast(arm) for arm in range(1, self.arms.count))

    def in_outcome_units(self) -> Nuisances:
        """Return the nuisances in the units of the outcome."""
        n = self.nuisances
        return replace(n, mu=self.scale.level(n.mu), scores=self.scale.level(n.scores))


class InCanonicalOrder:
    """What holds arrays of canonical rows, and the way back to the user's order."""

    order: Ints

    def restore(self, array: _A) -> _A:
        """Return an array of canonical rows in the user's order."""
        out: _A = np.empty_like(array)
        out[self.order] = array
        return read_only(out)


@dataclass(frozen=True, eq=False)
class Canonical(InCanonicalOrder):
    """A study in canonical order with its fitted nuisance models, and the way back.

    Every learner that asks for the same nuisances of the same rows is handed the same object, so that what one of them
    has fitted serves the others (see :mod:`causalkit.effects.shared`).
    """

    sample: Sample
    order: Ints
    study: Study

    @property
    def table(self) -> BinnedTable:
        """The covariates, binned once for all that is fitted on them."""
        return binned(self.sample.features())

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the covariates in the user's order, which is one and the same for all that share the study."""
        from causalkit.effects.known_rows import fingerprint

        features = self.sample.features()
        return fingerprint(replace(features, values=self.restore(features.values)))

    def in_user_order(self, sample: Sample) -> Study:
        """Return the study in the order of ``sample``, the one it was made from."""
        study, n = self.study, self.study.nuisances
        chances = replace(n.propensity, values=self.restore(n.propensity.values), models=())
        nuisances = replace(
            n,
            folds=self.restore(n.folds),
            propensity=chances,
            mu=self.restore(n.mu),
            scores=self.restore(n.scores),
            models=(),
        )
        weights = None if study.weights is None else self.restore(study.weights)
        return Study(
            self.restore(study.z), study.scale, sample.arms, weights, clusters_of(sample), nuisances, sample.rows
        )


def arm_names(arms: Arms) -> tuple[str, ...]:
    """Return what each arm is called in a sentence: its label, or ``any=1`` where that is no word."""
    return tuple(level if isinstance(level, str) else f"{arms.name}={level}" for level in arms.levels)


def clusters_of(sample: Sample) -> Groups | None:
    """Return the clusters that inference goes by: those named, else the units where they repeat."""
    cluster = sample.groups("cluster")
    if cluster is not None:
        if cluster.count < 2:
            raise DesignError(
                f"cluster {cluster.name!r} has one cluster only.",
                hint="Clustered inference needs two or more; leave cluster= out if the rows are independent.",
                column=cluster.name,
            )
        return cluster
    unit = sample.groups("unit")
    return unit if unit is not None and unit.count < sample.n else None


def cross_fit(
    sample: Sample, *, n_folds: int, regressor: Any, classifier: Any, random_state: int, n_jobs: int
) -> Canonical:
    """Fit the nuisances of a sample on its canonical rows, once for equal rows and settings.

    Raises
    ------
    DesignError
        If one propensity was given for several arms, or an arm or the clusters are too few for the folds.
    """
    refuse_one_propensity(sample)
    # Without n_jobs: the answer is the same for any.
    settings = (n_folds, spec_key(regressor), spec_key(classifier), random_state)
    return shared(sample, settings, lambda: _cross_fit(sample, n_folds, regressor, classifier, random_state, n_jobs))


def _cross_fit(
    sample: Sample, n_folds: int, regressor: Any, classifier: Any, random_state: int, n_jobs: int
) -> Canonical:
    arms = sample.arms
    rows = sample.canonical()
    scale = Scale.learn(rows.outcome, regressor)
    z = scale.apply(rows.outcome)
    weights = rows.optional("weights")
    if weights is not None:
        weights = read_only(weights / weights.mean())
    groups = clusters_of(rows)
    features = rows.features()
    bare = not features.names  # nothing to learn from: shares and means
    nuisances = fit_nuisances(
        features,
        z,
        rows.arms.codes,
        n_arms=arms.count,
        propensity=rows.optional("propensity"),
        n_folds=n_folds,
        groups=_codes(groups),
        weights=weights,
        regressor="mean" if bare else regressor,
        classifier="mean" if bare else classifier,
        random_state=random_state,
        n_jobs=n_jobs,
        arm_names=arm_names(arms),
    )
    study = Study(z, scale, rows.arms, weights, groups, nuisances, rows.rows)
    return Canonical(rows, sample.canonical_order, study)


def validate_folds(sample: Sample, n_folds: int) -> None:
    """Raise what :func:`cross_fit` raises before it fits anything."""
    refuse_one_propensity(sample)
    codes, arms = _codes(clusters_of(sample)), sample.arms
    make_folds(sample.n, n_folds, arms=arms.codes, groups=codes, arm_names=arm_names(arms))


def refuse_one_propensity(sample: Sample) -> None:
    """Raise DesignError where one propensity was given for several arms."""
    arms = sample.arms
    if sample.has("propensity") and arms.count > 2:
        raise DesignError(
            f"propensity= is the probability of one arm, and {arms.name!r} has {arms.count}.",
            hint="Leave it out (the probabilities of all arms are then estimated), or keep two arms.",
            column=sample.name("propensity"),
        )


def _codes(groups: Groups | None) -> Codes | None:
    return None if groups is None else groups.codes
