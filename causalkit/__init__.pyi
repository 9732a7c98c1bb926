from typing import Final

from causalkit import datasets as datasets
from causalkit import did as did
from causalkit import effects as effects
from causalkit import inference as inference
from causalkit import iv as iv
from causalkit import linear as linear
from causalkit import rdd as rdd
from causalkit import refutation as refutation
from causalkit import report as report
from causalkit import testing as testing
from causalkit import uplift as uplift
from causalkit.core.difference import difference as difference
from causalkit.core.settings import options as options
from causalkit.data.moments import Moments as Moments
from causalkit.did.callaway_santanna import CallawaySantAnna as CallawaySantAnna
from causalkit.did.continuous import ContinuousDiD as ContinuousDiD
from causalkit.did.dcdh import DCDH as DCDH
from causalkit.did.extended_twfe import ExtendedTWFE as ExtendedTWFE
from causalkit.did.imputation import ImputationDiD as ImputationDiD
from causalkit.did.local_projections import LocalProjectionsDiD as LocalProjectionsDiD
from causalkit.did.stacked import StackedDiD as StackedDiD
from causalkit.did.sun_abraham import SunAbraham as SunAbraham
from causalkit.did.triple_difference import TripleDifference as TripleDifference
from causalkit.did.twfe import TWFE as TWFE
from causalkit.did.two_stage import TwoStageDiD as TwoStageDiD
from causalkit.effects.aipw import AIPW as AIPW
from causalkit.effects.auto_cate import AutoCATE as AutoCATE
from causalkit.effects.causal_forest import CausalForest as CausalForest
from causalkit.effects.double_ml import DoubleML as DoubleML
from causalkit.effects.dr_learner import DRLearner as DRLearner
from causalkit.effects.front_door import FrontDoor as FrontDoor
from causalkit.effects.mediation import Mediation as Mediation
from causalkit.effects.r_learner import RLearner as RLearner
from causalkit.effects.s_learner import SLearner as SLearner
from causalkit.effects.t_learner import TLearner as TLearner
from causalkit.effects.x_learner import XLearner as XLearner
from causalkit.errors import AssumptionWarning as AssumptionWarning
from causalkit.errors import CausalKitError as CausalKitError
from causalkit.errors import ConvergenceError as ConvergenceError
from causalkit.errors import DataError as DataError
from causalkit.errors import DesignError as DesignError
from causalkit.errors import IdentificationError as IdentificationError
from causalkit.errors import InferenceUnavailable as InferenceUnavailable
from causalkit.graph.dag import DAG as DAG
from causalkit.inference.confidence_set import ConfidenceSet as ConfidenceSet
from causalkit.iv.iv import IV as IV
from causalkit.iv.marginal import MarginalTreatmentEffects as MarginalTreatmentEffects
from causalkit.iv.shift_share import ShiftShareIV as ShiftShareIV
from causalkit.linear.ols import OLS as OLS
from causalkit.rdd.boundary import BoundaryRD as BoundaryRD
from causalkit.rdd.local_randomization import LocalRandomizationRD as LocalRandomizationRD
from causalkit.rdd.multi_cutoff import MultiCutoffRD as MultiCutoffRD
from causalkit.rdd.regression_discontinuity import RegressionDiscontinuity as RegressionDiscontinuity
from causalkit.refutation.balance_report import balance as balance
from causalkit.refutation.matching import match as match
from causalkit.refutation.refuting import refute as refute
from causalkit.refutation.sensitivity_panel import sensitivity as sensitivity
from causalkit.refutation.weighting import weight as weight
from causalkit.uplift.evaluation import UpliftEvaluation as UpliftEvaluation
from causalkit.uplift.policy_tree import PolicyTree as PolicyTree
from causalkit.uplift.segmentation import Segmentation as Segmentation
from causalkit.uplift.targeting import Targeting as Targeting

__version__: Final[str]
__all__: list[str]
_PUBLIC: Final[dict[str, str]]
_PACKAGES: Final[tuple[str, ...]]
