"""Shift-share instrumental variables on arrays: the estimate and errors that treat shocks, not units, as the sample.

With shares ``s_ik`` and shocks ``g_k`` the instrument is ``B_i = sum_k s_ik g_k``. Units with similar shares have similar
residuals whatever their place, so errors are summed by shock (or cluster of shocks):

- AKM (Adao, Kolesar and Morales 2019): ``sum_k (x_k sum_i s_ik e_i)^2`` with ``x`` the coefficients of ``B``, controls
  partialled out, on the shares;
- BHJ (Borusyak, Hull and Jaravel 2022): the same with ``x_k = g_k`` about its mean within strata, which is the robust
  error of the equivalent regression on shocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.jackknife_projection import Projector, projector
from causalkit.kernels.arrays import Codes, Floats

_RANK = 1e-10
#: Sums of shares within this of one count as complete.
COMPLETE = 1e-6


@dataclass(frozen=True, eq=False)
class ShiftShareArrays:
    """A shift-share design with controls partialled out.

    Attributes
    ----------
    y, D, B : array, shape (n,)
        Outcome, treatment and instrument after controls, in their own units.
    S : array, shape (n, K)
        Shares.
    weights : array, shape (n,)
        With mean one.
    g : array, shape (K,)
        Shocks.
    stratum, cluster : array of int, shape (K,)
        Strata whose sums of shares are controlled (-1: none is), and clusters of shocks.
    controls : Projector
        The projection on the controls.
    """

    y: Floats
    D: Floats
    B: Floats
    S: Floats
    weights: Floats
    g: Floats
    stratum: Codes
    cluster: Codes
    controls: Projector

    @property
    def n_controls(self) -> int:
        """Rank of the controls."""
        return self.controls.rank

    def partialled(self, columns: Floats) -> Floats:
        """Return columns (n, k), such as shares, after controls."""
        root = np.sqrt(self.weights)
        left: Floats = (self.controls.residuals(*(columns.T * root)) / root).T
        return left

    @cached_property
    def relevance(self) -> float:
        """Sum of ``w B D``: the denominator."""
        return float((self.weights * self.B) @ self.D)

    @cached_property
    def estimate(self) -> float:
        """The effect of the treatment."""
        return float((self.weights * self.B) @ self.y) / self.relevance

    @cached_property
    def exposure(self) -> Floats:
        """Average share of each shock, shape (K,)."""
        average: Floats = self.weights @ self.S / self.weights.sum()
        return average

    def by_shock(self, column: Floats) -> Floats:
        """Return ``sum_i w_i s_ik column_i``, shape (K,)."""
        sums: Floats = (self.weights * column) @ self.S
        return sums

    @cached_property
    def akm_shocks(self) -> Floats:
        """Coefficients of the instrument on the shares, shape (K,): the shocks after controls.

        Raises
        ------
        DesignError
            If the shares are linearly dependent, so that there are none.
        """
        root = np.sqrt(self.weights)
        scale = np.sqrt(self.weights @ self.S**2)
        used = scale > 0
        matrix = self.S[:, used] * root[:, None] / scale[used]
        found, _, rank, values = np.linalg.lstsq(matrix, root * self.B, rcond=_RANK)
        if rank < matrix.shape[1] or values[-1] <= _RANK * values[0]:
            raise DesignError(
                f"the {matrix.shape[1]} columns of shares are linearly dependent (rank {rank}), so AKM errors are not "
                "defined.",
                hint='Use vcov="BHJ", or merge shocks.',
            )
        out = np.zeros(self.g.size)
        out[used] = found / scale[used]
        return out

    @cached_property
    def bhj_shocks(self) -> Floats:
        """Shocks about their exposure-weighted mean within strata whose share sums are controlled, shape (K,)."""
        weighted = np.maximum(self.exposure, 0.0)
        out = self.g.copy()
        for stratum in np.unique(self.stratum[self.stratum >= 0]):
            inside = (self.stratum == stratum) & (weighted > 0)
            if inside.any():
                out[self.stratum == stratum] -= np.average(self.g[inside], weights=weighted[inside])
        return out

    def scores(self, column: Floats, kind: str) -> Floats:
        """Return the sums ``x_k sum_i w_i s_ik column_i`` by cluster of shocks, shape (G,)."""
        shocks = self.akm_shocks if kind == "AKM" else self.bhj_shocks
        return np.asarray(np.bincount(self.cluster, weights=shocks * self.by_shock(column)), dtype=np.float64)

    def psi(self, kind: str) -> Floats:
        """Influence values of the estimate by cluster of shocks, shape (G,)."""
        return self.scores(self.y - self.estimate * self.D, kind) / self.relevance

    def first_stage(self, kind: str) -> tuple[float, float]:
        """Return the effect of the instrument on the treatment and its error, robust to exposure."""
        spread = float((self.weights * self.B) @ self.B)
        slope = self.relevance / spread
        return slope, float(np.linalg.norm(self.scores(self.D - slope * self.B, kind)) / spread)

    def unit_variance(self, kind: str) -> tuple[Floats, float]:
        """Return influence values by row and the factor of HC0 or HC1, which take units for the sample."""
        error = self.y - self.estimate * self.D
        n = error.size
        return self.weights * self.B * error / self.relevance, n / (n - self.n_controls - 1) if kind == "HC1" else 1.0


def prepare(
    y: Floats,
    D: Floats,
    S: Floats,
    g: Floats,
    *,
    W: Floats | None = None,
    absorb: Sequence[Codes] = (),
    weights: Floats | None = None,
    stratum: Codes | None = None,
    cluster: Codes | None = None,
    control_sums: bool = True,
) -> ShiftShareArrays:
    """Partial controls, and the sums of shares where they are incomplete, out of a shift-share design.

    Parameters
    ----------
    y, D : array, shape (n,)
        Outcome and treatment.
    S : array, shape (n, K)
        Shares; rows may sum to less than one.
    g : array, shape (K,)
        Shocks.
    W : array, shape (n, p), optional
        Controls; an intercept is added.
    absorb : sequence of arrays of int
        Effects to absorb.
    weights : array, shape (n,), optional
        Positive weights; their scale does not matter.
    stratum, cluster : array of int, shape (K,), optional
        Groups of shocks that are compared among themselves, and groups that are correlated.
    control_sums : bool
        Whether the sum of a unit's shares (by stratum) is a control. Without it a unit with incomplete shares has a
        large instrument because its shares sum to more, and not because its shocks were large (BHJ, section 4.2).

    Raises
    ------
    DesignError
        If controls determine the instrument or the treatment.
    """
    n, k = S.shape
    strata = np.zeros(k, dtype=np.int32) if stratum is None else stratum
    level = np.array([g[strata == code].mean() for code in range(int(strata.max()) + 1)])
    controls = [np.empty((0, n)) if W is None else W.T]
    if control_sums:
        sums = np.stack([S[:, strata == code].sum(axis=1) for code in range(level.size)])
        controls.append(sums)
        centred = g - level[strata]  # what the sums of shares take out anyway, so that no digits are lost
    else:
        centred = g
    weight = np.ones(n) if weights is None else weights / weights.mean()
    root = np.sqrt(weight)
    effects = list(absorb) or [np.zeros(n, dtype=np.int32)]
    projection = projector(effects, np.vstack(controls), None if weights is None else weight)
    raw = [column - column[0] for column in (y, D, S @ centred)]
    left = projection.residuals(*(column * root for column in raw)) / root
    for name, row, before in (("treatment", left[1], raw[1]), ("instrument", left[2], raw[2])):
        if np.linalg.norm(row) <= 1e-9 * np.linalg.norm(before - before.mean()) or not before.any():
            raise DesignError(
                f"the {name} is determined by the controls.",
                hint="Leave out the covariate or absorbed effect that determines it, or check the shocks.",
            )
    if abs((weight * left[1]) @ left[2]) <= 1e-10 * np.linalg.norm(root * left[1]) * np.linalg.norm(root * left[2]):
        raise DesignError(
            "the instrument does not move the treatment at all, controls held fixed.",
            hint="Check that shares and shocks belong together.",
        )
    return ShiftShareArrays(
        left[0],
        left[1],
        left[2],
        S,
        weight,
        g,
        strata if control_sums else np.full(k, -1, dtype=np.int32),
        np.arange(k, dtype=np.int32) if cluster is None else cluster,
        projection,
    )
