"""Local regressions instead of local means: effects that change along a covariate are not flattened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.effects.forest.growing import Bags
from causalkit.effects.forest.predicting import find, leave_out
from causalkit.effects.forest.trees import Forest
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.kernels.forest_predict import add_neighbours, leaf_scores

#: Penalties that are tried.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
#: Rows that choose the penalty.
MOST_TUNED = 2000
#: Numbers in the largest arrays of a block.
BLOCK = 10_000_000


@dataclass(frozen=True, eq=False)
class LocalLinear:
    """A ridge regression around each row predicted, with the weights of the forest.

    With weights ``alpha_i(x)``, how often row i shares a leaf with x, the outcome is regressed on ``1``, ``x_i - x``,
    the treatments, and their products with ``x_i - x``; slopes along covariates are penalised, and the effects at x
    are the coefficients of the treatments (Friedberg, Tibshirani, Athey and Wager 2020, "Local linear forests",
    *Journal of Computational and Graphical Statistics* 30, sections 2 and 6).

    Parameters
    ----------
    columns : Ints, shape (c,)
        Covariates with slopes: the numbers.
    center, scale : Floats, shape (c,)
        What makes them standardised. A missing value is at the center.
    design : Floats, shape (n, (1 + c)(1 + k))
        Products of (1, treatments) and (1, covariates) of the training rows.
    y, s : Floats, shape (n,)
        Centred outcome; weight.
    ridge : Floats, shape ((1 + c)(1 + k),)
        Penalty of each coefficient for a penalty of one.
    penalty : float
        Multiplies ``ridge``; infinite: no slopes, the plain forest.
    """

    columns: Ints
    center: Floats
    scale: Floats
    design: Floats
    y: Floats
    s: Floats
    ridge: Floats
    penalty: float = 0.1

    @property
    def most_rows(self) -> int:
        """Rows predicted at a time, which bounds the memory."""
        return max(1, min(512, BLOCK // max(len(self.y), int(self.design.shape[1]) ** 2)))

    def correct(self, forest: Forest, leaves: Codes, x: Floats, plain: Floats) -> tuple[Floats, Floats, Floats, Codes]:
        """Predict a block by local regressions.

        Parameters
        ----------
        forest : Forest
            Grown with ``keep_rows``.
        leaves : Codes, shape (trees, m)
        x : Floats, shape (m, p)
            Covariates of the block.
        plain : Floats, shape (m, q)
            Predictions of the plain forest.

        Returns
        -------
        mean : Floats, shape (m, q)
            Effects of the local regressions, then the plain means of extras.
        between, total, n_groups
            As the plain forest has them: mean products of the means of groups, mean squares of trees, groups.
        """
        k, size = forest.n_treatments, forest.group_size
        shares = self._shares(forest, leaves)
        moments, cross = self._moments(shares)
        basis = self._basis(x, k)
        mean = plain.copy()
        beta, inverse = self._solve(moments, cross, basis, self.penalty)
        at = np.arange(1, k + 1) * (self.design.shape[1] // (k + 1))
        mean[:, :k] = beta[:, at]
        influence = np.zeros((len(leaves), len(x), plain.shape[1]))
        weight = self._leaf_values(forest, leaves, 0)
        mass = weight.sum(axis=0) / np.maximum((leaves >= 0).sum(axis=0), 1)
        residual = (self.y - (basis @ beta[:, :, None])[:, :, 0] @ self.design.T) * self.s
        for a in range(k):
            direction = inverse[:, :, at[a]]
            scores = residual * ((basis @ direction[:, :, None])[:, :, 0] @ self.design.T)
            leaf_scores(leaves, forest.leaf_starts, forest.rows, scores, influence[:, :, a])
            drag = (direction * (self.penalty * self.ridge) * beta).sum(axis=1)
            influence[:, :, a] = (influence[:, :, a] - weight * drag) / mass
        first = 2 + 2 * k + k * k
        for a in range(k, plain.shape[1]):
            extra = self._leaf_values(forest, leaves, first + a - k)
            influence[:, :, a] = (extra - weight * plain[:, a]) / mass
        return mean, *_spread_of(influence, leaves, size)

    def effects(self, forest: Forest, leaves: Codes, x: Floats, penalties: Sequence[float]) -> Floats:
        """Predict the effects of a block for several penalties, shape (penalties, m, k)."""
        k = forest.n_treatments
        moments, cross = self._moments(self._shares(forest, leaves))
        basis = self._basis(x, k)
        at = np.arange(1, k + 1) * (self.design.shape[1] // (k + 1))
        return np.array([self._solve(moments, cross, basis, penalty)[0][:, at] for penalty in penalties])

    def standardised(self, x: Floats) -> Floats:
        """Return the covariates with slopes, standardised, shape (m, c)."""
        out: Floats = np.nan_to_num((x[:, self.columns] - self.center) / self.scale)
        return out

    def _shares(self, forest: Forest, leaves: Codes) -> Floats:
        """Weights of the training rows, shape (m, n); they sum to one."""
        shares = np.zeros((leaves.shape[1], len(self.y)))
        add_neighbours(leaves, forest.leaf_starts, forest.rows, shares)
        shares *= self.s
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def _moments(self, shares: Floats) -> tuple[Floats, Floats]:
        """Weighted cross-products of the design, shape (m, d, d), and of design and outcome (m, d)."""
        d = self.design.shape[1]
        low, high = np.tril_indices(d)
        total = np.zeros((len(shares), len(low)))
        step = max(1, BLOCK // len(low))
        for first in range(0, len(self.y), step):
            part = self.design[first : first + step]
            total += shares[:, first : first + step] @ (part[:, low] * part[:, high])
        moments = np.empty((len(shares), d, d))
        moments[:, low, high] = moments[:, high, low] = total
        return moments, shares @ (self.design * self.y[:, None])

    def _basis(self, x: Floats, k: int) -> Floats:
        """The matrix that moves the origin of the covariates to each row, shape (m, d, d)."""
        point = self.standardised(x)
        c = point.shape[1]
        move = np.tile(np.eye(1 + c), (len(x), 1, 1))
        move[:, 0, 1:] = -point
        out = np.zeros((len(x), (1 + k) * (1 + c), (1 + k) * (1 + c)))
        for a in range(1 + k):
            here = slice(a * (1 + c), (a + 1) * (1 + c))
            out[:, here, here] = move
        return out

    def _solve(self, moments: Floats, cross: Floats, basis: Floats, penalty: float) -> tuple[Floats, Floats]:
        turned = basis.transpose(0, 2, 1)
        matrix = turned @ moments @ basis
        at = np.arange(matrix.shape[1])
        matrix[:, at, at] += penalty * self.ridge
        inverse = np.asarray(np.linalg.inv(matrix), dtype=float)
        beta: Floats = (inverse @ (turned @ cross[:, :, None]))[:, :, 0]
        return beta, inverse

    @staticmethod
    def _leaf_values(forest: Forest, leaves: Codes, column: int) -> Floats:
        """One column of the whole means of leaves, shape (trees, m); zero where a tree does not speak."""
        at = column - (not forest.weighted)
        out: Floats = np.where(leaves >= 0, 1.0 if at < 0 else forest.means[leaves, at], 0.0)
        return out


def tune_local_linear(
    forest: Forest,
    bags: Bags,
    x: Floats,
    y: Floats,
    w: Floats,
    *,
    weights: Floats | None = None,
    categorical: Sequence[int] = (),
    plain: Floats,
    random_state: int = 0,
) -> LocalLinear | None:
    """Choose the penalty of local regressions by what is left of the outcome out of bag.

    Parameters
    ----------
    forest, bags
        Grown on these rows, with ``keep_rows``.
    x, y, w : Floats, shapes (n, p), (n,), (n, k)
        Covariates, centred outcome and centred treatments.
    weights : Floats, shape (n,), optional
    categorical : sequence of int
        Covariates without slopes.
    plain : Floats, shape (n, k)
        Out-of-bag effects of the plain forest.
    random_state : int
        Seed of the rows that choose, where there are more than 2,000.

    Returns
    -------
    LocalLinear or None
        None where the plain forest leaves less (the squared error of ``y - w tau``, Nie and Wager 2021), or there is
        no covariate to have a slope.
    """
    kept = np.arange(len(y)) if weights is None else np.flatnonzero(weights > 0)
    local = _prepare(x[kept], y[kept], w[kept], None if weights is None else weights[kept], categorical)
    if local is None:
        return None
    rows = kept
    if len(kept) > MOST_TUNED:
        rows = np.sort(np.random.default_rng(random_state).choice(kept, MOST_TUNED, replace=False))
    loss = np.zeros(len(PENALTIES) + 1)
    for first in range(0, len(rows), local.most_rows):
        block = rows[first : first + local.most_rows]
        here = np.ascontiguousarray(x[block])
        leaves = find(forest, here, 0, len(here))
        leave_out(leaves, replace(bags, units=bags.units[block]), 0, len(here), forest.group_size)
        effects = np.concatenate([local.effects(forest, leaves, here, PENALTIES), plain[block][None]])
        error = (y[block] - (w[block] * effects).sum(axis=2)) ** 2
        loss += error.sum(axis=1) if weights is None else error @ weights[block]
    best = int(np.argmin(loss))
    return None if best == len(PENALTIES) else replace(local, penalty=PENALTIES[best])


def _prepare(x: Floats, y: Floats, w: Floats, weights: Floats | None, categorical: Sequence[int]) -> LocalLinear | None:
    numbers = np.array([j for j in range(x.shape[1]) if j not in set(categorical)], dtype=np.int64)
    known = ~np.isnan(x[:, numbers])
    count = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, x[:, numbers], 0.0)
    center = values.sum(axis=0) / count
    scale = np.sqrt((np.where(known, values - center, 0.0) ** 2).sum(axis=0) / count)
    vary = scale > 1e-12 * np.abs(values).max(axis=0, initial=0.0)
    numbers, center, scale = numbers[vary], center[vary], scale[vary]
    if not numbers.size:
        return None
    s = np.ones(len(y)) if weights is None else weights
    power = np.concatenate([[1.0], np.average(w**2, axis=0, weights=s)])
    slopes = np.concatenate([[0.0], np.ones(len(numbers))])
    draft = LocalLinear(numbers, center, scale, np.empty((0, 0)), y, s, np.kron(power, slopes))
    bases = np.column_stack([np.ones(len(y)), draft.standardised(x)])
    arms = np.column_stack([np.ones(len(y)), w])
    design = (arms[:, :, None] * bases[:, None, :]).reshape(len(y), -1)
    return replace(draft, design=read_only(design))


def _spread_of(influence: Floats, leaves: Codes, size: int) -> tuple[Floats, Floats, Codes]:
    """Mean products of the means of groups, mean squares of trees, and the number of whole groups of each row."""
    trees, m, q = influence.shape
    groups = trees // size
    cut = influence[: groups * size].reshape(groups, size, m, q)
    whole = np.asarray((leaves[: groups * size].reshape(groups, size, m) >= 0).all(axis=1))
    means = cut.mean(axis=1) * whole[:, :, None]
    count = whole.sum(axis=0)
    among = np.maximum(count, 1)
    between = np.einsum("gia,gib->iab", means, means) / among[:, None, None]
    total = np.einsum("gtia,gi->ia", cut**2, whole.astype(float)) / (among[:, None] * size)
    return between, total, count.astype(np.int32)
