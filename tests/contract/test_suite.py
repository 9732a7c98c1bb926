"""The contract suite catches what it is there to catch: estimators that are broken on purpose."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.testing import check_estimator, checks_for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own(ck.OLS):
    """A user's own estimator, in no public table."""


class _Shifted(Own):
    """Adds a number that depends on what it must not depend on."""

    def estimate(self, sample):
        result = super().estimate(sample)
        numbers = result.effects.numbers
        moved = Estimate(numbers.theta + self.leak(sample), numbers.carrier)
        return dataclasses.replace(result, effects=Effects(result.effects.terms, moved))

    def leak(self, sample):
        raise NotImplementedError


class DependsOnOrder(_Shifted):
    def leak(self, sample):
        return 1e-4 * sample.outcome[0]


class DependsOnLabels(_Shifted):
    def leak(self, sample):
        return 1e-4 * len(str(sample.groups("cluster").labels[0]))


class DependsOnUnits(_Shifted):
    def leak(self, sample):
        return 1e-4


class DrawsGlobally(_Shifted):
    def leak(self, sample):
        return 1e-4 * np.random.normal()  # noqa: NPY002


class Remembers(_Shifted):
    seen: ClassVar[list[int]] = []

    def leak(self, sample):
        self.seen.append(sample.n)
        return 1e-4 * len(self.seen)


class Scribbles(Own):
    def bind(self, data, **given):
        if hasattr(data, "attrs"):
            data["fitted"] = 1.0
        return super().bind(data, **given)


class GuessesTheControl(Own):
    def bind(self, data, **given):
        if given.get("control") is None and hasattr(data, "loc"):
            given["control"] = min(map(str, data[given["treatment"]]))
        return super().bind(data, **given)


class ForgetsWeights(Own):
    def estimate(self, sample):
        columns = {role: column for role, column in sample.columns.items() if role != "weights"}
        return super().estimate(dataclasses.replace(sample, columns=columns))


class KeepsTheFrame(Own):
    def fit(self, data, **roles):
        result = super().fit(data, **roles)
        result.__dict__["frame"] = data
        return result


class SwallowsErrors(Own):
    def fit(self, data, **roles):
        try:
            return super().fit(data, **roles)
        except ck.CausalKitError:
            raise ValueError("something went wrong") from None


class PicksAnArm(Own):
    def estimate(self, sample):
        result = super().estimate(sample)
        return dataclasses.replace(result, headline=result.effects.terms[0])


CAUGHT = [
    (PicksAnArm, {"several_arms"}),
    (DependsOnOrder, {"order_of_rows"}),
    (DependsOnLabels, {"integer_labels"}),
    (DependsOnUnits, {"scale_of_outcome", "swapped_control"}),
    (DrawsGlobally, {"input_untouched", "repeatable"}),
    (Remembers, {"repeatable", "no_memory"}),
    (Scribbles, {"input_untouched"}),
    (GuessesTheControl, {"text_needs_control"}),
    (ForgetsWeights, {"repeated_rows"}),
    (KeepsTheFrame, {"frame_let_go"}),
    (SwallowsErrors, {"infinite_values", "one_arm", "unknown_column", "text_needs_control"}),
]


def failures(estimator):
    found = set()
    for name, check in checks_for(estimator, fast=True):
        try:
            check()
        except Exception:
            found.add(name)
    return found


@pytest.mark.parametrize(("kind", "checks"), CAUGHT)
def test_broken_estimators_are_caught(kind, checks):
    assert checks <= failures(kind())


def test_a_users_own_estimator_passes():
    check_estimator(Own(vcov="HC3"))


def test_all_failures_are_told_at_once():
    with pytest.raises(
        AssertionError, match=r"DependsOnUnits breaks the contract:\n(.*\n)*swapped_control: the other arm"
    ):
        check_estimator(DependsOnUnits(), fast=True)


def test_own_data(study):
    data = study.assign(outcome=study["spend"] * 1e-5)
    check_estimator(ck.OLS(), data, fast=True, outcome="outcome", treatment="offered", covariates=["age"])


@pytest.mark.parametrize("wrong", [ck.OLS, "OLS", None])
def test_only_estimators_are_checked(wrong):
    with pytest.raises(ck.DesignError, match="is not an Estimator"):
        check_estimator(wrong)


def test_roles_without_data_are_told():
    roles = {**ck.OLS.roles, "dosage": ck.OLS.roles["outcome"]}
    kind = dataclasses.make_dataclass("Panel", [], bases=(Own,), frozen=True, namespace={"roles": roles})
    with pytest.raises(ck.DesignError, match=r"no data for dosage=.*Pass data="):
        check_estimator(kind())
