from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor, StackingClassifier, StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import causalkit as ck
from causalkit.errors import DataError, DesignError
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.estimator_needs import drops_columns, from_zero, in_own_units, names_columns

ROLES = {"outcome": "y", "treatment": "arm", "covariates": ["x", "z", "group"]}


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    n = 300
    x, z, group = rng.normal(size=n), rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    arm = rng.permutation(np.repeat([0, 1], n // 2))
    y = rng.poisson(np.exp(0.5 * x + 0.4 * arm + 0.3 * (group == "b"))).astype(float)
    return pd.DataFrame({"y": y, "arm": arm, "x": x, "z": z, "group": group, "w": rng.uniform(0.5, 2, n)})


def log_target():
    return TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1)


def by_name(remainder="drop"):
    steps = [("numbers", StandardScaler(), ["x", "z"]), ("words", OneHotEncoder(drop="first"), ["group"])]
    return make_pipeline(ColumnTransformer(steps, remainder=remainder), LinearRegression())


def test_what_estimators_need():
    from lightgbm import LGBMRegressor

    tweedie = LGBMRegressor(objective="tweedie")
    for spec in (
        PoissonRegressor(),
        HistGradientBoostingRegressor(loss="poisson"),
        tweedie,
        make_pipeline(StandardScaler(), tweedie),
        GridSearchCV(make_pipeline(PoissonRegressor()), {}),
        RandomForestRegressor(criterion="poisson"),
    ):
        assert from_zero(spec)
        assert in_own_units(spec)
    assert in_own_units(log_target())
    assert not from_zero(log_target())
    for spec in (None, "linear", Ridge(), LGBMRegressor(), TransformedTargetRegressor(Ridge()), Ridge):
        assert not in_own_units(spec)
        assert not names_columns(spec)
    assert names_columns(by_name())
    assert names_columns(GridSearchCV(by_name(), {}))
    assert names_columns(ColumnTransformer([("all", StandardScaler(), make_column_selector(dtype_include="number"))]))
    assert names_columns(ColumnTransformer([("all", StandardScaler(), slice("x", "z"))]))
    assert not names_columns(ColumnTransformer([("first", StandardScaler(), [0, 1]), ("next", "drop", slice(2, 3))]))
    assert drops_columns(by_name())
    assert not drops_columns(by_name("passthrough"))


@pytest.mark.parametrize("regressor", [PoissonRegressor(alpha=0.1), log_target()], ids=["poisson", "log"])
def test_counts_are_learned_in_their_own_units(counts, regressor):
    from sklearn.base import clone

    roles = {**ROLES, "covariates": ["x", "z"]}
    result = ck.AIPW(regressor=regressor, random_state=0).fit(counts, **roles, propensity=0.5)
    x, y, arm = counts[["x", "z"]].to_numpy(), counts["y"].to_numpy(), counts["arm"].to_numpy()
    mu = np.empty((len(y), 2))
    for fold in np.unique(result.folds):
        for level in (0, 1):
            train = (result.folds != fold) & (arm == level)
            here = result.folds == fold
            mu[here, level] = clone(regressor).fit(x[train], y[train]).predict(x[here])
    score = mu[:, 1] - mu[:, 0] + (2 * arm - 1) * (y - mu[np.arange(len(y)), arm]) / 0.5
    np.testing.assert_allclose(result.nuisances.mu, mu, rtol=1e-9)
    np.testing.assert_allclose(result.estimate, score.mean(), rtol=1e-9)
    np.testing.assert_allclose(result.se, score.std(ddof=1) / np.sqrt(len(y)), rtol=1e-9)
    for kind, more in ((ck.SLearner, {}), (ck.TLearner, {}), (ck.DoubleML, {"method": "irm"})):
        assert np.isfinite(kind(regressor=regressor, random_state=0, **more).fit(counts, **roles).estimate)


def test_effects_below_zero_are_not_for_learners_of_counts(counts):
    with pytest.raises(DesignError, match=r"PoissonRegressor learns numbers from zero up, and \d+ of \d+") as caught:
        ck.XLearner(regressor=PoissonRegressor(), random_state=0).fit(counts, **ROLES, propensity=0.5)
    assert "TLearner" in caught.value.hint
    with pytest.raises(DesignError, match="learns numbers from zero up"):
        ck.AIPW(regressor=PoissonRegressor(), random_state=0).fit(counts.assign(y=counts["y"] - 1), **ROLES)


def test_pipelines_pick_columns_by_name(counts):
    coded = counts.assign(**{f"g{k}": (counts["group"] == k).astype(float) for k in "bc"})
    plain = ck.AIPW(regressor=LinearRegression(), random_state=0).fit(
        coded, **{**ROLES, "covariates": ["x", "z", "gb", "gc"]}, propensity=0.5
    )
    named = ck.AIPW(regressor=by_name(), random_state=0).fit(counts, **ROLES, propensity=0.5)
    np.testing.assert_allclose(named.estimate, plain.estimate, rtol=1e-10)
    model = ck.TLearner(regressor=by_name(), random_state=0).fit(counts, **ROLES, propensity=0.5)
    new = counts.iloc[:9].assign(x=0.25)
    np.testing.assert_allclose(model.cate(new[::-1]), model.cate(new)[::-1])


def test_an_arm_that_a_pipeline_drops_is_no_zero_effect(counts):
    with pytest.raises(DesignError, match="leaves out the arm") as caught:
        ck.SLearner(regressor=by_name(), random_state=0).fit(counts, **ROLES, propensity=0.5)
    assert "passthrough" in caught.value.hint
    kept = ck.SLearner(regressor=by_name("passthrough"), random_state=0).fit(counts, **ROLES, propensity=0.5)
    assert kept.cate().mean() > 0.1


def test_stacks_have_their_methods_after_the_fit(counts):
    stack = StackingRegressor([("ridge", Ridge()), ("plain", LinearRegression())])
    chance = StackingClassifier([("logit", LogisticRegression())])
    result = ck.AIPW(regressor=stack, classifier=chance, n_folds=2, random_state=0).fit(counts, **ROLES, weights="w")
    assert 0.0 < result.estimate < 1.5
    with pytest.raises(DesignError, match="is not a learner"):
        ck.AIPW(regressor=StandardScaler())


def test_weights_reach_a_classifier_that_refits_itself(counts):
    x, y = counts[["x", "z"]].to_numpy(), counts["arm"].to_numpy().astype(float)
    spec = LogisticRegressionCV(Cs=[1.0], cv=3, l1_ratios=(0,), use_legacy_attributes=False, scoring="neg_log_loss")
    weights = counts["w"].to_numpy()
    found = as_classifier(spec).fit(x, y, weights).predict(x)
    expected = LogisticRegression(C=1.0).fit(x, y, sample_weight=weights).predict_proba(x)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(LogisticRegression().fit(x, y).predict_proba(x) - expected).max() > 0.01


def test_failures_of_estimators_teach(matrix):
    x = np.random.default_rng(0).normal(size=(40, 2))
    learner = as_regressor(KNeighborsRegressor(n_neighbors=60), matrix(x))
    with pytest.raises(DesignError, match="KNeighborsRegressor failed on 5 rows to predict with ValueError"):
        learner.fit(x, x[:, 0]).predict(x[:5])
    with pytest.raises(DesignError, match="Ridge failed on 40 training rows with InvalidParameterError"):
        as_regressor(Ridge(alpha=-1.0), matrix(x)).fit(x, x[:, 0])
    model = as_regressor(Ridge(), matrix(x)).fit(x, x[:, 0])
    gap = x.copy()
    gap[3, 1] = np.nan
    with pytest.raises(
        DataError, match="covariate 'x1' has 1 missing value among 40 rows to predict, and Ridge"
    ) as caught:
        model.predict(gap)
    assert caught.value.column == "x1"
    assert model.predict(x[:0]).shape == (0,)
    assert as_classifier(LogisticRegression()).fit(x, (x[:, 0] > 0) * 1.0).predict(x[:0]).shape == (0, 2)
