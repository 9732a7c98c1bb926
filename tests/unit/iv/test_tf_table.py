"""tF critical values: the published table, the limits, and size 5 % in the worst case by integration."""

import numpy as np
import pytest

from causalkit.errors import InferenceUnavailable
from causalkit.iv.tf_table import tf_critical_value

#: Lee, McCrary, Moreira and Porter (2022), critical values at the square root of F of 2.0, 2.1, ..., 10.3, rounded up.
PUBLISHED = """
18.66 9.74 7.37 6.18 5.43 4.92 4.54 4.25 4.01 3.82 3.65 3.51 3.39 3.29 3.19 3.11 3.03 2.97 2.91 2.85 2.80 2.75 2.71 2.67
2.63 2.60 2.57 2.54 2.51 2.48 2.46 2.43 2.41 2.39 2.37 2.35 2.33 2.32 2.30 2.29 2.27 2.26 2.24 2.23 2.22 2.21 2.20 2.19
2.17 2.16 2.16 2.15 2.14 2.13 2.12 2.11 2.10 2.10 2.09 2.08 2.08 2.07 2.06 2.06 2.05 2.04 2.04 2.03 2.03 2.02 2.02 2.01
2.01 2.00 2.00 1.99 1.99 1.99 1.98 1.98 1.97 1.97 1.97 1.96
"""


def test_the_published_table():
    table = np.array(PUBLISHED.split(), dtype=float)
    ours = np.array([tf_critical_value(root**2) for root in 2.0 + 0.1 * np.arange(len(table))])
    np.testing.assert_allclose(np.ceil(100 * ours - 1e-6) / 100, table, atol=1e-9)


def test_the_limits():
    assert tf_critical_value(3.84) == np.inf
    assert tf_critical_value(0.0) == np.inf
    assert np.isfinite(tf_critical_value(3.842))
    assert tf_critical_value(104.6) > 1.959964
    assert tf_critical_value(104.7) == pytest.approx(1.959963984540054, abs=1e-12)
    assert tf_critical_value(1e9) == pytest.approx(1.959963984540054, abs=1e-12)
    values = [tf_critical_value(f) for f in np.geomspace(3.85, 110, 60)]
    assert (np.diff(values) <= 0).all()


def test_other_levels_are_refused():
    with pytest.raises(InferenceUnavailable, match=r"alpha=0\.05"):
        tf_critical_value(20.0, 0.01)


@pytest.fixture(scope="module")
def curve():
    """Return square roots of F, and one over their critical values."""
    edges = np.concatenate([np.linspace(1.96, 1.99, 61), np.linspace(1.99, 10.3, 400)[1:]])
    return edges, np.array([1.0 / tf_critical_value(edge**2) for edge in edges])


@pytest.mark.parametrize("mean", [0.2, 1.0, 2.5, 6.0, 8.5, 12.0, 40.0])
def test_size_in_the_worst_case(mean, curve):
    """With perfectly correlated errors the t-ratio is z (m + z) / m."""
    edges, inverse = curve
    z, step = np.linspace(-mean - 14.0, 9.0, 100_001, retstep=True)
    first = np.abs(mean + z)
    limit = np.where(first <= 1.96, 0.0, np.interp(first, edges, inverse))
    rejects = np.abs(z) * first / mean * limit > 1.0
    size = float(np.exp(-0.5 * z[rejects] ** 2).sum() * step / np.sqrt(2 * np.pi))
    assert size < 0.0502
    if mean < 8.58:
        assert size > 0.0498
