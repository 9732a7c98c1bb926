"""The partially linear model with instruments: residual outcome on residual treatment through residual instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.effects.averages import estimate_of, shares
from causalkit.effects.double_ml_iv import InstrumentedEffect
from causalkit.effects.double_ml_iv_checks import remainder, with_checks
from causalkit.effects.double_ml_iv_design import instrument_columns
from causalkit.effects.double_ml_iv_scores import Scores, solve
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.plain_result import outcome_name
from causalkit.effects.repeats import median_of
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.nuisance.quality import r_squared

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML

_NOTHING_LEFT = 1e-12
_COLLINEAR = 1e-8


class Residuals(NamedTuple):
    """Out-of-fold residuals given covariates: outcome and treatment, shape (n,), and instruments, shape (n, q)."""

    outcome: Floats
    treatment: Floats
    instruments: Floats


def partially_linear_iv(run: DoubleML, sample: Sample) -> InstrumentedEffect:
    """Fit the partially linear model with instruments on a bound sample.

    Raises
    ------
    DesignError
        If covariates determine treatment or instruments, instruments are collinear, or do not move the treatment.
    """
    setup = Setup.of(sample, run.regressor)
    columns, names = instrument_columns(setup.sample)
    weights = None if setup.weights is None else setup.restore(setup.weights)
    ways = ways_of(sample)
    scores, slopes, first, skill = [], [], [], None
    for repeat in range(run.n_repeats):
        canonical = residuals(run, setup, columns, repeat)
        if skill is None:
            skill = r_squared(setup.z, setup.z - canonical.outcome, setup.weights)
            left = {
                name: 1.0 - r_squared(column, column - v, setup.weights)
                for name, column, v in zip(names, columns.T, canonical.instruments.T, strict=True)
            }
        parts = Residuals(*(setup.restore(part) for part in canonical))
        _require_variation(parts, columns, names, setup.dose, sample)
        stage, fitted = first_stage(parts, weights, ways, sample)
        scores.append(scores_of(parts, fitted))
        slopes.append(solve(scores[-1], weights, ways, sample.rows))
        first.append(stage)
    arms = sample.columns["treatment"]
    term = arms.contrast(1) if isinstance(arms, Arms) else sample.name("treatment")
    what = term if isinstance(arms, Arms) else f"one more unit of {term}"
    through = ", ".join(sample.features("instruments").names)
    result = InstrumentedEffect(
        estimator=run,
        effects=Effects((term,), (median_of(slopes) * setup.scale.unit).folded()),
        headline=term,
        estimand=f"effect of {what} on {outcome_name(sample.given)} through {through}, covariates held fixed (partially linear)",
        checks=Checks({}),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        scores=tuple(scores),
        first_stage=Effects(names, median_of(first).folded()),
        weights=weights,
        ways=ways,
        unit=setup.scale.unit,
        rows_used=sample.rows,
    )
    assert skill is not None
    return with_checks(result, remainder(left), skill)


def residuals(run: DoubleML, setup: Setup, columns: Floats, repeat: int) -> Residuals:
    """Return the residuals of one cross-fit, in canonical order."""
    learners = setup.learners(run, repeat)
    v = np.column_stack([column - learners.mean(column) for column in columns.T])
    return Residuals(setup.z - learners.mean(setup.z), setup.dose - learners.mean(setup.dose), v)


def scores_of(parts: Residuals, fitted: Floats) -> Scores:
    """Return the scores ``v_j (u - theta w)``, and the combination whose instrument is ``fitted`` (v itself where it is one).

    One instrument: Chernozhukov et al. (2018), equation 4.8. Several: the linear projection of the residual treatment on
    them, with a constant (what DoubleML's PLIV does).
    """
    u, w, v = parts
    best = v[:, 0] if v.shape[1] == 1 else fitted
    return Scores(v * u[:, None], v * w[:, None], best * u, best * w)


def first_stage(
    parts: Residuals, weights: Floats | None, ways: tuple[Groups, ...], sample: Sample
) -> tuple[Estimate, Floats]:
    """Regress the residual treatment on the residual instruments and a constant.

    Returns
    -------
    (Estimate, Floats)
        Coefficients of the instruments, and the fitted treatment, shape (n,).

    Raises
    ------
    DesignError
        If instruments are collinear once covariates are held fixed.
    """
    n, q = parts.instruments.shape
    share = shares(n, weights)
    scale = np.sqrt(share @ parts.instruments**2)
    x = np.column_stack([np.ones(n), parts.instruments / scale])
    gram = (x * share[:, None]).T @ x
    if np.linalg.eigvalsh(gram)[0] <= _COLLINEAR:
        raise DesignError(
            f"the instruments {', '.join(sample.features('instruments').names)} are collinear once covariates are held fixed.",
            hint="Leave one out.",
        )
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ (x.T @ (share * parts.treatment))
    fitted = x @ coefficients
    psi = (share * (parts.treatment - fitted))[:, None] * (x @ inverse)
    found = estimate_of(coefficients[1:] / scale, psi[:, 1:] / scale, ways or None, sample.rows, n_parameters=q + 1)
    return found, fitted


def _require_variation(parts: Residuals, columns: Floats, names: tuple[str, ...], dose: Floats, sample: Sample) -> None:
    """Refuse a treatment or an instrument that covariates determine."""
    told = [(f"treatment {sample.name('treatment')!r}", sample.name("treatment"), dose, parts.treatment)]
    told += [
        (f"instrument {name!r}", name, column, v)
        for name, column, v in zip(names, columns.T, parts.instruments.T, strict=True)
    ]
    for what, name, column, residual in told:
        if not residual @ residual > _NOTHING_LEFT * len(column) * float(np.var(column)):
            raise DesignError(
                f"covariates determine the {what}: nothing of it is left to learn from.",
                hint="Leave out the covariate that it follows from.",
                column=name,
            )
