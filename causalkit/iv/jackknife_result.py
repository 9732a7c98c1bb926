"""What ``IV(method="ujive")`` and its kin do with a bound sample: labels stay labels, however many judges there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.headline import headline_of
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.covariance import require_positive
from causalkit.iv.fit import Solved
from causalkit.iv.iv_data import IVData
from causalkit.iv.iv_design import clusters_of, data_of, in_time_order, treatments
from causalkit.iv.iv_result import IVResult
from causalkit.iv.jackknife import METHODS, Jackknife, from_projections, projections
from causalkit.iv.jackknife_projection import Kept
from causalkit.iv.many_instruments import ManyInstrumentFit, many_instrument_fit
from causalkit.iv.variance import Variance
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.linear.parameters import count_parameters

#: Instruments above which the diagnostics that need one column each are not computed.
MAX_COLUMNS = 300
#: Mikusheva and Sun (2022): below it a 5% Wald test of a jackknife estimate may reject more than 10% of the time.
STRONG = 4.14
HIGH_LEVERAGE = 0.9
#: An instrument of more whole numbers than this may hold labels.
FEW_LABELS = 10
_TITLES = {"ols": "least squares", "2sls": "2SLS", "liml": "LIML", "mbtsls": "bias-corrected 2SLS"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class JackknifeResult(IVResult):
    """A jackknife estimate.

    Its errors allow for effects that differ between rows. Diagnostics of :class:`IVResult` that need one column per
    instrument are there for up to 300 instruments; :meth:`compare` is there for any number.

    Parameters
    ----------
    n_instruments, n_controls : int
        Instruments left once controls are partialled out; rank of the controls.
    first_stage_f : float
        Homoskedastic F statistic of the instruments.
    se_constant_effect : float
        Heteroskedasticity-robust error (HC0) that would do if the effect were the same for all.
    max_leverage : float
        The largest leverage of a row among controls and instruments.
    """

    n_instruments: int
    n_controls: int
    first_stage_f: float
    se_constant_effect: float
    max_leverage: float

    @cached_property
    def _fitted(self) -> tuple[IVData, Solved]:
        if self.n_instruments > MAX_COLUMNS:
            raise InferenceUnavailable(
                f"this needs one column for each of {self.n_instruments:,} instruments.",
                hint="Use .compare(), or the leave-out prediction of the treatment as one instrument.",
            )
        sample, carrier = self._kept(), self.effects.numbers.carrier
        data = data_of(sample, carrier.kind)
        fit = self._jackknife
        return data, Solved(fit.estimates, fit.psi_heterogeneous, data.residuals(fit.estimates), None)

    @cached_property
    def _projections(self) -> Kept:
        return _prepared(self._kept())

    @cached_property
    def _jackknife(self) -> Jackknife:
        estimator: Any = self.estimator
        return _fit(self._kept(), self._projections, estimator.method)

    @property
    def leave_out(self) -> Floats:
        """Predictions of the treatments of each row from the others, controls partialled out, shape (n, m)."""
        return self._jackknife.fitted

    def many_instruments(self) -> ManyInstrumentFit:
        """Return least squares, 2SLS, LIML and bias-corrected 2SLS with many-instrument errors."""
        sample = self._kept()
        treated = treatments(sample)[0]
        if len(treated) != 1:
            raise InferenceUnavailable(
                f"k-class estimators with many-instrument errors are for one treatment, not {len(treated)}.",
                hint="Name one treatment, or two arms.",
            )
        weights = sample.optional("weights")
        return many_instrument_fit(sample.outcome, treated[0], weights=weights, kept=self._projections)

    def compare(self) -> Table:
        """Return this estimate beside other jackknives and k-class estimators.

        ``se_constant_effect`` is heteroskedasticity-robust, ``se`` allows for effects that differ between rows as well,
        and ``se_many`` for many instruments (with normal errors).
        """
        sample = self._kept()
        fits = {name: _fit(sample, self._projections, name) for name in METHODS if name != "ujive2013"}
        rows: list[tuple[object, ...]] = [
            (name.upper(), fit.estimate, fit.se_constant_effect, fit.se_heterogeneous, None)
            for name, fit in fits.items()
        ]
        others = self.many_instruments().estimates.values()
        rows += [(_TITLES[e.name], e.estimate, e.se_robust, e.se_heterogeneous, e.se_many) for e in others]
        return Table.of(("estimator", "estimate", "se_constant_effect", "se", "se_many"), rows)

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Count the treatment and the controls; absorbed effects nested in clusters do not count."""
        if self.sample is None:
            return self.n_parameters
        return _count(
            self._projections, len(self.effects), bool(self.sample.several("absorb")), [way.codes for way in ways]
        )

    def with_vcov(self, vcov: str, cluster: Any = None) -> JackknifeResult:
        """Return the same estimate with another variance; see :meth:`Result.with_vcov`."""
        changed: JackknifeResult = Result.with_vcov(self, vcov, cluster)
        return changed

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding, its certainty, and the other estimators of the same design."""
        shown = Result.passages(self)
        if self.sample is None or len(self.effects) > 1:
            return shown
        text = "Two-stage least squares leans towards least squares where instruments are many; the others do not."
        return (*shown, Passage("certainty", "Other estimators", (text,), self.compare()))


def estimate_jackknife(estimator: Any, sample: Sample, kind: str, estimand: str) -> JackknifeResult:
    """Run a jackknife estimator on a bound sample.

    Parameters
    ----------
    estimator : IV
        With ``method`` one of ``"ujive"``, ``"ijive"``, ``"jive"``.
    sample : Sample
    kind : str
        The variance.
    estimand : str
        What is estimated, in words.

    Raises
    ------
    DesignError
        If no instrument is left.
    InferenceUnavailable
        If the variance supposes one variance of all residuals.
    """
    if kind == "iid":
        raise InferenceUnavailable(
            "jackknife estimators have no variance for residuals of one variance.",
            hint='Use vcov="HC1", or CR1 with cluster=.',
        )
    kept = _prepared(sample)
    sample = _without_leverage(sample, kept)
    fit = _fit(sample, replace(kept, rows=np.arange(kept.rows.size)), estimator.method)
    clusters, order = clusters_of(sample, kind), in_time_order(sample) if kind == "HAC" else None
    variance = Variance(kind, tuple(way.codes for way in clusters), order)
    k = _count(kept, len(fit.estimates), bool(sample.several("absorb")), [way.codes for way in clusters])
    terms = tuple(treatments(sample)[1])
    result = JackknifeResult(
        estimator=estimator,
        effects=Effects(terms, _numbers(fit, variance, sample, clusters, k).folded()),
        headline=headline_of(sample, terms),
        estimand=estimand,
        checks=Checks(_checks(fit, sample)),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        instruments=sample.features("instruments").names,
        kappa=None,
        objective=None,
        certificate=0.0,
        n_parameters=k,
        collinear={},
        n_singletons=int(kept.alone.size),
        n_instruments=fit.n_instruments,
        n_controls=fit.n_controls,
        first_stage_f=fit.first_stage_f,
        se_constant_effect=fit.se_constant_effect,
        max_leverage=float(fit.leverage.max()),
    )
    vars(result)["_jackknife"] = fit
    return result


def _prepared(sample: Sample) -> Kept:
    """Return the projections of a sample, categorical instruments as labels."""
    instruments = sample.features("instruments")
    labels = [instruments.values[:, j].astype(np.int32) for j in instruments.categorical]
    columns = [j for j in range(len(instruments.names)) if j not in instruments.categorical]
    return projections(
        sample.n,
        labels,
        instruments.values[:, columns],
        sample.features().dummies()[0],
        [effect.codes for effect in sample.several("absorb")],
        sample.optional("weights"),
    )


def _fit(sample: Sample, kept: Kept, method: Any) -> Jackknife:
    treated = np.stack(treatments(sample)[0], axis=1)
    return from_projections(sample.outcome, treated, kept, sample.optional("weights"), method)


def _without_leverage(sample: Sample, kept: Kept) -> Sample:
    """Leave out rows that have no leave-out prediction, and say which."""
    dropped = sample.dropped
    names = ", ".join([*sample.features("instruments").names, *(effect.name for effect in sample.several("absorb"))])
    for reason, rows in (("lone level", kept.alone), ("leverage of one", kept.perfect)):
        if rows.size:
            dropped = dropped.plus(reason, names, int(rows.size), int(sample.rows.positions[rows].min()))
    smaller = sample.take(kept.rows) if kept.rows.size < sample.n else sample
    if isinstance(column := smaller.columns["treatment"], Arms) and np.unique(column.codes).size < column.count:
        raise DesignError(
            f"one arm of {column.name!r} is only in rows that the instruments fit perfectly.",
            hint="Use coarser labels.",
            column=column.name,
        )
    return replace(smaller, dropped=dropped)


def _count(kept: Kept, m: int, absorbs: bool, ways: Sequence[Codes]) -> int:
    effects = kept.controls.effects if absorbs else None
    return count_parameters(m + len(kept.controls.basis) + (effects is None), effects, ways)


def _numbers(fit: Jackknife, variance: Variance, sample: Sample, clusters: Sequence[Groups], k: int) -> Estimate:
    n = sample.n
    if n <= k:
        raise InferenceUnavailable(
            f"{n} rows leave no residual degrees of freedom for {k} parameters.",
            hint="Drop covariates or absorbed effects.",
        )
    psi, theta = fit.psi_heterogeneous, fit.estimates
    df = np.full(theta.size, variance.df(n, k))
    if variance.kind == "HAC":
        return Estimate(theta, Covariance(read_only(variance.meat(psi)), df, "HAC"))
    first = clusters[0] if clusters else None
    scale = variance.scale(n, k)
    made = Influence(read_only(psi), sample.rows, first, scale, df, variance.kind, tuple(clusters[1:]))
    return Estimate(theta, require_positive(made, clusters) if made.crossed else made)


def _checks(fit: Jackknife, sample: Sample) -> dict[str, Check]:
    return {
        "missing": missing_check(sample),
        **outcome_check(sample),
        "weak_instruments": _strength(fit),
        "leverage": _leverage(fit),
        "many_controls": _many_controls(fit),
        **_labels(sample),
    }


def _strength(fit: Jackknife) -> Check:
    """Judge strength as Mikusheva and Sun (2022) do: the excess of F over one, times the root of half the instruments."""
    statistic = (fit.first_stage_f - 1.0) * np.sqrt(fit.n_instruments / 2.0)
    message = (
        f"First-stage F {fmt.number(fit.first_stage_f, 3)} with {fit.n_instruments:,} instruments: strength "
        f"{fmt.number(statistic, 3)}, where {STRONG} keeps a 5% test of a jackknife estimate below 10%."
    )
    weak = statistic < STRONG
    advice = "Intervals may be too short: use stronger instruments, or method='liml' with ci(method='ar')."
    return Check(
        "weak_instruments", "warn" if weak else "pass", message, float(statistic), advice=advice if weak else ""
    )


def _labels(sample: Sample) -> dict[str, Check]:
    """Ask about instruments of many whole numbers: they are taken as one number each, but may be the numbers of judges."""
    instruments = sample.features("instruments")
    for j, name in enumerate(instruments.names):
        values = instruments.values[:, j]
        if j in instruments.categorical or np.any(values != np.round(values)):
            continue
        count = np.unique(values).size
        if FEW_LABELS < count < sample.n / 2:
            message = f"Instrument {name!r} holds {count:,} whole numbers and is taken as one number."
            advice = "If they are labels, such as numbers of judges, turn the column into text or categories."
            return {"labels": Check("labels", "warn", message, float(count), advice=advice)}
    return {}


def _leverage(fit: Jackknife) -> Check:
    most, gone = float(fit.leverage.max()), fit.alone.size + fit.perfect.size
    message = f"The largest leverage of a row is {fmt.number(most, 3)}."
    if gone:
        message += f" {fmt.plural(gone, 'row')} of leverage one had no leave-out prediction and were left out."
    high = most > HIGH_LEVERAGE
    advice = "Single rows decide their own fit nearly alone: pool small levels of the instrument."
    return Check("leverage", "warn" if high else "pass", message, most, advice=advice if high else "")


def _many_controls(fit: Jackknife) -> Check:
    many = fit.method == "jive" and fit.n_controls > 0.1 * fit.n_instruments and fit.n_controls > 1
    message = f"{fmt.plural(fit.n_controls, 'control')} (intercept and absorbed effects included) were partialled out."
    advice = "JIVE is biased with many controls; use method='ujive'."
    return Check(
        "many_controls", "warn" if many else "pass", message, float(fit.n_controls), advice=advice if many else ""
    )
