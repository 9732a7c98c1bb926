"""Random structural models with discrete variables: what is true in them can be computed exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from causalkit.graph.nodes import Mixed
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class DiscreteModel:
    """Conditional tables of a graph whose bidirected edges are common causes of two values.

    Parameters
    ----------
    tables : tuple of Floats
        For each node, the probabilities of its values (last axis) given its parents and its common causes, on the axes of
        the whole model.
    hidden : tuple of Floats
        Distribution of each common cause.
    n : int
        Number of nodes.
    """

    tables: tuple[Floats, ...]
    hidden: tuple[Floats, ...]
    n: int

    @classmethod
    def drawn(cls, graph: Mixed, rng: np.random.Generator, levels: int = 2) -> DiscreteModel:
        """Draw a model; every probability is positive."""
        n = len(graph)
        edges = [(one, two) for one in range(n) for two in graph.siblings[one] if one < two]
        tables = []
        for node in range(n):
            causes = {*graph.parents[node], *(n + at for at, edge in enumerate(edges) if node in edge), node}
            shape = tuple(levels if axis in causes else 1 for axis in range(n + len(edges)))
            drawn = rng.uniform(0.05, 1.0, shape)
            tables.append(drawn / drawn.sum(axis=node, keepdims=True))
        hidden = []
        for at in range(len(edges)):
            shape = tuple(levels if axis == n + at else 1 for axis in range(n + len(edges)))
            drawn = rng.uniform(0.2, 1.0, shape)
            hidden.append(drawn / drawn.sum())
        return cls(tuple(tables), tuple(hidden), n)

    def joint(self, do: Mapping[int, int] | None = None) -> Floats:
        """Return the joint distribution of the nodes, where some were set to a value."""
        do = do or {}
        found = np.ones((1,) * (self.n + len(self.hidden)))
        for part in self.hidden:
            found = found * part
        for node, table in enumerate(self.tables):
            if node in do:
                shape = tuple(table.shape[node] if axis == node else 1 for axis in range(table.ndim))
                table = np.zeros(shape)
                table[tuple(do[node] if axis == node else 0 for axis in range(table.ndim))] = 1.0
            found = found * table
        over = tuple(range(self.n, found.ndim))
        return np.asarray(found.sum(axis=over)) if over else found
