"""Roles: what a column is for. An estimator declares them; :mod:`causalkit.core.design` binds them to a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "weights", "treatment", "label", "cohort", "features", "propensity"]
Level = Literal["row", "unit", "cluster"]

#: Keywords of ``fit`` that are not columns.
LEVELS = ("control", "treatment_level")
OPTIONS = ("missing", "effect", "cost")


@dataclass(frozen=True)
class Role:
    """What an estimator needs of one role.

    Parameters
    ----------
    kind : {"number", "weights", "treatment", "label", "cohort", "features", "propensity"}
        ``number``: one numeric column. ``weights``: numbers that are not negative. ``treatment``: arms or a dose.
        ``label``: identifiers of any type. ``cohort``: when a unit is first treated, missing or infinite where it
        never is. ``features``: columns of numbers and categories. ``propensity``: a number
        or a column of probabilities.
    required : bool
        Whether ``fit`` needs it.
    many : bool
        Whether it may name several columns.
    native_missing : bool
        Whether missing values may stay (``missing="native"``).
    treatment : {"arm", "dose", "either"}
        What a treatment may be.
    """

    kind: Kind
    required: bool = True
    many: bool = False
    native_missing: bool = False
    treatment: Literal["arm", "dose", "either"] = "arm"


@dataclass(frozen=True)
class Assignment:
    """Which role is assigned, and at which level: what a placebo or a randomization test may permute.

    Parameters
    ----------
    role : str
        The assigned role, such as ``"treatment"``.
    level : {"row", "unit", "cluster"}
        The level of assignment where the fit names no cluster.
    """

    role: str = "treatment"
    level: Level = "row"
