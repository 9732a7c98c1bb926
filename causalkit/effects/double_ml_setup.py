"""What every method of double machine learning starts from: canonical rows, a learning scale, weights and clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.crossfit_study import InCanonicalOrder, arm_names, clusters_of, refuse_one_propensity
from causalkit.effects.double_ml_nuisance import Learners, deal_splits
from causalkit.effects.outcome_scale import Scale
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints, read_only


class Run(Protocol):
    """The configuration of what is cross-fitted."""

    @property
    def n_folds(self) -> int: ...  # noqa: D102

    @property
    def regressor(self) -> Any: ...  # noqa: D102

    @property
    def classifier(self) -> Any: ...  # noqa: D102

    @property
    def random_state(self) -> int | None: ...  # noqa: D102

    @property
    def n_jobs(self) -> int | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Setup(InCanonicalOrder):
    """The rows of a study in canonical order, ready to be cross-fitted.

    Parameters
    ----------
    sample : Sample
        Canonical rows.
    order : Ints, shape (n,)
        Their positions in the user's order.
    scale : Scale
        From z to the outcome.
    z : Floats, shape (n,)
        The outcome on its learning scale.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    ways : tuple of Groups
        Ways of clustering: none, one or two.
    arms : Arms or None
        The treatment, where it has levels.
    """

    sample: Sample
    order: Ints
    scale: Scale
    z: Floats
    weights: Floats | None
    ways: tuple[Groups, ...]
    arms: Arms | None

    @classmethod
    def of(cls, sample: Sample, regressor: Any = None) -> Setup:
        """Prepare a bound sample, whose outcome ``regressor`` will learn."""
        rows = sample.canonical()
        scale = Scale.learn(rows.outcome, regressor)
        weights = rows.optional("weights")
        if weights is not None:
            weights = read_only(weights / weights.mean())
        column = rows.columns["treatment"]
        arms = column if isinstance(column, Arms) else None
        if arms is not None:
            refuse_one_propensity(sample)
        return cls(rows, sample.canonical_order, scale, scale.apply(rows.outcome), weights, ways_of(rows), arms)

    @property
    def dose(self) -> Floats:
        """The treatment as a number: the dose, or 1 in the arm of interest and 0 in the control."""
        return self.sample.number("treatment") if self.arms is None else (self.arms.codes == 1).astype(float)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arms, for messages."""
        return () if self.arms is None else arm_names(self.arms)

    def learners(self, run: Run, repeat: int) -> Learners:
        """Deal the rows to folds for one repetition; the first uses the seed of the estimator itself."""
        assert run.random_state is not None
        seed = (run.random_state + repeat) % 2**32
        features = self.sample.features()
        splits = deal_splits(
            len(self.z),
            run.n_folds,
            self.ways,
            arms=None if self.arms is None else self.arms.codes,
            outcome=self.z,
            random_state=seed,
            arm_names=self.names or None,
        )
        return Learners(
            features,
            splits,
            run.regressor,
            run.classifier,
            self.weights,
            self.ways[0].codes if self.ways else None,
            seed,
            n_jobs_or_default(run.n_jobs),
        )


def ways_of(sample: Sample) -> tuple[Groups, ...]:
    """Return the ways of clustering that were named, else the units where they repeat.

    Raises
    ------
    DesignError
        If a way has one cluster only, or there are more than two.
    """
    named = sample.several("cluster")
    if len(named) < 2:
        one = clusters_of(sample)
        return () if one is None else (one,)
    if len(named) > 2:
        raise DesignError(f"cluster= names {len(named)} columns.", hint="Name one way of clustering, or two.")
    for way in named:
        if way.count < 2:
            raise DesignError(
                f"cluster {way.name!r} has one cluster only.", hint="Leave it out of cluster=.", column=way.name
            )
    return named
