"""The ledger of a regression discontinuity: what speaks for and against a jump that only treatment explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.sample import Sample
from causalkit.errors import CausalKitError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.bandwidth_rules import MASS_POINTS
from causalkit.rdd.sweeps import Sweep, over_bandwidths, over_covariates, over_cutoffs, over_radii

if TYPE_CHECKING:
    from causalkit.rdd.rd_result import RegressionDiscontinuityResult

ALPHA = 0.05
#: Fewer rows than this within the bandwidth of a side make normal approximations doubtful.
FEW_ROWS = 50
#: The same for clusters.
FEW_CLUSTERS = 10
#: A first stage with a smaller F makes the ratio's normal approximation doubtful (Staiger and Stock 1997).
WEAK = 10.0


def ledger(sample: Sample, dropped: Mapping[str, str]) -> Checks:
    """Return the checks of the input, which are made at the fit."""
    found: dict[str, Check | Callable[[], Check]] = {"missing": missing_check(sample), **outcome_check(sample)}
    if sample.has("covariates"):
        found["collinearity"] = _collinearity(dropped)
    return Checks(found)


def checks_of(result: RegressionDiscontinuityResult) -> Checks:
    """Return the checks of the design, which are made when they are read."""
    makers: dict[str, Callable[[RegressionDiscontinuityResult], Check]] = {
        "effective_sample": _effective_sample,
        "density": _density,
        "placebo_cutoffs": _placebo_cutoffs,
        "donut": _donut,
        "bandwidth_sensitivity": _bandwidth_sensitivity,
    }
    if result._kept().features().names:
        makers["balance"] = _balance
    if result.first_stage is not None:
        makers["first_stage"] = _first_stage
    return Checks({name: partial(_or_untestable, name, make, result) for name, make in makers.items()})


def _or_untestable(name: str, make: Callable[[Any], Check], result: RegressionDiscontinuityResult) -> Check:
    """Make a check; say why where the data do not allow it."""
    try:
        return make(result)
    except CausalKitError as error:
        advice = error.hint or "Judge the assumption by what is known of the design."
        return Check(name, "untestable", error.message, advice=advice)


def _effective_sample(result: RegressionDiscontinuityResult) -> Check:
    """Count rows, clusters and repeated values."""
    split, (below, above) = result._rows.split, result.n_effective
    said = [f"{below:,} rows below and {above:,} above the cutoff lie within the bandwidth."]
    advice = []
    if min(below, above) < FEW_ROWS:
        advice.append(
            "Few rows carry the estimate: compare those next to the cutoff with a local randomization design."
        )
    if split.clusters is not None:
        inside = [
            int(np.unique(side.codes[:rows]).size)
            for side, rows in zip(split.sides, result.n_effective, strict=True)
            if side.codes is not None
        ]
        said.append(f"They belong to {inside[0]:,} and {inside[1]:,} clusters.")
        if min(inside) < FEW_CLUSTERS:
            advice.append('Few clusters: use vcov="CR2" or "CR3", and read intervals with caution.')
    mass = max(_repeated(side.distance[:rows]) for side, rows in zip(split.sides, result.n_effective, strict=True))
    if mass > 0:
        said.append(f"On one side {fmt.share(mass)} of them repeat a value of the running variable.")
    if mass >= MASS_POINTS:
        advice.append("The running variable is rather discrete: compare with ci(method='honest').")
    status: Status = "warn" if advice else "pass"
    return Check("effective_sample", status, " ".join(said), float(min(below, above)), advice=" ".join(advice))


def _repeated(ascending: Floats) -> float:
    """Share of values that an earlier one equals."""
    return np.count_nonzero(np.diff(ascending) == 0.0) / max(len(ascending), 1)


def _density(result: RegressionDiscontinuityResult) -> Check:
    """Test that the running variable has no jump in its density."""
    from causalkit.rdd.density import density_test_arrays

    sample: Sample = result._kept()
    estimator: Any = result.estimator
    return density_test_arrays(sample.number("running"), estimator.cutoff, name=sample.name("running")).check()


def _balance(result: RegressionDiscontinuityResult) -> Check:
    """Test that covariates do not jump."""
    found = over_covariates(result, None, None)
    if not found.rows:
        return Check("balance", "untestable", "No covariate varies.", advice="Name covariates that were set earlier.")
    adjusted, names = found.column("pvalue_adjusted"), found.column("covariate")
    worst = int(np.argmin(adjusted))
    jumps = adjusted[worst] < ALPHA
    message = (
        f"Of {fmt.plural(len(names), 'covariate')}, {names[worst]} jumps most at the cutoff: "
        f"{fmt.number(found.column('bias_corrected')[worst])}, p-value {fmt.pvalue(adjusted[worst])} (Holm)."
    )
    advice = "Units on the two sides differ: ask how they came to be on their side." if jumps else ""
    return Check(
        "balance",
        "fail" if jumps else "pass",
        message,
        found.column("statistic")[worst],
        adjusted[worst],
        advice,
        found.to_table(),
    )


def _placebo_cutoffs(result: RegressionDiscontinuityResult) -> Check:
    """Count significant jumps where nothing changes."""
    found = over_cutoffs(result, 20)
    if not found.rows:
        return Check(
            "placebo_cutoffs",
            "untestable",
            "No false cutoff has enough rows around it.",
            advice="Look at the figure of the outcome along the running variable instead.",
        )
    pvalues = np.array(found.column("pvalue"))
    count, total = int((pvalues < ALPHA).sum()), pvalues.size
    joint = float(special.bdtrc(count - 1, total, ALPHA)) if count else 1.0
    message = (
        f"{count} of {total} false cutoffs have a jump with p below {ALPHA}; {fmt.number(total * ALPHA, 2)} would by chance "
        f"(p-value {fmt.pvalue(joint)}, as if they were independent)."
    )
    many = joint < ALPHA
    advice = "The outcome jumps or bends elsewhere too: the polynomial may not follow it. Try smaller bandwidths."
    return Check(
        "placebo_cutoffs",
        "warn" if many else "pass",
        message,
        float(count),
        joint,
        advice if many else "",
        found.to_table(),
    )


def _donut(result: RegressionDiscontinuityResult) -> Check:
    """Compare the estimate with those without the nearest rows."""
    found, told = over_radii(result, None), "Without the rows next to the cutoff"
    return _steady(result, found, "donut", "radius", told, "Ask whether units next to the cutoff chose their side.")


def _bandwidth_sensitivity(result: RegressionDiscontinuityResult) -> Check:
    """Compare the estimate with those at half to twice the bandwidth."""
    found = over_bandwidths(result, None)
    return _steady(
        result, found, "bandwidth_sensitivity", "bandwidth", "At half to twice the bandwidth",
        "The answer hangs on the bandwidth: show the figure, and say which bandwidth you would defend.",
    )  # fmt: skip


def _steady(result: RegressionDiscontinuityResult, found: Sweep, name: str, what: str, told: str, advice: str) -> Check:
    """Warn where an interval leaves out the estimate of the fit, or where the estimate changes its sign."""
    values, low, high = (np.array(found.column(key)) for key in ("bias_corrected", "ci_low", "ci_high"))
    own = result.found.effect.corrected
    off = (own < low) | (own > high)
    turned = np.sign(values) != np.sign(own)
    significant = result.pvalue < ALPHA
    moved = off | (turned & significant)
    message = (
        f"{told} the bias-corrected estimate goes from {fmt.number(float(values.min()))} to "
        f"{fmt.number(float(values.max()))}; it is {fmt.number(own)} in the fit."
    )
    if moved.any():
        at = int(np.argmax(off if off.any() else moved))
        told = "its interval leaves that out." if off.any() else "its sign turns."
        message += f" At a {what} of {fmt.number(found.column(what)[at])} {told}"
    return Check(
        name, "warn" if moved.any() else "pass", message, float(np.ptp(values)), advice=advice if moved.any() else "",
        table=found.to_table(),
    )  # fmt: skip


def _first_stage(result: RegressionDiscontinuityResult) -> Check:
    """Test that the treatment jumps enough."""
    jump = result.found.first_stage
    assert jump is not None
    # Where everybody does as the rule says, the jump is known without error.
    statistic = (jump.conventional / jump.se) ** 2 if jump.se > 0 else np.inf
    weak = statistic < WEAK
    message = (
        f"The treatment jumps by {fmt.number(jump.conventional)} (standard error {fmt.number(jump.se)}): F = "
        f"{fmt.number(statistic)}."
    )
    advice = 'Weak: report ci(method="ar"), which holds however small the jump is.' if weak else ""
    return Check("first_stage", "warn" if weak else "pass", message, statistic, advice=advice)


def _collinearity(dropped: Mapping[str, str]) -> Check:
    if not dropped:
        return Check("collinearity", "pass", "No covariate is determined by the others.")
    said = "; ".join(f"{name} ({why})" for name, why in dropped.items())
    return Check(
        "collinearity",
        "warn",
        f"{fmt.plural(len(dropped), 'column')} left out: {said}.",
        advice="Make sure that none was meant to stay.",
    )
