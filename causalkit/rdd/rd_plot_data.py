"""The numbers behind the figures of a regression discontinuity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.errors import DesignError

if TYPE_CHECKING:
    from causalkit.rdd.rd_result import RegressionDiscontinuityResult


def plot_data(result: RegressionDiscontinuityResult, kind: str) -> Mapping[str, Any]:
    """Return the numbers of one of ``result.plots``."""
    makers = {"rd": _rd, "bandwidths": _bandwidths, "placebo_cutoffs": _placebo_cutoffs}
    if kind not in makers:
        raise DesignError(f"there is no figure {kind!r}.", hint=f"Figures: {', '.join(makers)}.")
    return {"title": result.title, **makers[kind](result)}


def _rd(result: RegressionDiscontinuityResult) -> dict[str, Any]:
    """Bins, a quartic on each side, and the fit within the bandwidths."""
    from causalkit.rdd.binning import bins, global_curve

    estimator: Any = result.estimator
    sample, cutoff = result._kept(), estimator.cutoff
    x, y = sample.number("running") - cutoff, sample.outcome
    binned = bins(y, x)
    low, high = binned.ci()
    out: dict[str, Any] = {
        "x": binned.middle + cutoff,
        "y": binned.y,
        "low": low,
        "high": high,
        "cutoff": cutoff,
        "xlabel": sample.name("running"),
        "ylabel": f"Average {sample.name('outcome')}",
    }
    sides = (("left", "below", -1, x < 0), ("right", "above", 1, x >= 0))
    for (side, name, sign, inside), h in zip(sides, result.bandwidths[:2], strict=True):
        order = min(4, np.unique(x[inside]).size - 1)
        at, value = global_curve(y[inside], x[inside], order)
        line = np.linspace(0.0, sign * min(h, float(np.abs(x[inside]).max())), 50)
        out |= {
            f"curve_{side}_x": at + cutoff,
            f"curve_{side}_y": value,
            f"line_{side}_x": np.sort(line) + cutoff,
            f"line_{side}_y": np.polynomial.polynomial.polyval(np.sort(line), result.coefficients[name]),
        }
    return out


def _bandwidths(result: RegressionDiscontinuityResult) -> dict[str, Any]:
    from causalkit.rdd.sweeps import over_bandwidths

    return {**_along(over_bandwidths(result, None), "bandwidth"), "chosen": result.bandwidths.left}


def _placebo_cutoffs(result: RegressionDiscontinuityResult) -> dict[str, Any]:
    """False cutoffs and the true one (in a fuzzy design its reduced form, which is what they are compared with)."""
    from causalkit.rdd.sweeps import over_cutoffs, own_jump

    estimator: Any = result.estimator
    data, own = _along(over_cutoffs(result, 20), "cutoff"), own_jump(result)
    for key, value in zip(("cutoff", "estimate", "low", "high"), (estimator.cutoff, *own), strict=True):
        data[key] = np.append(data[key], value)
    return {**data, "chosen": estimator.cutoff}


def _along(sweep: Any, what: str) -> dict[str, Any]:
    """Return what a sweep found as arrays; estimates are the bias-corrected ones, which the intervals refer to."""
    names = {what: what, "estimate": "bias_corrected", "low": "ci_low", "high": "ci_high"}
    return {key: np.array(sweep.column(column), dtype=float) for key, column in names.items()}
