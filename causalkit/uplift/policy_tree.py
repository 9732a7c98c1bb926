"""PolicyTree: the best rule of a few cuts for who gets which arm, with an honest value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.effects import Effects
from causalkit.core.estimator import Estimator
from causalkit.core.features import Features
from causalkit.core.headline import compared
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.data.frame import first_rows
from causalkit.effects.averages import estimate_of, shares
from causalkit.effects.crossfit_study import ROLES, arm_names
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.policy_tree_columns import candidate_columns, dense_codes
from causalkit.uplift.policy_tree_nodes import Branch
from causalkit.uplift.policy_tree_result import PolicyTreeResult, policy_checks
from causalkit.uplift.policy_tree_scores import ArmScores, scores_of_model, scores_of_sample
from causalkit.uplift.policy_tree_search import grow

#: Rules of the folds try at most this many cuts of a number: they are there to be judged, not to be read.
FOLD_CUTS = 256
#: Each fold's outcomes taught the other folds' rules, so their gains are correlated; see the notes of the class.
FOLD_VARIANCE = 2.0


def _cost_field() -> Any:
    """The ``cost`` field: a number, or a mapping from arm to number."""
    from dataclasses import field

    def check(name: str, value: Any) -> Any:
        amounts = value.values() if isinstance(value, Mapping) else (value,)
        for amount in amounts:
            if not isinstance(amount, Real) or isinstance(amount, bool) or not 0 <= float(amount) < np.inf:
                raise DesignError(
                    f"{name}={value!r} is not an amount of money, zero or more.",
                    hint="Pass a number, or a dictionary from arm to number.",
                )
        return dict(value) if isinstance(value, Mapping) else float(value)

    return field(default=0.0, metadata={"check": check})


@dataclass(frozen=True, kw_only=True)
class PolicyTree(Estimator[PolicyTreeResult]):
    """Learn who should get which arm as a tree of a few cuts, and estimate honestly what the rule is worth.

    The rule maximises the sum of doubly robust scores, net of costs, among all trees of the depth: exactly to depth two
    (of a category with more than five levels, divisions along an order by gain are tried rather than all);
    beyond, cut by cut, each the first cut of the best tree of depth two (``method="hybrid"``), or exactly for small tables
    (``method="exact"``). Any number of arms.

    Scores that chose a rule flatter it (winner's curse). The value is therefore cross-fitted: each person's gain is that
    of a rule learned, in the same way, from the other folds.

    Parameters
    ----------
    depth : int
        Most cuts on the way to a decision; 1 to 6.
    min_node_size : int
        Fewest people of a leaf.
    method : {"hybrid", "exact"}
        Search beyond depth two.
    n_cuts : int, optional
        Most cuts tried for a number, at its quantiles. None: between any two values.
    value : float
        Money per unit of the outcome; negative for an outcome to be avoided.
    cost : float or dict
        Money per person who gets an arm other than the control: one number, or one for each of these arms by its level (and
        for the control where it costs something too).
    n_folds : int
        Folds of the scores and of the value.
    regressor, classifier : learner, optional
        For expected outcomes and propensities; see :class:`~causalkit.effects.aipw.AIPW`.
    alpha : float
        Level of the one-sided verdict that the rule beats giving everyone one arm.
    random_state : int, optional
        Seed of the folds and learners.
    n_jobs : int, optional
        Threads of the learners.

    Notes
    -----
    The value is that of the folds' rules, each learned from ``(n_folds - 1) / n_folds`` of the people: on average a little
    below that of the rule shown. The folds' gains are correlated, as each fold's outcomes taught the other folds' rules,
    and the usual standard error is too small: where the treatment does nothing, 95 % intervals from it cover 90 %. The
    variance is therefore doubled, which covers 96 % or more (``docs/coverage.md``) and is conservative where the rule is
    clear.

    Assumes what the scores assume: no unmeasured confounding given the covariates (or known propensities), overlap, and no
    interference between people.

    Gaps in numbers go to the better side of a cut; a gap in a category is a category. People with a gap where the fit had
    none go with the larger side.

    References
    ----------
    Athey and Wager (2021), "Policy learning with observational data", *Econometrica* 89. Zhou, Athey and Wager (2023),
    "Offline multi-action policy learning", *Operations Research* 71. Sverdrup et al. (2020), *JOSS* 5(50).
    """

    depth: int = params.integer(2, low=1, high=6)
    min_node_size: int = params.integer(20, low=1)
    method: str = params.choice("hybrid", "hybrid", "exact")
    n_cuts: int | None = params.integer(None, low=1)
    value: float = params.number(1.0)
    cost: Any = _cost_field()  # noqa: RUF009 - a dataclass field
    n_folds: int = params.integer(5, low=2)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar[Mapping[str, Role]] = {
        **ROLES,
        "terms": Role("features", required=False, many=True, native_missing=True),
        "cost": Role("number", required=False),
    }
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "row")
    strategies: ClassVar[tuple[str, ...]] = ("adjustment",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value == 0:
            raise DesignError(
                "value=0: an outcome that is worth nothing pays for no treatment.",
                hint="Pass money per unit of outcome.",
            )

    def fit(
        self,
        data: Any,
        *,
        effect: Any = None,
        outcome: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] = (),
        terms: str | Sequence[str] = (),
        cost: Any = None,
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str = "native",
    ) -> PolicyTreeResult:
        """Learn a rule from the people of a table whose outcomes are known.

        Parameters
        ----------
        data : table
        effect : fitted model, optional
            A model of effects: its roles are the default of those below, and on its own training table its scores are used.
        outcome, treatment : str
            As for AIPW; needed without ``effect``.
        covariates : str or list of str
            For the scores; and for the rule, unless ``terms`` names its own.
        terms : str or list of str, optional
            Columns that the rule may use, where these are fewer (what is known, and fair to use, when it is applied).
        cost : str, array, float or dict, optional
            Cost of each person in an arm other than the control, instead of the ``cost`` of the configuration.
        control, treatment_level : label, optional
            The baseline arm; and, of several others, the one that the rule may give (all of them where left out).
        propensity, cluster, unit, weights : optional
            As for AIPW.
        missing : {"native", "drop", "raise"}
            What to do with covariates that have gaps.

        Returns
        -------
        PolicyTreeResult

        Raises
        ------
        DesignError
            If there is no column to cut on, ``effect`` is no fitted model, a cost is given for an arm that does not exist or
            left out for one that does, or an exact search would take too long.
        DataError
            If a cost is negative, or the table holds values that can't be used.
        """
        run: Any = self if cost is None or not _is_amount(cost) else self.replace(cost=cost)
        given = {
            "outcome": outcome,
            "treatment": treatment,
            "covariates": covariates,
            "terms": terms,
            "cost": None if _is_amount(cost) else cost,
            "control": control,
            "treatment_level": treatment_level,
            "propensity": propensity,
            "cluster": cluster,
            "unit": unit,
            "weights": weights,
            "missing": missing,
        }
        if effect is None:
            return run._fit(data, **given)  # type: ignore[no-any-return]
        run = run.seeded()
        sample, scores = scores_of_model(run, data, effect, given)
        learned: PolicyTreeResult = run._learn(sample, scores)
        return replace(learned, roles={**sample.given, "effect": effect})

    def estimate(self, sample: Sample) -> PolicyTreeResult:
        """Run the analysis on a bound sample."""
        run: Any = self.seeded()
        return run._learn(sample, scores_of_sample(run, sample, n_jobs_or_default(self.n_jobs)))  # type: ignore[no-any-return]

    def _learn(self, sample: Sample, scores: ArmScores) -> PolicyTreeResult:
        features = sample.features("terms") if sample.has("terms") else sample.features()
        if not features.names:
            raise DesignError(
                "there is no column for the rule to cut on.", hint="Name them: covariates=[...] or terms=[...]."
            )
        gains = self._net(sample, scores)
        one_arm = sample.given.get("treatment_level") is not None
        n_arms = 2 if one_arm else sample.arms.count
        gains = np.ascontiguousarray(gains[:, :n_arms])
        share = shares(sample.n, scores.weights)
        root = self._grow(features, gains, share * sample.n, self.n_cuts)
        names = arm_names(sample.arms)[:n_arms]
        chosen = root.assign(features.values)
        held_out = self._held_out(features, gains, share * sample.n, scores.folds)
        effects = _against_each_arm(held_out, gains, share, scores, sample, names)
        everyone = np.arange(sample.n)
        return PolicyTreeResult(
            estimator=self,
            effects=effects,
            headline=effects.terms[0],
            estimand=f"gain per person of the rule over {names[0]} for everyone",
            checks=scores.checks.joined(policy_checks(effects, names, float(share @ (held_out == chosen)), self.alpha)),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            root=root,
            names=names,
            levels=sample.arms.levels[:n_arms],
            schema=features.schema,
            contrast=compared(sample.arms, sample.arms.contrast() if n_arms == 2 else None),
            actions=read_only(chosen),
            in_sample=float(share @ gains[everyone, chosen]),
            standard_errors=_leaf_errors(root, features, gains, share),
        )

    def _net(self, sample: Sample, scores: ArmScores) -> Floats:
        """Scores of the profit of each arm over the control, shape (n, n_arms)."""
        arms = sample.arms
        prices = np.zeros((sample.n, arms.count))
        if sample.has("cost"):
            cost = sample.number("cost")
            negative = cost < 0
            if negative.any():
                at = tuple(int(sample.rows.positions[row]) for row in first_rows(negative))
                raise DataError(
                    f"cost {sample.name('cost')!r} has {int(negative.sum())} negative values (first in row {at[0]}).",
                    hint="A cost is zero or more; put a saving into the outcome.",
                    column=sample.name("cost"),
                    rows=at,
                )
            prices[:, 1:] = cost[:, None]
        elif isinstance(self.cost, dict):
            prices[:] = _prices(self.cost, arms.levels, sample.given.get("treatment_level") is not None)
        else:
            prices[:, 1:] = self.cost
        return np.asarray(self.value * scores.gains - prices)

    def _grow(self, features: Features, gains: Floats, weights: Floats, most: int | None) -> Branch:
        columns = candidate_columns(features, gains * weights[:, None])
        if not columns:
            return Branch.of(grow(np.empty((0, len(gains)), np.int32), gains * weights[:, None], 0, mass=weights), [])
        codes = dense_codes(columns, most)
        search: Any = self.method
        return Branch.of(
            grow(codes, gains * weights[:, None], self.depth, self.min_node_size, search, weights), columns
        )

    def _held_out(self, features: Features, gains: Floats, weights: Floats, folds: Codes) -> Codes:
        """Return the action of each person by a rule learned from the other folds."""
        most = FOLD_CUTS if self.n_cuts is None else min(FOLD_CUTS, self.n_cuts)
        out = np.zeros(len(gains), dtype=np.int32)
        for fold in np.unique(folds):
            here = folds == fold
            others = np.flatnonzero(~here)
            rule = self._grow(features.take(others), gains[others], weights[others], most)
            out[here] = rule.assign(features.values[here])
        return out


def _is_amount(cost: Any) -> bool:
    return isinstance(cost, Mapping) or (isinstance(cost, Real) and not isinstance(cost, bool))


def _prices(cost: Mapping[Any, float], levels: tuple[object, ...], one_arm: bool) -> Floats:
    """What each arm costs more than the control, shape (n_arms,); each arm that the rule may give needs a cost."""
    told = {_arm_of(level, levels): amount for level, amount in cost.items()}
    for code in range(1, 2 if one_arm else len(levels)):
        if code not in told:
            raise DesignError(
                f"cost= has no amount for the arm {levels[code]!r}.",
                hint=f"Give one for each of {', '.join(map(repr, levels[1:]))}; 0 for an arm that is free.",
            )
    return np.array([told.get(code, 0.0) for code in range(len(levels))]) - told.get(0, 0.0)


def _arm_of(level: object, levels: tuple[object, ...]) -> int:
    for code, known in enumerate(levels):
        if known == level or str(known) == str(level):
            return code
    raise DesignError(
        f"cost= names the arm {level!r}, which does not exist.", hint=f"Arms: {', '.join(map(repr, levels))}."
    )


def _against_each_arm(
    chosen: Codes, gains: Floats, share: Floats, scores: ArmScores, sample: Sample, names: tuple[str, ...]
) -> Effects:
    """Gain of held-out rules over each arm for everyone, with influence values."""
    gap = gains[np.arange(len(gains)), chosen][:, None] - gains
    theta = share @ gap
    psi = np.sqrt(FOLD_VARIANCE) * share[:, None] * (gap - theta)
    numbers = estimate_of(theta, psi, scores.groups, sample.rows)
    return Effects(tuple(f"rule minus {name}" for name in names), numbers.folded())


def _leaf_errors(root: Branch, features: Features, gains: Floats, share: Floats) -> tuple[float, ...]:
    """Standard error of each leaf's mean gain of its arm over the control (rows as independent)."""
    found = []
    everyone = np.arange(len(gains))
    codes = _leaf_codes(root, features.values)
    for code, (_, leaf) in enumerate(root.leaves()):
        inside = everyone[codes == code]
        w, own = share[inside] / share[inside].sum(), gains[inside, leaf.action]
        found.append(float(np.sqrt(np.sum((w * (own - w @ own)) ** 2))))
    return tuple(found)


def _leaf_codes(root: Branch, values: Floats) -> Codes:
    """Number of each row's leaf, in the order of :meth:`Branch.leaves`."""
    numbered, count = root, 0

    def number(branch: Branch) -> Branch:
        nonlocal count
        if branch.left is None or branch.right is None:
            count += 1
            return replace(branch, action=count - 1)
        left = number(branch.left)
        return replace(branch, left=left, right=number(branch.right))

    return number(numbered).assign(values)


__all__ = ["PolicyTree"]
