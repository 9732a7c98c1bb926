"""Counterfactuals in a linear model where they are known, and graphs to and from dowhy."""

import warnings

import numpy as np
import polars as pl
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, IdentificationError

GRAPH = ck.DAG("z -> x; z -> y; x -> m -> y; x -> y")


def drawn(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    z, e_x, e_m, e_y = rng.normal(size=(4, n))
    x = 0.5 * z + e_x
    m = 2 * x + e_m
    return {"z": z, "x": x, "m": m, "y": m - z + 0.5 * x + e_y}


def test_the_noise_of_each_unit_is_kept():
    data = drawn()
    # With exact coefficients the answer is exact, so the data hold no sampling error: noise is made orthogonal.
    causes = {"z": [], "x": ["z"], "m": ["x"], "y": ["z", "x", "m"]}
    exact: dict[str, np.ndarray] = {}
    weights = {"x": [0.5], "m": [2.0], "y": [-1.0, 0.5, 1.0]}
    for node, parents in causes.items():
        noise = data[node]
        if parents:
            design = np.column_stack([np.ones(len(noise)), *(exact[p] for p in parents)])
            noise = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
            noise = noise + sum(w * exact[p] for w, p in zip(weights[node], parents, strict=True))
        exact[node] = noise
    model = GRAPH.structural_model(exact)
    units = {name: values[:5] for name, values in exact.items()}
    found = model.counterfactual(pl.DataFrame(units), {"x": 1.0})
    assert list(found.columns) == list(GRAPH.nodes)
    change = 1.0 - units["x"]
    np.testing.assert_allclose(found["x"], 1.0)
    np.testing.assert_allclose(found["z"], units["z"], atol=1e-10)
    np.testing.assert_allclose(found["m"], units["m"] + 2 * change, atol=1e-10)
    np.testing.assert_allclose(found["y"], units["y"] + 2.5 * change, atol=1e-10)
    both = model.counterfactual(units, {"x": 1.0, "m": 0.0})
    np.testing.assert_allclose(both["y"], units["y"] + 0.5 * change - units["m"], atol=1e-10)


def test_other_regressors_are_taken():
    from sklearn.linear_model import LinearRegression

    data = drawn(500)
    learner = LinearRegression(fit_intercept=True)
    one = GRAPH.structural_model(data, regressor=learner).counterfactual(data, {"x": 0.0})
    two = GRAPH.structural_model(data).counterfactual(data, {"x": 0.0})
    np.testing.assert_allclose(one, two, atol=1e-10)
    assert not hasattr(learner, "coef_")


def test_what_has_no_independent_noise_or_gaps_is_refused():
    data = drawn(50)
    with pytest.raises(IdentificationError, match="x <-> y leaves the noise"):
        ck.DAG("x -> y; x <-> y").structural_model(data)
    with pytest.raises(IdentificationError, match="u leaves the noise"):
        ck.DAG("u -> x -> y", latent=["u"]).structural_model(data)
    with pytest.raises(DataError, match="no column 'q'"):
        ck.DAG("x -> q").structural_model(data)
    data["m"][3] = np.nan
    with pytest.raises(DataError, match="1 missing or infinite values, the first in row 3"):
        GRAPH.structural_model(data)
    with pytest.raises(DesignError, match="no node 'q'"):
        GRAPH.structural_model(drawn(50)).counterfactual(drawn(5), {"q": 1.0})


def test_dowhy_reads_our_graphs_and_we_read_its():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from dowhy import CausalModel, gcm
        from dowhy.causal_graph import CausalGraph

        graph = ck.DAG("z -> x -> y; z -> y; w <-> y; u -> z; u -> y", latent=["u"])
        frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("zxyw"))
        model = CausalModel(frame, "x", "y", graph=graph.to_gml())
        assert ck.DAG(model) == graph
        assert ck.DAG(model._graph) == graph
        drawn_by_dowhy = CausalGraph(
            "x", "y", common_cause_names=["a b", "c"], observed_node_names=["x", "y", "a b", "c"]
        )
        assert {("a b", "x"), ("a b", "y"), ("x", "y")} <= set(ck.DAG(drawn_by_dowhy).directed)
        assert ck.DAG(gcm.StructuralCausalModel(GRAPH.to_networkx())) == GRAPH


def test_a_node_is_set_to_a_finite_number():
    model = GRAPH.structural_model(drawn(200))
    for value in (np.nan, np.inf, "high"):
        with pytest.raises(DesignError, match="'x' can't be set to"):
            model.counterfactual(drawn(5), {"x": value})
