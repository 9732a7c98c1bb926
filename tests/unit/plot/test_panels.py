from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from causalkit import plot
from causalkit.errors import DesignError
from causalkit.plot import theme


def drawn(owner, kind, **changed):
    return plot.draw(type(owner)({kind: {**owner.data[kind], **changed}}), kind)


def area(figure, colour):
    """Area of the rectangles of one colour: periods times units."""
    from matplotlib.colors import to_rgba

    total = 0.0
    for part in figure.axes[0].collections:
        if isinstance(part, PolyCollection) and tuple(part.get_facecolor()[0]) == to_rgba(colour):
            for path in part.get_paths():
                x, y = np.asarray(path.vertices).T
                total += float(np.ptp(x) * np.ptp(y))
    return total


def test_paths_are_bold_from_the_start_on(owner):
    axes = drawn(owner, "cohort_paths").axes[0]
    bold = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in bold] == [[2020.0, 2021.0], [2021.0]]
    assert bold[0].get_ydata().tolist() == [4.6, 4.9]


def test_the_legend_counts_units_and_the_never_treated_are_grey(owner):
    figure = drawn(owner, "cohort_paths")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["2020 (12)", "2021 (7)", "never (40)"]
    assert figure.axes[0].lines[-2].get_color() == theme.MUTED


def test_of_many_cohorts_the_largest_and_the_never_treated_are_drawn(owner):
    start = np.append(np.arange(2000.0, 2020.0), np.nan)
    units = np.append(np.arange(1.0, 21.0), 0.5)
    figure = drawn(
        owner,
        "cohort_paths",
        start=start,
        units=units,
        mean=[[1.0, 2.0, 3.0, 4.0]] * 21,
        cohorts=[f"{s:g}" for s in start],
    )
    named = [text.get_text().split()[0] for text in figure.legends[0].get_texts()]
    assert named == [*(str(year) for year in range(2011, 2020)), "nan"]
    assert "10 of 21 cohorts" in figure.get_supxlabel()


def test_paths_that_do_not_fit_are_named(owner):
    with pytest.raises(DesignError, match="one vector for each cohort"):
        drawn(owner, "cohort_paths", mean=[[1.0, 2.0]] * 3)
    with pytest.raises(DesignError, match="one row for each group"):
        drawn(owner, "timing", status=[[0, 1]])


def test_the_map_has_the_area_of_what_it_shows(owner):
    figure = drawn(owner, "timing")
    treated = 10 * 2 + 2 * 2 + 7 * 1
    assert area(figure, theme.BLUE) == pytest.approx(treated)
    assert area(figure, theme.PAPER) == pytest.approx(2)
    assert area(figure, theme.GRID) == pytest.approx(59 * 4 - treated - 2)


def test_the_map_names_cohorts_where_there_is_room(owner):
    axes = drawn(owner, "timing").axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["2020", "2021", "never"]
    crowded = drawn(
        owner, "timing", status=[[0, 0, 0, 1]] * 100, cohort=[str(k) for k in range(100)], units=np.ones(100)
    ).axes[0]
    assert 5 < len(crowded.get_yticklabels()) < 20


@pytest.mark.parametrize("seed", range(5))
def test_any_map_is_covered_once(owner, seed):
    rng = np.random.default_rng(seed)
    status, units = rng.integers(-1, 2, (12, 4)), rng.integers(1, 9, 12).astype(float)
    figure = drawn(owner, "timing", status=status, units=units, cohort=["a"] * 12)
    for code, colour in ((1, theme.BLUE), (0, theme.GRID), (-1, theme.PAPER)):
        assert area(figure, colour) == pytest.approx(float(((status == code).sum(axis=1) * units).sum()))


def test_words_tell_counts_and_gaps(owner):
    said = plot.describe(owner, "timing")
    assert "59 units in 4 periods: 2020 12; 2021 7; never 40" in said
    assert "32% are treated; 0.8%" in said
    assert "2021 (7 units): 3.80 in 2018, 4.50 in 2021" in plot.describe(owner, "cohort_paths")


def test_periods_that_are_no_numbers_have_their_names(owner):
    axes = drawn(owner, "timing", position=[0.0, 1.0, 2.0, 3.0], labels=["Q1", "Q2", "Q3", "Q4"]).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["Q1", "Q2", "Q3", "Q4"]


def test_names_of_periods_do_not_overlap(owner):
    figure = drawn(
        owner, "cohort_paths", position=[2000, 2001, 2003, 2004, 2007, 2008, 2010, 2030], mean=[np.arange(8.0)] * 3
    )
    figure.draw_without_rendering()
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert len(boxes) >= 5
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
