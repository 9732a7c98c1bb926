"""Which arm is the baseline is said, never guessed, and the sign follows it."""

from __future__ import annotations

from typing import Any

from causalkit.core.result import Result
from causalkit.errors import DesignError
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject


def _two_arms(subject: Subject) -> bool:
    return subject.has_arms and subject.data[subject.column("treatment")].nunique() == 2


def _levels(subject: Subject) -> tuple[Any, Any]:
    control = subject.keywords["control"]
    return control, next(v for v in subject.data[subject.column("treatment")].unique() if v != control)


@probe(when=lambda s: _two_arms(s) and isinstance(s.base, Result))
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
