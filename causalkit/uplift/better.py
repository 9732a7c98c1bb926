"""Does choosing the arm person by person beat giving everyone the same? The verdict for several arms."""

from __future__ import annotations

from dataclasses import dataclass

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.uplift.heterogeneity import FOUND, NOT_FOUND


@dataclass(frozen=True)
class BetterThanEven:
    """Gain of the ranked rule over each rule that treats all alike, tested against all of them.

    Parameters
    ----------
    estimate, se : float
        Profit of the ranked rule less that of the even rule it beats least clearly.
    pvalue : float
        One-sided, the largest over the even rules: their intersection-union test has level alpha without a correction.
    is_constant : bool
        Whether the ranked rule is one of the even rules, so that there is nothing to test.
    """

    estimate: float
    se: float
    pvalue: float
    is_constant: bool

    def found(self, alpha: float) -> bool:
        """Whether the ranked rule beats every even rule, at one-sided level ``alpha``."""
        return self.pvalue < alpha

    def verdict(self, alpha: float) -> str:
        """Say in one sentence what was found."""
        if self.is_constant:
            return f"{NOT_FOUND}: the best plan gives everybody the same, so there is no ranking."
        told = (
            f"choosing the arm person by person earns {fmt.number(self.estimate, 3)} more than the best rule for all "
            f"(standard error {fmt.number(self.se, 3)}, one-sided p-value {fmt.pvalue(self.pvalue)})"
        )
        return f"{FOUND}: {told}." if self.found(alpha) else f"{NOT_FOUND}: {told}."

    def check(self, alpha: float) -> Check:
        """Return the check ``heterogeneity``: a pass means that choosing person by person pays."""
        real = self.found(alpha)
        return Check(
            "heterogeneity",
            "pass" if real else "warn",
            self.verdict(alpha),
            statistic=self.estimate / self.se if self.se > 0 else 0.0,
            pvalue=self.pvalue,
            advice="" if real else "Give all the same arm or none, or collect more data.",
        )


__all__ = ["BetterThanEven"]
