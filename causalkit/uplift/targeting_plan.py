"""What a targeting plan has to say: whom to treat with what, what it costs and earns, and why not more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import InferenceUnavailable
from causalkit.inference.wald import t_interval
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.uplift import plan_words
from causalkit.uplift.better import BetterThanEven
from causalkit.uplift.frontier import Frontier
from causalkit.uplift.heterogeneity import Heterogeneity
from causalkit.uplift.labels import SEGMENTS
from causalkit.uplift.plan_choice import Candidate, tested
from causalkit.uplift.policy_value import Profit, holdout_for
from causalkit.uplift.profit_path import Path

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.uplift.targeting import Targeting


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
    arms : tuple of str
        The arms that can be given, in words.
    labels : tuple
        Labels in the user's table of the control and of these arms.
    effect, expected_profit, cost : Floats, shape (n,) or, with several arms, (n, n_arms)
        Predicted effect, profit and cost of treating each person.
    assignment : Bools, shape (n,), or Codes
        Who is treated; with several arms the number of the arm from 1, and 0 for no treatment. One draw of the plan, which
        never exceeds the budget.
    candidates : tuple of Candidate
        Nobody, the even rule of each arm and the ranked rule.
    policy : str
        The name of the plan.
    heterogeneity : Heterogeneity or BetterThanEven
        Test of the ranking by profit.
    frontier_numbers : Frontier
        Profit at every budget, of the family of policies that was put to the test.
    segment_counts : Floats, shape (k, 5), or None
        People of each segment (:data:`~causalkit.uplift.labels.SEGMENTS`, of a Segmentation at its defaults) who are treated
        at each budget of the frontier; None with several arms.
    path_numbers : Path or None
        Profit along the ranking of people; None with several arms.
    planned_profit : float
        Profit of the plan by the model's predictions.
    shadow_price : float
        Profit of one more unit of budget; zero where the budget does not bind.
    noise : (float, float, float)
        Variance of money per person among those treated by the plan, in the treated and the control arm; design effect.
    cheapest : float
        Smallest cost of treating one person.
    outcome : str
        What was affected.
    """

    tool: Targeting
    checks: Checks
    rows: Ints
    arms: tuple[str, ...]
    labels: tuple[Any, ...]
    effect: Floats
    expected_profit: Floats
    cost: Floats
    assignment: Bools | Codes
    candidates: tuple[Candidate, ...]
    policy: str
    heterogeneity: Heterogeneity | BetterThanEven
    frontier_numbers: Frontier
    segment_counts: Floats | None
    path_numbers: Path | None
    planned_profit: float
    shadow_price: float
    noise: tuple[float, float, float]
    cheapest: float
    outcome: str

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
        """Probability of treatment (of each arm) of each person, shape (n,) or (n, n_arms)."""
        return self.chosen.probability

    @property
    def spend(self) -> float:
        """Expected spend; never above the budget."""
        return self.chosen.spend

    @property
    def profit(self) -> Profit:
        """Held-out profit of the plan, net of treating nobody; corrected for the plan having been chosen by it."""
        return self.chosen.profit

    @property
    def has_evidence(self) -> bool:
        """Whether choosing people by expected profit is better than treating all alike."""
        return self.heterogeneity.found(self.tool.alpha)

    @property
    def tested(self) -> Candidate:
        """The candidate that was put to the test: the plan, or what would have been it had it been shown to earn."""
        return self.candidates[tested(self.candidates, self.has_evidence)]

    @property
    def buys_nobody(self) -> bool:
        """Whether the budget is smaller than the smallest cost of a person."""
        return self.tool.budget is not None and self.tool.budget < self.cheapest

    def to_frame(self) -> pd.DataFrame:
        """Return one row per person: position in the table, effect, expected profit and cost, probability, treat.

        With several arms there is a column ``arm`` with the label of the arm that is given (the control's label where none
        is); effect, expected profit and cost are those of that arm, and ``probability`` is of any treatment.
        """
        import pandas as pd

        frame = {
            "row": self.rows,
            "effect": self.effect,
            "expected_profit": self.expected_profit,
            "cost": self.cost,
            "probability": self.probability,
            "treat": self.assignment,
        }
        if len(self.arms) > 1:
            arm = np.asarray(self.assignment)
            for name in ("effect", "expected_profit", "cost"):
                padded = np.column_stack([np.zeros(self.n), frame[name]])
                frame[name] = padded[np.arange(self.n), arm]
            frame["probability"] = self.probability.sum(axis=1)
            frame["treat"] = np.greater(arm, 0)
            labels = np.empty(len(self.labels), dtype=object)
            labels[:] = self.labels
            frame = {"row": frame.pop("row"), "arm": labels[arm], **frame}
        return pd.DataFrame(frame)

    @cached_property
    def band(self) -> tuple[Floats, Floats]:
        """Band (low, high) of the frontier's profit that holds at all its budgets at once."""
        return self.frontier_numbers.band(self.tool.alpha)

    @cached_property
    def frontier(self) -> pd.DataFrame:
        """Profit at every budget, of the family of policies that was put to the test (ranked, or the same arm for all).

        Columns ``budget spend n_treated`` (``n[arm]`` for each of several arms), ``planned_profit`` (by the model),
        ``shadow_price`` (expected profit of one more unit of budget: people are treated down to this profit per cost), and on
        held-out scores ``profit se low high band_low band_high``, all net of treating nobody. ``low`` and ``high`` hold at one
        budget that was fixed beforehand; the band holds at all budgets at once. Between two rows all but the limits are
        close to linear.
        """
        import pandas as pd

        f = self.frontier_numbers
        low, high = t_interval(f.profit, f.se, f.df, self.tool.alpha)
        counts = {f"n[{arm}]": f.counts[:, j] for j, arm in enumerate(self.arms)} if len(self.arms) > 1 else {}
        return pd.DataFrame(
            {
                "budget": f.budget,
                "spend": f.spend,
                "n_treated": f.n_treated,
                **counts,
                "planned_profit": f.planned,
                "shadow_price": f.price,
                "profit": f.profit,
                "se": f.se,
                "low": low,
                "high": high,
                "band_low": self.band[0],
                "band_high": self.band[1],
            }
        )

    @cached_property
    def path(self) -> pd.DataFrame:
        """Profit along the ranking of people, to the last, with pointwise limits and a band that holds at all shares at once.

        Columns ``share`` (of people), ``n_treated``, ``spend``, ``budget_share`` (of the budget; without one, of what
        treating everyone costs), ``planned_profit`` (by the model), and on held-out scores ``profit se low high band_low
        band_high``.

        Raises
        ------
        InferenceUnavailable
            With several arms, where people are not in one order.
        """
        import pandas as pd

        p, n = self.path_numbers, self.n
        if p is None:
            raise InferenceUnavailable("with several arms people are not in one order.", hint="Use frontier.")
        low, high, band_low, band_high = p.limits(self.tool.alpha)
        whole = self.tool.budget or float(p.spend[-1])
        columns = {
            "share": p.curve.q,
            "n_treated": n * p.curve.q,
            "spend": p.spend,
            "budget_share": p.spend / whole if whole > 0 else np.full(len(p.spend), np.nan),
            "planned_profit": p.planned,
            "profit": n * p.curve.value,
            "se": p.se,
            "low": low,
            "high": high,
            "band_low": band_low,
            "band_high": band_high,
        }
        return pd.DataFrame({name: np.concatenate(([0.0], values)) for name, values in columns.items()})

    def holdout_size(self, power: float = 0.8) -> int:
        """Return how many of those to be treated should be held back at random to prove the profit after the launch.

        Parameters
        ----------
        power : float
            Probability that the ``1 - alpha`` interval of the profit, by the difference between those treated and those
            held back, lies above zero if the profit is what was estimated.

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
        return holdout_for(per_head, treated, design * one, design * zero, self.tool.alpha / 2.0, power)

    # Telling it.

    @property
    def title(self) -> str:
        """What was planned."""
        return "Whom to treat"

    @property
    def answer(self) -> str:
        """The plan in one sentence."""
        return plan_words.answer(self)

    def to_table(self) -> Table:
        """Return the candidates with their spend and held-out profit."""
        return plan_words.policies(self)

    def passages(self) -> tuple[Passage, ...]:
        """Return the plan with its three numbers, the other policies, other budgets, and how to prove it."""
        return plan_words.passages(self)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the profit curve with the plan marked."""
        if kind != "profit":
            raise KeyError(kind)
        return plan_words.profit_curve(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the person-level rows as a JSON-ready dictionary."""
        tool = self.tool
        said = {
            "policy": self.policy,
            "arms": self.arms,
            "spend": self.spend,
            "profit": {
                "estimate": self.profit.estimate,
                "se": self.profit.se,
                "ci": self.profit.ci(),
                "pvalue": self.profit.pvalue,
                "held_out": self.profit.held_out,
                "df": self.profit.df,
            },
            "planned_profit": self.planned_profit,
            "shadow_price": self.shadow_price,
            "has_evidence": self.has_evidence,
            "frontier": self.frontier.to_dict(orient="list"),
            "segments": None
            if self.segment_counts is None
            else dict(zip(SEGMENTS, self.segment_counts.T.tolist(), strict=True)),
            "value": tool.value,
            "cost": self._said_cost(),
            "budget": tool.budget,
            "paid_on": tool.paid_on,
            "alpha": tool.alpha,
            "random_state": tool.random_state,
        }
        return plain({**super().to_dict(), **said})  # type: ignore[no-any-return]

    def _said_cost(self) -> Any:
        """The expected cost of treating one person: one number, or its smallest, mean and largest, for each arm."""
        costs = self.cost.reshape(self.n, -1)
        told = {
            arm: float(c[0])
            if np.ptp(c) == 0
            else {"min": float(c.min()), "mean": float(c.mean()), "max": float(c.max())}
            for arm, c in zip(self.arms, costs.T, strict=True)
        }
        return told if len(self.arms) > 1 else told[self.arms[0]]
