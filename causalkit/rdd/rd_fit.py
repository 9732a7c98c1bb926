"""From a bound sample to a result: split, choose bandwidths, estimate, and name what was found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.effects import Effects
from causalkit.core.estimate import Carrier, Covariance, Estimate
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.kernels.arrays import Floats, Ints, read_only
from causalkit.rdd.bandwidth_rules import Plan
from causalkit.rdd.covariates import determined
from causalkit.rdd.local_polynomial import Jump, LocalEstimate, bandwidths, estimate
from causalkit.rdd.rd_sample import Rows, plan_of, rows_of
from causalkit.rdd.variance_rows import cluster_covariance, row_scores

if TYPE_CHECKING:
    from causalkit.rdd.rd_result import RegressionDiscontinuityResult
    from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity

TERMS = ("conventional", "bias_corrected", "robust")
#: The three rows of the table as combinations of the conventional and the corrected error.
_ERRORS = read_only(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))


def fit_sample(estimator: RegressionDiscontinuity, sample: Sample) -> RegressionDiscontinuityResult:
    """Fit a bound sample."""
    plan = plan_of(estimator, bool(sample.several("cluster")))
    rows = rows_of(sample, estimator)
    chosen = bandwidths(rows.split, plan, estimator.bandwidth, estimator.bias_bandwidth, estimator.rho)
    return assemble(estimator, sample, rows, plan, estimate(rows.split, plan, chosen))


def assemble(
    estimator: RegressionDiscontinuity, sample: Sample, rows: Rows, plan: Plan, found: LocalEstimate
) -> RegressionDiscontinuityResult:
    """Build the result of an estimate."""
    from causalkit.rdd.rd_checks import ledger
    from causalkit.rdd.rd_result import RegressionDiscontinuityResult
    from causalkit.rdd.regression_discontinuity import estimand

    told = estimand(sample, estimator)
    outcome = sample.name("outcome")
    left_out = {**rows.dropped, **_determined(rows, plan, found)}
    effects, headline = _numbers(sample, rows, plan, found, found.effect, found.combination)
    stages = None
    if found.first_stage is not None:
        assert found.combination_treatment is not None
        stages, _ = _numbers(sample, rows, plan, found, found.first_stage, found.combination_treatment)
    result = RegressionDiscontinuityResult(
        estimator=estimator,
        effects=Effects(TERMS, effects),
        headline=f"effect on {outcome}",
        estimand=told,
        checks=ledger(sample, left_out),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        robust=headline,
        found=found,
        vcov=plan.vcov,
        n_by_side=rows.split.n_by_side,
        collinear=left_out,
        first_stage=None if stages is None else Effects(TERMS, stages),
    )
    vars(result)["_rows"] = rows
    return result.with_ledger()


def _determined(rows: Rows, plan: Plan, found: LocalEstimate) -> dict[str, str]:
    """Return covariates that are functions of the running variable next to the cutoff, and what to say of them."""
    split = rows.split
    if not rows.covariates:
        return {}
    fits = [side.fit(h, plan.order) for side, h in zip(split.sides, found.bandwidths[:2], strict=True)]
    said = "a polynomial of the running variable, or constant, on both sides within the bandwidth"
    explained = determined(split.sides, fits, split.n_treatments)
    return {name: said for name, gone in zip(rows.covariates, explained, strict=True) if gone}


def _numbers(
    sample: Sample, rows: Rows, plan: Plan, found: LocalEstimate, jump: Jump, s: Floats
) -> tuple[Estimate, Estimate]:
    """Return the three rows of the table, and the headline with its bias-corrected center."""
    theta = np.array([jump.conventional, jump.corrected, jump.corrected])
    center = read_only(np.array([jump.corrected]))
    variance = np.array([[jump.robust_se**2]])
    split = rows.split
    exact = jump.se == jump.robust_se == 0.0
    if plan.vcov in ("CR2", "CR3"):
        matrix = np.zeros((3, 3))
        if not exact:
            matrix = _ERRORS @ cluster_covariance(split, plan, found.bandwidths, s) @ _ERRORS.T
        every = Covariance(read_only(matrix), np.full(3, np.inf), plan.vcov)
        one: Carrier = Covariance(read_only(variance), np.full(1, np.inf), plan.vcov)
        return Estimate(theta, every), Estimate(theta[:1], one, center)
    scores = (
        partial(np.zeros, (sample.n, 2)) if exact else partial(row_scores, split, plan, found.bandwidths, s, sample.n)
    )
    ways = _ways(sample, split.left.rows)
    every_row = influence_or_covariance(
        lambda: scores() @ _ERRORS.T, (sample.n, 3), _known(scores, sample.n), lambda: sample.rows, ways, plan.vcov
    )
    one = influence_or_covariance(
        lambda: scores()[:, 1:], (sample.n, 1), variance, lambda: sample.rows, ways, plan.vcov
    )
    return Estimate(theta, every_row), Estimate(theta[:1], one, center)


def _known(scores: Callable[[], Floats], n: int) -> Floats | None:
    """Return the covariance at once where influence values are too many to be kept; else it waits for them."""
    from causalkit.core.estimate import INFLUENCE_LIMIT

    if 8 * 3 * n <= INFLUENCE_LIMIT:
        return None
    values = scores() @ _ERRORS.T
    vcov: Floats = values.T @ values
    return vcov


def _ways(sample: Sample, below: Ints) -> list[Groups]:
    """Return clusters split by side: the two sides are estimated apart, and their variances add."""
    cluster = sample.groups("cluster")
    if cluster is None:
        return []
    codes = 2 * cluster.codes + 1
    codes[below] -= 1
    labels = tuple((label, side) for label in cluster.labels for side in ("below", "above"))
    return [Groups(read_only(codes), labels, cluster.name)]
