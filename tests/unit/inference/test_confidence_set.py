from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalkit.errors import DataError
from causalkit.inference.confidence_set import ConfidenceSet

ends = st.one_of(st.integers(-20, 20).map(float), st.sampled_from([-inf, inf]))


@st.composite
def sets(draw):
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=5))
    return ConfidenceSet(tuple((a, b) for a, b in map(sorted, pairs) if a < b))


def test_merges_and_sorts():
    region = ConfidenceSet(((3.4, inf), (-inf, -2.0), (-2.0, -1.2)))
    assert region.intervals == ((-inf, -1.2), (3.4, inf))
    assert str(region) == "(-inf, -1.2] ∪ [3.4, inf)"
    assert repr(region) == "ConfidenceSet((-inf, -1.2] ∪ [3.4, inf))"
    assert not region.is_bounded
    assert not region.is_interval
    assert region.length == inf
    assert region.hull().is_real_line
    assert region.to_list() == [[-inf, -1.2], [3.4, inf]]
    assert 3.4 in region
    assert 0.0 not in region


def test_empty_and_point():
    empty, point = ConfidenceSet(), ConfidenceSet(((2.0, 2.0),))
    assert empty.is_empty
    assert empty.is_bounded
    assert str(empty) == "∅"
    assert empty.length == 0.0
    assert empty.hull() == empty
    assert empty.complement().is_real_line
    assert str(point) == "{2}"
    assert point.contains(2.0)
    assert point.complement().is_real_line


@pytest.mark.parametrize("bad", [(1.0, 0.0), (nan, 1.0), (0.0, nan), (inf, inf), (-inf, -inf)])
def test_not_an_interval(bad):
    with pytest.raises(DataError, match="not an interval"):
        ConfidenceSet((bad,))


@given(sets(), sets(), st.integers(-21, 20))
def test_set_algebra(a, b, x):
    x = x + 0.5
    assert a.union(b).contains(x) == (a.contains(x) or b.contains(x))
    assert a.intersect(b).contains(x) == (a.contains(x) and b.contains(x))
    assert a.complement().contains(x) != a.contains(x)
    assert a.complement().complement() == a
    assert a.hull().contains(x) or not a.contains(x)


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (1, 0, -4, ((-2.0, 2.0),)),
        (-1, 0, 4, ((-inf, -2.0), (2.0, inf))),
        (1, -4, 4, ((2.0, 2.0),)),
        (-1, 4, -4, ((-inf, inf),)),
        (1, 0, 1, ()),
        (-1, 0, -1, ((-inf, inf),)),
        (1, 0, 0, ((0.0, 0.0),)),
        (0, 2, -6, ((-inf, 3.0),)),
        (0, -2, -6, ((-3.0, inf),)),
        (0, 0, -1, ((-inf, inf),)),
        (0, 0, 0, ((-inf, inf),)),
        (0, 0, 1, ()),
    ],
)
def test_quadratic_kinds(a, b, c, expected):
    assert ConfidenceSet.from_quadratic(a, b, c).intervals == expected


def test_quadratic_is_exact_where_floats_cancel():
    low, high = ConfidenceSet.from_quadratic(1.0, -1e8, 1.0).intervals[0]
    assert low == pytest.approx(1e-8, rel=1e-15)
    assert high == pytest.approx(1e8, rel=1e-15)
    # (x - 1)(x - 1 - 1e-12): b^2 and 4ac agree to all digits that a float product keeps.
    a, b, c = 94906265.625, -2 * 94906267.0, 94906268.375
    ours = ConfidenceSet.from_quadratic(a, b, c)
    assert ours.intervals[0] == (pytest.approx(1.0, abs=1e-15), pytest.approx(1.000000028975958, abs=1e-15))
    assert ConfidenceSet.from_quadratic(1e300, -3e300, 2e300).intervals == ((1.0, 2.0),)
    with pytest.raises(DataError, match="finite"):
        ConfidenceSet.from_quadratic(np.nan, 1.0, 1.0)
