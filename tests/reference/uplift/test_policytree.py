"""Policy trees against R policytree; policytree.json holds its version, calls and mean rewards.

Rewards are compared, not trees: ties have several best trees.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.uplift.policy_tree_search import grow

HERE = Path(__file__).parent
CASES = json.loads((HERE / "policytree.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_mean_reward(case):
    table = np.loadtxt(HERE / "policytree_input.csv", delimiter=",", skiprows=1)[: case["n"]]
    codes = np.array([np.unique(column, return_inverse=True)[1] for column in table[:, :4].T], dtype=np.int32)
    tree = grow(codes, table[:, 4:], case["depth"], case["min_node_size"], case["method"])
    assert tree.reward / case["n"] == pytest.approx(case["mean_reward"], abs=1e-8)
