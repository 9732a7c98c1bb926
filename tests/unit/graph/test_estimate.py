"""``Identification.estimate`` fills in what the graph asks for, and refuses estimators that do something else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import IdentificationError

DOOR = ck.FrontDoor(n_folds=2, regressor="linear", classifier="linear", random_state=0)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    unseen, w, z, other = rng.normal(size=(4, 3000))
    z = z + w
    x = (z + other + unseen + 0.5 * w > 0).astype(int)
    m = x + rng.normal(size=3000)
    return pd.DataFrame(
        {"x": x, "m": m, "w": w, "z": z, "other": other, "y": 2 * m + unseen + w + rng.normal(size=3000)}
    )


def test_the_front_door_names_the_mediators(people):
    verdict = ck.DAG("x -> m -> y; x <-> y").identify("x", "y")
    result = verdict.estimate(people, DOOR)
    assert result.roles["mediator"] == ["m"]
    assert abs(result.estimate - 2.0) < 4 * result.se
    assert verdict.estimate(people, DOOR, covariates=["w"]).roles["covariates"] == ["w"]
    for wrong, own in ((ck.AIPW(), "adjustment"), (ck.IV(), "instrument")):
        with pytest.raises(IdentificationError, match=f"{own}, and the graph asks for the front door.*ck.FrontDoor"):
            verdict.estimate(people, wrong)


def test_an_instrument_comes_with_what_it_needs(people):
    verdict = ck.DAG("w -> z -> x -> y; w -> x; w -> y; other -> x; x <-> y").identify("x", "y")
    assert verdict.strategy == "instrument"
    result = verdict.estimate(people, ck.IV())
    assert result.roles["instruments"] == ["other"]
    assert result.roles["covariates"] == []
    conditional = ck.DAG("w -> z -> x -> y; w -> x; w -> y; x <-> y").identify("x", "y")
    result = conditional.estimate(people, ck.IV())
    assert result.roles["instruments"] == ["z"]
    assert result.roles["covariates"] == ["w"]
    assert abs(result.estimate - 2.0) < 4 * result.se
    for wrong in (ck.OLS(), DOOR):
        with pytest.raises(IdentificationError, match=r"the graph asks for an instrument.*Use ck\.IV"):
            conditional.estimate(people, wrong)
    with pytest.raises(IdentificationError, match="no role instruments="):
        conditional.estimate(people, ck.ShiftShareIV())


def test_instruments_that_need_the_same_enter_together(people):
    verdict = ck.DAG("a -> x; b -> x -> y; x <-> y").identify("x", "y")
    renamed = people.rename(columns={"z": "a", "other": "b"})
    assert verdict.estimate(renamed, ck.IV()).roles["instruments"] == ["a", "b"]


def test_adjustment_refuses_the_others(people):
    verdict = ck.DAG("w -> x -> y; w -> y").identify("x", "y")
    assert verdict.estimate(people, ck.OLS()).roles["covariates"] == ["w"]
    for wrong in (DOOR, ck.IV(), ck.Mediation()):
        with pytest.raises(
            IdentificationError, match=r"the graph asks for adjustment.*Use ck\.AIPW, ck\.DoubleML or ck\.OLS"
        ):
            verdict.estimate(people, wrong)


def test_a_formula_and_a_hedge_have_no_estimator(people):
    napkin = ck.DAG("w -> z -> x -> y; w <-> x; w <-> y").identify("x", "y")
    assert napkin.strategy == "formula"
    with pytest.raises(IdentificationError, match="no estimator carries out the strategy 'formula'"):
        napkin.estimate(people, ck.OLS())
    with pytest.raises(IdentificationError, match="'none'"):
        ck.DAG("x -> y; x <-> y").identify("x", "y").estimate(people, ck.OLS())
