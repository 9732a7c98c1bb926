"""Covariates that unit effects, time effects or each other swallow: named, so that nobody thinks they were adjusted for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalkit.core.check import Check
from causalkit.did.cohorts import Cohorts
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.linear.least_squares import least_squares


def absorbed_check(cohorts: Cohorts) -> dict[str, Check | Callable[[], Check]]:
    """Return what warns where covariates say nothing beside unit and time effects; nothing where there are none."""
    return {"covariates": lambda: _check(cohorts)} if cohorts.sample.features().names else {}


def _check(cohorts: Cohorts) -> Check:
    fixed = _fixed(cohorts)
    swallowed = {} if fixed else _swallowed(cohorts)
    if not fixed and not swallowed:
        return Check("covariates", "pass", "Every covariate varies within units.")
    told = f"{', '.join(fixed)} did not vary within any unit: unit effects absorb it, and nothing was adjusted for."
    if swallowed:
        told = f"Nothing was adjusted for by {'; '.join(f'{name}: it is {why}' for name, why in swallowed.items())}."
    return Check("covariates", "warn", told, advice="CallawaySantAnna and ExtendedTWFE let trends differ by it.")


def _fixed(cohorts: Cohorts) -> list[str]:
    """Return the covariates that are constant within every unit."""
    features, unit = cohorts.sample.features(), cohorts.panel.unit.codes
    fixed = []
    for name, values in zip(features.names, features.values.T, strict=True):
        first = np.empty(cohorts.n_units)
        first[unit[::-1]] = values[::-1]
        if np.array_equal(first[unit], values, equal_nan=True):
            fixed.append(name)
    return fixed


def _swallowed(cohorts: Cohorts) -> dict[str, str]:
    """Return the covariates that unit and time effects or other covariates determine, and which do."""
    sample, panel = cohorts.sample, cohorts.panel
    values, names = sample.features().dummies()
    try:
        fit = least_squares(
            sample.outcome,
            list(values.T),
            names=names,
            weights=sample.optional("weights"),
            absorb=[panel.unit.codes, panel.time.codes],
            absorb_names=[panel.unit.name, panel.time.name],
            vcov="iid",
        )
    except DesignError:
        return dict.fromkeys(names, f"absorbed by {panel.unit.name} and {panel.time.name}")
    except InferenceUnavailable:
        return {}
    return dict(fit.dropped)
