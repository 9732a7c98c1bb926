"""E-values, Rosenbaum's, Manski's, and Balke and Pearl's bounds, against published numbers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import causalkit as ck
from causalkit.refutation import balke_pearl_bounds, e_value, manski_bounds, rosenbaum_bounds


class TestEValue:
    """VanderWeele and Ding (2017): 7.26 and 3.0 for a risk ratio of 3.9 (1.8, 8.7)."""

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ((3.9, 1.8, 8.7), (7.263034344160047, 3.0)),
            ((0.8, 0.71, 0.91), (1.8090169943749475, 1.4285714285714282)),
            ((1.2, 0.9, 1.6), (1.6898979485566357, 1.0)),
        ],
    )
    def test_published(self, given, told):
        assert e_value(*given) == pytest.approx(told, rel=1e-12)

    def test_other_scales(self):
        assert e_value(4.0, scale="odds_ratio")[0] == pytest.approx(e_value(2.0)[0])
        assert e_value(4.0, scale="odds_ratio", rare=True)[0] == pytest.approx(e_value(4.0)[0])
        assert e_value(1.0, scale="hazard_ratio")[0] == 1.0
        assert e_value(0.5, scale="difference", sd=2.0)[0] == pytest.approx(e_value(np.exp(0.91 * 0.25))[0])
        assert e_value(2.0) == e_value(0.5)
        assert e_value(2.0)[1] is None

    @pytest.mark.parametrize(
        ("given", "keywords", "match"),
        [
            ((-1.0,), {}, "not positive"),
            ((1.0, 2.0, 3.0), {}, "do not hold"),
            ((0.3,), {"scale": "difference"}, "needs sd="),
            ((2.0,), {"scale": "odds"}, "not an option"),
        ],
    )
    def test_refused(self, given, keywords, match):
        with pytest.raises(ck.DesignError, match=match):
            e_value(*given, **keywords)


class TestRosenbaum:
    # R rbounds 2.2, unrounded: upper p-values of the 33 pairs of the lead data of R DOS2 0.5.2 (one tie dropped).
    UPPER: ClassVar = {
        1: 5.53080153577363e-06,
        1.5: 0.000252550366693143,
        2: 0.00177170428418248,
        3: 0.0130581704520121,
    }
    UPPER |= {4: 0.0366583610160083, 5: 0.0693693582244317, 6: 0.107341213324176}

    def test_lead(self):
        folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
        if not folder or not (Path(folder) / "lead_dos2.csv").exists():
            pytest.skip("lead_dos2.csv may not be redistributed; name its folder in CAUSALKIT_REFERENCE_DATA")
        import pandas as pd

        found = rosenbaum_bounds(pd.read_csv(Path(folder) / "lead_dos2.csv")["dif"])
        assert (found.statistic, len(found.differences), found.n_zero) == (499.0, 32, 1)
        for gamma, told in self.UPPER.items():
            assert found.pvalues(gamma)[1] == pytest.approx(told, rel=1e-10)
        assert found.pvalues(4)[0] == pytest.approx(1.83332317618759e-20, rel=1e-8)
        assert found.critical_gamma() == pytest.approx(4.434647233769148, rel=1e-9)

    def test_without_ties_at_one_it_is_the_signed_rank_test(self):
        from scipy.stats import wilcoxon

        values = np.random.default_rng(0).normal(0.5, size=40)
        told = wilcoxon(values, alternative="greater", method="asymptotic", correction=False).pvalue
        assert rosenbaum_bounds(values).pvalues(1.0) == pytest.approx((told, told), rel=1e-9)

    def test_critical_gamma(self):
        values = np.random.default_rng(0).normal(0.5, size=40)
        found = rosenbaum_bounds(values)
        assert found.pvalues(found.critical_gamma(0.01))[1] == pytest.approx(0.01, rel=1e-8)
        assert rosenbaum_bounds(-values).critical_gamma() == 1.0

    def test_refused(self):
        with pytest.raises(ck.DataError, match=r"1 differences are missing or infinite \(first in row 1\)"):
            rosenbaum_bounds([1.0, np.nan])
        with pytest.raises(ck.DataError, match="no pair has a difference"):
            rosenbaum_bounds([0.0, 0.0])
        with pytest.raises(ck.DataError, match="not numbers"):
            rosenbaum_bounds(["a", "b"])
        with pytest.raises(ck.DesignError, match="below 1"):
            rosenbaum_bounds([1.0]).pvalues(0.5)


class TestManski:
    def test_the_worked_example(self):
        """statspai 1.40.2 on these draws: [-.328, .672]; monotone selection .3525907871504358; monotone response 0."""
        rng = np.random.default_rng(0)
        t = rng.integers(0, 2, 1000)
        y = (rng.random(1000) < 0.3 + 0.3 * t).astype(float)
        assert manski_bounds(y, t, (0, 1)) == pytest.approx((-0.328, 0.672), abs=1e-12)
        assert manski_bounds(y, t, (0, 1), "monotone_selection")[1] == pytest.approx(0.3525907871504358, abs=1e-12)
        assert manski_bounds(y, t, (0, 1), "monotone_response")[0] == 0.0

    def test_the_width_is_that_of_the_range(self):
        rng = np.random.default_rng(1)
        low, high = manski_bounds(rng.uniform(0, 5, 100), rng.integers(0, 2, 100), (-1, 6))
        assert high - low == pytest.approx(7.0)

    def test_refused(self):
        with pytest.raises(ck.DataError, match=r"1 outcomes lie outside \[0, 1\] \(first in row 1\)"):
            manski_bounds([0.5, 1.5], [0, 1], (0, 1))
        with pytest.raises(ck.DesignError, match="not an option"):
            manski_bounds([0.5, 0.5], [0, 1], (0, 1), "all")
        with pytest.raises(ck.DataError, match="both arms"):
            manski_bounds([0.5, 0.5], [1, 1], (0, 1))


class TestBalkePearl:
    def test_cholestyramine(self):
        """Balke and Pearl (1997): the effect of the drug lies between .392 and .780."""
        cells = np.array([[[0.919, 0.081], [0.0, 0.0]], [[0.315, 0.073], [0.139, 0.473]]])
        assert balke_pearl_bounds(cells) == pytest.approx((0.392, 0.780), abs=1e-9)

    def test_full_compliance_is_a_trial(self):
        cells = np.array([[[70, 30], [0, 0]], [[0, 0], [40, 60]]])
        assert balke_pearl_bounds(cells) == pytest.approx((0.3, 0.3), abs=1e-9)

    def test_an_invalid_instrument_is_refused(self):
        cells = np.array([[[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]])
        with pytest.raises(ck.IdentificationError, match="instrument is not valid"):
            balke_pearl_bounds(cells)
        with pytest.raises(ck.DataError, match="2, 2, 2"):
            balke_pearl_bounds(np.ones((2, 4)))


def test_the_bounds_of_a_weighted_analysis_are_those_of_its_rows_repeated():
    rng = np.random.default_rng(0)
    z, u, w = rng.integers(0, 2, 400), rng.random(400), rng.integers(1, 5, 400)
    t = (u < 0.2 + 0.6 * z).astype(int)
    data = {"y": (rng.random(400) < 0.3 + 0.3 * t * (w > 2)).astype(int), "t": t, "z": z, "w": w}
    roles = {"outcome": "y", "treatment": "t", "instruments": "z"}
    one = ck.sensitivity(ck.IV().fit(data, **roles, weights="w"))
    two = ck.sensitivity(ck.IV().fit({name: np.repeat(column, w) for name, column in data.items()}, **roles))
    said = [{m.name: m.value for m in found.measures}["Balke-Pearl bounds"] for found in (one, two)]
    assert said[0] == said[1]
