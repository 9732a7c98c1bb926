"""Predicted effects of a fitted model of another library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalkit.core.sample import Arms
from causalkit.data.frame import Frame
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats


def foreign_effect(data: Any, model: Any, covariates: Any, arms: Callable[[], Arms]) -> Floats:
    """Return a model's effects on the rows of a table, by its ``effect(X)`` or ``predict(X)``.

    A model of arms, such as econml's, is asked for the arms that are compared here: its own default is its first two.

    Parameters
    ----------
    data : table
    model : object
        With a method ``effect`` or ``predict``.
    covariates : str or list of str
        Columns in the order of the model's fit.
    arms : callable
        Binds the treatment, where it is needed.

    Raises
    ------
    DesignError
        If there are no covariates, or the model can't predict from them, or not one number for each row.
    """
    names = [covariates] if isinstance(covariates, str) else list(covariates or ())
    if not names:
        raise DesignError(
            f"effect= is a {type(model).__name__}, which needs covariates.",
            hint="Pass covariates= in the order of its fit.",
        )
    table = Frame.read(data).select(names).collect().table.to_native()
    call, asked = model.predict if not hasattr(model, "effect") else model.effect, {}
    if getattr(model, "discrete_treatment", False) and hasattr(model, "effect"):
        compared = arms()
        asked = {"T0": compared.control, "T1": compared.treatment_level}
    try:
        found = np.atleast_1d(np.asarray(call(table, **asked), dtype=float))
    except Exception as error:  # whatever another library raises
        raise DesignError(
            f"{type(model).__name__} can't predict from the columns {', '.join(names)}: {error}.",
            hint="Pass covariates= in the order of its fit, and arms that it was fitted with.",
        ) from error
    if found.size != len(found):
        raise DesignError(
            f"{type(model).__name__} predicts an array of shape {found.shape}.",
            hint="Pass the column of the arm of interest as an array.",
        )
    return found.reshape(-1)


__all__ = ["foreign_effect"]
