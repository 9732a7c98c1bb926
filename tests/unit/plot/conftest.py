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
