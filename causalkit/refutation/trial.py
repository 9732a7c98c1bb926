"""What a refuter works on: a result, its rows, and the estimates of the same analysis on altered rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.errors import CausalKitError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.refutation.held_out import has_held_out_scores, judges_a_rule, with_new_scores

#: Seconds of refitting that a refutation takes where ``n_sim`` is not given.
BUDGET = 30.0
_FEWEST, _MOST = 40, 400
#: A test is given up when so large a share of its refits can't be computed.
_MOST_FAILED = 0.25


@dataclass(frozen=True)
class Refits:
    """Estimates of the same analysis on altered rows.

    Parameters
    ----------
    estimates, se, pvalues : Floats, shape (B,)
        Headline, its standard error and its p-value against zero.
    failed : int
        Altered tables on which the analysis could not be computed.
    """

    estimates: Floats
    se: Floats
    pvalues: Floats
    failed: int = 0

    def __len__(self) -> int:
        return len(self.estimates)


@dataclass(frozen=True, eq=False)
class Trial:
    """A result under test.

    Parameters
    ----------
    result : Result
        With a headline.
    sample : Sample
        Its rows.
    n_sim : int
        Altered tables of each test that draws.
    seed : int
        Seed of all draws.
    data : table or None
        The user's table, where one was given.
    negative_outcomes, negative_treatments : tuple of str
        Columns of it that the treatment does not move, or that do not move the outcome.
    """

    result: Result
    sample: Sample
    n_sim: int
    seed: int
    data: object = None
    negative_outcomes: tuple[str, ...] = ()
    negative_treatments: tuple[str, ...] = ()

    def rng(self, name: str) -> np.random.Generator:
        """Return the generator of a test: each has a stream of its own, so leaving one out changes no other.

        Parameters
        ----------
        name : str
            The test.
        """
        return np.random.default_rng([self.seed, *name.encode()])

    @property
    def se(self) -> float:
        """Standard error of the result, by which moves are measured.

        Raises
        ------
        InferenceUnavailable
            If it is zero, but for rounding, or not a number.
        """
        if not (np.isfinite(self.result.se) and self.result.se > 1e-13 * abs(self.result.estimate)):
            raise InferenceUnavailable(
                f"the result has a standard error of {self.result.se:g}, so no move can be judged."
            )
        return self.result.se

    @cached_property
    def estimate(self) -> float:
        """What the analysis says of the rows as they are; of an evaluation, by scores made as those of altered rows are."""
        if not has_held_out_scores(self.sample):
            return self.result.estimate
        return float(self.result.refit(with_new_scores(self.result, self.sample)).estimate)

    def require_zero_without_effect(self) -> None:
        """Refuse a headline that a treatment without effect does not make zero.

        Raises
        ------
        InferenceUnavailable
            If it is the profit of a rule that pays for treatment.
        """
        cost = self.result.estimator.params().get("cost")
        paid = self.sample.has("cost") or (any(cost.values()) if isinstance(cost, Mapping) else bool(cost))
        if paid and judges_a_rule(self.result) and not has_held_out_scores(self.sample):
            raise InferenceUnavailable(
                "a rule that pays for a treatment without effect loses money, so its gain there is not zero; leave the cost out "
                "to ask."
            )

    def refits(
        self, altered: Callable[[np.random.Generator], Iterator[Sample]], name: str, *, rows_only: bool = False
    ) -> Refits:
        """Run the analysis on altered rows.

        Parameters
        ----------
        altered : callable
            ``altered(rng)`` yields samples without end.
        name : str
            The test, which names the stream of draws.
        rows_only : bool
            The alteration takes rows and changes nothing in them, so that scores made of them before still hold.

        Raises
        ------
        InferenceUnavailable
            If the analysis fails on more than a quarter of them.
        """
        found: list[tuple[float, float, float]] = []
        failed, why = 0, ""
        for _, sample in zip(range(self.n_sim), altered(self.rng(name)), strict=False):
            try:
                again = self.result.refit(sample if rows_only else with_new_scores(self.result, sample))
                numbers = again.estimate, again.se, again.pvalue
            except (CausalKitError, ArithmeticError, np.linalg.LinAlgError) as error:
                failed, why = failed + 1, str(error)
                continue
            if np.isfinite(numbers).all():
                found.append(numbers)
            else:
                failed, why = failed + 1, "the estimate, its standard error or its p-value is not a number."
        if failed > _MOST_FAILED * self.n_sim or not found:
            raise InferenceUnavailable(
                f"the analysis could not be computed on {failed} of {self.n_sim} altered tables: {why}"
            )
        estimates, se, pvalues = (np.array(column) for column in zip(*found, strict=True))
        return Refits(estimates, se, pvalues, failed)


def simulations(result: Result, sample: Sample, n_tests: int) -> tuple[int, float]:
    """Return how many altered tables each test may have, and the seconds that one fit takes (measured)."""
    start = time.perf_counter()
    result.refit(with_new_scores(result, sample))
    seconds = time.perf_counter() - start
    affordable = int(BUDGET / max(seconds, 1e-9) / max(n_tests, 1))
    return int(np.clip(affordable, _FEWEST, _MOST)), seconds
