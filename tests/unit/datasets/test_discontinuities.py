"""Simulated cutoffs have the effects that they say."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck


def test_seats_are_worth_what_they_say():
    elections = ck.datasets.close_elections(40_000, effect=6.0, random_state=1)
    result = ck.RegressionDiscontinuity().fit(elections, outcome="next_vote", running="margin")
    assert abs(result.estimate - 6.0) < 4 * result.se
    same = ck.datasets.close_elections(40_000, effect=6.0, random_state=1)
    pd.testing.assert_frame_equal(elections, same)
    for covariate in ("previous_vote", "turnout"):
        jump = ck.RegressionDiscontinuity().fit(elections, outcome=covariate, running="margin")
        assert jump.pvalue > 0.001


def test_sorting_empties_the_losing_side():
    margin = ck.datasets.close_elections(20_000, sorting=0.9, random_state=2)["margin"]
    assert ((margin > -2) & (margin < 0)).sum() < 0.2 * ((margin >= 0) & (margin < 2)).sum()


def test_advice_is_worth_what_it_says_to_those_who_take_it():
    accounts = ck.datasets.account_eligibility(60_000, effect=5.0, random_state=1)
    result = ck.RegressionDiscontinuity(cutoff=730).fit(
        accounts, outcome="hours", running="days_open", treatment="advised"
    )
    assert abs(result.estimate - 5.0) < 4 * result.se
    assert np.isclose(result.first_stage.values[0], 0.5, atol=0.05)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="both sides"):
        ck.datasets.close_elections(1)
    with pytest.raises(ValueError, match="take_up"):
        ck.datasets.account_eligibility(take_up=0.05)
