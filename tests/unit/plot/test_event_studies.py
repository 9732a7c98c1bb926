"""Event studies of several estimators over one another."""

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.plot import event_studies as drawn

ONE = {"position": np.array([-2.0, 0.0, 1.0]), "estimate": np.array([0.1, 1.0, 2.0]), "reference": -1.0}
ONE = {**ONE, "low": ONE["estimate"] - 0.5, "high": ONE["estimate"] + 0.5}


def test_every_estimator_has_its_marks_beside_those_of_the_others():
    figure = drawn.event_studies({"series": {"a": ONE, "b": {**ONE, "contrast": True}}})
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_label() in ("a", "b")]
    assert [line.get_label() for line in marks] == ["a", "b"]
    for line in marks:
        np.testing.assert_array_equal(line.get_ydata(), ONE["estimate"])
        np.testing.assert_allclose(line.get_xdata(), ONE["position"], atol=0.5)
    assert np.all(marks[0].get_xdata() < marks[1].get_xdata())
    assert marks[0].get_color() != marks[1].get_color()


def test_the_words_hold_the_first_and_last_effect():
    assert "a: 1.00 at 0, 2.00 at 1.00" in drawn.told({"series": {"a": ONE}})


def test_nothing_to_draw_is_said():
    with pytest.raises(DesignError, match="nothing to draw"):
        drawn.event_studies({"series": {}})
