"""Influence values that wait until they are asked for, because their covariance is known without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from causalkit.core.estimate import INFLUENCE_LIMIT, Covariance, Influence, _df_of, _first_df
from causalkit.core.rows import Groups, Rows
from causalkit.core.settings import settings
from causalkit.kernels.arrays import Floats, read_only


class DeferredInfluence(Influence):
    """An :class:`Influence` whose ``psi`` is made when it is first read; before that only its covariance is held.

    Build it with :func:`influence_or_covariance`. A pickle holds the values themselves.
    """

    @property
    def psi(self) -> Floats:
        """Influence values, shape (n, k)."""
        made = vars(self)["_psi"]
        if callable(made):
            made = vars(self)["_psi"] = read_only(made())
        return made  # type: ignore[no-any-return]

    @psi.setter
    def psi(self, values: Floats | Callable[[], Floats]) -> None:
        vars(self)["_psi"] = values

    def linear(self, weights: Floats) -> Influence:
        """Return the carrier of ``weights @ theta``; its values wait as well."""
        return self._with(lambda: self.psi @ weights.T, _df_of(weights, self.df), weights @ self.vcov @ weights.T)

    def first(self, count: int) -> Influence:
        """Return the carrier of the first ``count`` estimates; its values wait as well."""
        return self._with(lambda: self.psi[:, :count], _first_df(self.df, count), self.vcov[:count, :count])

    def knowing(self, vcov: Floats) -> Influence:
        """Return the same values with their covariance."""
        return self._with(lambda: self.psi, self.df, vcov)

    def _with(self, psi: Callable[[], Floats], df: Floats, vcov: Floats) -> DeferredInfluence:
        rest = self.rows, self.groups, self.scale, df, self.kind, self.crossed, self.per_row
        moved = DeferredInfluence(psi, *rest)  # type: ignore[arg-type]
        vars(moved)["vcov"] = read_only(vcov)
        return moved

    def __reduce__(self) -> Any:
        plain = self.psi, self.rows, self.groups, self.scale, self.df, self.kind, self.crossed, self.per_row
        return Influence, plain, {"vcov": self.vcov}


def influence_or_covariance(
    make: Callable[[], Floats],
    shape: tuple[int, int],
    vcov: Floats | None,
    rows: Callable[[], Rows],
    ways: Sequence[Groups],
    kind: str,
    df: float = np.inf,
    scale: float = 1.0,
    per_row: float | None = None,
) -> Influence | Covariance:
    """Return influence values that wait or, where they would take more than 256 MB, the covariance alone.

    Parameters
    ----------
    make : callable
        Returns the influence values, 1/n folded in.
    shape : (int, int)
        Their shape.
    vcov : Floats, shape (k, k), or None
        Their covariance; None where it is to be computed from the values.
    rows : callable
        Returns whose values they are.
    ways : sequence of Groups
        Clusters, by row.
    kind : str
        Name of the variance.
    df : float
        Degrees of freedom of every t statistic.
    scale : float
        Small-sample factor, which ``vcov`` contains.
    per_row : float, optional
        As for :class:`~causalkit.core.estimate.Influence`.
    """
    every = np.full(shape[1], df)
    if vcov is not None and 8 * shape[0] * shape[1] > INFLUENCE_LIMIT and not settings().keep_influence:
        return Covariance(read_only(vcov), every, kind)
    first = ways[0] if ways else None
    held = DeferredInfluence(make, rows(), first, scale, every, kind, tuple(ways[1:]), per_row)  # type: ignore[arg-type]
    return held if vcov is None else held.knowing(vcov)
