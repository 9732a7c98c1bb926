"""Coverage of intervals at a cutoff, on the three designs of Calonico, Cattaneo and Titiunik (2014, section 6).

Bounds are the nominal level with three binomial standard errors. The long version prints the rows of the table in docs.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import polynomial

import causalkit as ck

#: Design -> coefficients below and above the cutoff.
DESIGNS = {
    1: ((0.48, 1.27, 7.18, 20.21, 21.54, 7.33), (0.52, 0.84, -3.00, 7.99, -9.01, 3.56)),
    2: ((3.71, 2.30, 3.28, 1.45, 0.23, 0.03), (0.26, 18.49, -54.81, 74.30, -45.02, 9.83)),
    3: (
        (0.48, 1.27, -0.5 * 7.18, 0.7 * 20.21, 1.1 * 21.54, 1.5 * 7.33),
        (0.52, 0.84, -0.1 * 3.00, -0.3 * 7.99, -0.1 * 9.01, 3.56),
    ),
}
NOISE = 0.1295
WAYS = ("conventional", "robust", "rule of thumb", "true bound")


def draw(rng, design, n):
    """Return one sample: the score is 2 Beta(2, 4) - 1."""
    x = 2.0 * rng.beta(2.0, 4.0, n) - 1.0
    below, above = (polynomial.polyval(x, side) for side in DESIGNS[design])
    return {"x": x, "y": np.where(x < 0, below, above) + NOISE * rng.normal(size=n)}


def steepest(design):
    """Return the largest second derivative, by side, over the scores that occur."""
    grid = np.linspace(0.0, 1.0, 2001)
    below, above = (polynomial.polyder(side, 2) for side in DESIGNS[design])
    return max(np.abs(polynomial.polyval(-grid, below)).max(), np.abs(polynomial.polyval(grid, above)).max())


def covered(design, n, runs, seed=0, ways=WAYS):
    """Return the coverage of each interval, and its mean length."""
    rng = np.random.default_rng(seed)
    truth = DESIGNS[design][1][0] - DESIGNS[design][0][0]
    held, length = np.zeros(len(ways)), np.zeros(len(ways))
    for _ in range(runs):
        result = ck.RegressionDiscontinuity().fit(draw(rng, design, n), outcome="y", running="x")
        intervals = {
            "conventional": lambda result=result: result.ci(method="conventional"),
            "robust": result.ci,
            "rule of thumb": lambda result=result: result.ci(method="honest"),
            "true bound": lambda result=result: result.honest(steepest(design)).ci(),
        }
        limits = np.array([intervals[way]() for way in ways])
        held += (limits[:, 0] <= truth) & (truth <= limits[:, 1])
        length += limits[:, 1] - limits[:, 0]
    return dict(zip(ways, held / runs, strict=True)), dict(zip(ways, length / runs, strict=True))


def _margin(runs):
    return 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("design", DESIGNS)
def test_intervals_cover_in_short(design):
    runs = 50
    found, length = covered(design, 500, runs, ways=("robust", "true bound"))
    assert found["robust"] > 0.93 - _margin(runs)  # n = 500 is short of the limit: see the table
    assert found["true bound"] > 0.95 - _margin(runs)
    assert length["robust"] < 1.0


@pytest.mark.long
def test_table_of_coverage():
    runs = 500
    for design in DESIGNS:
        for n in (500, 1000):
            found, length = covered(design, n, runs)
            cells = " | ".join(f"{found[way]:.3f} ({length[way]:.3f})" for way in WAYS)
            print(f"| {design} | {n:,} | {cells} |", flush=True)
            assert found["robust"] > 0.92 - _margin(runs), (design, n)
            assert found["true bound"] > 0.95 - _margin(runs), (design, n)
