"""The final stage of a learner of effects: bagged on half-samples, pulled towards the constant, with a joint uncertainty.

For each fold the pseudo-outcomes of the other folds are regressed on the covariates ``n_boot`` times, each time on a
random half of the rows (of the clusters where there are any, evenly by arm). The prediction is the mean over these
fits. The spread of the fits around their mean estimates the variance of a fit on all of these rows: for an average,
``Var(mean of a half | rows) = s^2 / n``, exactly the variance of the whole average (Politis, Romano and Wolf 1999,
*Subsampling*, 2.3; for bagged learners Efron 2014, and Wager, Hastie and Efron 2014).

At the sizes of effect that coupons have, most learners predict worse than the average effect does. So each prediction
is split into the average and a deviation from it, and the deviation is shrunk by a factor that the training rows choose
themselves: rows outside a half are predicted by the fits that have not seen them, and the pseudo-outcome is regressed
on that prediction. With slope b and t statistic t, the factor is ``min(max(b, 0), 1) * max(0, 1 - 1/t^2)``: the first
part calibrates, the second is the empirical-Bayes (positive-part Stein) factor for a single direction. Where the
factor is zero, everybody has the average effect and its interval.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from causalkit.effects.averages import shares
from causalkit.inference.vcov import sandwich
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.nuisance.features import take_rows
from causalkit.nuisance.learners import ConstantModel, Model

#: Rows predicted at a time, which bounds the memory of a prediction.
BLOCK = 100_000
#: Power of the factor that multiplies the half-sample deviations in the variance. One half gives the posterior variance of
#: an empirical-Bayes model (prior variance times one minus its share of the noise), which counts what was shrunk away; one
#: would give the sampling error of the shrunk prediction alone, which covers too seldom.
SPREAD_POWER = 0.5


class FinalStage(Protocol):
    """Fits one model per target on some of the rows."""

    def fit(self, rows: Ints, seed: int) -> tuple[Model, ...]:
        """Return the fitted models, one per column of the targets."""
        ...


@dataclass(frozen=True, eq=False)
class Spread:
    """Predictions of several targets and their joint covariance.

    Parameters
    ----------
    mean : Floats, shape (n, t)
        Predictions.
    covariance : Floats, shape (n, t, t)
        Covariance of the t predictions of each row.
    """

    mean: Floats
    covariance: Floats


@dataclass(frozen=True, eq=False)
class Judge:
    """What the factors of shrinkage are chosen by.

    Parameters
    ----------
    targets : Floats, shape (n, t)
        Pseudo-outcomes that predictions are calibrated to.
    weights : Floats, shape (n,) or (n, t), optional
        Weights of the rows, of each target where there are two axes.
    """

    targets: Floats
    weights: Floats | None


@dataclass(frozen=True, eq=False)
class FoldBags:
    """The fits of one fold.

    Parameters
    ----------
    models : tuple of tuple of Model
        For each half-sample, one model per target.
    centers : Floats, shape (n_boot, t)
        Mean prediction of each model over the rows outside the fold: what predictions are deviations from.
    own_centers : Floats, shape (n_boot, t)
        Mean prediction of each model over its own half. A half's average and deviations from its own center add up to
        the model's prediction, so their joint spread is the sampling error of that prediction.
    constants : Floats, shape (n_boot, t)
        Draws of the averages: mean zero, with the covariance of the averages.
    factor : Floats, shape (t,)
        Share of the deviation from the average that is kept.
    slope, statistic : Floats, shape (t,)
        Slope and t statistic behind the factor.
    """

    models: tuple[tuple[Model, ...], ...]
    centers: Floats
    own_centers: Floats
    constants: Floats
    factor: Floats
    slope: Floats
    statistic: Floats

    def deviation(self, bag: int, x: Floats) -> Floats:
        """Return predictions of one bag minus their mean over the rows outside the fold, shape (n, t)."""
        kept = self.factor > 0
        out = np.zeros((len(x), len(self.factor)))
        for target in np.flatnonzero(kept):
            out[:, target] = self.models[bag][target].predict(x) - self.centers[bag, target]
        return out

    def ranking(self, x: Floats) -> Floats:
        """Return mean deviations before they are shrunk: what rows are ranked by, shape (n, t)."""
        total = np.zeros((len(x), len(self.factor)))
        for models, center in zip(self.models, self.centers, strict=True):
            total += np.column_stack([model.predict(x) for model in models]) - center
        return total / len(self.models)

    def pruned(self) -> FoldBags:
        """Return the fits without the models whose deviations count for nothing."""
        nothing, kept = ConstantModel(np.zeros(())), self.factor > 0
        models = tuple(tuple(m if k else nothing for m, k in zip(bag, kept, strict=True)) for bag in self.models)
        return replace(self, models=models)

    def predict(self, x: Floats) -> Spread:
        """Return mean deviations from the average (shrunk), and the covariance of average plus deviation."""
        n, t = len(x), len(self.factor)
        n_boot = len(self.models)
        spread = self.factor**SPREAD_POWER
        total, draws = np.zeros((n, t)), np.zeros((n, t))
        products = np.zeros((n, t, t))
        for bag in range(n_boot):
            moved = self.deviation(bag, x)
            total += moved
            shift = self.centers[bag] - self.own_centers[bag]
            draw = self.constants[bag] + spread * (moved + shift)
            draws += draw
            products += draw[:, :, None] * draw[:, None, :]
        mean = total / n_boot  # the constants sum to zero
        center = draws / n_boot
        covariance = (products - n_boot * center[:, :, None] * center[:, None, :]) / (n_boot - 1)
        return Spread(self.factor * mean, covariance)


@dataclass(frozen=True, eq=False)
class BaggedModel:
    """The fits of all folds.

    Parameters
    ----------
    folds : tuple of FoldBags
        One per fold, trained on the other folds.
    average : Floats, shape (t,)
        Average of each target over all rows.

    Notes
    -----
    The covariance of the mean over folds is taken to be the mean of the folds' covariances: the folds share most of
    their rows, so this errs, a little, on the wide side.
    """

    folds: tuple[FoldBags, ...]
    average: Floats

    def predict(self, x: Floats) -> Spread:
        """Predict new rows, shape (n, p): the mean of the folds' predictions, with the mean of their covariances."""
        starts = range(0, max(len(x), 1), BLOCK)
        parts = [self._block(np.asfortranarray(x[start : start + BLOCK])) for start in starts]
        return Spread(np.concatenate([p.mean for p in parts]), np.concatenate([p.covariance for p in parts]))

    def _block(self, x: Floats) -> Spread:
        parts = [fold.predict(x) for fold in self.folds]
        mean = np.mean([part.mean for part in parts], axis=0)
        return Spread(self.average + mean, np.mean([part.covariance for part in parts], axis=0))

    @property
    def factors(self) -> Floats:
        """Shrinkage factors, shape (folds, t)."""
        return np.array([fold.factor for fold in self.folds])


def fit_bagged(
    make_stage: Callable[[], FinalStage],
    x: Floats,
    targets: Floats,
    folds: Codes,
    *,
    arms: Codes,
    average: Floats,
    average_cov: Floats,
    weights: Floats | None = None,
    groups: Codes | None = None,
    judge: Judge | None = None,
    n_boot: int = 40,
    random_state: int = 0,
    n_jobs: int = 1,
) -> tuple[BaggedModel, Spread, Floats]:
    """Fit the final stage fold by fold.

    Parameters
    ----------
    make_stage : callable
        Makes the fitter; called once per fold, so that folds may run in parallel.
    x : Floats, shape (n, p)
        Covariates, in an order of rows that does not depend on the user's.
    targets : Floats, shape (n, t)
        Doubly robust scores: of the control, and of the contrasts.
    folds, arms : Codes, shape (n,)
        Fold and arm of each row.
    average : Floats, shape (t,)
        Averages of the targets that predictions are pulled towards.
    average_cov : Floats, shape (t, t)
        Their covariance.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    groups : Codes, shape (n,), optional
        Clusters: half-samples take whole ones.
    judge : Judge, optional
        What the factors of shrinkage are chosen by; the targets with the weights of the rows where None.
    n_boot : int
        Half-samples per fold.
    random_state, n_jobs : int
        Seed, and folds worked on at a time; the answer is the same for any ``n_jobs``.

    Returns
    -------
    model : BaggedModel
        Predicts new rows.
    out_of_fold : Spread
        Predictions of the training rows by the fits of their own fold, which have not seen them.
    ranking : Floats, shape (n, t)
        The same fits' deviations from their average before they are shrunk. Within a fold they rank as ``out_of_fold`` does,
        and they still rank where the factor is zero.
    """

    def one(fold: int) -> tuple[FoldBags, Ints, Spread, Floats]:
        train = np.flatnonzero(folds != fold)
        held_out = np.flatnonzero(folds == fold)
        rng = np.random.default_rng([random_state, fold])
        halves = half_samples(arms[train], None if groups is None else groups[train], n_boot, rng)
        bags = _fit_fold(make_stage(), x, targets, train, halves, weights, groups, average_cov, judge, rng)
        ahead = take_rows(x, held_out)
        found = bags.predict(ahead)
        kept = bool(np.all(bags.factor > 0))  # then the shrunk deviations tell the others
        return bags.pruned(), held_out, found, found.mean / bags.factor if kept else bags.ranking(ahead)

    present = [int(fold) for fold in np.unique(folds)]
    if n_jobs == 1:
        parts = [one(fold) for fold in present]
    else:
        with ThreadPoolExecutor(max_workers=n_jobs) as pool:
            parts = list(pool.map(one, present))
    t = targets.shape[1]
    mean, covariance = np.empty((len(x), t)), np.empty((len(x), t, t))
    ranking = np.empty((len(x), t))
    for _, rows, spread, ranks in parts:
        mean[rows], covariance[rows], ranking[rows] = average + spread.mean, spread.covariance, ranks
    return BaggedModel(tuple(part[0] for part in parts), read_only(average)), Spread(mean, covariance), ranking


def half_samples(arms: Codes, groups: Codes | None, n_boot: int, rng: np.random.Generator) -> Bools:
    """Draw random halves of the rows, evenly by arm; with clusters, halves of the clusters.

    Clusters that hold one arm only are drawn by arm, the others together. An odd stratum gives its middle unit to a
    random side.

    Returns
    -------
    Bools, shape (n_boot, n)
        Rows of each half.
    """
    if groups is None:
        unit, strata = np.arange(len(arms)), arms.astype(np.int64)
    else:
        _, first, unit = np.unique(groups, return_index=True, return_inverse=True)
        low, high = arms[first].astype(np.int64), arms[first].astype(np.int64)
        np.minimum.at(low, unit, arms)
        np.maximum.at(high, unit, arms)
        strata = np.where(low == high, low, -1)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    inside = np.zeros((n_boot, len(strata)), dtype=bool)
    for bag in range(n_boot):
        for stratum in members:
            size = (len(stratum) + int(rng.integers(2))) // 2
            inside[bag, rng.permutation(stratum)[:size]] = True
    return inside[:, unit]


def shrinkage(
    target: Floats, predicted: Floats, weights: Floats | None = None, groups: Codes | None = None
) -> tuple[float, float, float]:
    """Return (factor, slope, t) of the regression of a pseudo-outcome on a prediction that has not seen it.

    Parameters
    ----------
    target, predicted : Floats, shape (n,)
        Pseudo-outcome and prediction.
    weights, groups : optional
        Weights and clusters; the t statistic is robust (clustered where clusters are given).

    Returns
    -------
    factor, slope, statistic : float
        ``factor = clip(slope, 0, 1) * max(0, 1 - 1/t^2)``; zeros where the prediction does not vary.
    """
    share = shares(len(target), weights)
    x = predicted - share @ predicted
    y = target - share @ target
    power = float(share @ x**2)
    if power <= 1e-20 * max(float(share @ y**2), 1e-300):
        return 0.0, 0.0, 0.0
    slope = float(share @ (x * y)) / power
    psi = (share * x * (y - slope * x) / power)[:, None]
    variance = float(sandwich(psi, groups)[0, 0])
    if variance <= 0.0:
        return float(np.clip(slope, 0.0, 1.0)), slope, float("inf") if slope else 0.0
    statistic = slope / np.sqrt(variance)
    keep = max(0.0, 1.0 - 1.0 / statistic**2) if statistic > 0 else 0.0
    return float(np.clip(slope, 0.0, 1.0)) * keep, slope, float(statistic)


def _fit_fold(
    stage: FinalStage,
    x: Floats,
    targets: Floats,
    train: Ints,
    halves: Bools,
    weights: Floats | None,
    groups: Codes | None,
    average_cov: Floats,
    judge: Judge | None,
    rng: np.random.Generator,
) -> FoldBags:
    n_boot, t = len(halves), targets.shape[1]
    share = shares(len(train), None if weights is None else weights[train])
    seeds = rng.integers(2**31, size=n_boot)
    centers, own_centers, constants = (np.empty((n_boot, t)) for _ in range(3))
    unseen, count = np.zeros((len(train), t)), np.zeros(len(train))
    seen = take_rows(x, train)
    models: list[tuple[Model, ...]] = []
    for bag, inside in enumerate(halves):
        models.append(stage.fit(train[inside], int(seeds[bag])))
        predicted = np.column_stack([model.predict(seen) for model in models[-1]])
        centers[bag] = share @ predicted
        half = share[inside] / share[inside].sum()
        own_centers[bag] = half @ predicted[inside]
        constants[bag] = half @ targets[train[inside]]
        unseen += np.where(inside[:, None], 0.0, predicted - centers[bag])
        count += ~inside
    met = np.flatnonzero(count > 0)
    oob = unseen[met] / count[met, None]
    found = _judged(judge or Judge(targets, weights), train[met], oob, groups)
    draws = match_covariance(constants - constants.mean(axis=0), average_cov)
    return FoldBags(tuple(models), centers, own_centers, draws, found[:, 0], found[:, 1], found[:, 2])


def _judged(judge: Judge, rows: Ints, predicted: Floats, groups: Codes | None) -> Floats:
    """Factor, slope and t statistic of each target, shape (t, 3), from rows predicted without having been seen."""
    found = []
    for j in range(predicted.shape[1]):
        own = None
        if judge.weights is not None:
            own = judge.weights[rows] if judge.weights.ndim == 1 else judge.weights[rows, j]
        kept: Bools = np.ones(len(rows), dtype=bool) if own is None else own > 0
        clusters = None if groups is None else groups[rows[kept]]
        share = None if own is None else own[kept]
        found.append(shrinkage(judge.targets[rows[kept], j], predicted[kept, j], share, clusters))
    return np.array(found)


def match_covariance(draws: Floats, covariance: Floats) -> Floats:
    """Transform centred draws, shape (b, t), linearly so that their covariance (over b - 1) is the one given.

    Of all linear maps that do so this is the symmetric one that moves the draws least (the optimal transport between
    two normal distributions). Directions in which the draws do not vary stay without variance.
    """
    root = _power(covariance, 0.5)
    inner = root @ (draws.T @ draws / (len(draws) - 1)) @ root
    moved: Floats = draws @ (root @ _power(inner, -0.5) @ root)
    return moved


def _power(matrix: Floats, exponent: float) -> Floats:
    """A power of a symmetric positive semi-definite matrix; null directions stay null."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-12 * max(float(values[-1]), 0.0)
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** exponent
    out: Floats = (vectors * powers) @ vectors.T
    return out
