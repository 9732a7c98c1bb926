"""Several cutoffs and boundaries against rdmulti.

``multi_rdmulti_2.0.0.json`` needs a table that is not shipped: it is read from the folder that the environment variable
CAUSALKIT_REFERENCE_DATA names. ``jump_table.json`` is for a table of our own.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
SIMULATED = json.loads((HERE / "multi_rdmulti_2.0.0.json").read_text())["results"]
OWN = json.loads((HERE / "jump_table.json").read_text())["multi"]["results"]


@pytest.fixture(scope="module")
def table():
    data = pd.read_csv(HERE / "jump_table.csv")
    data["line"] = np.where(data["group"] == 1, 0.2, -0.1)
    data["own"] = data["y"] + 0.5 * (data["x"] >= data["line"])
    data["stepped"] = data["y"] + 0.5 * (data["x"] >= 0.9)
    data["passed"] = (data["x"] >= 0) & (data["z"] >= 0)
    return data.assign(bordered=data["y"] + 0.5 * data["passed"])


def compare(result, expected, k, rtol=1e-9):
    """Compare the first k effects; rdmulti's interval, variance and bias-corrected estimate are robust."""
    effects = result.effects.select(list(range(k)))
    arrays = {key: np.array(value, dtype=float) for key, value in expected.items()}
    expected = {key: array.reshape(-1, array.shape[-1]) for key, array in arrays.items()}
    np.testing.assert_allclose(effects.values, expected["Coefs"][0][:k], rtol=rtol)
    np.testing.assert_allclose(effects.numbers.location, expected["B"][0][:k], rtol=rtol)
    np.testing.assert_allclose(effects.se**2, expected["V"][0][:k], rtol=rtol)
    np.testing.assert_allclose(effects.ci(), expected["CI"][:, :k], rtol=rtol)
    for j, term in enumerate(effects.terms):
        if term in result.n_effective:
            assert result.n_effective[term] == tuple(expected["Nh"][:, j]), term


def test_cutoffs_of_the_units():
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "multicutoff_sim.csv").is_file():
        pytest.skip("multicutoff_sim.csv is not shipped; CAUSALKIT_REFERENCE_DATA names no folder with it")
    data = pd.read_csv(Path(folder) / "multicutoff_sim.csv")
    result = ck.MultiCutoffRD().fit(data, outcome="Y", running="X", cutoff="C")
    compare(result, SIMULATED, 4)
    np.testing.assert_allclose(result.weights, SIMULATED["W"][0], rtol=1e-14)


def test_our_own_table_with_cutoffs_of_the_units(table):
    result = ck.MultiCutoffRD().fit(table, outcome="own", running="x", cutoff="line")
    compare(result, OWN["own_cutoffs"], 4)


def test_our_own_table_with_cumulative_cutoffs(table):
    result = ck.MultiCutoffRD(cutoff=(0.0, 0.9)).fit(table, outcome="stepped", running="x")
    compare(result, OWN["cumulative"], 2)


def test_our_own_table_with_a_boundary(table):
    design = ck.BoundaryRD(boundary=((0.0, 0.8), (0.0, 0.0), (0.7, 0.0)))
    compare(design.fit(table, outcome="bordered", running=["x", "z"], treatment="passed"), OWN["boundary"], 3)
