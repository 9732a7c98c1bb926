"""Predictions and variances of a forest that R grf 2.6.1 grew, from its trees.

``grf_forest.json.gz`` holds simulated data, the trees with the rows in each leaf, grf's predictions and variances, and
the call.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.effects.forest.binning import Binning
from causalkit.effects.forest.honest import leaf_parts, means_by_leaf
from causalkit.effects.forest.predicting import predict, predict_spread
from causalkit.effects.forest.trees import Tree, Ways, join

GRF = json.loads(gzip.decompress((Path(__file__).parent / "grf_forest.json.gz").read_bytes()))
X, Y, W = (np.array(GRF[name]) for name in ("x", "y", "w"))


def splits(nodes):
    return [node for node in nodes if node[0] >= 0]


def load_binning():
    edges = [sorted({node[1] for tree in GRF["trees"] for node in splits(tree) if node[0] == f}) for f in range(5)]
    return Binning.from_edges([np.array(e) for e in edges])


def load_tree(nodes, binning, weighted):
    """Number the nodes so that children are neighbours, as ours are."""
    order, at = [0], 0
    feature, threshold, child, rows = [], [], [], []
    while at < len(order):
        node = nodes[order[at]]
        if node[0] < 0:
            feature.append(-1)
            threshold.append(0)
            child.append(0)
            rows.append(node[1])
        else:
            edges = binning.edges[binning.starts[node[0]] : binning.starts[node[0] + 1]]
            feature.append(node[0])
            threshold.append(int(np.searchsorted(edges, node[1])))
            child.append(len(order))
            order += [node[2], node[3]]
        at += 1
    leaf = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    own = np.concatenate([np.array(r, dtype=int) for r in rows])
    s = np.ones(len(own)) if weighted else None
    means, size = means_by_leaf(leaf, len(rows), leaf_parts(Y[own], W[own, None], s, np.empty((len(own), 0))))
    feature, threshold, child = (np.array(a, dtype=np.int32) for a in (feature, threshold, child))
    nowhere, sets = np.ones(len(feature), bool), np.empty((0, 4), np.uint64)
    return Tree(Ways.of(feature, threshold, child, nowhere, sets, binning.is_category), means, True, size, own)


@pytest.fixture(scope="module", params=[False, True], ids=["no weights", "weights of one"])
def forest(request):
    binning = load_binning()
    trees = [load_tree(nodes, binning, request.param) for nodes in GRF["trees"]]
    return join(trees, binning, 1, weighted=request.param)


def test_the_trees_are_whole(forest):
    assert forest.n_trees == 40
    assert all(node[0] >= 0 or node[1] for tree in GRF["trees"] for node in tree)  # grf has pruned empty leaves
    assert int(forest.size.sum()) == 40 * 100


def test_predictions(forest):
    assert predict(forest, X[:20] + 0.01)[:, 0] == pytest.approx(np.array(GRF["predictions"]), abs=1e-12)


def test_variances(forest):
    found = predict_spread(forest, X[:20] + 0.01)
    assert found.mean[:, 0] == pytest.approx(np.array(GRF["predictions"]), abs=1e-12)
    assert found.covariance[:, 0, 0] == pytest.approx(np.array(GRF["variance"]), rel=1e-8)
    assert (found.n_groups == 20).all()
