"""Effects by term: tests, intervals, contrasts, and what draws and placebos can say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causalkit.core.effects import COLUMNS, Effects
from causalkit.core.estimate import Covariance, Draws, Estimate, Placebos
from causalkit.errors import DesignError, InferenceUnavailable

MATRIX = np.array([[0.5, 0.1, 0.0], [0.1, 0.4, 0.05], [0.0, 0.05, 0.3]])


def three(df=12.0, center=None):
    numbers = Estimate([1.0, -0.5, 0.2], Covariance(MATRIX, np.full(3, df)), center)
    return Effects(("a", "b", "c"), numbers, {"cohort": [2001, 2002, 2003]})


@pytest.mark.parametrize("df", [12.0, np.inf])
def test_each_effect_against_scipy(df):
    effects = three(df)
    law = stats.norm if np.isinf(df) else stats.t(df)
    t = effects.values / np.sqrt(np.diag(MATRIX))
    np.testing.assert_allclose(effects.statistic, t, rtol=1e-14)
    np.testing.assert_allclose(effects.pvalue, 2 * law.sf(np.abs(t)), rtol=1e-10)
    low, high = effects.ci(0.1)
    np.testing.assert_allclose(high - effects.values, law.ppf(0.95) * effects.se, rtol=1e-10)
    np.testing.assert_allclose(effects.values - low, law.ppf(0.95) * effects.se, rtol=1e-10)


def test_joint_test_against_the_formula():
    effects = three()
    f = effects.values @ np.linalg.solve(MATRIX, effects.values) / 3
    found = effects.joint_test()
    assert found.statistic == pytest.approx(f, rel=1e-12)
    assert found.pvalue == pytest.approx(stats.f.sf(f, 3, 12), rel=1e-10)
    assert found.df == (3.0, 12.0)
    part = effects.joint_test(["a", "c"])
    at = [0, 2]
    f = effects.values[at] @ np.linalg.solve(MATRIX[np.ix_(at, at)], effects.values[at]) / 2
    assert part.statistic == pytest.approx(f, rel=1e-12)


def test_the_center_is_what_is_tested():
    effects = three(center=np.array([2.0, 0.0, 0.0]))
    assert effects.values[0] == 1.0
    assert effects.statistic[0] == pytest.approx(2.0 / np.sqrt(0.5))
    assert np.mean([limit[0] for limit in effects.ci()]) == pytest.approx(2.0)


def test_contrasts():
    effects = three()
    found = effects.contrast({"a": 1.0, "c": -1.0}, name="a minus c")
    assert found.terms == ("a minus c",)
    assert found.values[0] == pytest.approx(0.8)
    assert found.se[0] == pytest.approx(np.sqrt(0.5 + 0.3))
    assert effects.contrast([1, 1, 0]).se[0] == pytest.approx(np.sqrt(0.5 + 0.4 + 0.2))
    with pytest.raises(DesignError, match=r"no term 'z'.*a, b, c"):
        effects.contrast({"z": 1.0})


def test_select_keeps_covariance_and_columns():
    found = three().select(["c", "a"])
    np.testing.assert_allclose(found.vcov, MATRIX[np.ix_([2, 0], [2, 0])])
    assert found.columns["cohort"] == [2003, 2001]


def test_simultaneous_band_is_wider_but_not_wider_than_bonferroni():
    effects = three(np.inf)
    low, _ = effects.ci(simultaneous=True)
    width = (effects.values - low) / effects.se
    assert np.allclose(width, width[0])
    assert stats.norm.ppf(0.975) < width[0] < stats.norm.ppf(1 - 0.025 / 3)


@pytest.mark.parametrize("df", [3.0, 12.0])
def test_a_simultaneous_band_uses_the_degrees_of_freedom(df):
    one = Effects(("a",), Estimate([1.0], Covariance(np.array([[0.5]]), np.array([df]))))
    np.testing.assert_allclose(one.ci(simultaneous=True), one.ci(), rtol=1e-9)
    low, _ = three(df).ci(simultaneous=True)
    width = (three(df).values - low) / three(df).se
    assert (stats.t(df).ppf(0.975) < width).all()
    assert (width < stats.t(df).ppf(1 - 0.025 / 3)).all()


def test_a_simultaneous_band_goes_by_the_fewest_degrees_of_freedom():
    mixed = Effects(("a", "b"), Estimate([1.0, 0.0], Covariance(np.eye(2), np.array([5.0, 80.0]))))
    even = Effects(("a", "b"), Estimate([1.0, 0.0], Covariance(np.eye(2), np.full(2, 5.0))))
    np.testing.assert_allclose(mixed.ci(simultaneous=True), even.ci(simultaneous=True))


@pytest.mark.parametrize("n_draws", [99, 199, 200, 1000, 57])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_the_interval_of_draws_is_what_their_test_does_not_reject(n_draws, alpha):
    draws = np.random.default_rng(n_draws).normal(size=(n_draws, 1))
    effects = Effects(("a",), Estimate(0.1, Draws(draws)))
    low, high = (float(limit[0]) for limit in effects.ci(alpha))
    for inside in (low, high):
        assert effects.test("a", inside).pvalue > alpha
    assert effects.test("a", np.nextafter(low, -np.inf)).pvalue <= alpha
    assert effects.test("a", np.nextafter(high, np.inf)).pvalue <= alpha


def test_too_few_draws_give_an_unbounded_interval():
    effects = Effects(("a",), Estimate(0.1, Draws(np.arange(10.0)[:, None])))
    assert [float(limit[0]) for limit in effects.ci(0.05)] == [-np.inf, np.inf]
    assert effects.test("a", -100).pvalue == pytest.approx(2 / 11)
    assert "∞" in repr(effects)


def test_the_pvalue_of_draws():
    draws = np.arange(1.0, 20.0)[:, None]
    effects = Effects(("a",), Estimate(9.0, Draws(draws)))
    assert effects.test("a").pvalue == pytest.approx(2 * 1 / 20)
    assert effects.test("a", 10.0).pvalue == 1.0


def test_placebos_rank():
    placebos = np.array([-3.0, 1.0, 2.0, -0.5, 0.1])[:, None]
    effects = Effects(("a",), Estimate(2.0, Placebos(placebos)))
    assert effects.test("a").pvalue == pytest.approx((1 + 2) / (1 + 5))
    with pytest.raises(InferenceUnavailable, match="zero only"):
        effects.test("a", 1.0)
    for attempt in (effects.ci, effects.joint_test, lambda: effects.se, lambda: effects.ci(simultaneous=True)):
        with pytest.raises(InferenceUnavailable):
            attempt()
    row = dict(zip(COLUMNS, effects.to_table().rows[0], strict=True))
    assert (row["se"], row["ci_low"], row["ci_high"]) == (None, None, None)
    assert row["pvalue"] == pytest.approx(0.5)


def test_no_spread():
    effects = Effects(("nothing", "certain"), Estimate([0.0, 1.0], Covariance(np.zeros((2, 2)), np.full(2, 9.0))))
    assert effects.test("nothing").pvalue == 1.0
    assert effects.test("certain").pvalue == 0.0
    assert effects.ci()[0].tolist() == [0.0, 1.0]


def test_the_table():
    frame = three().to_frame()
    assert list(frame.columns) == ["cohort", *COLUMNS]
    assert frame["cohort"].tolist() == [2001, 2002, 2003]
    assert frame["term"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2, float("nan")])
def test_alpha_is_a_share(alpha):
    with pytest.raises(DesignError, match="not between 0 and 1"):
        three().ci(alpha)


def test_terms_and_numbers_go_together():
    with pytest.raises(ValueError, match="1 terms for 2"):
        Effects(("a",), Estimate([1.0, 2.0], Covariance(np.eye(2), np.ones(2))))
