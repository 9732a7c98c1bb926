"""Choosing the window of local randomization: widen it as long as covariates are balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.design import Design
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.roles import Role
from causalkit.core.table import Table
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.rdd.binomial import binomial_pvalue
from causalkit.rdd.window_balance import INFERENCES, STATISTICS, Inference, Statistic, balance_pvalues

ROLES = {"running": Role("number"), "covariates": Role("features", many=True, native_missing=True)}
_SLACK = 1e-10


@dataclass(frozen=True)
class Windows:
    """Which windows are tried, and how balance is tested in each.

    Parameters
    ----------
    min_obs, step_obs : int
        Rows on either side of the smallest window, and rows that each next one adds on either side.
    min_window, window_step : float, optional
        Half-width of the smallest window, and what each next one adds, instead.
    n_windows : int
        How many.
    statistic, inference : str
        How balance is tested.
    level : float
        Balance is taken to hold where the smallest p-value is at least this.
    n_draws, random_state : int
        Random assignments and their seed.
    """

    min_obs: int = 10
    step_obs: int = 5
    min_window: float | None = None
    window_step: float | None = None
    n_windows: int = 10
    statistic: Statistic = "difference"
    inference: Inference = "randomization"
    level: float = 0.15
    n_draws: int = 9999
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, value, options in (
            ("balance_statistic", self.statistic, STATISTICS),
            ("balance_inference", self.inference, INFERENCES),
        ):
            if value not in options:
                raise DesignError(f"{name}={value!r} is not an option.", hint=f"Use one of {options}.")

    def widths(self, x: Floats) -> Floats:
        """Half-widths to try, rising.

        Parameters
        ----------
        x : Floats, shape (n,)
            The running variable from the cutoff.
        """
        left, right = np.sort(-x[x < 0.0]), np.sort(x[x >= 0.0])
        if self.min_window is not None:
            first = self.min_window
        elif min(left.size, right.size) < self.min_obs:
            raise DataError(
                f"there are {left.size} rows on the left of the cutoff and {right.size} on the right, fewer than "
                f"{self.min_obs}.",
                hint="Lower min_obs=.",
            )
        else:
            first = max(left[self.min_obs - 1], right[self.min_obs - 1])
        if self.window_step is not None:
            return np.asarray(first + self.window_step * np.arange(self.n_windows))
        found = [float(first)]
        while len(found) < self.n_windows:
            at = [int(np.searchsorted(side, found[-1], "right")) + self.step_obs - 1 for side in (left, right)]
            if at[0] >= left.size or at[1] >= right.size:
                break
            found.append(float(max(left[at[0]], right[at[1]])))
        return np.array(found)

    def select(
        self, x: Floats, covariates: Floats, names: Sequence[str], cluster: Codes | None = None
    ) -> tuple[WindowBalance, ...]:
        """Test balance in every window; covariates may have gaps, and a window's test uses its complete rows."""
        complete = ~np.isnan(covariates).any(axis=1)
        found = []
        for width in self.widths(x):
            inside = within(x, -width, width) & complete
            right = x[inside] >= 0.0
            n_left, n_right = int((~right).sum()), int(right.sum())
            pvalues = self.balance(covariates[inside], right, None if cluster is None else cluster[inside])
            worst = int(np.argmin(pvalues)) if pvalues.size else 0
            name = "all covariates" if self.statistic == "hotelling" else names[worst]
            low = float(pvalues[worst]) if pvalues.size else float("nan")
            found.append(WindowBalance(float(width), n_left, n_right, low, name, binomial_pvalue(n_left, n_right)))
        return tuple(found)

    def balance(self, covariates: Floats, right: Bools, cluster: Codes | None = None) -> Floats:
        """P-values of balance of complete rows; none where a side has fewer than two."""
        if min(int(right.sum()), int((~right).sum())) < 2:
            return np.empty(0)
        return balance_pvalues(
            covariates, right, self.statistic, self.inference, self.n_draws, self.random_state, cluster
        )


def within(x: Floats, low: float, high: float) -> Bools:
    """Whether values lie in a closed window, up to rounding."""
    slack = _SLACK * max(abs(low), abs(high))
    return np.asarray((x >= low - slack) & (x <= high + slack))


@dataclass(frozen=True)
class WindowBalance:
    """Balance in one window.

    Parameters
    ----------
    width : float
        Half-width.
    n_left, n_right : int
        Complete rows on either side.
    pvalue : float
        The smallest p-value of balance; NaN where a side has fewer than two rows.
    covariate : str
        Whose it is.
    binomial : float
        P-value of the hypothesis that either side is equally likely.
    """

    width: float
    n_left: int
    n_right: int
    pvalue: float
    covariate: str
    binomial: float


@dataclass(frozen=True, eq=False, repr=False)
class WindowSelection(Report):
    """Balance by window, and the window that it recommends.

    Parameters
    ----------
    windows : tuple of WindowBalance
        From the smallest on.
    level : float
        P-values from here on count as balance.
    cutoff : float
        The cutoff.
    name : str
        The running variable.
    """

    windows: tuple[WindowBalance, ...]
    level: float
    cutoff: float
    name: str

    plots = ("rd_windows",)

    @cached_property
    def chosen(self) -> WindowBalance | None:
        """The widest window such that it and all smaller ones are balanced; None where the smallest is not."""
        best = None
        for window in self.windows:
            if not window.pvalue >= self.level:
                break
            best = window
        return best

    @property
    def window(self) -> tuple[float, float] | None:
        """The chosen window in units of the running variable."""
        return None if self.chosen is None else (self.cutoff - self.chosen.width, self.cutoff + self.chosen.width)

    @property
    def title(self) -> str:
        """What this is."""
        return f"Window around the cutoff {fmt.number(self.cutoff)} of {self.name}"

    @property
    def answer(self) -> str:
        """What came out."""
        return self.check().message

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """The ledger: ``window``."""
        return Checks({"window": self.check()})

    def check(self) -> Check:
        """Return the check named ``window``: whether there is a window in which covariates are balanced."""
        first = self.windows[0]
        if self.chosen is None:
            return Check(
                "window",
                "fail",
                f"covariates are not balanced even in the smallest window, of half-width {fmt.number(first.width, 3)}: "
                f"{first.covariate} has p-value {fmt.pvalue(first.pvalue)}.",
                pvalue=first.pvalue,
                advice="Start from a smaller window (min_obs=, min_window=); else the sides differ next to the cutoff.",
                table=self.to_table(),
            )
        low, high = self.cutoff - self.chosen.width, self.cutoff + self.chosen.width
        end = "all windows tried are balanced" if self.chosen is self.windows[-1] else "the next one is not balanced"
        return Check(
            "window",
            "pass",
            f"covariates are balanced in {fmt.interval(low, high)} ({self.chosen.n_left:,} rows on the left, "
            f"{self.chosen.n_right:,} on the right; smallest p-value {fmt.pvalue(self.chosen.pvalue)}) and in all smaller "
            f"windows; {end}.",
            pvalue=self.chosen.pvalue,
            table=self.to_table(),
        )

    def to_table(self) -> Table:
        """Return one row per window."""
        names = ("window", "n_left", "n_right", "pvalue", "covariate", "binomial_pvalue")
        rows = [(w.width, w.n_left, w.n_right, w.pvalue, w.covariate, w.binomial) for w in self.windows]
        return Table.of(names, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the choice with its table and figure."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "rd_windows"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return p-values by half-width."""
        if kind != "rd_windows":
            return super().plot_data(kind)
        return {
            "title": self.title,
            "width": [window.width for window in self.windows],
            "pvalue": [window.pvalue for window in self.windows],
            "level": self.level,
            "chosen": None if self.chosen is None else self.chosen.width,
            "xlabel": f"Half-width of the window, in units of {self.name}",
        }


def select_window(
    data: Any,
    *,
    running: str,
    covariates: Sequence[str] | str,
    cutoff: float = 0.0,
    min_obs: int = 10,
    step_obs: int = 5,
    min_window: float | None = None,
    window_step: float | None = None,
    n_windows: int = 10,
    balance_statistic: Statistic = "difference",
    balance_inference: Inference = "randomization",
    balance_level: float = 0.15,
    n_draws: int = 9999,
    random_state: int = 0,
    missing: Literal["drop", "raise", "native"] = "native",
) -> WindowSelection:
    """Find the widest window around the cutoff in which covariates are balanced as if sides were drawn by lot.

    Windows are symmetric and nested. The one recommended, and all smaller ones, have no covariate whose test of balance
    has a p-value below ``balance_level`` (Cattaneo, Frandsen and Titiunik 2015).

    Parameters
    ----------
    data : table
        Anything that holds the columns.
    running : str
        The running variable.
    covariates : str or list of str
        Columns that the treatment can't change.
    cutoff : float
        Rows at the cutoff are on the right.
    min_obs, step_obs : int
        Rows on either side of the smallest window, and rows that each next one adds on either side (equal values of the
        running variable enter together).
    min_window, window_step : float, optional
        Half-width of the smallest window and what each next one adds, instead.
    n_windows : int
        Windows to try.
    balance_statistic : {"difference", "ranksum", "ks", "hotelling"}
        Difference in means, rank sum, Kolmogorov-Smirnov, or Hotelling's T2 of all covariates at once.
    balance_inference : {"randomization", "large_sample"}
        By assignments that might have been (exact where they can be enumerated or counted), or by the normal limit.
    balance_level : float
        P-values from here on count as balance.
    n_draws, random_state : int
        Random assignments, where they are too many to enumerate, and their seed.
    missing : {"drop", "raise", "native"}
        ``native``: a row that lacks a covariate counts for the windows, but not for the tests.

    Returns
    -------
    WindowSelection
        ``window``, ``chosen``, ``windows``, a figure ``rd_windows``.

    Raises
    ------
    DataError, DesignError
        If the table or the options can't be used.

    References
    ----------
    Cattaneo, M. D., Frandsen, B. R., and Titiunik, R. (2015). Randomization inference in the regression discontinuity
    design. Journal of Causal Inference 3, 1-24.
    """
    windows = Windows(
        min_obs=min_obs,
        step_obs=step_obs,
        min_window=min_window,
        window_step=window_step,
        n_windows=n_windows,
        statistic=balance_statistic,
        inference=balance_inference,
        level=balance_level,
        n_draws=n_draws,
        random_state=random_state,
    )
    sample = Design(ROLES).bind(data, {"running": running, "covariates": covariates, "missing": missing})
    matrix, names = sample.features().dummies()
    found = windows.select(sample.number("running") - cutoff, matrix, names)
    return WindowSelection(found, balance_level, cutoff, sample.name("running"))
