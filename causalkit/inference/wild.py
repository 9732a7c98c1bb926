"""Wild cluster bootstrap with the null imposed, exact where the signs can be enumerated.

A draw's statistic needs only, for each cluster, its score and its cross-products with the design. The restricted
residuals are linear in the value r of the null, so numerator and squared denominator of every draw are polynomials
in r of degree one and two. They are computed once; p-values at any null, and the whole confidence set, follow
without another draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.inversion import extreme_intervals
from causalkit.inference.meat import checked_codes, cluster_sums, count_clusters, require_two_clusters
from causalkit.inference.multipliers import all_signs, draw_multipliers
from causalkit.inference.wald import require_alpha
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

_EXACT_CLUSTERS = 12
_MAX_CLUSTERS = 24
_CHUNK = 4_000_000
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class WildBootstrap:
    """A wild cluster bootstrap test of one coefficient.

    Attributes
    ----------
    statistic : float
        t statistic of the null, with the CR1 standard error.
    pvalue : float
        Symmetric two-sided. Enumerated: the share of all sign vectors, the identity among them, with a statistic at
        least as large. Simulated: ``(1 + count) / (1 + n_draws)``.
    n_draws : int
    exact : bool
        Whether all sign vectors were used.
    monte_carlo_error : float
        Standard error of the p-value from simulation; zero when exact.
    estimate, se : float
        The coefficient and its CR1 standard error.
    null : float
    impose_null : bool
    """

    statistic: float
    pvalue: float
    n_draws: int
    exact: bool
    monte_carlo_error: float
    estimate: float
    se: float
    null: float
    impose_null: bool
    numerators: Floats = field(repr=False)
    denominators: Floats = field(repr=False)

    def pvalue_at(self, null: float) -> float:
        """Return the p-value of another null from the same draws.

        Raises
        ------
        DesignError
            If ``null`` is not finite.
        """
        if not np.isfinite(null):
            raise DesignError(
                f"null={null!r} is not a finite number.", hint="Test a value that the coefficient may have."
            )
        x = (null - self.estimate) / self.se
        top, bottom = self._at(x)
        return float(self._pvalues(int(np.count_nonzero(top >= x * x * bottom * (1.0 - _TIE)))))

    def confidence_set(self, alpha: float = 0.05) -> ConfidenceSet:
        """Return every null with a p-value above ``alpha``; it may be unbounded or in several pieces.

        Parameters
        ----------
        alpha : float
            One minus the confidence level.

        Raises
        ------
        DesignError
            If ``alpha`` is not between 0 and 1.

        Notes
        -----
        The p-value is a step function of the null. Its steps are the roots of one quartic per draw, so the set is
        exact for the draws at hand; its ends are included.
        """
        require_alpha(alpha)
        starts, ends = extreme_intervals(self.numerators, self.denominators, imposed=self.impose_null)
        edges = np.unique(np.concatenate([starts, ends, [-np.inf, np.inf]]))
        opened = np.searchsorted(np.sort(starts), edges[:-1], "right")
        closed = np.searchsorted(np.sort(ends), edges[:-1], "right")
        accepted = self._pvalues(opened - closed) > alpha
        pieces = np.column_stack([edges[:-1], edges[1:]])[accepted]
        inside = tuple((self.estimate + self.se * low, self.estimate + self.se * high) for low, high in pieces)
        return ConfidenceSet((*inside, (self.estimate, self.estimate)))

    def _at(self, x: float) -> tuple[Floats, Floats]:
        """Squared numerators and denominators at the null ``estimate + x se``."""
        x = x if self.impose_null else 0.0
        n, d = self.numerators, self.denominators
        top: Floats = (n[:, 0] - x * n[:, 1]) ** 2
        bottom: Floats = d[:, 0] - 2.0 * x * d[:, 1] + x * x * d[:, 2]
        return top, np.maximum(bottom, 0.0)

    def _pvalues(self, counts: int | Ints) -> Floats:
        n_kept = self.numerators.shape[0]
        return np.asarray(counts / n_kept if self.exact else (1.0 + counts) / (1.0 + n_kept))


def wild_cluster_bootstrap(
    outcome: Floats,
    design: Floats,
    groups: Codes,
    coefficient: int,
    null: float = 0.0,
    n_boot: int | None = None,
    kind: Literal["rademacher", "webb", "mammen"] = "rademacher",
    impose_null: bool = True,
    random_state: int | np.random.Generator | None = None,
    n_parameters: int | None = None,
) -> WildBootstrap:
    """Test one least-squares coefficient with few clusters.

    Parameters
    ----------
    outcome : (n,) array
        For weighted least squares multiply it, and ``design``, by the square root of the weights.
    design : (n, k) array
        Full-rank regressors. Absorbed effects may be partialled out where they are nested in the clusters; others
        are exact only as columns.
    groups : (n,) integer codes
        Clusters.
    coefficient : int
        Column of ``design`` under test.
    null : float
        Its value under the null.
    n_boot : int, optional
        Draws B; default 9999. With Rademacher weights all ``2^G`` sign vectors are used instead when there are at most
        as many as B, or G is at most 12.
    kind : {"rademacher", "webb", "mammen"}
        Multipliers of the clusters' residuals.
    impose_null : bool
        True: residuals of the restricted fit (WCR). False: of the unrestricted fit (WCU).
    random_state : int, Generator or None
    n_parameters : int, optional
        K in the CR1 factor of the reported standard error, default k. It does not move the p-value.

    Returns
    -------
    WildBootstrap

    Raises
    ------
    DesignError
        If there are fewer than two clusters, ``design`` has not full rank, ``null`` is not finite, or there are not more
        rows than parameters.

    Notes
    -----
    Cameron, Gelbach and Miller (2008); computed as in Roodman, MacKinnon, Nielsen and Webb (2019).

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> store = np.repeat(np.arange(8), 25)
    >>> treated = (store % 2).astype(float)
    >>> y = treated + np.random.default_rng(0).normal(size=200)
    >>> design = np.column_stack([np.ones(200), treated])
    >>> found = ck.inference.wild_cluster_bootstrap(y, design, store, coefficient=1)
    >>> found.exact, found.n_draws, found.confidence_set().is_bounded
    (True, 256, True)
    """
    n_boot = 9999 if n_boot is None else n_boot
    if n_boot < 1:
        raise DesignError(f"n_boot={n_boot} must be at least 1.")
    parts = _sufficient(np.asarray(outcome, float), np.asarray(design, float), groups, coefficient, n_parameters)
    n_clusters = parts.scores.shape[0]
    exact = kind == "rademacher" and n_clusters <= _MAX_CLUSTERS
    exact = exact and (2**n_clusters <= n_boot or n_clusters <= _EXACT_CLUSTERS)
    rng = np.random.default_rng(random_state)
    n_kept = 2 ** (n_clusters - 1) if exact else n_boot
    signs = all_signs(n_clusters) if exact else None
    numerators, denominators = np.empty((n_kept, 2)), np.empty((n_kept, 3))
    step = max(1, _CHUNK // n_clusters)
    for start in range(0, n_kept, step):
        rows = slice(start, min(start + step, n_kept))
        v = signs[rows] if signs is not None else draw_multipliers(rng, rows.stop - start, n_clusters, kind)
        numerators[rows], denominators[rows] = parts.polynomials(v)
    result = WildBootstrap(
        statistic=(parts.estimate - null) / parts.se,
        pvalue=np.nan,
        n_draws=2 * n_kept if exact else n_kept,
        exact=exact,
        monte_carlo_error=0.0,
        estimate=parts.estimate,
        se=parts.se,
        null=null,
        impose_null=impose_null,
        numerators=read_only(numerators),
        denominators=read_only(denominators),
    )
    pvalue = result.pvalue_at(null)
    error = 0.0 if exact else float(np.sqrt(pvalue * (1.0 - pvalue) / n_boot))
    return replace(result, pvalue=pvalue, monte_carlo_error=error)


@dataclass(frozen=True, eq=False)
class _Sufficient:
    """What the draws need, in units of the standard error.

    ``scores[g, 0]`` and ``scores[g, 1]`` are ``X_g'u_g`` for the unrestricted residuals and for ``se`` times the
    residualised regressor; ``own`` is their product with the coefficient's row of the bread; ``reach[g]`` is
    ``X_g'X_g`` times that row, through the bread.
    """

    scores: Floats
    own: Floats
    reach: Floats
    scale: float
    estimate: float
    se: float

    def polynomials(self, v: Floats) -> tuple[Floats, Floats]:
        """Coefficients in x of each draw's numerator and squared denominator."""
        totals = [v @ self.own[:, part] for part in (0, 1)]
        fitted = [v * self.own[:, part] - (v @ self.scores[:, part]) @ self.reach.T for part in (0, 1)]
        crossed = [np.einsum("bg,bg->b", fitted[a], fitted[b]) for a, b in ((0, 0), (0, 1), (1, 1))]
        return np.column_stack(totals), self.scale * np.column_stack(crossed)


def _sufficient(y: Floats, X: Floats, groups: Codes, coefficient: int, n_parameters: int | None) -> _Sufficient:
    n_rows, k = X.shape
    if y.shape != (n_rows,):
        raise DataError(f"The outcome has shape {y.shape} but there are {n_rows} rows.")
    for name, bad in (("outcome", ~np.isfinite(y)), ("design", ~np.isfinite(X).all(axis=1))):
        if bad.any():
            raise DataError(
                f"The {name} is not finite in {int(bad.sum())} rows, the first is row {int(np.argmax(bad))}.",
                hint="Drop these rows from outcome, design and groups.",
                rows=(int(np.argmax(bad)),),
            )
    if not 0 <= coefficient < k:
        raise DesignError(f"coefficient={coefficient} is no column of a design with {k}.", hint=f"Use 0 to {k - 1}.")
    parameters = k if n_parameters is None else n_parameters
    if max(parameters, k) >= n_rows:
        raise DesignError(
            f"{n_rows} rows don't determine the error of a fit with {max(parameters, k)} parameters.",
            hint="Use fewer regressors or absorbed effects, or more rows.",
        )
    dense = np.unique(checked_codes(n_rows, groups), return_inverse=True)[1].astype(np.int32)
    n_clusters = count_clusters(dense)
    require_two_clusters(n_clusters)
    order = np.r_[np.delete(np.arange(k), coefficient), coefficient]
    basis, triangle = np.linalg.qr(X[:, order])
    diagonal = np.abs(np.diag(triangle))
    norms = np.sqrt(np.einsum("ij,ij->j", X[:, order], X[:, order]))
    if (diagonal <= 1e-11 * norms).any():
        raise DesignError("The regressors are collinear.", hint="Drop redundant columns before the bootstrap.")
    # In the basis, the tested coefficient is the last coordinate over the last pivot: its bread row is one entry.
    pivot = triangle[-1, -1]
    estimate = float(basis[:, -1] @ y / pivot)
    residuals = y - basis @ (basis.T @ y)
    residuals -= basis @ (basis.T @ residuals)
    scale = n_clusters / (n_clusters - 1) * (n_rows - 1) / (n_rows - parameters)
    scores = cluster_sums(basis * residuals[:, None], dense)
    last = cluster_sums(basis * basis[:, -1:], dense)
    se = float(np.sqrt(scale * np.sum(scores[:, -1] ** 2)) / abs(pivot))
    if not se > 0:
        raise DesignError("The coefficient has a standard error of zero.", hint="The outcome is fitted exactly.")
    # The regressor with the others taken out is pivot times the last basis vector.
    stacked = np.stack([scores, se * pivot * last], axis=1)
    return _Sufficient(stacked, stacked[:, :, -1] / pivot, last / pivot, scale, estimate, se)
