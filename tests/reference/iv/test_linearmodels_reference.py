"""Instrumental variables against linearmodels 7.1 and, with absorbed effects, pyfixest 0.60.

``make_linearmodels.py`` wrote the numbers. The college table comes with causaldata; the simulated one is drawn here;
Card's and Mroz's come with linearmodels and are read from the folder that CAUSALKIT_REFERENCE_DATA names.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated_iv import simulated_iv  # noqa: E402

FOUND = json.loads((HERE / "linearmodels_iv.json").read_text())["results"]
ABSORBED = json.loads((HERE / "pyfixest_iv.json").read_text())["results"]
FILES = {"card_one": "card.csv", "card_two": "card.csv", "mroz": "mroz_lwage.csv"}


def table(name):
    if name.startswith("simulated"):
        return simulated_iv()
    if name == "college":
        return pytest.importorskip("causaldata").close_college.load_pandas().data
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if folder is None or not (Path(folder) / FILES[name]).exists():
        pytest.skip(f"{FILES[name]} may not be redistributed; CAUSALKIT_REFERENCE_DATA names no folder with it")
    return pd.read_csv(Path(folder) / FILES[name])


@pytest.fixture(scope="module")
def fits():
    """Fit on demand, once for each configuration."""
    tables, kept = {}, {}

    def fit(name, method="2sls", vcov="auto", **roles):
        key = (name, method, vcov, json.dumps(roles))
        if key not in kept:
            if name not in tables:
                tables[name] = table(name)
            kept[key] = ck.IV(method=method, vcov=vcov).fit(tables[name], **FOUND[name]["roles"], **roles)
        return kept[key]

    return fit


def agrees(result, reference, factor=1.0, tolerance=1e-8):
    """Every coefficient and standard error."""
    for part, found in (("params", result.coefficients.values), ("se", result.coefficients.se * factor)):
        told = np.array([reference[part][term] for term in result.coefficients.terms])
        np.testing.assert_allclose(found, told, rtol=tolerance, atol=tolerance)


def divided_by_n(result):
    """From our division by n - K to linearmodels' by n."""
    return np.sqrt((result.n - result.n_parameters) / result.n)


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("kind", ["iid", "HC0", "HC1"])
def test_two_stage_least_squares(fits, name, kind):
    agrees(fits(name, vcov=kind), FOUND[name]["fits"][f"2sls {kind}"])


@pytest.mark.parametrize("name", FOUND)
def test_the_default_of_linearmodels_divides_by_n(fits, name):
    result = fits(name, vcov="iid")
    agrees(result, FOUND[name]["fits"]["2sls unadjusted"], divided_by_n(result))


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("method", ["liml", "fuller"])
def test_liml_and_fuller(fits, name, method):
    reference = FOUND[name]["fits"][f"{method} unadjusted"]
    result = fits(name, method, "iid")
    agrees(result, reference, divided_by_n(result))
    assert result.kappa == pytest.approx(reference["kappa"], abs=1e-12)


@pytest.mark.parametrize("name", FOUND)
def test_gmm_and_its_objective(fits, name):
    result, reference = fits(name, "gmm", "HC0"), FOUND[name]["fits"]["gmm HC0"]
    agrees(result, reference)
    assert result.objective == pytest.approx(reference["j_stat"][0], abs=1e-8)


@pytest.mark.parametrize("name", ["simulated_one", "simulated_two"])
def test_clusters_in_one_way(fits, name):
    agrees(fits(name, cluster="group"), FOUND[name]["fits"]["2sls CR1"])
    agrees(fits(name, "gmm", "CR0", cluster="group"), FOUND[name]["fits"]["gmm CR0"])


@pytest.mark.parametrize("name", ["simulated_one", "simulated_two"])
def test_clusters_in_two_ways(fits, name):
    # linearmodels gives every term the factor of its own clusters; here the smallest number of clusters has it for all.
    result = fits(name, cluster=["group", "other"])
    raw = ck.IV(vcov="CR0").fit(simulated_iv(), **FOUND[name]["roles"], cluster=["group", "other"])
    joint = ck.IV(vcov="CR0").fit(
        simulated_iv().assign(both=lambda t: t["group"] * 100 + t["other"]), **FOUND[name]["roles"], cluster="both"
    )
    one, two = (fits(name, vcov="CR0", cluster=way) for way in ("group", "other"))
    n, k = raw.n, raw.n_parameters
    terms = ((one, 36), (two, 25), (joint, None))
    counts = [count or simulated_iv().groupby(["group", "other"]).ngroups for _, count in terms]
    matrices = [
        part.coefficients.vcov * (n - 1) / (n - k) * g / (g - 1) for (part, _), g in zip(terms, counts, strict=True)
    ]
    told = FOUND[name]["fits"]["2sls two-way"]["se"]
    found = np.sqrt(np.diag(matrices[0] + matrices[1] - matrices[2]))
    np.testing.assert_allclose(found, [told[term] for term in raw.coefficients.terms], rtol=1e-8)
    np.testing.assert_allclose(
        result.coefficients.vcov, raw.coefficients.vcov * 25 / 24 * (n - 1) / (n - k), rtol=1e-10
    )
    assert result.se == pytest.approx(result.coefficients.se[0], rel=1e-12)


@pytest.mark.parametrize("name", ["simulated_one", "simulated_two"])
def test_serial_correlation(fits, name):
    # floor(4 (400/100)^(2/9)) = 5 lags, the bandwidth of the reference
    data = simulated_iv().assign(row=np.arange(400))
    result = ck.IV(vcov="HAC").fit(data, **FOUND[name]["roles"], time="row")
    agrees(result, FOUND[name]["fits"]["2sls HAC"])


@pytest.mark.parametrize("name", ["simulated_one", "simulated_two"])
def test_weights(fits, name):
    agrees(fits(name, vcov="HC1", weights="weight"), FOUND[name]["fits"]["weighted HC1"])


@pytest.mark.parametrize("name", FOUND)
def test_overidentification(fits, name):
    reference, result = FOUND[name]["fits"]["2sls HC1"], fits(name, vcov="HC1")
    pairs = {
        "sargan": "sargan",
        "basmann": "basmann",
        "basmann_f": "basmann_f",
        "likelihood_ratio": "likelihood_ratio",
        "hansen": "wooldridge_overid",
    }
    for method, told in pairs.items():
        if reference[told] is None:
            with pytest.raises(ck.InferenceUnavailable, match="exactly identified"):
                result.overidentification_test(method)
        else:
            test = result.overidentification_test(method)
            assert [test.statistic, test.pvalue] == pytest.approx(reference[told], abs=1e-8)


@pytest.mark.parametrize("name", FOUND)
def test_endogeneity(fits, name):
    reference, result = FOUND[name]["fits"]["2sls HC1"], fits(name, vcov="HC1")
    for method in ("durbin", "wu_hausman", "wooldridge_score"):
        test = result.endogeneity_test(method)
        assert [test.statistic, test.pvalue] == pytest.approx(reference[method], abs=1e-8)
    for kind in ("iid", "HC0", "HC1"):  # linearmodels takes the Wald statistic for a chi-square, not for an F
        test = fits(name, vcov=kind).endogeneity_test("wooldridge_regression")
        told = FOUND[name]["fits"][f"2sls {kind}"]["wooldridge_regression"][0]
        assert test.statistic * test.df[0] == pytest.approx(told, rel=1e-8)


@pytest.mark.parametrize("name", FOUND)
def test_first_stage(fits, name):
    for kind in ("iid", "HC0", "HC1"):
        first = fits(name, vcov=kind).first_stage
        for j, term in enumerate(first.endogenous):
            told = FOUND[name]["fits"][f"2sls {kind}"]["first_stage"][term]
            assert first.partial_r2[j] == pytest.approx(told["partial.rsquared"], abs=1e-10)
            assert first.shea_r2[j] == pytest.approx(told["shea.rsquared"], abs=1e-10)
            # With a robust variance linearmodels' "f.stat" is q times F: a chi-square.
            q = first.df[0] if kind != "iid" else 1.0
            assert first.f[j] * q == pytest.approx(told["f.stat"], rel=1e-8)


@pytest.mark.parametrize("name", ABSORBED)
def test_absorbed_effects(name):
    reference = ABSORBED[name]
    effects, kind = name.split()
    roles = {
        "iid": {"vcov": "iid"},
        "HC1": {"vcov": "HC1"},
        "CR1": {"cluster": "group"},
        "nested": {"cluster": "region"},
    }[kind]
    result = ck.IV(vcov=roles.pop("vcov", "auto")).fit(
        simulated_iv(),
        outcome="y",
        treatment="d1",
        instruments="z0",
        covariates=["w0", "w1"],
        absorb=["region"] if effects == "one" else ["period", "region"],
        **roles,
    )
    agrees(result, reference)
    assert result.first_stage.f[0] == pytest.approx(reference["f"], rel=1e-8)


def test_clusters_without_a_factor():
    # "clustered" without "debiased" on Card's table by region, from the same run of linearmodels 7.1.
    card = table("card_one")
    region = card[[f"reg66{j}" for j in range(1, 10)]].to_numpy().argmax(axis=1)
    result = ck.IV(vcov="CR0").fit(card.assign(region_code=region), **FOUND["card_one"]["roles"], cluster="region_code")
    assert result.se == pytest.approx(0.043329679062533384, rel=1e-8)
