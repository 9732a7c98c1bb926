"""Who the compliers are: their share, what they look like, and their outcomes, beside those of always and never takers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.sample import Arms, Sample
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.iv.kappa import Kappa, kappa
from causalkit.kernels.arrays import Floats, read_only

if TYPE_CHECKING:
    from causalkit.iv.instrument_validity import ValidityTest

GROUPS = ("compliers", "always takers", "never takers")
#: A share of compliers whose interval holds zero identifies nothing.
LEVEL = 0.05
LOW_SHARE = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class ComplierReport(Report):
    """Compliers, always takers and never takers of a binary instrument.

    Parameters
    ----------
    shares : Effects
        Shares of the three groups.
    profile : Effects
        Mean of each covariate among everybody and in each group, with columns ``covariate`` and ``group``; groups whose
        share is zero are left out.
    outcomes : Effects
        Mean outcomes: of compliers with and without treatment, their difference, and of always and never takers.
    outcome : array, shape (n,)
        The outcome.
    kappa : Kappa
        The weights.
    names : tuple of str
        Outcome, treatment and instrument.
    turned : bool
        Whether the instrument was turned around because it lowers the treatment.
    n : int
        Rows.
    n_covariates : int
        Columns of the propensity of the instrument.
    """

    shares: Effects
    profile: Effects
    outcomes: Effects
    outcome: Floats
    kappa: Kappa
    names: tuple[str, str, str]
    turned: bool
    n: int
    n_covariates: int

    plots = ("effects",)

    @property
    def title(self) -> str:
        """What this is."""
        return f"Compliers: who takes {self.names[1]} because of {self.names[2]}"

    @property
    def share(self) -> float:
        """Share of compliers."""
        return float(self.shares.values[0])

    @property
    def answer(self) -> str:
        """The shares in one sentence."""
        low, high = self.shares.ci()
        told = f"{fmt.share(self.share)} {fmt.interval(100 * low[0], 100 * high[0], 3)} are compliers"
        others = f"{fmt.share(float(self.shares.values[1]))} always and {fmt.share(float(self.shares.values[2]))} never"
        way = "absence" if self.turned else "presence"
        return f"{told} (95% interval in percent), moved by the {way} of {self.names[2]}; {others} take the treatment."

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether there are compliers, whether shares are possible, and the validity of the instrument."""
        return Checks(
            {
                "compliers": self._there_are_compliers,
                "overlap": self._overlap,
                "instrument_validity": lambda: self.validity_test().check(),
            }
        )

    def _there_are_compliers(self) -> Check:
        low = float(self.shares.ci(LEVEL)[0][0])
        message = f"The share of compliers is {fmt.share(self.share)}, at least {fmt.share(max(low, 0.0))}."
        if low <= 0:
            advice = "The instrument may move nobody; the profile of compliers says nothing."
            return Check("compliers", "fail", message, self.share, advice=advice)
        if self.share < LOW_SHARE:
            advice = "The estimate speaks for a small part of the population only."
            return Check("compliers", "warn", message, self.share, advice=advice)
        return Check("compliers", "pass", message, self.share)

    def _overlap(self) -> Check:
        e = self.kappa.propensity.probability
        low, high = float(e.min()), float(e.max())
        message = f"The probability of the instrument runs from {fmt.number(low, 3)} to {fmt.number(high, 3)}."
        bad = low < 0.02 or high > 0.98
        advice = "Few rows carry large weights; leave out covariates that nearly decide the instrument."
        return Check("overlap", "warn" if bad else "pass", message, min(low, 1 - high), advice=advice if bad else "")

    def validity_test(self, n_boot: int = 499, random_state: int = 0) -> ValidityTest:
        """Test that the instrument is random, excluded and monotone; see :func:`instrument_validity_test`.

        Parameters
        ----------
        n_boot : int
            Bootstrap draws.
        random_state : int
            Seed.
        """
        from causalkit.iv.instrument_validity import instrument_validity_test

        k = self.kappa
        return instrument_validity_test(
            self.outcome,
            k.D,
            k.Z,
            weights=k.weights * self.n,
            conditional=self.n_covariates > 0,
            n_boot=n_boot,
            random_state=random_state,
        )

    def distributions(self, values: Sequence[float] | None = None) -> Effects:
        """Return distribution functions of the outcome of compliers, with and without treatment.

        Estimates of a distribution function may leave [0, 1] or fall where the sample is small; that they do so clearly is
        evidence against the instrument (Imbens and Rubin 1997).

        Parameters
        ----------
        values : sequence of float, optional
            Where; 25 quantiles of the outcome by default.

        Returns
        -------
        Effects
            With columns ``arm`` and ``value``.
        """
        usual = np.quantile(self.outcome, np.linspace(0.02, 0.98, 25), method="inverted_cdf")
        at = np.unique(usual) if values is None else np.asarray(values, dtype=float)
        below = (self.outcome[:, None] <= at).astype(float)
        parts = [self.kappa.mean(f"{arm} compliers", below) for arm in ("treated", "untreated")]
        terms = tuple(f"{arm} <= {value:g}" for arm in ("treated", "untreated") for value in at)
        columns = {"arm": ["treated"] * at.size + ["untreated"] * at.size, "value": [*at.tolist(), *at.tolist()]}
        carrier = self.shares.numbers.carrier
        return _effects(terms, parts, carrier, columns)

    def to_table(self) -> Table:
        """Return shares, outcomes and the profile in one table."""
        rows: list[tuple[object, ...]] = []
        for kind, effects in (("share", self.shares), ("outcome", self.outcomes), ("profile", self.profile)):
            low, high = effects.ci()
            parts = zip(effects.terms, effects.values, effects.se, low, high, strict=True)
            rows += [(kind, term, *map(float, numbers)) for term, *numbers in parts]
        return Table.of(("what", "term", "estimate", "se", "ci_low", "ci_high"), rows)

    def profile_table(self) -> Table:
        """Return one row per covariate, one column per group, and how much more common it is among compliers."""
        columns = self.profile.columns
        means = {
            (name, who): float(value)
            for name, who, value in zip(columns["covariate"], columns["group"], self.profile.values, strict=True)
        }
        names = list(dict.fromkeys(columns["covariate"]))
        rows = []
        for name in names:
            overall, complier = means[name, "everybody"], means.get((name, "compliers"))
            ratio = complier / overall if complier is not None and overall else None
            rows.append((name, overall, *(means.get((name, who)) for who in GROUPS), ratio))
        return Table.of(("covariate", "everybody", *GROUPS, "ratio"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return who complies, their outcomes, and their profile."""
        shown = [Passage("found", self.title, (self.answer,), self.shares.to_table())]
        shown.append(Passage("certainty", "Outcomes of compliers and others", (), self.outcomes.to_table(), "effects"))
        if len(self.profile):
            text = "Means of covariates in each group, found by Abadie's weights; the ratio is that of compliers to everybody."
            shown.append(Passage("found", "What compliers look like", (text,), self.profile_table()))
        return tuple(shown)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return mean outcomes with their intervals."""
        low, high = self.outcomes.ci()
        return {
            "title": self.title,
            "terms": list(self.outcomes.terms),
            "estimate": self.outcomes.values,
            "low": low,
            "high": high,
            "null": 0.0,
            "xlabel": f"Mean {self.names[0]}, or effect on it",
        }


def compliers(result: Result, covariates: Sequence[str] | None = None) -> ComplierReport:
    """Describe the compliers of a fit with a binary instrument and a binary treatment.

    Shares: always takers are those treated without the instrument, never takers those untreated with it, compliers the
    rest (Imbens and Angrist 1994; monotonicity). Profiles and outcomes use Abadie's (2003) weights, normalised; where the
    fit has covariates the probability of the instrument is a logit in them, and standard errors allow for its estimation.

    Parameters
    ----------
    result : IVResult
        A fit that keeps its rows.
    covariates : list of str, optional
        Which covariates of the fit to profile; all of them by default.

    Returns
    -------
    ComplierReport

    Raises
    ------
    DesignError
        If instrument or treatment have other than two levels, or effects are absorbed.

    References
    ----------
    Abadie (2003), *Semiparametric instrumental variable estimation of treatment response models*; Imbens and Rubin (1997),
    *Estimating outcome distributions for compliers*; Angrist and Pischke (2009), section 4.4.4.
    """
    sample = result._kept()
    D, Z, names = binary_design(sample)
    turned = False
    adjust, columns = sample.features().dummies()
    chosen = _chosen(columns, sample.features().names, covariates)
    weights = sample.optional("weights")
    found = kappa(D, Z, adjust, weights)
    if (found.mean("offered", D[:, None])[0] < found.mean("not offered", D[:, None])[0]).all():
        found, turned = kappa(D, 1.0 - Z, adjust, weights), True
    carrier = result.effects.numbers.carrier
    shares = _shares(found, carrier, sample)
    there = [who for who, value in zip(GROUPS, shares.values, strict=True) if value > 0]
    return ComplierReport(
        shares=shares,
        profile=_profile(found, adjust[:, chosen], [columns[j] for j in chosen], there, shares.numbers.carrier),
        outcomes=_outcomes(found, sample.outcome, there, shares.numbers.carrier),
        outcome=sample.outcome,
        kappa=found,
        names=names,
        turned=turned,
        n=sample.n,
        n_covariates=adjust.shape[1],
    )


def binary_design(sample: Sample) -> tuple[Floats, Floats, tuple[str, str, str]]:
    """Return treatment and instrument as 0 and 1, and the names of outcome, treatment and instrument.

    Raises
    ------
    DesignError
        If instrument or treatment have other than two levels, or effects are absorbed.
    """
    column, instruments = sample.columns["treatment"], sample.features("instruments")
    if not isinstance(column, Arms) or column.count != 2:
        raise DesignError(
            "compliers are defined for a treatment of two arms.",
            hint="Fit with a 0/1 treatment, or one with control= and two levels.",
        )
    if len(instruments.names) != 1:
        raise DesignError(
            f"compliers are defined for one instrument, not {len(instruments.names)}.",
            hint="Fit with one binary instrument.",
        )
    levels = np.unique(instruments.values[:, 0])
    if levels.size != 2:
        raise DesignError(
            f"instrument {instruments.names[0]!r} has {levels.size} values; compliers are defined for two.",
            hint="Fit with a binary instrument, or compare two of its values.",
            column=instruments.names[0],
        )
    if sample.several("absorb"):
        raise DesignError(
            "compliers are not described where effects are absorbed.",
            hint="Pass the columns as covariates, or leave them out.",
        )
    D, Z = (column.codes == 1).astype(float), (instruments.values[:, 0] == levels[1]).astype(float)
    return D, Z, (sample.name("outcome"), column.name, instruments.names[0])


def _chosen(columns: Sequence[str], names: Sequence[str], covariates: Sequence[str] | str | None) -> list[int]:
    if covariates is None:
        return list(range(len(columns)))
    wanted = [covariates] if isinstance(covariates, str) else list(covariates)
    for name in wanted:
        if name not in names and name not in columns:
            raise DesignError(
                f"{name!r} is not a covariate of the fit.",
                hint=f"Covariates: {', '.join(names) or 'none'}.",
                column=name,
            )
    return [j for j, name in enumerate(columns) if name in wanted or name.split("[")[0] in wanted]


def _shares(found: Kappa, carrier: Any, sample: Sample) -> Effects:
    always, psi_always = found.mean("not offered", found.D[:, None])
    never, psi_never = found.mean("offered", 1.0 - found.D[:, None])
    theta = np.array([1.0 - always[0] - never[0], always[0], never[0]])
    psi = np.hstack([-psi_always - psi_never, psi_always, psi_never])
    groups = carrier.groups if isinstance(carrier, Influence) else None
    crossed = carrier.crossed if isinstance(carrier, Influence) else ()
    kind = "CR0" if groups is not None else "HC0"
    made = Influence(read_only(psi), sample.rows, groups, 1.0, np.full(3, np.inf), kind, crossed)
    return Effects(GROUPS, Estimate(theta, made))


def _profile(found: Kappa, values: Floats, names: Sequence[str], there: Sequence[str], carrier: Any) -> Effects:
    who = ("everybody", *there)
    parts = [found.mean(group, values) for group in who]
    terms = tuple(f"{name}: {group}" for group in who for name in names)
    columns = {"covariate": list(names) * len(who), "group": [group for group in who for _ in names]}
    return _effects(terms, parts, carrier, columns)


def _outcomes(found: Kappa, outcome: Floats, there: Sequence[str], carrier: Any) -> Effects:
    y = outcome[:, None]
    treated, untreated = found.mean("treated compliers", y), found.mean("untreated compliers", y)
    effect = (treated[0] - untreated[0], treated[1] - untreated[1])
    parts, terms = [treated, untreated, effect], ["compliers, treated", "compliers, untreated", "effect on compliers"]
    for who, arm in (("always takers", "treated"), ("never takers", "untreated")):
        if who in there:
            parts.append(found.mean(who, y))
            terms.append(f"{who}, {arm}")
    return _effects(tuple(terms), parts, carrier, {})


def _effects(terms: tuple[str, ...], parts: Sequence[tuple[Floats, Floats]], carrier: Any, columns: Any) -> Effects:
    theta = np.concatenate([part[0] for part in parts])
    psi = np.hstack([part[1] for part in parts])
    made = Influence(
        read_only(psi), carrier.rows, carrier.groups, 1.0, np.full(theta.size, np.inf), carrier.kind, carrier.crossed
    )
    return Effects(terms, Estimate(theta, made), columns)
