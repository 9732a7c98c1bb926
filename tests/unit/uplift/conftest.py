"""One campaign with known effects and one quick model of it, shared by the tests of the public tools."""

from __future__ import annotations

import pytest

import causalkit as ck

COVARIATES = ["recency", "loyalty", "channel"]


@pytest.fixture(scope="session")
def campaign():
    return ck.datasets.coupon_campaign(3000, random_state=3)


@pytest.fixture(scope="session")
def fresh():
    """Customers that the model has not seen."""
    return ck.datasets.coupon_campaign(2000, random_state=4)


@pytest.fixture(scope="session")
def quick():
    def fit(data, **roles):
        learner = ck.DRLearner(random_state=0, regressor="linear", classifier="linear", n_boot=20)
        given = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "covariates": COVARIATES}
        return learner.fit(data, **{**given, "propensity": 0.5, **roles})

    return fit


@pytest.fixture(scope="session")
def model(campaign, quick):
    return quick(campaign)


@pytest.fixture(scope="session")
def roles():
    return {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "propensity": 0.5}
