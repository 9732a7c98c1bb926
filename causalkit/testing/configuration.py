"""A configuration can be written down, read back, and is refused where it is misspelt."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import causalkit
from causalkit.errors import DesignError
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject


def _writable(subject: Subject) -> bool:
    try:
        subject.estimator.to_dict()
    except DesignError:
        return False
    return True


@probe(when=lambda s: bool(s.estimator.params()))
def misspelt_field(subject: Subject) -> None:
    """A field that does not exist is refused wherever it is named, with the nearest that does."""
    estimator = subject.estimator
    field = next(iter(estimator.params()))
    wrong = f"{field}z"
    calls: dict[str, Callable[[], Any]] = {
        "replace": partial(estimator.replace, **{wrong: 1}),
        "from_dict": partial(type(estimator).from_dict, {"name": type(estimator).__name__, wrong: 1}),
    }
    for told, call in calls.items():
        try:
            call()
        except DesignError as error:
            require("Did you mean" in str(error) and repr(field) in str(error), f"{told}: {error}")
            continue
        raise AssertionError(f"{told} accepted the field {wrong!r}.")
    try:
        type(estimator)(**{wrong: 1})
    except TypeError:
        return
    raise AssertionError(f"{type(estimator).__name__}({wrong}=1) was accepted.")


@probe(when=_writable)
def written_and_read(subject: Subject) -> None:
    """TOML, JSON and dictionaries bring back an equal estimator."""
    estimator = subject.estimator
    kind = type(estimator)
    copies: dict[str, Any] = {
        "TOML": kind.from_toml(estimator.to_toml()),
        "JSON": kind.from_json(estimator.to_json()),
        "a dictionary": kind.from_dict(json.loads(json.dumps(estimator.to_dict()))),
    }
    for told, copy in copies.items():
        require(copy == estimator and type(copy) is kind, f"{told} brings back {copy!r}.")


@probe(when=_writable)
def readable_repr(subject: Subject) -> None:
    """The repr is the code that makes the estimator."""
    estimator = subject.estimator
    names = {type(estimator).__name__: type(estimator), "causalkit": causalkit}
    require(eval(repr(estimator), {"__builtins__": {}}, names) == estimator, f"the repr is {estimator!r}.")


@probe()
def replaced(subject: Subject) -> None:
    """``replace`` returns an equal copy where nothing changes, and a hash goes with equality."""
    estimator = subject.estimator
    require(estimator.replace() == estimator, "replace() changes something.")
    if _writable(subject):
        require(hash(estimator.replace()) == hash(estimator), "equal estimators have different hashes.")


@probe(when=lambda s: s.draws)
def seed_limits(subject: Subject) -> None:
    """A seed is a whole number that is not negative."""
    for seed in (-1, 1.5, "1", True):
        try:
            subject.estimator.replace(random_state=seed)
        except DesignError:
            continue
        raise AssertionError(f"random_state={seed!r} was accepted.")


@probe()
def declared(subject: Subject) -> None:
    """Roles are declared, are keywords of ``fit``, and fields have defaults."""
    estimator = subject.estimator
    require(estimator.roles, "no roles are declared.")
    for role in estimator.roles:
        require(subject.accepts(role), f"the role {role!r} is no keyword of fit.")
    for field in dataclasses.fields(estimator):
        require(field.kw_only, f"the field {field.name!r} can be given by position.")
    assignment = estimator.assignment
    require(assignment is None or assignment.role in estimator.roles, "the assigned role is not declared.")
