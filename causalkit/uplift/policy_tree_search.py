"""Growing a policy tree: exact to depth two, with an exact look-ahead beyond, or exact throughout for small tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints

Search = Literal["hybrid", "exact"]

#: Evaluations of a cut that an exact search beyond depth two may take.
WORK = 2e7


@dataclass(frozen=True)
class Node:
    """A node of a grown tree, over columns of codes.

    Parameters
    ----------
    action : int
        Action of a leaf; for an inner node the best single action of its rows.
    n : int
        Rows.
    mass : float
        Their weight.
    scores : tuple of float
        Sum of the scores of each action over the rows.
    column, cut : int
        Rows with codes up to ``cut`` in this column go left; column -1 marks a leaf.
    left, right : Node, optional
    """

    action: int
    n: int
    mass: float
    scores: tuple[float, ...]
    column: int = -1
    cut: int = -1
    left: Node | None = None
    right: Node | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether no cut follows."""
        return self.column < 0

    @property
    def reward(self) -> float:
        """Sum of the scores of the actions that the leaves below choose."""
        if self.left is None or self.right is None:
            return self.scores[self.action]
        return self.left.reward + self.right.reward


def grow(
    codes: Any, scores: Floats, depth: int, least: int = 1, search: Search = "hybrid", mass: Floats | None = None
) -> Node:
    """Grow the tree whose actions have the largest sum of scores.

    Parameters
    ----------
    codes : int32, shape (p, n)
        Ranks of each column's values.
    scores : Floats, shape (n, n_actions)
        Score of each action for each row (times its weight). Only differences between actions matter for the cuts.
    depth : int
        Most cuts on a path.
    least : int
        Fewest rows of a leaf.
    search : {"hybrid", "exact"}
        Beyond depth two: cut by cut, each the first of the best tree of depth two, or the best of all trees.
    mass : Floats, shape (n,), optional
        Weight of each row; one by default.

    Returns
    -------
    Node
        Ties (within rounding) go to the earlier column, the smaller cut and the earlier action, and to fewer leaves.

    Raises
    ------
    DesignError
        If an exact search would take too long.

    References
    ----------
    Sverdrup, Kanodia, Zhou, Athey and Wager (2020), "policytree: Policy learning via doubly robust empirical welfare
    maximization over trees", *JOSS* 5; Zhou, Athey and Wager (2023), "Offline multi-action policy learning".
    """
    if search == "exact" and depth > 2:
        cuts = float(sum(len(np.unique(column)) - 1 for column in codes))  # codes may have gaps
        work = cuts ** (depth - 2) * len(codes) ** 2 * scores.shape[0]
        if work > WORK:
            raise DesignError(
                f"an exact tree of depth {depth} on {scores.shape[0]:,} rows and {len(codes)} columns takes too long.",
                hint='Use method="hybrid", which looks two cuts ahead, a smaller depth, or n_cuts.',
            )
    weights = np.ones(len(scores)) if mass is None else mass
    grower = _Grower(np.ascontiguousarray(codes, dtype=np.int32), np.ascontiguousarray(scores), weights, least, search)
    return _pruned(grower.grow(np.arange(len(scores)), depth))


@dataclass(frozen=True, eq=False)
class _Grower:
    codes: Any
    scores: Floats
    mass: Floats
    least: int
    search: Search

    def grow(self, rows: Ints, depth: int) -> Node:
        own = self.scores[rows]
        total = own.sum(axis=0)
        leaf = Node(_first_best(total), rows.size, float(self.mass[rows].sum()), tuple(total.tolist()))
        if depth == 0 or rows.size < 2 * self.least:
            return leaf
        ahead = depth if self.search == "exact" else min(depth, 2)
        _, column, cut = self.first_cut(rows, ahead)
        if column < 0:
            return leaf
        goes_left = self.codes[column][rows] <= cut
        left, right = self.grow(rows[goes_left], depth - 1), self.grow(rows[~goes_left], depth - 1)
        return replace(leaf, column=column, cut=cut, left=left, right=right)

    def first_cut(self, rows: Ints, depth: int) -> tuple[float, int, int]:
        """Reward, column and cut (in the codes of all rows) of the first cut of the best tree of this depth."""
        from causalkit.kernels.policy_search import sweep
        from causalkit.kernels.policy_split import best_split, local_codes

        own = self.scores[rows]
        # Only differences between actions matter; small numbers keep their digits.
        own = own - own.mean(axis=1, keepdims=True)
        codes, sizes = local_codes(self.codes, rows)
        slack = 1e-12 * max(float(np.abs(own).sum()), 1e-300)
        best, column, cut = best_split(codes, sizes, own, self.least, slack)
        for feature in range(len(codes)) if depth == 2 else ():
            reward, found = sweep(feature, codes, sizes, own, self.least, best, slack)
            if found >= 0:
                best, column, cut = reward, feature, found
        for feature in range(len(codes)) if depth > 2 else ():
            for c in range(int(sizes[feature]) - 1):
                left = codes[feature] <= c
                if min(left.sum(), (~left).sum()) < self.least:
                    continue
                reward = sum(self.first_cut(rows[side], depth - 1)[0] for side in (left, ~left))
                if reward > best + slack:
                    best, column, cut = reward, feature, c
        if column >= 0:
            cut = int(self.codes[column][rows[codes[column] <= cut]].max())
        return float(best), int(column), cut


def _first_best(total: Floats) -> int:
    return int(np.flatnonzero(total >= total.max() - 1e-12 * max(float(np.abs(total).max()), 1e-300))[0])


def _pruned(node: Node) -> Node:
    """Join leaves that choose the same action."""
    if node.left is None or node.right is None:
        return node
    left, right = _pruned(node.left), _pruned(node.right)
    if left.is_leaf and right.is_leaf and left.action == right.action:
        return replace(node, action=left.action, column=-1, cut=-1, left=None, right=None)
    return replace(node, left=left, right=right)
