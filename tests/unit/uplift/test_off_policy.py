"""Off-policy values: closed forms, ways to pass a policy, intervals, and checks of the weights."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.uplift import off_policy_value


@pytest.fixture(scope="module")
def log():
    return _log(np.random.default_rng(0), 900)


def _log(rng, n):
    x = rng.uniform(-1, 1, n)
    logits = np.column_stack([0.5 * x, -0.5 * x, np.zeros(n)])
    before = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    arm = np.array([rng.choice(3, p=p) for p in before])
    mean = np.column_stack([x, -x, 0.3 + 0 * x])
    policy = np.column_stack([0.6 * (x > 0) + 0.2, 0.6 * (x <= 0) + 0.1, np.full(n, 0.1)])
    y = mean[np.arange(n), arm] + rng.normal(size=n)
    return {"y": y, "arm": arm, "policy": policy, "before": before, "q": mean + 0.1, "truth": mean, "x": x}


def _value(log, method="dr", **options):
    return off_policy_value(
        log["y"], log["arm"], log["policy"], log["before"], expected=log["q"], method=method, **options
    )


def test_limits_meet_the_estimators_that_they_bridge(log):
    dr, dm = _value(log), _value(log, "dm")
    assert _value(log, "switch_dr", cutoff=1e9).estimate == pytest.approx(dr.estimate, abs=1e-12)
    assert _value(log, "switch_dr", cutoff=1e-9).estimate == pytest.approx(dm.estimate, abs=1e-12)
    assert _value(log, "dr_os", cutoff=1e12).estimate == pytest.approx(dr.estimate, abs=1e-9)
    assert _value(log, "ips", cutoff=1e9).estimate == _value(log, "ips").estimate


def test_self_normalised_values_follow_a_shift(log):
    moved = {**log, "y": log["y"] + 7.0}
    assert _value(moved, "snips").estimate == pytest.approx(_value(log, "snips").estimate + 7.0, abs=1e-10)
    assert _value(moved, "snips").se == pytest.approx(_value(log, "snips").se, rel=1e-10)


def test_ways_to_say_the_same(log):
    names = np.array(["a", "b", "c"])
    wide = {key: {name: log[key][:, j] for j, name in enumerate(names)} for key in ("policy", "before", "q")}
    by_name = off_policy_value(log["y"], names[log["arm"]], wide["policy"], wide["before"], expected=wide["q"])
    own = log["before"][np.arange(len(log["y"])), log["arm"]]
    by_row = off_policy_value(log["y"], log["arm"], log["policy"], own, expected=log["q"])
    assert by_name.estimate == by_row.estimate == _value(log).estimate
    best = np.where(log["x"] > 0, 0, 1)
    fixed = off_policy_value(log["y"], log["arm"], best, log["before"], expected=log["q"])
    spread = off_policy_value(log["y"], log["arm"], np.eye(3)[best], log["before"], expected=log["q"])
    assert fixed.estimate == spread.estimate


def test_weights_are_copies_and_clusters_are_summed(log):
    n = len(log["y"])
    counts = np.random.default_rng(1).integers(1, 4, n)
    repeated = {key: np.repeat(value, counts, axis=0) for key, value in log.items()}
    for method in ("ips", "snips", "dr", "sndr"):
        assert _value(log, method, weights=counts).estimate == pytest.approx(
            _value(repeated, method).estimate, rel=1e-10
        )
    groups = np.repeat(np.arange(90), 10)
    found = _value(log, cluster=groups)
    w = found.weights
    rows = np.sum(log["policy"] * log["q"], axis=1) + w * (log["y"] - log["q"][np.arange(n), log["arm"]])
    sums = np.bincount(groups, (rows - rows.mean()) / n)
    assert found.se == pytest.approx(np.sqrt(90 / 89 * np.sum(sums**2)), rel=1e-10)


def test_two_policies_on_one_log_subtract(log):
    other = _value({**log, "policy": log["before"]})
    gap = _value(log) - other
    assert gap.estimate == pytest.approx(_value(log).estimate - other.estimate, abs=1e-12)
    assert 0 < gap.se < np.hypot(_value(log).se, other.se)


def test_the_effective_sample_size(log):
    found = _value(log, "ips")
    w = found.weights
    assert found.effective_sample_size == pytest.approx(w.sum() ** 2 / np.sum(w**2), rel=1e-12)
    assert found.checks["overlap"].status == "pass"
    assert found.checks["propensity"].status == "pass"
    assert "overlap" not in _value(log, "dm").checks


def test_wrong_propensities_and_thin_logs_are_called_out(log):
    assert (
        off_policy_value(log["y"], log["arm"], log["policy"], 0.2, method="ips").checks["propensity"].status == "fail"
    )
    rng = np.random.default_rng(2)
    rare = np.where(rng.random(900) < 0.01, 1, 0)
    chance = np.where(rare == 1, 0.01, 0.99)
    thin = off_policy_value(log["y"], rare, np.ones(900, dtype=int), chance, method="snips")
    assert thin.checks["overlap"].status == "warn"


def test_intervals_cover():
    rng = np.random.default_rng(4)
    hits = dict.fromkeys(("ips", "snips", "dr", "sndr"), 0)
    runs = 120
    for _ in range(runs):
        one = _log(rng, 300)
        # The value for these people's kind: E[truth under the policy], by symmetry the same in every draw.
        truth = 0.5 * 0.8 + 0.5 * 0.7 - 0.5 * 0.1 - 0.5 * 0.2
        truth = 0.5 * truth + 0.03
        for method in hits:
            low, high = _value(one, method).ci()
            hits[method] += low < truth < high
    assert all(0.89 <= count / runs <= 1.0 for count in hits.values()), hits


def test_refusals_teach(log):
    with pytest.raises(ck.DesignError, match="needs expected="):
        off_policy_value(log["y"], log["arm"], log["policy"], log["before"])
    with pytest.raises(ck.DesignError, match="needs cutoff="):
        _value(log, "dr_os")
    with pytest.raises(ck.DesignError, match="no meaning"):
        _value(log, "dr", cutoff=2.0)
    with pytest.raises(ck.DesignError, match="method"):
        _value(log, "magic")
    with pytest.raises(ck.DataError, match="policy= is no probability in 900 rows"):
        _value({**log, "policy": 2 * log["policy"]})
    with pytest.raises(ck.DataError, match="propensity= is no probability"):
        _value({**log, "before": 0 * log["before"]})
    with pytest.raises(ck.DesignError, match="does not know, first 9"):
        _value({**log, "arm": np.full(900, 9)})
    with pytest.raises(ck.DesignError, match="expected= has shape"):
        _value({**log, "q": log["q"][:, :2]})


def test_the_order_of_a_mapping_means_nothing_to_arrays():
    rng = np.random.default_rng(0)
    logged, reward = rng.integers(0, 2, 50), rng.normal(size=50)
    expected = np.column_stack([np.zeros(50), np.ones(50)])
    one, two = np.zeros(50), np.ones(50)
    told = [
        ck.uplift.off_policy_value(reward, logged, policy, 0.5, expected=expected, method="dm").estimate
        for policy in ({0: one, 1: two}, {1: two, 0: one})
    ]
    assert told == [1.0, 1.0]


def test_a_policy_that_was_never_logged_has_no_ratio():
    with pytest.raises(ck.DataError, match="none of the decisions that were logged"):
        ck.uplift.off_policy_value(np.arange(20.0), np.zeros(20, int), np.ones(20, int), 0.5, method="snips")


def test_arms_that_the_log_could_not_take_are_told():
    """The log never takes arm 2 in the first half; two in a hundred of the policy's decisions rest on nothing."""
    rng = np.random.default_rng(0)
    chances = np.full((400, 3), 1 / 3)
    chances[:200] = [0.5, 0.5, 0.0]
    taken = (rng.random(400)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    outcome = rng.normal(size=400)
    policy = np.tile([0.48, 0.48, 0.04], (400, 1))
    for method in ("ips", "snips", "dr"):
        found = ck.uplift.off_policy_value(
            outcome, taken, policy, chances, expected=np.zeros((400, 3)), method=method
        ).checks["overlap"]
        assert found.status == "fail"
        assert found.message.startswith("2.0% of what the policy decides had no chance")
    kept = np.tile([0.5, 0.5, 0.0], (400, 1))
    assert ck.uplift.off_policy_value(outcome, taken, kept, chances, method="snips").checks["overlap"].status != "fail"


def test_more_refusals_teach(log):
    rng = np.random.default_rng(0)
    outcome, taken, policy = rng.normal(size=60), np.arange(60) % 2, np.full((60, 2), 0.5)
    value = ck.uplift.off_policy_value
    for method in ("ips", "snips"):
        with pytest.raises(ck.DataError, match="takes none of the decisions"):
            value(outcome, taken, np.full(60, 7), 0.5, method=method)
    with pytest.raises(ck.InferenceUnavailable, match="one decision"):
        value(outcome[:1], taken[:1], policy[:1], 0.5, method="ips")
    for wrong in (None, "policy", 1):
        with pytest.raises(ck.DesignError, match="policy="):
            value(outcome, taken, wrong, 0.5, method="ips")
    with pytest.raises(ck.DesignError, match="propensity="):
        value(outcome, taken, policy, None, method="ips")
    with pytest.raises(ck.DataError, match="outcome must be numbers"):
        value(np.arange(60).astype("datetime64[D]"), taken, policy, 0.5, method="ips")
    with pytest.raises(ck.DataError, match="sum to one"):
        value(outcome, taken, policy, 0.25 * np.ones((60, 2)), method="ips")
    with pytest.raises(ck.DataError, match="too close to zero"):
        value(outcome, taken, policy, np.where(np.arange(60) == 3, 1e-300, 0.5), method="ips")


def test_tables_of_polars_name_their_arms():
    import polars as pl

    rng = np.random.default_rng(0)
    outcome, taken = rng.normal(size=60), np.array(["a", "b"])[np.arange(60) % 2]
    policy = {"b": np.full(60, 0.25), "a": np.full(60, 0.75)}
    told = ck.uplift.off_policy_value(outcome, taken, policy, 0.5, method="snips")
    assert (
        ck.uplift.off_policy_value(outcome, taken, pl.DataFrame(policy), 0.5, method="snips").estimate == told.estimate
    )
