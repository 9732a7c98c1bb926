"""Every estimator in the public table passes the contract suite; a new one is found by itself."""

from __future__ import annotations

import dataclasses
from functools import cache, partial
from importlib.util import find_spec

import pytest

import causalkit
from causalkit.core.estimator import Estimator
from causalkit.testing import checks_for
from causalkit.testing.table import table

#: What keeps a fit short, where an estimator has the field.
SMALL = {"random_state": 0, "n_folds": 2, "n_boot": 10, "n_trees": 100, "boundary": ((0.0,),)}

#: Further configurations that are worth the whole suite.
FURTHER = {
    "AIPW": ({"method": "tmle", "regressor": "linear", "classifier": "linear"},),
    "DoubleML": (
        {"method": "irm_hajek", "n_repeats": 2, "regressor": "linear", "classifier": "linear"},
        {"method": "pliv", "regressor": "linear", "classifier": "linear"},
    ),
    "IV": ({"method": "liml"}, {"method": "gmm"}, {"method": "cue"}, {"method": "ujive"}, {"vcov": "iid"}),
    "MarginalTreatmentEffects": ({"method": "normal"},),
    "Mediation": ({"method": "linear"},),
    "OLS": ({"vcov": "CR2"}, {"vcov": "HC3"}, {"vcov": "iid"}),
}

#: Roles for a method that needs more than the study of its estimator has: a dose with instruments.
WITH_ROLES = {
    "pliv": {
        "outcome": "spend",
        "treatment": "dose",
        "covariates": ["age", "visits", "income", "segment"],
        "instruments": ["letter", "nudge"],
        "cluster": "store",
        "unit": "customer",
    }
}


def _kinds() -> dict[str, type]:
    # A module that is not there fails tests/api/test_names.py, once.
    there = [name for name, module in causalkit._PUBLIC.items() if find_spec(module) is not None]
    public = {name: getattr(causalkit, name) for name in there}
    return {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Estimator)}


def _small(kind: type, **changes):
    fields = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in SMALL.items() if name in fields}, **changes)


def _configurations() -> list[Estimator]:
    return [_small(kind, **changes) for name, kind in _kinds().items() for changes in ({}, *FURTHER.get(name, ()))]


@cache
def _checks(estimator: Estimator) -> dict:
    # What draws is slow to fit; `pytest -m long` runs the rest of the suite on it.
    try:
        roles = WITH_ROLES.get(getattr(estimator, "method", ""))
        study = {} if roles is None else {"data": table(), **roles}
        return dict(checks_for(estimator, fast=hasattr(estimator, "random_state"), **study))
    except Exception as error:  # pytest collects the other estimators nevertheless
        return {"can_be_fitted": partial(_raise, error)}


def _raise(error: Exception):
    raise error


def pytest_generate_tests(metafunc):
    if "check" in metafunc.fixturenames:
        cases = [(estimator, name) for estimator in _configurations() for name in _checks(estimator)]
        metafunc.parametrize(("estimator", "check"), cases, ids=[f"{estimator!r}-{name}" for estimator, name in cases])


def test_contract(estimator, check):
    _checks(estimator)[check]()


def test_every_family_is_represented():
    assert {"OLS", "AIPW", "DRLearner"} <= set(_kinds())


@pytest.mark.long
@pytest.mark.parametrize("name", list(_kinds()))
def test_whole_contract(name):
    causalkit.testing.check_estimator(_small(_kinds()[name]))
