"""The ends of sets on the circle of coefficients, found from functions whose roots are known."""

import numpy as np
import pytest

from causalkit.errors import ConvergenceError
from causalkit.iv.weak_sets_circle import directions, find_candidates, set_from_candidates

ENDS = np.array([-0.5 * np.pi, 0.5 * np.pi])


@pytest.mark.parametrize("width", [0.3, 0.03, 1e-3, 1e-5])
@pytest.mark.parametrize("centre", [0.1, -0.77, 1.2])
def test_two_ends_between_neighbouring_nodes(centre, width):
    """A narrow piece between two nodes of the interpolant is a piece all the same."""

    def excess(angles):
        return np.sin(angles - centre) ** 2 - np.sin(width) ** 2

    found = set_from_candidates(excess, find_candidates(excess, ENDS), 1.0).region
    [(low, high)] = found.intervals
    np.testing.assert_allclose([low, high], np.tan([centre - width, centre + width]), rtol=1e-9, atol=1e-9)


def test_a_function_without_roots_has_no_ends():
    for sign in (1.0, -1.0):
        found = find_candidates(lambda angles, sign=sign: sign * (2.0 + np.sin(2.0 * angles)), ENDS)
        assert set_from_candidates(
            lambda angles, sign=sign: sign * np.ones(angles.size), found, 1.0
        ).region.is_empty == (sign > 0)


def test_directions_have_length_one():
    np.testing.assert_allclose(np.linalg.norm(directions(np.linspace(-2, 2, 7)), axis=1), 1.0)


def test_a_function_of_noise_is_refused_and_not_halved_for_ever():
    rng = np.random.default_rng(0)
    with pytest.raises(ConvergenceError, match="not resolved"):
        find_candidates(lambda angles: rng.normal(size=angles.size), ENDS)
