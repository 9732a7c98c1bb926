"""Whether a set of covariates removes confounding, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdjustmentVerdict:
    """Whether a set removes confounding, and if not, why.

    Parameters
    ----------
    valid : bool
        The verdict; the object is true where it is.
    reason : str
        In words.
    open_path : tuple of str
        A path that is not causal and stays open, where that is the reason.
    forbidden : tuple of str
        Members that no valid set may hold, where that is the reason.
    """

    valid: bool
    reason: str
    open_path: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.valid
