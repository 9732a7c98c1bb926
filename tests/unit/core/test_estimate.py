"""The algebra of estimates against the same quantities computed from scratch."""

from __future__ import annotations

import numpy as np
import pytest

from causalkit.core.estimate import Covariance, Draws, Estimate, Influence, Placebos, stack
from causalkit.core.rows import Groups, Rows
from causalkit.core.settings import options
from causalkit.errors import InferenceUnavailable

RNG = np.random.default_rng(7)


def mean_estimate(y, rows, groups=None, scale=1.0, df=np.inf, kind="HC0"):
    """The mean of some rows, with its influence values."""
    psi = ((y - y.mean()) / len(y))[:, None]
    return Estimate(y.mean(), Influence(psi, rows, groups, scale, np.full(1, df), kind))


def overlapping(with_groups=False):
    """Two means on overlapping rows of one table of 60."""
    y, x = RNG.normal(size=60), RNG.normal(size=60)
    first, second = np.arange(0, 45), np.arange(20, 60)
    clusters = np.arange(60) % 9
    labels = tuple(f"c{code}" for code in range(9))
    groups = [Groups(clusters[at].astype(np.int32), labels) if with_groups else None for at in (first, second)]
    a = mean_estimate(y[first], Rows(first, "table"), groups[0])
    b = mean_estimate(x[second], Rows(second, "table"), groups[1])
    return a, b, (first, second, clusters)


def brute_force(a, b, first, second, clusters):
    """Variance of a - b: one influence value per row of the union, summed by cluster."""
    psi = np.zeros(60)
    psi[first] += a.carrier.psi[:, 0]
    psi[second] -= b.carrier.psi[:, 0]
    return sum(psi[clusters == code].sum() ** 2 for code in np.unique(clusters))


def test_difference_by_row():
    a, b, (first, second, _) = overlapping()
    found = a - b
    assert found.theta[0] == pytest.approx(a.theta[0] - b.theta[0], abs=1e-15)
    assert found.vcov[0, 0] == pytest.approx(brute_force(a, b, first, second, np.arange(60)), rel=1e-12)
    assert found.vcov[0, 0] != pytest.approx(a.vcov[0, 0] + b.vcov[0, 0], rel=1e-3)


def test_difference_by_cluster():
    a, b, (first, second, clusters) = overlapping(with_groups=True)
    assert (a - b).vcov[0, 0] == pytest.approx(brute_force(a, b, first, second, clusters), rel=1e-12)


def test_clusters_are_matched_by_label_not_by_code():
    a, b, (first, second, clusters) = overlapping(with_groups=True)
    order = np.array([4, 2, 0, 8, 6, 1, 3, 5, 7])
    rank = np.argsort(order).astype(np.int32)
    other = Groups(rank[b.carrier.groups.codes], tuple(b.carrier.groups.labels[code] for code in order))
    renamed = Estimate(b.theta, Influence(b.carrier.psi, b.carrier.rows, other))
    assert (a - renamed).vcov[0, 0] == pytest.approx(brute_force(a, b, first, second, clusters), rel=1e-12)


def test_the_scale_of_each_side_is_kept():
    y, x = RNG.normal(size=(2, 30))
    rows = Rows(np.arange(30), "table")
    a, b = mean_estimate(y, rows, scale=30 / 29), mean_estimate(x, rows, scale=2.0)
    joint = stack(a, b)
    psi = np.column_stack([np.sqrt(30 / 29) * a.carrier.psi[:, 0], np.sqrt(2.0) * b.carrier.psi[:, 0]])
    np.testing.assert_allclose(joint.vcov, psi.T @ psi, rtol=1e-13)
    assert joint.vcov[0, 0] == pytest.approx(a.vcov[0, 0], rel=1e-13)
    assert joint.vcov[1, 1] == pytest.approx(b.vcov[0, 0], rel=1e-13)


def test_an_estimate_minus_itself_is_certain():
    a, _, _ = overlapping()
    assert (a - a).theta[0] == 0
    assert (a - a).se[0] == pytest.approx(0, abs=1e-16)
    assert (a + a).se[0] == pytest.approx(2 * a.se[0], rel=1e-13)


def test_units_match_across_tables():
    y = RNG.normal(size=40)
    labels = np.array([f"u{i}" for i in range(40)], dtype=object)
    order = RNG.permutation(40)
    a = mean_estimate(y, Rows(np.arange(40), "one", labels))
    b = mean_estimate(y[order], Rows(np.arange(40), "two", labels[order]))
    assert (a - b).se[0] == pytest.approx(0, abs=1e-16)


def test_disjoint_units_add_their_variances():
    y = RNG.normal(size=40)
    a = mean_estimate(y[:20], Rows(np.arange(20), "one", np.arange(20).astype(object)))
    b = mean_estimate(y[20:], Rows(np.arange(20), "two", np.arange(20, 40).astype(object)))
    assert (a - b).vcov[0, 0] == pytest.approx(a.vcov[0, 0] + b.vcov[0, 0], rel=1e-13)


def test_repeated_units_are_summed():
    psi = RNG.normal(size=(6, 1))
    labels = np.array(["a", "a", "b", "c", "c", "c"], dtype=object)
    a = Estimate(0.0, Influence(psi, Rows(np.arange(6), "one", labels)))
    zero = Estimate(0.0, Influence(np.zeros((1, 1)), Rows(np.arange(1), "two", np.array(["z"], dtype=object))))
    sums = [psi[:2].sum(), psi[2].sum(), psi[3:].sum()]
    assert (a - zero).vcov[0, 0] == pytest.approx(np.sum(np.square(sums)), rel=1e-13)


@pytest.mark.parametrize("labels", [None, "left"])
def test_other_tables_need_units(labels):
    y = RNG.normal(size=10)
    given = np.arange(10).astype(object) if labels else None
    a, b = mean_estimate(y, Rows(np.arange(10), "one", given)), mean_estimate(y, Rows(np.arange(10), "two"))
    with pytest.raises(InferenceUnavailable, match=r"different tables.*unit="):
        a - b


def test_one_clustered_side_is_refused():
    a, b, _ = overlapping(with_groups=True)
    plain = Estimate(b.theta, Influence(b.carrier.psi, b.carrier.rows))
    with pytest.raises(InferenceUnavailable, match=r"one result is clustered.*with_vcov"):
        a - plain


def test_rows_in_other_clusters_are_refused():
    a, b, _ = overlapping(with_groups=True)
    moved = Groups(np.roll(b.carrier.groups.codes, 1), b.carrier.groups.labels, "village")
    with pytest.raises(InferenceUnavailable, match="different clusters"):
        a - Estimate(b.theta, Influence(b.carrier.psi, b.carrier.rows, moved))


def test_units_with_rows_in_several_clusters_are_refused():
    units = np.array(["ann", "ann", "bob", "cas"], dtype=object)
    villages = Groups(np.array([0, 1, 1, 0], np.int32), ("north", "south"), "village")
    a = mean_estimate(np.arange(4.0), Rows(np.arange(4), "one", units), villages)
    b = mean_estimate(
        np.arange(2.0),
        Rows(np.arange(2), "two", np.array(["dan", "eve"], dtype=object)),
        Groups(np.array([0, 1], np.int32), ("north", "south"), "village"),
    )
    with pytest.raises(InferenceUnavailable, match="several clusters of 'village'"):
        a - b


def test_independent_samples_add_variances_whatever_the_carrier():
    a = Estimate([1.0, 2.0], Covariance(np.array([[1.0, 0.2], [0.2, 2.0]]), np.array([5.0, 6.0])))
    b = Estimate(3.0, Draws(RNG.normal(size=(50, 1))))
    joint = stack(a, b, independent=True)
    np.testing.assert_allclose(joint.vcov[:2, :2], a.vcov)
    assert joint.vcov[2, 2] == pytest.approx(np.var(b.carrier.values, ddof=1))
    assert np.all(joint.vcov[:2, 2] == 0)
    assert joint.df.tolist() == [5.0, 6.0, np.inf]


@pytest.mark.parametrize(
    "other", [Covariance(np.eye(1), np.ones(1)), Draws(np.ones((3, 1))), Placebos(np.ones((3, 1)))]
)
def test_unknown_dependence_is_refused(other):
    a = mean_estimate(RNG.normal(size=10), Rows(np.arange(10), "one"))
    with pytest.raises(InferenceUnavailable, match=r"dependence.*not known.*independent=True"):
        a - Estimate(0.0, other)


def test_linear_combinations():
    psi = RNG.normal(size=(25, 3))
    estimate = Estimate(
        [1.0, 2.0, 4.0], Influence(psi, Rows(np.arange(25), "t"), scale=1.5, df=np.array([3.0, 9.0, 7.0]))
    )
    weights = np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
    found = estimate.linear(weights)
    np.testing.assert_allclose(found.theta, weights @ [1.0, 2.0, 4.0])
    np.testing.assert_allclose(found.vcov, 1.5 * weights @ psi.T @ psi @ weights.T, atol=1e-13)
    assert found.df.tolist() == [3.0, 7.0, np.inf]
    np.testing.assert_allclose(
        Estimate(estimate.theta, estimate.carrier.folded()).linear(weights).vcov, found.vcov, atol=1e-13
    )


def test_a_contrast_of_the_wrong_length_is_refused():
    with pytest.raises(InferenceUnavailable, match="2 weights for 1"):
        Estimate(0.0, Covariance(np.eye(1), np.ones(1))).linear([1.0, 2.0])


def test_the_center_moves_along():
    estimate = Estimate([1.0, 2.0], Covariance(np.eye(2), np.full(2, 9.0)), center=np.array([1.5, 2.5]))
    assert (estimate * 2).location.tolist() == [3.0, 5.0]
    assert (-estimate).location.tolist() == [-1.5, -2.5]
    joint = stack(estimate, Estimate(7.0, Covariance(np.eye(1), np.ones(1))), independent=True)
    assert joint.location.tolist() == [1.5, 2.5, 7.0]
    assert joint.theta.tolist() == [1.0, 2.0, 7.0]


def test_draws_combine_draw_by_draw():
    values = RNG.normal(size=(200, 2))
    found = Estimate([0.0, 0.0], Draws(values)).linear([1.0, -1.0])
    assert found.vcov[0, 0] == pytest.approx(np.var(values[:, 0] - values[:, 1], ddof=1))


def test_placebos_have_no_covariance():
    with pytest.raises(InferenceUnavailable, match="no standard error"):
        _ = Estimate(0.0, Placebos(np.ones((5, 1)))).se


def test_theta_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        Estimate([1.0, 2.0], Covariance(np.eye(2), np.ones(2))).theta[0] = 5


def test_big_influence_is_folded(monkeypatch):
    estimate = mean_estimate(RNG.normal(size=10), Rows(np.arange(10), "t"), df=8.0, kind="HC1")
    assert estimate.folded() is estimate
    monkeypatch.setattr("causalkit.core.estimate.INFLUENCE_LIMIT", 8)
    folded = estimate.folded()
    assert isinstance(folded.carrier, Covariance)
    assert folded.vcov[0, 0] == pytest.approx(estimate.vcov[0, 0])
    assert folded.df[0] == 8.0
    with options(keep_influence=True):
        assert estimate.folded() is estimate
