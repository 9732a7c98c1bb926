"""Which arm is the baseline is said, never guessed, and the sign follows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.core.estimate import Influence
from causalkit.core.result import Result
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject


def _two_arms(subject: Subject) -> bool:
    return subject.has_arms and subject.data[subject.column("treatment")].nunique() == 2


def _levels(subject: Subject) -> tuple[Any, Any]:
    control = subject.keywords["control"]
    return control, next(v for v in subject.data[subject.column("treatment")].unique() if v != control)


def _has_a_sign(subject: Subject) -> bool:
    """Whether the effect has the direction of a contrast of arms; a rule that chooses among arms has none."""
    return _two_arms(subject) and isinstance(subject.base, Result) and not hasattr(subject.base, "assign")


@probe(when=_has_a_sign)
def swapped_control(subject: Subject) -> None:
    """Naming the other arm as the control turns the sign of the effect."""
    _, treated = _levels(subject)
    swapped = subject.fit(control=treated)
    subject.require_same(swapped, "the other arm as control", factor=-1.0)
    require(swapped.estimand != subject.base.estimand, "the estimand does not say that the arms changed places.")


@probe(when=_two_arms)
def text_needs_control(subject: Subject) -> None:
    """Arms of text without ``control=`` are refused, and the message names the levels."""
    control, treated = _levels(subject)
    if not isinstance(control, str):
        return
    try:
        subject.fit(control=None)
    except DesignError as error:
        named = repr(control) in str(error) and repr(treated) in str(error) and "control=" in str(error)
        require(named, f"the error does not name both arms and control=: {error}")
        return
    raise AssertionError("arms of text were accepted without control=: the alphabet chose the baseline.")


@probe(when=_two_arms)
def alphabet(subject: Subject) -> None:
    """The order of the names of the arms has no influence."""
    name = str(subject.column("treatment"))
    control, treated = _levels(subject)
    first, last = ("a", "z")
    for base, other in ((first, last), (last, first)):
        data = subject.data.assign(**{name: subject.data[name].map({control: base, treated: other})})
        subject.require_same(subject.fit(data, control=base), f"arms {other!r} minus {base!r}")


@probe(when=lambda s: _two_arms(s) and isinstance(s.base, Result))
def words(subject: Subject) -> None:
    """The result says what was compared."""
    control, treated = _levels(subject)
    said = f"{treated} minus {control}"
    require(said in subject.base.summary(), f"the summary does not say {said!r}.")


def _compares_arms(subject: Subject) -> bool:
    """Whether the effects are contrasts of arms (and not, say, areas under a curve)."""
    if not (_two_arms(subject) and isinstance(subject.base, Result) and subject.accepts("treatment_level")):
        return False
    control, treated = _levels(subject)
    return isinstance(control, str) and subject.base.effects.terms == (f"{treated} minus {control}",)


@probe(when=_compares_arms)
def several_arms(subject: Subject) -> None:
    """Of several arms none is the headline until ``treatment_level`` names it; then it is that one."""
    name = str(subject.column("treatment"))
    control, treated = _levels(subject)
    third = f"another {treated}"
    arm = subject.data[name].where(np.arange(len(subject.data)) % 3 != 0, third)
    data = subject.data.assign(**{name: arm})
    result = subject.fit(data)
    terms = {f"{level} minus {control}" for level in (treated, third)}
    require(set(result.effects.terms) == terms, f"the effects of three arms are {result.effects.terms}.")
    for number in ("estimate", "se", "pvalue"):
        try:
            getattr(result, number)
        except InferenceUnavailable as error:
            told = all(term in str(error) for term in terms) and "treatment_level=" in str(error)
            require(told, f"the error does not list the terms and treatment_level=: {error}")
            continue
        raise AssertionError(f"{number} of three arms is a number though none was named.")
    require(all(term in result.summary() for term in terms), "the summary leaves out an arm.")
    require(len(list(result.passages())) > 0 and len(result.to_dict()["table"]) == len(terms), "an arm is not shown.")
    for kind in result.plots:
        result.plot_data(kind)
    subject.require_same(result.refit(), "a refit of three arms", reference=result)
    if isinstance(result.effects.numbers.carrier, Influence):
        require(set((result - result).effects.terms) == terms, "results of three arms do not subtract arm by arm.")
    for level in (treated, third):
        named = subject.fit(data, treatment_level=level)
        require(named.headline == f"{level} minus {control}", f"the headline is {named.headline}, not that of {level}.")


@probe(when=_two_arms)
def unknown_level(subject: Subject) -> None:
    """A control or arm of interest that does not occur is refused, and the message names the levels."""
    for keyword in ("control", "treatment_level"):
        if not subject.accepts(keyword):
            continue
        try:
            subject.fit(**{keyword: "no such arm"})
        except DesignError as error:
            require("'no such arm'" in str(error) and repr(_levels(subject)[0]) in str(error), f"not said: {error}")
            continue
        raise AssertionError(f"{keyword}='no such arm' was accepted.")
