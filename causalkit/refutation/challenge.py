"""A refuter: what it can detect, what it can't, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from causalkit.core.check import Check
from causalkit.refutation.trial import Trial


@dataclass(frozen=True)
class Finding:
    """What one refuter found.

    Parameters
    ----------
    check : Check
        Its verdict. A pass says that the violation it looks for was not seen, never that there is no confounding.
    power : float or None
        Probability of noticing the violation that ``planted`` names, with as many draws as were made.
    planted : str
        That violation, in words.
    """

    check: Check
    power: float | None = None
    planted: str = ""


@dataclass(frozen=True)
class Challenge:
    """One refuter.

    Parameters
    ----------
    name : str
        Name of its check.
    detects, cannot_detect : str
        The assumption whose violation it sees, and what passes it by.
    run : callable
        ``run(trial) -> Finding``; raises ``InferenceUnavailable`` where the design has no such test.
    draws : bool
        Whether it refits the analysis many times.
    """

    name: str
    detects: str
    cannot_detect: str
    run: Callable[[Trial], Finding]
    draws: bool = True
