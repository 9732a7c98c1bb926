"""``rdd.bandwidths``: what every selector would choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from causalkit.errors import DesignError
from causalkit.rdd.bandwidth_rules import RULES, Selection
from causalkit.rdd.rd_sample import plan_of, rows_of
from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity

if TYPE_CHECKING:
    import pandas as pd


def bandwidths(
    data: Any,
    *,
    estimator: RegressionDiscontinuity | None = None,
    outcome: Any = None,
    running: Any = None,
    treatment: Any = None,
    covariates: Sequence[str] | str = (),
    control: Any = None,
    cluster: Any = None,
    weights: Any = None,
) -> pd.DataFrame:
    """Return the bandwidths that all ten rules choose, from one pass over the data.

    Parameters
    ----------
    data : table or RegressionDiscontinuityResult
        The table, or a fitted result (whose rows and configuration are then used).
    estimator : RegressionDiscontinuity, optional
        The configuration; the default one unless given.
    outcome, running, treatment, covariates, control, cluster, weights
        As for ``RegressionDiscontinuity.fit``; not with a fitted result, which brings its own.

    Returns
    -------
    DataFrame
        Columns ``rule left right bias_left bias_right``.

    Raises
    ------
    DataError, DesignError
        As the fit does.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"margin": rng.uniform(-1, 1, 500)})
    >>> table["vote"] = table["margin"] + rng.normal(size=500)
    >>> list(ck.rdd.bandwidths(table, outcome="vote", running="margin").columns)
    ['rule', 'left', 'right', 'bias_left', 'bias_right']
    """
    import pandas as pd

    from causalkit.rdd.rd_result import RegressionDiscontinuityResult

    given = {
        "outcome": outcome,
        "running": running,
        "treatment": treatment,
        "covariates": covariates,
        "control": control,
        "cluster": cluster,
        "weights": weights,
    }
    roles = {
        role: value for role, value in given.items() if not (value is None or (isinstance(value, tuple) and not value))
    }
    if isinstance(data, RegressionDiscontinuityResult):
        if roles or estimator is not None:
            raise DesignError("a fitted result brings its own roles.", hint="Pass the result alone.")
        selection = Selection(data._rows.split, data._plan)
    else:
        chosen = RegressionDiscontinuity() if estimator is None else estimator
        sample = chosen.bind(data, **roles)
        selection = Selection(rows_of(sample, chosen).split, plan_of(chosen, bool(sample.several("cluster"))))
    return pd.DataFrame([{"rule": rule, **selection[rule]._asdict()} for rule in RULES])
