"""Average effects of doubly robust scores: over everybody, the treated, the control, and where arms overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.rows import Groups, Rows
from causalkit.errors import DesignError
from causalkit.inference.vcov import count_clusters, multiway_vcov
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.linear.least_squares import least_squares

Target = Literal["all", "treated", "control", "overlap"]
TARGETS: tuple[str, ...] = ("all", "treated", "control", "overlap")
#: No clusters, one way of clustering, or several crossed ways.
Clusters = Groups | Sequence[Groups] | None


def average_effect(
    scores: Floats,
    weights: Floats | None = None,
    groups: Clusters = None,
    *,
    rows: Rows | None = None,
    small_sample: bool = True,
) -> Estimate:
    """Average scores, with influence values.

    Parameters
    ----------
    scores : Floats, shape (n,) or (n, k)
        Doubly robust scores of a contrast, one column per contrast.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    groups : Groups or sequence of Groups, optional
        Clusters; several crossed ways give a covariance without influence values (Cameron, Gelbach and Miller 2011).
    rows : Rows, optional
        Whose scores they are; by default rows 0 to n - 1 of a table without identity.
    small_sample : bool
        Multiply the variance by n/(n-1) (HC1; also R grf), or G/(G-1) with clusters (CR1). Without it the variance is
        ``mean((score - theta)^2) / n`` (HC0, CR0), which is DoubleML's convention.

    Returns
    -------
    Estimate
        ``theta = sum(w score) / sum(w)``, ``psi = w (score - theta) / sum(w)``.

    References
    ----------
    Robins, Rotnitzky and Zhao (1994); Chernozhukov et al. (2018), *Double/debiased machine learning*, section 5.1.
    """
    columns = scores.reshape(len(scores), -1)
    share = shares(len(columns), weights)
    pivot = columns[0]
    theta = pivot + share @ (columns - pivot)
    psi = share[:, None] * (columns - theta)
    return estimate_of(theta, psi, groups, rows, small_sample=small_sample)


def group_effects(
    scores: Floats,
    by: Groups,
    *,
    slope: Floats | None = None,
    weights: Floats | None = None,
    groups: Clusters = None,
    rows: Rows | None = None,
) -> Estimate:
    """Average scores within groups of rows, with influence values.

    Parameters
    ----------
    scores : Floats, shape (n,)
        Doubly robust scores; or, with ``slope``, residual outcomes.
    by : Groups
        The group of each row.
    slope : Floats, shape (n,), optional
        Residual treatment; the effect of a group is then the slope of residual on residual in it.
    weights, groups, rows
        As for :func:`average_effect`.

    Returns
    -------
    Estimate
        One value per group. HC1 and CR1 count every group as a parameter, as a regression on indicators does; the degrees of
        freedom of a group are one less than its rows, or than the clusters that hold one of them.

    Raises
    ------
    DesignError
        If a group lies in one cluster: its values add up to zero there, so that its error would be zero.
    """
    share = shares(len(scores), weights)
    v = np.ones(len(scores)) if slope is None else slope
    k = len(by.labels)
    mass = np.bincount(by.codes, share * v * v, k)
    pivot = np.array([scores[by.codes == g][0] if slope is None else 0.0 for g in range(k)])
    near = scores - pivot[by.codes]
    theta = np.bincount(by.codes, share * v * near, k) / mass
    psi = np.zeros((len(scores), k))
    psi[np.arange(len(scores)), by.codes] = share * v * (near - theta[by.codes] * v) / mass[by.codes]
    found = estimate_of(pivot + theta, psi, groups, rows, n_parameters=k)
    df = np.minimum(found.df, _units_by_group(by, groups) - 1.0)
    return replace(found, carrier=replace(found.carrier, df=df))


def _units_by_group(by: Groups, groups: Clusters) -> Ints:
    """Count the rows of each group, or the clusters that hold one of them (the fewest where there are several ways)."""
    ways = () if groups is None else (groups,) if isinstance(groups, Groups) else tuple(groups)
    if not ways:
        return np.bincount(by.codes, minlength=len(by.labels))
    counts = []
    for way in ways:
        held = np.unique(np.column_stack([by.codes, way.codes]), axis=0)
        counts.append(np.bincount(held[:, 0], minlength=len(by.labels)))
        if counts[-1].min() < 2:
            raise DesignError(
                f"group {by.labels[int(counts[-1].argmin())]!r} lies in one cluster of {way.name!r}, so its error is not known.",
                hint="Join it with another group, or ask for groups that cut across clusters.",
            )
    fewest: Ints = np.min(counts, axis=0)
    return fewest


def estimate_of(
    theta: Floats,
    psi: Floats,
    groups: Clusters,
    rows: Rows | None,
    *,
    n_parameters: int = 1,
    small_sample: bool = True,
) -> Estimate:
    """Join estimates and influence values, shape (n, k), with the scale and degrees of freedom of HC1 or CR1.

    HC1 is n/(n - p) with n - p degrees of freedom; CR1 is G/(G - 1) (n - 1)/(n - p) with G - 1, p = ``n_parameters``, and G
    the smallest number of clusters where there are several ways.
    """
    n, k = psi.shape
    if groups is not None and not isinstance(groups, Groups):
        if len(groups) > 1:
            return _multiway(theta, psi, groups, n_parameters, small_sample)
        groups = groups[0] if groups else None
    rows = Rows(np.arange(n), "") if rows is None else rows
    if groups is None:
        scale, df, kind = n / (n - n_parameters), float(n - n_parameters), "HC"
    else:
        count = groups.count
        if count < 2:
            raise DesignError(
                f"cluster {groups.name!r} has one cluster only.", hint="Clustered inference needs two or more."
            )
        scale, df, kind = count / (count - 1) * (n - 1) / (n - n_parameters), float(count - 1), "CR"
    carrier = Influence(
        read_only(psi), rows, groups, scale if small_sample else 1.0, np.full(k, df), f"{kind}{int(small_sample)}"
    )
    return Estimate(theta, carrier)


def _multiway(theta: Floats, psi: Floats, groups: Sequence[Groups], n_parameters: int, small_sample: bool) -> Estimate:
    """Return the estimate with its covariance over crossed clusters, which no set of influence values gives."""
    ways = [way.codes for way in groups]
    factor = (len(psi) - 1) / (len(psi) - n_parameters) if small_sample else 1.0
    matrix = multiway_vcov(psi, ways, small_sample=small_sample, scale=factor).matrix
    df = np.full(psi.shape[1], float(min(count_clusters(way) for way in ways) - 1))
    return Estimate(theta, Covariance(read_only(matrix), df, f"CR{int(small_sample)}"))


def target_effect(
    target: Target,
    outcome: Floats,
    arms: Codes,
    mu: Floats,
    e: Floats,
    *,
    weights: Floats | None = None,
    groups: Clusters = None,
    rows: Rows | None = None,
    normalize: bool = True,
    small_sample: bool = True,
) -> Estimate:
    """Average effect of each arm against arm 0 in a target population.

    Parameters
    ----------
    target : {"all", "treated", "control", "overlap"}
        ``"treated"``: people in the arm that is compared with the control (ATT). ``"control"``: people in the control
        arm (ATC). ``"overlap"``: people weighted by e_0 e_a / (e_0 + e_a)^2, most where both arms were likely, by
        regression of residual on residual with an intercept (Crump et al. 2006; Robinson 1988); other arms are left out.
    outcome : Floats, shape (n,)
    arms : Codes, shape (n,)
    mu, e : Floats, shape (n, n_arms)
        Expected outcome under, and probability of, each arm.
    weights, groups, rows, small_sample
        As for :func:`average_effect`.
    normalize : bool
        For treated and control: whether the weights of the reweighted arm sum to one (Hájek; R grf), or not (DoubleML).

    Returns
    -------
    Estimate
        One value per arm other than the control.
    """
    if target not in TARGETS:
        raise DesignError(f"target={target!r} is not an option.", hint=f"Use one of {', '.join(map(repr, TARGETS))}.")
    share = shares(len(outcome), weights)
    others = range(1, mu.shape[1])
    if target == "all":
        from causalkit.nuisance.scores import dr_scores

        scores = dr_scores(outcome, arms, mu, e)
        return average_effect(scores[:, 1:] - scores[:, :1], weights, groups, rows=rows, small_sample=small_sample)
    if target == "overlap":
        parts = [_overlap(outcome, arms, mu, e, arm, share) for arm in others]
    else:
        parts = [shifted_effect(target, outcome, arms, mu, e, arm, share, normalize) for arm in others]
    theta = np.array([part[0] for part in parts])
    psi = np.column_stack([part[1] for part in parts])
    count = 2 if target == "overlap" else 1
    return estimate_of(theta, psi, groups, rows, n_parameters=count, small_sample=small_sample)


def overlap_regression(
    outcome: Floats, arms: Codes, mu: Floats, e: Floats, arm: int = 1
) -> tuple[Ints, Floats, Floats]:
    """Return the rows in ``arm`` or the control, and their residual outcome and residual treatment."""
    kept = np.flatnonzero((arms == arm) | (arms == 0))
    chance = e[kept, arm] / (e[kept, arm] + e[kept, 0])
    mean = mu[kept, 0] + chance * (mu[kept, arm] - mu[kept, 0])
    return kept, outcome[kept] - mean, (arms[kept] == arm) - chance


def shares(n: int, weights: Floats | None) -> Floats:
    """Return what each of ``n`` rows counts for, shape (n,): its weight over their sum, or ``1 / n``."""
    return np.full(n, 1.0 / n) if weights is None else weights / weights.sum()


def shifted_effect(
    target: str, outcome: Floats, arms: Codes, mu: Floats, e: Floats, arm: int, share: Floats, normalize: bool
) -> tuple[float, Floats]:
    """Effect on the arm that stays as it is, by reweighting the other one to look like it."""
    own, other = (arm, 0) if target == "treated" else (0, arm)
    sign = 1.0 if target == "treated" else -1.0
    residual = outcome - mu[:, other]  # from the outcome expected in the other arm
    here = share * (arms == own)
    there = share * (arms == other) * e[:, own] / e[:, other]
    mass = float(here.sum())
    here, there = here / mass, there / (float(there.sum()) if normalize else mass)
    first, second = float(here @ residual), float(there @ residual)
    theta = sign * (first - second)
    if normalize:
        return theta, sign * (here * (residual - first) - there * (residual - second))
    return theta, sign * ((here - there) * residual - here * (first - second))


def _overlap(outcome: Floats, arms: Codes, mu: Floats, e: Floats, arm: int, share: Floats) -> tuple[float, Floats]:
    kept, y, w = overlap_regression(outcome, arms, mu, e, arm)
    fit = least_squares(
        y, np.column_stack([w, np.ones(len(kept))]), names=("effect", "constant"), weights=share[kept], vcov="HC0"
    )
    psi = np.zeros(len(outcome))
    psi[kept] = fit.psi[:, 0]
    return float(fit.coefficients[0]), psi
