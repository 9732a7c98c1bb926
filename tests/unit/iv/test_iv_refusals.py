"""What instrumental variables must refuse in words, and what they must not get silently wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

ROLES = {"outcome": "y", "treatment": "d", "instruments": ["z1", "z2"]}


def _table(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z1, z2, u, x = rng.normal(size=(4, n))
    d = 0.8 * z1 + 0.5 * z2 + u + 0.3 * x
    table = pd.DataFrame({"y": d + u + rng.normal(size=n), "d": d, "z1": z1, "z2": z2, "x": x})
    return table.assign(arm=np.array(["a", "b", "c"])[np.arange(n) % 3], g=np.arange(n) % 6, one=1)


@pytest.mark.parametrize("method", ["2sls", "ujive"])
@pytest.mark.parametrize("clusters", ["one", ["g", "one"]])
def test_a_single_cluster_is_refused(method, clusters):
    with pytest.raises(DesignError, match="'one' has one cluster only"):
        ck.IV(method=method).fit(_table(), **ROLES, cluster=clusters)


@pytest.mark.parametrize("column", ["y", "d", "z1"])
@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_numbers_whose_squares_do_not_fit_are_refused(column, factor):
    table = _table()
    table[column] *= factor
    with pytest.raises(DataError, match=f"column '{column}' holds .* Use other units"):
        ck.IV().fit(table, **ROLES)


@pytest.mark.parametrize("method", ["jive", "ujive", "ijive"])
def test_jackknives_need_an_instrument_for_each_treatment(method):
    with pytest.raises(DesignError, match="there is 1 instrument for 2 treatments"):
        ck.IV(method=method).fit(_table(), outcome="y", treatment="arm", control="a", instruments="z1")


@pytest.mark.parametrize("method", ["jive", "ujive", "ijive"])
@pytest.mark.parametrize("more", [{"covariates": "x"}, {"absorb": "g"}])
def test_jackknives_refuse_a_treatment_that_the_controls_determine(method, more):
    table = _table()
    table["d"] = 3.1 * table["x"] + 0.1 if "covariates" in more else 0.3 * table["g"]
    with pytest.raises(DesignError, match="the treatment is determined by the covariates or absorbed effects"):
        ck.IV(method=method).fit(table, **ROLES, **more)


@pytest.mark.parametrize("method", ["gmm", "cue"])
@pytest.mark.parametrize("vcov", ["iid", "HC1", "CR1"])
def test_gmm_absorbs_effects_without_covariates(method, vcov):
    table = _table()
    more = {"cluster": "cluster"} if vcov == "CR1" else {}
    table["cluster"] = np.arange(len(table)) % 20
    plain = ck.IV(method=method, vcov=vcov).fit(table, **ROLES, absorb="one", **more)
    inside = table.copy()
    for name in ("y", "d", "z1", "z2"):
        inside[name] = table[name] - table.groupby("g")[name].transform("mean")
    absorbed = ck.IV(method=method, vcov=vcov).fit(table, **ROLES, absorb="g", **more)
    demeaned = ck.IV(method=method, vcov=vcov).fit(inside, **ROLES, absorb="one", **more)
    assert absorbed.estimate == pytest.approx(demeaned.estimate, abs=1e-8)
    assert absorbed.estimate != pytest.approx(plain.estimate, abs=1e-6)
    assert absorbed.coefficients.terms == ("d",)


def test_continuously_updating_takes_one_way_of_clustering():
    table = _table().assign(h=np.arange(120) // 10)
    with pytest.raises(InferenceUnavailable, match="takes one way of clustering"):
        ck.IV(method="cue").fit(table, **ROLES, cluster=["g", "h"])


@pytest.mark.parametrize("method", ["kclass", "ujive"])
def test_a_multiway_variance_that_is_not_positive_is_no_error_of_zero(method):
    rng = np.random.default_rng(0)
    kappa = 0.9 if method == "kclass" else None
    refused = 0
    for seed in range(30):
        table = _table(n=60, seed=seed).assign(g=rng.integers(0, 3, 60), h=rng.integers(0, 3, 60))
        try:
            result = ck.IV(method=method, kappa=kappa).fit(table, **ROLES, absorb="one", cluster=["g", "h"])
        except InferenceUnavailable as error:
            refused += "is not positive" in str(error)
        else:
            assert result.se > 0
    assert 0 < refused < 30


def test_a_result_without_first_stage_degrees_of_freedom_shows():
    result = ck.IV().fit(_table(3), **ROLES)
    assert "relevance" in str(result)
    assert any("strength can't be told" in line for passage in result.passages() for line in passage.text)


@pytest.mark.parametrize("seed", range(4))
def test_liml_of_an_outcome_made_from_the_treatment_is_exact(seed):
    table = _table(seed=seed).assign(y=lambda t: 2 * t["d"])
    assert ck.IV(method="liml").fit(table, **ROLES).estimate == pytest.approx(2.0, abs=1e-10)


def test_counts_are_grammatical():
    with pytest.raises(DesignError, match="there are no instruments for 1 treatment "):
        ck.IV().fit(_table(), outcome="y", treatment="d", instruments="one")


def _shift_share():
    rng = np.random.default_rng(1)
    shares, shocks = rng.dirichlet(np.ones(12), 60), rng.normal(size=12)
    names = [f"s{k}" for k in range(12)]  # s10 sorts before s2
    table = pd.DataFrame(shares, columns=names).assign(u=range(60), d=shares @ shocks + 0.1 * rng.normal(size=60))
    table["y"] = 2 * table["d"] + 0.1 * rng.normal(size=60)
    return table, names, shocks


def test_a_long_table_of_shares_has_no_order_of_shocks():
    table, names, shocks = _shift_share()
    long = table.melt("u", names, var_name="shock", value_name="share")
    roles = {"outcome": "y", "treatment": "d", "unit": "u"}
    with pytest.raises(DesignError, match="has no order of shocks"):
        ck.ShiftShareIV().fit(table, **roles, shares=long, shocks=shocks.tolist())
    named = ck.ShiftShareIV().fit(table, **roles, shares=long, shocks=dict(zip(names, shocks, strict=True)))
    listed = ck.ShiftShareIV().fit(table, **roles, shares=names, shocks=shocks.tolist())
    assert named.estimate == pytest.approx(listed.estimate, abs=1e-10)


def test_shift_share_refuses_what_has_no_error():
    table, names, shocks = _shift_share()
    roles = {"outcome": "y", "treatment": "d", "shares": names, "shocks": shocks.tolist()}
    with pytest.raises(InferenceUnavailable, match="2 rows leave no residual degrees of freedom"):
        ck.ShiftShareIV().fit(table.head(2), **roles)
    exact = ck.ShiftShareIV().fit(table.assign(y=table["d"]), **roles)
    with pytest.raises(InferenceUnavailable, match="has no error"):
        exact.test(1.0, method="akm0")
    with pytest.raises(DesignError, match="no number for 12 of 12 labels, the first is 's0'"):
        ck.ShiftShareIV().fit(table, **{**roles, "shocks": dict.fromkeys(names, "a")})


def test_a_spline_of_a_propensity_of_two_values_is_refused():
    rng = np.random.default_rng(2)
    z, u = rng.integers(0, 2, 400), rng.random(400)
    table = pd.DataFrame({"z": z, "d": (0.2 + 0.5 * z > u).astype(int), "y": u + rng.normal(size=400)})
    with pytest.raises(DesignError, match="does not vary enough"):
        ck.MarginalTreatmentEffects(method="semiparametric").fit(table, outcome="y", treatment="d", instruments="z")


def test_compliers_are_turned_as_the_weighted_shares_say():
    rng = np.random.default_rng(3)
    z, d = rng.integers(0, 2, (2, 400))
    table = pd.DataFrame({"z": z, "d": d, "y": d + rng.normal(size=400), "w": np.where(z == d, 0.2, 5.0)})
    found = ck.IV().fit(table, outcome="y", treatment="d", instruments="z", weights="w").compliers()
    assert found.turned
    assert 0 < found.share < 1


@pytest.mark.parametrize("given", [(1,), ("a", "b"), 3])
def test_the_outcome_range_is_a_pair(given):
    data = ck.datasets.feature_encouragement().head(300)
    fit = ck.IV().fit(data, outcome="spend", treatment="used", instruments="invited")
    with pytest.raises(DesignError, match="is not a pair of numbers"):
        ck.iv.noncompliance(fit, given)


def _clustered(count, treated):
    rng = np.random.default_rng(0)
    c = np.arange(400) % count
    z = np.isin(c, treated).astype(float)
    u = rng.normal(size=400) + rng.normal(size=count)[c]
    d = z + u + rng.normal(size=400)
    return pd.DataFrame({"y": u, "d": d, "z": z, "z2": 0.5 * d + rng.normal(size=400), "c": c})


def test_two_clusters_that_the_instrument_tells_apart_have_no_error():
    """Residuals add up to zero in both: the standard error would be rounding, and every test significant."""
    with pytest.raises(InferenceUnavailable, match="the variance clustered by 'c' is zero"):
        ck.IV().fit(_clustered(2, [0]), outcome="y", treatment="d", instruments="z", cluster="c")


def test_few_clusters_are_told():
    roles = {"outcome": "y", "treatment": "d", "instruments": "z", "cluster": "c"}
    few = ck.IV().fit(_clustered(40, [3]), **roles).checks["few_clusters"]
    assert few.status == "warn"
    assert "only 1 have one of the two values of 'z'" in few.message
    assert ck.IV().fit(_clustered(12, range(6)), **roles).checks["few_clusters"].status == "warn"
    assert ck.IV().fit(_clustered(40, range(20)), **roles).checks["few_clusters"].status == "pass"
    plain = ck.IV().fit(_clustered(40, [3]), outcome="y", treatment="d", instruments="z")
    assert "few_clusters" not in plain.checks
    assert plain.with_vcov("CR1", cluster=_clustered(40, [3])["c"].to_numpy()).checks["few_clusters"].status == "warn"


def test_no_joint_test_of_as_many_instruments_as_clusters():
    """The covariance of their scores is singular, or makes the statistic the number of clusters."""
    fit = ck.IV().fit(_clustered(2, [0]), outcome="y", treatment="d", instruments=["z", "z2"], cluster="c")
    for method in ("ar", "clr", "lm"):
        with pytest.raises(InferenceUnavailable, match="2 clusters are too few for a joint test of 2 instruments"):
            fit.ci(method=method)
    assert fit.checks["relevance"].status == "untestable"
    assert fit.checks["overidentification"].status == "untestable"
    assert {row[1] for row in fit.checks["weak_instruments"].table.rows[:2]} == {""}
    assert "Its strength can't be told: 2 clusters are too few" in " ".join(map(str, fit.passages()))
