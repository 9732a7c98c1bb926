"""A targeting plan in words, tables and curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.passage import Passage
from causalkit.core.table import Table
from causalkit.errors import InferenceUnavailable
from causalkit.uplift.budget_slider import budget_slider, money
from causalkit.uplift.plan_choice import Candidate

if TYPE_CHECKING:
    from causalkit.uplift.targeting_plan import TargetingPlan

#: Rows of the frontier that are shown as a table.
_SHOWN = 11


def answer(plan: TargetingPlan) -> str:
    """The plan in one sentence."""
    if plan.policy == "nobody":
        return f"Treat nobody: {_why_nobody(plan)}"
    c = plan.chosen
    low, high = plan.profit.ci()
    several = len(plan.arms) > 1
    share = _percent(c.n_treated / plan.n)
    who = {
        "everyone": f"Treat everyone ({plan.n:,} people){f' with {c.arm}' if several else ''}",
        "random_share": f"Treat {c.n_treated:,.0f} of {plan.n:,} people drawn at random ({share})"
        f"{f' with {c.arm}' if several else ''}",
        "ranked": f"Treat the {c.n_treated:,.0f} of {plan.n:,} people ranked first ({share})",
    }[c.kind]
    if several and c.kind == "ranked":
        who += ", " + " and ".join(f"{n:,.0f} with {arm}" for arm, n in zip(plan.arms, c.counts, strict=True) if n > 0)
    return (
        f"{who}: it costs {money(c.spend)} and earns {money(plan.profit.estimate)} on top of that "
        f"({_percent(1 - plan.tool.alpha)} interval {money(low)} to {money(high)})."
    )


def _why_nobody(plan: TargetingPlan) -> str:
    if plan.buys_nobody:
        return (
            f"the budget of {money(plan.tool.budget or 0.0)} buys nobody, because treating one person costs "
            f"{money(plan.cheapest)}{'' if np.ptp(plan.cost) == 0 else ' or more'}."
        )
    shown = plan.tested
    told = f"{_would_earn(plan, shown)}, which is not shown to be more than nothing"
    ranked = plan.candidates[-1]
    if not plan.has_evidence:
        return f"{told}, and {_no_ranking(plan)}."
    if ranked.n_treated == 0:
        return f"{told}, and no person's expected profit is positive."
    other = max((c for c in plan.candidates[1:] if c is not shown), key=lambda c: c.profit.held_out)
    if other.profit.lower > 0:
        why = "only the policy that promised most was put to the test, and a second try would be wrong too often"
        return f"{told}; {_would_earn(plan, other)}, but {why}."
    return f"{told}; {_would_earn(plan, other)}, which isn't either."


def _no_ranking(plan: TargetingPlan) -> str:
    if len(plan.arms) > 1:
        return "choosing the arm person by person is not shown to be better than one arm for all"
    return "the ranking of people can't be told from a random one"


def _would_earn(plan: TargetingPlan, candidate: Candidate) -> str:
    one = f" with {candidate.arm}" if candidate.arm and len(plan.arms) > 1 else ""
    rules = {
        "everyone": "treating everyone",
        "random_share": "treating a random share",
        "ranked": "treating by rank",
    }
    low, high = candidate.profit.ci()
    earned = f"{money(candidate.profit.estimate)} ({money(low)} to {money(high)})"
    return f"{rules[candidate.kind]}{one} would earn {earned}"


def policies(plan: TargetingPlan) -> Table:
    """Return the candidates with their spend and held-out profit."""
    rows = []
    for c in plan.candidates:
        low, high = c.profit.ci()
        numbers = (c.n_treated / plan.n, c.n_treated, c.spend, c.profit.estimate, c.profit.se, low, high)
        rows.append((_readable(c.name), *numbers, "chosen" if c.name == plan.policy else ""))
    head = ("policy", "share", "treated", "spend", "profit", "se", "ci_low", "ci_high", "plan")
    return Table.of(head, rows, "Profit on held-out outcomes, net of treating nobody")


def passages(plan: TargetingPlan) -> tuple[Passage, ...]:
    """Return the plan with its three numbers, the other policies, other budgets, and how to prove it."""
    c, (low, high) = plan.chosen, plan.profit.ci()
    limit = "no budget was set" if plan.tool.budget is None else f"of a budget of {money(plan.tool.budget)}"
    facts = (
        ("Treat", f"{c.n_treated:,.0f}", f"of {plan.n:,} people ({_percent(c.n_treated / plan.n)})"),
        ("Spend", money(c.spend), limit),
        (
            "Profit",
            money(plan.profit.estimate),
            f"{_percent(1 - plan.tool.alpha)} interval {money(low)} to {money(high)}",
        ),
    )
    first = Passage("action", plan.title, (answer(plan), *_notes(plan)), figure="profit", facts=facts)
    kinds = "Nobody, everyone, or by rank" if len(plan.arms) == 1 else "Nobody, one arm for all, or by rank"
    compared = Passage("action", kinds, (_compared(plan),), policies(plan))
    return (first, compared, *_other_budgets(plan))


def _other_budgets(plan: TargetingPlan) -> tuple[Passage, ...]:
    """What other budgets would earn: a slider on an HTML page, a table everywhere."""
    slider = budget_slider(
        plan.frontier_numbers,
        plan.band,
        plan.n,
        plan.arms,
        plan.spend,
        _percent(1 - plan.tool.alpha),
        plan.segment_counts,
    )
    if slider is None:
        return ()
    family = (
        "people are treated in the order of expected profit per cost"
        if plan.tested.kind == "ranked"
        else f"people are drawn at random{f' and given {plan.tested.arm}' if len(plan.arms) > 1 else ''}"
    )
    said = (
        f"With each budget {family}, and the profit is net of treating nobody. The band holds at all budgets at once, so "
        "a budget may be chosen by looking at it."
    )
    if plan.segment_counts is not None:
        said += " Segments are those that Segmentation finds at its defaults."
    return (Passage("action", "What another budget would earn", (said,), slider.to_table(_SHOWN), slider=slider),)


def _compared(plan: TargetingPlan) -> str:
    rule = (
        "The profit of each policy is estimated from outcomes that did not choose the people; that of the policy put to "
        "the test is corrected for having been chosen among these, and it is launched only if its interval lies above "
        "zero."
    )
    return f"{rule} {plan.heterogeneity.verdict(plan.tool.alpha)}"


def _notes(plan: TargetingPlan) -> list[str]:
    notes = []
    if plan.shadow_price > 0:
        notes.append(f"One more unit of budget would earn about {money(plan.shadow_price)}.")
    if plan.policy != "nobody":
        try:
            size = plan.holdout_size()
            notes.append(
                f"To prove the profit after the launch, hold back {size:,} of those to be treated, drawn at random: "
                "a profit of this size is then shown with a probability of 80%."
            )
        except InferenceUnavailable:
            notes.append("These people are too few to prove the profit by a hold-out after the launch.")
    return notes


def profit_curve(plan: TargetingPlan) -> Mapping[str, Any]:
    """Return the profit curve with the plan marked."""
    label = "treat nobody" if plan.policy == "nobody" else f"treat {_percent(plan.chosen.n_treated / plan.n)}"
    found = _by_budget(plan) if plan.path_numbers is None else _by_share(plan)
    return {"title": plan.title, "marker_label": label, **found}


def _by_share(plan: TargetingPlan) -> dict[str, Any]:
    """Profit over the share of people."""
    assert plan.path_numbers is not None
    path = plan.path
    data = {key: path[key].to_numpy() for key in ("low", "high", "band_low", "band_high")}
    share, q = plan.chosen.n_treated / plan.n, path["share"].to_numpy()
    reference = plan.n * plan.path_numbers.average * q
    value = path["profit"].to_numpy()
    beside: dict[str, Any] = {"reference": reference, "reference_label": "a random order"}
    order = "Share treated, those with the most profit per cost first"
    if plan.policy == "random_share":  # the plan is a point on the line of a random order
        low, high = plan.candidates[1].profit.ci()
        value, order = reference, "Share treated, in random order"
        data, beside = {"low": low * q / share, "high": high * q / share}, {}
    return {
        "q": q,
        "value": value,
        **data,
        **beside,
        "marker": share,
        "xlabel": order,
    }


def _by_budget(plan: TargetingPlan) -> dict[str, Any]:
    """Profit over the budget, as a share of the largest that is of use."""
    f = plan.frontier
    whole = float(f["budget"].iloc[-1]) or 1.0
    data = {key: f[key].to_numpy() for key in ("low", "high", "band_low", "band_high")}
    return {
        "q": f["budget"].to_numpy() / whole,
        "value": f["profit"].to_numpy(),
        **data,
        "marker": plan.spend / whole,
        "xlabel": f"Share of a budget of {money(whole)}, the largest that is of use",
    }


def _readable(name: str) -> str:
    return name.replace("_", " ").replace("[", " (").replace("]", ")")


def _percent(value: float) -> str:
    return fmt.share(value, 0)
