"""``ck.match``: people of one arm beside people like them of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.features import Features, Schema
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.data.frame import Frame
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.refutation.balance_report import BalanceReport, propensities
from causalkit.refutation.compared_arms import Compared, compare
from causalkit.refutation.nearest import Matches, whitened, with_replacement, without_replacement
from causalkit.refutation.weighting import fit_weighted

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.refutation.rosenbaum import RosenbaumBounds

Method = Literal["nearest", "optimal", "exact"]
METHODS = ("nearest", "optimal", "exact")
DISTANCES = ("mahalanobis", "propensity")


@dataclass(frozen=True, eq=False, repr=False)
class Matching(Report):
    """Rows of one arm matched with rows of the other.

    Parameters
    ----------
    compared : Compared
        The rows.
    data : table
        The user's table.
    method : {"nearest", "optimal", "exact"}
    target : {"treated", "control"}
        The arm whose people were given partners.
    matches : Matches or None
        The pairs; None for exact matching, which has groups instead.
    group : Ints, shape (n,)
        Number of the pair or group of each row used, -1 where it was not matched; rows that serve several have the first.
    own : Floats, shape (n,)
        Weight of each row used, zero where it was not matched.
    """

    compared: Compared
    data: Any
    method: str
    target: str
    matches: Matches | None
    group: Ints
    own: Floats

    plots = ("balance",)

    @property
    def weights(self) -> Floats:
        """One weight per row of the table, zero where it was not matched; pass it as ``weights=`` to a fit."""
        return read_only(self.compared.spread(self.own))

    @cached_property
    def balance(self) -> BalanceReport:
        """Differences before and after matching."""
        return BalanceReport(self.compared, self.own)

    @property
    def n_unmatched(self) -> int:
        """Rows of the target arm without a partner."""
        return int(np.sum((self.own == 0) & (self.compared.treated == (self.target == "treated"))))

    @property
    def pairs(self) -> pd.DataFrame:
        """Row numbers of the user's table: ``row``, ``partner``, ``distance``.

        Raises
        ------
        DesignError
            If people were matched in groups.
        """
        import pandas as pd

        if self.matches is None:
            raise DesignError("exact matching makes groups, not pairs.", hint="See .groups.")
        rows = self.compared.sample.rows.positions
        found = self.matches
        told = pd.DataFrame({"row": rows[found.focal], "partner": rows[found.partner], "distance": found.distance})
        return told.sort_values(["row", "distance", "partner"], ignore_index=True)

    @property
    def groups(self) -> Ints:
        """Number of the pair or group of each row of the table, -1 where it was not matched."""
        out = np.full(self.compared.sample.n_input, -1, dtype=np.int64)
        out[self.compared.sample.rows.positions] = self.group
        return out

    def estimate(self, estimator: Any, *, outcome: str, **roles: Any) -> Any:
        """Fit an estimator on the matched rows, weighted, with the covariates and with pairs as clusters.

        Adjusting for the covariates within matched samples removes what the matches leave of the differences, and errors
        clustered by pair are right for matching without replacement (Abadie and Spiess 2022). With replacement, where a
        row may serve several pairs, rows are the clusters.

        Parameters
        ----------
        estimator : Estimator
            One with ``weights=``, such as ``ck.OLS()`` or ``ck.AIPW()``.
        outcome : str
            Column of the table.
        **roles
            Further keywords of ``fit``; ``cluster=`` replaces the pairs.
        """
        named = dict(roles)
        counts = 0 if self.matches is None else np.bincount(self.matches.partner, minlength=1).max(initial=0)
        if "cluster" in estimator.roles and counts <= 1:
            named.setdefault("cluster", self.groups)
        return fit_weighted(self.compared, self.data, estimator, self.weights, outcome, named)

    def rosenbaum(self, outcome: str) -> RosenbaumBounds:
        """Return Rosenbaum's bounds of the signed-rank test of the pairs; one partner each, without replacement.

        Parameters
        ----------
        outcome : str
            Column of the table.
        """
        from causalkit.refutation.rosenbaum import rosenbaum_bounds

        found = self.matches
        if (
            found is None
            or len(np.unique(found.focal)) < len(found.focal)
            or len(np.unique(found.partner)) < len(found.partner)
        ):
            raise DesignError(
                "the bounds are for pairs in which nobody appears twice.", hint="Match one to one without replacement."
            )
        values = Frame.read(self.data).collect().numeric(outcome)[self.compared.sample.rows.positions]
        sign = 1.0 if self.target == "treated" else -1.0
        return rosenbaum_bounds(sign * (values[found.focal] - values[found.partner]))

    @property
    def title(self) -> str:
        """What was matched."""
        one, other = self._sides
        return f"{one} matched with {other} ({self.method})"

    @property
    def _sides(self) -> tuple[str, str]:
        control, arm = self.compared.arms
        return (arm, control) if self.target == "treated" else (control, arm)

    @property
    def answer(self) -> str:
        """How many were matched, and how alike they are."""
        one, other = self._sides
        focal = self.compared.treated == (self.target == "treated")
        used = int(np.sum(self.own[focal] > 0))
        partners = int(np.sum(self.own[~focal] > 0))
        lost = f"; {fmt.plural(self.n_unmatched, 'row')} found no partner" if self.n_unmatched else ""
        return f"{fmt.plural(used, 'row')} of {one} matched with {partners:,} of {other}{lost}. {self.balance.answer}"

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Balance after matching, and whether anybody was left out."""
        left = self.n_unmatched
        status, advice = ("pass", "") if not left else ("warn", "The effect is now that on those who were matched.")
        focal = self.compared.treated == (self.target == "treated")
        told = f"{left:,} of {int(focal.sum()):,} rows of {self._sides[0]} have no partner."
        return self.balance.checks.joined({"unmatched": Check("unmatched", status, told, advice=advice)})  # type: ignore[arg-type]

    def to_table(self) -> Table:
        """Return the balance, covariate by covariate."""
        return self.balance.to_table()

    def passages(self) -> tuple[Passage, ...]:
        """Return the balance with its figure."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "balance"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of the Love plot."""
        return self.balance.plot_data(kind)


def match(
    data: Any,
    *,
    treatment: str,
    covariates: Sequence[str] | str,
    control: Any = None,
    treatment_level: Any = None,
    method: Method = "nearest",
    target: Literal["treated", "control"] = "treated",
    distance: Literal["mahalanobis", "propensity"] = "mahalanobis",
    exact: Sequence[str] | str = (),
    ratio: int = 1,
    replacement: bool = False,
    caliper: float | None = None,
    random_state: int = 0,
) -> Matching:
    """Match the people of one arm with people of the other who are like them.

    Parameters
    ----------
    data : table
        Rows with a missing treatment or covariate are left out.
    treatment : str
        Bool, 0/1, text or categories.
    covariates : str or list of str
        Measured before the treatment; categories count as indicators.
    control, treatment_level : level, optional
        The baseline of text, and the arm of interest where there are several.
    method : {"nearest", "optimal", "exact"}
        ``"nearest"``: the nearest free row each time, hardest to match first. ``"optimal"``: the smallest total distance.
        ``"exact"``: groups of rows with equal values of all covariates.
    target : {"treated", "control"}
        The arm whose people get partners: the effect is that on them.
    distance : {"mahalanobis", "propensity"}
        Between covariates; or between logits of cross-fitted propensities.
    exact : str or list of str
        Covariates that must be equal.
    ratio : int
        Partners each.
    replacement : bool
        Whether a partner may serve again (``"nearest"``); ties are then all kept, with equal shares.
    caliper : float, optional
        Largest distance: in Mahalanobis units, or in standard deviations of the logit.
    random_state : int
        Seed of the folds of the propensity.

    Returns
    -------
    Matching
        ``weights``, ``pairs``, ``groups``, ``balance``, ``estimate(estimator, outcome=)``, ``rosenbaum(outcome)``.

    Raises
    ------
    DesignError
        If nobody can be matched, or options do not go together.

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> found = ck.match(data, treatment="arm", control="no_coupon", covariates=["recency", "loyalty"], replacement=True)
    >>> found.n_unmatched
    0
    """
    _check(method, target, distance, ratio, replacement, caliper)
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    same = [exact] if isinstance(exact, str) else list(exact)
    compared = compare(data, treatment, list(dict.fromkeys([*names, *same])), control, treatment_level)
    focal = compared.treated == (target == "treated")
    if method == "exact":
        return _grouped(compared, data, target, focal)
    stratum = _strata(compared.sample.features(), same)
    z = _coordinates(compared, names, distance, random_state)
    mine, pool = np.flatnonzero(focal), np.flatnonzero(~focal)
    if replacement:
        found = with_replacement(z, mine, pool, ratio, caliper, stratum)
    else:
        hardest = np.argsort(-np.linalg.norm(z[mine] - z[pool].mean(axis=0), axis=1), kind="stable")
        found = without_replacement(z, mine[hardest], pool, ratio, caliper, stratum, optimal=method == "optimal")
    if not len(found.focal):
        raise DesignError("nobody found a partner.", hint="Widen caliper=, or ask for fewer exact= columns.")
    partners = np.bincount(found.focal, minlength=len(z))
    own: Floats = (partners > 0).astype(float) + np.bincount(found.partner, 1 / partners[found.focal], minlength=len(z))
    group: Ints = np.full(len(z), -1, dtype=np.int64)
    group[found.partner[::-1]] = found.focal[::-1]
    group[found.focal] = found.focal
    return Matching(compared, data, method, target, found, read_only(group), read_only(own))


def _check(method: str, target: str, distance: str, ratio: int, replacement: bool, caliper: float | None) -> None:
    for name, value, options in (
        ("method", method, METHODS),
        ("target", target, ("treated", "control")),
        ("distance", distance, DISTANCES),
    ):
        if value not in options:
            raise DesignError(f"{name}={value!r} is not an option.", hint=f"Use one of {', '.join(options)}.")
    if isinstance(ratio, bool) or not isinstance(ratio, int) or ratio < 1:
        raise DesignError(f"ratio={ratio!r} is not a whole number from 1.", hint="Partners for each person.")
    if caliper is not None and not (isinstance(caliper, int | float) and caliper > 0):
        raise DesignError(f"caliper={caliper!r} is not positive.", hint="The largest distance of a pair.")
    if replacement and method != "nearest":
        raise DesignError(
            f"replacement=True goes with method='nearest', not {method!r}.", hint="Leave one of them out."
        )


def _coordinates(compared: Compared, names: Sequence[str], distance: str, random_state: int) -> Floats:
    if distance == "propensity":
        e = propensities(compared, random_state)
        logit = np.log(e / (1 - e))
        spread = float(logit.std())
        return logit[:, None] / (spread if spread > 0 else 1.0)
    features = compared.sample.features()
    at = [features.names.index(name) for name in names]
    schema = Schema(tuple(names), tuple(features.schema.levels[j] for j in at))
    z = whitened(Features(features.values[:, at], schema).dummies()[0])
    return z if z.shape[1] else np.zeros((len(z), 1))  # constants: everybody is as near as everybody


def _strata(features: Features, names: Sequence[str]) -> Codes:
    if not names:
        return np.zeros(len(features.values), dtype=np.int32)
    at = [features.names.index(name) for name in names]
    return np.unique(features.values[:, at], axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


def _grouped(compared: Compared, data: Any, target: str, focal: Bools) -> Matching:
    """Keep groups of equal covariates that hold both arms; the others are weighted to the group's focal rows."""
    group = np.unique(compared.sample.features().values, axis=0, return_inverse=True)[1].reshape(-1)
    mine, theirs = (np.bincount(group, rows, minlength=group.max() + 1) for rows in (focal, ~focal))
    both = (mine > 0) & (theirs > 0)
    if not both.any():
        raise DesignError(
            "nobody has the same covariates as anybody of the other arm.", hint="Use method='nearest', or coarsen them."
        )
    share = np.where(both, mine / np.where(theirs > 0, theirs, 1.0), 0.0)
    own: Floats = np.where(focal, both[group].astype(float), share[group])
    numbered = np.full(len(group), -1, dtype=np.int64)
    numbered[both[group]] = group[both[group]]
    return Matching(compared, data, "exact", target, None, read_only(numbered), read_only(own))
