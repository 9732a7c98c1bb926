"""Bounds under direct effects of the instruments: against refits on a changed outcome."""

import sys
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.direct_effects import local_to_zero, plausibly_exogenous

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import ROLES, table


@pytest.mark.parametrize("vcov", ["iid", "HC1", "CR1"])
def test_the_ends_are_those_of_refits(vcov):
    data = table()
    cluster = {"cluster": "group"} if vcov == "CR1" else {}
    names = ["z1", "z2"]
    fit = ck.IV(vcov=vcov).fit(data, instruments=names, **ROLES, **cluster)
    found = plausibly_exogenous(fit, {"z1": (-0.1, 0.2), "z2": 0.1})
    ends = []
    for first in np.linspace(-0.1, 0.2, 4):
        for second in np.linspace(-0.1, 0.1, 3):
            moved = data.assign(y=data["y"] - first * data["z1"] - second * data["z2"])
            ends.append(ck.IV(vcov=vcov).fit(moved, instruments=names, **ROLES, **cluster).ci())
    wanted = [min(low for low, _ in ends), max(high for _, high in ends)]
    np.testing.assert_allclose(found.region.intervals[0], wanted, rtol=1e-9)
    assert found.estimates[0] < fit.estimate < found.estimates[1]
    np.testing.assert_allclose(plausibly_exogenous(fit, 0.0).region.intervals[0], fit.ci(), rtol=1e-9)


def test_a_prior_widens_the_interval_by_what_it_adds():
    fit = ck.IV().fit(table(), instruments=["z1"], **ROLES)
    np.testing.assert_allclose(local_to_zero(fit, {}, {}), fit.ci(), rtol=1e-9)
    low, high = local_to_zero(fit, {"z1": 0.1}, {"z1": 0.05})
    first = float(fit.first_stage.coefficients["d"].values[0])
    assert (low + high) / 2 == pytest.approx(fit.estimate - 0.1 / first)
    ratio = (high - low) / (fit.ci()[1] - fit.ci()[0])
    moved = table().assign(y=lambda t: t["y"] - 0.1 * t["z1"])
    se = ck.IV().fit(moved, instruments=["z1"], **ROLES).se
    assert ratio == pytest.approx(np.hypot(se, 0.05 / first) / fit.se)


def test_what_is_refused():
    fit = ck.IV().fit(table(), instruments=["z1"], **ROLES)
    with pytest.raises(DesignError, match="not an instrument"):
        plausibly_exogenous(fit, {"z9": 0.1})
    with pytest.raises(DesignError, match="does not bound"):
        plausibly_exogenous(fit, (0.2, 0.1))
    with pytest.raises(DesignError, match="negative"):
        local_to_zero(fit, {}, {"z1": -1.0})
    with pytest.raises(InferenceUnavailable, match="two-stage"):
        plausibly_exogenous(ck.IV(method="liml").fit(table(), instruments=["z1"], **ROLES), 0.1)
