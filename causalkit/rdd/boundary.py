"""BoundaryRD: treatment that starts at a boundary in several scores, such as a border or two test scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Arms, Sample
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats
from causalkit.rdd.boundary_checks import sides_check
from causalkit.rdd.multi_cutoff_parts import Part, fit_parts, numbers_of
from causalkit.rdd.multi_cutoff_result import MultiCutoffResult, assembled
from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity, _check_bandwidth

MOST_POINTS = 200


def _check_boundary(name: str, value: Any) -> Any:
    """Take points, each with as many coordinates."""
    try:
        points = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
        raise DesignError(
            f"{name}={value!r} is not a list of points.", hint="Such as boundary=((0, 0), (0, 10), (10, 10)), in order."
        )
    if len(points) > MOST_POINTS:
        raise DesignError(f"{name} has {len(points)} points; {MOST_POINTS} are the most.")
    if len(np.unique(points, axis=0)) < len(points):
        raise DesignError(f"{name} holds a point twice.")
    return tuple(tuple(row) for row in points.tolist())


@dataclass(frozen=True, kw_only=True)
class BoundaryRD(Estimator[MultiCutoffResult]):
    """Effects along a boundary in several scores, from the distance to it.

    Units on one side of the boundary are treated: voters on one side of a border, students with two scores above two
    lines. At each point of the boundary the effect is that on units at the point, estimated by local polynomials in the
    distance to it (positive for treated units) with robust bias-corrected inference. The pooled effect, for units anywhere
    at the boundary, uses the distance to its nearest part (Keele and Titiunik 2015; Cattaneo, Titiunik and Vazquez-Bare
    2020). It rests on the average outcome being smooth across the boundary.

    Parameters
    ----------
    boundary : sequence of points
        Points of the boundary in order, each with one coordinate for each score. Neighbouring points are joined by straight
        lines for the pooled effect.
    order, bias_order : int, optional
        Orders of the polynomials and of those that estimate their bias; 1 and 2 unless given.
    kernel : {"triangular", "uniform", "epanechnikov"}
        Weights of the rows by distance.
    bandwidth : str, float or (float, float)
        A rule, which each point follows by itself, or bandwidths; see :class:`RegressionDiscontinuity`.
    vcov : {"auto", "NN", "HC0", "HC1", "HC2", "HC3", "CR1"}
        ``"auto"`` is NN, or CR1 when ``cluster=`` is given.
    mass_points : {"adjust", "check", "off"}
        What the selectors do about repeated values.

    Notes
    -----
    Distance is Euclidean: give scores of like units, or divide each by its standard deviation. Near a kink of the boundary
    the average outcome is not smooth in the distance, and the bias there shrinks more slowly (Cattaneo, Titiunik and Yu
    2025). The same rows serve several points; the covariance of the effects says so. ``treatment`` is the side: where rows
    next to the boundary have the treatment of the other side, ``checks["sides"]`` says how many.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> read, count = rng.uniform(-1, 1, 4_000), rng.uniform(-1, 1, 4_000)
    >>> passed = (read >= 0) & (count >= 0)
    >>> grade = read + count + 0.5 * passed + 0.2 * rng.normal(size=4_000)
    >>> table = pd.DataFrame({"grade": grade, "read": read, "count": count, "passed": passed})
    >>> design = ck.BoundaryRD(boundary=((0, 1), (0, 0.5), (0, 0), (0.5, 0), (1, 0)))
    >>> result = design.fit(table, outcome="grade", running=["read", "count"], treatment="passed")
    >>> result.effects.terms[0], result.effects.terms[-1]
    ('(0, 1)', 'pooled')
    """

    boundary: Sequence[Sequence[float]] = field(metadata={"check": _check_boundary})
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
        "running": Role("number", many=True),
        "treatment": Role("treatment"),
        "covariates": Role("features", required=False, many=True),
        "cluster": Role("label", required=False),
        "weights": Role("weights", required=False),
        "unit": Role("label", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "row")
    strategies: ClassVar[tuple[str, ...]] = ("discontinuity",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        running: Sequence[str] | str,
        treatment: Any,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        unit: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> MultiCutoffResult:
        """Estimate the effects along the boundary.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow or a lazy table (of which the named columns are collected).
        outcome : str
            Numeric column.
        running : list of str
            The scores, in the order of the boundary's coordinates.
        treatment : str
            On which side a row lies: two arms.
        covariates : list of str
            Determined before treatment.
        control, treatment_level : level, optional
            The arm on the untreated side, needed for text.
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
        self._scores(sample)
        _treated(sample)

    @property
    def each(self) -> RegressionDiscontinuity:
        """The configuration at each point, in the distance to it."""
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
        scores, treated = self._scores(sample), _treated(sample)
        sign = np.where(treated, 1.0, -1.0)
        points = np.array(self.boundary)
        everyone = np.arange(sample.n)
        parts = [Part(_name(point), everyone, sign * np.sqrt(((scores - point) ** 2).sum(axis=1))) for point in points]
        parts.append(Part("pooled", everyone, sign * distance_to_line(scores, points)))
        # A treated row on the boundary is at zero, which is above; an untreated one goes just below.
        parts = [Part(part.name, part.rows, np.where(treated, part.x, np.minimum(part.x, -_TINY))) for part in parts]
        column = sample.columns["treatment"]
        assert isinstance(column, Arms)
        alone = Sample(
            {role: value for role, value in sample.columns.items() if role not in ("treatment", "running")},
            sample.rows, sample.n_input, sample.dropped, sample.given,
        )  # fmt: skip
        several = fit_parts(self.each, alone, parts)
        numbers = numbers_of(several, alone, treated.astype(np.int32))
        what = f"effect of {column.contrast()} on {sample.name('outcome')} at the boundary"
        result = assembled(self, sample, several, numbers, what)
        reach = max(result.bandwidths.get("pooled", (np.inf, np.inf)))
        sides = sides_check(scores, points, treated, reach)
        return result if sides is None else replace(result, checks=result.checks.joined({"sides": sides}))

    def _scores(self, sample: Sample) -> Floats:
        columns = sample.numbers("running")
        width = len(self.boundary[0])
        if len(columns) != width:
            names = ", ".join(column.name for column in columns)
            raise DesignError(
                f"the boundary's points have {width} coordinates, running names {len(columns)} scores ({names}).",
                hint="Name one score for each coordinate.",
            )
        return np.stack([column.values for column in columns], axis=1)


_TINY = float(np.finfo(float).tiny)


def distance_to_line(scores: Floats, points: Floats) -> Floats:
    """Return the distance of each row to the line through points, shape (n,).

    Parameters
    ----------
    scores : array, shape (n, d)
    points : array, shape (m, d)
        In order; a single point is its own line.
    """
    if len(points) == 1:
        return np.asarray(np.sqrt(((scores - points[0]) ** 2).sum(axis=1)))
    nearest = np.full(len(scores), np.inf)
    for start, end in pairwise(points):
        along = end - start
        share = np.clip((scores - start) @ along / (along @ along), 0.0, 1.0)
        nearest = np.minimum(nearest, ((scores - start - share[:, None] * along) ** 2).sum(axis=1))
    return np.asarray(np.sqrt(nearest))


def _name(point: Floats) -> str:
    return f"({', '.join(f'{value:.6g}' for value in point)})"


def _treated(sample: Sample) -> Bools:
    """Return which rows lie on the treated side."""
    column = sample.arms
    if column.count != 2:
        raise DesignError(
            f"treatment {column.name!r} has {column.count} arms; a boundary has two sides.",
            hint="Keep the rows of two arms.",
            column=column.name,
        )
    return np.asarray(column.codes == 1)
