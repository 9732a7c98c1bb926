"""From a bound sample to the two sides of the cutoff, and from a configuration to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.sample import Arms, Number, Sample
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.linear.rank import collinear_reason, select_columns
from causalkit.rdd.bandwidth_rules import Plan
from causalkit.rdd.windows import Split, split

if TYPE_CHECKING:
    from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity

#: Covariates with less of their own than this share of their norm are combinations of the others.
_COLLINEAR = 1e-8


@dataclass(frozen=True, eq=False)
class Rows:
    """The two sides with the names of what is in them.

    Attributes
    ----------
    split : Split
    covariates : tuple of str
        Covariates that are in the fit.
    dropped : mapping of str to str
        Covariates left out, and why.
    """

    split: Split
    covariates: tuple[str, ...]
    dropped: Mapping[str, str]


def rows_of(sample: Sample, estimator: RegressionDiscontinuity) -> Rows:
    """Split a sample at the cutoff of an estimator."""
    matrix, names, dropped = _covariates(sample)
    cluster = sample.groups("cluster")
    parts = split(
        sample.number("running"),
        sample.outcome,
        estimator.cutoff,
        treatment=taken(sample),
        covariates=matrix if names else None,
        cluster=None if cluster is None else cluster.codes,
        weights=sample.optional("weights"),
        kernel=estimator.kernel,
        bias_order=estimator.orders[1],
        donut=estimator.donut,
        names=(f"the running variable {sample.name('running')!r}", f"the outcome {sample.name('outcome')!r}"),
    )
    return Rows(parts, names, dropped)


def plan_of(estimator: RegressionDiscontinuity, clustered: bool) -> Plan:
    """Return the plan of an estimator."""
    kind = estimator.vcov
    if kind == "auto":
        kind = "CR1" if clustered else "NN"
    elif clustered != kind.startswith("CR"):
        if clustered:
            raise DesignError(f"vcov={kind!r} ignores cluster=.", hint='Use vcov="CR1", or leave cluster= out.')
        raise DesignError(f"vcov={kind!r} needs cluster=.", hint="Name the column of the clusters.")
    order, bias_order = estimator.orders
    return Plan(
        order, bias_order, estimator.derivative, kind, estimator.mass_points, estimator.regularization,
        estimator.sharp_bandwidth,
    )  # fmt: skip


def taken(sample: Sample) -> Floats | None:
    """Return the treatment taken as numbers; None in a sharp design."""
    column = sample.columns.get("treatment")
    if isinstance(column, Arms):
        if column.count > 2:
            raise DesignError(
                f"treatment {column.name!r} has {column.count} arms; a fuzzy design compares two.",
                hint="Keep the rows of two arms, or pass a dose.",
                column=column.name,
            )
        treated: Floats = (column.codes == 1).astype(float)
        return treated
    return column.values if isinstance(column, Number) else None


def _covariates(sample: Sample) -> tuple[Floats, tuple[str, ...], Mapping[str, str]]:
    """Return covariates in units of their spread, without those that are combinations of others or never vary."""
    values, names = sample.features().dummies()
    if not names:
        return values, (), {}
    centred = values - values.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    varies = norms > 1e-12 * np.sqrt(len(values)) * np.abs(values).max(axis=0)
    dropped = {name: "constant" for name, moves in zip(names, varies, strict=True) if not moves}
    at = np.flatnonzero(varies)
    chosen = select_columns(centred[:, at] / norms[at], np.full(at.size, _COLLINEAR))
    for position, partners in chosen.relations.items():
        dropped[names[at[position]]] = collinear_reason([names[at[partner]] for partner in partners])
    kept = at[chosen.kept]
    return values[:, kept] / (norms[kept] / np.sqrt(len(values))), tuple(names[j] for j in kept), dropped
