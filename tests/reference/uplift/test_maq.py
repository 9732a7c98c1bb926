"""Several arms under a budget against maq 0.2.2 (grf-labs/maq at 8138e133, MIT; not the package of that name on PyPI).

``MAQ(budget=..., n_bootstrap=...).fit(reward, cost, dr_scores)`` on 300 people and 3 arms (``r*``, ``c*`` and ``dr*`` of the
csv); the json holds the path, gains with bootstrap errors and allocations. ``cost_vector`` used the costs 0.5, 1 and 2 for
everybody; ``no_covariates`` gives all the mean reward and cost. Spends and gains are per head.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.uplift.frontier import Held, frontier, influence_at
from causalkit.uplift.routes import find_routes

HERE = Path(__file__).parent
MAQ = json.loads((HERE / "maq_reference.json").read_text())
N = 300


def _read(*names):
    table = np.genfromtxt(HERE / "maq_input.csv", delimiter=",", names=True)
    return np.column_stack([table[name] for name in names])


@pytest.fixture(scope="module")
def numbers():
    return tuple(_read(*(f"{kind}{arm}" for arm in (1, 2, 3))) for kind in ("r", "c", "dr"))


@pytest.fixture(scope="module")
def cases(numbers):
    reward, cost, scores = numbers
    flat = np.tile([0.5, 1.0, 2.0], (N, 1))
    return {
        "plain": (reward, cost, scores),
        "single_arm": (reward[:, :1], cost[:, :1], scores[:, :1]),
        "cost_vector": (reward, flat, scores),
        "no_covariates": (*(np.tile(v.mean(axis=0), (N, 1)) for v in (reward, cost)), scores),
        "budget0.3": (reward, cost, scores),
    }


@pytest.mark.parametrize("case", ["plain", "single_arm", "cost_vector", "no_covariates"])
def test_the_path_and_its_gains(cases, case):
    reward, cost, scores = cases[case]
    routes, told = find_routes(reward, cost), MAQ[case]
    assert routes.n_steps == told["path_len"]
    assert routes.total_cost / N == pytest.approx(told["spend_last"], abs=1e-12)
    found = frontier(routes, Held(scores, cost, None, None), N * np.array(told["path_spend"]))
    np.testing.assert_allclose(found.profit / N, told["path_gain"], rtol=0, atol=1e-8)
    spends = N * np.array([float(s) for s in told["average_gain_(est,se)"]])
    at = frontier(routes, Held(scores, cost, None, None), spends)
    gains = np.array(list(told["average_gain_(est,se)"].values()))
    np.testing.assert_allclose(at.profit / N, gains[:, 0], rtol=0, atol=1e-10)


def test_the_path_step_by_step(cases):
    reward, cost, _ = cases["plain"]
    routes, told = find_routes(reward, cost), MAQ["plain"]
    np.testing.assert_allclose(np.cumsum(routes.group_cost)[told["path_idx"]] / N, told["path_spend"], atol=1e-12)


def test_who_gets_what(cases):
    for case in ("plain", "single_arm", "cost_vector", "budget0.3"):
        reward, cost, _ = cases[case]
        rule = find_routes(reward, cost).probability(0.2 * N)
        np.testing.assert_allclose(rule.sum(axis=0), MAQ[case]["alloc_at_spend0.2_arm_totals"], atol=1e-8)
        assert float((rule * cost).sum()) == pytest.approx(0.2 * N, rel=1e-12)
        assert rule.sum(axis=1).max() <= 1.0 + 1e-12


def test_a_budget_ends_the_same_path(cases):
    """maq stops its path at the first step over the budget; the gains before are those of the whole path."""
    reward, cost, scores = cases["budget0.3"]
    routes, told = find_routes(reward, cost), MAQ["budget0.3"]
    assert int(np.sum(routes.spent_before / N < 0.3)) == told["path_len"]
    assert routes.group_cost[: told["path_len"]].sum() / N == pytest.approx(told["spend_last"], abs=1e-12)
    spends = N * np.array([float(s) for s in told["average_gain_(est,se)"]])
    at = frontier(routes, Held(scores, cost, None, None), spends).profit / N
    np.testing.assert_allclose(at, [gain for gain, _ in told["average_gain_(est,se)"].values()], atol=1e-10)


def test_paired_difference(cases):
    _, cost, scores = cases["plain"]
    held = Held(scores, cost, None, None)
    gains = [influence_at(find_routes(*cases[case][:2]), held, 0.3 * N)[0] / N for case in ("plain", "no_covariates")]
    assert gains[0] - gains[1] == pytest.approx(MAQ["difference_gain_plain_minus_nocov_spend0.3"][0], abs=1e-8)


@pytest.mark.parametrize("case", ["plain", "single_arm", "cost_vector"])
def test_standard_errors_are_those_of_the_bootstrap(cases, case):
    """Within the noise of a bootstrap at each spend, and 3 % on average."""
    reward, cost, scores = cases[case]
    told = MAQ[case]["average_gain_(est,se)"]
    found = frontier(find_routes(reward, cost), Held(scores, cost, None, None), N * np.array([float(s) for s in told]))
    ratio = found.se / N / np.array([se for _, se in told.values()])
    np.testing.assert_allclose(ratio, 1.0, atol=0.07)
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)
