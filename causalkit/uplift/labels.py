"""From a person's baseline and effect, with their errors, to a segment: tests of each claim and a bound on false claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from causalkit.effects.prediction import EffectPrediction
from causalkit.inference.multiplicity import adjust_pvalues
from causalkit.kernels.arrays import Codes, Floats, read_only

#: Segments by code.
SEGMENTS = ("persuadable", "sure_thing", "lost_cause", "sleeping_dog", "undecided")
UNDECIDED = 4

Adjustment = Literal["bh", "by"]


@dataclass(frozen=True, eq=False)
class Labels:
    """Segments of people.

    Parameters
    ----------
    codes : Codes, shape (n,)
        Position in :data:`SEGMENTS`.
    claims : Floats, shape (n, 4)
        P-value of each claim about each person, unadjusted.
    pvalue : Floats, shape (n,)
        Adjusted p-value of the person's label; for the undecided, the smallest adjusted p-value of any claim.
    """

    codes: Codes
    claims: Floats
    pvalue: Floats


def claim_pvalues(p: EffectPrediction, tolerance: float, margin: float, cutoff: float) -> Floats:
    """P-values (n, 4) of the claims persuadable, sure thing, lost cause and sleeping dog.

    Persuadable: effect above ``tolerance``. Sleeping dog: effect below ``-tolerance``. Sure thing and lost cause: the
    effect lies within ``margin`` of zero (two one-sided tests, Schuirmann 1987) and the baseline above or below
    ``cutoff``; a claim that joins several parts has the largest of their p-values (intersection-union test, Berger
    1982), which is valid whatever the correlation between a person's baseline and effect.
    """
    above = _upper(p.effect - tolerance, p.effect_se, p.df)
    below = _upper(-tolerance - p.effect, p.effect_se, p.df)
    small = np.maximum(_upper(p.effect + margin, p.effect_se, p.df), _upper(margin - p.effect, p.effect_se, p.df))
    high = _upper(p.baseline - cutoff, p.baseline_se, p.df)
    low = _upper(cutoff - p.baseline, p.baseline_se, p.df)
    return np.column_stack([above, np.maximum(small, high), np.maximum(small, low), below])


def label(claims: Floats, alpha: float, method: Adjustment = "bh") -> Labels:
    """Give each person the segment whose claim survives, with the false discovery rate of all claims at ``alpha``.

    All four claims about everybody are adjusted together. Where an effect is both clear and small, its sign decides.
    """
    adjusted = adjust_pvalues(claims.ravel(), method).reshape(claims.shape)
    made = adjusted <= alpha
    codes = np.full(len(claims), UNDECIDED, dtype=np.int32)
    for code in (2, 1, 3, 0):  # the last to be written wins: the sign of an effect comes before its smallness
        codes[made[:, code]] = code
    best = adjusted.min(axis=1)
    decided = codes != UNDECIDED
    best[decided] = adjusted[decided, codes[decided]]
    return Labels(read_only(codes), read_only(claims), read_only(best))


def _upper(difference: Floats, se: Floats, df: float) -> Floats:
    """One-sided p-values of "the difference is positive"; with no error, the sign decides."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, difference / se, np.where(difference > 0, np.inf, -np.inf))
    return np.asarray(special.ndtr(-t) if np.isinf(df) else special.stdtr(df, -t), dtype=np.float64)
