"""What several discontinuities bring back: an effect for each, their average, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.rdd.multi_cutoff_parts import Several

FEW_ROWS = 50


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MultiCutoffResult(Result):
    """Effects at several cutoffs (or points of a boundary), their weighted average, and the pooled effect.

    Parameters
    ----------
    designs : tuple of str
        Terms of the single effects.
    weights : array
        Their weights in the average: shares of the rows within the bandwidths.
    bandwidths : mapping of str to (float, float)
        Bandwidths below and above, by term; the weighted average has none.
    n_effective : mapping of str to (int, int)
        Rows within them.
    failed : mapping of str to str
        Cutoffs without an effect, and why.
    """

    designs: tuple[str, ...]
    weights: Floats
    bandwidths: Mapping[str, tuple[float, float]]
    n_effective: Mapping[str, tuple[int, int]]
    failed: Mapping[str, str]

    plots: ClassVar[tuple[str, ...]] = ("effects",)

    @property
    def differences(self) -> Effects:
        """How each single effect differs from the first one."""
        if len(self.designs) < 2:
            raise InferenceUnavailable("there is one effect only.", hint="Differences need two cutoffs.")
        single = self.effects.select(self.designs)
        k = len(single)
        rows = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
        first = self.designs[0]
        return Effects(tuple(f"{name} - {first}" for name in self.designs[1:]), single.numbers.linear(rows))

    def test_equality(self) -> Test:
        """Test that all single effects are the same (a Wald test of :attr:`differences`)."""
        return self.differences.joint_test()

    def passages(self) -> tuple[Passage, ...]:
        """Return the headline, the table, and whether the effects differ."""
        found, certainty = super().passages()
        if len(self.designs) < 2:
            return found, certainty
        test = self.test_equality()
        told = f"One effect for all {len(self.designs)}: p-value {fmt.pvalue(test.pvalue)}."
        more = Passage("certainty", "Do the effects differ?", (told,), self.differences.to_table())
        return found, certainty, more


def assembled(
    estimator: Any, sample: Sample, several: Several, numbers: Estimate, estimand: str, pooled: bool = True
) -> MultiCutoffResult:
    """Build the result: single effects, their weighted average, and the pooled effect where there is one."""
    has_pooled = pooled and "pooled" in several.names
    singles = [name for name in several.names if name != "pooled"]
    k, size = len(singles), len(several.names)
    sizes = {name: found.n_effective for name, found in zip(several.names, several.found, strict=True)}
    rows = np.array([sum(sizes[name]) for name in singles], float)
    weights = rows / rows.sum() if k else rows
    matrix, terms = np.zeros((0, size)), []
    if k:
        average = np.concatenate([weights, np.zeros(size - k)])
        matrix, terms = np.vstack([np.eye(k, size), average]), [*singles, "weighted"]
    if has_pooled:
        matrix, terms = np.vstack([matrix, np.eye(size)[-1]]), [*terms, "pooled"]
    return MultiCutoffResult(
        estimator=estimator,
        effects=Effects(tuple(terms), numbers.linear(matrix)),
        headline=terms[-1],
        estimand=estimand,
        checks=Checks(
            {
                "missing": missing_check(sample),
                **outcome_check(sample),
                "effective_sample": _sample_check({name: sizes[name] for name in several.names}),
                **_failed(several.failed),
            }
        ),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        designs=tuple(singles),
        weights=weights,
        bandwidths={
            n: (f.bandwidths.left, f.bandwidths.right) for n, f in zip(several.names, several.found, strict=True)
        },
        n_effective=sizes,
        failed=several.failed,
    )


def _sample_check(sizes: Mapping[str, tuple[int, int]]) -> Check:
    name, (below, above) = min(sizes.items(), key=lambda item: min(item[1]))
    text = f"Fewest rows within a bandwidth: {below:,} below and {above:,} above, at {name}."
    if min(below, above) >= FEW_ROWS:
        return Check("effective_sample", "pass", text)
    return Check("effective_sample", "warn", text, advice="Read its interval with caution, or merge cutoffs.")


def _failed(failed: Mapping[str, str]) -> dict[str, Check]:
    if not failed:
        return {}
    told = "; ".join(f"{name} ({why})" for name, why in failed.items())
    advice = "The average is over the others only."
    return {"cutoffs": Check("cutoffs", "warn", f"No effect could be estimated at {told}.", advice=advice)}
