"""de Chaisemartin and D'Haultfoeuille: effects of a treatment that may rise, fall and be taken away again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, flag, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Sample
from causalkit.did.aggregate_result import OVERALL, AggregateResult
from causalkit.did.cells import event_time_of
from causalkit.did.cohorts import ROLES
from causalkit.did.dcdh_controls import Controls
from causalkit.did.dcdh_horizons import Horizon, horizon_of, same_switchers
from causalkit.did.dcdh_switches import Switches, without
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.few_clusters import treated_clusters_check
from causalkit.did.left_out import NO_COMPARISON, LeftOut, units_check
from causalkit.did.pre_trends import pre_trends_check
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, read_only

_DIRECTIONS: dict[str, tuple[int, ...]] = {"all": (1, -1), "in": (1,), "out": (-1,)}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DCDHResult(AggregateResult):
    """Effects by time since the first change of treatment; those before it are placebos."""

    def equal_effects(self) -> Test:
        """Test that all effects from the first change on are equal (Wald).

        Raises
        ------
        InferenceUnavailable
            If there is one effect only, or the covariance of their differences is singular.
        """
        at = np.flatnonzero(self.post)
        if len(at) < 2:
            raise InferenceUnavailable("there is one effect only.", hint="Ask for n_effects=2 or more.")
        contrasts = np.zeros((len(at) - 1, len(self.effects)))
        contrasts[:, at] = np.eye(len(at) - 1, len(at)) - 1.0 / len(at)
        terms = tuple(f"{self.effects.terms[j]} less the mean" for j in at[:-1])
        return Effects(terms, self.effects.numbers.linear(contrasts)).joint_test()


@dataclass(frozen=True, kw_only=True)
class DCDH(Estimator[DCDHResult]):
    """Effects of a treatment of any level that may change more than once, by time since its first change.

    The estimand of a horizon is the average effect, some periods after a unit's treatment first changed, of having had the
    treatments it had since rather than its first one all along (de Chaisemartin and D'Haultfoeuille 2024). Units whose
    treatment first changed are compared with units of the same first treatment that has not changed yet; where it fell,
    the effect is that of less treatment with its sign reversed. Assumptions: units with the same first treatment would
    have changed alike without a change of treatment, and nobody responds before it. The headline is the average total
    effect per unit of treatment: the sum of all effects, over switchers and horizons, divided by the sum of the
    distances of their treatments from the first ones.

    Parameters
    ----------
    n_effects : int, optional
        Effects, the first of which is that of the period of the change (event time 0); all that can be estimated by
        default.
    n_placebos : int, optional
        Changes before the first change of treatment, over as many periods as effects span; by default as many as can be
        estimated, and no more than effects.
    normalized : bool
        Divide each effect by the average sum of the distances of the treatments from the first ones, up to its horizon;
        it is then a weighted average of the effects of the current treatment and of its lags.
    switchers : {"all", "in", "out"}
        Use all first changes, increases or decreases.
    same_switchers : bool
        Use only switchers that reach all effects, so that the make-up of the effects does not change.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, used where they are observed, or an error.

    Notes
    -----
    A unit whose treatment has been both above and below its first one is left out from then on. A first change right after
    a period in which the unit was not observed can't be dated: the unit is a control before it, never a switcher. The
    variance treats the treatments as given: influence values use changes demeaned among units with the same first
    treatment, the same first change and the same treatment after it (for controls: with the same first treatment), with a
    factor for the means that are estimated, as in the authors' ``did_multiplegt_dyn``. It is conservative where effects
    differ within these groups. Trends by group and continuous first treatments are not offered.

    Covariates must vary over time. Among units with the same first treatment that has not changed yet, changes of the
    outcome from one period to the next are regressed on those of the covariates and on periods; every change of the outcome
    that is compared is then less what goes with its covariates. Without a change of treatment, units with the same first
    treatment and the same changes of covariates would have changed alike; and the covariates do not respond to treatment,
    or that part of the effect is taken out. The variance includes that of the slopes. Estimates are those of the authors'
    ``did_multiplegt_dyn`` with ``controls``; the standard errors of its Python version 0.1.9 differ, as they change with
    the slopes themselves, with which no estimate changes.

    References
    ----------
    de Chaisemartin and D'Haultfoeuille (2024), "Difference-in-differences estimators of intertemporal treatment effects",
    Review of Economics and Statistics; covariates: web appendix, section 1.2.
    """

    n_effects: int | None = integer(None, low=1)
    n_placebos: int | None = integer(None, low=0)
    normalized: bool = flag(False)
    switchers: Literal["all", "in", "out"] = choice("all", *_DIRECTIONS)
    same_switchers: bool = flag(False)
    unbalanced: Literal["drop", "cells", "raise"] = choice("cells", "drop", "cells", "raise")

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": ROLES["outcome"],
        "unit": ROLES["unit"],
        "time": ROLES["time"],
        "treatment": Role("treatment", treatment="either"),
        "covariates": ROLES["covariates"],
        "cluster": Role("label", required=False),
        "weights": ROLES["weights"],
    }
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        unit: Any,
        time: Any,
        treatment: Any,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> DCDHResult:
        """Estimate the effects.

        Parameters
        ----------
        data : table
            One row per unit and period.
        outcome : str
            Numeric column.
        unit, time : str
            Who and when: labels of any type; times must sort in their order, and count in steps of one period.
        treatment : str
            The treatment of each row: numbers, or two levels.
        covariates : list of str
            Numbers or categories that vary over time; changes of the outcome are less those that go with theirs.
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str, optional
            Clusters that hold whole units; units by default.
        weights : str, optional
            Weights; a comparison uses those of its last period.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        DCDHResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            unit=unit,
            time=time,
            treatment=treatment,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> DCDHResult:
        """Run the comparisons on a bound sample."""
        switches = Switches.of(sample, self.unbalanced)
        controls = Controls.of(switches)
        effects, placebos = self._horizons(switches, controls, sample)
        found = [*(placebos[::-1]), *effects]
        times = np.array([*range(-1 - len(placebos), -1), *range(len(effects))], dtype=float)
        scale = np.array([horizon.total if self.normalized else 1.0 for horizon in found])
        values = np.array([horizon.value for horizon in found]) / scale
        weight = np.array([horizon.weight for horizon in effects])
        dose = float(weight @ [horizon.now for horizon in effects])
        mix = np.zeros(len(found))
        mix[len(placebos) :] = weight * scale[len(placebos) :] / dose
        psi = np.column_stack([horizon.psi for horizon in found]) / scale
        numbers = _carried(switches, values, psi)
        compared = np.logical_or.reduce([horizon.used for horizon in found])
        used = compared if controls is None else compared | controls.behind(compared)
        left_out, kept = _accounted(switches, used)
        columns: dict[str, list[Any]] = {
            "event_time": [int(e) for e in times],
            "n_treated": [horizon.n_switchers for horizon in found],
            "n_control": [horizon.n_control for horizon in found],
        }
        result = DCDHResult(
            estimator=self,
            effects=Effects(tuple(event_time_of(e) for e in times), numbers, columns),
            headline=OVERALL,
            estimand="average total effect per unit of treatment, over switchers and their periods since the first change",
            checks=Checks({}),
            sample=switches.panel.sample,
            n=kept.n,
            dropped=kept.dropped,
            roles=sample.given,
            kind="event_time",
            average=Effects((OVERALL,), numbers.linear(mix)),
            post=times >= 0,
            base_period="universal",
            reference=-1.0,
        )
        checks: dict[str, Any] = {
            "missing": units_check(kept, left_out),
            "few_clusters": treated_clusters_check([_counted(switches)]),
            "switchers": _switchers_check(switches, effects[0].n_switchers),
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result),
        }
        if controls is not None:
            checks["covariates"] = controls.check(switches, compared)
        return replace(result, checks=Checks(checks))

    def _horizons(
        self, switches: Switches, controls: Controls | None, sample: Sample
    ) -> tuple[list[Horizon], list[Horizon]]:
        """Return effects and placebos, both from the shortest to the longest."""
        everyone = switches.direction != 0
        effects = self._ladder(switches, controls, self.n_effects, everyone, False)
        if not effects:
            name = sample.name("treatment")
            raise DesignError(
                f"no change of the treatment {name!r} can be studied: no unit with the same first treatment is still "
                "without a change when another's changes.",
                hint='Use switchers="all", or add units whose treatment does not change.',
                column=name,
            )
        self._require(self.n_effects, len(effects), "n_effects", "effects")
        if self.same_switchers:
            everyone = same_switchers(switches, len(effects))
            effects = self._ladder(switches, controls, len(effects), everyone, False)
            if not effects:
                raise DesignError("no switcher reaches all effects.", hint="Ask for fewer: n_effects=.")
        most = len(effects) if self.n_placebos is None else self.n_placebos
        placebos = self._ladder(switches, controls, most, everyone, True)
        self._require(self.n_placebos, len(placebos), "n_placebos", "placebos")
        return effects, placebos

    def _ladder(
        self, switches: Switches, controls: Controls | None, most: int | None, among: Any, placebo: bool
    ) -> list[Horizon]:
        """Return the horizons, as many as were asked for and can be estimated."""
        found: list[Horizon] = []
        limit = switches.n_periods - 1 if most is None else most
        while len(found) < limit:
            directions = _DIRECTIONS[self.switchers]
            horizon = horizon_of(switches, len(found) + 1, directions, among, placebo, controls)
            if horizon is None:
                break
            found.append(horizon)
        return found

    @staticmethod
    def _require(asked: int | None, found: int, name: str, what: str) -> None:
        if asked is not None and found < asked:
            raise DesignError(f"{name}={asked}: only {found} {what} can be estimated.", hint=f"Pass {name}={found}.")


def _carried(switches: Switches, values: Floats, psi: Floats) -> Estimate:
    """Return the estimate with influence values by unit."""
    way = switches.panel.sample.groups("cluster")
    codes = switches.clusters
    groups = None if way is None or codes is None else Groups(read_only(codes), way.labels, way.name)
    labels = np.empty(switches.n_units, dtype=object)
    labels[:] = switches.panel.unit.labels
    rows = Rows(np.arange(switches.n_units), switches.panel.sample.rows.token, labels)
    carrier = Influence(read_only(psi), rows, groups, 1.0, np.full(len(values), np.inf), "CR0")
    return Estimate(values, carrier)


def _accounted(switches: Switches, used: Bools) -> tuple[tuple[LeftOut, ...], Sample]:
    """Return who was left out, and the rows of the others."""
    if used.all():
        return switches.left_out, switches.panel.sample
    gone = LeftOut.of(switches.panel, ~used, NO_COMPARISON)
    return (*switches.left_out, gone), without(switches.panel, ~used, gone)


def _counted(switches: Switches) -> tuple[int, int, str]:
    """Return how many clusters (or units) there are, how many whose treatment changes, and their name."""
    codes, changes = switches.clusters, switches.direction != 0
    if codes is None:
        return switches.n_units, int(changes.sum()), ""
    return len(np.unique(codes)), len(np.unique(codes[changes])), switches.panel.sample.name("cluster")


def _switchers_check(switches: Switches, used: int) -> Check:
    """Say whose treatment changes, and who of them has a control."""
    rises, falls = (int((switches.direction == sign).sum()) for sign in (1, -1))
    stay = switches.n_units - rises - falls
    told = (
        f"The treatment of {fmt.plural(rises, 'unit')} first rises, of {falls:,} it first falls, of {stay:,} it never "
        f"changes; {used:,} switchers have controls with the same first treatment."
    )
    if switches.crossed:
        left = fmt.plural(switches.crossed, "unit")
        told += f" {left} are left out once their treatment has been above and below the first."
    return Check("switchers", "warn" if used < 10 else "pass", told, advice=_FEW if used < 10 else "")


_FEW = "Few switchers: normal approximations are poor."
