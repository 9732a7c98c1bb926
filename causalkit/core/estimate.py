"""Estimates and what carries their uncertainty, with the algebra that keeps both in step.

An :class:`Estimate` is a vector ``theta`` with one carrier:

``Influence``
    one value per row (or unit) and estimate with 1/n folded in, so that
    ``vcov = scale * sum over clusters (sum psi)(sum psi)'``. Two of them on the same rows subtract exactly.
``Covariance``
    a matrix with degrees of freedom.
``Draws``
    bootstrap replicates or posterior draws.
``Placebos``
    the same estimate where no effect can be; they rank, they have no standard error.

What a carrier can't do raises :class:`~causalkit.errors.InferenceUnavailable` with the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core.rows import Groups, Rows, align, align_ways
from causalkit.core.settings import settings
from causalkit.errors import InferenceUnavailable
from causalkit.inference.vcov import multiway_vcov, sandwich
from causalkit.kernels.arrays import Floats, read_only

#: An influence matrix of more bytes is folded into its covariance unless it is asked for.
INFLUENCE_LIMIT = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence values, one row per observation (or unit).

    Parameters
    ----------
    psi : Floats, shape (n, k)
        Influence values with 1/n folded in.
    rows : Rows
        Whose values they are.
    groups : Groups, optional
        Clusters; None means every row is one.
    crossed : tuple of Groups
        Further clusters that cross these: the variance is then that of multiway clustering.
    scale : float
        Small-sample factor of the variance.
    df : Floats, shape (k,)
        Degrees of freedom of each t statistic (infinite for a normal).
    kind : str
        Name of the variance, such as ``"HC1"``.
    per_row : float, optional
        Where a value sums over rows of one regression: what CR1 multiplies by for its N rows and K parameters,
        (N - 1) / (N - K). NaN where the values are those of several regressions, with their factors.
    """

    psi: Floats
    rows: Rows
    groups: Groups | None = None
    scale: float = 1.0
    df: Floats = field(default_factory=lambda: np.full(1, np.inf))
    kind: str = "HC0"
    crossed: tuple[Groups, ...] = ()
    per_row: float | None = None

    @property
    def ways(self) -> tuple[Groups, ...]:
        """All clusters; none where every row is its own."""
        return () if self.groups is None else (self.groups, *self.crossed)

    @cached_property
    def vcov(self) -> Floats:
        """Return the k x k covariance matrix."""
        if self.crossed:
            ways = [way.codes for way in self.ways]
            return multiway_vcov(self.psi, ways, small_sample=False, scale=self.scale).matrix
        return sandwich(self.psi, None if self.groups is None else self.groups.codes, self.scale)

    def linear(self, weights: Floats) -> Influence:
        """Return the carrier of ``weights @ theta``."""
        moved = replace(self, psi=read_only(self.psi @ weights.T), df=_df_of(weights, self.df))
        return moved.knowing(weights @ self.vcov @ weights.T) if "vcov" in vars(self) else moved

    def first(self, count: int) -> Influence:
        """Return the carrier of the first ``count`` estimates."""
        moved = replace(self, psi=read_only(self.psi[:, :count]), df=_first_df(self.df, count))
        return moved.knowing(self.vcov[:count, :count]) if "vcov" in vars(self) else moved

    def knowing(self, vcov: Floats) -> Influence:
        """Return the same values with their covariance, where it is known already, so that it is not computed again."""
        known = replace(self)
        vars(known)["vcov"] = read_only(vcov)
        return known

    def folded(self) -> Covariance:
        """Return the covariance that these values imply, without the values."""
        return Covariance(self.vcov, self.df, self.kind)


@dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance matrix with the degrees of freedom of each t statistic."""

    matrix: Floats
    df: Floats
    kind: str = ""

    @property
    def vcov(self) -> Floats:
        """Return the k x k covariance matrix."""
        return self.matrix

    def linear(self, weights: Floats) -> Covariance:
        """Return the carrier of ``weights @ theta``."""
        return Covariance(read_only(weights @ self.matrix @ weights.T), _df_of(weights, self.df), self.kind)

    def first(self, count: int) -> Covariance:
        """Return the carrier of the first ``count`` estimates."""
        return Covariance(read_only(self.matrix[:count, :count]), _first_df(self.df, count), self.kind)


@dataclass(frozen=True, eq=False)
class Draws:
    """Replicates of the estimate, shape (B, k): a bootstrap or a posterior."""

    values: Floats
    kind: str = "bootstrap"

    @property
    def df(self) -> Floats:
        """Infinite: intervals come from the draws."""
        return np.full(self.values.shape[1], np.inf)

    @property
    def vcov(self) -> Floats:
        """Return the covariance of the draws."""
        return np.atleast_2d(np.cov(self.values, rowvar=False, ddof=1))

    def linear(self, weights: Floats) -> Draws:
        """Return the carrier of ``weights @ theta``."""
        return replace(self, values=read_only(self.values @ weights.T))


@dataclass(frozen=True, eq=False)
class Placebos:
    """Estimates where there is no effect by construction, shape (B, k); ``p = (1 + k) / (1 + B)``."""

    values: Floats
    kind: str = "placebo"

    @property
    def df(self) -> Floats:
        """Not a number: there is no t statistic."""
        return np.full(self.values.shape[1], np.nan)

    @property
    def vcov(self) -> Floats:
        """Raise: a rank among placebos has no covariance."""
        raise InferenceUnavailable(
            "placebo inference gives a p-value but no standard error.",
            hint="Use .pvalue, or an estimator with a standard error.",
        )

    def linear(self, weights: Floats) -> Placebos:
        """Return the carrier of ``weights @ theta``."""
        return replace(self, values=read_only(self.values @ weights.T))


Carrier = Influence | Covariance | Draws | Placebos


@dataclass(frozen=True, eq=False)
class Estimate:
    """A vector of numbers and what is known of their error.

    Parameters
    ----------
    theta : Floats, shape (k,)
        The estimates.
    carrier : Influence, Covariance, Draws or Placebos
        Their uncertainty.
    center : Floats, shape (k,), optional
        Bias-corrected values that standard errors, tests and default intervals refer to; ``theta`` where absent.
    """

    theta: Floats
    carrier: Carrier
    center: Floats | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "theta", read_only(np.atleast_1d(np.asarray(self.theta, dtype=float))))

    @property
    def size(self) -> int:
        """Number of estimates."""
        return len(self.theta)

    @property
    def location(self) -> Floats:
        """``center`` where there is one, else ``theta``."""
        return self.theta if self.center is None else self.center

    @property
    def vcov(self) -> Floats:
        """Covariance matrix, shape (k, k)."""
        return self.carrier.vcov

    @property
    def se(self) -> Floats:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.vcov), 0.0))

    @property
    def df(self) -> Floats:
        """Degrees of freedom, shape (k,)."""
        df = self.carrier.df
        return df if df.shape == self.theta.shape else np.broadcast_to(df, self.theta.shape)

    def linear(self, weights: Any) -> Estimate:
        """Return the estimate of ``weights @ theta``; ``weights`` has shape (m, k) or (k,)."""
        matrix = np.atleast_2d(np.asarray(weights, dtype=float))
        if matrix.shape[1] != self.size:
            raise InferenceUnavailable(f"the contrast has {matrix.shape[1]} weights for {self.size} estimates.")
        center = None if self.center is None else matrix @ self.center
        return Estimate(matrix @ self.theta, self.carrier.linear(matrix), center)

    def first(self, count: int) -> Estimate:
        """Return the first ``count`` estimates."""
        carrier, center = self.carrier, None if self.center is None else self.center[:count]
        if isinstance(carrier, Draws | Placebos):
            return Estimate(self.theta[:count], carrier.linear(np.eye(self.size)[:count]), center)
        return Estimate(self.theta[:count], carrier.first(count), center)

    def __mul__(self, factor: float) -> Estimate:
        return self.linear(np.eye(self.size) * float(factor))

    __rmul__ = __mul__

    def __neg__(self) -> Estimate:
        return self * -1.0

    def __add__(self, other: Estimate) -> Estimate:
        joint = stack(self, other)
        both = np.eye(self.size)
        return joint.linear(np.hstack([both, both]))

    def __sub__(self, other: Estimate) -> Estimate:
        return self + (-other)

    def folded(self) -> Estimate:
        """Return the estimate without influence values if they take more than 256 MB (see ``options(keep_influence=)``)."""
        big = isinstance(self.carrier, Influence) and self.carrier.psi.nbytes > INFLUENCE_LIMIT
        if big and not settings().keep_influence:
            return replace(self, carrier=self.carrier.folded())  # type: ignore[union-attr]
        return self


def stack(first: Estimate, second: Estimate, *, independent: bool = False) -> Estimate:
    """Put two estimates into one vector with their joint uncertainty.

    Parameters
    ----------
    first, second : Estimate
        Estimates on the same rows (influence values), or on disjoint samples with ``independent=True``.
    independent : bool
        The samples share no unit: the covariance between the two is zero.

    Raises
    ------
    InferenceUnavailable
        If the dependence between the two can't be known.
    """
    theta = np.concatenate([first.theta, second.theta])
    center = None
    if first.center is not None or second.center is not None:
        center = np.concatenate([first.location, second.location])
    a, b = first.carrier, second.carrier
    if independent:
        return Estimate(theta, _independent(first, second), center)
    if isinstance(a, Influence) and isinstance(b, Influence):
        return Estimate(theta, _joint_influence(a, b), center)
    if isinstance(a, Draws) and isinstance(b, Draws) and a is b:
        return Estimate(theta, replace(a, values=np.hstack([a.values, b.values])), center)
    raise InferenceUnavailable(
        f"the dependence between a {type(a).__name__} and a {type(b).__name__} is not known.",
        hint="Refit both with influence-based inference (vcov HC0, HC1, CR0 or CR1), or, if the samples share no unit, "
        "use difference(a, b, independent=True). Influence values above 256 MB are kept by options(keep_influence=True).",
    )


def _independent(first: Estimate, second: Estimate) -> Covariance:
    k, m = first.size, second.size
    matrix = np.zeros((k + m, k + m))
    matrix[:k, :k], matrix[k:, k:] = first.vcov, second.vcov
    return Covariance(read_only(matrix), np.concatenate([first.df, second.df]), "independent")


def _joint_influence(a: Influence, b: Influence) -> Influence:
    rows, at_a, at_b = align(a.rows, b.rows)
    ways = align_ways(a.ways, b.ways, at_a, at_b, len(rows))
    k = a.psi.shape[1]
    psi = np.zeros((len(rows), k + b.psi.shape[1]))
    np.add.at(psi[:, :k], at_a, np.sqrt(a.scale) * a.psi)
    np.add.at(psi[:, k:], at_b, np.sqrt(b.scale) * b.psi)
    df = np.concatenate([np.broadcast_to(a.df, (k,)), np.broadcast_to(b.df, (b.psi.shape[1],))])
    kind = a.kind if a.kind == b.kind else f"{a.kind}/{b.kind}"
    return Influence(read_only(psi), rows, ways[0] if ways else None, 1.0, df, kind, ways[1:])


def _df_of(weights: Floats, df: Floats) -> Floats:
    """Degrees of freedom of contrasts: the smallest among the estimates that take part (conservative)."""
    if (df == np.inf).all():
        return np.full(len(weights), np.inf)
    df = np.broadcast_to(df, (weights.shape[1],))
    return np.asarray(np.where(weights != 0, df, np.inf).min(axis=1, initial=np.inf))


def _first_df(df: Floats, count: int) -> Floats:
    """Degrees of freedom of the first estimates; one number stands for all."""
    return df if len(df) == 1 else df[:count]
