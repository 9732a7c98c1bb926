"""Cross-fitted nuisances of double machine learning: by rows, whole clusters, or two crossed ways of clustering."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.rows import Groups
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.crossfit import Fit, deal_folds, is_binary, make_folds
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Learner
from causalkit.nuisance.outcome import Probability, standardized
from causalkit.nuisance.overlap import assess_overlap
from causalkit.nuisance.propensity import Propensity, clip_probabilities, known_propensity
from causalkit.nuisance.quality import discrimination


@dataclass(frozen=True, eq=False)
class Splits:
    """Which rows are held out together, and which rows teach what is predicted for them.

    Parameters
    ----------
    folds : Codes, shape (n,)
        The block in which a row is held out.
    parts : tuple of (training rows, held-out rows)
        One pair of positions for each block.
    """

    folds: Codes
    parts: tuple[tuple[Ints, Ints], ...]

    @classmethod
    def of(cls, *ways: Codes) -> Splits:
        """Hold out each combination of folds; train on the rows that share none of its folds (Chiang et al. 2022)."""
        stacked = np.column_stack(ways)
        blocks, inverse = np.unique(stacked, axis=0, return_inverse=True)
        folds: Codes = inverse.reshape(-1).astype(np.int32)
        parts = [
            (np.flatnonzero((stacked != block).all(axis=1)), np.flatnonzero(folds == at))
            for at, block in enumerate(blocks)
        ]
        return cls(read_only(folds), tuple(parts))

    def predict(self, fit: Fit, n_jobs: int = 1) -> Floats:
        """Predict every row by a model that was fitted on the training rows of its block; see ``cross_predict``."""

        def one(part: tuple[Ints, Ints]) -> Floats:
            return fit(part[0])(part[1])

        if n_jobs == 1:
            found = [one(part) for part in self.parts]
        else:
            with ThreadPoolExecutor(max_workers=n_jobs) as pool:
                found = list(pool.map(one, self.parts))
        out = np.empty((len(self.folds), *found[0].shape[1:]))
        for (_, held_out), values in zip(self.parts, found, strict=True):
            out[held_out] = values
        return out


def deal_splits(
    n: int,
    n_folds: int,
    ways: Sequence[Groups],
    *,
    arms: Codes | None,
    outcome: Floats,
    random_state: int,
    arm_names: Sequence[str] | None,
) -> Splits:
    """Deal rows, whole clusters, or the clusters of two ways to folds.

    Raises
    ------
    DesignError
        If there are too few rows or clusters, or an arm has fewer than two rows to train on for some block.
    """
    if len(ways) < 2:
        groups = ways[0].codes if ways else None
        shared: dict[str, Any] = {"outcome": outcome, "random_state": random_state, "arm_names": arm_names}
        return Splits.of(make_folds(n, n_folds, arms=arms, groups=groups, **shared))
    strata = np.zeros(n, dtype=np.int64) if arms is None else arms.astype(np.int64)
    for way in ways:
        if way.count < n_folds:
            raise DesignError(
                f"{way.name!r} has {way.count} clusters, fewer than n_folds={n_folds}.",
                hint=f"Use n_folds of at most {way.count}.",
                column=way.name,
            )
    splits = Splits.of(*(deal_folds(strata, way.codes, n_folds, random_state + j) for j, way in enumerate(ways)))
    fewest = min(np.bincount(strata[train], minlength=int(strata.max()) + 1).min() for train, _ in splits.parts)
    if fewest < 2:
        raise DesignError(
            "with clusters in two ways, some arm has fewer than two rows to train on outside a block of folds.",
            hint="Use fewer folds, or cluster one way.",
        )
    return splits


@dataclass(frozen=True)
class Learners:
    """What learns the nuisances, and on which rows.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    splits : Splits
        The blocks.
    regressor, classifier : None, str or estimator
        See :mod:`causalkit.nuisance.defaults`.
    weights, groups : arrays, shape (n,), optional
        Weights, and clusters that a learner keeps whole where it splits rows by itself.
    random_state, n_jobs : int
        Seed, and blocks worked on at a time.
    """

    features: FeatureMatrix
    splits: Splits
    regressor: Any
    classifier: Any
    weights: Floats | None
    groups: Codes | None
    random_state: int
    n_jobs: int

    def mean(self, y: Floats) -> Floats:
        """E[y | X] out of fold, shape (n,)."""
        return self._predict(y, None)[:, 0]

    def by_arm(self, y: Floats, arms: Codes, n_arms: int) -> Floats:
        """E[y | X, arm] for every arm, out of fold, shape (n, n_arms)."""
        return self._predict(y, np.stack([arms == arm for arm in range(n_arms)]))

    def chances(
        self, arms: Codes, n_arms: int, known: Floats | None, arm_names: Sequence[str], clip: float = 0.01
    ) -> Propensity:
        """Probability of each arm: known, or out of fold and clipped as by ``estimate_propensity`` (not recalibrated)."""
        if known is not None:
            return known_propensity(known, arms, n_arms, arm_names=arm_names)
        learner = as_classifier(
            self.classifier, self.features, n_classes=n_arms, random_state=self.random_state, n_jobs=1
        )
        values = self.features.values

        def fit(rows: Ints) -> Any:
            model = learner.fit(values[rows], arms[rows].astype(float), _at(self.weights, rows), _at(self.groups, rows))
            return lambda held_out: model.predict(values[held_out])

        raw = self.splits.predict(fit, self.n_jobs)
        w = np.ones(len(arms)) if self.weights is None else self.weights
        rarest = float(np.bincount(arms, weights=w, minlength=n_arms).min() / w.sum())
        floor = min(clip, 0.1 * rarest)
        chances, touched = clip_probabilities(raw, floor)
        clipped = int(touched.sum())
        report = assess_overlap(raw, arms, clipped=clipped, arm_names=arm_names)
        auc = discrimination(raw, arms, self.splits.folds)
        high = 1.0 - (n_arms - 1) * floor
        return Propensity(read_only(chances), clipped, floor, high, "estimated", auc, report)

    def _predict(self, y: Floats, members: Any) -> Floats:
        learner, values = self.outcome_learner(y), self.features.values

        def fit(rows: Ints) -> Any:
            taught = [rows] if members is None else [rows[member[rows]] for member in members]
            models = [learner.fit(values[at], y[at], _at(self.weights, at), _at(self.groups, at)) for at in taught]
            return lambda held_out: np.column_stack([model.predict(values[held_out]) for model in models])

        found = self.splits.predict(fit, self.n_jobs)
        return np.clip(found, 0.0, 1.0) if is_binary(y) and isinstance(learner, Probability) else found

    def outcome_learner(self, y: Floats) -> Learner:
        """Return a classifier's probability for a 0/1 outcome (unless a regressor alone was named), else a regression."""
        if is_binary(y) and (self.classifier is not None or self.regressor is None):
            return Probability(as_classifier(self.classifier, self.features, random_state=self.random_state, n_jobs=1))
        learner = as_regressor(self.regressor, self.features, random_state=self.random_state, n_jobs=1)
        return standardized(learner, self.regressor)


def _at(array: Any, rows: Ints) -> Any:
    return None if array is None else array[rows]
