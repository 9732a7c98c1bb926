"""An effect with an error for each person from mere numbers: the line of held-out scores on the numbers."""

from __future__ import annotations

from causalkit.effects.calibration_lines import CalibrationLines
from causalkit.effects.prediction import EffectPrediction
from causalkit.kernels.arrays import Codes, Floats


def line_prediction(
    priority: Floats,
    scores: Floats,
    control_scores: Floats,
    baseline: Floats,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> EffectPrediction:
    """Calibrate numbers that rank people into effects, and predicted baselines into baselines.

    Parameters
    ----------
    priority, scores, control_scores, baseline, weights, groups
        See :meth:`causalkit.effects.calibration_lines.CalibrationLines.fit`.
    """
    lines = CalibrationLines.fit(priority, scores, control_scores, baseline, weights, groups)
    return lines.predict(priority, baseline)
