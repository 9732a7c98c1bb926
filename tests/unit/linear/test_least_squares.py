from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.linear.least_squares import least_squares

NAMES = ["Intercept", "a", "b"]


def cross_section(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    return X @ [1.0, 2.0, -1.0] + rng.standard_normal(n), X, rng


def panel(units=30, periods=5, seed=0):
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    keep = rng.random(unit.size) > 0.2
    unit, time = unit[keep].astype(np.int32), time[keep].astype(np.int32)
    alpha = rng.standard_normal(units)
    X = rng.standard_normal((unit.size, 2)) + alpha[unit, None]
    y = X @ [1.0, -0.5] + alpha[unit] + 0.1 * time + rng.standard_normal(unit.size)
    return y, X, unit, time, rng


@pytest.mark.parametrize("weighted", [False, True])
def test_solves_the_normal_equations(weighted):
    y, X, rng = cross_section()
    w = rng.uniform(0.5, 2.0, y.size) if weighted else None
    used = np.ones(y.size) if w is None else w
    fit = least_squares(y, X, names=NAMES, weights=w)
    expected = np.linalg.lstsq(X * np.sqrt(used)[:, None], y * np.sqrt(used), rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-13)
    np.testing.assert_allclose(fit.residuals, y - X @ expected, atol=1e-13)
    np.testing.assert_allclose(fit.fitted, X @ expected, atol=1e-13)
    np.testing.assert_allclose(fit.bread, np.linalg.inv(X.T @ (used[:, None] * X)), atol=1e-14)
    np.testing.assert_allclose(fit.psi, (X * (used * fit.residuals)[:, None]) @ fit.bread, atol=1e-14)
    assert (fit.rank, fit.n, fit.n_parameters, fit.singletons) == (3, 80, 3, 0)


def test_without_an_intercept_nothing_is_centred():
    y, X, _ = cross_section()
    fit = least_squares(y, X[:, 1:], names=["a", "b"])
    expected = np.linalg.lstsq(X[:, 1:], y, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-13)
    assert fit.r2 == pytest.approx(1 - fit.residuals @ fit.residuals / (y @ y), abs=1e-13)


def test_a_constant_other_than_one_is_the_intercept():
    y, X, _ = cross_section()
    fit = least_squares(y, X * [4.0, 1.0, 1.0], names=NAMES)
    plain = least_squares(y, X, names=NAMES)
    np.testing.assert_allclose(fit.coefficients * [4.0, 1.0, 1.0], plain.coefficients, atol=1e-13)
    np.testing.assert_allclose(fit.se * [4.0, 1.0, 1.0], plain.se, atol=1e-13)


@pytest.mark.parametrize("vcov", ["iid", "HC1", "HC3", "CR1", "CR2"])
@pytest.mark.parametrize("effects", [False, True])
@settings(max_examples=15)
@given(shift=st.sampled_from([0.0, 2.0**20, 1e9]), scale=st.sampled_from([1.0, 1e6, 1e-6]), seed=st.integers(0, 10**6))
def test_follows_shifts_and_units_of_the_outcome(effects, vcov, shift, scale, seed):
    y, X, unit, time, _ = panel(seed=seed)
    groups = unit if vcov.startswith("CR") else None
    if effects:
        options = {"names": ["a", "b"], "absorb": [unit, time]}
    else:
        X, options = np.column_stack([np.ones(y.size), X]), {"names": NAMES}
    plain = least_squares(y, X, vcov=vcov, groups=groups, **options)
    moved = least_squares(scale * y + shift, X, vcov=vcov, groups=groups, **options)
    expected = plain.coefficients * scale
    expected[0] += 0.0 if effects else shift
    size = scale * max(1.0, np.std(y))
    rounding = max(0.0, shift - scale) * 1e-16
    np.testing.assert_allclose(moved.coefficients, expected, atol=1e-8 * size + 10 * rounding, rtol=1e-15)
    np.testing.assert_allclose(moved.se, plain.se * scale, atol=1e-8 * size + 10 * rounding)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_large_means_of_regressors_cost_no_digits_of_their_slopes(offset):
    y, X, _ = cross_section()
    X[:, 1:] = np.round(X[:, 1:] * 1024) / 1024
    plain, moved = (least_squares(y, X + np.array([0.0, at, at]), names=NAMES) for at in (0.0, offset))
    np.testing.assert_allclose(moved.coefficients[1:], plain.coefficients[1:], atol=1e-12)
    np.testing.assert_allclose(moved.se[1:], plain.se[1:], atol=1e-12)
    assert moved.dropped == {}


@pytest.mark.parametrize("units", [1e-8, 1e8])
def test_units_of_a_regressor_do_not_matter(units):
    y, X, unit, time, _ = panel()
    plain = least_squares(y, X, names=["a", "b"], absorb=[unit, time])
    scaled = least_squares(y, X * [units, 1.0], names=["a", "b"], absorb=[unit, time])
    np.testing.assert_allclose(scaled.coefficients * [units, 1.0], plain.coefficients, rtol=1e-12)
    np.testing.assert_allclose(scaled.se * [units, 1.0], plain.se, rtol=1e-12)


def test_later_collinear_columns_are_dropped_with_a_reason():
    y, X, _ = cross_section()
    wide = np.column_stack([X[:, 0], X[:, 1], X[:, 1] + 3.0, X[:, 2], X[:, 1] - X[:, 2], np.full(y.size, 7.0)])
    names = ["Intercept", "a", "a_again", "b", "difference", "seven"]
    fit = least_squares(y, np.column_stack([wide, np.zeros(y.size)]), names=[*names, "nothing"])
    assert fit.names == ("Intercept", "a", "b")
    assert fit.dropped == {
        "a_again": "collinear with a",
        "difference": "collinear with a, b",
        "seven": "constant, beside an intercept",
        "nothing": "zero in every row",
    }
    plain = least_squares(y, X, names=NAMES)
    np.testing.assert_allclose(fit.coefficients, plain.coefficients, atol=1e-12)
    np.testing.assert_allclose(fit.se, plain.se, atol=1e-12)
    assert fit.n_parameters == 3


def test_columns_absorbed_by_effects_are_dropped_with_a_reason():
    y, X, unit, time, rng = panel()
    by_unit, by_time = rng.standard_normal(30)[unit], rng.standard_normal(5)[time] * 1e6
    wide = np.column_stack([np.ones(y.size), by_unit, X[:, 0], by_time, by_unit - by_time * 1e-6, X[:, 1]])
    fit = least_squares(
        y,
        wide,
        names=["Intercept", "u", "a", "t", "both", "b"],
        absorb=[unit, time],
        absorb_names=["unit", "time"],
    )
    assert fit.names == ("a", "b")
    assert fit.dropped == {
        "Intercept": "constant, absorbed by every effect",
        "u": "absorbed by unit",
        "t": "absorbed by time",
        "both": "absorbed by unit and time together",
    }
    plain = least_squares(y, X, names=["a", "b"], absorb=[unit, time])
    np.testing.assert_allclose(fit.coefficients, plain.coefficients, atol=1e-12)


def test_singletons_are_counted_and_do_not_move_the_coefficients():
    y, X, unit, time, rng = panel()
    y, X = np.append(y, 5.0), np.vstack([X, rng.standard_normal(2)])
    unit, time = np.append(unit, 99).astype(np.int32), np.append(time, 0).astype(np.int32)
    keep = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR1")
    drop = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR1", singletons="drop")
    assert keep.singletons == drop.singletons == 1
    np.testing.assert_array_equal(keep.singleton_rows, [y.size - 1])
    assert (keep.n, drop.n) == (y.size, y.size - 1)
    np.testing.assert_array_equal(drop.rows, np.arange(y.size - 1))
    np.testing.assert_allclose(keep.coefficients, drop.coefficients, atol=1e-13)
    assert abs(keep.residuals[-1]) < 1e-13
    without = least_squares(
        y[:-1], X[:-1], names=["a", "b"], absorb=[unit[:-1], time[:-1]], groups=unit[:-1], vcov="CR1"
    )
    np.testing.assert_allclose(drop.se, without.se, atol=1e-15)


def test_row_order_does_not_matter():
    y, X, unit, time, rng = panel()
    order = rng.permutation(y.size)
    a = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR1")
    b = least_squares(
        y[order], X[order], names=["a", "b"], absorb=[unit[order], time[order]], groups=unit[order], vcov="CR1"
    )
    np.testing.assert_allclose(a.coefficients, b.coefficients, atol=1e-13)
    np.testing.assert_allclose(a.se, b.se, atol=1e-13)
    np.testing.assert_allclose(a.residuals[order], b.residuals, atol=1e-13)


def test_an_exact_solve_and_an_iterated_one_agree():
    y, X, unit, time, _ = panel()
    a = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR1")
    b = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR1", max_dense=0)
    assert a.solver.startswith("exact")
    assert b.solver.startswith("conjugate gradients")
    np.testing.assert_allclose(a.vcov.matrix, b.vcov.matrix, atol=1e-12)
    assert b.certificate < 1e-12


def test_inputs_are_not_changed():
    y, X, unit, time, rng = panel()
    w = rng.uniform(0.5, 2.0, y.size)
    before = [part.copy() for part in (y, X, unit, time, w)]
    least_squares(y, X, names=["a", "b"], absorb=[unit, time], weights=w)
    for now, then in zip((y, X, unit, time, w), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(bad):
    y, X, _ = cross_section()
    X[4, 1] = bad
    with pytest.raises(DataError, match="A has values that are not finite in 1 rows, the first is row 4") as caught:
        least_squares(y, X, names=NAMES)
    assert (caught.value.column, caught.value.rows) == ("a", (4,))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_weights_must_be_positive(bad):
    y, X, _ = cross_section()
    w = np.ones(y.size)
    w[7] = bad
    with pytest.raises(DataError, match="weights have values that are not positive in 1 rows, the first is row 7"):
        least_squares(y, X, names=NAMES, weights=w)


def test_shapes_are_checked():
    y, X, _ = cross_section()
    for arguments, message in [
        ({"y": y[:-1], "X": X, "names": NAMES}, "shape"),
        ({"y": y, "X": X, "names": NAMES[:2]}, "3 columns but 2 names"),
        ({"y": y[:0], "X": X[:0], "names": NAMES}, "no rows"),
        ({"y": y, "X": X, "names": NAMES, "weights": np.ones(3)}, "weights of shape"),
        (
            {"y": y, "X": X, "names": NAMES, "absorb": [np.zeros(80, np.int32)], "absorb_names": ["u", "v"]},
            "1 effects but 2 names",
        ),
    ]:
        with pytest.raises(DataError, match=message):
            least_squares(**arguments)


def test_nothing_left_is_a_design_error():
    y, X, _ = cross_section()
    with pytest.raises(DesignError, match="Intercept is constant, absorbed by every effect"):
        least_squares(y, X[:, :1], names=["Intercept"], absorb=[np.arange(80, dtype=np.int32) // 2])
    with pytest.raises(DesignError, match="Every row is alone"):
        least_squares(y, X, names=NAMES, absorb=[np.arange(80, dtype=np.int32)], singletons="drop")
    with pytest.raises(DesignError, match="singletons"):
        least_squares(y, X, names=NAMES, singletons="ignore")


def test_no_degrees_of_freedom_left():
    y, X, _ = cross_section(n=3)
    with pytest.raises(InferenceUnavailable, match="3 rows"):
        least_squares(y, X, names=NAMES)
