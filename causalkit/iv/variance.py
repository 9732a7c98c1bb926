"""How rows depend on each other, and what that means for sums of scores: by row, by cluster, over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from causalkit.errors import InferenceUnavailable
from causalkit.inference.vcov import count_clusters, hac, multiway_vcov, sandwich
from causalkit.kernels.arrays import Codes, Floats, Ints


@dataclass(frozen=True, eq=False)
class Variance:
    """A kind of variance with what it needs of the rows.

    Parameters
    ----------
    kind : str
        ``"iid"``, ``"HC0"``, ``"HC1"``, ``"CR0"``, ``"CR1"``, ``"HAC"``, or an adjusted kind (HC2, HC3, CR2, CR3) whose
        sums are those of HC0 or CR0.
    ways : tuple of arrays of int
        Clusters, empty without; several for multiway clustering.
    order : array of int or None
        Order of the rows in time.
    """

    kind: str
    ways: tuple[Codes, ...] = ()
    order: Ints | None = None

    @property
    def is_clustered(self) -> bool:
        """Whether rows are independent by cluster only."""
        return self.kind.startswith("CR")

    @cached_property
    def n_clusters(self) -> int:
        """Clusters; the smallest number of several ways, zero without clusters."""
        return min((count_clusters(way) for way in self.ways), default=0)

    def require_clusters(self, moments: int) -> None:
        """Refuse a joint test of as many moments as clusters: their covariance has no more rank than that.

        Raises
        ------
        InferenceUnavailable
            If there are no more clusters than moments.
        """
        if self.is_clustered and self.n_clusters <= max(moments, 1):
            raise InferenceUnavailable(
                f"{self.n_clusters} clusters are too few for a joint test of {moments} instruments.",
                hint="Use fewer instruments, or more clusters.",
            )

    def of(self, kind: str) -> Variance:
        """Return another kind for the same rows."""
        return replace(self, kind=kind)

    def meat(self, scores: Floats) -> Floats:
        """Sum of the outer products of scores, shape (n, r) to (r, r), by row, cluster or lag; no small-sample factor.

        Parameters
        ----------
        scores : array, shape (n, r)
            One score per row and moment.

        Returns
        -------
        array, shape (r, r)
        """
        if self.kind == "HAC":
            return hac(scores[self.order])
        if not self.is_clustered:
            return sandwich(scores)
        if len(self.ways) == 1:
            return sandwich(scores, self.ways[0])
        return multiway_vcov(scores, self.ways, small_sample=False).matrix

    def scale(self, n: int, n_parameters: int) -> float:
        """Small-sample factor: n/(n-K) for HC1, G/(G-1) (n-1)/(n-K) for CR1, else 1.

        Parameters
        ----------
        n : int
            Rows.
        n_parameters : int
            K, as `IVData.n_exogenous` counts and those of the regressors of interest.
        """
        if self.kind == "HC1":
            return n / (n - n_parameters)
        if self.kind == "CR1":
            return self.n_clusters / (self.n_clusters - 1) * (n - 1) / (n - n_parameters)
        return 1.0

    def df(self, n: int, n_parameters: int) -> float:
        """Degrees of freedom of a t statistic, and denominator of an F: n - K, or G - 1 with clusters."""
        return float(self.n_clusters - 1) if self.is_clustered else float(n - n_parameters)
