"""``ck.balance``: are two arms alike, before and after weights, and how many people do the weights leave?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.effects.checks import LARGE, NOTICEABLE
from causalkit.kernels.arrays import Bools, Floats
from causalkit.refutation.compared_arms import Compared, compare


@dataclass(frozen=True, eq=False, repr=False)
class BalanceReport(Report):
    """How alike two arms are.

    Parameters
    ----------
    compared : Compared
        The rows.
    weights : Floats, shape (n,), or None
        Weights that are to make the arms alike.
    """

    compared: Compared
    weights: Floats | None

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        return ("balance", "overlap")

    @cached_property
    def before(self) -> Gaps:
        """Differences as observed."""
        return gaps(self.compared.x, self.compared.treated, np.ones(self.compared.sample.n))

    @cached_property
    def after(self) -> Gaps | None:
        """Differences after weighting; None without weights."""
        if self.weights is None:
            return None
        return gaps(self.compared.x, self.compared.treated, self.weights, self.before.unit)

    @property
    def effective_n(self) -> tuple[float, float]:
        """Effective sample size of control and treatment: (sum w)^2 / sum w^2 (Kish 1965)."""
        w = np.ones(self.compared.sample.n) if self.weights is None else self.weights
        return tuple(
            float(part.sum() ** 2 / (part @ part)) for part in (w[~self.compared.treated], w[self.compared.treated])
        )  # type: ignore[return-value]

    @property
    def title(self) -> str:
        """What is compared."""
        control, arm = self.compared.arms
        return f"Balance of {arm} and {control}"

    @property
    def answer(self) -> str:
        """The largest difference, before and after."""
        names, before = self.compared.names, np.abs(self.before.smd)
        worst = int(np.argmax(before))
        said = f"The largest difference is {fmt.number(before[worst], 2)} standard deviations ({names[worst]})"
        if self.after is None:
            return f"{said}."
        after = np.abs(self.after.smd)
        left = int(np.argmax(after))
        few = " and ".join(
            f"{fmt.number(n, 3)} in {arm}" for n, arm in zip(self.effective_n, self.compared.arms, strict=True)
        )
        return (
            f"{said}; after weighting {fmt.number(after[left], 2)} ({names[left]}). The weights leave as many as {few}."
        )

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether the arms are alike, after the weights if there are any."""
        shown = self.before if self.after is None else self.after
        worst = float(np.abs(shown.smd).max())
        status = "pass" if worst <= NOTICEABLE else "warn" if worst <= LARGE else "fail"
        advice = (
            ""
            if status == "pass"
            else "Weight or match on these covariates, and adjust for them in the outcome as well."
        )
        return Checks({"balance": Check("balance", status, self.answer, advice=advice)})  # type: ignore[arg-type]

    def to_table(self) -> Table:
        """Return a row per covariate, the largest difference first."""
        first, last = self.before, self.after
        names = ("covariate", *(f"mean {arm}" for arm in self.compared.arms), "difference", "variance ratio", "KS")
        rows = []
        for j in np.argsort(-np.abs(first.smd), kind="stable"):
            row: tuple[Any, ...] = (
                self.compared.names[j],
                *map(float, first.means[:, j]),
                float(first.smd[j]),
                float(first.ratio[j]),
                float(first.ks[j]),
            )
            if last is not None:
                row += (float(last.smd[j]), float(last.ratio[j]), float(last.ks[j]))
            rows.append(row)
        if last is not None:
            names += ("difference after", "variance ratio after", "KS after")
        return Table.of(names, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the table with the Love plot."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "balance"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the differences, or the propensities by arm."""
        if kind == "balance":
            out = {"title": self.title, "covariates": self.compared.names, "difference": self.before.smd}
            if self.after is not None:
                out["adjusted"] = self.after.smd
            return {**out, "thresholds": [NOTICEABLE, LARGE]}
        chance = propensities(self.compared)
        control, arm = self.compared.arms
        return {
            "title": self.title,
            "arms": [control, arm],
            "values": [chance[~self.compared.treated], chance[self.compared.treated]],
            "low": 0.05,
            "high": 0.95,
            "xlabel": f"Probability of {arm}",
        }


@dataclass(frozen=True, eq=False)
class Gaps:
    """Differences between two arms, column by column.

    Parameters
    ----------
    means : Floats, shape (2, p)
        Means of control and treatment.
    unit : Floats, shape (p,)
        Square root of the mean of the two variances, as observed.
    smd : Floats, shape (p,)
        Treatment minus control, in that unit.
    ratio : Floats, shape (p,)
        Variance of the treated over that of the control.
    ks : Floats, shape (p,)
        Largest distance of the two distribution functions.
    """

    means: Floats
    unit: Floats
    smd: Floats
    ratio: Floats
    ks: Floats


def gaps(x: Floats, treated: Bools, weights: Floats, unit: Floats | None = None) -> Gaps:
    """Compare two arms.

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates.
    treated : Bools, shape (n,)
        The arm of interest.
    weights : Floats, shape (n,)
        Weights; zero leaves a row out.
    unit : Floats, shape (p,), optional
        Unit of the standardised difference; by default that of these weights.
    """
    means, variances, steps = [], [], []
    for rows in (~treated, treated):
        share = weights * rows / np.sum(weights[rows])
        pivot = x[int(np.argmax(rows))]
        near = share @ (x - pivot)
        means.append(near + pivot)
        effective = 1 / float(share @ share)
        variances.append(share @ (x - means[-1]) ** 2 * effective / max(effective - 1, 1e-12))
        steps.append(share)
    if unit is None:
        unit = np.sqrt((variances[0] + variances[1]) / 2)
    gap = means[1] - means[0]
    gap = np.where(np.abs(gap) > 1e-12 * np.maximum(np.abs(means[0]), np.abs(means[1])), gap, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Arms that differ where neither varies could not be further apart.
        smd = np.where(gap == 0.0, 0.0, gap / unit)
        ratio = np.where(variances[1] == variances[0], 1.0, variances[1] / variances[0])
    return Gaps(np.array(means), unit, smd, ratio, _ks(x, steps[1] - steps[0]))


def _ks(x: Floats, step: Floats) -> Floats:
    """Largest distance of two weighted distribution functions; ties are stepped over as one."""
    out = np.empty(x.shape[1])
    for j, column in enumerate(x.T):
        order = np.argsort(column, kind="stable")
        distance = np.cumsum(step[order])
        last = np.r_[np.diff(column[order]) > 0, True]
        out[j] = np.abs(distance[last]).max()
    return out


def propensities(compared: Compared, random_state: int = 0) -> Floats:
    """Return the probability of treatment, out of fold, by the default classifier.

    Parameters
    ----------
    compared : Compared
        The rows.
    random_state : int
        Seed of the folds.
    """
    from causalkit.nuisance.crossfit import make_folds
    from causalkit.nuisance.propensity import estimate_propensity

    sample = compared.sample
    folds = make_folds(sample.n, 5, arms=sample.arms.codes, random_state=random_state)
    return estimate_propensity(sample.features(), sample.arms.codes, folds, random_state=random_state).values[:, 1]


def balance(
    data: Any,
    *,
    treatment: str,
    covariates: Sequence[str] | str,
    control: Any = None,
    treatment_level: Any = None,
    weights: Any = None,
) -> BalanceReport:
    """Compare the covariates of two arms: standardised differences, variance ratios, distributions, overlap.

    Parameters
    ----------
    data : table
        Rows with a missing treatment, covariate or weight are left out.
    treatment : str
        Bool, 0/1, text or categories.
    covariates : str or list of str
        Numbers, and categories (one indicator each but the first).
    control, treatment_level : level, optional
        The baseline of text, and the arm of interest where there are several.
    weights : str or array, optional
        Weights that are to make the arms alike, such as those of :func:`match` or :func:`weight`.

    Returns
    -------
    BalanceReport
        ``to_frame()``, ``plot("balance")`` (a Love plot), ``plot("overlap")``, ``effective_n``, ``checks``.

    Notes
    -----
    A difference is in units of the square root of the mean of the two variances as observed, before and after alike, so
    that weights can't shrink it by inflating variances (Stuart 2010).

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> found = ck.balance(data, treatment="arm", control="no_coupon", covariates=["recency", "loyalty"])
    >>> found.checks["balance"].status
    'pass'
    """
    compared = compare(data, treatment, covariates, control, treatment_level, weights)
    return BalanceReport(compared, compared.sample.optional("weights"))
