"""Whether the effect at the cutoff differs between groups, or moves with a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Covariance, Estimate
from causalkit.core.features import Features, Schema
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.sample import Sample
from causalkit.core.table import Table
from causalkit.data.frame import Frame
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.rdd.heterogeneity_fit import Interacted, Problem, interacted

#: More groups than this are no groups.
MOST_GROUPS = 30
FEW_ROWS = 20


@dataclass(frozen=True, eq=False, repr=False)
class RDHeterogeneity(Report):
    """Effects at the cutoff by group, or as a linear function of moderators.

    Parameters
    ----------
    effects : Effects
        By group: the effect in each. Else the effect where all moderators are at their means, then what one more unit of
        each adds. Values are conventional; errors, tests and intervals are robust bias-corrected.
    moderators : tuple of str
        The columns.
    means : array or None
        Means of the moderators; None by group.
    fit : Interacted
        Bandwidths and rows.
    estimand : str
        What is estimated.
    """

    effects: Effects
    moderators: tuple[str, ...]
    means: Floats | None
    fit: Interacted
    estimand: str

    plots = ("effects",)

    @property
    def by_group(self) -> bool:
        """Whether there is one effect for each group."""
        return self.means is None

    @property
    def bandwidths(self) -> Floats:
        """Bandwidths below and above the cutoff, one row for each group."""
        return self.fit.bandwidths

    @property
    def n_effective(self) -> Codes:
        """Rows within the bandwidth below and above the cutoff, one row for each group."""
        return self.fit.n_effective

    @property
    def differences(self) -> Effects:
        """By group: how each group differs from the first; else what one more unit of each moderator adds."""
        if not self.by_group:
            return self.effects.select(self.effects.terms[1:])
        names = self.effects.terms
        k = len(names)
        weights = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
        return Effects(tuple(f"{name} - {names[0]}" for name in names[1:]), self.effects.numbers.linear(weights))

    def test(self) -> Test:
        """Test that the effect is the same for all (a Wald test of :attr:`differences`)."""
        return self.differences.joint_test()

    def at(self, values: Mapping[str, float]) -> Effects:
        """Return the effect at values of the moderators.

        Parameters
        ----------
        values : mapping of str to float
            A value for each moderator; those that are not named stand at their means.
        """
        if self.means is None:
            raise DesignError("effects are by group here.", hint="Choose a term of .effects.")
        unknown = sorted(set(values) - set(self.moderators))
        if unknown:
            raise DesignError(f"{unknown[0]!r} is no moderator.", hint=f"Moderators: {', '.join(self.moderators)}.")
        moves = [values.get(name, mean) - mean for name, mean in zip(self.moderators, self.means, strict=True)]
        told = ", ".join(f"{name}={fmt.number(value)}" for name, value in values.items()) or "the means"
        return self.effects.contrast([1.0, *moves], f"effect at {told}")

    @property
    def title(self) -> str:
        """What this is."""
        return f"Heterogeneity by {', '.join(self.moderators)}: {self.estimand}"

    @property
    def answer(self) -> str:
        """Whether effects differ, and what they are."""
        found = self.test()
        low, high = self.effects.ci()
        told = "; ".join(
            f"{term} {fmt.number(value)} {fmt.interval(a, b)}"
            for term, value, a, b in list(zip(self.effects.terms, self.effects.values, low, high, strict=True))[:6]
        )
        verdict = "differ" if found.pvalue < 0.05 else "can't be told apart"
        return f"Effects {verdict} (p-value {fmt.pvalue(found.pvalue)} for one effect for all): {told}."

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """The ledger: rows next to the cutoff in each group."""
        return Checks({"effective_sample": self._sample_check()})

    def _sample_check(self) -> Check:
        least = int(self.n_effective.min())
        text = f"The smallest side of a group has {fmt.plural(least, 'row')} within its bandwidth."
        if least >= FEW_ROWS:
            return Check("effective_sample", "pass", text, float(least))
        return Check("effective_sample", "warn", text, float(least), advice="Merge small groups.")

    def to_table(self) -> Table:
        """Return the effects."""
        return self.effects.to_table()

    def passages(self) -> tuple[Passage, ...]:
        """Return the answer, and the table with its figure."""
        return (
            Passage("found", self.title, (self.answer,)),
            Passage("certainty", self.title, ("Intervals are robust bias-corrected.",), self.to_table(), "effects"),
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return effects and intervals."""
        low, high = self.effects.ci()
        return {
            "title": self.title,
            "terms": list(self.effects.terms),
            "estimate": self.effects.values,
            "low": low,
            "high": high,
            "null": 0.0,
        }


def heterogeneity(
    result: Any, columns: Sequence[str] | str, data: Any = None, *, vcov: str = "auto"
) -> RDHeterogeneity:
    """Return the effect at the cutoff by group, or as a linear function of numbers.

    All of the local polynomial interacts with the moderators, so that groups are estimated as if apart, with bandwidths of
    their own, and their effects can be compared. Inference is from the polynomial of the next higher order at the same
    bandwidths, which is the robust bias correction with equal bandwidths (Calonico, Cattaneo, Farrell, Palomba and
    Titiunik 2025, "Treatment effect heterogeneity in regression discontinuity designs").

    Parameters
    ----------
    result : RegressionDiscontinuityResult
        Of a sharp design. Its rows, cutoff, kernel, orders, rule or bandwidths, clusters, weights and covariates are used.
    columns : str or list of str
        One column of text, categories, booleans or 0/1 whose values are groups; or one or several numeric columns. They
        must have been determined before treatment.
    data : table, optional
        The table of the fit, for columns that are no covariates of it.
    vcov : {"auto", "HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3"}
        ``"auto"`` is HC3, or CR1 where the fit has clusters.

    Returns
    -------
    RDHeterogeneity
        ``effects``, ``differences``, ``test()``, and ``at(values)`` for numbers.

    Raises
    ------
    DesignError
        If a column can't be used.
    InferenceUnavailable
        If the design is fuzzy or a kink.
    """
    estimator, sample = result.estimator, result._kept()
    if result.first_stage is not None or estimator.derivative:
        raise InferenceUnavailable("heterogeneity is for jumps of sharp designs.", hint="Leave out treatment=.")
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    features = _moderators(sample, names, data)
    groups, levels, basis, means = _basis(features, names)
    others = _covariates(sample, names)
    cluster = sample.groups("cluster")
    x = sample.number("running") - estimator.cutoff
    keep = np.abs(x) >= estimator.donut
    order, bias_order = estimator.orders
    problem = Problem(
        x[keep],
        sample.outcome[keep] - float(sample.outcome[keep].mean()),
        basis[keep],
        None if groups is None else groups[keep],
        others[keep],
        None if cluster is None else cluster.codes[keep],
        None if not sample.has("weights") else sample.number("weights")[keep],
        order,
        bias_order,
        estimator.kernel,
        _kind(vcov, cluster is not None),
        estimator.mass_points,
        estimator.regularization,
        levels,
    )
    fit = interacted(problem, estimator.bandwidth)
    numbers = Estimate(
        read_only(fit.conventional),
        Covariance(read_only(fit.vcov), np.full(len(fit.corrected), np.inf), problem.vcov),
        read_only(fit.corrected),
    )
    terms = levels if means is None else ("effect at the means", *(f"per unit of {name}" for name in names))
    return RDHeterogeneity(Effects(terms, numbers), names, means, fit, result.estimand)


def _kind(vcov: str, clustered: bool) -> str:
    if vcov == "auto":
        return "CR1" if clustered else "HC3"
    known = ("HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3")
    if vcov not in known:
        raise DesignError(f"vcov={vcov!r} is not offered here.", hint=f"Use one of {', '.join(known)}.")
    if clustered != vcov.startswith("CR"):
        raise DesignError(f"vcov={vcov!r} does not go with {'' if clustered else 'no '}cluster=.")
    return vcov


def _moderators(sample: Sample, names: tuple[str, ...], data: Any) -> Features:
    """Return the columns, from the covariates of the fit or from its table."""
    if not names:
        raise DesignError("columns= is missing.", hint="Name the columns whose values moderate the effect.")
    if data is None:
        features = sample.features()
        unknown = [name for name in names if name not in features.names]
        if unknown:
            raise DesignError(
                f"column {unknown[0]!r} is no covariate of the fit.",
                hint="Pass data= with the table of the fit.",
                column=unknown[0],
            )
        at = [features.names.index(name) for name in names]
        schema = Schema(tuple(features.schema.names[j] for j in at), tuple(features.schema.levels[j] for j in at))
        return Features(features.values[:, at], schema)
    frame = Frame.read(data).collect()
    if frame.n_rows != sample.n_input:
        raise DesignError(
            f"data has {frame.n_rows} rows, the table of the fit had {sample.n_input}.", hint="Pass the same table."
        )
    found = Schema.of(frame, names).read(frame).take(sample.rows.positions)
    if found.missing.any():
        raise DesignError(
            f"{int(found.missing.sum())} rows have a missing value in {', '.join(names)}.",
            hint="Drop them first, and fit again.",
        )
    return found


def _basis(features: Features, names: tuple[str, ...]) -> tuple[Codes | None, tuple[str, ...], Floats, Floats | None]:
    """Return groups and an indicator for each; or a constant and the centred moderators with their means."""
    values = features.values
    grouped = bool(features.categorical) or (len(names) == 1 and set(np.unique(values)) <= {0.0, 1.0})
    if not grouped:
        means = values.mean(axis=0)
        if not (np.ptp(values, axis=0) > 0).all():
            raise DesignError(f"{names[int(np.argmin(np.ptp(values, axis=0)))]!r} does not vary.")
        return None, (), np.column_stack([np.ones(len(values)), values - means]), means
    if len(names) > 1:
        raise DesignError(
            f"{', '.join(names)} are several columns, groups among them.",
            hint="Pass one column of groups, or numbers only.",
        )
    labels = features.schema.levels[0]
    present, codes = np.unique(values[:, 0], return_inverse=True)
    if not 2 <= present.size <= MOST_GROUPS:
        raise DesignError(
            f"{names[0]!r} has {present.size} values; groups are from 2 to {MOST_GROUPS}.", column=names[0]
        )
    told = tuple(f"{names[0]}={fmt.label(labels[int(v)] if labels else int(v))}" for v in present)
    return codes.astype(np.int32), told, np.eye(present.size)[codes], None


def _covariates(sample: Sample, moderators: tuple[str, ...]) -> Floats:
    """Return the covariates of the fit that are no moderators."""
    values, columns = sample.features().dummies()
    keep = [
        j
        for j, column in enumerate(columns)
        if not any(column == name or column.startswith(f"{name}[") for name in moderators)
    ]
    return values[:, keep]
