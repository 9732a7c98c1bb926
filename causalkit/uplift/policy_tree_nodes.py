"""A grown policy tree in the user's terms: rules that read new rows, leaves in words, and a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.policy_tree_columns import Column, Rule
from causalkit.uplift.policy_tree_search import Node

#: A cut and whether its left side was taken.
Step = tuple[Rule, bool]


@dataclass(frozen=True)
class Branch:
    """A node of a policy tree.

    Parameters
    ----------
    action : int
        Code of the arm that a leaf gives.
    n : int
        Rows of the fit.
    mass : float
        Their weight.
    scores : tuple of float
        Sum over the rows of each action's weighted score.
    rule : Rule, optional
        Who goes left; None for a leaf.
    left, right : Branch, optional
    """

    action: int
    n: int
    mass: float
    scores: tuple[float, ...]
    rule: Rule | None = None
    left: Branch | None = None
    right: Branch | None = None

    @classmethod
    def of(cls, node: Node, columns: list[Column]) -> Branch:
        """Translate a grown tree."""
        plain = cls(node.action, node.n, node.mass, node.scores)
        if node.left is None or node.right is None:
            return plain
        rule = columns[node.column].cut(node.cut)
        if not rule.has_gaps:  # whoever comes later with a gap goes with the larger side
            rule = replace(rule, gaps_left=node.left.n >= node.right.n)
        return replace(plain, rule=rule, left=cls.of(node.left, columns), right=cls.of(node.right, columns))

    def assign(self, values: Floats) -> Codes:
        """Return the action of each row of a matrix of covariates."""
        if self.rule is None or self.left is None or self.right is None:
            return np.full(len(values), self.action, dtype=np.int32)
        goes_left = self.rule.goes_left(values)
        out = np.empty(len(values), dtype=np.int32)
        out[goes_left] = self.left.assign(values[goes_left])
        out[~goes_left] = self.right.assign(values[~goes_left])
        return out

    def leaves(self, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Branch]]:
        """Yield each leaf with the cuts that lead to it, each with the side taken (whether it is the left one)."""
        if self.rule is None or self.left is None or self.right is None:
            yield path, self
            return
        yield from self.left.leaves((*path, (self.rule, True)))
        yield from self.right.leaves((*path, (self.rule, False)))

    @property
    def depth(self) -> int:
        """Most cuts on a path."""
        return 0 if self.left is None or self.right is None else 1 + max(self.left.depth, self.right.depth)

    def to_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return a JSON-ready dictionary.

        Parameters
        ----------
        names : tuple of str
            What each action is called.
        """
        told: dict[str, Any] = {"n": self.n, "weight": self.mass}
        if self.rule is None or self.left is None or self.right is None:
            return {**told, "action": names[self.action]}
        return {
            **told,
            "split": self.rule.to_dict(),
            "left": self.left.to_dict(names),
            "right": self.right.to_dict(names),
        }


def leaf_words(path: tuple[Step, ...]) -> str:
    """Say who is in a leaf; a limit that a later one sharpens is left out."""
    told = [rule.words(left) for at, (rule, left) in enumerate(path) if not _sharpened(path, at)]
    return " and ".join(told) if told else "everyone"


def _sharpened(path: tuple[Step, ...], at: int) -> bool:
    rule, left = path[at]
    if rule.labels or rule.has_gaps:
        return False
    return any(later.position == rule.position and side == left for later, side in path[at + 1 :])


def drawn(root: Branch, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the nodes as a list for a figure, a parent before its children.

    Each has ``parent`` (position in the list, -1 for the root), ``edge`` (the condition that leads to it), ``text`` (what
    a leaf does; empty for an inner node), ``action`` (its code, -1 inside), ``share`` and ``n``.
    """
    found: list[dict[str, Any]] = []

    def walk(branch: Branch, parent: int, edge: str) -> None:
        leaf = branch.rule is None
        at = len(found)
        found.append(
            {
                "parent": parent,
                "edge": edge,
                "text": names[branch.action] if leaf else "",
                "action": branch.action if leaf else -1,
                "share": branch.mass / root.mass,
                "n": branch.n,
            }
        )
        if branch.rule is not None and branch.left is not None and branch.right is not None:
            walk(branch.left, at, branch.rule.words(True))
            walk(branch.right, at, branch.rule.words(False))

    walk(root, -1, "")
    return found
