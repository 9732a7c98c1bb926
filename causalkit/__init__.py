"""causalkit: causal inference, uplift modeling, experiments and fairness audits with one grammar.

The public names below are loaded when they are first used, so that importing the package costs next to nothing. The
table is also the registry: ``causalkit list`` and the contract tests find every estimator in it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Public name -> the module that defines it.
_PUBLIC = {
    "AIPW": "causalkit.effects.aipw",
    "AssumptionWarning": "causalkit.errors",
    "AutoCATE": "causalkit.effects.auto_cate",
    "BoundaryRD": "causalkit.rdd.boundary",
    "CallawaySantAnna": "causalkit.did.callaway_santanna",
    "CausalForest": "causalkit.effects.causal_forest",
    "CausalKitError": "causalkit.errors",
    "ConfidenceSet": "causalkit.inference.confidence_set",
    "ContinuousDiD": "causalkit.did.continuous",
    "ConvergenceError": "causalkit.errors",
    "DAG": "causalkit.graph.dag",
    "DCDH": "causalkit.did.dcdh",
    "DRLearner": "causalkit.effects.dr_learner",
    "DataError": "causalkit.errors",
    "DesignError": "causalkit.errors",
    "DoubleML": "causalkit.effects.double_ml",
    "ExtendedTWFE": "causalkit.did.extended_twfe",
    "FrontDoor": "causalkit.effects.front_door",
    "IV": "causalkit.iv.iv",
    "IdentificationError": "causalkit.errors",
    "ImputationDiD": "causalkit.did.imputation",
    "InferenceUnavailable": "causalkit.errors",
    "LocalProjectionsDiD": "causalkit.did.local_projections",
    "LocalRandomizationRD": "causalkit.rdd.local_randomization",
    "MarginalTreatmentEffects": "causalkit.iv.marginal",
    "Mediation": "causalkit.effects.mediation",
    "Moments": "causalkit.data.moments",
    "MultiCutoffRD": "causalkit.rdd.multi_cutoff",
    "OLS": "causalkit.linear.ols",
    "PolicyTree": "causalkit.uplift.policy_tree",
    "RLearner": "causalkit.effects.r_learner",
    "RegressionDiscontinuity": "causalkit.rdd.regression_discontinuity",
    "SLearner": "causalkit.effects.s_learner",
    "Segmentation": "causalkit.uplift.segmentation",
    "ShiftShareIV": "causalkit.iv.shift_share",
    "StackedDiD": "causalkit.did.stacked",
    "SunAbraham": "causalkit.did.sun_abraham",
    "TLearner": "causalkit.effects.t_learner",
    "TWFE": "causalkit.did.twfe",
    "Targeting": "causalkit.uplift.targeting",
    "TripleDifference": "causalkit.did.triple_difference",
    "TwoStageDiD": "causalkit.did.two_stage",
    "UpliftEvaluation": "causalkit.uplift.evaluation",
    "XLearner": "causalkit.effects.x_learner",
    "balance": "causalkit.refutation.balance_report",
    "difference": "causalkit.core.difference",
    "match": "causalkit.refutation.matching",
    "options": "causalkit.core.settings",
    "refute": "causalkit.refutation.refuting",
    "sensitivity": "causalkit.refutation.sensitivity_panel",
    "weight": "causalkit.refutation.weighting",
}

#: Packages of public functions: ``causalkit.uplift.rate``.
_PACKAGES = (
    "datasets",
    "did",
    "effects",
    "inference",
    "iv",
    "linear",
    "rdd",
    "refutation",
    "report",
    "testing",
    "uplift",
)

__all__ = ["__version__", *_PACKAGES, *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
    elif name in _PACKAGES:
        value = import_module(f"causalkit.{name}")
    else:
        import difflib

        close = difflib.get_close_matches(name, __all__, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"causalkit has no {name!r}.{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
