from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.nuisance.crossfit import cross_predict, make_folds


def counts(folds, *keys):
    """Count rows by fold within every combination of keys."""
    rows = list(zip(*keys, strict=True))
    return {
        key: np.bincount([f for f, k in zip(folds, rows, strict=True) if k == key], minlength=5) for key in set(rows)
    }


def test_each_arm_and_outcome_is_spread_to_within_one_row():
    rng = np.random.default_rng(0)
    arms = rng.choice(3, size=997, p=[0.7, 0.25, 0.05]).astype(np.int32)
    outcome = (rng.random(997) < 0.03).astype(float)
    folds = make_folds(997, 5, arms=arms, outcome=outcome, random_state=3)
    assert np.ptp(np.bincount(folds)) <= 1
    assert all(np.ptp(count) <= 1 for count in counts(folds, arms).values())
    assert all(np.ptp(count) <= 1 for count in counts(folds, arms, outcome).values())


def test_a_continuous_outcome_plays_no_part():
    arms = np.tile([0, 1], 50).astype(np.int32)
    outcome = np.random.default_rng(0).normal(size=100)
    with_outcome = make_folds(100, 5, arms=arms, outcome=outcome, random_state=1)
    np.testing.assert_array_equal(with_outcome, make_folds(100, 5, arms=arms, random_state=1))


def test_seed_decides_and_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (make_folds(200, 5, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("n_clusters", [40, 6000])
def test_clusters_stay_whole_and_arms_balanced(n_clusters):
    rng = np.random.default_rng(5)
    groups = rng.integers(n_clusters, size=4 * n_clusters).astype(np.int32)
    arms = (groups % 2).astype(np.int32)  # assigned by cluster
    folds = make_folds(len(groups), 5, arms=arms, groups=groups, random_state=0)
    home = {}
    assert all(home.setdefault(g, f) == f for g, f in zip(groups.tolist(), folds.tolist(), strict=True))
    for count in counts(folds, arms).values():
        assert count.min() > 0.85 * count.mean()


def test_unequal_clusters_are_balanced_by_size():
    groups = np.repeat(np.arange(12), [60, 50, 40, 30, 20, 10, 10, 10, 10, 20, 20, 20]).astype(np.int32)
    folds = make_folds(len(groups), 3, groups=groups, random_state=0)
    assert np.bincount(folds).tolist() == [100, 100, 100]


def test_labels_of_clusters_play_no_part():
    rng = np.random.default_rng(8)
    groups = rng.integers(30, size=300).astype(np.int32)
    renamed = rng.permutation(30).astype(np.int32)[groups]
    arms = rng.integers(2, size=300).astype(np.int32)
    np.testing.assert_array_equal(
        make_folds(300, 5, arms=arms, groups=groups), make_folds(300, 5, arms=arms, groups=renamed)
    )


def test_a_small_arm_is_named_with_its_count():
    arms = np.array([0] * 50 + [1] * 50 + [2] * 3, dtype=np.int32)
    with pytest.raises(DesignError, match=r"arm 'mail' has 3 rows, fewer than n_folds=5"):
        make_folds(103, 5, arms=arms, arm_names=("none", "sms", "mail"))
    groups = np.where(arms == 2, 9, np.arange(103)).astype(np.int32)
    with pytest.raises(DesignError, match=r"arm 'mail' has 3 rows.* Use n_folds of at most 3, or drop the arm\."):
        make_folds(103, 5, arms=arms, arm_names=("none", "sms", "mail"))
    with pytest.raises(DesignError, match=r"arm 2 has 1 cluster, fewer than n_folds=2\. Drop the arm"):
        make_folds(103, 2, arms=arms, groups=groups)
    with pytest.raises(DesignError, match="n_folds=1"):
        make_folds(103, 1, arms=arms)


def test_no_row_is_predicted_by_a_model_that_saw_its_fold():
    folds = make_folds(103, 5, random_state=0)
    seen = []

    def fit(train):
        def predict(rows):
            assert not set(folds[rows]) & set(folds[train])
            assert len(train) + len(rows) == 103
            seen.append(rows)
            return np.column_stack([rows, rows**2])

        return predict

    out = cross_predict(fit, folds)
    np.testing.assert_array_equal(out, np.column_stack([np.arange(103), np.arange(103) ** 2]))
    assert sorted(np.concatenate(seen)) == list(range(103))
    np.testing.assert_array_equal(out, cross_predict(fit, folds, n_jobs=3))


def test_memorising_does_not_help_out_of_fold():
    y = np.random.default_rng(0).normal(size=400)
    folds = make_folds(400, 4, random_state=0)

    def fit(train):
        memory = dict(zip(train.tolist(), y[train], strict=True))
        return lambda rows: np.array([memory.get(row, 0.0) for row in rows.tolist()])

    assert not cross_predict(fit, folds).any()
