"""Jackknife instrumental variables: the first stage of a row never uses the row itself.

With many instruments two-stage least squares is pulled towards least squares, because each row's own error is part of its
prediction. A jackknife predicts the treatment of a row from the others. With ``H`` the projection on controls and
instruments, ``P`` that on the controls, ``M = I - H``, and ``h``, ``p`` their diagonals, the prediction is ``G D`` with

=========  ==========================================  ==============================================================
method     ``G``
=========  ==========================================  ==============================================================
``ujive``  ``H - P - diag((h - p)/(1 - h)) M``         zero diagonal, no bias with many controls either
``ijive``  ``(I-P)(I - diag(1/(1 - h + p)) M)``        controls are partialled out first
``jive``   ``(I-P)(I - diag(1/(1 - h)) M)``            biased with many controls
=========  ==========================================  ==============================================================

and the estimate is ``Y'G D / D'G D``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.jackknife_projection import Kept, kept_rows
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

JackknifeMethod = Literal["ujive", "ijive", "jive", "ujive2013"]
_IRRELEVANT = 1e-10
_DETERMINED = 1e-9
METHODS: tuple[JackknifeMethod, ...] = ("ujive", "ijive", "jive", "ujive2013")


@dataclass(frozen=True, eq=False)
class Jackknife:
    """A jackknife estimate of the effects of m treatments.

    Attributes
    ----------
    method : str
    estimates : array, shape (m,)
    psi : array, shape (n, m)
        Influence values with 1/n folded in, if effects are the same for all: ``inv(D'G D) fitted * residual``.
    psi_heterogeneous : array, shape (n, m)
        Influence values that stay valid where effects differ between rows (Kolesar 2013, theorem 2): they add how the
        error of the first stage moves the weights.
    fitted : array, shape (n, m)
        The leave-out prediction ``G D``.
    residuals : array, shape (n,)
        Of outcome minus estimates times treatments, controls partialled out.
    first_stage_f : float
        F statistic of the instruments for the first treatment, homoskedastic.
    n_instruments, n_controls : int
        Instruments left once controls are partialled out, and the rank of the controls (intercept and absorbed effects
        included).
    leverage : array, shape (n,)
        Leverage of each row among controls and instruments.
    rows : array of int, shape (n,)
        Positions, in the rows given, of the rows used.
    alone, perfect : array of int
        Positions left out: alone in a level of an effect or instrument (found recursively), or fitted perfectly by
        controls and instruments.
    """

    method: JackknifeMethod
    estimates: Floats
    psi: Floats
    psi_heterogeneous: Floats
    fitted: Floats
    residuals: Floats
    first_stage_f: float
    n_instruments: int
    n_controls: int
    leverage: Floats
    rows: Ints
    alone: Ints
    perfect: Ints

    def __post_init__(self) -> None:
        for name in ("estimates", "psi", "psi_heterogeneous", "fitted", "residuals", "leverage", "rows"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def estimate(self) -> float:
        """The effect of the first treatment."""
        return float(self.estimates[0])

    @property
    def se_constant_effect(self) -> float:
        """Its standard error robust to heteroskedasticity (HC0), if the effect is the same for all."""
        return float(np.linalg.norm(self.psi[:, 0]))

    @property
    def se_heterogeneous(self) -> float:
        """Its standard error robust to heteroskedasticity and to effects that differ between rows."""
        return float(np.linalg.norm(self.psi_heterogeneous[:, 0]))


def jackknife_fit(
    y: Floats,
    D: Floats,
    *,
    method: JackknifeMethod = "ujive",
    labels: Sequence[Codes] = (),
    Z: Floats | None = None,
    W: Floats | None = None,
    absorb: Sequence[Codes] = (),
    weights: Floats | None = None,
) -> Jackknife:
    """Estimate the effects of treatments by jackknife instrumental variables.

    Parameters
    ----------
    y : array, shape (n,)
        Outcome.
    D : array, shape (n,) or (n, m)
        Treatments.
    method : {"ujive", "ijive", "jive", "ujive2013"}
        Unbiased JIVE as Goldsmith-Pinkham, Hull and Kolesar (2025) define it, improved JIVE of Ackerberg and Devereux
        (2009), JIVE1 of Angrist, Imbens and Krueger (1999), or unbiased JIVE as first proposed in Kolesar (2013).
    labels : sequence of arrays of int, each of shape (n,)
        Instruments that are labels (one indicator per level); they cost O(n), however many levels there are.
    Z : array, shape (n, q), optional
        Instruments that are columns.
    W : array, shape (n, p), optional
        Controls; an intercept is always added.
    absorb : sequence of arrays of int, each of shape (n,)
        Effects to absorb.
    weights : array, shape (n,), optional
        Positive weights; their scale does not matter.

    Returns
    -------
    Jackknife

    Raises
    ------
    DesignError
        If there is no instrument, or none is left once controls are partialled out.

    Notes
    -----
    ``"ujive"`` and ``"ujive2013"`` take the controls out of the predictions but not out of the outcome, which keeps them
    unbiased: what controls explain of the outcome adds noise (and standard error), and a multiple of a control added to the
    outcome moves the estimate. ``"ijive"`` takes controls out of everything first, and is steadier where they explain much.

    References
    ----------
    Angrist, Imbens and Krueger (1999), *Jackknife instrumental variables estimation*; Ackerberg and Devereux (2009),
    *Improved JIVE estimators for overidentified linear models*; Kolesar (2013), *Estimation in an instrumental variables
    model with treatment effect heterogeneity*; Goldsmith-Pinkham, Hull and Kolesar (2025), *Leniency designs: an
    operator's manual*.
    """
    if method not in METHODS:
        raise DesignError(f"method={method!r} is not an option.", hint=f"Use one of {', '.join(map(repr, METHODS))}.")
    return from_projections(y, D, projections(y.size, labels, Z, W, absorb, weights), weights, method)


def projections(
    n: int,
    labels: Sequence[Codes] = (),
    Z: Floats | None = None,
    W: Floats | None = None,
    absorb: Sequence[Codes] = (),
    weights: Floats | None = None,
) -> Kept:
    """Build the two projections that every estimator with many instruments needs; see :func:`jackknife_fit`."""
    if not len(labels) and (Z is None or not Z.shape[1]):
        raise DesignError("there is no instrument.", hint="Name the instruments.")
    empty = np.empty((n, 0))
    return kept_rows(labels, empty if Z is None else Z, absorb, empty if W is None else W, weights, n)


def from_projections(y: Floats, D: Floats, kept: Kept, weights: Floats | None, method: JackknifeMethod) -> Jackknife:
    """Compute one jackknife estimate from prepared projections."""
    root = np.ones(kept.rows.size) if weights is None else np.sqrt(weights[kept.rows] / weights[kept.rows].mean())
    treated = (D[:, None] if D.ndim == 1 else D)[kept.rows].T
    raw = np.stack([_centred(column, root) for column in (y[kept.rows], *treated)])
    tilde, left = kept.controls.residuals(*raw), kept.full.residuals(*raw)
    _require_treatments(kept, raw[1:], tilde[1:])
    fitted, back = _predictions(method, kept, raw, tilde, left)
    denominator = fitted @ raw[1:].T
    _require_strength(denominator, fitted, tilde[1:])
    estimates = np.linalg.solve(denominator, fitted @ raw[0])
    contrast = np.concatenate([[1.0], -estimates])
    residuals = contrast @ tilde
    scores = fitted * residuals
    moved = back(contrast)
    bread = np.linalg.inv(denominator)
    k, d_left = kept.n_instruments, float(left[1] @ left[1])
    explained = float(((tilde[1] - left[1]) ** 2).sum())
    return Jackknife(
        method,
        estimates,
        (bread @ scores).T,
        (bread @ (scores + moved * left[1:])).T,
        (fitted / root).T,
        residuals / root,
        explained / d_left * (kept.rows.size - kept.full.rank) / k if d_left > 0 else float("inf"),
        k,
        kept.controls.rank,
        kept.full.leverage,
        kept.rows,
        kept.alone,
        kept.perfect,
    )


def _predictions(
    method: JackknifeMethod, kept: Kept, raw: Floats, tilde: Floats, left: Floats
) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Return the leave-out predictions ``G D`` and, for contrasts of (outcome, treatments), ``G'`` of the contrast."""
    controls, full = kept.controls, kept.full
    h, p = full.leverage, controls.leverage
    if method == "ujive":
        factor = (h - p) / (1.0 - h)
        fitted = tilde[1:] - left[1:] - left[1:] * factor
        return fitted, lambda c: c @ (tilde - left) - full.residuals((c @ raw) * factor)[0]
    if method == "ujive2013":
        own, factor = 1.0 / (1.0 - p), 1.0 / (1.0 - h)
        fitted = tilde[1:] * own - left[1:] * factor
        return fitted, lambda c: controls.residuals((c @ raw) * own)[0] - full.residuals((c @ raw) * factor)[0]
    factor = 1.0 / (1.0 - h) if method == "jive" else 1.0 / (1.0 - h + p)
    fitted = tilde[1:] - controls.residuals(*(left[1:] * factor))
    return fitted, lambda c: c @ tilde - full.residuals((c @ tilde) * factor)[0]


def _require_treatments(kept: Kept, raw: Floats, tilde: Floats) -> None:
    """Refuse fewer instruments than treatments, and a treatment that the controls determine."""
    if kept.n_instruments < len(raw):
        have = "is 1 instrument" if kept.n_instruments == 1 else f"are {kept.n_instruments} instruments"
        raise DesignError(
            f"there {have} for {len(raw)} treatments.",
            hint="Each treatment needs an instrument of its own that the controls do not determine.",
        )
    empty = np.linalg.norm(tilde, axis=1) <= _DETERMINED * np.linalg.norm(raw, axis=1)
    if empty.any():
        which = f"treatment {int(np.argmax(empty)) + 1} of {len(raw)}" if len(raw) > 1 else "the treatment"
        raise DesignError(
            f"{which} is determined by the covariates or absorbed effects.",
            hint="Leave out the covariate or the absorbed effect that determines it.",
        )


def _require_strength(denominator: Floats, fitted: Floats, tilde: Floats) -> None:
    """Refuse treatments that the leave-out predictions do not tell apart at all."""
    scale = np.outer(np.linalg.norm(fitted, axis=1), np.linalg.norm(tilde, axis=1))
    relative = denominator / np.where(scale > 0, scale, 1.0)
    if np.linalg.svd(relative, compute_uv=False)[-1] <= _IRRELEVANT:
        raise DesignError(
            "the leave-out predictions of the treatments are not related to them, controls held fixed.",
            hint="The instruments must move each treatment in a way of its own.",
        )


def _centred(column: Floats, root: Floats) -> Floats:
    """Subtract the weighted mean and scale by the square root of the weights."""
    pivot = column - column[0]
    left: Floats = (pivot - np.average(pivot, weights=root**2)) * root
    return left
