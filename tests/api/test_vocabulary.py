"""One vocabulary: every public signature uses the names of the design, and no synonym of them."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import causalkit
from causalkit.core.estimator import Estimator

ONE_COLUMN = {
    "outcome",
    "treatment",
    "unit",
    "time",
    "cohort",
    "running",
    "cluster",
    "weights",
    "score",
    "mediator",
    "propensity",
    "eligible",
    # The cutoff that a unit faces, where units face different ones.
    "cutoff",
}
COLUMNS = {"covariates", "instruments", "absorb", "sensitive", "proxies", "terms", "shares"}
LEVELS = {"control", "treatment_level"}
#: shocks: one number per column of shares, which no column of the data can hold.
OTHER_FIT_KEYWORDS = {"data", "missing", "effect", "cost", "shocks"}
CONFIGURATION = {
    "method",
    "control_group",
    "base_period",
    "cutoff",
    "bandwidth",
    "kernel",
    "order",
    "regressor",
    "classifier",
    "n_folds",
    "n_boot",
    "budget",
    "value",
    "tolerance",
    "random_state",
    "n_jobs",
    "vcov",
}
#: Fields only where they change the fit.
LEVEL_OF_A_TEST = {"alpha"}
#: Configuration that the design names for one class only, or that has no common word.
OF_ONE_CLASS = {
    "AutoCATE": {"n_trees"},
    "CallawaySantAnna": {"anticipation", "unbalanced"},
    "CausalForest": {"n_trees", "min_node_size", "sample_fraction", "local_linear"},
    # Knots of a spline, and the doses of a curve; no common word exists.
    "ContinuousDiD": {"n_knots", "doses", "anticipation", "unbalanced"},
    # How many horizons, and which changes of treatment; no common word exists.
    "DCDH": {"n_effects", "n_placebos", "normalized", "switchers", "same_switchers", "unbalanced"},
    # Points of the boundary, and what they share with RegressionDiscontinuity.
    "BoundaryRD": {"boundary", "bias_order", "mass_points"},
    "MultiCutoffRD": {"bias_order", "mass_points"},
    # Cross-fits whose median is taken, the doses of a curve, and who may defy a binary instrument; no common word exists.
    "DoubleML": {"n_repeats", "doses", "always_takers", "never_takers"},
    # Windows of event time, and when effects have settled after a change; no common word exists.
    "ExtendedTWFE": {"anticipation", "unbalanced"},
    "ImputationDiD": {"anticipation", "leave_one_out", "unbalanced"},
    "LocalProjectionsDiD": {"pre_window", "post_window", "stabilization", "unbalanced"},
    # The window, the windows that are compared, how balance is tested in them, and random assignments.
    "LocalRandomizationRD": {
        *("window", "min_obs", "step_obs", "min_window", "window_step", "n_windows", "n_draws"),
        *("balance_statistic", "balance_inference", "balance_level"),
    },
    "StackedDiD": {"pre_window", "post_window", "anticipation", "unbalanced"},
    "TwoStageDiD": {"anticipation", "unbalanced"},
    "FairAllocator": {"parity"},
    # Constants of the k-class by their names in the literature.
    "IV": {"fuller", "kappa"},
    "InterruptedTimeSeries": {"start", "lags"},
    "Experiment": {"metrics", "allocation", "adjust", "estimand"},
    "PolicyTree": {"depth", "min_node_size", "n_cuts"},
    # Two polynomials and two bandwidths, a derivative that jumps, repeated values, rows next to the cutoff left out, and
    # the selectors' switches; no common word exists.
    "RegressionDiscontinuity": {
        *("bias_order", "bias_bandwidth", "rho", "derivative", "mass_points", "donut", "regularization"),
        "sharp_bandwidth",
    },
    "Segmentation": {"margin"},
    # Whether the sum of a unit's shares is a control; no common word exists.
    "ShiftShareIV": {"share_sums"},
    "SunAbraham": {"anticipation", "unbalanced"},
    "TWFE": {"anticipation", "dynamic", "unbalanced"},
    "Targeting": {"paid_on"},
    "TripleDifference": {"anticipation", "unbalanced"},
}
FIT = ONE_COLUMN | COLUMNS | LEVELS | OTHER_FIT_KEYWORDS
RESULT_METHODS = {"alpha", "null", "method", "simultaneous", "vcov", "cluster", "data", "kind", "path", "terms", "term"}

#: Arguments of public functions and of other public methods, beyond the words above.
ARGUMENTS = {
    "CausalKitError": {"message", "hint", "column", "rows"},
    "ConfidenceSet": {"intervals", "a", "b", "c", "x", "other"},
    "Moments": {
        "columns",
        "by",
        "weighted",
        "pivot",
        "sums",
        "n_dropped",
        "key",
        "name",
        "cell",
        "ddof",
        "stored",
        "path",
        "cell_a",
        "cell_b",
        "other",
        "parts",
        "key_a",
        "key_b",
    },
    # x and y as everywhere in graph theory; the DESIGN's own words otherwise.
    "DAG": {
        *(
            "edges",
            "latent",
            "bidirected",
            "nodes",
            "selected",
            "node",
            "x",
            "y",
            "given",
            "within",
            "kind",
            "include",
            "exclude",
        ),
        *("cost", "effect", "covariates"),
        # How p-values are corrected for their number, and how many relabelled graphs are drawn.
        *("correction", "n_permutations"),
        # Edges without a direction, what differs between a trial and a population, and what can't be said without directions.
        *("undirected", "differs", "what"),
    },
    "difference": {"a", "b", "independent"},
    "inference": {
        # Arrays, not columns: estimates with their errors, draws, codes of clusters, and a user's own statistic.
        *("theta", "se", "vcov", "psi", "statistic", "statistics", "pvalues", "draws", "critical"),
        *("groups", "strata", "n", "n_draws", "kind", "alternative", "max_exact", "alpha", "method"),
        *("df", "design", "coefficient", "null", "impose_null", "n_parameters"),
        *("intervals", "a", "b", "c", "x", "other"),
    },
    "options": {"progress", "keep_influence"},
    # balance, match and weight: arms made alike; `target` is whose covariates, as in `.ate(target)`.
    "balance": set(),
    "match": {"target", "distance", "exact", "ratio", "replacement", "caliper"},
    "weight": {"target", "moments"},
    # Which tests, altered tables of each, and columns that can't be changed by or can't change anything.
    "refute": {"result", "tests", "n_sim", "negative_outcomes", "negative_treatments"},
    # The share of an estimate to explain away, covariates to compare with, how many times as strong, values of the outcome.
    "sensitivity": {"result", "q", "benchmarks", "times", "outcome_range"},
    # Numbers and arrays: an association with its limits and scale, differences of pairs, cells of a table.
    "refutation": {
        *("estimate", "low", "high", "scale", "rare", "sd", "differences", "cells", "outcome_range", "assume"),
        *("statistic", "df", "q", "inflation"),
    },
    # The event-study vector: n_pre coefficients stand before the base period; magnitudes of the violation, its bias or
    # trend; power of a pre-test against a slope; the margin of an equivalence test.
    "did": {
        # did.compare: which estimators; placebo_in_time: by how many periods; randomization_inference: as in `inference`
        *("estimators", "anticipation", "periods", "n_draws", "max_exact", "alternative"),
        *("unbalanced", "result", "n_pre", "restriction", "magnitudes", "bias", "trend", "null"),
        *("power", "slope", "margin"),
    },
    "datasets": {
        "n",
        "heterogeneity",
        "drift",
        "n_stores",
        "n_regions",
        "n_units",
        "n_periods",
        "name",
        "sorting",
        "take_up",
    },
    "report": {
        "kind",
        "path",
        "title",
        "subtitle",
        "lead",
        "metadata",
        "sections",
        "ledger",
        "owners",
        "document",
        "figures",
        "args",
        "kwargs",
    },
    "testing": {"estimator", "fast", "roles"},
    # q: share treated; stage: folds in their order; a, b, power: rankings compared and the power of telling them apart
    "uplift": {"dr_scores", "priority", "q", "kind", "stage", "a", "b", "power", "policy", "expected"},
    "effects": set(),
    # noncompliance: the smallest and the largest value of the outcome, for bounds; plausibly_exogenous: direct effects
    "iv": {"result", "outcome_range", "direct"},
    "linear": set(),
    # density_test: the order of the bias-robust fit, what the sides share, values that repeat, bandwidths kept sensible,
    # half-widths of the binomial tests; bandwidths: a configuration
    # select_window: windows that are compared, and how balance is tested in them
    "rdd": {
        *("estimator", "bias_order", "restricted", "mass_points", "regularize", "windows", "n_draws"),
        *("min_obs", "step_obs", "min_window", "window_step", "n_windows"),
        *("balance_statistic", "balance_inference", "balance_level"),
        # power: the power that is wanted, and the rows within the bandwidth; heterogeneity: columns of the fit's table;
        # honest_report: a bound on the second derivative, and what the bandwidth minimises
        *("result", "columns", "power", "n_window", "smoothness", "criterion"),
    },
}
ESTIMATOR_METHODS = {"sample", "given", "changes", "config", "text"}

#: Other spellings that users know from elsewhere; none may come back in.
STRAYS = {
    "y",
    "Y",
    "X",
    "w",
    "W",
    "D",
    "T",
    "df",
    "dataset",
    "frame",
    "target",
    "label",
    "labels",
    "treat",
    "treated",
    "treatment_col",
    "outcome_col",
    "cluster_col",
    "cluster_by",
    "clusters",
    "cluster_var",
    "groupby",
    "group",
    "unit_id",
    "id_col",
    "entity",
    "time_col",
    "period",
    "features",
    "confounders",
    "controls",
    "covs",
    "xvars",
    "effect_modifiers",
    "weight",
    "sample_weight",
    "obs_weights",
    "instrument",
    "iv",
    "z",
    "fixed_effects",
    "fe",
    "fixef",
    "absorbed",
    "n_bootstrap",
    "n_boots",
    "bootstrap_samples",
    "B",
    "reps",
    "n_reps",
    "nboot",
    "seed",
    "random_seed",
    "rng",
    "random_generator",
    "num_folds",
    "k_folds",
    "folds",
    "cv",
    "n_splits",
    "level",
    "conf_level",
    "confidence",
    "significance",
    "ci_level",
    "se_type",
    "cov_type",
    "vcov_type",
    "robust",
    "standard_errors",
    "control_level",
    "control_name",
    "baseline",
    "reference",
    "treatment_name",
    "treated_level",
    "arm",
    "model_y",
    "model_t",
    "model_regression",
    "model_propensity",
    "learner",
    "outcome_model",
    "propensity_model",
    "regression",
    "classification",
    "verbose",
    "progress_bar",
    "threads",
    "num_threads",
    "workers",
    "njobs",
    "na_action",
    "dropna",
    "na_rm",
    "nan_policy",
    "handle_missing",
    "p_score",
    "ps",
    "pscore",
}


def _parameters(function) -> list[str]:
    try:
        return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    except ValueError:
        return []


def _methods(kind: type) -> dict[str, list[str]]:
    found = {}
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("causalkit"):
            found[name] = _parameters(function)
    return found


PUBLIC = {name: getattr(causalkit, name) for name in causalkit._PUBLIC}
FITTED = {name: kind for name, kind in PUBLIC.items() if hasattr(kind, "fit")}
FUNCTIONS = {
    **{name: value for name, value in PUBLIC.items() if name not in FITTED},
    **{
        f"{package}.{name}": getattr(getattr(causalkit, package), name)
        for package in causalkit._PACKAGES
        for name in getattr(getattr(causalkit, package), "__all__", ())
        if not hasattr(getattr(getattr(causalkit, package), name), "fit")
    },
}


@pytest.mark.parametrize("name", FITTED)
def test_fit_keywords(name):
    parameters = inspect.signature(FITTED[name].fit).parameters
    assert set(parameters) - {"self"} <= FIT, set(parameters) - {"self"} - FIT
    first, *others = list(parameters)[1:]
    assert first == "data"
    assert all(parameters[keyword].kind is inspect.Parameter.KEYWORD_ONLY for keyword in others)


@pytest.mark.parametrize("name", FITTED)
def test_configuration(name):
    fields = dataclasses.fields(FITTED[name])
    extra = OF_ONE_CLASS.get(name, set()) | {"cost"}
    stray = {field.name for field in fields} - CONFIGURATION - LEVEL_OF_A_TEST - extra
    assert not stray, stray
    assert all(field.kw_only for field in fields)


@pytest.mark.parametrize("name", [name for name, kind in FITTED.items() if issubclass(kind, Estimator)])
def test_roles_are_keywords_of_fit(name):
    kind = FITTED[name]
    assert set(kind.roles) <= ONE_COLUMN | COLUMNS | {"effect", "cost"}
    assert set(kind.roles) <= set(inspect.signature(kind.fit).parameters)
    for role, spec in kind.roles.items():
        # cluster: multiway; running: a boundary runs through several scores; mediator: several may carry an effect together
        assert spec.many is False or role in COLUMNS | {"cluster", "running", "mediator"}, (
            f"{role} names several columns"
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    value = FUNCTIONS[name]
    owner = "CausalKitError" if isinstance(value, type) and issubclass(value, Exception) else name.partition(".")[0]
    allowed = FIT | CONFIGURATION | LEVEL_OF_A_TEST | ARGUMENTS[owner]
    told = (
        [*_parameters(value), *(p for ps in _methods(value).values() for p in ps)]
        if isinstance(value, type)
        else _parameters(value)
    )
    if isinstance(value, type) and issubclass(value, Exception):
        told = _parameters(value)
    assert set(told) <= allowed, set(told) - allowed


@pytest.mark.parametrize("name", FITTED)
def test_methods_of_what_can_be_fitted(name):
    used = {parameter for method, names in _methods(FITTED[name]).items() if method != "fit" for parameter in names}
    assert used <= FIT | CONFIGURATION | ESTIMATOR_METHODS, used


def _every_public_parameter() -> dict[str, set[str]]:
    from causalkit.core.difference import Difference
    from causalkit.core.effects import Effects
    from causalkit.core.result import Result
    from causalkit.core.result_map import ResultMap

    shown = {
        **PUBLIC,
        **FUNCTIONS,
        "Result": Result,
        "ResultMap": ResultMap,
        "Difference": Difference,
        "Effects": Effects,
    }
    found = {}
    for name, value in shown.items():
        found[name] = set(_parameters(value))
        for method, names in _methods(value).items() if isinstance(value, type) else ():
            found[f"{name}.{method}"] = set(names)
    return found


#: Words that mean something else here: degrees of freedom, not a data frame.
OTHER_MEANING = {
    "inference.sup_t_critical": {"df"},
    "refutation.robustness_value": {"df"},
    **{name: {"target"} for name in ("match", "weight")},  # whose covariates, as in `.ate(target)`
    **{f"DAG.{name}": {"y"} for name in dir(causalkit.DAG) if not name.startswith("_")},  # a node, not an array
}


def test_no_synonyms():
    found = {name: used - OTHER_MEANING.get(name, set()) for name, used in _every_public_parameter().items()}
    strays = {name: used & STRAYS for name, used in found.items() if used & STRAYS}
    assert not strays


def test_the_vocabulary_has_no_synonym_itself():
    assert not (FIT | CONFIGURATION | LEVEL_OF_A_TEST) & STRAYS
    assert not set().union(*OF_ONE_CLASS.values(), *ARGUMENTS.values()) & (STRAYS - {"df", "y", "target"})


def test_result_words():
    from causalkit.core.result import Result

    for word in [
        "estimate",
        "se",
        "ci",
        "pvalue",
        "test",
        "n_dropped",
        "summary",
        "to_frame",
        "to_dict",
        "to_json",
        "to_latex",
        "to_markdown",
        "plot",
        "refit",
    ]:
        assert hasattr(Result, word), word
    assert {"effects", "checks", "estimand", "n", "dropped"} <= {field.name for field in dataclasses.fields(Result)}
    for method in ("ci", "test", "plot", "refit", "with_vcov", "report"):
        assert set(_parameters(getattr(Result, method))) <= RESULT_METHODS
