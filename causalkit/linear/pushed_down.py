"""OLS on a lazy table: from moments and sums of scores that the engine computes, with no row in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.design import Design, names_of
from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate
from causalkit.core.headline import headline_of
from causalkit.core.input_checks import constant_outcome, missing_check
from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.data.moments import Moments
from causalkit.errors import DesignError
from causalkit.kernels.arrays import read_only
from causalkit.linear.ols import INTERCEPT, OLSResult, _estimand, _require_terms
from causalkit.linear.ols_checks import arm_size, collinearity, few_clusters
from causalkit.linear.pushed_down_design import NeedsRows, PushedDesign, push_design
from causalkit.linear.pushed_down_solve import PushedFit, solve

if TYPE_CHECKING:
    from causalkit.linear.ols import OLS

FROM_SUMS = ("iid", "HC0", "HC1", "CR0", "CR1")
_NEEDS = {
    "HC2": "the leverage of each row",
    "HC3": "the leverage of each row",
    "CR2": "the rows of each cluster",
    "CR3": "the rows of each cluster",
    "HAC": "the rows in the order of time",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PushedDownOLSResult(OLSResult):
    """A least-squares fit of a lazy table, whose rows stayed where they are.

    `refit` without data asks the table again. What needs rows (a refuter, the wild cluster bootstrap) collects the
    named columns when it is asked for.

    Parameters
    ----------
    moments : Moments
        Count, means and cross-products of the outcome and the regressors.
    source : table or None
        The lazy table; a pickle leaves it out.
    """

    moments: Moments
    source: Any

    def refit(self, data: Any = None) -> Any:
        """Run the same analysis on other data, or once more on the lazy table; see :meth:`Result.refit`."""
        here = self.source is not None and self.sample is None
        return super().refit(self.source if data is None and here else data)

    def with_vcov(self, vcov: str, cluster: Any = None) -> OLSResult:
        """Return the same regression with another variance, from the lazy table.

        Parameters
        ----------
        vcov : str
            Any variance of :class:`OLS`.
        cluster : str, optional
            Column of the clusters; by default those of the fit where ``vcov`` is clustered.
        """
        if self.source is None:
            return super().with_vcov(vcov, cluster)
        named = cluster if cluster is not None else self.roles.get("cluster")
        roles = {**self.roles, "cluster": named if vcov.startswith("CR") or cluster is not None else None}
        return replace(self, estimator=self.estimator.replace(vcov=vcov), roles=roles, sample=None).refit()  # type: ignore[no-any-return]

    def _kept(self) -> Sample:
        return super()._kept() if self.sample is not None or self.source is None else self._collected

    @cached_property
    def _collected(self) -> Sample:
        return self.estimator.bind(self.source, **self.roles)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "source": None}

    def to_pickle(self, path: str | PathLike[str], keep_data: bool = False) -> None:
        """Write a pickle; with ``keep_data`` the named columns are collected and go into it.

        Parameters
        ----------
        path : path
            The file; an existing one is replaced.
        keep_data : bool
            Whether ``refit()`` is to work on what is read.
        """
        kept = replace(self, sample=self._kept()) if keep_data else self
        super(PushedDownOLSResult, kept).to_pickle(path, keep_data)


def fit_lazy(estimator: OLS, frame: Frame, data: Any, given: Mapping[str, Any]) -> OLSResult:
    """Fit a lazy table from sums where the regression can be had from them, else collect the named columns.

    Parameters
    ----------
    estimator : OLS
    frame : Frame
        The lazy table.
    data : table
        The same as the user gave it, to be kept by the result.
    given : mapping
        The keywords of the fit.
    """
    named = Design(estimator.roles).named(given)
    frame.require([name for value in named.values() for name in names_of(value)])
    kind = estimator._kind("cluster" in named)
    if given.get("missing") not in (None, "drop", "raise"):
        raise DesignError(f"missing={given['missing']!r} is not offered here.", hint="Use 'drop' or 'raise'.")
    try:
        _require_sums(kind, named)
        design = push_design(frame, named, given)
        solved = solve(design, kind, INTERCEPT)
    except NeedsRows as reason:
        return _collected(estimator, frame, given, str(reason))
    return _result(estimator, design, solved, kind, data)


def _require_sums(kind: str, named: Mapping[str, Any]) -> None:
    """Say what the analysis needs that no sum gives."""
    if kind not in FROM_SUMS:
        raise NeedsRows(f"vcov={kind!r} needs {_NEEDS[kind]}")
    if "absorb" in named:
        raise NeedsRows("absorb= takes effects out of each row")
    if "unit" in named:
        raise NeedsRows("unit= keeps one influence value for each row")
    if len(names_of(named.get("cluster", ""))) > 1:
        raise NeedsRows("clustering in several ways needs the rows of each")
    for role, value in named.items():
        if not names_of(value):
            raise NeedsRows(f"{role}= is an array with one value for each row")


def _collected(estimator: OLS, frame: Frame, given: Mapping[str, Any], reason: str) -> OLSResult:
    result = estimator.estimate(estimator.bind(frame, **given))
    columns = len({name for value in Design(estimator.roles).named(given).values() for name in names_of(value)})
    size = f"{fmt.plural(columns, 'column')} of {fmt.plural(result.n + result.n_dropped, 'row')}"
    check = Check("collected", "pass", f"The lazy table was brought into memory ({size}): {reason}.")
    return replace(result, checks=result.checks.joined({"collected": check}))


def _result(estimator: OLS, design: PushedDesign, fit: PushedFit, kind: str, data: Any) -> PushedDownOLSResult:
    header = design.header
    _require_terms(fit.dropped, design.terms, header)
    df = np.full(len(fit.names), fit.df)
    coefficients = Effects(fit.names, Estimate(fit.coefficients, Covariance(read_only(fit.matrix), df, kind)))
    return PushedDownOLSResult(
        estimator=estimator,
        effects=coefficients.select(design.terms),
        headline=headline_of(header, design.terms),
        estimand=_estimand(header, design.terms),
        checks=Checks(
            {
                "missing": missing_check(header),
                **_outcome(design),
                **_cluster_checks(design, fit, kind),
                "collinearity": collinearity(fit.dropped),
            }
        ),
        sample=None,
        n=design.screen.n_kept,
        dropped=header.dropped,
        roles=header.given,
        coefficients=coefficients,
        n_parameters=len(fit.names),
        absorbs=False,
        r2=fit.r2,
        r2_within=fit.r2,
        collinear=fit.dropped,
        n_singletons=0,
        moments=design.moments,
        source=data,
    )


def _outcome(design: PushedDesign) -> dict[str, Check]:
    name = design.header.name("outcome")
    low, high = design.screen.lows[name], design.screen.highs[name]
    return {} if high > low else {"outcome": constant_outcome(name, low, design.screen.n_kept)}


def _cluster_checks(design: PushedDesign, fit: PushedFit, kind: str) -> dict[str, Check]:
    clustered = kind.startswith("CR")
    sizes = (fit.units_of_arms if clustered else design.screen.arms[:, 2]).tolist()
    found: dict[str, Check] = {}
    if design.arms is not None and kind != "iid":  # equal variances are known from the other rows
        found = arm_size(design.arms, sizes, clustered)
    if clustered:
        count = round(fit.df) + 1
        found["few_clusters"] = few_clusters(count, names_of(design.header.given["cluster"])[0], design.arms, sizes)
    return found
