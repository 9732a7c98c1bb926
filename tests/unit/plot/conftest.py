from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest


def numbers() -> dict[str, dict[str, Any]]:
    """Made-up but plausible data of every kind of figure."""
    rng = np.random.default_rng(7)
    q = np.linspace(0.01, 1, 100)
    gain = 9.0 * q * np.exp(-1.1 * q)
    toc = 5.1 * (1 - q) * np.exp(-1.4 * q)
    profit = 60_000 * (q * np.exp(-1.8 * q) * 2.2 - 0.3 * q)
    tau = rng.gamma(3.0, 1.2, 6000) - 1.6
    base = rng.normal(20, 7, 6000)
    names = ("Persuadable", "Sure thing", "Lost cause", "Sleeping dog")
    code = np.where(tau < 0, 3, np.where(tau > 2.5, 0, np.where(base > 20, 1, 2)))
    predicted = np.array([-0.6, 0.4, 1.4, 2.6, 4.9])
    estimate = predicted + np.array([0.3, -0.2, 0.25, -0.1, -0.9])
    terms = ("coupon minus no coupon", "letter minus no coupon", "call minus no coupon")
    covariates = ("age", "past_spend", "visits_90d", "email_opens", "region: north", "tenure_years")
    est = np.array([2.05, 0.84, -0.21])
    event = np.array([0.1, -0.25, 0.15, 0.8, 1.4, 1.7, 1.5])
    return {
        "effects": {
            "terms": terms, "estimate": est, "low": est - 0.6, "high": est + 0.6, "simultaneous_low": est - 0.8,
            "simultaneous_high": est + 0.8, "null": 0.0, "xlabel": "Effect on spend, euros per customer",
        },
        "toc": {
            "q": q, "value": toc, "low": toc - 0.9 * (1 - q), "high": toc + 0.9 * (1 - q), "band_low": toc - 1.4,
            "band_high": toc + 1.4, "reference": 0.0, "reference_label": "treating at random",
        },
        "gain": {
            "q": q, "value": gain, "low": gain - 0.4, "high": gain + 0.4, "reference": gain[-1] * q,
            "reference_label": "treating at random", "ylabel": "Gain per customer, euros",
        },
        "profit": {
            "q": q, "value": profit, "low": profit - 3000, "high": profit + 3000, "marker": 0.38,
            "marker_label": "treat 38%: 9,840 euros", "ylabel": "Profit, euros",
        },
        "dose_response": {
            "dose": 10 * q, "value": gain, "low": gain - 0.4, "high": gain + 0.4, "band_low": gain - 0.7,
            "band_high": gain + 0.7, "xlabel": "Discount, %", "ylabel": "Average spend, euros",
        },
        "marginal_effects": {
            "u": q, "value": gain, "low": gain - 0.4, "high": gain + 0.4, "band_low": gain - 0.7, "band_high": gain + 0.7,
            "average": 1.2, "support": (0.15, 0.9),
        },
        "effect_histogram": {"values": tau, "average": float(tau.mean()), "low": 1.8, "high": 2.2, "null": 0.0},
        "calibration": {"predicted": predicted, "estimate": estimate, "low": estimate - 0.9, "high": estimate + 0.9},
        "segments": {
            "baseline": base, "effect": tau, "codes": code, "names": names, "effect_cut": 2.5, "baseline_cut": 20.0,
        },
        "policy_tree": {
            "nodes": [
                {"parent": -1, "edge": "", "text": "", "action": -1, "share": 1.0},
                {"parent": 0, "edge": "recency ≤ 6", "text": "no coupon", "action": 0, "share": 0.55},
                {"parent": 0, "edge": "recency > 6", "text": "", "action": -1, "share": 0.45},
                {"parent": 2, "edge": "channel is app or web", "text": "coupon", "action": 1, "share": 0.3},
                {"parent": 2, "edge": "channel is mail or missing", "text": "letter", "action": 2, "share": 0.15},
            ],
        },
        "profile": {
            "covariates": covariates, "names": names[:2],
            "difference": [[0.4, -0.2, 0.1, 0.0, 0.3, -0.7], [-0.1, 0.5, np.nan, 0.2, 0.0, 0.1]],
        },
        "overlap": {"arms": ("no coupon", "coupon"), "values": (rng.beta(3, 5, 3000), rng.beta(5, 4, 2500))},
        "balance": {
            "covariates": covariates, "difference": [0.31, -0.44, 0.12, 0.05, -0.02, 0.21],
            "adjusted": [0.02, -0.04, 0.01, 0.03, -0.02, 0.06], "thresholds": 0.1,
        },
        "event_study": {
            "terms": [f"event time {e}" for e in (-4, -3, -2, 0, 1, 2, 3)], "position": [-4, -3, -2, 0, 1, 2, 3],
            "estimate": event, "low": event - 0.4, "high": event + 0.4, "band_low": event - 0.6, "band_high": event + 0.6,
            "post": [False] * 3 + [True] * 4, "reference": -1.0, "xlabel": "time since the start",
        },
        "event_studies": {
            "series": {
                name: {
                    "position": [-4, -3, -2, 0, 1, 2, 3], "estimate": event + shift, "low": event - 0.4,
                    "high": event + 0.4, "reference": -1.0, "contrast": name == "TWFE",
                }
                for name, shift in (("CallawaySantAnna", 0.0), ("TWFE", 0.1))
            },
        },
        "cohort_paths": {
            "position": [2018.0, 2019.0, 2020.0, 2021.0], "cohorts": ["2020", "2021", "never"], "start": [2020.0, 2021.0, np.nan],
            "mean": [[4.0, 4.1, 4.6, 4.9], [3.8, np.nan, 4.0, 4.5], [4.2, 4.3, 4.4, 4.5]], "units": [12, 7, 40],
            "xlabel": "year", "ylabel": "Average sales",
        },
        "timing": {
            "position": [2018.0, 2019.0, 2020.0, 2021.0], "cohort": ["2020", "2020", "2021", "never"], "units": [10, 2, 7, 40],
            "status": [[0, 0, 1, 1], [0, -1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], "xlabel": "year",
        },
        "sensitivity": {
            "magnitude": [0.0, 0.5, 1.0, 1.5, 2.0], "low": [0.9, 0.7, 0.3, -0.2, -0.8], "high": [1.9, 2.1, 2.5, 3.0, 3.6],
            "estimate": 1.4, "original_low": 0.95, "original_high": 1.85, "null": 0.0, "breakdown": 1.31,
            "xlabel": "M, times the largest violation before the start",
            "ylabel": "Effect",
        },
        "bars": {
            "labels": [f"{c} in {t}" for c in (2004, 2006, 2007) for t in range(c, 2008)],
            "values": [0.21, 0.14, 0.02, -0.06, 0.25, 0.12, 0.32], "ylabel": "weight",
        },
        "scatter": {
            "groups": ["treated vs never treated"] * 3 + ["earlier vs later treated"] * 2 + ["later vs earlier treated"],
            "x": [0.54, 0.25, 0.08, 0.04, 0.05, 0.04], "y": [-0.04, -0.02, -0.08, 0.01, -0.05, 0.03], "line": -0.037,
            "xlabel": "weight", "ylabel": "estimate",
        },
        "contour": {
            "x": [0.0, 0.1, 0.2], "y": [0.0, 0.1, 0.2, 0.3],
            "z": np.array([[1.0, 0.9, 0.8], [0.9, 0.6, 0.4], [0.8, 0.4, 0.0], [0.7, 0.1, -0.3]]),
            "null": 0.0, "estimate": 1.0, "robustness": 0.2,
            "names": ["1x age", "2x age"], "at_x": [0.05, 0.1], "at_y": [0.1, 0.2], "told": [0.8, 0.5],
        },
        "graph": {
            "names": ["season", "ad", "visit", "sale"], "x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 0.0, 1.0, 0.5],
            "roles": ["adjusted", "treatment", "other", "outcome"],
            "edges": [(0, 1, "open", False), (0, 3, "open", False), (1, 2, "causal", False), (2, 3, "causal", False),
                      (1, 3, "other", True)],
            "passes": [[], [(1.0, -1.0), (2.0, -1.0)], [], [], []],
        },
        "density": {
            "cutoff": 0.0, "pvalue": 0.41, "xlabel": "margin",
            "left_x": [0.0, -5.0, -10.0], "left_density": [0.021, 0.02, 0.018], "left_low": [0.015, 0.017, 0.016],
            "left_high": [0.027, 0.023, 0.02], "right_x": [0.0, 5.0, 10.0], "right_density": [0.018, 0.019, 0.017],
            "right_low": [0.013, 0.016, 0.015], "right_high": [0.023, 0.022, 0.019],
            "edges": [-10.0, -5.0, 0.0, 5.0, 10.0], "heights": [0.018, 0.021, 0.019, 0.017],
        },
        "rd_windows": {
            "width": [0.5, 0.75, 1.0, 1.25], "pvalue": [0.31, 0.26, 0.11, 0.04], "level": 0.15, "chosen": 0.75,
        },
        "rd": {
            "cutoff": 0.0, "x": np.linspace(-9, 9, 10), "y": 50 + 0.8 * np.linspace(-9, 9, 10) + 7.0 * (q[:10] > 0.05),
            "low": 46 + 0.8 * np.linspace(-9, 9, 10), "high": 60 + 0.8 * np.linspace(-9, 9, 10),
            "curve_left_x": [-10.0, -5.0, 0.0], "curve_left_y": [41.0, 46.5, 49.0], "curve_right_x": [0.0, 5.0, 10.0],
            "curve_right_y": [57.0, 61.0, 64.0], "line_left_x": [-4.0, 0.0], "line_left_y": [46.0, 50.0],
            "line_right_x": [0.0, 4.0], "line_right_y": [57.2, 60.0], "xlabel": "margin", "ylabel": "Average vote",
        },
        "bandwidths": {
            "bandwidth": [5.0, 10.0, 17.7, 25.0], "estimate": [9.1, 7.9, 7.4, 6.8], "low": [2.1, 3.5, 4.1, 4.2],
            "high": [16.0, 12.3, 10.9, 9.4], "chosen": 17.7,
        },
        "placebo_cutoffs": {
            "cutoff": [-10.0, -5.0, 0.0, 5.0], "estimate": [0.4, -1.2, 7.4, 0.9], "low": [-2.9, -4.7, 4.1, -2.0],
            "high": [3.8, 2.1, 10.9, 3.9], "chosen": 0.0, "xlabel": "margin",
        },
        "power": {
            "effect": [0.0, 1.0, 2.0, 3.0, 4.0], "power": [0.05, 0.17, 0.52, 0.85, 0.98], "wanted": 0.8, "minimum": 2.8,
            "chosen": 2.0,
        },
        "smoothness": {
            "smoothness": [0.036, 0.071, 0.143, 0.286, 0.571], "estimate": [6.4, 6.1, 5.9, 5.4, 5.9],
            "low": [4.1, 3.6, 2.7, 1.4, 0.4], "high": [8.7, 8.5, 9.0, 9.5, 11.4], "chosen": 0.143, "break_even": 0.69,
            "lower_bound": 0.08,
        },
    }  # fmt: skip


class Owner:
    """The duck that draws."""

    def __init__(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        self.data = data

    @property
    def plots(self) -> tuple[str, ...]:
        return tuple(self.data)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        return self.data[kind]


@pytest.fixture(scope="session")
def owner() -> Owner:
    return Owner(numbers())
