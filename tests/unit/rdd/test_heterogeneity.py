"""Heterogeneity: groups as if estimated apart, numbers through an interaction, and tests that compare them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    n = 1500
    x, z, group = rng.uniform(-1, 1, n), rng.normal(size=n), rng.integers(0, 3, n)
    y = x + (x >= 0) * (1.0 + 0.8 * (group == 2) + 0.5 * z) + 0.5 * rng.normal(size=n)
    return pd.DataFrame(
        {
            "x": x,
            "y": y,
            "z": z,
            "v": z**2,
            "group": np.array(list("abc"))[group],
            "flag": group == 2,
            "g": np.arange(n) // 10,
        }
    )


@pytest.fixture(scope="module")
def result(table):
    return ck.RegressionDiscontinuity(bandwidth=0.6).fit(table, outcome="y", running="x")


def test_groups_are_those_of_separate_regressions(table, result):
    found = ck.rdd.heterogeneity(result, "group", table)
    for j, name in enumerate("abc"):
        own = table[(table["group"] == name) & (table["x"].abs() < 0.6)]
        treated = (own["x"] >= 0).astype(float)
        for order, values in ((1, found.effects.values), (2, found.effects.numbers.location)):
            columns = [treated, np.ones(len(own))]
            for power in range(1, order + 1):
                columns += [own["x"] ** power, treated * own["x"] ** power]
            fit = sm.WLS(own["y"], np.column_stack(columns), weights=1 - own["x"].abs() / 0.6).fit(cov_type="HC3")
            assert values[j] == pytest.approx(fit.params.iloc[0], rel=1e-9)
        assert found.effects.se[j] == pytest.approx(fit.bse.iloc[0], rel=1e-9)
    assert found.effects.terms == ("group=a", "group=b", "group=c")
    assert found.differences.terms == ("group=b - group=a", "group=c - group=a")
    assert found.test().pvalue < 0.05
    assert "differ" in found.answer


def test_a_number_moves_the_effect(table, result):
    found = ck.rdd.heterogeneity(result, "z", table)
    assert found.effects.terms == ("effect at the means", "per unit of z")
    low, high = found.effects.ci()
    assert low[1] < 0.5 < high[1]
    at = found.at({"z": 1.0})
    assert at.numbers.location[0] == pytest.approx(
        found.effects.numbers.location @ [1.0, 1.0 - found.means[0]], rel=1e-12
    )
    assert found.at({}).values[0] == found.effects.values[0]


def test_several_numbers_and_booleans(table, result):
    both = ck.rdd.heterogeneity(result, ["z", "v"], table)
    assert len(both.effects) == 3
    assert both.test().df[0] == 2
    flags = ck.rdd.heterogeneity(result, "flag", table)
    assert len(flags.effects) == 2
    assert flags.by_group


def test_units_and_order_do_not_matter(table, result):
    base = ck.rdd.heterogeneity(result, "z", table)
    moved = table.sample(frac=1.0, random_state=0).assign(y=lambda d: 1e6 * d["y"] + 1e9, z=lambda d: 10 * d["z"] + 3)
    fitted = ck.RegressionDiscontinuity(bandwidth=0.6).fit(moved, outcome="y", running="x")
    found = ck.rdd.heterogeneity(fitted, "z", moved)
    np.testing.assert_allclose(found.effects.values, base.effects.values * [1e6, 1e5], rtol=1e-8)
    np.testing.assert_allclose(found.effects.se, base.effects.se * [1e6, 1e5], rtol=1e-8)


def test_covariates_of_the_fit_can_moderate(table):
    fitted = ck.RegressionDiscontinuity(bandwidth=0.6).fit(table, outcome="y", running="x", covariates=["group", "z"])
    found = ck.rdd.heterogeneity(fitted, "group")
    assert len(found.effects) == 3
    plain = ck.rdd.heterogeneity(
        ck.RegressionDiscontinuity(bandwidth=0.6).fit(table, outcome="y", running="x"), "group", table
    )
    assert found.effects.se.mean() < plain.effects.se.mean()  # z explains part of the noise


def test_rules_choose_bandwidths_for_each_group(table):
    fitted = ck.RegressionDiscontinuity().fit(table, outcome="y", running="x", cluster="g")
    found = ck.rdd.heterogeneity(fitted, "group", table)
    assert len(set(found.bandwidths[:, 0])) == 3
    assert found.effects.numbers.carrier.kind == "CR1"


def test_it_can_be_shown(table, result):
    found = ck.rdd.heterogeneity(result, "group", table)
    assert found.checks["effective_sample"].status == "pass"
    assert "group=c" in found.summary()
    assert found.plot().axes


def test_bad_requests_teach(table, result):
    with pytest.raises(DesignError, match="no covariate"):
        ck.rdd.heterogeneity(result, "z")
    with pytest.raises(DesignError, match="same table"):
        ck.rdd.heterogeneity(result, "z", table[:-1])
    with pytest.raises(DesignError, match="missing value"):
        ck.rdd.heterogeneity(result, "z", table.assign(z=table["z"].where(table["z"] > -2)))
    with pytest.raises(DesignError, match="several columns"):
        ck.rdd.heterogeneity(result, ["z", "group"], table)
    with pytest.raises(DesignError, match="groups are from 2"):
        ck.rdd.heterogeneity(result, "s", table.assign(s=[f"s{i % 40}" for i in range(len(table))]))
    with pytest.raises(DesignError, match="does not vary"):
        ck.rdd.heterogeneity(result, "one", table.assign(one=7.5))
    with pytest.raises(DesignError, match="group s=rare"):
        ck.rdd.heterogeneity(result, "s", table.assign(s=np.where(np.arange(len(table)) < 1, "rare", "usual")))
    sparse = np.where((table["x"] > 0) & (table["x"] < 0.6) & (table["group"] == "a"), "b", table["group"])
    with pytest.raises(DesignError, match="too few rows near the cutoff"):
        ck.rdd.heterogeneity(result, "s", table.assign(s=sparse))
    with pytest.raises(DesignError, match="vcov"):
        ck.rdd.heterogeneity(result, "z", table, vcov="CR1")
    with pytest.raises(DesignError, match="columns="):
        ck.rdd.heterogeneity(result, [], table)
    with pytest.raises(DesignError, match="no moderator"):
        ck.rdd.heterogeneity(result, "z", table).at({"w": 1.0})
    fuzzy = ck.RegressionDiscontinuity(bandwidth=0.6).fit(
        table.assign(d=(table["x"] >= 0) & (table["z"] > -1)), outcome="y", running="x", treatment="d"
    )
    with pytest.raises(InferenceUnavailable, match="sharp"):
        ck.rdd.heterogeneity(fuzzy, "z", table)
