"""AUTOC, QINI and TOC against R grf; the file grf_rate.json holds its version, calls and numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.curves import curve
from causalkit.uplift.ranking import paired_difference, rank_weighted_effect, toc

HERE = Path(__file__).parent
GRF = json.loads((HERE / "grf_rate.json").read_text())["cases"]
CASES = {  # priority, method, weights, clusters
    "autoc": ("score", "autoc", None, False),
    "qini": ("score", "qini", None, False),
    "autoc_ties": ("score_ties", "autoc", None, False),
    "qini_ties": ("score_ties", "qini", None, False),
    "autoc_w": ("score_ties", "autoc", "weight", False),
    "qini_w": ("score_ties", "qini", "weight", False),
    "autoc_cl": ("score", "autoc", None, True),
}


@pytest.fixture(scope="module")
def sample() -> dict[str, Floats]:
    path = HERE / "rate_sample.csv"
    names = path.read_text().split("\n", 1)[0].split(",")
    return dict(zip(names, np.loadtxt(path, delimiter=",", skiprows=1).T, strict=True))


def arguments(sample: dict[str, Floats], case: str) -> tuple[Floats, Floats, str, Floats | None, Codes | None]:
    priority, method, weights, clustered = CASES[case]
    groups = sample["cluster"].astype(np.int32) if clustered else None
    return sample["dr"], sample[priority], method, None if weights is None else sample[weights], groups


@pytest.mark.parametrize("case", sorted(set(CASES) - {"autoc_w"}))
def test_estimates_equal_grf(sample: dict[str, Floats], case: str) -> None:
    result = rank_weighted_effect(*arguments(sample, case))
    assert result.estimate == pytest.approx(GRF[case]["estimate"][0], abs=1e-12)


def literal_grf(scores: Floats, priority: Floats, weights: Floats) -> float:
    """grf's AUTOC written out: with weights it depends on the order of the rows within ties."""
    order = np.argsort(-priority, kind="stable")
    s, p, w = scores[order], priority[order], weights[order]
    _, block = np.unique(p, return_inverse=True)
    s = (np.bincount(block, s * w) / np.bincount(block, w))[block]
    return float(w @ (np.cumsum(s * w) / np.cumsum(w) - np.average(s, weights=w)) / w.sum())


def test_weighted_autoc_with_ties_is_inside_grfs_range_over_row_orders(sample: dict[str, Floats]) -> None:
    scores, priority, _, weights, _ = arguments(sample, "autoc_w")
    assert weights is not None
    assert literal_grf(scores, priority, weights) == pytest.approx(GRF["autoc_w"]["estimate"][0], abs=1e-12)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(scores.size) for _ in range(300)]
    values = [literal_grf(scores[o], priority[o], weights[o]) for o in orders]
    ours = rank_weighted_effect(scores, priority, "autoc", weights).estimate
    assert min(values) < ours < max(values)
    assert ours == pytest.approx(np.mean(values), abs=1e-5)
    untied = priority + 1e-9 * np.arange(scores.size)
    ours = rank_weighted_effect(scores, untied, "autoc", weights).estimate
    assert ours == pytest.approx(literal_grf(scores, untied, weights), abs=1e-12)


@pytest.mark.parametrize("case", sorted(CASES))
def test_standard_errors_are_close_to_grfs_bootstrap(sample: dict[str, Floats], case: str) -> None:
    result = rank_weighted_effect(*arguments(sample, case))
    assert result.se == pytest.approx(GRF[case]["std_err"][0], rel=0.03)


@pytest.mark.parametrize("method", ["autoc", "qini"])
def test_paired_difference(sample: dict[str, Floats], method: str) -> None:
    a = rank_weighted_effect(sample["dr"], sample["score"], method)
    b = rank_weighted_effect(sample["dr"], sample["x0"], method)
    difference = paired_difference(a, b)
    reference = GRF[f"{method}_pair"]
    assert [a.estimate, b.estimate, difference.estimate] == pytest.approx(reference["estimate"], abs=1e-12)
    assert [a.se, b.se, difference.se] == pytest.approx(reference["std_err"], rel=0.03)


@pytest.mark.parametrize("case", sorted(CASES))
def test_toc_equals_grf(sample: dict[str, Floats], case: str) -> None:
    scores, priority, _, weights, groups = arguments(sample, case)
    q = np.array(GRF[case]["q"])
    assert toc(scores, priority, q, weights) == pytest.approx(np.array(GRF[case]["toc"][0]), abs=1e-12)
    result = curve(scores, priority, "toc", q, weights, groups)
    assert result.value == pytest.approx(np.array(GRF[case]["toc"][0]), abs=1e-12)
    assert result.se == pytest.approx(np.array(GRF[case]["toc_std_err"][0]), rel=0.07)
    assert result.se[-1] == 0.0
