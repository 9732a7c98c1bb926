"""One result minus another, with the standard error that their dependence implies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, stack
from causalkit.core.result import Result
from causalkit.core.sample import Dropped


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Difference(Result):
    """The difference of two results, with the standard error that their dependence implies.

    Parameters
    ----------
    parts : tuple of Result
        The results: the first minus the second.
    independent : bool
        Whether their samples share no unit.
    """

    parts: tuple[Result, Result]
    independent: bool = False

    def refit(self, data: Any = None) -> Difference:
        """Refit both results and take the difference again."""
        return difference(self.parts[0].refit(data), self.parts[1].refit(data), independent=self.independent)

    def with_vcov(self, vcov: str, cluster: Any = None) -> Difference:
        """Return the difference of the two results, each with another variance.

        Parameters
        ----------
        vcov : str
            As for any result.
        cluster : str or array, optional
            As for any result.
        """
        one, two = (part.with_vcov(vcov, cluster) for part in self.parts)
        return difference(one, two, independent=self.independent)


def difference(a: Result, b: Result, *, independent: bool = False) -> Difference:
    """Return ``a`` minus ``b``: the headline of one minus that of the other.

    Parameters
    ----------
    a, b : Result
        Results with a headline, or without one but with the same terms (such as several arms), which are then
        subtracted term by term. Units are matched by label where both fits named ``unit=``, by row where both came from
        the same table.
    independent : bool
        The two samples share no unit; the variances add.

    Raises
    ------
    InferenceUnavailable
        If the dependence of the two can't be known, or only one of them has a headline; the hint says what to do.
    """
    termwise = a.headline is None and b.headline is None and a.effects.terms == b.effects.terms
    one, two = ((r.effects if termwise else r.headline_effect).numbers for r in (a, b))
    same = np.eye(one.size)
    numbers: Estimate = stack(one, two, independent=independent).linear(np.hstack([same, -same]))
    names = a.effects.terms if termwise else (_subtracted(a, b),)
    return Difference(
        estimator=a.estimator,
        effects=Effects(names, numbers),
        headline=None if termwise else names[0],
        estimand=f"{a.estimand}, minus {b.estimand}",
        checks=Checks.together({"first": a.checks, "second": b.checks}),
        sample=None,
        n=max(a.n, b.n),
        dropped=Dropped(),
        roles=a.roles,
        parts=(a, b),
        independent=independent,
    )


def _subtracted(a: Result, b: Result) -> str:
    """Name a difference: of two terms, or, where both have one name, of those who estimated it."""
    if a.headline != b.headline:
        return f"{a.headline} - {b.headline}"
    one, two = (type(result.estimator).__name__ for result in (a, b))
    if one == two:
        one, two = (str(getattr(result.estimator, "method", "")) for result in (a, b))
    return f"{a.headline}: {one} minus {two}" if one != two else f"{a.headline}: first minus second"
