"""All estimators of one panel side by side: the same rows, the same estimand, and why they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core._upward import public
from causalkit.core.check import Check, Checks
from causalkit.core.design import Design
from causalkit.core.estimator import Estimator
from causalkit.core.result import Result
from causalkit.core.result_map import ResultMap
from causalkit.core.sample import Sample
from causalkit.did import comparison_words as words
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.comparison_align import (
    aligned,
    common_cells,
    coverage,
    grid_of,
    mass_of_cells,
    treated_cells,
    within,
)
from causalkit.did.comparison_report import WHOLE, EstimatorComparison, is_twfe
from causalkit.did.event_study import EventStudyResult
from causalkit.errors import CausalKitError, DesignError

#: Differences between estimators are called real below this (Holm's adjustment over the estimators).
ALPHA = 0.05


def compare(
    data: Any,
    *,
    outcome: Any,
    unit: Any,
    time: Any,
    cohort: Any = None,
    treatment: Any = None,
    covariates: Sequence[str] | str = (),
    control: Any = None,
    treatment_level: Any = None,
    cluster: Any = None,
    weights: Any = None,
    missing: Literal["drop", "raise"] = "drop",
    estimators: Mapping[str, Estimator[Any]] | Sequence[str] | None = None,
    anticipation: int = 0,
    unbalanced: Literal["drop", "raise"] = "drop",
) -> EstimatorComparison:
    """Run every estimator of a staggered panel on the same rows, and say why their answers differ.

    All of them see the units that are observed in every period and not treated from the first one on; measure from a
    universal base period; and are averaged over the treated cells (cohort and period) that all of them have, each weighted
    by its units. Two-way fixed effects keeps its coefficient: it is the contrast.

    Parameters
    ----------
    data : table
        One row per unit and period.
    outcome : str
        Numeric column.
    unit, time : str
        Who and when.
    cohort, treatment : str
        One of them: when the unit is first treated (0, missing, infinite or later than the last period means never), or
        whether the row is.
    covariates : list of str
        Numbers or categories; each estimator uses them in its own way.
    control, treatment_level : level, optional
        Levels of ``treatment``, needed for text.
    cluster : str, optional
        Clusters that hold whole units; units by default.
    weights : str, optional
        Weights.
    missing : {"drop", "raise"}
        What to do with rows that lack any of these.
    estimators : mapping of str to Estimator, or list of str
        Estimators of your own by name, or some of the usual ones by their name in the table; all of these by default.
    anticipation : int
        Periods before the start in which units may already respond.
    unbalanced : {"drop", "raise"}
        What to do with units that are not observed in every period.

    Returns
    -------
    EstimatorComparison
        Estimators that this panel does not allow stand in ``left_out``, with the reason.

    Raises
    ------
    DataError, DesignError
        If the table or the roles can't be used, or no estimator can.
    """
    given = {
        "outcome": outcome,
        "unit": unit,
        "time": time,
        "cohort": cohort,
        "treatment": treatment,
        "covariates": covariates,
        "control": control,
        "treatment_level": treatment_level,
        "cluster": cluster,
        "weights": weights,
        "missing": missing,
    }
    cohorts = Cohorts.of(Design(ROLES).bind(data, given), unbalanced=unbalanced)
    return _compared(cohorts, _chosen(estimators, usual(cohorts, anticipation)))


def usual(cohorts: Cohorts, anticipation: int = 0) -> dict[str, Estimator[Any]]:
    """Return the estimators that are compared, by the name they have in the table; the reference comes first."""
    late = max(cohorts.n_periods - 1 - int(cohorts.starts.max()), 0)
    said = {"anticipation": anticipation}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "CallawaySantAnna, never treated": (
            "CallawaySantAnna",
            {"control_group": "never_treated", "base_period": "universal", **said},
        ),
        "CallawaySantAnna, not yet treated": (
            "CallawaySantAnna",
            {"control_group": "not_yet_treated", "base_period": "universal", **said},
        ),
        "SunAbraham": ("SunAbraham", said),
        "ImputationDiD": ("ImputationDiD", said),
        "TwoStageDiD": ("TwoStageDiD", said),
        "ExtendedTWFE": ("ExtendedTWFE", said),
        "StackedDiD": ("StackedDiD", {"pre_window": 1, "post_window": late, **said}),
        # Its base is the period before the start, whatever may be anticipated.
        **({} if anticipation else {"LocalProjectionsDiD": ("LocalProjectionsDiD", {"method": "equally_weighted"})}),
        "TWFE": ("TWFE", {}),
    }
    return {name: public(kind)(**fields) for name, (kind, fields) in kinds.items()}


def _chosen(asked: Any, offered: Mapping[str, Estimator[Any]]) -> dict[str, Estimator[Any]]:
    if asked is None:
        return dict(offered)
    if isinstance(asked, Mapping):
        strays = [name for name, estimator in asked.items() if not isinstance(estimator, Estimator)]
        if strays:
            raise DesignError(f"estimators[{strays[0]!r}] is not an estimator.", hint="Such as causalkit.TWFE().")
        return dict(asked)
    unknown = [name for name in asked if name not in offered]
    if unknown or not asked:
        raise DesignError(
            f"estimators={list(asked)!r} names none of the usual ones.", hint=f"Use {'; '.join(offered)}."
        )
    return {name: offered[name] for name in asked}


def _compared(cohorts: Cohorts, estimators: Mapping[str, Estimator[Any]]) -> EstimatorComparison:
    found: dict[str, Result] = {}
    left_out: dict[str, str] = {}
    for name, estimator in estimators.items():
        try:
            found[name] = _fitted(estimator, cohorts.sample)
        except CausalKitError as error:
            left_out[name] = str(error)
    if not any(not is_twfe(result) for result in found.values()):
        raise DesignError(f"no estimator can be used: {next(iter(left_out.values()), 'none was named')}")
    common, mass = common_cells(found), mass_of_cells(cohorts)
    if not common and any(isinstance(result, EventStudyResult) for result in found.values()):
        raise DesignError(
            "the estimators have no treated cell (cohort and period) in common, so their averages can't be compared.",
            hint="Name fewer: estimators=.",
        )
    averages = {name: aligned(result, common, mass) for name, result in found.items()}
    covered = {name: coverage(result, common, cohorts) for name, result in found.items()}
    reference = next(name for name, result in found.items() if not is_twfe(result))
    weighing = None
    contrast = next((name for name, result in found.items() if is_twfe(result)), None)
    first = found[reference]
    if contrast is not None and isinstance(first, EventStudyResult):
        weighing = words.weigh(
            cohorts,
            cohorts.treated,
            float(averages[contrast].values[0]),
            grid_of(first, cohorts),
            common,
            float(averages[reference].values[0]),
        )
    comparison = EstimatorComparison(
        ResultMap(found, "Estimators of one panel"), averages, covered, left_out, reference, (), weighing, Checks({})
    )
    checks: dict[str, Any] = {**cohorts.checks(), "agreement": lambda: _agreement(comparison)}
    checks |= {"pre_trends": first.checks["pre_trends"]} if "pre_trends" in first.checks else {}
    if contrast is not None:
        checks["negative_weights"] = found[contrast].checks["negative_weights"]
    reasons = tuple(_reasons(comparison, cohorts, contrast))
    return replace(comparison, reasons=reasons, checks=Checks(checks))


def _fitted(estimator: Estimator[Any], sample: Sample) -> Result:
    lacking = [role for role in sample.columns if role not in estimator.roles]
    if lacking:
        raise DesignError(f"it takes no {lacking[0]}=.")
    result: Result = estimator.seeded().estimate(sample)
    return result


def _agreement(comparison: EstimatorComparison) -> Check:
    """Check whether estimators that allow effects to differ agree."""
    from causalkit.inference.multiplicity import adjust_pvalues
    from causalkit.inference.wald import t_pvalue

    known = {
        name: (value, se)
        for name, (value, se) in comparison.gaps.items()
        if se is not None and se > 0 and name in comparison.comparable
    }
    if not known:
        return Check("agreement", "untestable", "There are no two estimators to compare, or they are the same.")
    adjusted = adjust_pvalues(t_pvalue([value / se for value, se in known.values()]), method="holm")
    worst = int(np.argmin(adjusted))
    name = list(known)[worst]
    bad = bool(adjusted[worst] < ALPHA)
    return Check(
        "agreement",
        "warn" if bad else "pass",
        f"Estimators that allow effects to differ {'disagree' if bad else 'agree'}: the clearest difference from "
        f"{comparison.reference} is that of {name}, {fmt.number(known[name][0], 3)} (p-value {fmt.pvalue(adjusted[worst])}, "
        f"adjusted for {len(known)}).",
        statistic=known[name][0] / known[name][1],
        pvalue=float(adjusted[worst]),
        advice="They rest on different parallel trends (other controls, other base periods): one of them fails."
        if bad
        else "",
    )


def _reasons(comparison: EstimatorComparison, cohorts: Cohorts, contrast: str | None) -> list[str]:
    results, reference = comparison.results, comparison.reference
    cells, every = common_cells(results), set(mass_of_cells(cohorts))
    out = [
        (
            f"All averages are over the same {fmt.plural(len(cells), 'treated cell')} (cohort and period), each weighted by its "
            f"units, on {fmt.plural(cohorts.n_units, 'unit')}; effects are measured from a universal base period."
        )
    ]
    if cells and cells != every:
        studies = {name: result for name, result in results.items() if isinstance(result, EventStudyResult)}
        short = [name for name, result in studies.items() if every - treated_cells(result)]
        out.append(f"{fmt.plural(len(every - cells), 'cell')} left out, which are lacking in {'; '.join(short)}.")
    told: dict[str, float] = {}
    for name in comparison.averages:
        if name in (contrast, reference):
            continue
        out.append(f"{name}: {_told(comparison, cohorts, name, told)}")
    if contrast is not None and comparison.weighing is not None:
        out.append(words.said_of_weights(contrast, reference, comparison.weighing))
    return out


def _told(comparison: EstimatorComparison, cohorts: Cohorts, name: str, told: dict[str, float]) -> str:
    """Say how one estimator differs from the reference, or which one it equals."""
    reference, results = comparison.reference, comparison.results
    result, base = results[name], results[reference]
    value, se = comparison.gaps[name]
    said = words.about(result.estimator)
    if value == 0.0:
        return f"the same number as {reference}; {said}."
    twin = next((other for other, known in told.items() if abs(known - value) <= 1e-9 * abs(value)), None)
    told[name] = value
    if twin is not None:
        return f"the same number as {twin}; {said}."
    if comparison.covered[name] < WHOLE:
        text = f"speaks of {fmt.share(comparison.covered[name], 0)} of the treated observations only: {said}."
        if isinstance(base, EventStudyResult) and isinstance(result, AggregateResult):
            there = float(within(base, result, cohorts).values[0])
            text += f" At these event times {reference} gives {fmt.number(there, 3)}."
        return text
    error = "" if se is None else f" (standard error of the difference {fmt.number(se, 2)})"
    return f"{fmt.number(value, 3)} from {reference}{error}. {_because(result.estimator, base.estimator)}."


def _because(estimator: Estimator[Any], reference: Estimator[Any]) -> str:
    parts = []
    if words.controls_of(estimator) != words.controls_of(reference):
        parts.append(f"compares with units {words.controls_of(estimator)}")
    if words.base_of(estimator) != words.base_of(reference):
        parts.append(f"measures from {words.base_of(estimator)}")
    said = words.about(estimator)
    return f"It {' and '.join(parts)}; {said}" if parts else said[:1].upper() + said[1:]
