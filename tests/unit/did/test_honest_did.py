from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import optimize, stats

import causalkit as ck
from causalkit import did, plot
from causalkit.did.honest_fixed_length import FixedLength, lasso_path
from causalkit.did.honest_moments import DualVertices
from causalkit.did.honest_restrictions import Restriction
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.honest_normal import NormalBox, folded_quantile, largest_quantile, truncated_quantile
from causalkit.kernels.honest_polytope import extreme_rays


def vector(n_pre=4, n_post=3, seed=0, effect=0.8):
    rng = np.random.default_rng(seed)
    size = n_pre + n_post
    root = rng.normal(size=(size, size + 3)) * 0.06 + 0.05
    values = rng.multivariate_normal(np.append(np.zeros(n_pre), np.full(n_post, effect)), root @ root.T)
    return values, root @ root.T, n_pre


def honest(given=None, **options):
    values, vcov, n_pre = vector() if given is None else given
    return did.honest(values, vcov=vcov, n_pre=n_pre, **options)


EVERY = [
    {},
    {"weights": "first"},
    {"bias": "positive"},
    {"trend": "decreasing"},
    {"restriction": "smoothness"},
    {"restriction": "smoothness", "method": "c-lf"},
    {"restriction": "relative_smoothness"},
    {"method": "conditional"},
]


# Numbers.


def accepted_by_programs(theta, values, vcov, n_pre, weights, rows, limit, alpha, first):
    """Andrews, Roth and Pakes by linear programs alone: no vertices."""
    if len(weights) > 1:
        speaks = np.abs(rows[:, n_pre:]).max(axis=1) > 1e-12
        rows, limit = rows[speaks], limit[speaks]
    sigma, spread = rows @ vcov @ rows.T, np.sqrt(np.diag(rows @ vcov @ rows.T))
    shift = np.zeros(len(values))
    shift[n_pre + int(np.argmax(np.abs(weights)))] = theta / weights[np.argmax(np.abs(weights))]
    free = np.linalg.svd(np.atleast_2d(weights))[2][1:].T
    nuisance = rows[:, n_pre:] @ free
    moments = rows @ (values - shift) - limit

    def value(y):
        """The largest of ``gamma'y`` over the dual polytope."""
        ones = np.vstack([nuisance.T, spread])
        return optimize.linprog(-y, A_eq=ones, b_eq=np.append(np.zeros(nuisance.shape[1]), 1.0), bounds=(0, None))

    found = value(moments)
    eta, gamma = -found.fun, found.x
    if eta <= 0 or eta > first:
        return eta <= 0
    own = gamma @ sigma @ gamma
    direction = sigma @ gamma / own
    rest = moments - direction * eta

    def on(c):
        return -value(rest + direction * c).fun - c <= 1e-9

    low = optimize.brentq(lambda c: 0.5 - on(c), eta - 50.0, eta, xtol=1e-7) if not on(eta - 50.0) else -np.inf
    high = optimize.brentq(lambda c: on(c) - 0.5, eta, eta + 50.0, xtol=1e-7) if not on(eta + 50.0) else np.inf
    level = (alpha - alpha / 10) / (1 - alpha / 10)
    one = np.sqrt(own)
    ends = np.array([low, min(high, first)]) / one
    critical = stats.truncnorm.ppf(1 - level, *ends)
    return eta / one <= max(critical, 0.0)


@pytest.mark.parametrize("options", [{}, {"bias": "positive"}, {"kind": "smoothness"}, {"n_post": 1}])
def test_the_test_is_that_of_linear_programs(options):
    n_post = options.get("n_post", 3)
    values, vcov, n_pre = vector(n_post=n_post, seed=3)
    weights = np.full(n_post, 1.0 / n_post)
    restriction = Restriction(options.get("kind", "relative_magnitudes"), options.get("bias"))
    compared = 0
    for piece in restriction.pieces(n_pre)[:2]:
        rows, limit = restriction.inequalities(n_pre, n_post, 0.7, piece)
        test = DualVertices().test(values, vcov, n_pre, weights, rows, limit, 0.05, True)
        ends = test.reach()
        for theta in [] if ends is None else np.linspace(ends[0] - 0.02, ends[1] + 0.02, 9):
            slow = accepted_by_programs(theta, values, vcov, n_pre, weights, rows, limit, 0.05, test.least_favourable)
            assert bool(test.accepts(np.array([theta]))[0]) == slow
            compared += 1
    assert compared >= 9


def test_extreme_rays_are_the_basic_solutions():
    rng = np.random.default_rng(1)
    for size, count in ((7, 2), (8, 3)):
        equations = rng.normal(size=(count, size))
        basic = set()
        for support in combinations(range(size), count + 1):
            ray = np.linalg.svd(equations[:, support])[2][-1]
            if (ray > 0).all() or (ray < 0).all():
                basic.add(support)
        found = extreme_rays(equations, 1000)
        assert {tuple(np.flatnonzero(ray)) for ray in found} == basic
        np.testing.assert_allclose(found @ equations.T, 0.0, atol=1e-9)
    assert extreme_rays(rng.normal(size=(4, 14)), 3) is None


@pytest.mark.parametrize("rank", [1, 2, 3, 6])
def test_quantile_of_the_largest_normal(rank):
    rng = np.random.default_rng(rank)
    factor = rng.normal(size=(5, rank))
    draws = np.sort((rng.standard_normal((400_000, rank)) @ factor.T).max(axis=1))
    inside = np.searchsorted(draws, largest_quantile(factor, 0.995)) / len(draws)
    assert inside == pytest.approx(0.995, abs=4 * np.sqrt(0.995 * 0.005 / len(draws)))


def test_normal_pieces():
    low, high = np.array([-1.0, 3.0, 9.0]), np.array([0.5, 4.0, np.inf])
    expected = stats.truncnorm.ppf(0.95, low, high)
    np.testing.assert_allclose(truncated_quantile(0.95, low, high), expected, rtol=1e-9)
    np.testing.assert_allclose(folded_quantile(0.95, np.array([0.0])), 1.959963984540054)
    for mean in (0.3, 2.0, 40.0):
        at = folded_quantile(0.9, np.array([mean]))[0]
        assert stats.norm.cdf(at - mean) - stats.norm.cdf(-at - mean) == pytest.approx(0.9, abs=1e-12)
    box = NormalBox(np.diag([1.0, 4.0]))
    bounds = np.array([-1.0, -np.inf]), np.array([2.0, 1.0])
    product = (stats.norm.cdf(2) - stats.norm.cdf(-1)) * stats.norm.cdf(0.5)
    assert box.probability(*bounds) == pytest.approx(product, rel=1e-6)
    one = stats.truncnorm.mean(-1, 2)
    np.testing.assert_allclose(box.mean(*bounds), [one, 2 * stats.truncnorm.mean(-np.inf, 0.5)], atol=5e-4)


def test_lasso_path_solves_each_problem():
    rng = np.random.default_rng(4)
    for size in (1, 3, 6):
        root = rng.normal(size=(size, size + 2))
        hessian, linear = root @ root.T, rng.normal(size=size)
        corners = lasso_path(hessian, linear)
        np.testing.assert_allclose(corners[-1], -np.linalg.solve(hessian, linear), atol=1e-9)
        for one, two in pairwise(corners):
            x = (one + two) / 2
            gradient = hessian @ x + linear
            penalty = np.abs(gradient).max()
            on = np.abs(x) > 1e-12
            np.testing.assert_allclose(gradient[on], -penalty * np.sign(x[on]), atol=1e-9)


def test_the_interval_of_fixed_length_is_the_shortest():
    values, vcov, n_pre = vector(seed=6)
    weights = np.full(3, 1 / 3)
    found = FixedLength.of(values, vcov, n_pre, weights)
    for magnitude in (0.0, 0.02, 0.2):
        low, high, estimator = found.interval(magnitude, 0.05)
        times = np.array([-4, -3, -2, -1, 1, 2, 3.0])
        assert estimator @ times == pytest.approx(0.0, abs=1e-10)
        np.testing.assert_allclose(estimator[n_pre:], weights)
        bends = np.delete(np.diff(np.eye(8), 2, axis=0), n_pre, axis=1)

        def half(free, magnitude=magnitude, bends=bends, times=times):
            whole = np.concatenate([free, [-(free @ times[:3] + weights @ times[4:]) / times[3]], weights])
            worst = optimize.linprog(
                -whole, A_ub=np.vstack([bends, -bends]), b_ub=np.full(2 * len(bends), magnitude), bounds=(None, None)
            )
            spread = np.sqrt(whole @ vcov @ whole)
            return folded_quantile(0.95, np.array([-worst.fun / spread]))[0] * spread

        assert half(estimator[:3]) == pytest.approx((high - low) / 2, rel=1e-7)
        rng = np.random.default_rng(0)
        assert all(
            half(estimator[:3] + step) >= (high - low) / 2 * (1 - 1e-9) for step in rng.normal(size=(25, 3)) * 0.05
        )


@pytest.mark.parametrize("options", EVERY)
def test_intervals_follow_units_and_sign_and_never_narrow(options):
    values, vcov, n_pre = vector()
    scale = {"magnitudes": [0.0, 0.02, 0.1, 0.3]} if options.get("restriction") == "smoothness" else {}
    base = honest(**options, **scale)
    low, high = np.array(base.limits).T
    assert (np.diff(low) <= 0).all()
    assert (np.diff(high) >= 0).all()
    much = {key: np.array(value) * 1e6 for key, value in scale.items()}
    larger = honest((values * 1e6, vcov * 1e12, n_pre), **options, **much)
    np.testing.assert_allclose(np.array(larger.limits) / 1e6, base.limits, rtol=1e-7)
    turned = {"positive": "negative", "decreasing": "increasing"}
    flipped = {key: turned.get(value, value) if key in ("bias", "trend") else value for key, value in options.items()}
    mirror = honest((-values, vcov, n_pre), **flipped, **scale)
    np.testing.assert_allclose(-np.array(mirror.limits)[:, ::-1], base.limits, rtol=1e-6)
    assert base.checks["certificate"].status == "pass"


@pytest.mark.parametrize("options", EVERY)
def test_the_interval_reaches_the_null_at_the_break_even_value(options):
    strong = vector(effect=2.5)
    found = honest(strong, **options)
    if found.breakdown == np.inf:  # a bias of known sign can't undo some effects
        assert honest(strong, **options, magnitudes=1e4).limits[0][0] > 0
        return
    before = honest(strong, **options, magnitudes=found.breakdown * 0.999).limits[0]
    after = honest(strong, **options, magnitudes=found.breakdown * 1.001).limits[0]
    assert before[0] > 0 >= after[0]


def test_without_violation_relative_magnitudes_give_the_usual_interval():
    found = honest(weights="first", magnitudes=0.0)
    low, high = found.original
    assert found.limits[0][0] <= low + 1e-3
    assert found.limits[0][1] >= high - 1e-3
    np.testing.assert_allclose([low, high], found.estimate + np.array([-1, 1]) * 1.959963984540054 * found.se)


def test_coverage_under_a_violation_as_large_as_before():
    _, vcov, n_pre = vector()
    delta = 0.1 * np.array([-4, -3, -2, -1, 1, 2, 3])
    rng = np.random.default_rng(2)
    covered, usual, draws = 0, 0, 120
    for values in rng.multivariate_normal(delta, vcov, draws):
        found = did.honest(values, vcov=vcov, n_pre=n_pre, weights="first", magnitudes=1.0)
        covered += found.sets[0].contains(0.0)
        usual += found.original[0] <= 0.0 <= found.original[1]
    assert stats.binomtest(covered, draws, 0.95, alternative="less").pvalue > 0.01
    assert usual < covered


# What it takes, says and refuses.


@pytest.fixture(scope="module")
def panel():
    import pandas as pd

    rng = np.random.default_rng(5)
    start = np.repeat([4, 5, 99], 20)
    rows = [
        {"unit": u, "time": t, "cohort": g if g < 99 else 0, "y": rng.normal() * 0.3 + 0.1 * t + (t >= g) * 1.0}
        for u, g in enumerate(start)
        for t in range(1, 9)
    ]
    return pd.DataFrame(rows)


ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


def test_results_and_their_arrays_agree(panel):
    result = ck.CallawaySantAnna(base_period="universal").fit(panel, **ROLES)
    by_time = result.aggregate("event_time")
    before = int((by_time.event_times < -1).sum())
    arrays = did.honest(by_time.effects.values, vcov=by_time.effects.vcov, n_pre=before)
    for given in (result, by_time):
        np.testing.assert_allclose(did.honest(given).limits, arrays.limits, rtol=1e-12)
    assert did.honest(result).estimate == pytest.approx(by_time.estimate)
    assert did.honest(ck.TWFE(dynamic=True).fit(panel, **ROLES)).breakdown > 0
    assert "missing" in did.honest(result).checks


def test_a_varying_base_period_is_refused(panel):
    with pytest.raises(DesignError, match='Fit again with base_period="universal"'):
        did.honest(ck.CallawaySantAnna().fit(panel, **ROLES))
    with pytest.raises(DesignError, match="no effects by event time"):
        did.honest(ck.TWFE().fit(panel, **ROLES))
    with pytest.raises(DesignError, match="not evenly spaced"):
        did.honest(ck.CallawaySantAnna(base_period="universal").fit(panel.query("time != 6 and cohort != 5"), **ROLES))


def test_what_it_says():
    found = honest()
    assert "times the largest pre-period one" in found.answer
    assert f"{found.breakdown:.2f}"[:3] in found.answer
    assert list(found.to_frame().columns) == ["M", "low", "high"]
    assert found.sets[0].is_interval
    assert "under parallel trends" in plot.describe(found, "sensitivity")
    assert found.checks["parallel_trends"].status in ("pass", "warn")
    weak = honest(vector(effect=0.0), magnitudes=1.0)
    assert "nothing to lose" in weak.answer
    assert weak.breakdown == 0.0
    assert "per period" in honest(restriction="smoothness").answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restriction": "none"}, "restriction='none'"),
        ({"bias": "up"}, "bias='up'"),
        ({"trend": "up"}, "trend='up'"),
        ({"method": "flci"}, "bounded bias only"),
        ({"method": "exact"}, "method='exact'"),
        ({"magnitudes": [-1.0]}, "not negative"),
        ({"weights": [1.0]}, "3 effects"),
        ({"weights": "last"}, "weights='last'"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"null": np.inf}, "null=inf"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(DesignError, match=message):
        honest(**options)


def test_arrays_that_do_not_fit(monkeypatch):
    values, vcov, n_pre = vector()
    with pytest.raises(DesignError, match="need vcov= and n_pre="):
        did.honest(values)
    with pytest.raises(DataError, match="do not fit"):
        did.honest(values, vcov=vcov[:3, :3], n_pre=n_pre)
    with pytest.raises(DesignError, match="at least one"):
        did.honest(values, vcov=vcov, n_pre=7)
    with pytest.raises(DataError, match="positive semidefinite"):
        did.honest(values, vcov=vcov - 0.9 * np.diag(np.diag(vcov)), n_pre=n_pre)
    with pytest.raises(DesignError, match="two coefficients before"):
        honest(vector(n_pre=1), restriction="relative_smoothness")
    monkeypatch.setattr("causalkit.did.honest_moments.MOST_VERTICES", 100)
    with pytest.raises(InferenceUnavailable, match="more than 100 vertices with 8 effects"):
        honest(vector(n_pre=2, n_post=8), bias="positive", trend="increasing", magnitudes=1.0)


def test_what_is_advised_against_too_many_vertices_works(monkeypatch):
    monkeypatch.setattr("causalkit.did.honest_moments.MOST_VERTICES", 1_000)
    size, n_pre = 13, 5
    vcov = 0.02**2 * 0.5 ** np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    values = np.r_[np.random.default_rng(0).normal(0, 0.01, n_pre), np.linspace(0.05, 0.1, size - n_pre)]
    options = {"magnitudes": 0.5, "bias": "positive"}
    with pytest.raises(InferenceUnavailable, match="more than 1,000 vertices") as refused:
        ck.did.honest(values, vcov=vcov, n_pre=n_pre, **options)
    for advice in ("Leave out bias=", 'weights="first"', "fewer effects"):
        assert advice in refused.value.hint
    ck.did.honest(values, vcov=vcov, n_pre=n_pre, magnitudes=0.5)
    ck.did.honest(values, vcov=vcov, n_pre=n_pre, weights="first", **options)
    fewer = n_pre + 6
    ck.did.honest(values[:fewer], vcov=vcov[:fewer, :fewer], n_pre=n_pre, **options)
