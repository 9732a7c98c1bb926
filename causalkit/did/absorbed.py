"""Covariates that unit effects swallow: named, so that nobody thinks they were adjusted for."""

from __future__ import annotations

import numpy as np

from causalkit.core.check import Check
from causalkit.did.cohorts import Cohorts


def absorbed_check(cohorts: Cohorts) -> dict[str, Check]:
    """Return a warning where covariates do not vary within units; nothing where there are none, or all vary."""
    features, unit = cohorts.sample.features(), cohorts.panel.unit.codes
    if not features.names:
        return {}
    fixed = []
    for name, values in zip(features.names, features.values.T, strict=True):
        first = np.empty(cohorts.n_units)
        first[unit[::-1]] = values[::-1]
        if np.array_equal(first[unit], values, equal_nan=True):
            fixed.append(name)
    if not fixed:
        return {"covariates": Check("covariates", "pass", "Every covariate varies within units.")}
    return {
        "covariates": Check(
            "covariates",
            "warn",
            f"{', '.join(fixed)} did not vary within any unit: unit effects absorb it, and nothing was adjusted for.",
            advice="CallawaySantAnna and ExtendedTWFE let trends differ by it.",
        )
    }
