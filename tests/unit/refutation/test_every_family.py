"""``ck.refute`` and ``ck.sensitivity`` on a result of every public estimator: no NaN, no verdict against its p-value."""

from __future__ import annotations

import dataclasses
import math

import pytest

import causalkit as ck
from causalkit.core.estimator import Estimator
from causalkit.errors import InferenceUnavailable
from causalkit.testing.table import study

#: What makes a fit take milliseconds, where an estimator has the field.
QUICK = {
    "random_state": 0,
    "n_folds": 2,
    "n_boot": 10,
    "n_trees": 100,
    "boundary": ((0.0,),),
    "regressor": "linear",
    "classifier": "linear",
}
#: A test of each kind of alteration.
TESTS = ("placebo_treatment", "random_common_cause", "bootstrap")
#: A family each, whose twenty refits take a second at most; ``pytest -m long`` runs all tests on all estimators.
QUICKLY = {
    "OLS",
    "IV",
    "MarginalTreatmentEffects",
    "ShiftShareIV",
    "TWFE",
    "ImputationDiD",
    "DCDH",
    "TwoStageDiD",
    "DoubleML",
}
#: Its inference is by placebos: it has no standard error.
WITHOUT_DRAWS = {"LocalRandomizationRD"}


def _kinds():
    public = {name: getattr(ck, name) for name in ck._PUBLIC}
    return {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Estimator)}


def _fitted(kind):
    fields = {field.name for field in dataclasses.fields(kind)}
    data, roles = study(kind.roles)
    roles.pop("weights", None)  # with them the doubly robust measures have no say
    return kind(**{name: value for name, value in QUICK.items() if name in fields}).fit(data, **roles)


@pytest.mark.parametrize("name", sorted(_kinds()))
def test_every_estimator_has_a_sensitivity(name):
    found = ck.sensitivity(_fitted(_kinds()[name]))
    assert "nan" not in found.summary()
    for measure in found.measures:
        assert measure.said
        assert "proves" not in measure.said
    for kind in found.plots:
        assert found.plot_data(kind)
    if found.strength is not None:
        assert 0 <= found.robustness_value_alpha <= found.robustness_value <= 1


def _refuted(name, tests):
    result, ran = _fitted(_kinds()[name]), 0
    for test in tests:
        try:
            refuted = ck.refute(result, tests=test, n_sim=20)
        except InferenceUnavailable:  # the test has no meaning here
            continue
        ran += 1
        check = refuted.checks[test]
        assert (check.status == "fail") == (check.pvalue < 0.05)
        assert 0 < check.pvalue <= 1
        assert check.statistic is not None
        assert math.isfinite(check.statistic)
        assert "not measured" in refuted.answer or "can't be tested" in refuted.answer
    return ran


@pytest.mark.parametrize("name", sorted(QUICKLY))
def test_a_verdict_follows_its_pvalue(name):
    assert _refuted(name, TESTS[:2])


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(_kinds()))
def test_every_estimator_can_be_refuted(name):
    assert _refuted(name, TESTS) or name in WITHOUT_DRAWS
