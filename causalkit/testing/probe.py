"""What a check is, and the words in which it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalkit.testing.subject import Subject

Body = Callable[["Subject"], None]


@dataclass(frozen=True)
class Probe:
    """One check of the contract.

    Parameters
    ----------
    name : str
        What is promised.
    body : callable
        Raises AssertionError where the promise is broken.
    applies : callable
        Whether a subject makes this promise at all.
    slow : bool
        Left out by ``fast=True``.
    """

    name: str
    body: Body
    applies: Callable[[Subject], bool]
    slow: bool = False


PROBES: list[Probe] = []


def probe(*, when: Callable[[Subject], bool] = lambda _: True, slow: bool = False) -> Callable[[Body], Body]:
    """Register a function as a check of the contract, under its own name."""

    def register(body: Body) -> Body:
        PROBES.append(Probe(body.__name__, body, when, slow))
        return body

    return register


def require(held: object, otherwise: str) -> None:
    """Raise AssertionError unless the condition holds (``assert`` would vanish under ``python -O``)."""
    if not held:
        raise AssertionError(otherwise)
