"""Qini, AUUC and uplift@k under their libraries' names; metrics_reference.json holds versions, calls and numbers.

Hillstrom's rows are not kept here: hillstrom_blocks.csv counts women's e-mails by score (rounded, 34 values), arm and visit
(K. Hillstrom, 2008, MineThatData E-Mail Analytics Challenge), which is all that these measures depend on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck
from causalkit.kernels.arrays import Floats

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "metrics_reference.json").read_text())
CASES = REFERENCE["cases"]
CALLS = {
    "qini_auc": ("qini", {"method": "sklift"}),
    "qini_auc_noneg": ("qini", {"method": "sklift_nonnegative"}),
    "uplift_auc": ("auuc", {"method": "sklift"}),
    "uplift_at_10_overall": ("uplift_at", {"method": "overall", "q": 0.1}),
    "uplift_at_30_overall": ("uplift_at", {"method": "overall", "q": 0.3}),
    "uplift_at_30_by_group": ("uplift_at", {"method": "by_group", "q": 0.3}),
    "qini_norm": ("qini", {"method": "causalml"}),
    "qini_raw": ("qini", {"method": "causalml_raw"}),
    "auuc_norm": ("auuc", {"method": "causalml"}),
    "auuc_raw": ("auuc", {"method": "causalml_raw"}),
    "Qini_coefficient": ("qini", {"method": "libuplift"}),
    "area_under_Qini_curve": ("qini", {"method": "libuplift_raw"}),
    "area_under_uplift_curve": ("auuc", {"method": "libuplift"}),
    "area_under_uplift_curve_j": ("auuc", {"method": "libuplift_joint"}),
}


def read(name: str) -> dict[str, Floats]:
    path = HERE / name
    names = path.read_text().split("\n", 1)[0].split(",")
    return dict(zip(names, np.loadtxt(path, delimiter=",", skiprows=1).T, strict=True))


def arrays(case: str) -> tuple[Floats, Floats, Floats]:
    if case.startswith("hill"):
        blocks = read("hillstrom_blocks.csv")
        rows, visits = blocks["rows"].astype(int), blocks["visits"].astype(int)
        outcome = np.concatenate([np.arange(n) < k for n, k in zip(rows, visits, strict=True)]).astype(float)
        return outcome, np.repeat(blocks["treated"], rows), np.repeat(blocks["score"], rows)
    sample = read("metrics_sample.csv")
    return sample["yb" if "yb" in case else "y"], sample["w"], sample["score_ties" if "ties" in case else "score"]


def broken(score: Floats, sign: float) -> Floats:
    """The score with its ties broken by the order of rows, one way or the other."""
    return score + sign * 1e-10 * np.arange(len(score))


NAMED = [(case, lib, name) for case, libs in CASES.items() for lib, told in libs.items() for name in told]


@pytest.mark.parametrize(("case", "library", "name"), NAMED)
def test_numbers_by_name(case: str, library: str, name: str) -> None:
    outcome, treatment, score = arrays(case)
    expected = CASES[case][library][name]
    function, options = CALLS[name]
    measure = getattr(ck.uplift, function)
    if library == "causalml":  # it breaks the one tie by the order of rows: one of the two orders is its own
        both = [measure(outcome, treatment, broken(score, s), **options).estimate for s in (1.0, -1.0)]
        assert min(abs(value / expected - 1.0) for value in both) < 1e-10
        tied = measure(outcome, treatment, score, **options).estimate
        assert min(both) < tied < max(both)
    else:
        assert measure(outcome, treatment, score, **options).estimate == pytest.approx(expected, rel=1e-10)


def test_ties_are_between_causalmls_row_orders() -> None:
    outcome, treatment, score = arrays("small_yb_ties")
    ours = ck.uplift.qini(outcome, treatment, score, method="causalml").estimate
    told = REFERENCE["causalml_qini_over_row_orders_of_ties"]
    assert min(told) < ours < max(told)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(score)) for _ in range(40)]
    drawn = [ck.uplift.qini(outcome, treatment, score + 1e-9 * order, method="causalml").estimate for order in orders]
    assert ours == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(len(drawn)))


def test_grf_qini_from_scores_of_an_experiment() -> None:
    """With the arm means as outcome model, the Qini of outcomes is that of the doubly robust scores made by hand."""
    outcome, treatment, score = arrays("small_y")
    share = treatment.mean()
    mean = [outcome[treatment == arm].mean() for arm in (0, 1)]
    scores = (
        mean[1] - mean[0] + np.where(treatment == 1, (outcome - mean[1]) / share, -(outcome - mean[0]) / (1 - share))
    )
    ours = ck.uplift.qini(outcome, treatment, score)
    assert ours.estimate == pytest.approx(ck.uplift.rate(scores, score, "qini").estimate, abs=1e-12)
    untied = broken(score, 1.0)
    order = np.argsort(-untied)
    toc = np.cumsum(scores[order]) / np.arange(1, len(order) + 1) - scores.mean()
    direct = np.mean(np.arange(1, len(order) + 1) / len(order) * toc)
    assert ck.uplift.qini(outcome, treatment, untied).estimate == pytest.approx(direct, abs=1e-12)
