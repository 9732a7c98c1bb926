"""MultiCutoffRD: one design with several cutoffs, each for its own units or all for everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Number, Sample
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes
from causalkit.rdd.multi_cutoff_parts import Part, fit_parts, numbers_of
from causalkit.rdd.multi_cutoff_result import MultiCutoffResult, assembled
from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity, _check_bandwidth

#: More values of a cutoff column than this are no cutoffs.
MOST_CUTOFFS = 100


def _check_cutoffs(name: str, value: Any) -> Any:
    """Take None or rising numbers."""
    if value is None:
        return None
    cutoffs = np.atleast_1d(np.asarray(value, dtype=object))
    fine = cutoffs.ndim == 1 and all(
        isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in cutoffs
    )
    numbers = np.asarray(cutoffs, dtype=float) if fine else np.array([np.nan])
    if numbers.size < 1 or not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
        raise DesignError(f"{name}={value!r} is not a rising sequence of numbers.", hint="Such as cutoff=(33, 66).")
    return tuple(numbers.tolist())


@dataclass(frozen=True, kw_only=True)
class MultiCutoffRD(Estimator[MultiCutoffResult]):
    """Effects at several cutoffs by local polynomials with robust bias-corrected inference.

    With a column of cutoffs (``fit(cutoff=)``) every unit faces its own; the effects at each are estimated from its units,
    averaged with weights by rows next to it, and pooled after measuring every running variable from its own cutoff
    (Cattaneo, Keele, Titiunik and Vazquez-Bare 2016; 2021). With cumulative cutoffs (``MultiCutoffRD(cutoff=(33, 66))``)
    all units face all of them, such as classes of a tax: each effect is estimated from the rows between the neighbouring
    cutoffs. What is estimated rests at each cutoff on what a single design rests on; the pooled effect is a mixture over
    cutoffs that leans towards those with many units next to them.

    Parameters
    ----------
    cutoff : sequence of float, optional
        Cumulative cutoffs, rising. Left out where the cutoff is a column.
    order, bias_order : int, optional
        Orders of the polynomials and of those that estimate their bias; 1 and 2 unless given.
    kernel : {"triangular", "uniform", "epanechnikov"}
        Weights of the rows by distance.
    bandwidth : str, float or (float, float)
        A rule, which each cutoff follows by itself, or bandwidths; see :class:`RegressionDiscontinuity`.
    vcov : {"auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1"}
        ``"auto"`` is NN, or CR1 when ``cluster=`` is given.
    mass_points : {"adjust", "check", "off"}
        What the selectors do about repeated values.

    Notes
    -----
    ``result.estimate`` is the pooled effect, or the weighted one with cumulative cutoffs. Effects are conventional; errors,
    tests and intervals are robust bias-corrected. Effects at different cutoffs are compared with the covariance that
    shared rows and clusters give them.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> score, line = rng.uniform(0, 100, 3_000), rng.choice([40.0, 60.0], 3_000)
    >>> grade = 0.02 * score + 0.5 * (score >= line) + 0.2 * rng.normal(size=3_000)
    >>> table = pd.DataFrame({"grade": grade, "score": score, "line": line})
    >>> result = ck.MultiCutoffRD().fit(table, outcome="grade", running="score", cutoff="line")
    >>> result.effects.terms
    ('score=40', 'score=60', 'weighted', 'pooled')
    """

    cutoff: Sequence[float] | None = field(default=None, metadata={"check": _check_cutoffs})
    order: int | None = integer(None, low=0, high=10)
    bias_order: int | None = integer(None, low=1, high=11)
    kernel: Literal["triangular", "uniform", "epanechnikov"] = choice(
        "triangular", "triangular", "uniform", "epanechnikov"
    )
    bandwidth: str | float | tuple[float, float] = field(default="mserd", metadata={"check": _check_bandwidth})
    vcov: Literal["auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1"] = choice(
        "auto", "auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1"
    )
    mass_points: Literal["adjust", "check", "off"] = choice("adjust", "adjust", "check", "off")

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "running": Role("number"),
        "cutoff": Role("number", required=False),
        "treatment": Role("treatment", required=False, treatment="either"),
        "covariates": Role("features", required=False, many=True),
        "cluster": Role("label", required=False),
        "weights": Role("weights", required=False),
        "unit": Role("label", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("running", "row")
    strategies: ClassVar[tuple[str, ...]] = ("discontinuity",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        running: Any,
        cutoff: Any = None,
        treatment: Any = None,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        unit: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> MultiCutoffResult:
        """Estimate the effects at all cutoffs.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow or a lazy table (of which the named columns are collected).
        outcome : str
            Numeric column.
        running : str
            The running variable: numeric.
        cutoff : str, optional
            The column with the cutoff of each row; left out with cumulative cutoffs.
        treatment : str, optional
            Treatment taken, in a fuzzy design.
        covariates : list of str
            Determined before treatment.
        control, treatment_level : level, optional
            Arms of the treatment, needed for text.
        cluster : str, optional
            Rows of one cluster have correlated outcomes.
        weights : str, optional
            Weights; they multiply the kernel.
        unit : str, optional
            Labels that match units across results.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        MultiCutoffResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            running=running,
            cutoff=cutoff,
            treatment=treatment,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            cluster=cluster,
            weights=weights,
            unit=unit,
            missing=missing,
        )

    def validate(self, sample: Sample) -> None:
        """Refuse what no fit could use; see :meth:`Estimator.validate`."""
        self._parts(sample)

    @property
    def each(self) -> RegressionDiscontinuity:
        """The configuration of each cutoff, with its running variable measured from it."""
        return RegressionDiscontinuity(
            order=self.order,
            bias_order=self.bias_order,
            kernel=self.kernel,
            bandwidth=self.bandwidth,
            vcov=self.vcov,
            mass_points=self.mass_points,
        )

    def estimate(self, sample: Sample) -> MultiCutoffResult:
        """Run the analysis on a bound sample."""
        parts, cells = self._parts(sample)
        several = fit_parts(self.each, sample, parts)
        return assembled(self, sample, several, numbers_of(several, sample, cells), _estimand(sample, self))

    def _parts(self, sample: Sample) -> tuple[list[Part], Codes]:
        """Return the design at each cutoff (and the pooled one), and the side of each row."""
        name, x = sample.name("running"), sample.number("running")
        if sample.has("cutoff") == (self.cutoff is not None):
            raise DesignError(
                "cutoffs were given twice: a column and numbers." if self.cutoff else "no cutoff was named.",
                hint="Name the column of cutoffs at the fit (cutoff=), or give cumulative ones: MultiCutoffRD(cutoff=(33, 66)).",
            )
        if self.cutoff is not None:
            return _cumulative(name, x, self.cutoff)
        own = sample.number("cutoff")
        values = np.unique(own)
        if values.size > MOST_CUTOFFS:
            raise DesignError(
                f"cutoff {sample.name('cutoff')!r} has {values.size} values; {MOST_CUTOFFS} are the most.",
                hint="Round them, or measure the running variable from the cutoff and use RegressionDiscontinuity.",
                column=sample.name("cutoff"),
            )
        distance = x - own
        at = [np.flatnonzero(own == value) for value in values]
        parts = [Part(f"{name}={value:.10g}", rows, distance[rows]) for value, rows in zip(values, at, strict=True)]
        pooled = Part("pooled", np.arange(x.size), distance)
        return [*parts, pooled], (distance >= 0).astype(np.int32)


def _cumulative(name: str, x: Any, cutoffs: Sequence[float]) -> tuple[list[Part], Codes]:
    """Each cutoff has the rows between its neighbours."""
    edges = np.array([-np.inf, *cutoffs, np.inf])
    cells = np.searchsorted(np.asarray(cutoffs), x, side="right")
    parts = []
    for j, cutoff in enumerate(cutoffs, start=1):
        rows = np.flatnonzero((x >= edges[j - 1]) & (x < edges[j + 1]))
        parts.append(Part(f"{name}={cutoff:.10g}", rows, x[rows] - cutoff))
    return parts, cells.astype(np.int32)


def _estimand(sample: Sample, estimator: MultiCutoffRD) -> str:
    running = sample.columns["running"]
    assert isinstance(running, Number)
    what = "jump" if not sample.has("treatment") else "effect of the treatment for compliers on"
    over = "its cutoffs" if estimator.cutoff else "the cutoff of each unit"
    link = " of " if what == "jump" else " "
    return f"{what}{link}{sample.name('outcome')} where {running.name} crosses {over}"
