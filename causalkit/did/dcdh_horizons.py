"""One horizon of DCDH: the estimate, its influence values, and the change of treatment behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.did.dcdh_controls import Controls
from causalkit.did.dcdh_switches import Switches
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints


@dataclass(frozen=True, eq=False)
class Horizon:
    """One horizon, of effects or of placebos.

    Parameters
    ----------
    value : float
        Average change of the outcome of switchers against that of their controls; of those whose treatment falls, with
        the sign reversed.
    psi : Floats, shape (n_units,)
        Influence values with 1/n folded in, of demeaned changes, scaled for the means that were estimated.
    weight : float
        Sum of the weights of the switchers.
    total : float
        Mean over switchers of the sum of their treatment's distance from its baseline, up to the horizon.
    now : float
        The same at the horizon alone.
    n_switchers, n_control : int
        Units.
    used : Bools, shape (n_units,)
        Switchers and their controls.
    """

    value: float
    psi: Floats
    weight: float
    total: float
    now: float
    n_switchers: int
    n_control: int
    used: Bools


def horizon_of(
    switches: Switches,
    length: int,
    directions: Sequence[int],
    among: Bools,
    placebo: bool,
    controls: Controls | None = None,
) -> Horizon | None:
    """Estimate one horizon.

    Parameters
    ----------
    switches : Switches
    length : int
        Periods from the last one before the first change: onwards for an effect, backwards for a placebo.
    directions : sequence of {1, -1}
        Which changes are used.
    among : Bools, shape (n_units,)
        Switchers that may be used.
    placebo : bool
        Whether changes before the switch are compared, over the same length and with the same controls.
    controls : Controls, optional
        Covariates: changes of the outcome are less those that go with theirs.

    Returns
    -------
    Horizon or None
        None where no switcher has a control.

    References
    ----------
    de Chaisemartin and D'Haultfoeuille (2024), "Difference-in-differences estimators of intertemporal treatment
    effects", equations 3 to 9, and their web appendix for the variance.
    """
    found = [
        part
        for t in range(2 * length if placebo else length, switches.n_periods)
        for part in _at(switches, t, length, directions, among, placebo, controls)
    ]
    if not found:
        return None
    weight = sum(part.weight for part in found)
    untouched = np.logical_or.reduce([part.control for part in found])
    return Horizon(
        sum(part.value for part in found) / weight,
        np.sum([part.psi for part in found], axis=0) / weight,
        weight,
        sum(part.total for part in found) / weight,
        sum(part.now for part in found) / weight,
        sum(part.n_switchers for part in found),
        int(untouched.sum()),
        np.logical_or.reduce([part.used for part in found]),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """What the switchers of one period and direction add to a horizon: sums, not means."""

    value: float
    psi: Floats
    weight: float
    total: float
    now: float
    n_switchers: int
    control: Bools
    used: Bools


def _at(
    switches: Switches,
    t: int,
    length: int,
    directions: Sequence[int],
    among: Bools,
    placebo: bool,
    controls: Controls | None,
) -> Iterator[_Part]:
    """Compare those who reach the horizon in period ``t`` with those of the same baseline that have not changed by then."""
    y, back, w, baseline = switches.outcome, t - length, switches.weights[:, t], switches.baseline_code
    to = back - length if placebo else t
    change = y[:, to] - y[:, back]
    if controls is not None:
        moved = controls.moved(to, back)
        change = change - controls.explained(moved)
    seen = ~np.isnan(change) & ~np.isnan(y[:, t]) & (w > 0)
    control, size = seen & (switches.first > t), int(baseline.max()) + 1
    of_controls = np.bincount(baseline[control], w[control], size)
    moves = seen & (switches.first - 1 + length == t) & among & (of_controls[baseline] > 0)
    for sign in directions:
        mine = moves & (switches.direction == sign)
        if not mine.any():
            continue
        of_mine = np.bincount(baseline[mine], w[mine], size)
        share = np.divide(of_mine, of_controls, out=np.zeros_like(of_mine), where=of_controls > 0)[baseline]
        against = control & (share > 0)
        used = mine | against
        row = sign * (np.where(mine, w, 0.0) - np.where(against, w * share, 0.0))
        mean, factor = _expected(switches, change, w, mine, control)
        psi = np.zeros(switches.n_units)
        psi[used] = row[used] * factor[used] * (change[used] - mean[used])
        if controls is not None:
            psi += controls.uncertainty(row, used, moved)
        path = sign * (switches.treatment[mine, back + 1 : t + 1] - switches.baseline[mine, None])
        total, now = float(w[mine] @ np.nansum(path, axis=1)), float(w[mine] @ path[:, -1])
        value = float(row[used] @ change[used])
        yield _Part(value, psi, float(w[mine].sum()), total, now, int(mine.sum()), against, used)


def _expected(switches: Switches, change: Floats, w: Floats, mine: Bools, control: Bools) -> tuple[Floats, Floats]:
    """Return what change each unit's like had on average, and the factor for having estimated it.

    Switchers are alike if baseline, first change and the treatment after it are the same; controls if the baseline is.
    Who is the only one of its kind (or its kind is one cluster) is compared with all of its baseline.
    """
    n = switches.n_units
    mean, factor = np.zeros(n), np.ones(n)
    everyone = _means(switches.baseline_code, change, w, switches.clusters, mine | control)
    for members, kind in ((mine, switches.cohort_code), (control, switches.baseline_code)):
        average, count = _means(kind, change, w, switches.clusters, members)
        alone = count == 1
        average, count = np.where(alone, everyone[0], average), np.where(alone, everyone[1], count)
        known = members & (count >= 2)
        mean[known] = average[known]
        factor[known] = np.sqrt(count[known] / (count[known] - 1))
    return mean, factor


def _means(kind: Ints, change: Floats, w: Floats, clusters: Codes | None, members: Bools) -> tuple[Floats, Ints]:
    """Return, for each unit, the mean change of the members of its kind, and how many clusters they are."""
    size = int(kind.max()) + 1
    total = np.bincount(kind[members], w[members], size)
    summed = np.bincount(kind[members], (w * np.where(members, change, 0.0))[members], size)
    if clusters is None:
        count = np.bincount(kind[members], minlength=size)
    else:
        ways = int(clusters.max()) + 1
        count = np.bincount(np.unique(kind[members] * ways + clusters[members]) // ways, minlength=size)
    average = np.divide(summed, total, out=np.zeros(size), where=total > 0)
    return average[kind], count[kind]


def same_switchers(switches: Switches, n_effects: int) -> Bools:
    """Return the units that reach all effects: observed at each horizon, with an observed control."""
    reached: Bools = np.asarray(switches.direction != 0)
    y = switches.outcome
    for length in range(1, n_effects + 1):
        here = np.zeros(switches.n_units, dtype=bool)
        for t in range(length, switches.n_periods):
            seen = ~np.isnan(y[:, t] - y[:, t - length]) & (switches.weights[:, t] > 0)
            control = seen & (switches.first > t)
            has = np.isin(switches.baseline_code, switches.baseline_code[control])
            here |= seen & has & (switches.first - 1 + length == t)
        reached = reached & here
    return reached
