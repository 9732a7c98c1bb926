"""What a shift-share design rests on: enough shocks, strong ones, complete shares, shocks that are as good as random."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.table import Table
from causalkit.inference.wald import wald_test
from causalkit.iv.shift_share_fit import COMPLETE, ShiftShareArrays
from causalkit.iv.shift_share_inputs import Shocks

#: Effective shocks below which errors that are summed by shock are too small (BHJ, appendix A.5), and far too small.
FEW_SHOCKS, VERY_FEW_SHOCKS = 20.0, 5.0
WEAK = 10.0


def effective_shocks(arrays: ShiftShareArrays) -> Check:
    """Count effective shocks: the inverse Herfindahl index of exposure by cluster of shocks."""
    by_cluster = np.bincount(arrays.cluster, weights=np.abs(arrays.exposure))
    shares = by_cluster / by_cluster.sum()
    number = float(1.0 / np.sum(shares**2))
    what = "shocks" if np.unique(arrays.cluster).size == arrays.g.size else "clusters of shocks"
    message = (
        f"Exposure is spread over {fmt.number(number, 3)} effective {what} (of {by_cluster.size}); the largest holds "
        f"{fmt.share(float(shares.max()))} of it."
    )
    status = "fail" if number < VERY_FEW_SHOCKS else "warn" if number < FEW_SHOCKS else "pass"
    advice = "Errors count on many shocks: with few, use ci(method='akm0') and argue for the exogeneity of the shares."
    return Check("effective_shocks", status, message, number, advice="" if status == "pass" else advice)  # type: ignore[arg-type]


def complete_shares(arrays: ShiftShareArrays, controlled: bool) -> Check:
    """Say whether shares sum to one and, where they do not, whether their sum is controlled."""
    sums = arrays.S.sum(axis=1)
    low, high = float(sums.min()), float(sums.max())
    negative = int((arrays.S < 0).sum())
    if negative:
        message = f"{fmt.plural(negative, 'share')} {'is' if negative == 1 else 'are'} negative."
        return Check("complete_shares", "warn", message, advice="Exposure is a share of a whole; check the columns.")
    if max(abs(low - 1), abs(high - 1)) <= COMPLETE:
        return Check("complete_shares", "pass", "The shares of every unit sum to one.")
    message = f"The shares of a unit sum to between {fmt.number(low)} and {fmt.number(high)}"
    if controlled:
        return Check("complete_shares", "pass", f"{message}; the sum is controlled.")
    advice = 'Use share_sums="control": units with more exposure are not comparable to those with less.'
    return Check("complete_shares", "warn", f"{message} and the sum is not controlled.", advice=advice)


def weak_instruments(arrays: ShiftShareArrays, kind: str) -> Check:
    """Judge the first stage by an F statistic whose error is robust to exposure."""
    slope, se = arrays.first_stage(kind)
    f = float("inf") if se == 0 else (slope / se) ** 2
    message = f"The first-stage F, with {kind} errors, is {fmt.number(f, 3)}."
    if f >= WEAK:
        return Check("weak_instruments", "pass", message, f)
    return Check(
        "weak_instruments", "warn", message, f, advice="Use ci(method='akm0'), which holds if shocks are weak."
    )


def balance(arrays: ShiftShareArrays, shocks: Shocks) -> Check:
    """Test whether shocks are related to what was known of them beforehand, within strata and weighted by exposure."""
    given = shocks.characteristics or {}
    if not given:
        return Check(
            "balance",
            "untestable",
            "Nothing is known of the shocks but their values.",
            advice="Pass shocks= as a table with further columns of what was known of each shock beforehand, and fit "
            "outcomes from before the shocks as placebos.",
        )
    weight = np.maximum(arrays.exposure, 0.0)
    used = np.flatnonzero(weight > 0)
    strata = (shocks.stratum if shocks.stratum is not None else np.zeros(arrays.g.size, dtype=np.int32))[used]
    root = np.sqrt(weight[used])

    def within(column: np.ndarray) -> np.ndarray:
        mass = np.bincount(strata, weights=weight[used])
        mean = np.bincount(strata, weights=weight[used] * column) / np.where(mass > 0, mass, 1.0)
        return np.asarray((column - mean[strata]) * root)

    X = np.stack([within(values[used]) for values in given.values()], axis=1)
    norms = np.linalg.norm(X, axis=0)
    X = X / np.where(norms > 0, norms, 1.0)
    y = within(arrays.g[used])
    slopes, _, rank, _ = np.linalg.lstsq(X, y, rcond=1e-10)
    clusters = np.unique(arrays.cluster[used]).size
    if rank < X.shape[1] or clusters <= X.shape[1] + 1:
        message = f"{X.shape[1]} characteristics of {used.size} shocks are too many, or depend on each other."
        return Check("balance", "untestable", message, advice="Pass fewer characteristics.")
    residual = y - X @ slopes
    bread = np.linalg.inv(X.T @ X)
    sums = np.zeros((int(arrays.cluster.max()) + 1, X.shape[1]))
    np.add.at(sums, arrays.cluster[used], X * residual[:, None])
    vcov = bread @ (sums.T @ sums) @ bread * clusters / (clusters - 1)
    statistic, _, _, pvalue = wald_test(slopes, vcov, float(clusters - 1))
    rows = [
        (name, float(slope / norm), float(np.sqrt(var)) / norm)
        for name, slope, var, norm in zip(given, slopes, np.diag(vcov), norms, strict=True)
    ]
    table = Table.of(("characteristic", "slope", "se"), rows)
    bad = float(pvalue) < 0.05
    related = "are" if bad else "are not visibly"
    message = f"Shocks {related} related to {', '.join(given)} (p-value {fmt.pvalue(float(pvalue))})."
    advice = "Shocks do not look as good as random; control for exposure-weighted characteristics, or use strata."
    return Check(
        "balance",
        "warn" if bad else "pass",
        message,
        float(statistic),
        float(pvalue),
        advice=advice if bad else "",
        table=table,
    )
