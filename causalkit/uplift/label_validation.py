"""Labels are kept only as far as held-out outcomes bear them out, from the surest label of a segment downwards.

The errors of a prediction speak of the model's noise, not of what the model can't draw: where it smooths over a step in the
effect, people beside the step are labelled with too much confidence. So each segment's people are put in the order of their
confidence and cut into slices. The order comes from models that have not seen the people's outcomes; their held-out scores
test slice after slice that the claim holds there on average. The first slice that fails ends the segment (a fixed sequence:
each test is made at the full level, and the chance that any slice is kept whose claim is false on average is at most that
level).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from causalkit.effects.averages import shares
from causalkit.effects.prediction import EffectPrediction
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.labels import UNDECIDED, Labels

#: A slice ends where its predicted claim is this many standard errors of its held-out mean away from its limit (then a true
#: claim passes with probability .91 at one-sided level .025), but holds at least so many people and this share of the segment.
SIGNAL, FEWEST, LEAST_SHARE = 3.3, 10, 0.05
#: Folds' labels and scores taught each other, which doubles the variance at most (see :mod:`causalkit.uplift.folds`).
OUT_OF_FOLD_VARIANCE = 2.0


@dataclass(frozen=True)
class Part:
    """One inequality of a claim, "this is positive": as predicted, with its error, and by held-out scores, (n,) each."""

    predicted: Floats
    se: Floats
    held_out: Floats

    def confidence(self) -> Floats:
        """Predicted distance in standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.se > 0, self.predicted / self.se, np.where(self.predicted > 0, np.inf, -np.inf))


def parts_of(
    code: int, p: EffectPrediction, scores: Floats, control: Floats, tolerance: float, margin: float, cutoff: float
) -> list[Part]:
    """Inequalities of a segment's claim, as in :func:`causalkit.uplift.labels.claim_pvalues`.

    Parameters
    ----------
    code : int
        Segment.
    p : EffectPrediction
    scores, control : Floats, shape (n,)
        Held-out scores of the effect, and of the outcome under the control.
    tolerance, margin, cutoff : float
        Limits of the claims.
    """
    if code in (0, 3):
        sign = 1.0 if code == 0 else -1.0
        return [Part(sign * p.effect - tolerance, p.effect_se, sign * scores - tolerance)]
    sign = 1.0 if code == 1 else -1.0
    return [
        Part(margin + p.effect, p.effect_se, margin + scores),
        Part(margin - p.effect, p.effect_se, margin - scores),
        Part(sign * (p.baseline - cutoff), p.baseline_se, sign * (control - cutoff)),
    ]


def kept_labels(
    labels: Labels,
    parts: dict[int, list[Part]],
    alpha: float,
    variance: float = 1.0,
    weights: Floats | None = None,
    groups: Codes | None = None,
    sliced: bool = True,
) -> Labels:
    """Withdraw the labels that held-out scores do not bear out.

    Parameters
    ----------
    labels : Labels
        Labels by the errors of predictions.
    parts : dict of int to list of Part
        Claims by segment.
    alpha : float
        Level; each segment is tested one-sided at ``alpha / 2``, as there are two directions in which an effect can be missed.
    variance : float
        Factor of the variance of held-out means.
    weights : Floats, shape (n,), optional
        Weights of rows.
    groups : Codes, shape (n,), optional
        Clusters.
    sliced : bool
        False where nothing shows that people differ: the order of confidence then means nothing, and each segment is
        tested as a whole.

    Returns
    -------
    Labels
        A person's p-value is the larger of her own and twice that of the worst slice down to hers.
    """
    codes, pvalue = labels.codes.copy(), labels.pvalue.copy()
    for code, claim in parts.items():
        rows = np.flatnonzero(labels.codes == code)
        if rows.size == 0:
            continue
        confidence = np.min([part.confidence()[rows] for part in claim], axis=0)
        order = np.argsort(-confidence, kind="stable")
        rows, confidence = rows[order], confidence[order]
        worst = 0.0
        edges = _edges(rows, confidence, claim, variance) if sliced else [0, rows.size]
        for start, stop in pairwise(edges):
            here = rows[start:stop]
            if worst <= alpha:
                found = max(_pvalue(part.held_out[here], here, variance, weights, groups) for part in claim)
                worst = max(worst, min(1.0, 2.0 * found))
            pvalue[here] = np.maximum(pvalue[here], worst)
            if worst > alpha:
                codes[here] = UNDECIDED
    return Labels(read_only(codes), labels.claims, read_only(pvalue))


def _edges(rows: Ints, confidence: Floats, claim: list[Part], variance: float) -> list[int]:
    """Where slices begin and end, chosen by predictions alone; equals stay together."""
    n = rows.size
    least = max(FEWEST, int(np.ceil(LEAST_SHARE * n)))
    ends = np.append(np.flatnonzero(confidence[1:] != confidence[:-1]) + 1, n)
    sums = [np.concatenate([[0.0], np.cumsum(part.predicted[rows])]) for part in claim]
    noise = [np.sqrt(variance) * float(part.held_out.std()) for part in claim]
    edges = [0]
    while edges[-1] < n:
        start = edges[-1]
        later = ends[ends >= min(start + least, n)]
        clear = np.ones(later.size, dtype=bool)
        for total, sd in zip(sums, noise, strict=True):
            clear &= total[later] - total[start] >= SIGNAL * sd * np.sqrt(later - start)
        edges.append(int(later[np.argmax(clear)]) if clear.any() else n)
    return edges


def _pvalue(held_out: Floats, rows: Ints, variance: float, weights: Floats | None, groups: Codes | None) -> float:
    """One-sided p-value of "the mean is positive"."""
    share = shares(rows.size, None if weights is None else weights[rows])
    mean = float(share @ held_out)
    psi: Floats = share * (held_out - mean)
    if groups is not None:
        _, inside = np.unique(groups[rows], return_inverse=True)
        psi = np.asarray(np.bincount(inside, weights=psi), dtype=np.float64)
    if psi.size < 2:
        return 1.0
    se = float(np.sqrt(variance * psi.size / (psi.size - 1) * (psi @ psi)))
    if se == 0.0:
        return 0.0 if mean > 0 else 1.0
    return float(special.stdtr(psi.size - 1, -mean / se))


__all__ = ["OUT_OF_FOLD_VARIANCE", "Part", "kept_labels", "parts_of"]
