"""Simulated studies with an instrument: the truth is in the table, and the instrument is worth its name."""

import numpy as np

from causalkit.datasets import feature_encouragement, schooling


def test_an_invitation_moves_those_who_use_only_if_invited():
    users = feature_encouragement(20_000, random_state=4)
    by_kind = users.groupby(["kind", "invited"])["used"].mean()
    assert by_kind["if invited", 1] == by_kind["always", 0] == by_kind["always", 1] == 1
    assert by_kind["if invited", 0] == by_kind["never", 1] == 0
    assert users.loc[users["kind"] == "if invited", "true_effect"].eq(4.0).all()
    share = users.groupby("invited")["kind"].apply(lambda kind: (kind == "always").mean())
    assert abs(share[1] - share[0]) < 0.02
    same = feature_encouragement(20_000, random_state=4)
    assert users.equals(same)


def test_effects_are_alike_without_heterogeneity():
    users = feature_encouragement(500, effect=2.0, heterogeneity=0.0)
    effects = users.groupby("kind")["true_effect"].first()
    assert effects["always"] == effects["if invited"] == 2.0


def test_a_college_nearby_raises_schooling():
    men = schooling(20_000, effect=0.05)
    gap = men.groupby(["city", "near_college"])["schooling"].mean().unstack()
    assert (gap[1] - gap[0] > 0.6).all()
    assert set(men["region"]) == {"north", "south", "west"}
    assert np.ptp(men["true_effect"]) == 0.0
    assert men["schooling"].between(6, 20).all()
