from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import causalkit as ck
from causalkit import did
from causalkit.errors import DataError, DesignError

VALUES = np.array([0.12, -0.04, 0.07])
ROOT = np.random.default_rng(3).normal(size=(3, 6)) * 0.05
VCOV = ROOT @ ROOT.T


def test_joint_and_trend():
    found = did.parallel_trends_test(VALUES, vcov=VCOV)
    wald = VALUES @ np.linalg.solve(VCOV, VALUES)
    assert found["joint"].statistic == pytest.approx(wald)
    assert found["joint"].pvalue == pytest.approx(stats.chi2.sf(wald, 3))
    times, inverse = np.array([-3, -2, -1]), np.linalg.inv(VCOV)
    slope = times @ inverse @ VALUES / (times @ inverse @ times)
    assert found["trend"].statistic == pytest.approx(slope)
    assert found["trend"].pvalue == pytest.approx(2 * stats.norm.sf(abs(slope) * np.sqrt(times @ inverse @ times)))
    assert found["largest"].pvalue is None
    assert found.checks["equivalence"].status == "untestable"


def test_equivalence():
    margin = 0.3
    found = did.parallel_trends_test(VALUES, vcov=VCOV, margin=margin)
    se = np.sqrt(np.diag(VCOV))
    one_sided = [
        max(stats.norm.sf((v + margin) / s), stats.norm.cdf((v - margin) / s)) for v, s in zip(VALUES, se, strict=True)
    ]
    assert found["largest_tost"].pvalue == pytest.approx(max(one_sided))
    folded = [stats.foldnorm.cdf(abs(v), margin / s, scale=s) for v, s in zip(VALUES, se, strict=True)]
    assert found["largest"].pvalue == pytest.approx(max(folded))
    mean_se = np.sqrt(VCOV.sum()) / 3
    assert found["mean"].pvalue == pytest.approx(
        stats.foldnorm.cdf(abs(VALUES.mean()), margin / mean_se, scale=mean_se)
    )
    for name in ("largest", "largest_tost", "mean", "rms"):
        at = found[name].smallest_margin
        again = did.parallel_trends_test(VALUES, vcov=VCOV, margin=at)[name]
        assert again.pvalue == pytest.approx(0.05, abs=1e-8)
    assert found["largest"].smallest_margin <= found["largest_tost"].smallest_margin + 1e-12


@pytest.mark.parametrize("name", ["largest", "mean", "rms"])
def test_a_difference_of_the_margin_is_seldom_called_small(name):
    margin, draws = 0.1, 600
    truth = {"largest": [margin, 0.0, 0.0], "mean": np.full(3, margin), "rms": [margin * 3**0.5, 0.0, 0.0]}[name]
    rng = np.random.default_rng(7)
    small = sum(
        did.parallel_trends_test(values, vcov=VCOV / 25, margin=margin)[name].pvalue <= 0.05
        for values in rng.multivariate_normal(truth, VCOV / 25, draws)
    )
    assert stats.binomtest(small, draws, 0.05, alternative="greater").pvalue > 0.01
    if name != "rms":  # these are exact here; the last is conservative
        assert small > 0


def test_results_with_either_base_period():
    import pandas as pd

    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        [
            {"unit": u, "time": t, "cohort": g, "y": rng.normal() * 0.3 + 0.2 * t * (g > 0)}
            for u, g in enumerate(np.repeat([5, 0], 40))
            for t in range(1, 9)
        ]
    )
    roles = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}
    for base in ("varying", "universal"):
        result = ck.CallawaySantAnna(base_period=base).fit(table, **roles)
        found = did.parallel_trends_test(result, margin=0.1)
        before = result.aggregate("event_time").pre_trends()
        assert found["joint"].pvalue == pytest.approx(before.pvalue)
        assert found["trend"].statistic == pytest.approx(0.2, abs=0.1)  # the slope that was put in, with either base
        assert found.checks["equivalence"].status == "warn"
        assert "not shown" in found.answer
    with pytest.raises(DesignError, match="no effects by event time"):
        did.parallel_trends_test(ck.TWFE().fit(table, **roles))


def test_what_does_not_fit():
    with pytest.raises(DesignError, match="positive"):
        did.parallel_trends_test(VALUES, vcov=VCOV, margin=0.0)
    with pytest.raises(DataError, match="do not fit"):
        did.parallel_trends_test(VALUES)
    with pytest.raises(DesignError, match="no test 'max'"):
        did.parallel_trends_test(VALUES, vcov=VCOV)["max"]
