"""What a targeting plan has to say: whom to treat, what it costs and earns, and why not more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import InferenceUnavailable
from causalkit.inference.wald import t_quantile
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.uplift.heterogeneity import Heterogeneity
from causalkit.uplift.policy_value import Profit, holdout_for
from causalkit.uplift.profit_path import Path

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.uplift.targeting import Targeting

#: Policies that are not chosen, in words.
RULES = {"everyone": "treating everyone", "random_share": "treating a random share"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy and what it comes to.

    Parameters
    ----------
    name : str
        ``nobody``, ``everyone``, ``random_share`` or ``ranked``.
    probability : Floats, shape (n,)
        Probability of treatment of each person.
    n_treated, spend : float
        Expected people treated and money spent.
    profit : Profit
        Held-out profit, net of treating nobody.
    """

    name: str
    probability: Floats
    n_treated: float
    spend: float
    profit: Profit


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TargetingPlan(Report):
    """Whom to treat.

    Parameters
    ----------
    tool : Targeting
        The configuration.
    checks : Checks
        The assumption ledger.
    rows : Ints, shape (n,)
        Position of each person in the user's table.
    effect, expected_profit, cost : Floats, shape (n,)
        Predicted effect, profit and cost of treating each person.
    assignment : Bools, shape (n,)
        Who is treated: one draw of the plan, which never exceeds the budget.
    candidates : tuple of Candidate
        Nobody, the uniform rule and the ranked rule.
    policy : str
        The name of the plan.
    heterogeneity : Heterogeneity
        Test of the ranking by profit.
    path_numbers : Path
        Profit along the ranking.
    planned_profit : float
        Profit of the plan by the model's predictions.
    shadow_price : float
        Profit of one more unit of budget; zero where the budget does not bind.
    noise : (float, float, float)
        Variance of money per person among those treated by the plan, in the treated and the control arm; design effect.
    outcome, contrast : str
        What was affected, and what was compared.
    """

    tool: Targeting
    checks: Checks
    rows: Ints
    effect: Floats
    expected_profit: Floats
    cost: Floats
    assignment: Bools
    candidates: tuple[Candidate, ...]
    policy: str
    heterogeneity: Heterogeneity
    path_numbers: Path
    planned_profit: float
    shadow_price: float
    noise: tuple[float, float, float]
    outcome: str
    contrast: str

    plots = ("profit",)

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.rows)

    @property
    def chosen(self) -> Candidate:
        """The policy that was chosen."""
        return next(c for c in self.candidates if c.name == self.policy)

    @property
    def probability(self) -> Floats:
        """Probability of treatment of each person, shape (n,)."""
        return self.chosen.probability

    @property
    def spend(self) -> float:
        """Expected spend; never above the budget."""
        return self.chosen.spend

    @property
    def profit(self) -> Profit:
        """Held-out profit of the plan, net of treating nobody."""
        return self.chosen.profit

    @property
    def has_evidence(self) -> bool:
        """Whether the ranking by profit is better than a random one."""
        return self.heterogeneity.found(self.tool.alpha)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per person: position in the table, effect, expected profit and cost, probability, treat."""
        import pandas as pd

        return pd.DataFrame(
            {
                "row": self.rows,
                "effect": self.effect,
                "expected_profit": self.expected_profit,
                "cost": self.cost,
                "probability": self.probability,
                "treat": self.assignment,
            }
        )

    @cached_property
    def path(self) -> pd.DataFrame:
        """Profit along the ranking, with pointwise limits and a band that holds at all shares at once.

        Columns ``share`` (of people), ``n_treated``, ``spend``, ``budget_share`` (of the budget; without one, of what
        treating everyone costs), ``planned_profit`` (by the model), and on held-out scores ``profit se low high band_low
        band_high``.
        """
        import pandas as pd

        p, n = self.path_numbers, self.n
        half = float(t_quantile(1.0 - self.tool.alpha / 2.0, np.inf)) * p.curve.se
        low, high = p.curve.band(self.tool.alpha)
        whole = self.tool.budget or float(p.spend[-1])
        columns = {
            "share": p.curve.q,
            "n_treated": n * p.curve.q,
            "spend": p.spend,
            "budget_share": p.spend / whole if whole > 0 else np.full(len(p.spend), np.nan),
            "planned_profit": p.planned,
            "profit": n * p.curve.value,
            "se": n * p.curve.se,
            "low": n * (p.curve.value - half),
            "high": n * (p.curve.value + half),
            "band_low": n * low,
            "band_high": n * high,
        }
        return pd.DataFrame({name: np.concatenate(([0.0], values)) for name, values in columns.items()})

    def holdout_size(self, power: float = 0.8) -> int:
        """Return how many of those to be treated should be held back at random to prove the profit after the launch.

        Parameters
        ----------
        power : float
            Probability of a significant profit (one-sided level ``alpha``) if it is what was estimated.

        Raises
        ------
        InferenceUnavailable
            If the plan treats nobody, or the people are too few to prove it.
        """
        treated = round(self.chosen.n_treated)
        if self.policy == "nobody" or treated < 4:
            raise InferenceUnavailable("the plan treats nobody, so there is no profit to prove.")
        one, zero, design = self.noise
        per_head = self.profit.estimate / self.chosen.n_treated
        return holdout_for(per_head, treated, design * one, design * zero, self.tool.alpha, power)

    # Telling it.

    @property
    def title(self) -> str:
        """What was planned."""
        return "Whom to treat"

    @property
    def answer(self) -> str:
        """The plan in one sentence."""
        if self.policy == "nobody":
            return f"Treat nobody: {self._why_nobody()}"
        c = self.chosen
        low, high = self.profit.ci()
        who = {
            "everyone": f"Treat everyone ({self.n:,} people)",
            "random_share": f"Treat a random {_percent(c.n_treated / self.n)} of people ({c.n_treated:,.0f} of {self.n:,})",
            "ranked": f"Treat the {c.n_treated:,.0f} of {self.n:,} people ranked first ({_percent(c.n_treated / self.n)})",
        }[self.policy]
        return (
            f"{who}: it costs {money(c.spend)} and earns {money(self.profit.estimate)} on top of that "
            f"({_percent(1 - self.tool.alpha)} interval {money(low)} to {money(high)})."
        )

    def _why_nobody(self) -> str:
        even, ranked = self.candidates[1:]
        by_rank = self.has_evidence and ranked.n_treated > 0 and ranked.profit.estimate >= even.profit.estimate
        tested, other = (ranked, even) if by_rank else (even, ranked)
        told = f"{self._would_earn(tested)}, which is not shown to be more than nothing"
        if not self.has_evidence:
            return f"{told}, and the ranking of people can't be told from a random one."
        if ranked.n_treated == 0:
            return f"{told}, and no person's expected profit is positive."
        if other.profit.lower > 0:
            why = "only the policy that promised most was put to the test, and a second try would be wrong too often"
            return f"{told}; {self._would_earn(other)}, but {why}."
        return f"{told}; {self._would_earn(other)}, which isn't either."

    def _would_earn(self, candidate: Candidate) -> str:
        rule = "treating by rank" if candidate.name == "ranked" else RULES[candidate.name]
        return f"{rule} would earn {self._money(candidate.profit)}"

    def _money(self, profit: Profit) -> str:
        low, high = profit.ci()
        return f"{money(profit.estimate)} ({money(low)} to {money(high)})"

    def to_table(self) -> Table:
        """Return the candidates with their spend and held-out profit."""
        rows = []
        for c in self.candidates:
            low, high = c.profit.ci()
            numbers = (c.n_treated / self.n, c.n_treated, c.spend, c.profit.estimate, c.profit.se, low, high)
            rows.append((c.name.replace("_", " "), *numbers, "chosen" if c.name == self.policy else ""))
        head = ("policy", "share", "treated", "spend", "profit", "se", "ci_low", "ci_high", "plan")
        return Table.of(head, rows, "Profit on held-out outcomes, net of treating nobody")

    def passages(self) -> tuple[Passage, ...]:
        """Return the plan with its three numbers, the comparison with the other policies, and how to prove it."""
        c, (low, high) = self.chosen, self.profit.ci()
        limit = "no budget was set" if self.tool.budget is None else f"of a budget of {money(self.tool.budget)}"
        facts = (
            ("Treat", f"{c.n_treated:,.0f}", f"of {self.n:,} people ({_percent(c.n_treated / self.n)})"),
            ("Spend", money(c.spend), limit),
            (
                "Profit",
                money(self.profit.estimate),
                f"{_percent(1 - self.tool.alpha)} interval {money(low)} to {money(high)}",
            ),
        )
        plan = Passage("action", self.title, (self.answer, *self._notes()), figure="profit", facts=facts)
        compared = Passage("action", "Nobody, everyone, or by rank", (self._compared(),), self.to_table())
        return (plan, compared)

    def _compared(self) -> str:
        rule = "The profit of each policy is estimated from outcomes that did not choose the people."
        return f"{rule} {self.heterogeneity.verdict(self.tool.alpha)}"

    def _notes(self) -> list[str]:
        notes = []
        if self.shadow_price > 0:
            notes.append(f"One more unit of budget would earn about {money(self.shadow_price)}.")
        if self.policy != "nobody":
            try:
                size = self.holdout_size()
                notes.append(
                    f"To prove the profit after the launch, hold back {size:,} of those to be treated, drawn at random: "
                    "a profit of this size is then shown with a probability of 80%."
                )
            except InferenceUnavailable:
                notes.append("These people are too few to prove the profit by a hold-out after the launch.")
        return notes

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the profit curve with the chosen share marked."""
        if kind != "profit":
            raise KeyError(kind)
        path = self.path
        data = {key: path[key].to_numpy() for key in ("low", "high", "band_low", "band_high")}
        share = self.chosen.n_treated / self.n
        reference = self.n * self.path_numbers.average * path["share"].to_numpy()
        value = path["profit"].to_numpy()
        order = "Share treated, those with the most profit per cost first"
        if self.policy == "random_share":  # the plan is a point on the line of a random order
            even = self.candidates[1].profit
            low, high = even.ci()
            q = path["share"].to_numpy()
            value, order = reference, "Share treated, in random order"
            data = {"low": low * q / share, "high": high * q / share}
        label = "treat nobody" if self.policy == "nobody" else f"treat {_percent(share)}"
        return {
            "title": self.title,
            "q": path["share"].to_numpy(),
            "value": value,
            **data,
            "reference": reference,
            "reference_label": "a random order",
            "marker": share,
            "marker_label": label,
            "xlabel": order,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the person-level rows as a JSON-ready dictionary."""
        tool = self.tool
        said = {
            "policy": self.policy,
            "spend": self.spend,
            "profit": {"estimate": self.profit.estimate, "se": self.profit.se, "ci": self.profit.ci()},
            "planned_profit": self.planned_profit,
            "shadow_price": self.shadow_price,
            "has_evidence": self.has_evidence,
            "value": tool.value,
            "budget": tool.budget,
            "paid_on": tool.paid_on,
        }
        return plain({**super().to_dict(), **said})  # type: ignore[no-any-return]


def money(amount: float) -> str:
    """Write an amount: whole from a thousand on, else with two decimals (more where it is tiny)."""
    if abs(round(amount, 2)) >= 1000:
        return f"{amount:,.0f}"
    if amount == 0 or abs(amount) >= 0.01:
        return f"{amount:,.2f}"
    return fmt.number(amount, 2)


def _percent(value: float) -> str:
    return fmt.share(value, 0)
