"""Declared constraints of configuration fields."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.errors import DesignError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toy(Estimator[object]):
    kind: str = params.choice("a", "a", "b")
    size: float = params.number(1.0, low=0.0, high=2.0, open_low=True)
    width: float | None = params.number(None, low=0.0, high=1.0, open_high=True)
    count: int = params.integer(3, low=1, high=9)
    more: int | None = params.integer(None, low=1)
    on: bool = params.flag(False)
    random_state: int | None = params.seed()
    regressor: object = params.learner()


ACCEPTED = [
    ("kind", "b", "b"), ("size", 2, 2.0), ("size", np.float32(0.5), 0.5), ("width", None, None), ("width", 0, 0.0),
    ("count", np.int8(9), 9), ("more", None, None), ("more", 10**6, 10**6), ("on", True, True),
    ("random_state", None, None), ("random_state", np.uint32(2**32 - 1), 2**32 - 1), ("regressor", "linear", "linear"),
]  # fmt: skip

REFUSED = [
    ("kind", "c", "'a', 'b'"), ("kind", None, "'a', 'b'"), ("size", 0.0, r"\(0, 2\]"), ("size", 2.1, r"\(0, 2\]"),
    ("size", float("nan"), r"\(0, 2\]"), ("size", True, r"\(0, 2\]"), ("size", "1", r"\(0, 2\]"), ("size", None, r"\(0, 2\]"),
    ("width", 1.0, r"\[0, 1\)"), ("count", 0, "from 1 to 9"), ("count", 1.0, "whole number"), ("count", True, "whole number"),
    ("count", None, "whole number"), ("more", 0, "at least 1"), ("on", 1, "True or False"), ("random_state", -1, "2\\*\\*32"),
    ("random_state", 2**32, "2\\*\\*32"), ("random_state", 0.0, "2\\*\\*32"), ("random_state", True, "2\\*\\*32"),
    ("regressor", 3, "not a learner"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "kept"), ACCEPTED)
def test_accepted(field, value, kept):
    found = getattr(Toy(**{field: value}), field)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(("field", "value", "message"), REFUSED)
def test_refused(field, value, message):
    with pytest.raises(DesignError, match=message) as caught:
        Toy(**{field: value})
    assert field in str(caught.value)
    with pytest.raises(DesignError, match=message):
        Toy().replace(**{field: value})


def test_a_class_is_no_learner():
    class Learner:
        def fit(self, X, y): ...

        def predict(self, X): ...

    assert isinstance(Toy(regressor=Learner()).regressor, Learner)
    with pytest.raises(DesignError, match=r"is a class.*regressor=Learner\(\)"):
        Toy(regressor=Learner)


def test_files_hold_what_differs_from_the_defaults():
    toy = Toy(kind="b", width=0.25, on=True, random_state=4)
    assert toy.to_dict() == {"name": "Toy", "kind": "b", "width": 0.25, "on": True, "random_state": 4}
    assert Toy.from_toml(toy.to_toml()) == toy
    assert Toy.from_json(toy.to_json()) == toy
    assert eval(repr(toy), {"Toy": Toy}) == toy


def test_objects_do_not_go_into_files():
    class Learner:
        fit = predict = None

    with pytest.raises(DesignError, match="can't be written to a file"):
        Toy(regressor=Learner()).to_toml()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "Nothing"}, "no 'Nothing'"),
        ({"name": "difference"}, "'difference' is not an estimator"),
        ({"name": "datasets"}, "'datasets' is not an estimator"),
        ({"name": 5}, "name=5 is not the name"),
        ({"name": "OLS", "vcof": "HC1"}, r"no field 'vcof'\. Did you mean 'vcov'\?"),
        ({"name": "OLS", "vcov": ["HC1"]}, "is not an option"),
    ],
)
def test_broken_configurations(config, message):
    with pytest.raises(DesignError, match=message):
        Estimator.from_dict(config)


def test_a_text_without_an_estimator():
    with pytest.raises(DesignError, match=r"no \[estimator\] table"):
        Estimator.from_toml("[data]\n")


def test_a_seed_is_drawn_once_and_kept():
    assert Toy(random_state=3).seeded().random_state == 3
    drawn = {Toy().seeded().random_state for _ in range(5)}
    assert len(drawn) == 5
    assert None not in drawn
