"""Declared parameter constraints: an estimator says what each of its fields may be, and one place enforces it.

Each function returns a dataclass field, so that a configuration reads as a table of names, defaults and limits::

    @dataclass(frozen=True, kw_only=True)
    class Lasso(Estimator["Result"]):
        penalty: float = number(1.0, low=0.0)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from causalkit.errors import DesignError

Constraint = Callable[[str, Any], Any]


def choice(default: str | None, *options: str | None) -> Any:
    """A field that takes one of ``options``."""

    def check(name: str, value: Any) -> Any:
        if value not in options:
            raise DesignError(
                f"{name}={value!r} is not an option.", hint=f"Use one of {', '.join(map(repr, options))}."
            )
        return value

    return _field(default, check)


def number(
    default: float | None,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> Any:
    """A field that takes a finite number between ``low`` and ``high`` (None too where the default is None)."""

    def check(name: str, value: Any) -> Any:
        if value is None and default is None:
            return None
        inside = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if inside:
            above = value > low if open_low else value >= low
            below = value < high if open_high else value <= high
            inside = above and below
        if not inside:
            span = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
            raise DesignError(f"{name}={value!r} is not a number in {span}.", hint=f"Pass {name} inside that range.")
        return float(value)

    return _field(default, check)


def integer(default: int | None, *, low: int | None = None, high: int | None = None) -> Any:
    """A field that takes a whole number between ``low`` and ``high`` (None too where the default is None)."""

    def check(name: str, value: Any) -> Any:
        if value is None and default is None:
            return None
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or (low is not None and value < low) or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"from {low} to {high}"
            raise DesignError(
                f"{name}={value!r} is not a whole number {limits if low is not None else ''}".strip() + "."
            )
        return int(value)

    return _field(default, check)


def flag(default: bool) -> Any:
    """A field that takes True or False."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, bool):
            raise DesignError(f"{name}={value!r} is not True or False.")
        return value

    return _field(default, check)


def seed() -> Any:
    """The ``random_state`` field: a non-negative whole number, or None to draw one that the result stores."""

    def check(name: str, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**32:
            raise DesignError(f"{name}={value!r} is not a whole number from 0 to 2**32 - 1, or None.")
        return int(value)

    return _field(None, check)


#: Learners that have a short name.
LEARNERS = ("lightgbm", "linear", "mean")


def learner() -> Any:
    """A ``regressor`` or ``classifier`` field: None (the default learner), a short name, or a scikit-learn estimator."""

    def check(name: str, value: Any) -> Any:
        # Or of its class: a stack predicts once a fit has made its final estimator.
        predicts = hasattr(value, "predict") or hasattr(type(value), "predict")
        if value is None or isinstance(value, str) or (hasattr(value, "fit") and predicts):
            if isinstance(value, str) and value not in LEARNERS:
                raise DesignError(f"{name}={value!r} is unknown.", hint=f"Use one of {', '.join(map(repr, LEARNERS))}.")
            if isinstance(value, type):
                raise DesignError(f"{name} is a class.", hint=f"Pass an instance: {name}={value.__name__}().")
            return value
        raise DesignError(
            f"{name}={value!r} is not a learner.",
            hint="Pass a scikit-learn estimator, a short name, or None for the default.",
        )

    return _field(None, check)


def constraints(owner: Any) -> dict[str, Constraint]:
    """Return the declared constraint of each field of a dataclass."""
    return {f.name: f.metadata["check"] for f in dataclasses.fields(owner) if "check" in f.metadata}


def enforce(owner: Any) -> None:
    """Check (and normalise) every declared field of a frozen dataclass; call it from ``__post_init__``."""
    for name, check in constraints(owner).items():
        object.__setattr__(owner, name, check(name, getattr(owner, name)))


def _field(default: Any, check: Constraint) -> Any:
    return dataclasses.field(default=default, metadata={"check": check})
