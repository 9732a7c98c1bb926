"""Averages of marginal treatment effects: of everybody, the treated, those an instrument or a policy moves."""

from __future__ import annotations

from typing import Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.mte_fit import MTEFit, Probability
from causalkit.kernels.arrays import Floats

Kind = Literal["additive", "proportional", "index"]
KINDS: tuple[Kind, ...] = ("additive", "proportional", "index")
TERMS = ("ATE", "ATT", "ATU", "LATE", "MPRTE")
_TAIL = 0.1


def row_at(values: Floats, weights: Floats, share: float) -> int:
    """Return the row of the smallest value that at least ``share`` of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return int(order[min(int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))), values.size - 1)])


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return a quantile that turns around with the values: the middle of the smallest and the largest that qualify."""
    ends = values[row_at(values, weights, share)], values[row_at(-values, weights, 1 - share)]
    return float(np.mean(ends))


def common_support(P: Floats, D: Floats, weights: Floats, trim: float = 0.01) -> tuple[float, float]:
    """Return where propensities of both arms lie: the overlap of the ranges between their 1% and 99% quantiles."""
    ends = [[weighted_quantile(P[arm == D], weights[arm == D], share) for share in (trim, 1 - trim)] for arm in (0, 1)]
    return max(ends[0][0], ends[1][0]), min(ends[0][1], ends[1][1])


def standard_parameters(fit: MTEFit, support: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return ATE, ATT, ATU, LATE and MPRTE (additive), with influence values of shape (n, 5).

    Averages over resistances run over ``support``: (0, 1) for parametric methods.
    """
    low, high = (fit.constant(end) for end in support)
    inside = _clipped(fit.P, *support)
    before, after = instrument_ends(fit)
    p = fit.P.values
    within = ((p >= support[0]) & (p <= support[1])).astype(float)
    parts = [
        fit.average(low, high),
        fit.average(low, inside),
        fit.average(inside, high),
        fit.average(_clipped(before, *support), _clipped(after, *support)),
        fit.at_margin(within, np.zeros_like(p)),
    ]
    return np.array([part[0] for part in parts]), np.stack([part[1] for part in parts], axis=1)


def instrument_ends(fit: MTEFit) -> tuple[Probability, Probability]:
    """Return propensities with the instruments of the row whose instruments lie low, and high.

    Low and high are the lowest and highest value where instruments take two values, else their 10% and 90% quantiles, by how
    far the instruments raise the propensity.
    """
    at = fit.instrument_columns
    index = fit.propensity.design[:, at] @ fit.propensity.coefficients[at]
    few = np.unique(np.round(index, 9)).size == 2
    share = 0.0 if few else _TAIL
    low, high = (row_at(values, fit.weights, share) for values in (index, -index))
    return fit.with_instruments_of(low), fit.with_instruments_of(high)


def policy_effect(fit: MTEFit, shift: float, kind: Kind, support: tuple[float, float]) -> tuple[float, Floats]:
    """Return the policy-relevant treatment effect of a change of everybody's propensity, and influence values.

    Parameters
    ----------
    fit : MTEFit
    shift : float
        By how much: 0 for the marginal effect (MPRTE) of an infinitely small change.
    kind : {"additive", "proportional", "index"}
        ``P + shift``, ``P (1 + shift)``, or the shift of the logit.
    support : (float, float)
        Probabilities are kept inside.
    """
    if kind not in KINDS:
        raise DesignError(f"kind={kind!r} is not an option.", hint=f"Use one of {', '.join(map(repr, KINDS))}.")
    P = fit.P
    p = P.values
    if shift == 0.0:
        inside = ((p >= support[0]) & (p <= support[1])).astype(float)
        density, slope = {
            "additive": (np.ones_like(p), np.zeros_like(p)),
            "proportional": (p, np.ones_like(p)),
            "index": (p * (1 - p), 1 - 2 * p),
        }[kind]
        return fit.at_margin(density * inside, slope * inside)
    if kind == "index":
        moved = p * np.exp(shift) / (1 - p + p * np.exp(shift))
        by_p = moved * (1 - moved) / (p * (1 - p))
    else:
        moved, by_p = (
            (p + shift, np.ones_like(p)) if kind == "additive" else (p * (1 + shift), np.full_like(p, 1 + shift))
        )
    new = Probability(moved, P.gradient * by_p[:, None])
    return fit.average(_clipped(P, *support), _clipped(new, *support))


def _clipped(P: Probability, low: float, high: float) -> Probability:
    inside = (P.values > low) & (P.values < high)
    return Probability(np.clip(P.values, low, high), P.gradient * inside[:, None])
