"""Tests of independence: against other packages, their size and power, and what they refuse."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import causalkit as ck
from causalkit.errors import DataError, DesignError
from causalkit.graph.implications import Implication
from causalkit.graph.independence_kernel import weighted_chi2_pvalue
from causalkit.graph.independence_tests import make_test
from causalkit.graph.measured import Measured

ALONE, GIVEN = Implication(0, 1, frozenset()), Implication(0, 1, frozenset([2]))


def outcome_of(columns, method, implication=GIVEN, **kwargs):
    return make_test(Measured.read(columns, list(columns)), method, **kwargs).test(implication)


def shaped(rng, n, dependence=0.0):
    """Two columns that depend on a third in different shapes, and perhaps on one another."""
    z, e = rng.normal(size=n), rng.normal(size=n)
    a = np.sin(z) + 0.5 * rng.normal(size=n) + dependence * e**2
    return {"a": a, "b": 0.5 * z**2 + 0.5 * rng.normal(size=n) + dependence * e, "z": z}


def categories(rng, n, strata=2, dependence=0.0):
    z = rng.integers(strata, size=n)
    a = (rng.integers(3, size=n) + z * rng.integers(2, size=n)) % 3
    b = np.where(rng.random(n) < dependence, a, (rng.integers(3, size=n) + z * rng.integers(2, size=n)) % 3)
    return {"a": a.astype(str), "b": b.astype(str), "z": z.astype(str)}


def test_partial_correlation_is_the_t_test_of_a_regression_on_the_complete_rows():
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1e6, columns=list("abcd"))
    data.loc[3, "a"] = data.loc[[5, 9], "d"] = np.nan
    found = outcome_of(dict(data), "partial_correlation", Implication(0, 1, frozenset([2, 3])))
    kept = data.dropna()
    fit = sm.OLS(kept["a"] - 1e6, sm.add_constant(kept[["b", "c", "d"]] - 1e6)).fit()
    assert found.n == 57
    assert found.statistic == pytest.approx(fit.tvalues["b"], rel=1e-8)
    assert found.pvalue == pytest.approx(fit.pvalues["b"], rel=1e-8)
    without = outcome_of(dict(data), "partial_correlation", Implication(0, 1, frozenset([2])))
    assert without.n == 59


def test_what_follows_from_others_can_not_be_tested():
    z = np.random.default_rng(0).normal(size=50)
    found = outcome_of({"a": 2 * z, "b": z**3, "z": z}, "partial_correlation")
    assert np.isnan(found.pvalue)
    report = ck.DAG("z -> a; z -> b").test({"a": 2 * z, "b": z**3, "z": z})
    assert report.to_frame()["verdict"].tolist() == ["untested"]
    assert report.checks["implied_independencies"].status == "untestable"


def test_counts_without_strata_are_those_of_scipy():
    data = categories(np.random.default_rng(1), 400, dependence=0.1)
    found = outcome_of(data, "g2", ALONE)
    table = pd.crosstab(data["a"], data["b"])
    reference = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert found.statistic == pytest.approx(reference.statistic, rel=1e-10)
    assert found.df == reference.dof
    assert found.pvalue == pytest.approx(reference.pvalue, rel=1e-10)
    pearson = stats.chi2_contingency(table, correction=False).statistic
    assert found.effect == pytest.approx(np.sqrt(pearson / 400 / 2), rel=1e-10)


def test_counts_add_over_the_strata_that_were_seen():
    data = pd.DataFrame(categories(np.random.default_rng(2), 500))
    data = data[~((data["z"] == "1") & (data["a"] == "2"))]
    found = outcome_of(dict(data), "g2")
    tables = [pd.crosstab(part["a"], part["b"]) for _, part in data.groupby("z")]
    parts = [stats.chi2_contingency(table, correction=False, lambda_="log-likelihood") for table in tables]
    assert found.df == sum(part.dof for part in parts) == 4 + 2
    assert found.statistic == pytest.approx(sum(part.statistic for part in parts), rel=1e-10)


def test_the_covariance_measure_without_others_is_the_correlation_test():
    rng = np.random.default_rng(3)
    data = {"a": rng.normal(size=200), "b": rng.exponential(size=200)}
    found = outcome_of(data, "gcm", ALONE)
    products = (data["a"] - data["a"].mean()) * (data["b"] - data["b"].mean())
    assert found.statistic == pytest.approx(np.sqrt(200) * products.mean() / products.std(), rel=1e-10)
    assert found.effect == pytest.approx(np.corrcoef(data["a"], data["b"])[0, 1], rel=1e-10)
    assert found.pvalue == pytest.approx(2 * stats.norm.sf(abs(found.statistic)), rel=1e-10)


def test_the_covariance_measure_takes_any_learner_and_fits_each_regression_once():
    from sklearn.linear_model import LinearRegression

    class Counting(LinearRegression):
        fits = 0

        def fit(self, x, y, sample_weight=None):
            type(self).fits += 1
            return super().fit(x, y, sample_weight)

    rng = np.random.default_rng(4)
    z = rng.normal(size=150)
    data = {"a": z + rng.normal(size=150), "b": z + rng.normal(size=150), "c": z + rng.normal(size=150), "z": z}
    tester = make_test(Measured.read(data, list(data)), "gcm", regressor=Counting(), n_folds=3)
    others = [Implication(one, two, frozenset([3])) for one, two in ((0, 1), (0, 2), (1, 2))]
    assert (tester.pvalues(others) > 0.01).all()
    assert Counting.fits == 3 * 3
    dependent = outcome_of(
        {**data, "b": data["a"] + data["b"]}, "gcm", Implication(0, 1, frozenset([3])), regressor="mean"
    )
    assert dependent.pvalue < 1e-6


def test_a_weighted_sum_of_chi_squares_has_the_tail_of_one():
    assert weighted_chi2_pvalue(7.0, np.ones(3)) == pytest.approx(stats.chi2.sf(7.0, 3), rel=1e-10)
    assert weighted_chi2_pvalue(14.0, np.full(4, 2.0)) == pytest.approx(stats.chi2.sf(7.0, 4), rel=1e-10)
    weights = np.array([3.0, 1.0, 0.5, 0.1])
    draws = np.random.default_rng(0).chisquare(1, size=(400_000, 4)) @ weights
    for at in (5.0, 12.0, 20.0):  # four moments are matched, not the whole distribution
        assert weighted_chi2_pvalue(at, weights) == pytest.approx((draws > at).mean(), abs=0.01)


@pytest.mark.parametrize("method", ["kernel", "g2", "g2 sparse"])
def test_a_true_independence_is_rejected_as_often_as_it_says(method):
    rng = np.random.default_rng(5)
    draw = {
        "kernel": lambda: shaped(rng, 200),
        "g2": lambda: categories(rng, 400),
        "g2 sparse": lambda: categories(rng, 60, 6),
    }[method]
    p = np.array([outcome_of(draw(), method.split()[0], random_state=k).pvalue for k in range(100)])
    assert (p < 0.05).sum() <= 12  # 5 expected; the chance of more than 12 is 0.1%
    assert 20 <= (p < 0.4).sum() <= 60


def test_the_kernel_sees_what_correlations_do_not():
    rng = np.random.default_rng(6)
    x = rng.normal(size=300)
    data = {"a": x, "b": x**2 + 0.3 * rng.normal(size=300)}
    assert outcome_of(data, "kernel", ALONE).pvalue < 1e-4
    assert outcome_of(shaped(rng, 600, 0.8), "kernel").pvalue < 1e-3


def test_sparse_tables_are_permuted():
    found = outcome_of(categories(np.random.default_rng(7), 60, 6), "g2")
    assert found.method == "g2 (permuted)"
    assert 0 < found.pvalue <= 1
    dependent = outcome_of(categories(np.random.default_rng(7), 60, 6, dependence=0.9), "g2")
    assert dependent.pvalue == pytest.approx(1 / 500)


def test_the_method_follows_from_the_columns():
    rng = np.random.default_rng(8)
    n = 120
    data = {
        "flag": rng.random(n) < 0.5,
        "arm": rng.choice(["x", "y", "z"], n),
        "age": rng.normal(size=n),
        "spend": rng.normal(size=n),
    }
    report = ck.DAG("", nodes=list(data)).test(data, regressor="mean")
    frame = report.to_frame().set_index(["one", "two"])["method"]
    assert frame["flag", "arm"].startswith("g2")
    assert frame["age", "spend"] == frame["flag", "age"] == "partial_correlation"
    assert frame["arm", "age"] == "gcm"


@pytest.mark.parametrize(
    ("data", "kwargs", "error", "said"),
    [
        ({"a": [1.0, 2.0]}, {}, DataError, "2 nodes of the graph have no column: 'b', 'c'"),
        ({"a": [1.0, 2.0], "b": [1.0, np.inf], "c": [1, 2]}, {}, DataError, "'b' holds 1 infinite values"),
        ({"a": [1.0, 2.0], "b": [1.0, 1.0], "c": [1, 2]}, {}, DataError, "'b' never varies"),
        (
            {"a": ["r", "g", "b"], "b": [1, 2, 3], "c": [1, 2, 4]},
            {"method": "partial_correlation"},
            DesignError,
            "3 categ",
        ),
        ({"a": [1, 2], "b": [1, 2], "c": [2, 1]}, {"method": "magic"}, DesignError, "not known"),
        ({"a": [1, 2], "b": [1, 2], "c": [2, 1]}, {"kind": "all"}, DesignError, "not known"),
        ({"a": [1, 2], "b": [1, 2], "c": [2, 1]}, {"correction": "by"}, DesignError, "not known"),
        ({"a": [1, 2], "b": [1, 2], "c": [2, 1]}, {"alpha": 0.0}, DesignError, "alpha"),
        ({"a": [1, 2], "b": [1, 2], "c": [2, 1]}, {"method": "gcm", "n_folds": 1}, DesignError, "n_folds"),
    ],
)
def test_what_can_not_be_tested_is_refused(data, kwargs, error, said):
    with pytest.raises(error, match=said):
        ck.DAG("a -> b -> c").test(data, **kwargs)


def test_two_binaries_given_a_number_are_not_tested_by_their_linear_residuals():
    """Means of both are bounded, hence not linear: what two lines leave of them is related where nothing is."""
    rng = np.random.default_rng(4)
    z = 2 * rng.normal(size=1500)
    a, b = ((rng.random(1500) < 1 / (1 + np.exp(1 - 2 * z))).astype(int) for _ in range(2))
    columns = {"a": a, "b": b, "z": z}
    assert outcome_of(columns, "partial_correlation").pvalue < 1e-6
    found = outcome_of(columns, "auto")
    assert found.method == "gcm"
    assert found.pvalue > 1e-3
    assert outcome_of({**columns, "a": z + rng.normal(size=1500)}, "auto").method == "partial_correlation"
