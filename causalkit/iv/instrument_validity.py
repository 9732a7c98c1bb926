"""A test that an instrument is random, acts through the treatment only, and moves nobody the wrong way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

#: Values of the outcome between which intervals are formed.
MAX_POINTS = 60
#: Floors of the standard deviation (Kitagawa 2015 recommends 0.07 to 0.3 and reporting several).
TRIMS = (0.07, 0.3, 1.0)
LEVEL = 0.05


@dataclass(frozen=True)
class ValidityTest:
    """Kitagawa's (2015) variance-weighted Kolmogorov-Smirnov test.

    Attributes
    ----------
    statistic, pvalue : float
        For the first trimming constant; ``pvalue = (1 + exceedances) / (1 + draws)``.
    by_trim : tuple of (trim, statistic, pvalue)
        For each trimming constant.
    interval : tuple of (low, high)
        The interval of outcomes at which the density inequality fails most.
    arm : str
        ``"treated"`` or ``"untreated"``: whose outcomes.
    n_boot : int
        Bootstrap draws.
    conditional : bool
        Whether the instrument is random only given covariates, which the test does not condition on.
    """

    statistic: float
    pvalue: float
    by_trim: tuple[tuple[float, float, float], ...]
    interval: tuple[float, float]
    arm: str
    n_boot: int
    conditional: bool

    def check(self) -> Check:
        """Return the entry of the ledger."""
        name = "instrument_validity"
        low, high = self.interval
        where = f"most so for {self.arm} outcomes in {fmt.interval(low, high)}"
        if self.conditional:
            message = "The test of validity supposes an instrument that is random without covariates; the fit has some."
            advice = "Test within strata of the covariates, or argue for the instrument."
            return Check(name, "untestable", message, advice=advice)
        if self.pvalue < LEVEL:
            message = (
                f"The densities of outcomes contradict a valid instrument (p-value {fmt.pvalue(self.pvalue)}), {where}."
            )
            advice = "The instrument is not random, acts on the outcome directly, or moves some the other way."
            return Check(name, "fail", message, self.statistic, self.pvalue, advice)
        message = f"The densities of outcomes do not contradict a valid instrument (p-value {fmt.pvalue(self.pvalue)})."
        return Check(name, "pass", message, self.statistic, self.pvalue)


def instrument_validity_test(
    outcome: Floats,
    D: Floats,
    Z: Floats,
    *,
    weights: Floats | None = None,
    conditional: bool = False,
    n_boot: int = 499,
    random_state: int = 0,
) -> ValidityTest:
    """Test the joint validity of a binary instrument for a binary treatment (Kitagawa 2015).

    If the instrument is random, excluded and raises the treatment for all whom it moves, then for every set B
    ``P(Y in B, D=1 | Z=1) >= P(Y in B, D=1 | Z=0)`` and ``P(Y in B, D=0 | Z=0) >= P(Y in B, D=0 | Z=1)``. The statistic is
    the largest violation over intervals between at most 60 quantiles of the outcome, divided by its standard error (not
    below a trimming constant); critical values come from a bootstrap of the pooled sample. A test that does not reject
    proves nothing: the inequalities are necessary, not sufficient.

    Parameters
    ----------
    outcome, D, Z : array, shape (n,)
        Outcome, and treatment and instrument as 0 and 1, the instrument raising the treatment.
    weights : array, shape (n,), optional
        Weights with mean one.
    conditional : bool
        Whether the instrument is random only given covariates.
    n_boot : int
        Bootstrap draws.
    random_state : int
        Seed.

    Raises
    ------
    DesignError
        If the instrument or the treatment has one value only.
    """
    if min(np.ptp(D), np.ptp(Z)) == 0:
        raise DesignError("instrument and treatment must both vary.", hint="Check the columns.")
    edges = np.unique(np.quantile(outcome, np.linspace(0, 1, MAX_POINTS), method="inverted_cdf"))
    cell = np.searchsorted(edges, outcome, side="left") * 2 + D.astype(np.int64)
    w = np.ones(outcome.size) if weights is None else weights
    cells = 2 * edges.size
    sizes = np.array([np.sum(Z == 0), np.sum(Z == 1)])
    observed = np.stack([np.bincount(cell[z == Z], w[z == Z], minlength=cells) / w[z == Z].sum() for z in (0, 1)])
    found = _violations(observed[None], sizes)
    rng = np.random.default_rng(random_state)
    pooled = np.bincount(cell, w, minlength=cells) / w.sum()
    draws = np.stack([rng.multinomial(size, pooled, n_boot) / size for size in sizes], axis=1)
    simulated = np.concatenate([_violations(part, sizes)[0] for part in np.array_split(draws, max(1, n_boot // 50))])
    statistic = found[0][0]
    pvalues = (1 + (simulated >= statistic - 1e-12).sum(axis=0)) / (1 + n_boot)
    arm, low, high = found[1]
    return ValidityTest(
        float(statistic[0]),
        float(pvalues[0]),
        tuple(zip(TRIMS, statistic.tolist(), pvalues.tolist(), strict=True)),
        (float(edges[max(low - 1, 0)]), float(edges[high])),
        arm,
        n_boot,
        conditional,
    )


def _violations(shares: Floats, sizes: Floats) -> tuple[Floats, tuple[str, int, int]]:
    """Return the largest weighted violation of each draw by trimming constant, and where that of the first draw is.

    ``shares`` has shape (draws, 2 instruments, 2 * edges): shares of (outcome cell, treatment) given the instrument.
    """
    lam = sizes[1] / sizes.sum()
    scale = np.sqrt(sizes[0] * sizes[1] / sizes.sum())
    best = np.full((len(shares), len(TRIMS)), -np.inf)
    where = ("treated", 0, 0)
    for d, arm in ((1, "treated"), (0, "untreated")):
        sums = np.cumsum(shares[:, :, d::2], axis=2)
        before = np.concatenate([np.zeros((*sums.shape[:2], 1)), sums[:, :, :-1]], axis=2)
        mass = sums[:, :, None, :] - before[:, :, :, None]  # from the cell in axis 2 to the cell in axis 3
        p0, p1 = mass[:, 0], mass[:, 1]
        gap = (p0 - p1) if d == 1 else (p1 - p0)
        spread = np.sqrt(np.maximum(lam * p0 * (1 - p0) + (1 - lam) * p1 * (1 - p1), 0.0))
        upper = np.triu(np.ones(mass.shape[-2:], dtype=bool))
        for j, trim in enumerate(TRIMS):
            ratio = np.where(upper, scale * gap / np.maximum(spread, trim), -np.inf)
            most = ratio.reshape(len(shares), -1).max(axis=1)
            if j == 0 and most[0] > best[0, 0]:
                low, high = np.unravel_index(int(np.argmax(ratio[0])), ratio.shape[1:])
                where = (arm, int(low), int(high))
            best[:, j] = np.maximum(best[:, j], most)
    return np.maximum(best, 0.0), where
