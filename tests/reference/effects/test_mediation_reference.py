"""Linear mediation against statsmodels and R's mediation, on the framing experiment that the statsmodels wheel carries.

R numbers: package ``mediation`` (Tingley, Yamamoto, Hirose, Keele and Imai 2014), vignette example, as quoted in
``statsmodels/stats/tests/test_mediation.py`` (``framing_boot_4231``: 100 bootstrap replicates, probit outcome). They carry
the Monte Carlo error of 100 replicates, and a probit is not a line: we ask for agreement well within their intervals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

#: Estimate and interval: ``framing_boot_4231``.
R_BOOT = {
    "indirect": (0.085390, 0.030272, 0.144768),
    "direct": (0.017222, -0.134465, 0.125987),
    "total": (0.102612, -0.036749, 0.227213),
}
COVARIATES = ["age", "educ", "gender", "income"]


@pytest.fixture(scope="module")
def framing():
    import statsmodels.stats.tests as home

    path = Path(home.__file__).parent / "results" / "framing.csv"
    if not path.exists():
        pytest.skip("this build of statsmodels carries no test data")
    return pd.read_csv(path)


@pytest.fixture(scope="module")
def roles():
    return {"outcome": "cong_mesg", "treatment": "treat", "mediator": "emo", "covariates": COVARIATES}


@pytest.mark.parametrize("method", ["linear", "product", "robust"])
def test_against_r(framing, roles, method):
    learners = {"regressor": "linear", "classifier": "linear", "random_state": 0} if method == "robust" else {}
    result = ck.Mediation(method=method, **learners).fit(framing, **roles)
    for at, term in enumerate(result.effects.terms):
        wanted, low, high = R_BOOT[term]
        spread = (high - low) / 3.92
        assert abs(result.effects.values[at] - wanted) < 0.35 * spread
        assert result.effects.se[at] == pytest.approx(spread, rel=0.35)


def test_against_simulated_equations_of_statsmodels(framing, roles):
    import statsmodels.api as sm
    from statsmodels.stats.mediation import Mediation

    outcome = sm.OLS.from_formula("cong_mesg ~ emo + treat + age + educ + gender + income", framing)
    mediator = sm.OLS.from_formula("emo ~ treat + age + educ + gender + income", framing)
    at = [model.exog_names.index("treat") for model in (outcome, mediator)]
    arrays = [sm.OLS(model.endog, model.exog) for model in (outcome, mediator)]  # without formulas it is fast
    study = Mediation(*arrays, at, outcome.exog_names.index("emo"))
    drawn = study.fit(method="parametric", n_rep=400, rng=1).summary()
    result = ck.Mediation(method="product").fit(framing, **roles)
    names = {"indirect": "ACME (average)", "direct": "ADE (average)", "total": "Total effect"}
    for at, term in enumerate(result.effects.terms):
        row = drawn.loc[names[term]]
        spread = (row["Upper CI bound"] - row["Lower CI bound"]) / 3.92
        # Each replicate simulates mediators and outcomes too; the mean of 400 is off by a twentieth of their spread.
        assert abs(result.effects.values[at] - row["Estimate"]) < 4 * spread / np.sqrt(400)
        assert result.effects.se[at] == pytest.approx(spread, rel=0.3)


def test_the_coefficients_behind_it(framing, roles):
    import statsmodels.api as sm

    outcome = sm.OLS.from_formula("cong_mesg ~ emo + treat + age + educ + gender + income", framing).fit()
    mediator = sm.OLS.from_formula("emo ~ treat + age + educ + gender + income", framing).fit()
    result = ck.Mediation(method="product").fit(framing, **roles)
    indirect, direct, _ = result.effects.values
    assert indirect == pytest.approx(mediator.params["treat"] * outcome.params["emo"], rel=1e-10)
    assert direct == pytest.approx(outcome.params["treat"], rel=1e-10)
    # Sobel's standard error takes equal variances; ours does not, and is close where they nearly are.
    sobel = np.hypot(outcome.params["emo"] * mediator.bse["treat"], mediator.params["treat"] * outcome.bse["emo"])
    assert result.effects.se[0] == pytest.approx(sobel, rel=0.1)
