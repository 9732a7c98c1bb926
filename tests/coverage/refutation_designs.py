"""For every refuter: a design with the violation that it looks for, and one without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import causalkit as ck


@dataclass(frozen=True)
class Case:
    """A result, and keywords of ``ck.refute`` beyond the test."""

    result: object
    keywords: dict


def few_treated_clusters(rng, planted):
    """Three treated clusters of thirty, where CR1 is far too small; or fifteen."""
    cluster = np.repeat(np.arange(30), 10)
    treated = (cluster < (3 if planted else 15)).astype(int)
    y = rng.normal(size=30)[cluster] + rng.normal(size=300)
    data = {"y": y, "t": treated, "g": cluster}
    return Case(ck.OLS().fit(data, outcome="y", treatment="t", cluster="g"), {})


def bent_confounding(rng, planted):
    """A confounder whose square counts, in a linear regression; or the confounder itself."""
    x = rng.normal(size=800)
    push = x**2 if planted else x
    t = (push + rng.normal(size=800) > 0.7).astype(int)
    data = {"y": push + rng.normal(size=800), "t": t, "x": x}
    return Case(ck.OLS().fit(data, outcome="y", treatment="t", covariates=["x"]), {})


def trends(rng, planted):
    """Treated stores drift by a tenth a year; or not."""
    stores = ck.datasets.staggered_rollout(200, drift=0.1 if planted else 0.0, random_state=int(rng.integers(2**31)))
    fit = ck.CallawaySantAnna().fit(stores, outcome="sales", unit="store", time="year", cohort="start")
    return Case(fit, {})


def cutoff(rng, planted):
    """A wave that a bandwidth chosen by hand can't follow; or a line."""
    x = rng.uniform(-1, 1, 2000)
    smooth = np.sin(12 * x) if planted else x
    data = {"y": smooth + (x >= 0) + 0.3 * rng.normal(size=2000), "x": x}
    return Case(ck.RegressionDiscontinuity(bandwidth=0.4).fit(data, outcome="y", running="x"), {})


def overfitting(rng, planted):
    """Full-grown trees; or linear learners."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x = rng.normal(size=(600, 3))
    t = (x[:, 0] + rng.normal(size=600) > 0).astype(int)
    data = {"y": x[:, 0] + t + rng.normal(size=600), "t": t, **{f"x{j}": x[:, j] for j in range(3)}}
    learners = {"regressor": "linear", "classifier": "linear"}
    if planted:
        learners = {
            "regressor": DecisionTreeRegressor(random_state=0),
            "classifier": DecisionTreeClassifier(min_samples_leaf=5, random_state=0),
        }
    model = ck.AIPW(n_folds=5, **learners)
    return Case(model.fit(data, outcome="y", treatment="t", covariates=["x0", "x1", "x2"]), {})


def coarse_learner(rng, planted):
    """Means of 100 neighbours, which blur the confounder more the fewer people there are; or linear learners."""
    from sklearn.neighbors import KNeighborsRegressor

    x = rng.normal(size=1000)
    t = (0.5 * x + rng.normal(size=1000) > 0).astype(int)
    data = {"y": 3 * x + rng.normal(size=1000), "t": t, "x": x}
    learners = {"regressor": "linear", "classifier": "linear"}
    if planted:
        learners = {"regressor": KNeighborsRegressor(100), "classifier": "mean"}
    return Case(ck.AIPW(n_folds=2, **learners).fit(data, outcome="y", treatment="t", covariates="x"), {})


def unequal_variances(rng, planted):
    """A small and noisy arm, with the variance that takes all for equal; or the robust one."""
    t = np.arange(400) < 40
    data = {"y": np.where(t, 4.0, 1.0) * rng.normal(size=400), "t": t}
    return Case(ck.OLS(vcov="iid" if planted else "HC1").fit(data, outcome="y", treatment="t"), {})


def strong_covariate(rng, planted):
    """An effect that a confounder like the measured one would undo; or one that is much larger."""
    x = rng.normal(size=500)
    t = x + rng.normal(size=500)
    data = {"y": (0.3 if planted else 2.0) * t + x + rng.normal(size=500), "t": t, "x": x}
    return Case(ck.OLS().fit(data, outcome="y", treatment="t", covariates="x"), {})


def _hidden(rng, planted):
    u, x = rng.normal(size=(2, 500))
    strength = 1.0 if planted else 0.0
    t = strength * u + x + rng.normal(size=500)
    columns = {
        "y": t + 2 * strength * u + x + rng.normal(size=500),
        "t": t,
        "x": x,
        "other": strength * u + x + rng.normal(size=500),
    }
    return columns, ck.OLS().fit(columns, outcome="y", treatment="t", covariates="x")


def hidden_seen_by_outcome(rng, planted):
    """A hidden common cause that also moves another outcome; or none."""
    data, result = _hidden(rng, planted)
    return Case(result, {"data": data, "negative_outcomes": "other"})


def hidden_seen_by_treatment(rng, planted):
    """A hidden common cause that also moves another treatment; or none."""
    data, result = _hidden(rng, planted)
    return Case(result, {"data": data, "negative_treatments": "other"})


DESIGNS = {
    "placebo_treatment": few_treated_clusters,
    "placebo_outcome": bent_confounding,
    "placebo_in_time": trends,
    "placebo_cutoffs": cutoff,
    "random_common_cause": overfitting,
    "data_subsets": coarse_learner,
    "bootstrap": unequal_variances,
    "simulated_confounder": strong_covariate,
    "negative_outcome": hidden_seen_by_outcome,
    "negative_treatment": hidden_seen_by_treatment,
}


def rejects(name, seed, planted, n_sim=100):
    """Whether the refuter finds a violation in one draw of its design."""
    case = DESIGNS[name](np.random.default_rng([7, seed]), planted)
    return bool(ck.refute(case.result, tests=name, n_sim=n_sim, random_state=seed, **case.keywords).failed)
