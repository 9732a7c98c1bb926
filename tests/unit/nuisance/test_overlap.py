from __future__ import annotations

import numpy as np
import pytest

from causalkit.nuisance.overlap import assess_overlap


def two(second):
    return np.column_stack([1 - second, second])


def test_numbers_by_hand():
    arms = np.array([0, 0, 1, 1], dtype=np.int32)
    report = assess_overlap(two(np.array([0.2, 0.4, 0.5, 0.03])), arms, clipped=0, arm_names=("none", "mail"))
    assert report.minimum.tolist() == pytest.approx([0.5, 0.03])
    assert report.maximum.tolist() == pytest.approx([0.97, 0.5])
    weights = np.array([1 / 0.5, 1 / 0.03])
    assert report.effective[1] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert report.counts.tolist() == [2, 2]
    assert report.outside_05 == 0.25
    assert report.outside_01 == 0.0
    assert report.quantiles[1, 0].tolist() == pytest.approx(
        np.quantile([0.2, 0.4], (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
    )


def test_verdicts():
    rng = np.random.default_rng(0)
    arms = (rng.random(2000) < 0.5).astype(np.int32)
    even = two(np.full(2000, 0.5))
    assert assess_overlap(even, arms).status == "pass"
    assert assess_overlap(even, arms, clipped=1).status == "warn"
    assert assess_overlap(even, arms, clipped=200).status == "fail"
    sure = assess_overlap(two(arms.astype(float)), arms, clipped=2000)
    assert sure.message.startswith("100.0% of the rows had a probability so close to 0 that it was clipped")
    assert "rests on" not in sure.message
    poor = assess_overlap(two(np.where(np.arange(2000) % 100 == 0, 0.002, 0.5)), arms, arm_names=("none", "mail"))
    assert poor.status == "fail"
    assert "'mail'" in poor.message
    assert poor.advice


def test_a_trial_with_a_small_arm_passes():
    arms = (np.arange(5000) % 50 == 0).astype(np.int32)
    report = assess_overlap(two(np.full(5000, 0.02)), arms)
    assert report.outside_05 == 1.0
    assert report.status == "pass"


def test_many_unlikely_rows_warn():
    rng = np.random.default_rng(1)
    second = np.where(np.arange(4000) % 10 == 0, 0.03, 0.5)
    arms = (rng.random(4000) < second).astype(np.int32)
    report = assess_overlap(two(second), arms)
    assert report.status == "warn"
    assert "10.0% of the rows were very unlikely" in report.message
