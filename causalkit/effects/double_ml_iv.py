"""The result of double machine learning with instruments: its effect, first stage, and sets that hold if they are weak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Influence
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.effects.double_ml_iv_scores import ScoreForm, Scores, at_least_half, lower_median, score_form
from causalkit.errors import DesignError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.wald import WaldTest, require_alpha, wald_test
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.core.sample import Sample
    from causalkit.effects.double_ml import DoubleML

_METHODS = ("wald", "ar")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class InstrumentedEffect(Result):
    """The effect of a treatment through instruments.

    Parameters
    ----------
    scores : tuple of Scores
        One for each repetition, on the scale of z.
    first_stage : Effects
        What one more unit of each instrument does to the treatment, covariates held fixed; for a binary instrument of arms
        the share of compliers.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    ways : tuple of Groups
        Ways of clustering.
    unit : float
        How much of the outcome one unit of z is.
    rows_used : Rows
        Identity of the rows.
    """

    scores: tuple[Scores, ...]
    first_stage: Effects
    weights: Floats | None
    ways: tuple[Groups, ...]
    unit: float
    rows_used: Any

    @cached_property
    def strength(self) -> WaldTest:
        """The F test that the instruments do not move the treatment, with the variance of the fit."""
        numbers = self.first_stage.numbers
        return wald_test(numbers.theta, numbers.vcov, float(numbers.df[0]))

    @cached_property
    def score_forms(self) -> tuple[ScoreForm, ...]:
        """Means and covariances of the scores, one for each repetition, with the variance of this result."""
        carrier = self.effects.numbers.carrier
        ways = carrier.ways if isinstance(carrier, Influence) else self.ways
        small = not carrier.kind.endswith("0")
        return tuple(score_form(one, self.weights, ways, self.rows_used, small_sample=small) for one in self.scores)

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the confidence interval of the headline, or the set that :meth:`test` does not reject.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {"wald", "ar"}, optional
            Wald (a pair) by default. ``"ar"`` inverts the test that the mean of the orthogonal scores is zero (Anderson and
            Rubin 1949), which holds its level however weak the instruments are: a ConfidenceSet, which may be empty,
            disconnected or unbounded. With repeated splits it holds what at least half of them do not reject.
        """
        if self._is_wald(method):
            return super().ci(alpha)
        require_alpha(alpha)
        found = at_least_half([form.level_set(form.critical_value(alpha)) for form in self.score_forms])
        return ConfidenceSet(tuple((low * self.unit, high * self.unit) for low, high in found.intervals))

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the headline equals ``null``; the dual of :meth:`ci`.

        Parameters
        ----------
        null : float
            Value under the null hypothesis.
        method : {"wald", "ar"}, optional
            Wald by default.
        """
        if self._is_wald(method):
            return super().test(null)
        forms = self.score_forms
        statistic = lower_median([form.statistic(null / self.unit) for form in forms])
        q = forms[0].q
        return Test(statistic / q, forms[0].pvalue(statistic), (float(q), forms[0].df), null, "ar")

    def overidentification_test(self) -> Test:
        """Test that the instruments agree, by Hansen's J of two steps on the orthogonal scores.

        Raises
        ------
        InferenceUnavailable
            With one instrument.
        """
        from causalkit.errors import InferenceUnavailable

        q = self.score_forms[0].q
        if q == 1:
            raise InferenceUnavailable(
                "one instrument can't disagree with itself.", hint="Name two or more instruments."
            )
        found = [form.overidentification() for form in self.score_forms]
        statistic = lower_median([one[0] for one in found])
        return Test(statistic, max(one[1] for one in found if one[0] == statistic), float(q - 1), 0.0, "Hansen's J")

    def _is_wald(self, method: str | None) -> bool:
        if method is not None and method not in _METHODS:
            raise DesignError(
                f"method={method!r} is not an option.", hint=f"Use one of {', '.join(map(repr, _METHODS))}."
            )
        return method != "ar"

    def count_parameters(self, ways: Any) -> int:
        """Return 1: the effect."""
        return 1

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding, its certainty, the first stage, and what holds if the instruments are weak."""
        rows = [("Wald", str(ConfidenceSet((super().ci(),)))), ("Anderson-Rubin", str(self.ci(method="ar")))]  # type: ignore[arg-type]
        sets = Table.of(("method", "95% set"), rows)
        return (
            *super().passages(),
            Passage(
                "certainty",
                "First stage",
                ("How strongly the instruments move the treatment, covariates held fixed.",),
                self.first_stage.to_table(),
            ),
            Passage("certainty", "However weak the instruments are", (self.checks["weak_instruments"].message,), sets),
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ComplierEffect(InstrumentedEffect):
    """The average effect on compliers: those who take the treatment at one level of the instrument only.

    Parameters
    ----------
    compliers : Effects
        Shares of compliers, always takers and never takers, by doubly robust scores.
    """

    compliers: Effects

    def passages(self) -> tuple[Passage, ...]:
        """Return what every effect through instruments has, and who complies."""
        text = "Shares of those whom the instrument moves, and of those who do the same at both of its levels."
        return (*super().passages(), Passage("found", "Compliers", (text,), self.compliers.to_table()))


def instrumented(run: DoubleML, sample: Sample, method: str) -> InstrumentedEffect:
    """Fit the model with instruments that ``method`` names on a bound sample."""
    if method == "iivm":
        from causalkit.effects.double_ml_iv_iivm import interactive_iv

        return interactive_iv(run, sample)
    from causalkit.effects.double_ml_iv_pliv import partially_linear_iv

    return partially_linear_iv(run, sample)
