"""Few clusters: the cluster jackknife and the wild bootstrap against pyfixest.

The statistics depend on each cluster's cross-products only, so rows with the same cross-products stand for the data.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.inference.bootstrap import wild_cluster_bootstrap
from causalkit.inference.vcov import least_squares_vcov

REFERENCE = json.loads((Path(__file__).parent / "mpdta_states.json").read_text())


def rows_of(states):
    blocks, groups = [], []
    for code, state in enumerate(states):
        cross = np.zeros((6, 6))
        cross[np.tril_indices(6)] = REFERENCE["cross_products"][str(state)]
        cross += np.tril(cross, -1).T
        values, vectors = np.linalg.eigh(cross)
        blocks.append(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)
        groups.append(np.full(6, code, dtype=np.int32))
    table = np.concatenate(blocks)
    return table[:, :5], table[:, 5], np.concatenate(groups)


def case(name):
    states = REFERENCE["few"]["states"] if name == "few" else list(REFERENCE["cross_products"])
    return (*rows_of(states), REFERENCE[name])


@pytest.mark.parametrize("name", ["few", "all_states"])
def test_cluster_covariances(name):
    """pyfixest multiplies CRV1 and CRV3 alike by its ssc; our CR3 has the jackknife's (G-1)/G instead."""
    X, y, groups, reference = case(name)
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ (X.T @ y)
    residuals = y - X @ beta
    n_clusters = groups.max() + 1
    cr0 = least_squares_vcov("CR0", X, residuals, bread, groups=groups).matrix[0, 0]
    cr3 = least_squares_vcov("CR3", X, residuals, bread, groups=groups).matrix[0, 0]
    assert beta[0] == pytest.approx(reference["CRV1"]["estimate"], rel=1e-10)
    assert np.sqrt(cr0 * reference["CRV1"]["ssc"]) == pytest.approx(reference["CRV1"]["se"], rel=1e-10)
    plain = cr3 * n_clusters / (n_clusters - 1)
    assert np.sqrt(plain * reference["CRV3"]["ssc"]) == pytest.approx(reference["CRV3"]["se"], rel=1e-10)


def test_enumerated_pvalue():
    X, y, groups, reference = case("few")
    result = wild_cluster_bootstrap(y, X, groups, 0)
    assert result.exact
    assert result.n_draws == 512
    assert result.monte_carlo_error == 0.0
    assert result.pvalue == reference["wild_enumerated_pvalue"] == 0.703125


def test_webb_pvalue_within_simulation_error():
    X, y, groups, reference = case("all_states")
    result = wild_cluster_bootstrap(y, X, groups, 0, n_boot=20_000, kind="webb", random_state=0)
    assert not result.exact
    error = np.hypot(result.monte_carlo_error, result.monte_carlo_error / np.sqrt(5))
    assert abs(result.pvalue - reference["wild_webb_99999_pvalue"]) < 4 * error
