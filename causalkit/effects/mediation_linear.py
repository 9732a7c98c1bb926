"""Two linear equations: mediators on the treatment, the outcome on the treatment and the mediators, with influence values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Sample
from causalkit.effects.averages import shares
from causalkit.effects.crossfit_study import clusters_of
from causalkit.effects.mediation_scores import CELLS
from causalkit.effects.outcome_scale import Scale
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only
from causalkit.linear.least_squares import least_squares


@dataclass(frozen=True, eq=False)
class Equation:
    """A regression with the influence values of its coefficients; a column that was left out has a zero.

    Parameters
    ----------
    coefficients : Floats, shape (k,)
    psi : Floats, shape (n, k)
        Influence values, with 1/n folded in.
    residuals : Floats, shape (n,)
    """

    coefficients: Floats
    psi: Floats
    residuals: Floats


@dataclass(frozen=True, eq=False)
class LinearPaths:
    """The structural equations, with mediators and covariates centred at their means.

    Parameters
    ----------
    outcome : Equation
        Of z on a constant, the treatment, mediators, their products with the treatment (zero where these were not asked
        for), and covariates.
    mediators : tuple of Equation
        Of each mediator column on a constant, the treatment and covariates.
    centers : Floats, shape (k,)
        Means of the mediator columns.
    names : tuple of str
        Mediator columns; categories have one for each level but the first.
    x_psi : Floats, shape (n, p)
        Influence values of the means of the covariates.
    share : Floats, shape (n,)
        What each row counts for.
    scale : Scale
        From z to the outcome.
    groups : Groups or None
        Clusters.
    rows : Rows
        Identity of the rows.
    n_parameters : int
        Coefficients of the outcome equation.
    dropped : tuple of str
        Covariates that the others determine.
    """

    outcome: Equation
    mediators: tuple[Equation, ...]
    centers: Floats
    names: tuple[str, ...]
    x_psi: Floats
    share: Floats
    scale: Scale
    groups: Groups | None
    rows: Rows
    n_parameters: int
    dropped: tuple[str, ...]

    @property
    def k(self) -> int:
        """Number of mediator columns."""
        return len(self.mediators)

    def slope(self, arm: float, j: int) -> tuple[float, Floats]:
        """Return the coefficient of mediator column j in an arm, and its influence values."""
        at, by = 2 + j, 2 + self.k + j
        b, psi = self.outcome.coefficients, self.outcome.psi
        return float(b[at] + arm * b[by]), psi[:, at] + arm * psi[:, by]

    def moved(self, j: int) -> tuple[float, Floats]:
        """Return the effect of the treatment on mediator column j, and its influence values."""
        return float(self.mediators[j].coefficients[1]), self.mediators[j].psi[:, 1]

    def crossed_means(self) -> tuple[Floats, Floats]:
        """Return E[Y(a, M(b))] for the four pairs, and influence values, shape (n, 4), on the learning scale."""
        b, psi = self.outcome.coefficients, self.outcome.psi
        beta_x = b[2 + 2 * self.k :]
        theta, columns = np.empty(4), []
        for at, (a, arm) in enumerate(CELLS):
            value, moved = b[0] + a * b[1], psi[:, 0] + a * psi[:, 1] + self.x_psi @ beta_x
            for j in range(self.k):
                slope, slope_psi = self.slope(a, j)
                mean, mean_psi = self._mean(arm, j)
                value = value + slope * mean
                moved = moved + slope_psi * mean + slope * mean_psi
            theta[at] = value
            columns.append(moved)
        return theta, read_only(np.column_stack(columns))

    def controlled(self, point: Floats) -> tuple[float, Floats]:
        """Return the effect of the treatment with the mediators held at a point, and its influence values."""
        b, psi = self.outcome.coefficients, self.outcome.psi
        products = slice(2 + self.k, 2 + 2 * self.k)
        away = point - self.centers
        return float(b[1] + b[products] @ away), psi[:, 1] + psi[:, products] @ away

    def _mean(self, arm: int, j: int) -> tuple[float, Floats]:
        """Return the mean of a centred mediator column in an arm, and its influence values."""
        equation = self.mediators[j]
        a = equation.coefficients
        return float(a[0] + arm * a[1]), equation.psi[:, 0] + arm * equation.psi[:, 1] + self.x_psi @ a[2:]


def linear_paths(sample: Sample, interaction: bool) -> LinearPaths:
    """Fit the equations to a bound sample.

    Parameters
    ----------
    sample : Sample
        Bound rows; the treatment has two arms.
    interaction : bool
        Whether the mediators act differently in the two arms.

    Raises
    ------
    DataError
        If a covariate has gaps.
    DesignError
        If a mediator can't be told apart from the other columns.
    """
    near, mediators = sample.features(), sample.features("mediator")
    gaps: Bools = np.isnan(near.values)
    if gaps.any():
        at = int(np.argmax(gaps.any(axis=0)))
        raise DataError(
            f"covariate {near.names[at]!r} has {int(gaps[:, at].sum())} missing values (first in row "
            f"{int(sample.rows.positions[np.argmax(gaps[:, at])])}); linear equations can't use these rows.",
            hint="Pass missing='drop', or use method='robust' with the default learners.",
            column=near.names[at],
        )
    scale = Scale.learn(sample.outcome)
    z, weights = scale.apply(sample.outcome), sample.optional("weights")
    share = shares(sample.n, weights)
    x, x_names = near.dummies()
    m, m_names = mediators.dummies()
    centers = m[0] + share @ (m - m[0]) if m.size else np.empty(0)
    x, m = x - (x[0] + share @ (x - x[0])), m - centers
    treated = (sample.arms.codes == 1).astype(float)
    start = [np.ones(sample.n), treated]
    products = [column * treated for column in m.T] if interaction else []
    names = ["(intercept)", sample.arms.contrast(), *m_names]
    product_names = [f"{name} x {names[1]}" for name in m_names] if interaction else []
    columns = [*start, *m.T, *products, *x.T]
    found, count, dropped = _regress(z, columns, [*names, *product_names, *x_names], weights, len(names), x.shape[1])
    if not interaction:
        found = _with_zeros(found, 2 + m.shape[1], m.shape[1])
    equations = tuple(
        _regress(column, [*start, *x.T], [*names[:2], *x_names], weights, 2, x.shape[1])[0] for column in m.T
    )
    return LinearPaths(
        found, equations, centers, m_names, share[:, None] * x, share, scale, clusters_of(sample), sample.rows, count, dropped
    )  # fmt: skip


def _regress(
    y: Floats,
    columns: Sequence[Floats],
    names: Sequence[str],
    weights: Floats | None,
    needed: int,
    n_covariates: int,
) -> tuple[Equation, int, tuple[str, ...]]:
    """Regress; the first ``needed`` columns must not be determined by the others.

    The covariates come last, but go before the mediators where it is decided which of collinear columns is left out.
    """
    last = len(columns) - n_covariates
    order = [0, 1, *range(last, len(columns)), *range(2, last)]
    labels = [str(j) for j in order]
    fit = least_squares(y, [columns[j] for j in order], names=labels, weights=weights, vcov="HC0")
    for j in range(needed):
        if str(j) in fit.dropped:
            raise DesignError(
                f"{names[j]!r} can't be told apart from the other columns of a linear equation.",
                hint="Leave out the column that determines it, or join mediators.",
            )
    kept = np.array([int(name) for name in fit.names])
    coefficients, psi = np.zeros(len(columns)), np.zeros((len(y), len(columns)))
    coefficients[kept], psi[:, kept] = fit.coefficients, fit.psi
    dropped = tuple(names[int(label)] for label in fit.dropped)
    return Equation(read_only(coefficients), read_only(psi), read_only(fit.residuals)), fit.n_parameters, dropped


def _with_zeros(found: Equation, at: int, k: int) -> Equation:
    """Return an equation without products as one whose products are zero."""
    coefficients = np.insert(found.coefficients, at, np.zeros(k))
    psi = np.insert(found.psi, [at] * k, 0.0, axis=1)
    return Equation(read_only(coefficients), read_only(psi), found.residuals)
