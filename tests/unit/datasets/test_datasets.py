import hashlib

import causaldata
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.datasets.catalog import CATALOG
from causalkit.errors import DataError


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if not entry.url])
def test_each_file_is_the_one_its_source_names(name):
    entry = CATALOG[name]
    path = ck.datasets.path_of(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    assert len(ck.datasets.load(name)) == entry.n
    assert entry.source
    assert entry.licence


def test_the_voucher_data_are_those_of_the_package_they_come_from():
    theirs = causaldata.thornton_hiv.load_pandas().data
    ours = ck.datasets.load("thornton_hiv").astype("float64")
    assert list(ours) == list(theirs)
    for column in theirs:
        np.testing.assert_array_equal(ours[column].to_numpy(theirs[column].dtype), theirs[column].to_numpy())
    both = theirs.dropna(subset=["got", "any"])
    shares = both.groupby("any")["got"].mean()
    assert round(shares[0.0], 3) == 0.339
    assert round(shares[1.0], 3) == 0.789


def test_the_schooling_data_are_those_of_the_package_they_come_from():
    theirs = causaldata.close_college.load_pandas().data
    ours = ck.datasets.load("close_college")
    assert list(ours) == list(theirs)
    for column in theirs:
        np.testing.assert_allclose(ours[column].to_numpy("float64"), theirs[column].to_numpy("float64"), rtol=1e-7)


def test_each_election_is_told_once_and_as_in_the_package_it_comes_from():
    theirs = causaldata.close_elections_lmb.load_pandas().data
    theirs["state"] = theirs["state"].astype(str).str.split(": ").str[1]
    theirs["score"] = theirs["score"].astype("float64")
    by_election = theirs.drop(columns="id").groupby(["state", "district", "year"])
    assert (by_election[["demvoteshare", "lagdemvoteshare"]].nunique(dropna=False) == 1).all(axis=None)
    expected = by_election.mean()
    ours = ck.datasets.load("close_elections_lmb").set_index(["state", "district", "year"]).sort_index()
    assert (ours["seat"] == [f"{state} {district}" for state, district, _ in ours.index]).all()
    for column in expected:
        np.testing.assert_allclose(ours[column].to_numpy("float64"), expected[column].to_numpy("float64"), atol=6e-5)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(DataError, match="thornton_hiv"):
        ck.datasets.load("thornton")


def test_the_campaign_has_the_effect_it_says():
    data = ck.datasets.coupon_campaign(200_000, effect=0.08, random_state=3)
    observed = data.groupby("arm")["purchase"].mean()
    assert abs(observed["coupon"] - observed["no_coupon"] - data["true_effect"].mean()) < 0.01
    assert abs(data["true_effect"].mean() - 0.08) < 0.005
    assert (data["true_effect"] < 0).mean() > 0.1
    pd.testing.assert_frame_equal(data, ck.datasets.coupon_campaign(200_000, effect=0.08, random_state=3))


def test_a_campaign_without_heterogeneity_has_one_effect():
    data = ck.datasets.coupon_campaign(1_000, heterogeneity=0.0)
    assert data["true_effect"].std() < 1e-12


def test_the_panel_has_gaps_and_the_effect_it_says():
    data = ck.datasets.linear_panel(2_000, effect=1.0, missing=0.1, random_state=1)
    assert 0.88 < len(data) / (2_000 * 8) < 0.92
    fit = ck.OLS().fit(
        data, outcome="y", treatment="treated", covariates=["x1", "x2", "x3"], absorb=["unit", "time"], cluster="unit"
    )
    assert abs(fit.estimate - 1.0) < 4 * fit.se
