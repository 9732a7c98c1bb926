"""Effects on the infants of the IHDP (Hill 2011, response surface B), which econml ships: the truth is known for each."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck


@pytest.fixture(scope="module")
def infants():
    dgps = pytest.importorskip("econml.data.dgps")
    outcome, visited, x, effect = dgps.ihdp_surface_B(random_state=0)
    table = pd.DataFrame(x[:, 1:], columns=[f"x{j}" for j in range(1, x.shape[1])])  # the first is the intercept
    return table.assign(score=outcome, visited=visited), effect


@pytest.mark.parametrize("learner", [ck.CausalForest(random_state=0), ck.DRLearner(random_state=0, n_boot=0)], ids=repr)
def test_effects_of_home_visits(infants, learner):
    table, effect = infants
    names = [name for name in table if name.startswith("x")]
    model = learner.fit(table, outcome="score", treatment="visited", covariates=names)
    error = np.sqrt(np.mean((model.cate() - effect) ** 2))
    assert error < 0.8 * np.std(effect)
    treated = model.ate("treated")
    assert abs(treated.estimate - effect[table["visited"] == 1].mean()) < 3 * treated.se
