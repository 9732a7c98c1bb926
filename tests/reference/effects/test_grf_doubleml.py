"""Average effects, projections and calibration against R grf and DoubleML, given their predictions.

``numbers.json`` holds packages, versions and calls; ``predictions.csv.gz`` the simulated data and what the packages
predicted: ``irm_g0 irm_g1 irm_m`` (DoubleML), ``grf_tau grf_y`` (a causal forest; ``e`` is the known propensity), and
``cw_tau cw_y`` (a forest with clusters and weights).
"""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.core.rows import Groups
from causalkit.effects.averages import TARGETS, average_effect, overlap_regression, target_effect
from causalkit.effects.projection import best_linear_projection, calibration, one_sided
from causalkit.linear.least_squares import least_squares
from causalkit.nuisance.scores import dr_scores

HERE = Path(__file__).parent
NUMBERS = json.loads((HERE / "numbers.json").read_text())
GRF, DOUBLEML = NUMBERS["grf"], NUMBERS["doubleml"]


@pytest.fixture(scope="module")
def data():
    with gzip.open(HERE / "predictions.csv.gz", "rt") as file:
        rows = list(csv.reader(file))
    values = np.array(rows[1:], dtype=float)
    return dict(zip(rows[0], values.T, strict=True))


@pytest.fixture(scope="module")
def arms(data):
    return data["w"].astype(np.int32)


@pytest.fixture(scope="module")
def groups(data):
    codes = data["cluster"].astype(np.int32)
    return Groups(codes, tuple(range(int(codes.max()) + 1)))


def forest(data, prefix):
    tau, y, e = data[f"{prefix}_tau"], data[f"{prefix}_y"], data["e"]
    return np.column_stack([y - e * tau, y + (1 - e) * tau]), np.column_stack([1 - e, e])


def irm(data):
    m = data["irm_m"]
    return np.column_stack([data["irm_g0"], data["irm_g1"]]), np.column_stack([1 - m, m])


def test_doubleml_ate_without_small_sample_factor(data, arms):
    scores = dr_scores(data["y"], arms, *irm(data))
    found = average_effect(scores[:, 1] - scores[:, 0], small_sample=False)
    assert found.theta[0] == pytest.approx(DOUBLEML["ate"]["coef"], abs=1e-10)
    assert found.se[0] == pytest.approx(DOUBLEML["ate"]["se"], abs=1e-10)


def test_doubleml_atte_without_normalised_weights(data, arms):
    found = target_effect("treated", data["y"], arms, *irm(data), normalize=False, small_sample=False)
    assert found.theta[0] == pytest.approx(DOUBLEML["atte"]["coef"], abs=1e-10)
    assert found.se[0] == pytest.approx(DOUBLEML["atte"]["se"], abs=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_grf_points(data, arms, target):
    found = target_effect(target, data["y"], arms, *forest(data, "grf"))
    assert found.theta[0] == pytest.approx(GRF["ate"][target]["estimate"], abs=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_grf_points_with_weights(data, arms, groups, target):
    found = target_effect(target, data["y"], arms, *forest(data, "cw"), weights=data["weight"], groups=groups)
    assert found.theta[0] == pytest.approx(GRF["clustered"][target]["estimate"], abs=1e-10)


def test_grf_standard_error_of_the_average_effect(data, arms):
    found = target_effect("all", data["y"], arms, *forest(data, "grf"))
    assert found.se[0] == pytest.approx(GRF["ate"]["all"]["std.err"], abs=1e-10)


@pytest.mark.parametrize("target", ["all", "overlap"])
def test_grf_clustered_standard_errors(data, arms, groups, target):
    found = target_effect(target, data["y"], arms, *forest(data, "cw"), weights=data["weight"], groups=groups)
    assert found.se[0] == pytest.approx(GRF["clustered"][target]["std.err"], abs=1e-10)


@pytest.mark.parametrize(("target", "own"), [("treated", 1), ("control", 0)])
def test_grf_standard_errors_of_att_and_atc(data, arms, target, own):
    """grf adds the variance of the mean forest effect to that of the correction, as if the two were independent.

    Our influence values hold both parts and their covariance; taken apart they give grf's number.
    """
    mu, e = forest(data, "grf")
    psi = target_effect(target, data["y"], arms, mu, e).carrier.psi[:, 0]
    tau, here = mu[:, 1] - mu[:, 0], arms == own
    spread = np.where(here, tau - tau[here].mean(), 0.0) / here.sum()
    raw = target_effect(target, data["y"], arms, mu, e).theta[0] - tau[here].mean()
    other = e[:, own] / e[:, 1 - own] * ~here
    residual = (2 * own - 1) * (data["y"] - mu[:, 1 - own])
    correction = psi - spread
    # psi is centred at each arm's own mean; grf's correction is not
    mean_here, mean_there = residual[here].mean(), other @ residual / other.sum()
    correction = correction + np.where(here, mean_here - tau[here].mean(), 0.0) / here.sum()
    correction = correction - other / other.sum() * mean_there
    assert correction.sum() == pytest.approx(raw, abs=1e-12)
    n = len(psi)
    se = np.sqrt(spread @ spread + n / (n - 1) * (correction @ correction))
    assert se == pytest.approx(GRF["ate"][target]["std.err"], abs=1e-8)


def test_grf_overlap_standard_error_is_hc3(data, arms):
    kept, y, w = overlap_regression(data["y"], arms, *forest(data, "grf"))
    fit = least_squares(y, np.column_stack([w, np.ones(len(kept))]), names=("w", "1"), vcov="HC3")
    assert fit.coefficients[0] == pytest.approx(GRF["ate"]["overlap"]["estimate"], abs=1e-10)
    assert fit.se[0] == pytest.approx(GRF["ate"]["overlap"]["std.err"], abs=1e-10)


def grf_scores(data, arms, prefix):
    scores = dr_scores(data["y"], arms, *forest(data, prefix))
    return scores[:, 1] - scores[:, 0]


def test_grf_best_linear_projection(data, arms):
    columns = np.column_stack([data[f"x{j}"] for j in range(3)])
    found = best_linear_projection(grf_scores(data, arms, "grf"), columns, ("x0", "x1", "x2"))
    np.testing.assert_allclose(found.estimate.theta, [row["Estimate"] for row in GRF["blp"]], atol=1e-10)
    np.testing.assert_allclose(found.estimate.se, [row["Std. Error"] for row in GRF["blp"]], atol=1e-10)


def test_grf_weighted_projection_points(data, arms, groups):
    columns = np.column_stack([data[f"x{j}"] for j in range(3)])
    found = best_linear_projection(
        grf_scores(data, arms, "cw"), columns, ("x0", "x1", "x2"), weights=data["weight"], groups=groups
    )
    np.testing.assert_allclose(found.estimate.theta, [row["Estimate"] for row in GRF["clustered_blp"]], atol=1e-10)


def test_grf_calibration(data, arms):
    found = calibration(data["y"], arms, data["grf_y"], data["e"], data["grf_tau"])
    reference = GRF["calibration"]
    np.testing.assert_allclose(found.estimate.theta, [row["Estimate"] for row in reference], atol=1e-10)
    np.testing.assert_allclose(found.estimate.se, [row["Std. Error"] for row in reference], atol=1e-10)
    np.testing.assert_allclose(one_sided(found.estimate), [row["Pr(>t)"] for row in reference], rtol=1e-8)


def test_grf_weighted_calibration_points(data, arms, groups):
    found = calibration(data["y"], arms, data["cw_y"], data["e"], data["cw_tau"], weights=data["weight"], groups=groups)
    reference = GRF["clustered_calibration"]
    np.testing.assert_allclose(found.estimate.theta, [row["Estimate"] for row in reference], atol=1e-10)
