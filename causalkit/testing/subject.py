"""The estimator under test with its data: fits, comparisons, and what a result says row by row."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.design import names_of
from causalkit.core.estimator import Estimator
from causalkit.core.result import Result
from causalkit.core.roles import Role
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.testing.probe import require
from causalkit.testing.table import is_panel, study

if TYPE_CHECKING:
    import pandas as pd

#: The promise of every invariance, relative to the larger of |theta| and sd(y).
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Subject:
    """An estimator, a table and the keywords of ``fit``.

    Parameters
    ----------
    estimator : Estimator
        The configuration under test.
    data : DataFrame
        The study.
    keywords : mapping
        Columns by role, ``control`` and other keywords.
    fast : bool
        Whether the costly variants of a check are left out.
    """

    estimator: Estimator[Any]
    data: pd.DataFrame
    keywords: Mapping[str, Any]
    fast: bool = False

    @classmethod
    def of(cls, estimator: Estimator[Any], data: Any, keywords: Mapping[str, Any], fast: bool) -> Subject:
        """Generate what was not given."""
        if data is not None:
            return cls(estimator, data.copy(), dict(keywords), fast)
        made, suggested = study(estimator.roles)
        subject = cls(estimator, made, {**suggested, **keywords}, fast)
        known = {key: value for key, value in subject.keywords.items() if subject.accepts(key)}
        return replace(subject, keywords=known)._without_useless_cluster()

    # Fits.

    def fit(self, data: Any = None, /, **changes: Any) -> Any:
        """Fit, with some keywords changed (None leaves one out)."""
        keywords = {key: value for key, value in {**self.keywords, **changes}.items() if value is not None}
        # A copy, so that an estimator that writes into its table can't hide that by having done so before.
        return self.estimator.fit(self.data.copy() if data is None else data, **keywords)  # type: ignore[attr-defined]

    def bind(self, data: Any = None, /, **changes: Any) -> Any:
        """Bind only: validation without the computation."""
        keywords = {key: value for key, value in {**self.keywords, **changes}.items() if value is not None}
        return self.estimator.bind(self.data if data is None else data, **keywords)

    def _without_useless_cluster(self) -> Subject:
        """Leave out the cluster where the configuration has no use for one (``vcov="HC1"``)."""
        try:
            _ = self.base
        except DesignError as error:
            if "cluster" not in self.keywords or "cluster" not in str(error):
                raise
            return replace(self, keywords={k: v for k, v in self.keywords.items() if k != "cluster"})
        return self

    @cached_property
    def base(self) -> Any:
        """The fit that others are compared with."""
        return self.fit()

    # Roles.

    def roles(self, *kinds: str) -> dict[str, Role]:
        """Return the roles in use, of some kinds."""
        return {r: s for r, s in self.estimator.roles.items() if r in self.keywords and (not kinds or s.kind in kinds)}

    def columns(self, *kinds: str) -> list[tuple[str, str]]:
        """Return (role, column) for the columns in use."""
        return [(role, name) for role in self.roles(*kinds) for name in names_of(self.keywords[role])]

    def column(self, role: str) -> str | None:
        """Return the one column of a role, where it has one."""
        names = names_of(self.keywords.get(role))
        return names[0] if len(names) == 1 else None

    @property
    def has_arms(self) -> bool:
        """Whether the treatment is a column of named arms."""
        return "control" in self.keywords and self.column("treatment") is not None

    @property
    def is_panel(self) -> bool:
        """Whether the study is a panel of units that are first treated at different times."""
        return is_panel(self.estimator.roles)

    @property
    def draws(self) -> bool:
        """Whether the estimator draws anything."""
        return hasattr(self.estimator, "random_state")

    def new_people(self) -> pd.DataFrame:
        """Return rows that are not those of the fit: the covariates of others, column by column."""
        columns = [name for _, name in self.columns("features")]
        return self.data.assign(**{name: np.roll(self.data[name], 3 * j + 1) for j, name in enumerate(columns)})

    def accepts(self, keyword: str) -> bool:
        """Whether ``fit`` has this keyword."""
        known = inspect.signature(self.estimator.fit).parameters  # type: ignore[attr-defined]
        return keyword in known or any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())

    # Comparisons.

    @property
    def spread(self) -> float:
        """Standard deviation of the outcome (1 where there is none)."""
        name = self.column("outcome")
        return float(np.std(self.data[name].to_numpy(float))) if name else 1.0

    def require_same(self, result: Any, told: str, *, factor: float = 1.0, reference: Any = None) -> None:
        """Require the numbers of the base fit, multiplied by ``factor``; standard errors by its absolute value."""
        wanted, found = numbers(self.base if reference is None else reference), numbers(result)
        require(wanted.keys() == found.keys(), f"{told}: the answer has {list(found)}, not {list(wanted)}.")
        for name, before in wanted.items():
            by = abs(factor) if name == "se" else factor
            scale = max(self.spread, float(np.abs(wanted["estimate"]).max(initial=0.0)))
            self.require_close(found[name] / by, before, f"{told}: {name}", scale)

    def require_close(self, found: Any, wanted: Any, told: str, scale: float | None = None) -> None:
        """Require two arrays to agree to 1e-8 of the scale of the outcome."""
        found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
        require(found.shape == wanted.shape, f"{told} has shape {found.shape}, not {wanted.shape}.")
        limit = TOLERANCE * (max(self.spread, float(np.abs(wanted).max(initial=0.0))) if scale is None else scale)
        gap = np.abs(found - wanted)
        silent = np.isnan(found) != np.isnan(wanted)
        worst = float(np.nanmax(gap, initial=0.0))
        require(worst <= limit and not silent.any(), f"{told} moved by {worst:.3g} (allowed: {limit:.3g}).")


def numbers(result: Any) -> dict[str, Floats]:
    """Return the estimates and, where there are any, the standard errors; of a report, the numbers of its table."""
    if isinstance(result, Result):
        found = {"estimate": result.effects.values}
        with contextlib.suppress(InferenceUnavailable):
            found["se"] = result.effects.se
        return found
    frame = result.to_frame().select_dtypes("number")
    return {"estimate": frame.to_numpy(dtype=float).ravel()}


def rowwise(result: Any, data: Any = None) -> Floats | None:
    """Return what a fitted model predicts for each row, or None for results that predict nothing."""
    predict = getattr(result, "cate", None)
    if not callable(predict):
        return None
    if data is None and inspect.signature(predict).parameters["data"].default is inspect.Parameter.empty:
        return None
    return np.asarray(predict() if data is None else predict(data), dtype=float)
