"""The estimator: invariances, what it refuses, and what its result offers."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

ROLES = {"outcome": "y", "running": "x"}


def table(n=800, seed=1, jump=0.5):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    z = rng.normal(size=n)
    taken = rng.random(n) < np.where(x >= 0, 0.8, 0.1)
    y = np.sin(2 * x) + jump * (x >= 0) + 0.5 * z + 0.4 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": y, "z": z, "taken": taken.astype(int), "g": rng.integers(0, 30, n)})


def numbers(result):
    effect = result.found.effect
    return np.array([effect.conventional, effect.corrected, effect.se, effect.robust_se])


@pytest.mark.parametrize("config", [{}, {"kernel": "uniform", "vcov": "HC2"}, {"derivative": 1}])
def test_units_of_the_running_variable_have_no_influence(config):
    data = table()
    base = ck.RegressionDiscontinuity(**config).fit(data, **ROLES)
    power = config.get("derivative", 0)
    for factor in (1e-6, 1e6):
        moved = ck.RegressionDiscontinuity(**config).fit(data.assign(x=data["x"] * factor), **ROLES)
        np.testing.assert_allclose(numbers(moved) * factor**power, numbers(base), rtol=1e-8)
        np.testing.assert_allclose(np.array(moved.bandwidths) / factor, base.bandwidths, rtol=1e-8)


def test_clusters_in_other_units_with_a_narrow_bias_window():
    data = table()
    estimators = [ck.RegressionDiscontinuity(vcov="CR2", bandwidth=0.6 * k, bias_bandwidth=0.3 * k) for k in (1, 1e6)]
    base = estimators[0].fit(data, cluster="g", **ROLES)
    moved = estimators[1].fit(data.assign(x=data["x"] * 1e6), cluster="g", **ROLES)
    np.testing.assert_allclose(numbers(moved), numbers(base), rtol=1e-8)


@pytest.mark.parametrize("covariates", [[], ["z"]])
def test_a_mirror_turns_the_sign(covariates):
    data = table()
    base = ck.RegressionDiscontinuity().fit(data, covariates=covariates, **ROLES)
    mirrored = ck.RegressionDiscontinuity().fit(data.assign(x=-data["x"]), covariates=covariates, **ROLES)
    np.testing.assert_allclose(numbers(mirrored) * [-1, -1, 1, 1], numbers(base), rtol=1e-9)
    assert mirrored.n_effective == base.n_effective[::-1]


def test_a_cutoff_elsewhere_is_a_shift():
    data = table()
    base = ck.RegressionDiscontinuity().fit(data, **ROLES)
    moved = ck.RegressionDiscontinuity(cutoff=50.0).fit(data.assign(x=data["x"] + 50), **ROLES)
    np.testing.assert_allclose(numbers(moved), numbers(base), rtol=1e-9)


def test_levels_of_outcomes_and_covariates_have_no_influence():
    data = table()
    base = ck.RegressionDiscontinuity().fit(data, covariates=["z"], **ROLES)
    moved = data.assign(z=3e4 - 7 * data["z"], y=data["y"] * 1e6)
    found = ck.RegressionDiscontinuity().fit(moved, covariates=["z"], **ROLES)
    np.testing.assert_allclose(numbers(found) / 1e6, numbers(base), rtol=1e-8)


def test_a_donut_is_a_filter():
    data = table()
    given = {"bandwidth": 0.4, "bias_bandwidth": 0.5}
    found = ck.RegressionDiscontinuity(donut=0.05, **given).fit(data, **ROLES)
    wanted = ck.RegressionDiscontinuity(**given).fit(data[data["x"].abs() >= 0.05], **ROLES)
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=1e-12)
    sweep = ck.RegressionDiscontinuity(**given).fit(data, **ROLES).donut([0.0, 0.05])
    np.testing.assert_allclose(sweep["se"].iloc[1], wanted.se, rtol=1e-10)
    assert sweep["n_left_out"].tolist() == [0, int((data["x"].abs() < 0.05).sum())]


def test_collinear_covariates_are_named_and_change_nothing():
    data = table()
    data["twice"], data["one"] = 2 * data["z"] + 3, 1.0
    base = ck.RegressionDiscontinuity().fit(data, covariates=["z"], **ROLES)
    found = ck.RegressionDiscontinuity().fit(data, covariates=["z", "twice", "one"], **ROLES)
    np.testing.assert_allclose(numbers(found), numbers(base), rtol=1e-9)
    assert dict(found.collinear) == {"twice": "collinear with z", "one": "constant"}
    assert found.checks["collinearity"].status == "warn"


def test_a_covariate_that_the_polynomial_explains_changes_nothing():
    data = table()
    base = ck.RegressionDiscontinuity(bandwidth=0.4).fit(data, **ROLES)
    found = ck.RegressionDiscontinuity(bandwidth=0.4).fit(data.assign(w=3 * data["x"] + 1), covariates=["w"], **ROLES)
    np.testing.assert_allclose(numbers(found), numbers(base), rtol=1e-7)


def test_the_headline_is_conventional_with_robust_errors():
    result = ck.RegressionDiscontinuity().fit(table(), **ROLES)
    frame = result.to_frame().set_index("term")
    assert list(frame.index) == ["conventional", "bias_corrected", "robust"]
    assert result.estimate == frame.loc["conventional", "estimate"]
    assert result.se == pytest.approx(frame.loc["robust", "se"], rel=1e-12)
    assert result.ci() == pytest.approx(frame.loc["robust", ["ci_low", "ci_high"]].tolist())
    assert result.ci(method="conventional") == pytest.approx(frame.loc["conventional", ["ci_low", "ci_high"]].tolist())
    end = result.ci(method="conventional")[0]
    assert result.test(end, method="conventional").pvalue == pytest.approx(0.05, abs=1e-9)
    low, high = result.ci(method="honest")
    assert low < result.estimate < high
    assert result.test(low, method="honest").pvalue == pytest.approx(0.05, abs=1e-6)
    assert result.coefficients["above"][0] - result.coefficients["below"][0] == pytest.approx(result.estimate)


def test_fuzzy_is_the_ratio_of_two_jumps():
    data = table()
    config = {"bandwidth": 0.5, "bias_bandwidth": 0.6}
    fuzzy = ck.RegressionDiscontinuity(**config).fit(data, treatment="taken", **ROLES)
    on_outcome = ck.RegressionDiscontinuity(**config).fit(data, **ROLES)
    on_treatment = ck.RegressionDiscontinuity(**config).fit(data, outcome="taken", running="x")
    assert fuzzy.estimate == pytest.approx(on_outcome.estimate / on_treatment.estimate, rel=1e-12)
    assert fuzzy.first_stage.values[0] == pytest.approx(on_treatment.estimate, rel=1e-12)
    assert fuzzy.first_stage.se[2] == pytest.approx(on_treatment.se, rel=1e-9)
    assert fuzzy.found.reduced_form.robust_se == pytest.approx(on_outcome.se, rel=1e-12)
    combined = (on_outcome - on_outcome).se  # the same rows subtract exactly
    assert combined == 0.0
    assert fuzzy.ci(method="ar").contains(fuzzy.estimate)
    assert "compliers" in fuzzy.estimand


def test_results_on_the_same_rows_subtract():
    data = table()
    data["y2"] = data["y"] + 0.3 * data["z"]
    one, two = (ck.RegressionDiscontinuity(bandwidth=0.5).fit(data, outcome=y, running="x") for y in ("y", "y2"))
    direct = ck.RegressionDiscontinuity(bandwidth=0.5).fit(
        data.assign(d=data["y2"] - data["y"]), outcome="d", running="x"
    )
    gap = two - one
    assert gap.estimate == pytest.approx(direct.estimate, rel=1e-9)
    assert gap.se == pytest.approx(direct.se, rel=1e-9)


def test_another_variance_at_the_same_bandwidths():
    data = table()
    base = ck.RegressionDiscontinuity().fit(data, cluster="g", **ROLES)
    for vcov in ("NN", "HC1", "CR3"):
        changed = base.with_vcov(vcov)
        assert changed.bandwidths == base.bandwidths
        assert changed.estimate == base.estimate
        assert changed.vcov == vcov
        assert changed.se != base.se
    again = base.with_vcov("HC1").with_vcov("CR1", cluster=data["g"].to_numpy())
    assert again.se == pytest.approx(base.se, rel=1e-12)
    assert again.refit().se == pytest.approx(ck.RegressionDiscontinuity().fit(data, cluster="g", **ROLES).se, rel=0.5)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"bandwidth": "ik"}, "is not a rule"),
        ({"bandwidth": -1.0}, "no bandwidth"),
        ({"bandwidth": (1.0, 2.0, 3.0)}, "no bandwidth"),
        ({"bias_bandwidth": "mserd"}, "no bandwidth"),
        ({"rho": 0.5, "bias_bandwidth": 1.0}, "say the same thing"),
        ({"derivative": 2, "order": 1}, "needs order=2"),
        ({"order": 2, "bias_order": 2}, "not above"),
        ({"kernel": "gaussian"}, "not an option"),
        ({"donut": -0.1}, "donut"),
    ],
)
def test_configurations_that_make_no_sense(config, match):
    with pytest.raises(DesignError, match=match):
        ck.RegressionDiscontinuity(**config)


def test_data_that_can_not_be_used():
    data = table()
    fit = ck.RegressionDiscontinuity().fit
    with pytest.raises(DesignError, match="'x' is 1 in every row"):
        fit(data.assign(x=1.0), **ROLES)
    with pytest.raises(DesignError, match=r"cutoff 9 does not divide .*'x', which goes from -"):
        ck.RegressionDiscontinuity(cutoff=9.0).fit(data, **ROLES)
    with pytest.raises(DesignError, match="2 distinct values below the cutoff 0; the polynomials need 3"):
        fit(data.assign(x=np.where(data["x"] < 0, np.where(data["z"] > 0, -1.0, -0.5), data["x"])), **ROLES)
    with pytest.raises(DataError, match="'x' has 1 infinite value"):
        fit(data.assign(x=data["x"].where(data.index != 3, np.inf)), **ROLES)
    with pytest.raises(DataError, match="'y'"):
        fit(data.assign(y="a"), **ROLES)
    with pytest.raises(DesignError, match="15 rows are too few"):
        fit(data.head(15), **ROLES)
    with pytest.raises(DesignError, match="half of the rows share one value"):
        fit(data.assign(x=np.where(data["z"] > -1, 0.5, data["x"])), **ROLES)
    with pytest.raises(DesignError, match="ignores cluster"):
        ck.RegressionDiscontinuity(vcov="HC1").fit(data, cluster="g", **ROLES)
    with pytest.raises(DesignError, match="needs cluster"):
        ck.RegressionDiscontinuity(vcov="CR2").fit(data, **ROLES)
    with pytest.raises(DesignError, match="only 1 cluster"):
        fit(data.assign(g=(data["x"] >= 0).astype(int)), cluster="g", **ROLES)
    with pytest.raises(DesignError, match="3 arms"):
        fit(data.assign(t=np.array(["a", "b", "c"])[data.index % 3]), treatment="t", control="a", **ROLES)
    with pytest.raises(DesignError, match="distinct values of the running variable"):
        ck.RegressionDiscontinuity(bandwidth=1e-5).fit(data, **ROLES)


def test_questions_that_have_no_answer():
    data = table()
    result = ck.RegressionDiscontinuity(derivative=1).fit(data, **ROLES)
    with pytest.raises(InferenceUnavailable, match="not for kinks"):
        result.ci(method="honest")
    with pytest.raises(InferenceUnavailable, match="fuzzy"):
        result.ci(method="ar")


def test_sharp_compliance_on_one_side_chooses_the_sharp_bandwidth():
    data = table()
    data["taken"] = data["taken"].where(data["x"] >= 0, 0)
    fuzzy = ck.RegressionDiscontinuity().fit(data, treatment="taken", **ROLES)
    np.testing.assert_allclose(fuzzy.bandwidths, ck.RegressionDiscontinuity().fit(data, **ROLES).bandwidths, rtol=1e-9)


def test_the_estimate_recovers_the_truth():
    found = []
    for seed in range(60):
        data = table(seed=100 + seed)
        result = ck.RegressionDiscontinuity().fit(data, **ROLES)
        low, high = result.ci()
        found.append((result.estimate, low <= 0.5 <= high))
    estimates, covered = np.array(found).T
    assert abs(estimates.mean() - 0.5) < 4 * estimates.std() / np.sqrt(60)
    assert covered.mean() >= 0.85  # 0.95 less three and a half standard errors


def test_plots_have_their_numbers():
    result = ck.RegressionDiscontinuity().fit(table(), **ROLES)
    for kind in result.plots:
        result.plot(kind)
    data = result.plot_data("placebo_cutoffs")
    assert data["chosen"] == 0.0
    assert np.isclose(data["estimate"][-1], result.found.effect.corrected)
