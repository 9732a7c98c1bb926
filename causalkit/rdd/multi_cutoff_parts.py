"""Several discontinuities of one sample, with the covariance of their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups
from causalkit.core.sample import Number, Sample
from causalkit.errors import CausalKitError, DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.rdd.local_polynomial import LocalEstimate, bandwidths, estimate
from causalkit.rdd.rd_sample import plan_of, rows_of
from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity
from causalkit.rdd.variance_rows import row_scores


@dataclass(frozen=True, eq=False)
class Part:
    """One discontinuity.

    Parameters
    ----------
    name : str
        The term of its effect.
    rows : array of int
        The rows of the sample that belong to it.
    x : array
        Their running variable, measured from the cutoff.
    """

    name: str
    rows: Ints
    x: Floats


@dataclass(frozen=True, eq=False)
class Several:
    """Effects of several discontinuities.

    Parameters
    ----------
    names : tuple of str
        Those that could be estimated.
    found : tuple of LocalEstimate
    scores : array, shape (n, k)
        What each row adds to the error of each corrected effect.
    failed : mapping of str to str
        The others, and why.
    vcov : str
    """

    names: tuple[str, ...]
    found: tuple[LocalEstimate, ...]
    scores: Floats
    failed: Mapping[str, str]
    vcov: str


def fit_parts(config: RegressionDiscontinuity, sample: Sample, parts: Sequence[Part]) -> Several:
    """Estimate each part by itself; those with too few rows are named, not fitted.

    Raises
    ------
    DesignError
        If none can be estimated.
    """
    plan = plan_of(config, bool(sample.several("cluster")))
    names, found, scores, failed = [], [], [], {}
    for part in parts:
        own = _only(sample.take(part.rows)).with_column("running", Number(read_only(part.x), part.name))
        try:
            split = rows_of(own, config).split
            chosen = bandwidths(split, plan, config.bandwidth, config.bias_bandwidth)
            local = estimate(split, plan, chosen)
        except CausalKitError as error:
            failed[part.name] = error.message
            continue
        values = np.zeros(sample.n)
        if local.effect.robust_se > 0.0:
            values[part.rows] = row_scores(split, plan, local.bandwidths, local.combination, own.n)[:, 1]
        names.append(part.name)
        found.append(local)
        scores.append(values)
    if not found:
        raise DesignError(
            f"no effect could be estimated: {'; '.join(f'{name}: {why}' for name, why in failed.items())}",
            hint="Check the cutoffs, or collect more rows next to them.",
        )
    return Several(tuple(names), tuple(found), np.stack(scores, axis=1), failed, plan.vcov)


def numbers_of(several: Several, sample: Sample, cells: Codes) -> Estimate:
    """Return conventional effects with bias-corrected centers and robust errors, and how they depend on each other.

    Parameters
    ----------
    several : Several
    sample : Sample
    cells : array of codes, shape (n,)
        Sides: rows of one cluster that lie in different cells count as different clusters, as they do in each design.
    """
    cluster = sample.groups("cluster")
    ways = []
    if cluster is not None:
        crossed = cluster.codes.astype(np.int64) * (int(cells.max()) + 1) + cells
        labels, codes = np.unique(crossed, return_inverse=True)
        ways = [Groups(read_only(codes.astype(np.int32)), tuple(labels.tolist()), cluster.name)]
    theta = np.array([found.effect.conventional for found in several.found])
    center = np.array([found.effect.corrected for found in several.found])
    carrier = influence_or_covariance(
        lambda: several.scores, several.scores.shape, None, lambda: sample.rows, ways, several.vcov
    )
    return Estimate(theta, carrier, read_only(center))


def sides_table(several: Several) -> dict[str, list[object]]:
    """Return bandwidths and rows of each effect, as columns of a table."""
    return {
        "bandwidth": [found.bandwidths.left for found in several.found],
        "n_below": [found.n_effective[0] for found in several.found],
        "n_above": [found.n_effective[1] for found in several.found],
    }


def _only(sample: Sample) -> Sample:
    """Leave out roles that a single design does not have."""
    known = RegressionDiscontinuity.roles
    return replace(sample, columns={role: column for role, column in sample.columns.items() if role in known})
