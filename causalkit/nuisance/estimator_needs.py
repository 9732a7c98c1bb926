"""What a user's estimator asks of its inputs: the outcome in its own units, or columns by their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Floats

#: Losses and objectives of numbers from zero up (scikit-learn, LightGBM, XGBoost, CatBoost); parameters that hold them.
_FROM_ZERO = ("poisson", "gamma", "tweedie", "count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror")
_LOSSES = ("loss", "objective", "criterion", "loss_function")


def parts(model: Any) -> Iterator[tuple[str, Any]]:
    """List an estimator and the estimators inside it, each with the prefix of its parameters."""
    yield "", model
    for name, value in model.get_params(deep=True).items():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield f"{name}__", value


def from_zero(spec: Any) -> bool:
    """Tell whether an estimator learns no numbers below zero: counts, amounts (Poisson, gamma, Tweedie)."""
    return _is_estimator(spec) and any(_has_loss_from_zero(part) for _, part in parts(spec))


def in_own_units(spec: Any) -> bool:
    """Tell whether an estimator must see an outcome in its own units, since it matters to it where zero is."""
    return from_zero(spec) or (_is_estimator(spec) and any(_transforms_target(part) for _, part in parts(spec)))


def drops_columns(spec: Any) -> bool:
    """Tell whether an estimator leaves out columns that it does not name, so that one added behind them may be lost."""
    return _is_estimator(spec) and any(
        hasattr(part, "transformers") and getattr(part, "remainder", None) == "drop" for _, part in parts(spec)
    )


def names_columns(spec: Any) -> bool:
    """Tell whether an estimator picks columns by name or type, which takes a table and not an array."""
    return _is_estimator(spec) and any(
        _by_name(columns)
        for _, part in parts(spec)
        if isinstance(getattr(part, "transformers", None), list)
        and all(isinstance(step, tuple) and len(step) == 3 for step in part.transformers)
        for _, _, columns in part.transformers
    )


@dataclass(frozen=True)
class NamedColumns:
    """Covariates as a pandas table: numbers, and categories under their own labels.

    Parameters
    ----------
    names : tuple of str
        Names of the columns.
    levels : tuple of (tuple of labels or None)
        For each column its categories in the order of their codes, or None for numbers.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[object, ...] | None, ...]

    def apply(self, x: Floats) -> Any:
        """Return the table of some rows."""
        import pandas as pd

        columns = {name: self._column(x[:, j], self.levels[j]) for j, name in enumerate(self.names)}
        return pd.DataFrame(columns)

    def _column(self, values: Floats, levels: tuple[object, ...] | None) -> Any:
        import pandas as pd

        if levels is None:
            return values
        codes = np.where(np.isnan(values), -1.0, values).astype(np.int64)
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(levels)))


def _is_estimator(spec: Any) -> bool:
    return hasattr(spec, "get_params") and not isinstance(spec, type)


def _has_loss_from_zero(part: Any) -> bool:
    own = part.get_params(deep=False)
    if any(isinstance(own.get(name), str) and own[name].lower() in _FROM_ZERO for name in _LOSSES):
        return True
    if not hasattr(part, "__sklearn_tags__") or not hasattr(part, "fit"):
        return False
    return bool(getattr(part.__sklearn_tags__().target_tags, "positive_only", False))


def _transforms_target(part: Any) -> bool:
    own = part.get_params(deep=False)
    return "inverse_func" in own and (own.get("func") is not None or own.get("transformer") is not None)


def _by_name(columns: Any) -> bool:
    if isinstance(columns, slice):
        return isinstance(columns.start, str) or isinstance(columns.stop, str)
    if isinstance(columns, str) or callable(columns):
        return True
    return not np.isscalar(columns) and any(isinstance(column, str) for column in columns)


__all__ = ["NamedColumns", "drops_columns", "from_zero", "in_own_units", "names_columns", "parts"]
