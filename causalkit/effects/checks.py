"""The assumption ledger of effects: what was left out, who has no outcome, how arms were dealt, balance, overlap, fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.few_clusters import FEW_ON_A_SIDE, few_clusters_check
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.core.table import Table
from causalkit.effects.balance import Balance, assess_balance
from causalkit.effects.crossfit_study import Study, arm_names, clusters_of
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import t_pvalue, wald_test
from causalkit.kernels.arrays import Floats, Ints

#: Standardised differences that are called noticeable, and large (Austin 2009; Stuart 2010).
NOTICEABLE, LARGE = 0.1, 0.25
#: Shares of the variance of a treatment that covariates leave, below which an estimate rests on few rows, and on too few.
_LITTLE, _TOO_LITTLE = 0.05, 0.01

_POOR_MODEL = "The outcome model is worse than a constant; try another regressor=."


def effect_checks(sample: Sample, study: Study) -> Checks:
    """Return the ledger; ``missing`` and ``overlap`` are made now, the others when they are read."""
    makers: dict[str, Check | Callable[[], Check]] = {
        "missing": missing_check(sample),
        **outcome_check(sample),
        "missing_outcomes": lambda: missing_outcomes_check(sample),
    }
    expected = known_share(sample)
    if expected is None:
        makers["allocation"] = lambda: allocation_check(sample)
    else:
        makers["srm"] = lambda: srm_check(sample, study, expected)
    makers["balance"] = lambda: balance_check(sample, study)
    makers["overlap"] = overlap_check(study)
    makers["outcome_model"] = lambda: outcome_model_check(study)
    return Checks(makers | few_clusters(sample))


def dose_checks(sample: Sample, overlap: Check, skill: float) -> Checks:
    """Return the ledger of a dose; ``skill`` is R² of the outcome model, out of fold."""
    poor = skill < -0.05
    model = Check(
        "outcome_model",
        "warn" if poor else "pass",
        f"R² out of fold: {skill:.2f} (0 is no better than a constant).",
        skill,
        None,
        _POOR_MODEL if poor else "",
    )
    told = {"missing": missing_check(sample), **outcome_check(sample), "overlap": overlap, "outcome_model": model}
    return Checks(told | few_clusters(sample))


def few_clusters(sample: Sample) -> dict[str, Check | Callable[[], Check]]:
    """Return the check of the clusters that errors go by, of the way that has the fewest; nothing without clusters."""
    named = sample.several("cluster")
    one = None if len(named) > 1 else clusters_of(sample)
    ways = named if len(named) > 1 else () if one is None else (one,)
    return {"few_clusters": lambda: _few_clusters(sample, min(ways, key=lambda way: way.count))} if ways else {}


def _few_clusters(sample: Sample, way: Groups) -> Check:
    arms = sample.columns["treatment"]
    told, few = "", False
    if isinstance(arms, Arms):
        sizes = [len(np.unique(way.codes[arms.codes == arm])) for arm in range(arms.count)]
        few = min(sizes) < min(FEW_ON_A_SIDE, way.count)
        told = f", of which only {min(sizes)} have {arm_names(arms)[int(np.argmin(sizes))]}" if few else ""
    advice = "Intervals are often too short: look for more clusters, or permute the treatment between them (ck.refute)."
    return few_clusters_check(way.count, way.name, told, few, advice)


def remainder_check(name: str, left: float) -> Check:
    """Judge the share of the variance of the treatment ``name`` that covariates leave."""
    status: Status = "fail" if left < _TOO_LITTLE else "warn" if left < _LITTLE else "pass"
    told = f"Covariates leave {fmt.share(left)} of the variance of {name} unexplained, out of fold."
    advice = "" if status == "pass" else "The estimate rests on this remainder; leave out covariates that fix the dose."
    return Check("overlap", status, told, left, None, advice)


def missing_outcomes_check(sample: Sample) -> Check:
    """Test whether outcomes are missing equally often in every arm (differential attrition)."""
    counts = sample.dropped.by_arm
    if not counts:
        return Check("missing_outcomes", "untestable", "The sample does not know the arms of the rows left out.")
    names = arm_names(sample.arms)
    rows = [(name, n, gone, gone / n) for name, (_, n, gone) in zip(names, counts, strict=True)]
    table = Table.of(("arm", "rows", "without outcome", "share"), rows)
    total = sum(gone for _, _, gone in counts)
    if total == 0:
        return Check("missing_outcomes", "pass", "Every row of every arm has an outcome.", table=table)
    clustered = sample.dropped.by_arm_and_cluster
    if clustered:
        statistic, pvalue = _clustered_shares(np.array(clustered), sample.arms.count)
    else:
        statistic, pvalue = _chi_square(np.array([[gone, n - gone] for _, n, gone in counts], dtype=float))
    told = ", ".join(f"{fmt.share(gone)} of {name}" for name, _, _, gone in rows)
    low, high = worst_case_difference(sample)
    settled = low > 0 or high < 0
    status: Status = "pass" if pvalue >= 0.05 else "warn" if pvalue >= 0.001 or settled else "fail"
    message = (
        f"Outcomes are missing for {told}; equal shares have p-value {fmt.pvalue(pvalue)}. Whatever the missing ones were, "
        f"{_difference(sample)} lies between {fmt.number(low, 3)} and {fmt.number(high, 3)}."
    )
    advice = (
        ""
        if status == "pass"
        else "Those who remain are no longer strictly comparable: quote the bounds beside the effect."
    )
    return Check("missing_outcomes", status, message, statistic, pvalue, advice, table)


def _difference(sample: Sample) -> str:
    """Name the difference that is bounded: that of the arm of interest, or of the first of several."""
    return (
        "the difference in means" if sample.arms.count == 2 else f"the difference in means of {sample.arms.contrast()}"
    )


def worst_case_difference(sample: Sample) -> tuple[float, float]:
    """Bound the difference in means of the arm of interest over all values that the missing outcomes may have.

    An outcome lies between the smallest and the largest that was seen (0 and 1 for a binary one): Manski (1990), "Nonparametric
    bounds on treatment effects", *American Economic Review* 80(2).
    """
    y, codes = sample.outcome, sample.arms.codes
    floor, ceiling = float(y.min()), float(y.max())
    ends = []
    for arm, (_, n, gone) in list(enumerate(sample.dropped.by_arm))[:2]:
        seen = float(y[codes == arm].mean())
        ends.append(tuple(seen + (end - seen) * gone / n for end in (floor, ceiling)))
    (control_low, control_high), (arm_low, arm_high) = ends
    return arm_low - control_high, arm_high - control_low


def known_share(sample: Sample) -> float | None:
    """Return the known probability of the arm of interest where it is one number for everybody."""
    given = sample.optional("propensity")
    if given is None or sample.arms.count != 2 or np.ptp(given) > 0:
        return None
    return float(given[0])


def allocation_check(sample: Sample) -> Check:
    """Show how many rows each arm has, where nobody said how many it should have."""
    counts = np.bincount(sample.arms.codes, minlength=sample.arms.count)
    rows = [(name, int(c), c / sample.n) for name, c in zip(arm_names(sample.arms), counts, strict=True)]
    told = ", ".join(f"{name} {count:,} ({fmt.share(part)})" for name, count, part in rows)
    return Check(
        "allocation",
        "untestable",
        f"Rows by arm: {told}; no expected shares were given to test them against.",
        advice="If the arms were randomised, pass propensity= with the planned share.",
        table=Table.of(("arm", "rows", "share"), rows),
    )


def srm_check(sample: Sample, study: Study, expected: float) -> Check:
    """Test the share of the treated against the planned one (sample ratio mismatch), by cluster where there are any."""
    gap = (sample.arms.codes == 1) - expected
    observed = expected + float(gap.mean())
    free = np.inf
    if study.groups is None:
        variance = sample.n * expected * (1.0 - expected)
    else:
        free = float(study.groups.count - 1)
        variance = float((np.bincount(study.groups.codes, weights=gap) ** 2).sum())
    z = float(gap.sum() / np.sqrt(variance)) if variance > 0 else 0.0
    pvalue = float(t_pvalue(z, free))
    status: Status = "fail" if pvalue < 0.001 else "warn" if pvalue < 0.01 else "pass"
    who = arm_names(sample.arms)[1]
    return Check(
        "srm",
        status,
        f"{fmt.share(observed, 2)} of the rows got {who}, {fmt.share(expected, 2)} were planned; p-value "
        f"{fmt.pvalue(pvalue)}.",
        z,
        pvalue,
        "" if status == "pass" else "Find out why rows were lost or misassigned before reading the effect.",
    )


def balance_of(sample: Sample, study: Study) -> Balance:
    """Return the balance of the covariates of a sample."""
    labels = arm_names(sample.arms)
    return assess_balance(sample.features(), sample.arms.codes, labels, study.nuisances.e, study.weights, study.groups)


def balance_check(sample: Sample, study: Study) -> Check:
    """Judge balance: by the joint test where the propensity is known, else by what is left after weighting too."""
    if not sample.features().names:
        return Check("balance", "untestable", "No covariates were named, so there is nothing to compare the arms on.")
    found = balance_of(sample, study)
    if not found.names:
        return Check("balance", "untestable", "No covariate varies, so there is nothing to compare the arms on.")
    worst, left = int(np.argmax(np.abs(found.difference))), int(np.argmax(np.abs(found.adjusted)))
    message = (
        f"The largest difference is {fmt.number(abs(float(found.difference[worst])), 2)} sd ({found.names[worst]})"
    )
    pvalue = found.pvalue
    if pvalue is not None:
        message += f"; all means equal: p-value {fmt.pvalue(pvalue)}"
    known = study.nuisances.propensity.source == "known"
    status: Status
    if known:
        status = "pass" if pvalue is None or pvalue >= 0.05 else "fail" if pvalue < 0.001 else "warn"
        advice = "The arms differ more than chance explains: check the randomisation."
    else:
        rest = abs(float(found.adjusted[left]))
        message += f"; after weighting {fmt.number(rest, 2)} sd ({found.names[left]})"
        alike = pvalue is not None and pvalue >= 0.05
        status = "pass" if alike or rest <= NOTICEABLE else "warn" if rest <= LARGE else "fail"
        advice = "Weighting does not make the arms alike; the effect rests on the outcome model."
    return Check(
        "balance", status, f"{message}.", found.statistic, pvalue, "" if status == "pass" else advice, found.to_table()
    )


def overlap_check(study: Study) -> Check:
    """Pass on the verdict of the propensities."""
    chances = study.nuisances.propensity
    seen = chances.overlap
    auc = "" if chances.auc is None else f" Covariates tell the arms apart with AUC {chances.auc:.2f}."
    levels = arm_names(study.arms)
    columns = (seen.minimum, seen.maximum, seen.counts, seen.effective)
    rows = [(name, *(float(column[a]) for column in columns)) for a, name in enumerate(levels)]
    table = Table.of(("arm", "smallest probability", "largest probability", "rows", "effective rows"), rows)
    share = float(np.min(seen.effective / np.maximum(seen.counts, 1.0)))
    return Check("overlap", seen.status, f"{seen.message}{auc}", share, None, seen.advice, table)


def outcome_model_check(study: Study) -> Check:
    """Say how much better than a constant the outcome models are; the estimate stays right where they are not."""
    quality = study.nuisances.quality
    levels = arm_names(study.arms)
    rows = list(zip(levels, quality.outcome_skill, strict=True))
    name = "R²" if quality.metric == "r2" else "share of log-loss saved"
    told = ", ".join(f"{level} {skill:.2f}" for level, skill in rows)
    worst = float(min(quality.outcome_skill))
    poor = worst < -0.05
    return Check(
        "outcome_model",
        "warn" if poor else "pass",
        f"{name} out of fold, by arm: {told} (0 is no better than a constant).",
        worst,
        None,
        _POOR_MODEL if poor else "",
        Table.of(("arm", name), rows),
    )


def _clustered_shares(counts: Ints, n_arms: int) -> tuple[float, float]:
    """Score test of equal shares of missing outcomes over arms, whole clusters being independent (Rao and Scott 1987).

    ``counts`` has rows (arm, cluster, rows, rows without an outcome). The statistic is the Wald F of the arms' shares against
    the control's, with the covariance of cluster totals around the pooled share.
    """
    arm, cluster, n, gone = counts.T
    totals = np.maximum(np.bincount(arm, n, n_arms), 1.0)
    pooled = gone.sum() / n.sum()
    clusters, at = np.unique(cluster, return_inverse=True)
    sums = np.zeros((len(clusters), n_arms))
    np.add.at(sums, (at, arm), (gone - pooled * n) / totals[arm])
    gaps = sums[:, 1:] - sums[:, :1]
    if len(clusters) < 2:
        return float("nan"), 1.0
    found = wald_test(
        gaps.sum(axis=0), sandwich(gaps, None, len(clusters) / (len(clusters) - 1)), float(len(clusters) - 1)
    )
    return float(found[0]), float(found[3])


def _chi_square(table: Floats) -> tuple[float, float]:
    """Pearson's chi-square of an (arms, 2) table; rows or columns without counts carry no information."""
    table = table[table.sum(axis=1) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    filled = expected > 0
    statistic = float(((table - expected)[filled] ** 2 / expected[filled]).sum())
    return statistic, float(special.chdtrc(len(table) - 1, statistic)) if len(table) > 1 else 1.0
