"""Density test: a jump in the density of the running variable at the cutoff says that units sorted themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np

from causalkit.core.design import Design
from causalkit.core.roles import Role
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.rdd.binomial import binomial_tests, default_windows
from causalkit.rdd.density_bandwidth import FEWEST, Choices, Rule, bandwidths
from causalkit.rdd.density_fit import Fit, Ordered, Variance
from causalkit.rdd.density_model import KERNELS, Kernel, Model
from causalkit.rdd.density_report import DensityFit, DensityTest

_RULES = ("comb", "each", "diff", "sum")


def density_test(
    data: Any,
    cutoff: float = 0.0,
    *,
    running: str | None = None,
    order: int = 2,
    bias_order: int | None = None,
    kernel: Kernel = "triangular",
    bandwidth: Rule | float | tuple[float, float] = "comb",
    vcov: Variance = "jackknife",
    restricted: bool = False,
    mass_points: bool = True,
    regularize: bool = True,
    windows: Sequence[float] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> DensityTest:
    """Test that the density of the running variable is continuous at the cutoff.

    Where units can place themselves just on the better side, the density jumps there, and who is on either side is no
    longer as good as random. The densities are the slopes of local polynomials fitted to the empirical distribution
    function on either side (Cattaneo, Jansson and Ma 2020), which needs no bins.

    Parameters
    ----------
    data : array, column or table
        The running variable, or a table that has it as the column ``running``.
    cutoff : float
        Values at the cutoff are on the right.
    running : str, optional
        The column, where ``data`` is a table.
    order : int
        Order of the polynomials that bandwidths are best for, 1 to 7.
    bias_order : int, optional
        Order of those that the test uses at these bandwidths, which makes it robust to bias; ``order + 1`` by default.
    kernel : {"triangular", "uniform", "epanechnikov"}
        Weights of values by their distance from the cutoff.
    bandwidth : {"comb", "each", "diff", "sum"}, float or pair
        Rule: best for each density (``each``), for their difference or their sum, or the median of these (``comb``). Or
        the bandwidths themselves, one for both sides or (left, right).
    vcov : {"jackknife", "plugin"}
        Standard errors from the data, or from the limit at the estimated densities.
    restricted : bool
        Fit one polynomial for both sides that has a kink only: more power where the distribution is that smooth.
    mass_points : bool
        Whether repeated values are taken for the mass points they are.
    regularize : bool
        Whether bandwidths are kept within the data and wide enough to hold 20 distinct values more than coefficients.
    windows : sequence of float, optional
        Half-widths of the windows of the binomial tests; by default ten, the smallest with 20 values on either side.
    missing : {"drop", "raise"}
        What to do with missing values.

    Returns
    -------
    DensityTest
        ``statistic``, ``pvalue``, ``bandwidths``, ``robust``, ``conventional``, ``binomial``, a figure ``density``.

    Raises
    ------
    DataError
        If values are infinite, or all on one side of the cutoff.
    DesignError
        If an option is unknown.
    InferenceUnavailable
        If there are too few distinct values for the polynomials.

    Notes
    -----
    After sorting, each fit is one pass over its window, and its jackknife a second one. The tests of rddensity 3.0 are
    reproduced; its binomial windows are not, which take the values farthest from the cutoff for the nearest.

    References
    ----------
    Cattaneo, M. D., Jansson, M., and Ma, X. (2020). Simple local polynomial density estimators. Journal of the American
    Statistical Association 115, 1449-1455.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> margin = np.random.default_rng(0).normal(size=2_000)
    >>> ck.rdd.density_test(margin).checks["density"].status
    'pass'
    """
    values, name, n_dropped = _read(data, running, missing)
    return density_test_arrays(
        values,
        cutoff,
        order=order,
        bias_order=bias_order,
        kernel=kernel,
        bandwidth=bandwidth,
        vcov=vcov,
        restricted=restricted,
        mass_points=mass_points,
        regularize=regularize,
        windows=windows,
        name=name,
        n_dropped=n_dropped,
    )


def density_test_arrays(
    x: Floats,
    cutoff: float = 0.0,
    *,
    order: int = 2,
    bias_order: int | None = None,
    kernel: Kernel = "triangular",
    bandwidth: Rule | float | tuple[float, float] = "comb",
    vcov: Variance = "jackknife",
    restricted: bool = False,
    mass_points: bool = True,
    regularize: bool = True,
    windows: Sequence[float] | None = None,
    name: str = "the running variable",
    n_dropped: int = 0,
) -> DensityTest:
    """Test an array of finite numbers; see :func:`density_test`."""
    cutoff, bias_order = float(cutoff), order + 1 if bias_order is None else bias_order
    _require_options(order, bias_order, kernel, vcov)
    if windows is not None and not (len(windows) and all(np.isfinite(w) and w > 0 for w in windows)):
        raise DesignError(f"windows={windows!r} are not positive half-widths.", hint="Pass windows=[0.5, 1.0].")
    ordered = Ordered.of(np.asarray(x, dtype=np.float64), cutoff, mass_points)
    _require_both_sides(ordered, cutoff, name)
    left, right, rule = _bandwidths(ordered, Choices(order, kernel, restricted, vcov, regularize), bandwidth)
    fits = [Fit(ordered, Model(degree, restricted, left, right), kernel) for degree in (bias_order, order)]
    nearest = max(ordered.nearest(-1, FEWEST, False), ordered.nearest(1, FEWEST, False))
    return DensityTest(
        name=name,
        cutoff=cutoff,
        robust=_told("robust", fits[0], vcov),
        conventional=_told("conventional", fits[1], vcov),
        bandwidths=(left, right),
        bandwidth=rule,
        kernel=kernel,
        restricted=restricted,
        vcov=vcov,
        n_left=ordered.n_left,
        n_right=ordered.n_right,
        n_effective=fits[0].n_effective,
        binomial=binomial_tests(ordered.x, default_windows(nearest, min(left, right)) if windows is None else windows),
        ordered=ordered,
        n_dropped=n_dropped,
    )


def _read(data: Any, running: str | None, missing: str) -> tuple[Floats, str, int]:
    """Return the finite values, their name, and how many were missing."""
    table, column = data, running
    if running is None:
        name = getattr(data, "name", None)
        column = name if isinstance(name, str) and name else "the running variable"
        if hasattr(data, "columns") or isinstance(data, Mapping):
            raise DesignError("a table needs running=.", hint='Name the column: running="margin".')
        try:
            table = {column: np.asarray(data, dtype=np.float64)}
        except (TypeError, ValueError):
            raise DataError(
                "the running variable is not numeric.", hint="Pass numbers, or a table with running=."
            ) from None
        if table[column].ndim != 1:
            raise DataError(f"the running variable has shape {table[column].shape}.", hint="Pass one column.")
    sample = Design({"running": Role("number")}).bind(table, {"running": column, "missing": missing})
    return sample.number("running"), str(column), sample.dropped.total


def _require_options(order: int, bias_order: int, kernel: str, vcov: str) -> None:
    for word, value, low in (("order", order, 1), ("bias_order", bias_order, order)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 8:
            raise DesignError(f"{word}={value!r} is not a whole number from {low} to {7 if word == 'order' else 8}.")
    if order > 7:
        raise DesignError(f"order={order} is more than 7.")
    for word, given, known in (("kernel", kernel, tuple(KERNELS)), ("vcov", vcov, ("jackknife", "plugin"))):
        if given not in known:
            raise DesignError(f"{word}={given!r} is not an option.", hint=f"Use one of {', '.join(map(repr, known))}.")


def _require_both_sides(ordered: Ordered, cutoff: float, name: str) -> None:
    if not ordered.n:
        raise DataError(f"{name} has no values.")
    if not (ordered.n_left and ordered.n_right):
        low, high = float(ordered.x[0]) + cutoff, float(ordered.x[-1]) + cutoff
        raise DataError(
            f"all {ordered.n:,} values of {name} are on one side of the cutoff {cutoff:g}: they lie between {low:g} and "
            f"{high:g}.",
            hint="Pass cutoff= inside that range.",
        )


def _bandwidths(ordered: Ordered, choices: Choices, given: Any) -> tuple[float, float, str]:
    """Return both bandwidths and the rule that they come from."""
    if isinstance(given, str):
        if given not in _RULES:
            raise DesignError(f"bandwidth={given!r} is not an option.", hint=f"Use a number or one of {_RULES}.")
        return (*bandwidths(ordered, choices, given), given)  # type: ignore[arg-type]
    pair = (given, given) if isinstance(given, Real) and not isinstance(given, bool) else given
    good = isinstance(pair, list | tuple) and len(pair) == 2
    if not good or not all(isinstance(h, Real) and np.isfinite(float(h)) and float(h) > 0.0 for h in pair):
        raise DesignError(f"bandwidth={given!r} is not a positive number or a pair of them.")
    return float(pair[0]), float(pair[1]), "given"


def _told(name: str, fit: Fit, vcov: Variance) -> DensityFit:
    left, right = (float(value) for value in fit.coefficients(1))
    matrix = fit.covariance(vcov)
    change = np.array([-1.0, 1.0])
    squares = (matrix[0, 0], matrix[1, 1], change @ matrix @ change)
    if not min(squares) > 0.0:
        raise InferenceUnavailable(
            "the variance of the density at the cutoff is not positive.",
            hint='Widen bandwidth=, or use vcov="jackknife".',
        )
    errors = (float(np.sqrt(square)) for square in squares)
    return DensityFit(name, fit.model.order, left, right, right - left, *errors)
