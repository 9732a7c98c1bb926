"""What a policy tree has to say: the rule in words, what it is worth on people who did not teach it, and who gets what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.effects import Effects
from causalkit.core.features import Schema
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.data.frame import Frame
from causalkit.effects.plain_result import outcome_name
from causalkit.inference.wald import upper_pvalue
from causalkit.kernels.arrays import Codes
from causalkit.uplift.policy_tree_nodes import Branch, drawn, leaf_words

if TYPE_CHECKING:
    import pandas as pd

#: Share of people whom the folds' rules should treat as the rule does.
STABLE = 0.8


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PolicyTreeResult(Result):
    """A rule for who gets which arm.

    The headline is the gain per person over giving everyone the control, cross-fitted; the other effects are the gains
    over giving everyone each of the other arms.

    Parameters
    ----------
    root : Branch
        The tree.
    names : tuple of str
        What each arm is called; the control first.
    levels : tuple
        The arms' labels in the treatment column.
    schema : Schema
        Names and categories of the columns that the rule reads.
    contrast : str
        What is compared.
    actions : Codes, shape (n,)
        Arm (position in ``levels``) that the rule gives each row of the fit.
    in_sample : float
        Gain over the control by the scores that chose the rule: flattered by the choice.
    standard_errors : tuple of float
        Of each leaf's mean gain, in the order of ``leaves``.
    """

    root: Branch
    names: tuple[str, ...]
    levels: tuple[object, ...]
    schema: Schema
    contrast: str
    actions: Codes
    in_sample: float
    standard_errors: tuple[float, ...]

    plots = ("policy_tree", "effects")

    def assign(self, data: Any = None) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the arm (its level in the treatment column) that each person should get.

        Parameters
        ----------
        data : table, optional
            People, with the columns that the rule may use. None: the rows of the fit.

        Raises
        ------
        DataError
            If a column is missing from the table, has another type, or holds a category that the fit has not seen.
        """
        codes = self.actions
        if data is not None:
            frame = Frame.read(data)
            codes = self.root.assign(self.schema.read(frame.select(self.schema.names).collect()).values)
        return np.array(self.levels)[codes]

    @property
    def rules(self) -> tuple[str, ...]:
        """The rule in words, one sentence a leaf."""
        return tuple(
            f"{self.names[leaf.action]} for {leaf_words(path)} ({fmt.share(leaf.mass / self.root.mass, 0)} of people)"
            for path, leaf in self.root.leaves()
        )

    @cached_property
    def leaves_table(self) -> Table:
        """Each leaf: who, which arm, how many, and the mean gain over the control by the scores that chose the rule."""
        rows = []
        for (path, leaf), se in zip(self.root.leaves(), self.standard_errors, strict=True):
            gain = leaf.scores[leaf.action] / leaf.mass
            rows.append((leaf_words(path), self.names[leaf.action], leaf.n, leaf.mass / self.root.mass, gain, se))
        head = ("who", "arm", "n", "share", "gain_in_sample", "se")
        return Table.of(
            head, rows, f"Leaves of the rule; gains over {self.names[0]} are those that chose it: optimistic"
        )

    @property
    def leaves(self) -> pd.DataFrame:
        """Columns ``who arm n share gain_in_sample se``; the gains chose the rule and flatter it."""
        import pandas as pd

        return pd.DataFrame(self.leaves_table.rows, columns=list(self.leaves_table.columns))

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: each gain is a mean of its own."""
        return 1

    # Telling it.

    @property
    def title(self) -> str:
        """What was learned."""
        return f"A rule for who gets what, by the effect of {self.contrast}"

    @property
    def is_uniform(self) -> bool:
        """Whether the rule gives everyone the same arm."""
        return self.root.rule is None

    @property
    def answer(self) -> str:
        """The rule and its gain in two sentences."""
        if self.is_uniform:
            rule = f"Give everyone {self.names[self.root.action]}: no cut into groups is worth more."
        else:
            rule = f"Give {'; '.join(self.rules)}."
        return f"{rule} {self._gain()}"

    def _gain(self) -> str:
        low, high = self.effects.ci()
        told = [
            f"{fmt.number(float(value), 3)} ({fmt.number(float(a), 3)} to {fmt.number(float(b), 3)}) against "
            f"{name} for everyone"
            for name, value, a, b in zip(self.names, self.effects.values, low, high, strict=True)
        ]
        return f"On people who did not teach it, such a rule gains per person (95% intervals): {'; '.join(told)}."

    def passages(self) -> tuple[Passage, ...]:
        """Return the rule, what it gains on held-out outcomes, and by how much the data that chose it flatter it."""
        low, high = self.effects.ci()
        facts = tuple(
            (f"Gain over {name}", fmt.number(float(value), 3), f"95% interval {fmt.interval(a, b, 3)}")
            for name, value, a, b in zip(self.names[:3], self.effects.values, low, high, strict=False)
        )
        rule = Passage("action", self.title, (self.answer,), self.leaves_table, "policy_tree", facts)
        sure = Passage("certainty", "What the rule gains", (self._honesty(),), self.to_table(), "effects")
        return (rule, sure)

    def _honesty(self) -> str:
        unit = self._unit()
        return (
            f"Gains per person {unit}, each by a rule that was learned from the other folds. By the scores that chose the "
            f"rule it would gain {fmt.number(self.in_sample, 3)} over {self.names[0]}: "
            f"{fmt.number(self.in_sample - self.estimate, 3)} more, which is the winner's curse and can't be counted on."
        )

    def _unit(self) -> str:
        value, cost = self.estimator.value, self.estimator.cost  # type: ignore[attr-defined]
        free = cost == 0.0 and "cost" not in {role for role in self.roles if self.roles.get(role) is not None}
        if value == 1.0 and free:
            return f"in units of {outcome_name(self.roles)}"
        return "in money, net of costs"

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the nodes of the tree, or the gains."""
        if kind != "policy_tree":
            return super().plot_data(kind)
        return {"title": self.title, "nodes": drawn(self.root, self.names), "names": list(self.names)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary, the tree and its rules among it."""
        said = {
            "rules": list(self.rules),
            "tree": self.root.to_dict(self.names),
            "in_sample": self.in_sample,
            "winners_curse": self.in_sample - self.estimate,
        }
        return plain({**super().to_dict(), **said})  # type: ignore[no-any-return]


def policy_checks(effects: Effects, names: Sequence[str], agreement: float, alpha: float) -> dict[str, Check]:
    """Check that the rule beats one arm for all, and that the folds' rules agree with it."""
    se = effects.se
    p = [
        float(upper_pvalue(v / s, d)) if s > 0 else float(v <= 0)
        for v, s, d in zip(effects.values, se, effects.df, strict=True)
    ]
    hardest = int(np.argmax(p))
    found = p[hardest] < alpha
    message = (
        f"The hardest to beat is {names[hardest]} for everyone: the gain of the rule over it is "
        f"{fmt.number(float(effects.values[hardest]), 3)} (standard error {fmt.number(float(se[hardest]), 3)}); that it is "
        f"zero or less has p-value {fmt.pvalue(p[hardest])} (one-sided, the largest over the arms)."
    )
    advice = "" if found else f"Give everyone one arm, such as {names[hardest]}, or learn the rule from more people."
    statistic = float(effects.values[hardest] / se[hardest]) if se[hardest] > 0 else None
    steady = agreement >= STABLE
    return {
        "policy_gain": Check("policy_gain", "pass" if found else "warn", message, statistic, p[hardest], advice),
        "stability": Check(
            "stability",
            "pass" if steady else "warn",
            f"Rules learned without a fold give {fmt.share(agreement, 0)} of its people the arm that the rule gives them.",
            agreement,
            advice="" if steady else "Other rules are about as good: don't read reasons into the cuts.",
        ),
    }
