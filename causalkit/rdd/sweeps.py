"""The estimate at other bandwidths, other cutoffs, without the nearest rows, and of other outcomes: one pass serves all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from causalkit.core.features import Schema
from causalkit.core.table import Table
from causalkit.data.frame import Frame
from causalkit.errors import DesignError
from causalkit.inference.multiplicity import adjust_pvalues
from causalkit.kernels.arrays import Floats
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan
from causalkit.rdd.local_polynomial import LocalEstimate, bandwidths, estimate
from causalkit.rdd.windows import Split

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.rdd.rd_result import RegressionDiscontinuityResult

NUMBERS = ("n_below", "n_above", "estimate", "bias_corrected", "se", "statistic", "pvalue", "ci_low", "ci_high")

#: Bandwidths that are tried, in units of the one in use.
MULTIPLES = tuple(np.geomspace(0.5, 2.0, 11))
#: Radii that are tried, in units of the smaller bandwidth.
RADII = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
#: A placebo cutoff needs this many rows on each side of it.
_FEWEST = 20


@dataclass(frozen=True)
class Sweep:
    """Estimates along something that was changed.

    Attributes
    ----------
    columns : tuple of str
        What was changed, then ``NUMBERS``, then anything more.
    rows : list of tuple
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        """Return one column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def to_table(self) -> Table:
        """Return it as a table."""
        return Table.of(self.columns, self.rows)

    def to_frame(self) -> pd.DataFrame:
        """Return it as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(self.columns))


def over_bandwidths(result: RegressionDiscontinuityResult, given: Sequence[float] | None) -> Sweep:
    """Estimate at each bandwidth; all four move in proportion."""
    split, plan = result._rows.split, result._plan
    own = result.bandwidths
    if given is None:
        chosen = [own.left * k for k in MULTIPLES]
    else:
        chosen = [float(value) for value in np.atleast_1d(np.asarray(given, dtype=float))]
        if not all(np.isfinite(value) and value > 0 for value in chosen):
            raise DesignError(
                "bandwidths must be positive numbers.", hint="Pass them in units of the running variable."
            )
    rows = []
    for value in chosen:
        factor = value / own.left
        try:
            found = estimate(split, plan, Bandwidths(*(factor * h for h in own)))
        except DesignError:
            if given is not None:
                raise
            continue
        rows.append((value, found.bandwidths.bias_left, *_numbers(found)))
    return Sweep(("bandwidth", "bias_bandwidth", *NUMBERS), rows)


def over_cutoffs(result: RegressionDiscontinuityResult, n: int) -> Sweep:
    """Estimate at false cutoffs, with bandwidths chosen anew where the fit chose them."""
    if n < 1:
        raise DesignError(f"n={n} cutoffs can't be tried.", hint="Pass at least 1.")
    split, plan, estimator = result._rows.split.without_treatment(), result._plan, result.estimator
    rows = []
    for distance in _placebo_places(split, n):
        part = split.at_placebo(distance)
        try:
            found = estimate(part, plan, _chosen(result, part, plan))
        except DesignError:
            continue
        where = "above" if distance > 0 else "below"
        rows.append((estimator.cutoff + distance, where, found.bandwidths.left, *_numbers(found)))  # type: ignore[attr-defined]
    return Sweep(("cutoff", "side", "bandwidth", *NUMBERS), rows)


def _placebo_places(split: Split, n: int) -> list[float]:
    """Return distances from the cutoff, negative below it, evenly spread over the ranks of the rows."""
    total = sum(side.n for side in split.sides)
    places = []
    for rank in (np.arange(n) + 1) / (n + 1) * total:
        below = rank < split.left.n
        side = split.left if below else split.right
        at = int(split.left.n - rank) if below else int(rank - split.left.n)
        if min(at, side.n - at) < _FEWEST:
            continue
        distance = float(side.distance[at])
        if distance > 0:
            places.append(-distance if below else distance)
    return sorted(set(places))


def over_radii(result: RegressionDiscontinuityResult, given: Sequence[float] | None) -> Sweep:
    """Estimate without the rows nearer than each radius, at the bandwidths of the fit."""
    split, plan, own = result._rows.split, result._plan, result.bandwidths
    radii = [min(own[:2]) * k for k in RADII] if given is None else [float(radius) for radius in given]
    if not all(np.isfinite(radius) and radius >= 0 for radius in radii):
        raise DesignError("radii must not be negative.", hint="Pass distances in units of the running variable.")
    rows = []
    for radius in radii:
        part = split.without(radius)
        try:
            found = estimate(part, plan, own)
        except DesignError:
            if given is not None:
                raise
            continue
        rows.append((radius, split.n - part.n, *_numbers(found)))
    return Sweep(("radius", "n_left_out", *NUMBERS), rows)


def over_covariates(result: RegressionDiscontinuityResult, names: Sequence[str] | None, data: Any) -> Sweep:
    """Estimate the jump of each covariate, with bandwidths chosen anew where the fit chose them."""
    outcomes = _outcomes(result, [names] if isinstance(names, str) else names, data)
    split, plan = result._rows.split, result._plan
    rows = []
    for name, values in outcomes.items():
        if not np.ptp(values) > 0:
            continue
        part = split.with_outcome(values)
        try:
            found = estimate(part, plan, _chosen(result, part, plan))
        except DesignError:  # next to the cutoff it varies too little for a bandwidth of its own
            found = estimate(part, plan, result.bandwidths)
        rows.append((name, found.bandwidths.left, *_numbers(found)))
    at = 2 + NUMBERS.index("pvalue")
    adjusted: Any = adjust_pvalues(np.array([row[at] for row in rows]), method="holm") if rows else []
    columns = ("covariate", "bandwidth", *NUMBERS, "pvalue_adjusted")
    return Sweep(columns, [(*row, float(p)) for row, p in zip(rows, adjusted, strict=True)])


def _outcomes(result: RegressionDiscontinuityResult, names: Sequence[str] | None, data: Any) -> dict[str, Floats]:
    """Return the covariates as numbers, one indicator for each category but the first."""
    sample = result._kept()
    if data is None:
        features = sample.features()
        unknown = [name for name in names or () if name not in features.names]
        if unknown:
            raise DesignError(
                f"column {unknown[0]!r} is no covariate of the fit.", hint="Pass data= with the table of the fit."
            )
        wanted = features.names if names is None else tuple(names)
    else:
        if not names:
            raise DesignError("columns= is missing.", hint="Name the columns of data to test.")
        frame = Frame.read(data).collect()
        if frame.n_rows != sample.n_input:
            raise DesignError(
                f"data has {frame.n_rows} rows, the table of the fit had {sample.n_input}.", hint="Pass the same table."
            )
        wanted = tuple(names)
        features = Schema.of(frame, wanted).read(frame).take(sample.rows.positions)
        if features.missing.any():
            raise DesignError(
                f"{int(features.missing.sum())} rows have a missing value in {', '.join(wanted)}.",
                hint="Fit with them as covariates, so that those rows are left out, or drop them first.",
            )
    values, columns = features.dummies()
    return {
        name: np.ascontiguousarray(values[:, j])
        for j, name in enumerate(columns)
        if any(name == column or name.startswith(f"{column}[") for column in wanted)
    }


def _chosen(result: RegressionDiscontinuityResult, split: Split, plan: Plan) -> Bandwidths:
    """Return bandwidths by the configuration of the fit."""
    estimator: Any = result.estimator
    return bandwidths(split, plan, estimator.bandwidth, estimator.bias_bandwidth, estimator.rho)


def _numbers(found: LocalEstimate) -> tuple[Any, ...]:
    """Return the values of ``NUMBERS``."""
    effect = found.effect
    if effect.robust_se > 0:
        statistic = effect.corrected / effect.robust_se
    else:  # what the polynomials leave no residual of jumps for certain, or not at all
        statistic = math.copysign(math.inf, effect.corrected) if effect.corrected else 0.0
    half = float(special.ndtri(0.975)) * effect.robust_se
    return (
        *found.n_effective,
        effect.conventional,
        effect.corrected,
        effect.robust_se,
        statistic,
        float(2.0 * special.ndtr(-abs(statistic))),
        effect.corrected - half,
        effect.corrected + half,
    )


def own_jump(result: RegressionDiscontinuityResult) -> tuple[float, float, float]:
    """Return the bias-corrected jump of the outcome at the true cutoff with its robust interval."""
    jump = result.found.reduced_form or result.found.effect
    half = float(special.ndtri(0.975)) * jump.robust_se
    return jump.corrected, jump.corrected - half, jump.corrected + half
