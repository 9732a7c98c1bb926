"""A fitted model of effects: average effects, and for each person the effect, the baseline and their joint uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.features import Schema
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.table import Table
from causalkit.effects.average_result import AverageEffect
from causalkit.effects.averages import average_effect, overlap_regression
from causalkit.effects.bagged import Spread
from causalkit.effects.calibration_lines import CalibrationLines
from causalkit.effects.judging import between, heterogeneity
from causalkit.effects.known_rows import KnowsItsRows, fingerprint
from causalkit.effects.plain_result import outcome_name
from causalkit.effects.prediction import EffectPrediction
from causalkit.effects.projection import calibration
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import require_alpha, t_interval
from causalkit.kernels.arrays import Floats, Ints, read_only

#: Groups of the calibration figure.
GROUPS = 5


class Predictor(Protocol):
    """Predicts the baseline and the effect of each arm of new rows, on the learning scale."""

    def predict(self, x: Floats) -> Spread:
        """Return means, shape (n, n_arms), and covariances; column 0 is the baseline, column a the effect of arm a."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EffectModel(KnowsItsRows, AverageEffect):
    """A model of who gains how much.

    The headline is the average effect (AIPW on the same cross-fitted nuisances); :meth:`cate` predicts effects person
    by person. A model keeps working after a pickle, which leaves the data out.

    Parameters
    ----------
    predictor : Predictor
        Predicts new rows.
    out_of_fold : Spread
        Predictions of the rows of the fit by models that have not seen them, in the user's order.
    ranking : Floats, shape (n, n_arms - 1)
        What people are ranked by: their out-of-fold deviation from the average before it is shrunk. Comparable within a fold
        (``folds``), not between folds.
    schema : Schema
        Names and categories of the covariates.
    fingerprint : str
        Recognises the covariates of the fit.
    n_table : int
        Rows of the table of the fit.
    no_interval : str
        Why there is no interval for the effect on a person; empty where there is one.
    """

    predictor: Any
    out_of_fold: Spread
    ranking: Floats
    schema: Schema
    fingerprint: str
    n_table: int
    no_interval: str = ""

    @property
    def _positions(self) -> Ints:
        return self.study.rows.positions

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws."""
        first, *others = super().plots
        if self.headline is None:  # the others draw the effect of one arm
            return (first, *others)
        return (first, "effect_histogram", *others, "calibration")

    def cate(self, data: Any = None) -> Floats:
        """Predict the effect on each person.

        Parameters
        ----------
        data : table, optional
            People to predict, with the covariates of the fit. None: the rows used in the fit, in the user's order.

        Returns
        -------
        Floats
            Effect of the arm of interest, shape (n,); with more than two arms one column per arm other than the control,
            shape (n, n_arms - 1). In the units of the outcome.

        Notes
        -----
        Rows of the fit are never predicted by a model that has seen their outcome: without ``data``, and also where
        ``data`` is the table of the fit, a part of it, or holds its rows in another order, they get their out-of-fold
        prediction; all other rows get the mean of the models of all folds. In a table of other length or order rows are
        known again by their covariates, and by the outcome where the table has it; that needs covariates that tell
        people apart (nine in ten rows of the fit are distinct).

        A gap in a number that had none in the fit means nothing to the model; it is read as the median of the fit.

        Raises
        ------
        DataError
            If a covariate is missing from the table, has another type, or holds a category that the fit has not seen.
        """
        effects = self.study.scale.unit * self._spread(data).mean[:, 1:]
        return read_only(effects[:, 0] if effects.shape[1] == 1 else effects)

    def cate_ci(self, data: Any = None, alpha: float = 0.05) -> tuple[Floats, Floats]:
        """Return lower and upper limits of the effect on each person, shaped as :meth:`cate`.

        They take in the error of the average effect and of the learned deviations from it. They do not take in what
        the model can't see: where it found no differences between people, every interval is that of the average
        effect. A person's true effect lies outside more often than ``alpha`` where real differences were shrunk away.

        Raises
        ------
        InferenceUnavailable
            If the learner has no valid pointwise interval; the message says why.
        """
        if self.no_interval:
            raise InferenceUnavailable(
                self.no_interval,
                hint="Use RLearner, DRLearner or CausalForest for intervals of persons; ate() and blp() have them for groups.",
            )
        require_alpha(alpha)
        spread = self._spread(data)
        se = np.sqrt(np.maximum(np.diagonal(spread.covariance, axis1=1, axis2=2)[:, 1:], 0.0))
        low, high = t_interval(spread.mean[:, 1:], se, self._df, alpha)
        low, high = self.study.scale.unit * low, self.study.scale.unit * high
        if low.shape[1] == 1:
            low, high = low[:, 0], high[:, 0]
        return read_only(low), read_only(high)

    def baseline(self, data: Any = None) -> Floats:
        """Predict the outcome of each person without treatment, shape (n,); ``data`` as for :meth:`cate`."""
        return self.study.scale.level(self._spread(data).mean[:, 0])

    def prediction(self, data: Any = None, arm: int | None = None) -> EffectPrediction:
        """Predict baseline and effect jointly.

        Parameters
        ----------
        data : table, optional
            As for :meth:`cate`.
        arm : int, optional
            Code of the arm: 1 is the arm of interest (the default), further arms follow in the order of the terms.

        Returns
        -------
        EffectPrediction
            In the units of the outcome; both errors and their covariance come from the same half-samples. Where the
            learner has no pointwise interval, the effect is not that of :meth:`cate` but the line of held-out scores on
            it, with the error of this line (see :class:`~causalkit.effects.calibration_lines.CalibrationLines`).

        Raises
        ------
        InferenceUnavailable
            If there are several arms, ``treatment_level`` named none, and ``arm`` is left out.
        """
        if arm is None:
            self._require_one_arm()
            arm = 1
        if not 1 <= arm < self.study.arms.count:
            raise DesignError(f"arm={arm} is not from 1 to {self.study.arms.count - 1}.")
        spread, unit = self._spread(data), self.study.scale.unit
        if self.no_interval:
            found = self._lines(arm).predict(spread.mean[:, arm], spread.mean[:, 0], self._df)
        else:
            variance = np.maximum(np.diagonal(spread.covariance, axis1=1, axis2=2), 0.0)
            se = np.sqrt(variance)
            found = EffectPrediction(
                spread.mean[:, 0], spread.mean[:, arm], se[:, 0], se[:, arm], spread.covariance[:, 0, arm], self._df
            )
        return EffectPrediction(
            baseline=self.study.scale.level(found.baseline),
            effect=read_only(unit * found.effect),
            baseline_se=read_only(unit * found.baseline_se),
            effect_se=read_only(unit * found.effect_se),
            covariance=read_only(unit**2 * found.covariance),
            df=self._df,
        )

    def _lines(self, arm: int) -> CalibrationLines:
        """Calibrate the out-of-fold predictions of an arm."""
        s, mean = self.study, self.out_of_fold.mean
        groups = None if s.groups is None else s.groups.codes
        scores = s.nuisances.scores
        return CalibrationLines.fit(mean[:, arm], s.contrasts[:, arm - 1], scores[:, 0], mean[:, 0], s.weights, groups)

    @property
    def _df(self) -> float:
        return float(self.effects.df[0])

    # Judging it.

    def calibration_test(self) -> Result:
        """Test whether the predicted effects are right on average, and whether their differences are real.

        Returns
        -------
        Result
            Terms ``mean_prediction`` and ``differential_prediction`` (Chernozhukov et al. 2018; R grf's
            ``test_calibration``), on out-of-fold predictions for the arm of interest against the control. One is ideal;
            the check ``heterogeneity`` holds the one-sided p-value of the second: small means that people differ.

        Raises
        ------
        InferenceUnavailable
            If all predictions are the same and the mean is zero, or several arms have no ``treatment_level``.
        """
        self._require_one_arm()
        s, n = self.study, self.study.nuisances
        kept, residual, treated = overlap_regression(s.z, s.arms.codes, n.mu, n.e)
        chance = (s.arms.codes[kept] == 1) - treated
        weights = None if s.weights is None else s.weights[kept]
        groups = None if s.groups is None else type(s.groups)(s.groups.codes[kept], s.groups.labels, s.groups.name)
        rows = type(s.rows)(
            s.rows.positions[kept], s.rows.token, None if s.rows.labels is None else s.rows.labels[kept]
        )
        predicted = self.out_of_fold.mean[kept, 1]
        predicted = np.where(np.ptp(predicted) <= 1e-12, predicted[:1], predicted)
        try:
            found = calibration(
                residual, (treated + chance).round().astype(np.int32), np.zeros(len(kept)), chance, predicted,
                weights=weights, groups=groups, rows=rows,
            )  # fmt: skip
        except DesignError:
            raise InferenceUnavailable(
                "every predicted effect is zero, so there is nothing to calibrate.",
                hint="Read the average effect and its interval: no evidence of an effect is not evidence of none.",
            ) from None
        effects = Effects(found.terms, found.estimate)
        estimand = f"calibration of predicted effects of {s.terms[0]} on {outcome_name(self.roles)}"
        result = self._derived(effects, None, estimand, ("calibration_test", (), ()), len(effects))
        ledger = self.checks.joined({"heterogeneity": heterogeneity(found.terms, found.estimate)})
        return replace(result, checks=ledger)

    def feature_importance(self) -> Table:
        """Return the share of the variance of predicted effects that goes with each covariate, largest first.

        The share is the squared correlation ratio: the variance of the out-of-fold predictions between ten groups (or
        the categories) of the covariate, over their whole variance. It needs the rows of the fit, speaks of the
        prediction and not of causes, and correlated covariates share what they explain.
        """
        self._require_one_arm()
        features = self._kept().features()
        effect = self.out_of_fold.mean[:, 1]
        shares = [between(effect, features.values[:, j], j in features.categorical) for j in range(len(features.names))]
        order = np.argsort(-np.asarray(shares), kind="stable")
        return Table.of(("covariate", "share"), [(features.names[j], shares[j]) for j in order])

    # Showing it.

    @property
    def _figure(self) -> str:
        return (
            "effect_histogram"
            if self.headline is not None and np.ptp(self.out_of_fold.mean[:, 1]) > 1e-12
            else "effects"
        )

    def _certainty(self) -> Passage:
        first = super()._certainty()
        if self.headline is None:
            return first
        effects = self.cate()
        one = effects if effects.ndim == 1 else effects[:, 0]
        low, high = (float(v) for v in np.quantile(one, [0.05, 0.95]))
        if float(np.ptp(one)) <= 1e-9 * max(abs(self.estimate), self.se):
            said = "The data show no differences between people that a prediction could use: everybody is given the average."
        else:
            show = self._show
            said = (
                f"Predicted effects differ between people: nine in ten lie between {show(low, points=True)} and "
                f"{show(high, points=True)}."
            )
        return Passage(first.section, first.title, (*first.text, said), first.table, first.figure)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of one figure."""
        name = outcome_name(self.roles)
        if kind in ("effect_histogram", "calibration"):
            self._require_one_arm()
        if kind == "effect_histogram":
            effects = self.cate()
            low, high = self._limits(self._at)
            return {
                "title": self.title,
                "values": effects if effects.ndim == 1 else effects[:, 0],
                "average": self.estimate,
                "low": low,
                "high": high,
                "null": 0.0,
                "xlabel": f"Predicted effect on {name}",
            }
        if kind == "calibration":
            return self._calibration_data()
        return super().plot_data(kind)

    def _calibration_data(self) -> Mapping[str, Any]:
        """Mean predicted effect and AIPW effect by fifths of the prediction (fewer where predictions tie or clusters are few)."""
        s, unit = self.study, self.study.scale.unit
        predicted = self.out_of_fold.mean[:, 1]
        share = np.ones(self.n) if s.weights is None else s.weights
        cuts = np.unique(np.quantile(predicted, np.linspace(0, 1, GROUPS + 1)[1:-1]))
        group = np.searchsorted(cuts, predicted, side="right")
        unit_of = np.arange(self.n) if s.groups is None else s.groups.codes
        means, values, lows, highs = [], [], [], []
        for g in np.unique(group):
            here = group == g
            if len(np.unique(unit_of[here])) < 2:  # one row or cluster has no error
                continue
            inside = average_effect(
                s.contrasts[here, 0],
                share[here],
                None if s.groups is None else type(s.groups)(s.groups.codes[here], s.groups.labels, s.groups.name),
            )
            effects = Effects(("group",), inside * unit)
            low, high = effects.ci()
            means.append(unit * float(np.average(predicted[here], weights=share[here])))
            values.append(float(effects.values[0]))
            lows.append(float(low[0]))
            highs.append(float(high[0]))
        return {"title": self.title, "predicted": means, "estimate": values, "low": lows, "high": highs}


__all__ = ["EffectModel", "Predictor", "fingerprint"]
