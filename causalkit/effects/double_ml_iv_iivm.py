"""The interactive model with a binary instrument of two arms: the average effect on compliers by doubly robust scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.sample import Arms, Sample
from causalkit.effects.averages import average_effect
from causalkit.effects.crossfit_study import arm_names
from causalkit.effects.double_ml_iv import ComplierEffect
from causalkit.effects.double_ml_iv_checks import instrument_overlap, monotonicity, with_checks
from causalkit.effects.double_ml_iv_design import BinaryInstrument, binary_instrument
from causalkit.effects.double_ml_iv_scores import Scores, solve
from causalkit.effects.double_ml_nuisance import Learners
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.plain_result import outcome_name
from causalkit.effects.repeats import median_of
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.propensity import Propensity
from causalkit.nuisance.quality import r_squared
from causalkit.nuisance.scores import dr_scores

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML

GROUPS = ("compliers", "always takers", "never takers")


class Parts(NamedTuple):
    """Cross-fitted nuisances of canonical rows by level of the instrument, shape (n, 2): outcome, treatment, probability."""

    outcome: Floats
    taken: Floats
    chances: Propensity


def interactive_iv(run: DoubleML, sample: Sample) -> ComplierEffect:
    """Fit the interactive model with a binary instrument on a bound sample.

    Raises
    ------
    DesignError
        If rows contradict ``always_takers=False`` or ``never_takers=False``, or a level of the instrument has too few rows.
    """
    setup = Setup.of(sample, run.regressor)
    assert setup.arms is not None
    instrument = binary_instrument(setup.sample, setup.dose, setup.weights)
    _require_one_sided(run, setup, instrument.levels, sample)
    # Folds are dealt on the instrument: it is what the nuisances are learned by.
    dealt = replace(setup, arms=instrument.levels)
    weights = None if setup.weights is None else setup.restore(setup.weights)
    ways = ways_of(sample)
    scores, effects, shares_of, first = [], [], [], None
    for repeat in range(run.n_repeats):
        found = nuisances(dealt.learners(run, repeat), setup, instrument)
        first = first or found
        made, takers = scores_of(setup, instrument.levels.codes, found)
        scores.append(made)
        effects.append(solve(made, weights, ways, sample.rows))
        shares_of.append(average_effect(takers, weights, ways or None, rows=sample.rows))
    assert first is not None
    term = sample.arms.contrast(1)
    compliers = Effects(GROUPS, median_of(shares_of).folded())
    name = instrument.levels.name
    result = ComplierEffect(
        estimator=run,
        effects=Effects((term,), (median_of(effects) * setup.scale.unit).folded()),
        headline=term,
        estimand=f"average effect of {term} on {outcome_name(sample.given)} among compliers with {name}",
        checks=Checks({}),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        scores=tuple(scores),
        first_stage=compliers.select([0]),
        weights=weights,
        ways=ways,
        unit=setup.scale.unit,
        rows_used=sample.rows,
        compliers=compliers,
    )
    return _with_checks(result, run, setup, instrument, first)


def nuisances(learners: Learners, setup: Setup, instrument: BinaryInstrument) -> Parts:
    """Cross-fit the outcome and the treatment at each level of the instrument, and the probability of its levels."""
    codes, levels = instrument.levels.codes, instrument.levels
    known = setup.sample.optional("propensity")
    if known is not None and instrument.turned:
        known = 1.0 - known
    chances = learners.chances(codes, 2, known, arm_names(levels))
    return Parts(learners.by_arm(setup.z, codes, 2), _taken(learners, setup.dose, codes), chances)


def scores_of(setup: Setup, codes: Codes, found: Parts) -> tuple[Scores, Floats]:
    """Return the scores of one cross-fit in the user's order, and those of the shares of :data:`GROUPS`, shape (n, 3).

    The effect is the ratio of the doubly robust effects of the instrument on outcome and treatment (Chernozhukov et al.
    2018, equation 5.5; Frölich 2007).
    """
    outcome = dr_scores(setup.z, codes, found.outcome, found.chances.values)
    taken = dr_scores(setup.dose, codes, found.taken, found.chances.values)
    b, a = (setup.restore(part[:, 1] - part[:, 0]) for part in (outcome, taken))
    takers = np.column_stack([a, setup.restore(taken[:, 0]), setup.restore(1.0 - taken[:, 1])])
    return Scores(b[:, None], a[:, None], b, a), takers


def _taken(learners: Learners, treated: Floats, codes: Codes) -> Floats:
    """Return the probability of the treatment at each level; where all rows of a level do the same nothing is learned."""
    columns = []
    for level in (0, 1):
        own = treated[codes == level]
        if np.ptp(own) == 0:
            columns.append(np.full(len(treated), own[0]))
            continue
        columns.append(learners.by_arm(treated, (codes != level).astype(np.int32), 1)[:, 0])
    return np.column_stack(columns)


def _require_one_sided(run: DoubleML, setup: Setup, levels: Arms, sample: Sample) -> None:
    """Refuse rows that do what the design is said to rule out."""
    treated = setup.dose == 1
    names = arm_names(levels)
    cases = [
        (run.always_takers, "always_takers", treated & (levels.codes == 0), f"take the treatment at {names[0]}"),
        (run.never_takers, "never_takers", ~treated & (levels.codes == 1), f"do not take the treatment at {names[1]}"),
    ]
    for allowed, name, against, what in cases:
        if allowed or not against.any():
            continue
        at: Ints = np.sort(sample.rows.positions[setup.order[against]])
        raise DesignError(
            f"{name}=False, but {len(at)} row{'' if len(at) == 1 else 's'} {what} (first in row {at[0]}).",
            hint=f"Leave {name}=False out, or correct these rows.",
            column=levels.name,
            rows=at[:5].tolist(),
        )


def _with_checks(
    result: ComplierEffect, run: DoubleML, setup: Setup, instrument: BinaryInstrument, first: Parts
) -> ComplierEffect:
    codes, name = instrument.levels.codes, instrument.levels.name
    w = setup.weights
    rows = [codes == level for level in (0, 1)]
    skill = min(
        r_squared(setup.z[at], first.outcome[at, level], None if w is None else w[at]) for level, at in enumerate(rows)
    )
    falling = float(np.mean(first.taken[:, 1] < first.taken[:, 0]))
    ruled_out = [
        group for group, allowed in zip(GROUPS[1:], (run.always_takers, run.never_takers), strict=True) if not allowed
    ]
    more: dict[str, Check | Callable[[], Check]] = {
        "monotonicity": monotonicity(name, " and no ".join(ruled_out), falling)
    }
    return with_checks(result, instrument_overlap(first.chances, instrument.levels), skill, more)
