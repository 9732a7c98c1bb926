"""Least squares against pyfixest 0.60.0 (pyfixest.json, made by make_reference.py), statsmodels and R fixest 0.12.2."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalkit.linear.least_squares import LeastSquares, least_squares

HERE = Path(__file__).parent
FITS = json.loads((HERE / "pyfixest.json").read_text())["fits"]

# R 4 fixest 0.12.2: feols(lemp ~ dd | county + year, mpdta, vcov = "iid" | "hetero" | ~county); default ssc.
MPDTA = {"iid": 0.0126464735256592, "HC1": 0.0123601004854494, "CR1": 0.0132651554293389}
MPDTA_ESTIMATE = -0.0365489366740671
# feols(lemp ~ i(rel, ref = -1) | county + year, mpdta, vcov = ~county): event times -4, -3, -2, 0, 1, 2, 3.
EVENT_TIMES = (-4, -3, -2, 0, 1, 2, 3)
EVENT_ESTIMATES = [
    0.00354932691943241,
    0.02462350198649,
    0.0233548148864028,
    -0.0181439269665805,
    -0.0434723726285508,
    -0.131794857754317,
    -0.0922467941818831,
]
EVENT_ERRORS = [
    0.0228285814462781,
    0.0176793711726706,
    0.0134366993772462,
    0.010982218280948,
    0.0175769469944396,
    0.0288374073900672,
    0.0323361931631249,
]


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return pd.read_csv(HERE / "panel.csv")


def codes(panel: pd.DataFrame, *names: str) -> list[np.ndarray]:
    return [panel[name].to_numpy().astype(np.int32) for name in names]


def fit(panel: pd.DataFrame, vcov: str, absorb=(), cluster=None, weights=None) -> LeastSquares:
    return least_squares(
        panel["y"].to_numpy(),
        panel[["x1", "x2"]].to_numpy(),
        names=["x1", "x2"],
        absorb=codes(panel, *absorb),
        groups=None if cluster is None else codes(panel, *cluster),
        weights=None if weights is None else panel[weights].to_numpy(),
        vcov=vcov,
    )


CASES = {
    "iid": {"vcov": "iid", "absorb": ("unit", "time")},
    "hetero": {"vcov": "HC1", "absorb": ("unit", "time")},
    "cluster_unit": {"vcov": "CR1", "absorb": ("unit", "time"), "cluster": ("unit",)},
    "cluster_region": {"vcov": "CR1", "absorb": ("unit", "time"), "cluster": ("region",)},
    "cluster_two_way": {"vcov": "CR1", "absorb": ("unit", "time"), "cluster": ("unit", "time")},
    "weighted_cluster_unit": {"vcov": "CR1", "absorb": ("unit", "time"), "cluster": ("unit",), "weights": "w"},
    "weighted_hetero": {"vcov": "HC1", "absorb": ("unit", "time"), "weights": "w"},
    "three_effects": {"vcov": "CR1", "absorb": ("unit", "time", "sector"), "cluster": ("unit",)},
    "one_effect": {"vcov": "CR1", "absorb": ("unit",), "cluster": ("unit",)},
}


@pytest.mark.parametrize("name", CASES)
def test_absorbed_effects_agree_with_pyfixest(panel, name):
    ours, theirs = fit(panel, **CASES[name]), FITS[name]
    np.testing.assert_allclose(ours.coefficients, theirs["estimate"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.se, theirs["se"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.vcov.matrix, theirs["vcov"], rtol=0, atol=1e-10)
    assert ours.n == theirs["n"]
    assert abs(ours.r2 - theirs["r2"]) < 1e-10
    assert abs(ours.r2_within - theirs["r2_within"]) < 1e-10


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_effects_does_not_matter(panel, name):
    case = dict(CASES[name])
    case["absorb"] = tuple(reversed(case["absorb"]))
    np.testing.assert_allclose(fit(panel, **case).vcov.matrix, FITS[name]["vcov"], rtol=0, atol=1e-10)


def test_without_effects_agrees_with_pyfixest(panel):
    X = np.column_stack([np.ones(len(panel)), panel[["x1", "x2"]].to_numpy()])
    ours = least_squares(
        panel["y"].to_numpy(), X, names=["Intercept", "x1", "x2"], groups=codes(panel, "unit")[0], vcov="CR1"
    )
    theirs = FITS["no_effect"]
    np.testing.assert_allclose(ours.coefficients, theirs["estimate"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.vcov.matrix, theirs["vcov"], rtol=0, atol=1e-10)
    assert abs(ours.r2 - theirs["r2"]) < 1e-10


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(
    ("kind", "cov_type"), [("iid", "nonrobust"), ("HC0", "HC0"), ("HC1", "HC1"), ("HC2", "HC2"), ("HC3", "HC3")]
)
def test_agrees_with_statsmodels_on_dummies(panel, kind, cov_type, weights):
    sm = pytest.importorskip("statsmodels.api")
    ours = fit(panel, kind, ("unit", "time"), weights=weights)
    w = np.ones(len(panel)) if weights is None else panel[weights].to_numpy()
    theirs = sm.WLS(panel["y"].to_numpy(), with_dummies(panel), weights=w).fit(cov_type=cov_type)
    np.testing.assert_allclose(ours.coefficients, theirs.params[:2], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.vcov.matrix, theirs.cov_params()[:2, :2], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.residuals, theirs.resid, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.fitted, theirs.fittedvalues, rtol=0, atol=1e-10)
    assert abs(ours.r2 - theirs.rsquared) < 1e-10
    assert (ours.df == theirs.df_resid).all()


def test_clusters_that_nest_no_effect_agree_with_statsmodels_on_dummies(panel):
    sm = pytest.importorskip("statsmodels.api")
    ours = fit(panel, "CR1", ("unit", "time"), cluster=("sector",))
    model = sm.OLS(panel["y"].to_numpy(), with_dummies(panel))
    theirs = model.fit(cov_type="cluster", cov_kwds={"groups": panel["sector"].to_numpy()})
    np.testing.assert_allclose(ours.vcov.matrix, theirs.cov_params()[:2, :2], rtol=0, atol=1e-10)


def with_dummies(panel: pd.DataFrame) -> np.ndarray:
    dummies = [pd.get_dummies(panel["unit"], dtype=float), pd.get_dummies(panel["time"], dtype=float).iloc[:, 1:]]
    return np.column_stack([panel[["x1", "x2"]].to_numpy(), *(part.to_numpy() for part in dummies)])


@pytest.fixture(scope="module")
def mpdta() -> pd.DataFrame:
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    path = Path(folder or ".") / "mpdta.csv"
    if folder is None or not path.exists():
        pytest.skip("mpdta may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with mpdta.csv")
    return pd.read_csv(path)


@pytest.mark.parametrize("kind", MPDTA)
def test_county_employment_agrees_with_fixest(mpdta, kind):
    first = mpdta["first.treat"].to_numpy()
    treated = (first > 0) & (mpdta["year"].to_numpy() >= first)
    county, year = (np.unique(mpdta[name], return_inverse=True)[1].astype(np.int32) for name in ("countyreal", "year"))
    ours = least_squares(
        mpdta["lemp"].to_numpy(),
        treated[:, None].astype(float),
        names=["dd"],
        absorb=[county, year],
        groups=county if kind == "CR1" else None,
        vcov=kind,
    )
    assert abs(ours.coefficients[0] - MPDTA_ESTIMATE) < 1e-12
    assert abs(ours.se[0] - MPDTA[kind]) < 1e-12
    assert ours.n_parameters == (6 if kind == "CR1" else 505)


def test_county_event_study_agrees_with_fixest(mpdta):
    first, year = mpdta["first.treat"].to_numpy(), mpdta["year"].to_numpy()
    relative = np.where(first == 0, -1, year - first)
    county, when = (np.unique(mpdta[name], return_inverse=True)[1].astype(np.int32) for name in ("countyreal", "year"))
    ours = least_squares(
        mpdta["lemp"].to_numpy(),
        np.column_stack([(relative == e).astype(float) for e in EVENT_TIMES]),
        names=[str(e) for e in EVENT_TIMES],
        absorb=[county, when],
        groups=county,
        vcov="CR1",
    )
    np.testing.assert_allclose(ours.coefficients, EVENT_ESTIMATES, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.se, EVENT_ERRORS, rtol=0, atol=1e-12)
