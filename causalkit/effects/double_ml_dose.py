"""Dose response: the average outcome if everybody had a dose, as a curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.effects.averages import estimate_of, shares
from causalkit.effects.checks import dose_checks
from causalkit.effects.dose_curve import kernel_density, local_weights, rule_of_thumb
from causalkit.effects.double_ml_nuisance import Learners
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.plain_result import outcome_name
from causalkit.effects.repeats import median_of
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints
from causalkit.nuisance.quality import r_squared

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML

#: Doses at which outcome models are averaged over people, and doses of the curve where none were named.
_KNOTS, _DOSES = 40, 21
#: No row counts for more than this many, relative to a dose that was given at random.
_LARGEST_RATIO = 50.0
_LITTLE, _TOO_LITTLE = 0.5, 0.2


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DoseResponse(Result):
    """The curve of average outcomes by dose.

    Parameters
    ----------
    bandwidth : float
        Half-width of the window of the local regression, in units of the dose.
    """

    bandwidth: float

    plots = ("dose_response",)

    @property
    def answer(self) -> str:
        """The curve in one sentence: its ends, and its highest and lowest point."""
        doses, values = self.doses, self.effects.numbers.location
        low, high = self._band()
        top, bottom = int(np.argmax(values)), int(np.argmin(values))
        name, dose = outcome_name(self.roles), self.roles.get("treatment")
        dose = dose if isinstance(dose, str) else "dose"

        def told(at: int) -> str:
            return (
                f"{fmt.number(values[at], 3)} {fmt.interval(low[at], high[at], 3)} at {dose} {fmt.number(doses[at], 3)}"
            )

        return (
            f"Average {name} is highest, {told(top)}, and lowest, {told(bottom)}, among {len(doses)} doses from "
            f"{fmt.number(doses[0], 3)} to {fmt.number(doses[-1], 3)} (95% band for the whole curve, n = {self.n:,})."
        )

    @property
    def doses(self) -> Floats:
        """The doses of the curve, shape (k,)."""
        return np.asarray(self.effects.columns["dose"], dtype=float)

    def _band(self) -> tuple[Floats, Floats]:
        """Return the limits that hold for the whole curve; the curve itself where the outcome does not vary."""
        return self.effects.ci(simultaneous=bool(self.effects.se.max() > 0))

    def passages(self) -> tuple[Passage, ...]:
        """Return the curve in words, and its table and figure."""
        rows = f"{fmt.plural(self.n, 'row')} used; bandwidth {fmt.number(self.bandwidth, 3)}"
        if self.n_dropped:
            rows += f"; {self.n_dropped:,} left out"
        return (
            Passage("found", self.title, (self.answer,)),
            Passage("certainty", "Outcome by dose", (f"{rows}.",), self.to_table(), "dose_response"),
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the curve with its pointwise and simultaneous bands."""
        if kind != "dose_response":
            raise DesignError(f"DoseResponse has no figure {kind!r}.", hint="It has 'dose_response'.")
        low, high = self.effects.ci()
        band_low, band_high = self._band()
        dose = self.roles.get("treatment")
        return {
            "title": self.title,
            "dose": self.doses,
            "value": self.effects.numbers.location,
            "low": low,
            "high": high,
            "band_low": band_low,
            "band_high": band_high,
            "xlabel": dose if isinstance(dose, str) else "Dose",
            "ylabel": f"Average {outcome_name(self.roles)}",
        }


@dataclass(frozen=True, eq=False)
class Pseudo:
    """Pseudo-outcomes of one cross-fit, in canonical order.

    Parameters
    ----------
    values : Floats, shape (n,)
        Their regression on the dose is the curve.
    knots : Floats, shape (m,)
        Doses at which ``models`` were evaluated.
    models : Floats, shape (n, m)
        Outcome model of each row at each knot, minus its average over rows.
    ratio : Floats, shape (n,)
        Marginal over conditional density of the dose.
    skill : float
        R² of the outcome model, out of fold.
    """

    values: Floats
    knots: Floats
    models: Floats
    ratio: Floats
    skill: float


def dose_response(run: DoubleML, sample: Sample) -> DoseResponse:
    """Estimate the curve on a bound sample."""
    setup = Setup.of(sample, run.regressor)
    dose = setup.dose
    doses = _doses(run, dose, sample.name("treatment"))
    share = shares(len(dose), setup.weights)
    pseudo = [_pseudo(setup, setup.learners(run, repeat), dose, share) for repeat in range(run.n_repeats)]
    width = run.bandwidth or float(np.median([rule_of_thumb(dose, part.values, share) for part in pseudo]))
    ways = ways_of(sample)
    numbers = median_of([_curve(part, setup, share, doses, width, ways, sample) for part in pseudo])
    unit, name = setup.scale.unit, sample.name("treatment")
    z = numbers * unit
    assert numbers.center is not None
    level = Estimate(setup.scale.level(numbers.theta), z.carrier, setup.scale.level(numbers.center))
    terms = tuple(f"{name}={value:.6g}" for value in doses)
    return DoseResponse(
        estimator=run,
        effects=Effects(terms, level.folded(), {"dose": doses.tolist()}),
        headline=None,
        estimand=f"average {outcome_name(sample.given)} if everybody had the same {name}",
        checks=_checks(sample, pseudo[0], share),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        bandwidth=width,
    )


def _doses(run: DoubleML, dose: Floats, name: str) -> Floats:
    if run.doses is None:
        low, high = np.quantile(dose, [0.05, 0.95])
        if not low < high:
            raise DesignError(
                f"nine of ten rows have the same {name!r}.", hint="Compare arms instead: control=.", column=name
            )
        return np.linspace(low, high, _DOSES)
    doses = np.array(run.doses)
    outside = (doses < dose.min()) | (doses > dose.max())
    if outside.any():
        raise DesignError(
            f"doses={doses[outside][0]:g} lies outside the data, which go from {dose.min():g} to {dose.max():g}.",
            hint="The curve is not extrapolated.",
            column=name,
        )
    return doses


def _pseudo(setup: Setup, learners: Learners, dose: Floats, share: Floats) -> Pseudo:
    """Kennedy et al. (2017), equation 3: ``(z - mu(x, a)) w(a) / pi(a | x) + mean of mu(x, a)``."""
    knots = np.unique(np.quantile(dose, np.linspace(0.0, 1.0, _KNOTS)))
    found = _outcome_models(setup, learners, dose, knots)
    own, at_knots = found[:, 0], found[:, 1:]
    mean = share @ at_knots
    ratio = _density_ratio(learners, dose, knots, share)
    values = (setup.z - own) * ratio + np.interp(dose, knots, mean)
    skill = r_squared(setup.z, own, setup.weights)
    return Pseudo(values, knots, at_knots - mean, ratio, skill)


def _outcome_models(setup: Setup, learners: Learners, dose: Floats, knots: Floats) -> Floats:
    """Predict each row out of fold at its own dose and at every knot, shape (n, 1 + m)."""
    learner, values = learners.outcome_learner(setup.z), setup.sample.features().values
    together = np.column_stack([values, dose])

    def fit(rows: Ints) -> Any:
        w = None if setup.weights is None else setup.weights[rows]
        groups = None if learners.groups is None else learners.groups[rows]
        model = learner.fit(together[rows], setup.z[rows], w, groups)

        def predict(held_out: Ints) -> Floats:
            columns = [model.predict(together[held_out])]
            moved = together[held_out].copy()
            for knot in knots:
                moved[:, -1] = knot
                columns.append(model.predict(moved))
            return np.column_stack(columns)

        return predict

    return learners.splits.predict(fit, learners.n_jobs)


def _density_ratio(learners: Learners, dose: Floats, knots: Floats, share: Floats) -> Floats:
    """Marginal over conditional density of each row's dose; the dose is a location and a scale given covariates."""
    if not learners.features.names:
        return np.ones(len(dose))
    location = learners.mean(dose)
    squared = (dose - location) ** 2
    typical = float(share @ squared)
    scale = np.sqrt(np.maximum(learners.mean(squared), 0.05 * typical))
    standard = (dose - location) / scale
    own = kernel_density(standard, share, standard) / scale
    marginal = [float(share @ (kernel_density(standard, share, (knot - location) / scale) / scale)) for knot in knots]
    among = np.interp(dose, knots, marginal)
    return np.minimum(among / np.maximum(own, np.finfo(float).tiny), _LARGEST_RATIO)


def _curve(
    part: Pseudo, setup: Setup, share: Floats, doses: Floats, width: float, ways: Any, sample: Sample
) -> Estimate:
    """Local lines through the pseudo-outcomes; the center is the local parabola with the same window.

    That is the local line minus an estimate of its bias (Calonico, Cattaneo and Farrell 2018, with equal bandwidths); its
    influence values hold the error of the regression and that of averaging the outcome model over people.
    """
    dose = setup.dose
    theta, center = np.empty(len(doses)), np.empty(len(doses))
    psi = np.empty((len(dose), len(doses)))
    for j, at in enumerate(doses):
        theta[j] = local_weights(dose, share, at, width, 1) @ part.values
        weight = local_weights(dose, share, at, width, 2)
        center[j] = weight @ part.values
        u = (dose - at) / width
        inside = np.abs(u) < 1.0
        fitted = np.zeros(len(dose))
        design = np.vander(u[inside], 3, increasing=True)
        root = np.sqrt(share[inside] * (1.0 - u[inside] ** 2))
        line = np.linalg.lstsq(design * root[:, None], part.values[inside] * root, rcond=None)[0]
        fitted[inside] = design @ line
        psi[:, j] = weight * (part.values - fitted) + share * _between(part, at)
    numbers = estimate_of(theta, setup.restore(psi), ways or None, sample.rows)
    return Estimate(numbers.theta, numbers.carrier, center)


def _between(part: Pseudo, at: float) -> Floats:
    """Interpolate the centred outcome models of all rows at one dose."""
    right = int(np.clip(np.searchsorted(part.knots, at), 1, len(part.knots) - 1))
    left = right - 1
    part_right = (at - part.knots[left]) / (part.knots[right] - part.knots[left])
    out: Floats = (1.0 - part_right) * part.models[:, left] + part_right * part.models[:, right]
    return out


def _checks(sample: Sample, part: Pseudo, share: Floats) -> Checks:
    weight = share * part.ratio
    effective = float(weight.sum() ** 2 / (weight @ weight)) / (1.0 / float(share @ share))
    capped = float(np.mean(part.ratio >= _LARGEST_RATIO))
    status: Status = "fail" if effective < _TOO_LITTLE else "warn" if effective < _LITTLE or capped > 0 else "pass"
    told = (
        f"Weighting for the dose rests on {fmt.share(effective)} of the rows, in effect; {fmt.share(capped)} of the weights "
        "were capped."
    )
    advice = (
        "" if status == "pass" else "Some doses are rare given covariates: keep to doses that many people could have."
    )
    overlap = Check("overlap", status, told, effective, None, advice)
    return dose_checks(sample, overlap, part.skill)
