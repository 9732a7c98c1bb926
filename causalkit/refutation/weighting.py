"""``ck.weight``: weights that make two arms alike, to be used by any estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints, read_only
from causalkit.refutation.balance_report import BalanceReport, propensities
from causalkit.refutation.compared_arms import Compared, compare
from causalkit.refutation.entropy import tilt

Method = Literal["entropy", "ipw"]
Target = Literal["all", "treated", "control", "overlap"]
METHODS, TARGETS = ("entropy", "ipw"), ("all", "treated", "control", "overlap")


@dataclass(frozen=True, eq=False, repr=False)
class Weighting(Report):
    """Weights that make two arms alike.

    Parameters
    ----------
    compared : Compared
        The rows.
    data : table
        The user's table.
    method : {"entropy", "ipw"}
    target : {"all", "treated", "control", "overlap"}
    own : Floats, shape (n,)
        Weights of the rows used; those of each arm sum to its number of rows.
    gradient : float or None
        Largest distance of a mean from its target, in standard deviations; None for ``"ipw"``.
    """

    compared: Compared
    data: Any
    method: str
    target: str
    own: Floats
    gradient: float | None

    plots = ("balance", "overlap")

    @property
    def weights(self) -> Floats:
        """One weight per row of the table, zero for rows that were left out; pass it as ``weights=`` to a fit."""
        return read_only(self.compared.spread(self.own))

    @cached_property
    def balance(self) -> BalanceReport:
        """Differences before and after."""
        return BalanceReport(self.compared, self.own)

    @property
    def effective_n(self) -> tuple[float, float]:
        """Effective sample size of control and treatment."""
        return self.balance.effective_n

    def estimate(self, estimator: Any, *, outcome: str, **roles: Any) -> Any:
        """Fit an estimator on the weighted rows, with the covariates in its outcome model as well.

        Parameters
        ----------
        estimator : Estimator
            One with ``weights=``, such as ``ck.OLS()`` or ``ck.AIPW()``.
        outcome : str
            Column of the table.
        **roles
            Further keywords of ``fit``.

        Returns
        -------
        Result
            Its standard error takes the weights as given.
        """
        return fit_weighted(self.compared, self.data, estimator, self.weights, outcome, roles)

    @property
    def title(self) -> str:
        """What was weighted."""
        return f"Weights that make {self.compared.arms[1]} and {self.compared.arms[0]} alike"

    @property
    def answer(self) -> str:
        """What the weights do."""
        return self.balance.answer

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Balance after weighting, and the certificate of the optimum."""
        if self.gradient is None:
            return self.balance.checks
        told = f"Means reach their targets to within {self.gradient:.1e} standard deviations."
        return self.balance.checks.joined({"certificate": Check("certificate", "pass", told, self.gradient)})

    def to_table(self) -> Table:
        """Return the balance, covariate by covariate."""
        return self.balance.to_table()

    def passages(self) -> tuple[Passage, ...]:
        """Return the balance with its figure."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "balance"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of the Love plot, or of the propensities."""
        return self.balance.plot_data(kind)


def fit_weighted(
    compared: Compared, data: Any, estimator: Any, weights: Floats, outcome: str, roles: Mapping[str, Any]
) -> Any:
    """Fit an estimator with these weights, and the treatment, covariates and levels of the comparison."""
    if "weights" not in getattr(estimator, "roles", {}):
        raise DesignError(f"{type(estimator).__name__} takes no weights.", hint="Use OLS, AIPW or DoubleML.")
    asked = compared.sample.given
    named = {
        key: asked[key] for key in ("treatment", "covariates", "control", "treatment_level") if asked[key] is not None
    }
    given = {"outcome": outcome, "weights": weights, **named, **roles}
    if len(compared.sample.arms.levels) > 2:  # an arm whose rows all weigh nothing would be missed
        rows = np.sort(compared.sample.rows.positions)
        given = {key: value[rows] if isinstance(value, np.ndarray) else value for key, value in given.items()}
        data = rows_of_table(data, rows)
    return estimator.fit(data, **given)


def rows_of_table(data: Any, rows: Ints) -> Any:
    """Return some rows of the user's table, in a table of the same kind.

    Parameters
    ----------
    data : table
        In memory, or lazy.
    rows : Ints
        Their positions.
    """
    import narwhals as nw

    if isinstance(data, Mapping):
        return {name: np.asarray(values)[rows] for name, values in data.items()}
    table = nw.from_native(data)
    eager = table.collect() if isinstance(table, nw.LazyFrame) else table
    return eager[rows.tolist()].to_native()


def weight(
    data: Any,
    *,
    treatment: str,
    covariates: Sequence[str] | str,
    control: Any = None,
    treatment_level: Any = None,
    method: Method = "entropy",
    target: Target = "all",
    moments: int = 1,
    random_state: int = 0,
) -> Weighting:
    """Weight two arms so that their covariates are alike.

    Parameters
    ----------
    data : table
        Rows with a missing treatment or covariate are left out, with a weight of zero.
    treatment : str
        Bool, 0/1, text or categories.
    covariates : str or list of str
        Measured before the treatment.
    control, treatment_level : level, optional
        The baseline of text, and the arm of interest where there are several.
    method : {"entropy", "ipw"}
        ``"entropy"``: the weights nearest to uniform whose means equal those of the target exactly (Hainmueller 2012).
        ``"ipw"``: inverse propensities, cross-fitted.
    target : {"all", "treated", "control", "overlap"}
        Whose covariates both arms are to have. ``"overlap"`` (with ``"ipw"``): people who could have been in either arm,
        weighted by the probability of the other arm (Li, Morgan and Zaslavsky 2018).
    moments : {1, 2, 3}
        Powers of numbers whose means are made equal by ``"entropy"``.
    random_state : int
        Seed of the folds of ``"ipw"``.

    Returns
    -------
    Weighting
        ``weights`` (one per row of the table), ``balance``, ``effective_n``, ``estimate(estimator, outcome=)``.

    Raises
    ------
    ConvergenceError
        If no weights reach the target; the message names the covariate.

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> found = ck.weight(data, treatment="arm", control="no_coupon", covariates=["recency", "loyalty"])
    >>> bool(abs(found.balance.after.smd).max() < 1e-8)
    True
    """
    if method not in METHODS:
        raise DesignError(f"method={method!r} is not an option.", hint="Use entropy or ipw.")
    if target not in TARGETS:
        raise DesignError(f"target={target!r} is not an option.", hint=f"Use one of {', '.join(TARGETS)}.")
    if method == "entropy" and target == "overlap":
        raise DesignError("target='overlap' has no means to aim at.", hint="Use method='ipw', or another target.")
    if moments not in (1, 2, 3):
        raise DesignError(f"moments={moments!r} is not an option.", hint="Use 1, 2 or 3.")
    compared = compare(data, treatment, covariates, control, treatment_level)
    if method == "ipw":
        raw, gradient = _inverse(compared, target, random_state), None
    else:
        raw, gradient = _entropy(compared, target, moments)
    own = np.empty(len(raw))
    for rows in (compared.treated, ~compared.treated):
        own[rows] = raw[rows] * (rows.sum() / raw[rows].sum())
    return Weighting(compared, data, method, target, read_only(own), gradient)


def _inverse(compared: Compared, target: str, random_state: int) -> Floats:
    e = propensities(compared, random_state)
    tilt_of = {"all": np.ones_like(e), "treated": e, "control": 1 - e, "overlap": e * (1 - e)}[target]
    weights: Floats = tilt_of / np.where(compared.treated, e, 1 - e)
    return weights


def _entropy(compared: Compared, target: str, moments: int) -> tuple[Floats, float]:
    names = compared.names
    center = compared.x - compared.x.mean(axis=0)
    unit = center.std(axis=0)
    x = center = center / np.where(unit > 0, unit, 1.0)  # so that no unit of measurement matters
    varies = [j for j in range(x.shape[1]) if len(np.unique(compared.x[:, j])) > 2]
    for power in range(2, moments + 1):
        x = np.column_stack([x, center[:, varies] ** power])
        names = (*names, *(f"{compared.names[j]}^{power}" for j in varies))
    treated = compared.treated
    aim = {"all": np.ones(len(x), dtype=bool), "treated": treated, "control": ~treated}[target]
    goal = x[aim].mean(axis=0)
    weights, worst = np.ones(len(x)), 0.0
    for rows, arm in ((~treated, compared.arms[0]), (treated, compared.arms[1])):
        if target != "all" and bool(rows[aim].all()) and aim.sum() == rows.sum():
            continue  # the target itself keeps its weights of one
        found = tilt(x[rows], goal, np.ones(int(rows.sum())), names, fmt.label(arm))
        weights[rows] = found.weights
        worst = max(worst, found.gradient)
    return weights, worst
