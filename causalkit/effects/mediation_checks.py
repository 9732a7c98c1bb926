"""The ledgers of mediation and of the front door."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.sample import Sample
from causalkit.core.table import Table
from causalkit.effects.checks import missing_outcomes_check
from causalkit.effects.crossfit_study import arm_names
from causalkit.effects.mediation_linear import LinearPaths
from causalkit.effects.mediation_pathway import Pathway, Unshared, unshared

_LITTLE, _TOO_LITTLE = 0.5, 0.2
_MANY_CLIPPED = 0.05
#: Rows of an arm whose mediators the other arm never has; of two normal arms of 200 a standard deviation apart, 4 %.
_MANY_ALONE, _FAR_TOO_MANY_ALONE = 0.1, 0.3

Makers = dict[str, Check | Callable[[], Check]]


def mediation_checks(sample: Sample, pathway: Pathway) -> Checks:
    """Return the ledger of cross-fitted mediation."""
    return Checks(
        {**_input(sample), **_overlaps(sample, pathway), "sequential_ignorability": sequential_ignorability_check()}
    )


def linear_checks(sample: Sample, paths: LinearPaths, interaction: bool) -> Checks:
    """Return the ledger of linear mediation."""
    makers: Makers = {**_input(sample), "collinearity": _collinearity(paths)}
    if interaction:
        makers["interaction"] = lambda: _interaction(paths)
    makers["sequential_ignorability"] = sequential_ignorability_check()
    return Checks(makers)


def front_door_checks(sample: Sample, pathway: Pathway) -> Checks:
    """Return the ledger of the front door."""
    return Checks({**_input(sample), **_overlaps(sample, pathway), "front_door": front_door_check()})


def sequential_ignorability_check() -> Check:
    """Say what mediation assumes and no data can test."""
    return Check(
        "sequential_ignorability",
        "untestable",
        "Assumed: given the covariates nothing else acts on treatment and mediator, treatment and outcome, or mediator and "
        "outcome, and no cause of both mediator and outcome is itself moved by the treatment. Randomising the treatment "
        "settles the first two only.",
        advice="Name every common cause of mediator and outcome; with linear equations ask .sensitivity().",
    )


def front_door_check() -> Check:
    """Say what the front door assumes and no data can test."""
    return Check(
        "front_door",
        "untestable",
        "Assumed: (1) the mediators carry all of the effect, so that the treatment has no other way to the outcome; (2) given "
        "the covariates nothing else acts on both treatment and mediators; (3) given treatment and covariates nothing else acts "
        "on both mediators and outcome. What acts on treatment and outcome may stay unmeasured.",
        advice="Defend each of the three from what is known of the process; no test of these columns can.",
    )


def mediator_overlap_check(pathway: Pathway, lonely: Unshared | None = None) -> Check:
    """Judge how far the mediators of one arm occur in the other: on how many rows the density ratios rest.

    ``lonely`` are values that one arm lacks: what would be with them there is a guess of the models, whatever they say.
    """
    names = arm_names(pathway.arms)
    rows, worst = [], 1.0
    for arm in (0, 1):
        w = pathway.ratio[pathway.arms.codes == arm, 1 - arm]
        share = float(w.sum() ** 2 / (w @ w) / len(w)) if w.any() else 0.0
        rows.append((names[arm], len(w), share * len(w), float(w.max())))
        worst = min(worst, share)
    clipped = pathway.clipped / len(pathway.z)
    status: Status = "pass"
    alone = 0.0 if lonely is None else lonely.share
    if worst < _TOO_LITTLE or clipped > _MANY_CLIPPED or alone > _FAR_TOO_MANY_ALONE:
        status = "fail"
    elif worst < _LITTLE or clipped > 0 or alone > _MANY_ALONE:
        status = "warn"
    how = (
        "density ratios"
        if pathway.levels is None
        else f"probabilities of the {pathway.levels} combinations of mediator values"
    )
    told = ""
    if lonely is not None and alone > _MANY_ALONE:
        told = (
            f" {fmt.share(alone)} of the rows with {names[lonely.arm]} have values of {lonely.mediator} that no row with "
            f"{names[1 - lonely.arm]} comes near."
        )
    return Check(
        "mediator_overlap",
        status,
        f"Making the mediators of one arm look like those of the other ({how}) rests on {fmt.share(worst)} of the rows of the "
        f"arm with least overlap; {fmt.share(clipped)} of the rows were clipped.{told}",
        worst,
        None,
        ""
        if status == "pass"
        else "Mediators of one arm are rare in the other: the effect rests on few rows and on the outcome model.",
        Table.of(("arm", "rows", "effective rows", "largest ratio"), rows),
    )


def _input(sample: Sample) -> Makers:
    return {
        "missing": missing_check(sample),
        **outcome_check(sample),
        "missing_outcomes": lambda: missing_outcomes_check(sample),
    }


def _overlaps(sample: Sample, pathway: Pathway) -> Makers:
    seen = pathway.propensity.overlap
    share = float(np.min(seen.effective / np.maximum(seen.counts, 1.0)))
    return {
        "overlap": Check("overlap", seen.status, seen.message, share, None, seen.advice),
        "mediator_overlap": mediator_overlap_check(pathway, unshared(sample)),
    }


def _collinearity(paths: LinearPaths) -> Check:
    if not paths.dropped:
        return Check("collinearity", "pass", "No covariate is determined by the others.")
    return Check(
        "collinearity",
        "warn",
        f"{fmt.plural(len(paths.dropped), 'column')} left out of the outcome equation: {', '.join(paths.dropped)}.",
        advice="Make sure that none was meant to stay.",
    )


def _interaction(paths: LinearPaths) -> Check:
    """Test whether the mediators act alike in both arms, which ``method="product"`` takes for granted."""
    from causalkit.effects.averages import estimate_of
    from causalkit.inference.wald import wald_test

    at = slice(2 + paths.k, 2 + 2 * paths.k)
    b, psi = paths.outcome.coefficients[at], paths.outcome.psi[:, at]
    numbers = estimate_of(b, psi, paths.groups, paths.rows, n_parameters=paths.n_parameters)
    if not (numbers.se > 0).any():
        message = "The outcome equation has no error, so whether mediators act alike in both arms can't be tested."
        return Check("interaction", "untestable", message, advice="Check the outcome.")
    found = wald_test(b, numbers.vcov, float(numbers.df[0]))
    pvalue = float(found[3])
    return Check(
        "interaction",
        "pass",
        f"The mediators act alike in both arms: p-value {fmt.pvalue(pvalue)}; the equations allow that they do not.",
        float(found[0]),
        pvalue,
    )
