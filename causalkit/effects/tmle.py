"""Targeted maximum likelihood: outcome models moved, along one parameter an arm, until the plug-in mean is efficient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from causalkit.core.estimate import Estimate
from causalkit.effects.average_result import AverageEffect
from causalkit.effects.averages import Target, estimate_of, shares, shifted_effect
from causalkit.effects.crossfit_study import Study
from causalkit.errors import ConvergenceError, DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only
from causalkit.nuisance.scores import dr_scores

Submodel = Literal["tmle", "tmle_linear"]
#: Predictions are kept this share of the range away from its ends: of a number (Gruber and van der Laan 2010), and of a
#: binary outcome, whose probabilities may be small.
_EDGE, _EDGE_BINARY = 0.005, 1e-6
_LARGEST_STEP = 4.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TargetedEffect(AverageEffect):
    """Average effects by targeted maximum likelihood.

    Parameters
    ----------
    initial : Study
        The study before targeting; ``study`` holds outcome models that were targeted at the average effect.
    """

    initial: Study

    def _target_effect(self, study: Study, target: Target) -> Estimate:
        if target == "all":
            return super()._target_effect(study, target)
        if target == "overlap":
            raise DesignError(
                "the overlap-weighted effect has no targeted estimate here.",
                hint='Fit with method="aipw" for it, or ask for "all", "treated" or "control".',
            )
        return targeted_effect(self.initial, target, self.estimator.params()["method"])


def targeted_study(study: Study, method: Submodel) -> Study:
    """Target the outcome models of each arm at its average outcome, so that every score averages to the plug-in mean.

    In arm a the update solves ``sum of w (y - mu*) / e_a = 0`` over the rows of the arm. ``"tmle"`` moves the logit of mu,
    scaled to the range of the outcome, by one constant fitted with weights ``w / e_a``; ``"tmle_linear"`` adds
    ``epsilon / e_a`` to mu.
    """
    n = study.nuisances
    mu = n.mu.copy()
    for arm in range(study.arms.count):
        weight = 1.0 / n.e[:, arm]
        mu[:, arm] = fluctuate(study, n.mu[:, arm], study.arms.codes == arm, weight, method)
    scores = read_only(dr_scores(study.z, study.arms.codes, mu, n.e))
    return replace(study, nuisances=replace(n, mu=read_only(mu), scores=scores))


def targeted_effect(study: Study, target: Target, method: Submodel) -> Estimate:
    """Return the effect on the treated or on the control group, the other arm's outcome model targeted at that group."""
    n, codes = study.nuisances, study.arms.codes
    share = shares(len(codes), study.weights)
    parts = []
    for arm in range(1, study.arms.count):
        own, other = (arm, 0) if target == "treated" else (0, arm)
        odds = n.e[:, own] / n.e[:, other]
        mu = n.mu.copy()
        mu[:, other] = fluctuate(study, n.mu[:, other], codes == other, odds, method)
        parts.append(shifted_effect(target, study.z, codes, mu, n.e, arm, share, True))
    theta, psi = np.array([part[0] for part in parts]), np.column_stack([part[1] for part in parts])
    return estimate_of(theta, psi, study.groups, study.rows)


def fluctuate(study: Study, mu: Floats, rows: Bools, clever: Floats, method: Submodel) -> Floats:
    """Move ``mu`` so that its residuals in ``rows``, weighted by ``clever`` (and the weights of the study), sum to zero.

    Parameters
    ----------
    study : Study
        Supplies z and the weights.
    mu : Floats, shape (n,)
        Predictions for all rows.
    rows : Bools, shape (n,)
        The arm that teaches the update.
    clever : Floats, shape (n,)
        The clever covariate, positive.
    method : {"tmle", "tmle_linear"}
        The submodel.

    Returns
    -------
    Floats, shape (n,)
    """
    w = clever if study.weights is None else clever * study.weights
    if method == "tmle_linear":
        at = w[rows]
        step = float(at @ (study.z - mu)[rows]) / float(at @ clever[rows])
        return mu + step * clever
    low, high = float(study.z.min()), float(study.z.max())
    if low == high:
        return mu
    edge = _EDGE_BINARY if study.scale.binary else _EDGE
    logit = special.logit(np.clip((mu - low) / (high - low), edge, 1.0 - edge))
    y = (study.z - low) / (high - low)
    moved: Floats = low + (high - low) * special.expit(logit + _logistic_step(y[rows], logit[rows], w[rows]))
    return moved


def _logistic_step(y: Floats, offset: Floats, w: Floats) -> float:
    """Solve ``sum of w (y - expit(offset + step)) = 0``, a decreasing function of one number, by Newton's steps."""
    total = float(w.sum())
    if not 0.0 < float(w @ y) < total:
        raise ConvergenceError(
            "every outcome of an arm lies at the same end of the range, so its targeted mean lies beyond all bounds.",
            hint='Use method="aipw", or merge arms.',
        )
    step = 0.0
    for _ in range(100):
        p = special.expit(offset + step)
        gap = float(w @ (y - p)) / total
        if abs(gap) < 1e-14:
            break
        newton = gap / (float(w @ (p * (1.0 - p))) / total)
        step += float(np.clip(newton, -_LARGEST_STEP, _LARGEST_STEP))
        if abs(newton) < 1e-13:
            break
    else:
        raise ConvergenceError(
            f"the targeting step did not converge (its score is {gap:.2g}).", hint='Use method="aipw".'
        )
    return step
