from __future__ import annotations

import numpy as np
import pytest

from causalkit import plot
from causalkit.errors import DesignError
from causalkit.plot import contract, distributions, groups, theme


def drawn(owner, kind, **changed):
    return plot.draw(type(owner)({kind: {**owner.data[kind], **changed}}), kind)


def test_effects_are_drawn_where_they_are(owner):
    figure = drawn(owner, "effects")
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert np.allclose(dots[0].get_xdata(), [2.05, 0.84, -0.21])
    assert figure.axes[0].yaxis_inverted()


def test_unbounded_intervals_are_cut_at_the_edge(owner):
    figure = drawn(owner, "effects", low=[-np.inf, 0.2, np.nan], high=[np.inf, 1.5, np.nan])
    low, high = figure.axes[0].get_xlim()
    assert np.isfinite([low, high]).all()
    assert high - low < 20


def test_long_lists_are_cut_and_say_so(owner):
    k = 100
    figure = drawn(
        owner, "effects", terms=[f"t{i}" for i in range(k)], estimate=np.arange(k), low=np.arange(k) - 1.0,
        high=np.arange(k) + 1.0, simultaneous_low=None, simultaneous_high=None,
    )  # fmt: skip
    assert "40 of 100 terms shown" in figure.get_supxlabel()


def test_balance_puts_the_worst_first(owner):
    figure = drawn(owner, "balance")
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()][:2] == ["past_spend", "age"]


def test_curve_marks_the_chosen_share_on_the_curve(owner):
    figure = drawn(owner, "profit", marker=0.5)
    data = owner.data["profit"]
    dot = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert dot.get_xdata()[0] == 0.5
    assert dot.get_ydata()[0] == pytest.approx(np.interp(0.5, data["q"], data["value"]))


def test_long_curves_are_thinned_and_keep_their_ends(owner):
    q = np.linspace(0, 1, 10_000)
    figure = drawn(owner, "toc", q=q, value=q, low=q, high=q, band_low=None, band_high=None, reference=q)
    curve = max(figure.axes[0].lines, key=lambda line: line.get_linewidth()).get_xdata()
    assert curve.size <= 300
    assert (curve[0], curve[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[1.0] * 9, [0.0] * 9, [1e9, 1e9 + 1], [np.nan, 2.0, 3.0], list(range(-50, 50))])
def test_histogram_counts_everyone_once(owner, values):
    figure = drawn(owner, "effect_histogram", values=values, average=None)
    steps = [patch for patch in figure.axes[0].patches if hasattr(patch, "get_data")]
    assert sum(float(np.nansum(patch.get_data().values)) for patch in steps) == pytest.approx(1.0)


def test_histogram_has_an_edge_on_zero():
    rng = np.random.default_rng(0)
    edges = distributions._edges(rng.normal(0.3, 1, 500), 0.0)
    assert np.abs(edges).min() < 1e-12


def test_many_arms_get_a_row_each(owner):
    values = [np.linspace(0, 0.3 * (i + 1), 50) for i in range(3)]
    assert len(drawn(owner, "overlap", arms=("a", "b", "c"), values=values).axes) == 3
    assert len(drawn(owner, "overlap", arms=("a",), values=values[:1]).axes) == 1


def test_an_empty_arm_is_drawn_empty_and_no_values_is_an_error(owner):
    drawn(owner, "overlap", values=([0.2, 0.4], []))
    with pytest.raises(DesignError, match="no arm has finite values"):
        drawn(owner, "overlap", values=([], [np.nan]))


def test_segment_map_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(1)
    baseline, effect = rng.normal(size=(2, 5000))
    turn = rng.permutation(5000)
    one, two = groups._sample(baseline, effect), groups._sample(baseline[turn], effect[turn])
    assert np.array_equal(effect[one], effect[turn][two])


def test_segment_bars_count_everyone(owner):
    figure = drawn(owner, "segments")
    assert sum(bar.get_width() for bar in figure.axes[1].patches) == 6000


def test_segment_codes_must_have_names(owner):
    with pytest.raises(DesignError, match="0 to 2"):
        drawn(owner, "segments", names=("a", "b", "c"))


def test_calibration_says_how_many_groups_agree(owner):
    data = {**owner.data["calibration"], "low": [-1.0, 0.3, 0.5, 1.6, 3.1], "high": [0.6, 0.5, 2.6, 3.4, 4.5]}
    assert "in 4 of them" in plot.describe(type(owner)({"calibration": data}), "calibration")


def test_label_is_one_short_clean_line():
    assert theme.label("a\n b\tc") == "a b c"
    assert theme.label("x" * 50, 10) == "x" * 9 + "…"
    assert theme.label("a\x00b\ud800") == "a�b�"
    assert theme.label("a\u202eb\u2066c") == "abc"  # marks that would turn the words after them around


def test_contract_refuses_a_matrix():
    with pytest.raises(DesignError, match=r"shape \(2, 2\)"):
        contract.vector({"q": np.ones((2, 2))}, "q")


def test_propensities_that_are_all_alike_can_still_be_seen(owner):
    figure = drawn(owner, "overlap", values=([0.5] * 9, [0.5] * 8), low=0.05, high=0.95)
    axes = figure.axes[0]
    edges = next(patch for patch in axes.patches if hasattr(patch, "get_data")).get_data().edges
    low, high = axes.get_xlim()
    assert edges[-1] - edges[0] >= 0.008 * (high - low)


def test_the_name_of_a_falling_line_stands_left_of_it(owner):
    q = np.asarray(owner.data["gain"]["q"])
    names = [
        next(text for text in drawn(owner, "gain", reference=slope * q).axes[0].texts).get_ha() for slope in (1.0, -1.0)
    ]
    assert names == ["left", "right"]


def test_both_sides_of_a_cutoff_have_their_colours_in_every_figure(owner):
    lines = drawn(owner, "density").axes[0].lines
    assert [line.get_color() for line in lines[:2]] == [theme.ORANGE, theme.BLUE]
