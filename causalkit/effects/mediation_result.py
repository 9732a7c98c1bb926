"""What mediation gives: the total effect, and how much of it goes through the mediators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.design import names_of
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms
from causalkit.effects.averages import average_effect, estimate_of
from causalkit.effects.crossfit_study import arm_names
from causalkit.effects.outcome_scale import Scale
from causalkit.effects.plain_result import PlainResult, outcome_name
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import require_alpha, t_pvalue
from causalkit.kernels.arrays import Bools

if TYPE_CHECKING:
    from causalkit.core.features import Features
    from causalkit.effects.mediation_linear import LinearPaths
    from causalkit.effects.mediation_pathway import Pathway
    from causalkit.effects.mediation_sensitivity import MediationSensitivity
    from causalkit.inference.confidence_set import ConfidenceSet

# Weights of E[Y(a, M(b))], in the order 00, 01, 10, 11.
TOTAL = (-1.0, 0.0, 0.0, 1.0)
NATURAL_DIRECT = (-1.0, 0.0, 1.0, 0.0)
NATURAL_INDIRECT = (0.0, 0.0, -1.0, 1.0)
TOTAL_DIRECT = (0.0, -1.0, 0.0, 1.0)
PURE_INDIRECT = (-1.0, 1.0, 0.0, 0.0)
#: The average over the two ways to part the total effect; it does not depend on which arm is called the control.
DIRECT = (-0.5, -0.5, 0.5, 0.5)
INDIRECT = (-0.5, 0.5, -0.5, 0.5)

TERMS = ("indirect", "direct", "total")
_EVERY = {
    "natural_direct": NATURAL_DIRECT,
    "natural_indirect": NATURAL_INDIRECT,
    "total_direct": TOTAL_DIRECT,
    "pure_indirect": PURE_INDIRECT,
    "interaction": tuple(np.subtract(NATURAL_INDIRECT, PURE_INDIRECT)),
    "total": TOTAL,
}
_TWO_WAYS = (
    "Natural direct plus natural indirect effect, and total direct plus pure indirect effect, each add up to the total "
    "effect. They differ where the mediator acts differently in the two arms."
)
_MEDIATED = {"indirect": INDIRECT, "natural_indirect": NATURAL_INDIRECT, "pure_indirect": PURE_INDIRECT}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MediationResult(Result):
    """Direct and indirect effects; ``effects`` holds ``indirect``, ``direct`` and ``total``.

    Direct and indirect effects are the averages over the two ways to part the total effect, so that they add up to it and
    do not depend on which arm is called the control; :meth:`decomposition` lists the parts of each way.

    Parameters
    ----------
    whole : str
        The total effect in words.
    arms : Arms
        The treatment.
    crossed : Estimate
        ``E[Y(a, M(b))]`` for (a, b) = 00, 01, 10, 11 on the learning scale.
    scale : Scale
        From the learning scale to the outcome.
    n_parameters : int
        Parameters that the variance counts.
    pathway : Pathway or None
        Cross-fitted nuisances in the user's order of rows (``method="robust"``).
    paths : LinearPaths or None
        The equations (``method="linear"`` and ``"product"``).
    """

    whole: str
    arms: Arms
    crossed: Estimate
    scale: Scale
    n_parameters: int = 1
    pathway: Pathway | None = None
    paths: LinearPaths | None = None

    def decomposition(self) -> Result:
        """Return both ways to part the total effect.

        Returns
        -------
        Result
            ``natural_direct`` = E[Y(1, M(0)) - Y(0, M(0))] (also called pure direct), ``natural_indirect`` = E[Y(1, M(1)) -
            Y(1, M(0))] (total indirect): they add up to ``total``. ``total_direct`` = E[Y(1, M(1)) - Y(0, M(1))] and
            ``pure_indirect`` = E[Y(0, M(1)) - Y(0, M(0))] do so too. ``interaction`` is natural indirect minus pure indirect
            (left out for ``method="product"``, which takes it to be zero).

        References
        ----------
        Robins and Greenland (1992), *Epidemiology* 3. VanderWeele (2014), *Epidemiology* 25.
        """
        control, treated = arm_names(self.arms)
        meanings = [
            f"mediator as with {control}",
            f"in {treated}",
            f"mediator as with {treated}",
            f"in {control}",
            "difference of the indirect effects",
            "direct plus indirect",
        ]
        terms = [term for term in _EVERY if self._interacts or term != "interaction"]
        told = [meaning for term, meaning in zip(_EVERY, meanings, strict=True) if term in terms]
        effects = Effects(tuple(terms), self._of([_EVERY[term] for term in terms]), {"meaning": told})
        return self._plain(effects, None, f"parts of the {self.whole}", ("decomposition", (), ()))

    def proportion_mediated(self, term: str = "indirect") -> ProportionMediated:
        """Return the share of the total effect that goes through the mediators.

        Parameters
        ----------
        term : {"indirect", "natural_indirect", "pure_indirect"}
            Which indirect effect is divided by the total effect.

        Returns
        -------
        ProportionMediated
            Standard error by the delta method; ``ci(method="fieller")`` and ``test(method="fieller")`` hold their level
            also where the total effect may be near zero.
        """
        if term not in _MEDIATED:
            raise DesignError(
                f"term={term!r} is no indirect effect.", hint=f"Use one of {', '.join(map(repr, _MEDIATED))}."
            )
        pair = self._of([_MEDIATED[term], TOTAL])
        part, whole = (float(value) for value in pair.theta)
        if whole == 0.0:
            raise InferenceUnavailable("the total effect is zero, so there is no share of it.", hint="Read .effects.")
        ratio = pair.linear(np.array([1.0, -part / whole]) / whole)
        effects = Effects(("proportion_mediated",), replace(ratio, theta=np.array([part / whole])))
        plain = self._plain(
            effects, "proportion_mediated", f"share of the {self.whole} that goes through {self._through()}",
            ("proportion_mediated", (term,), ()),
        )  # fmt: skip
        return ProportionMediated(**{**_fields(plain), "pair": pair})

    def controlled_direct(self, value: Any) -> Result:
        """Return the effect of the treatment with the mediators held at one value for everybody.

        Parameters
        ----------
        value : level or number, or tuple of them
            One for each mediator column. With ``method="robust"`` a value that occurs in both arms, often enough for the
            folds; the effect is then doubly robust.

        Returns
        -------
        Result

        Raises
        ------
        DesignError
            If there is not one value for each mediator, or (``method="robust"``) no row has it in some arm.
        InferenceUnavailable
            If the rows are no longer held.
        """
        sample = self._kept()
        point = value if isinstance(value, tuple) else (value,)
        mediators = sample.features("mediator")
        if len(point) != len(mediators.names):
            raise DesignError(
                f"{value!r} has {len(point)} values for {len(mediators.names)} mediators.",
                hint=f"Pass a tuple, one for each of {', '.join(mediators.names)}.",
            )
        numbers = self._by_paths(mediators, point) if self.paths is not None else self._by_scores(point)
        held = ", ".join(f"{name}={part}" for name, part in zip(mediators.names, point, strict=True))
        terms = (f"direct[{held}]",)
        estimand = f"direct effect of {self.arms.contrast()} on {outcome_name(self.roles)} with {held} for everybody"
        return self._plain(
            Effects(terms, self._as_here(numbers) * self.scale.unit),
            terms[0],
            estimand,
            ("controlled_direct", (value,), ()),
        )

    def sensitivity(self, alpha: float = 0.05) -> MediationSensitivity:
        """Ask how strongly an unmeasured cause of mediator and outcome would have to act for the indirect effect to vanish.

        Parameters
        ----------
        alpha : float
            Level of the intervals.

        Returns
        -------
        MediationSensitivity
            The indirect effect over the correlation rho between the errors of the two equations, and the rho at which it is
            zero (Imai, Keele and Yamamoto 2010, theorem 2).

        Raises
        ------
        InferenceUnavailable
            Unless the equations are linear and there is one mediator column.
        """
        from causalkit.effects.mediation_sensitivity import sensitivity

        require_alpha(alpha)
        if self.paths is None:
            raise InferenceUnavailable(
                "the correlation of errors belongs to linear equations.", hint='Fit with method="linear" or "product".'
            )
        return sensitivity(self, self.paths, alpha)

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return the parameters that small-sample factors count."""
        return self.n_parameters

    # How it is made of means.

    @property
    def _interacts(self) -> bool:
        """Whether mediators may act differently in the two arms."""
        return getattr(self.estimator, "method", "") != "product"

    def _of(self, weights: Sequence[Sequence[float]]) -> Estimate:
        """Return contrasts of the four means in units of the outcome, with the variance of ``effects``."""
        return self._as_here(self.crossed.linear(np.array(weights, dtype=float))) * self.scale.unit

    def _as_here(self, numbers: Estimate) -> Estimate:
        """Return numbers with the clusters, factor and degrees of freedom that ``effects`` have."""
        here, own = self.effects.numbers.carrier, numbers.carrier
        if not (isinstance(here, Influence) and isinstance(own, Influence)):
            return numbers
        return replace(numbers, carrier=replace(here, psi=own.psi, df=np.full(numbers.size, float(here.df[0]))))

    def _by_paths(self, mediators: Features, point: tuple[Any, ...]) -> Estimate:
        p = self.paths
        assert p is not None
        row = replace(mediators, values=np.array([[_code(mediators, j, part) for j, part in enumerate(point)]]))
        theta, psi = p.controlled(row.dummies()[0][0])
        return estimate_of(np.array([theta]), psi[:, None], p.groups, p.rows, n_parameters=self.n_parameters)

    def _by_scores(self, point: tuple[Any, ...]) -> Estimate:
        from causalkit.effects.mediation_held import held_scores

        p = self.pathway
        assert p is not None
        scores = held_scores(self._kept(), self.estimator, lambda features: _rows_at(features, point), p.scale)
        return average_effect(scores, p.weights, p.groups, rows=p.rows)

    def _plain(self, effects: Effects, headline: str | None, estimand: str, step: Any) -> PlainResult:
        return PlainResult(
            estimator=self.estimator, effects=effects, headline=headline, estimand=estimand, checks=self.checks,
            sample=self.sample, n=self.n, dropped=self.dropped, roles=self.roles, steps=(*self.steps, step),
            n_parameters=self.n_parameters,
        )  # fmt: skip

    # Showing it.

    def _through(self) -> str:
        return ", ".join(names_of(self.roles.get("mediator")))

    @property
    def answer(self) -> str:
        """The parts of the effect in one sentence each."""
        low, high = self.effects.ci()
        parts = [
            f"{fmt.number(value, 3)} {fmt.interval(below, above, 3)}"
            for value, below, above in zip(self.effects.values, low, high, strict=True)
        ]
        indirect, _, total = (float(value) for value in self.effects.values)
        share = f" ({fmt.share(indirect / total, 0)} of it)" if total and 0 <= indirect / total <= 1 else ""
        return (
            f"The {self.whole} is {parts[2]}: {parts[0]} goes through {self._through()}{share} and {parts[1]} does not (95% "
            f"intervals, n = {self.n:,})."
        )

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding, and both ways to part the effect."""
        every = self.decomposition().effects
        return (
            *super().passages(),
            Passage(
                "certainty",
                "Both ways to part the effect",
                (_TWO_WAYS,),
                every.to_table(),
            ),
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ProportionMediated(PlainResult):
    """The share of the total effect that goes through the mediators.

    Parameters
    ----------
    pair : Estimate
        The indirect and the total effect.
    """

    pair: Estimate

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the interval of the share.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {None, "fieller"}
            None: by the delta method. ``"fieller"``: all shares that the data do not reject (Fieller 1954), a set that is
            unbounded where the total effect may be zero.
        """
        if method != "fieller":
            return super().ci(alpha, method)
        from causalkit.inference.confidence_set import ConfidenceSet

        require_alpha(alpha)
        (part, whole), v, square = self.pair.theta, self.pair.vcov, self._critical(alpha) ** 2
        return ConfidenceSet.from_quadratic(
            float(whole**2 - square * v[1, 1]),
            float(-2.0 * (part * whole - square * v[0, 1])),
            float(part**2 - square * v[0, 0]),
        )

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the share equals ``null``; ``method="fieller"`` tests that indirect minus null times total is zero."""
        if method != "fieller":
            return super().test(null, method)
        gap = self.pair.linear(np.array([1.0, -null]))
        statistic = float(gap.theta[0] / gap.se[0])
        df = float(self.pair.df[0])
        return Test(statistic, float(t_pvalue(statistic, df)), df, null, "fieller")

    def _critical(self, alpha: float) -> float:
        df = float(self.pair.df[0])
        return float(-special.ndtri(alpha / 2) if np.isinf(df) else -special.stdtrit(df, alpha / 2))


def _fields(result: Result) -> dict[str, Any]:
    import dataclasses

    return {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}


def _code(mediators: Features, j: int, value: Any) -> float:
    """Return a value of a mediator as the number that its column holds."""
    levels = mediators.schema.levels[j]
    if levels is None:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise DesignError(
                f"{value!r} is no number, and mediator {mediators.names[j]!r} holds numbers.", hint="Pass a number."
            )
        return float(value)
    if value not in levels:
        raise DesignError(
            f"mediator {mediators.names[j]!r} has no level {value!r}.", hint=f"It has {', '.join(map(repr, levels))}."
        )
    return float(levels.index(value))


def _rows_at(mediators: Features, point: tuple[Any, ...]) -> Bools:
    codes = np.array([_code(mediators, j, part) for j, part in enumerate(point)])
    here: Bools = np.all(mediators.values == codes, axis=1)
    return here


def as_effects(crossed: Estimate, unit: float) -> Effects:
    """Return the indirect, direct and total effect."""
    weights = np.array([INDIRECT, DIRECT, TOTAL])
    return Effects(TERMS, (crossed.linear(weights) * unit).folded())
