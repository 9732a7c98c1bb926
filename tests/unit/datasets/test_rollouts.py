"""Simulated roll-outs: their truth, and the castle file against the package it was taken from."""

import causaldata
import numpy as np
import pandas as pd
import pytest

import causalkit as ck


def test_the_castle_data_are_those_of_the_package_they_come_from():
    theirs = causaldata.castle.load_pandas().data
    ours = ck.datasets.load("castle")
    for column in ours.columns.drop("start"):
        np.testing.assert_array_equal(ours[column].to_numpy(theirs[column].dtype), theirs[column].to_numpy())
    first = theirs[theirs["post"] == 1].groupby("sid")["year"].min()
    assert (ours["start"] == ours["sid"].map(first).fillna(0)).all()


def test_stores_have_the_effects_they_say():
    stores = ck.datasets.staggered_rollout(20_000, random_state=1)
    assert stores.groupby("store").size().eq(8).all()
    assert sorted(stores["start"].unique()) == [0, 2018, 2020, 2021]
    on = (stores["start"] > 0) & (stores["year"] >= stores["start"])
    assert (stores["treated"] == on).all()
    assert (stores.loc[~on, "true_effect"] == 0).all()
    result = ck.CallawaySantAnna().fit(stores, outcome="sales", unit="store", time="year", cohort="start")
    truth = stores[on].groupby(["start", "year"])["true_effect"].first()
    for term, value, se in zip(result.effects.terms, result.effects.values, result.effects.se, strict=True):
        cohort, year = (int(part) for part in term.split(" in "))
        assert abs(value - truth.get((cohort, year), 0.0)) < 4.5 * se
    pd.testing.assert_frame_equal(stores, ck.datasets.staggered_rollout(20_000, random_state=1))


def test_accounts_have_the_effects_they_say():
    accounts = ck.datasets.feature_rollout(9_000, effect=4.0, random_state=1)
    assert (accounts["start"] > 0).eq(accounts["segment"] == "Enterprise").all()
    on = (accounts["start"] > 0) & (accounts["month"] >= 7)
    assert accounts.loc[on & (accounts["month"] == 7), "true_effect"].eq(2.0).all()
    assert accounts.loc[on & (accounts["month"] > 7), "true_effect"].eq(4.0).all()
    assert accounts.loc[~on, "true_effect"].eq(0.0).all()
    fit = ck.TWFE().fit(accounts, outcome="hours", unit="account", time="month", cohort="start")
    assert abs(fit.estimate - accounts.loc[on, "true_effect"].mean()) < 4 * fit.se


def test_a_drift_is_a_violation_of_parallel_trends():
    roles = {"unit": "account", "time": "month", "cohort": "start", "outcome": "hours"}
    for drift, small in ((0.0, False), (1.0, True)):
        accounts = ck.datasets.feature_rollout(600, drift=drift, random_state=2)
        assert (ck.CallawaySantAnna().fit(accounts, **roles).pre_trends().pvalue < 0.01) == small


def test_too_few_periods_are_refused():
    with pytest.raises(ValueError, match="at least 6"):
        ck.datasets.staggered_rollout(n_periods=5)
    with pytest.raises(ValueError, match="at least 4"):
        ck.datasets.feature_rollout(n_periods=3)
