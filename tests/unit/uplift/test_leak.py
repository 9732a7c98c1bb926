"""A model knows the rows that trained it, with its data and without."""

from __future__ import annotations

import pickle

import pytest

import causalkit as ck


@pytest.fixture(scope="module")
def pickled(model):
    return pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))


@pytest.mark.parametrize("tool", [ck.UpliftEvaluation(), ck.Segmentation(), ck.Targeting(value=5.0)])
def test_a_pickled_model_refuses_its_training_rows(pickled, campaign, tool):
    assert pickled.sample is None
    for rows in (campaign.iloc[:500], campaign.sample(frac=1.0, random_state=1)):
        with pytest.raises(ck.DesignError, match="trained the model"):
            tool.fit(rows, effect=pickled)


def test_a_pickled_model_still_takes_its_table_and_new_people(model, pickled, campaign, fresh):
    for table in (campaign, fresh):
        told = ck.UpliftEvaluation(random_state=0).fit(table, effect=pickled)
        assert told.estimate == ck.UpliftEvaluation(random_state=0).fit(table, effect=model).estimate
