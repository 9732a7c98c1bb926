from __future__ import annotations

import gc

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

import causalkit as ck
from causalkit.effects import crossfit_study, shared

LINEAR = {"regressor": "linear", "classifier": "linear", "n_folds": 2, "random_state": 0}


@pytest.fixture
def fits(monkeypatch):
    """Count the cross-fits that are really made."""
    made = []
    original = crossfit_study._cross_fit
    monkeypatch.setattr(crossfit_study, "_cross_fit", lambda *args: made.append(args) or original(*args))
    return made


@pytest.fixture
def table(trial):
    return trial.assign(y=trial["y"] + 0.01)  # rows that no other test holds


def test_learners_fit_nuisances_once(table, roles, fits):
    kinds = [ck.AIPW, ck.TLearner, ck.XLearner, ck.SLearner]
    results = [kind(**LINEAR).fit(table, **roles) for kind in kinds]
    assert len(fits) == 1
    assert len({result.estimate for result in results}) == 1
    results.append(ck.TLearner(**LINEAR).fit(table.copy(), **roles))  # an equal table, bound again
    assert len(fits) == 1
    assert np.array_equal(results[-1].cate(), results[1].cate())


def test_the_number_of_jobs_does_not_matter(table, roles, fits):
    one, two = (ck.TLearner(**LINEAR, n_jobs=jobs).fit(table, **roles) for jobs in (1, 2))
    assert len(fits) == 1
    assert np.array_equal(one.cate(), two.cate())


def test_a_sample_that_is_bound_once_serves_all(table, roles, fits):
    sample = ck.TLearner().bind(table, **roles)
    one, two = (kind(**LINEAR).estimate(sample) for kind in (ck.TLearner, ck.XLearner))
    assert len(fits) == 1
    assert one.sample is two.sample


@pytest.mark.parametrize(
    "change",
    [
        {"n_folds": 3},
        {"random_state": 1},
        {"regressor": "mean"},
        {"classifier": "mean"},
        {"regressor": LinearRegression()},
    ],
)
def test_other_settings_are_other_nuisances(table, roles, fits, change):
    table = table.assign(age=1.0)
    kept = [ck.TLearner(**options).fit(table, **roles) for options in (LINEAR, {**LINEAR, **change})]
    assert len(fits) == 2
    assert len(kept) == 2


@pytest.mark.parametrize("column", ["y", "arm", "x", "group", "village"])
def test_other_rows_are_other_nuisances(table, roles, fits, column):
    changed = table.copy()
    changed.loc[[0, 1], column] = changed.loc[[1, 0], column].to_numpy() if column == "arm" else changed.loc[5, column]
    if column in ("group", "arm"):
        changed[column] = changed[column].str.title()
    own = {**roles, "control": changed["arm"].mode()[0] if column == "arm" else "letter"}
    kept = [ck.TLearner(**LINEAR).fit(t, **r, cluster="village") for t, r in ((table, roles), (changed, own))]
    assert len(fits) == 2
    assert len(kept) == 2


def test_an_estimator_that_was_changed_is_another(table, roles, fits):
    spec = Ridge(alpha=1.0)
    clean = table.assign(age=1.0)
    kept = [ck.TLearner(**{**LINEAR, "regressor": spec}).fit(clean, **roles)]
    spec.set_params(alpha=1e4)
    kept.append(ck.TLearner(**{**LINEAR, "regressor": spec}).fit(clean, **roles))
    assert len(fits) == 2
    assert not np.allclose(kept[0].cate(), kept[1].cate())


def test_nothing_outlives_the_results(table, roles):
    gc.collect()
    before = len(shared._by_content)
    result = ck.TLearner(**LINEAR).fit(table.assign(x=table["x"] * 2), **roles)
    assert len(shared._by_content) == before + 1
    del result
    gc.collect()
    assert len(shared._by_content) == before
