"""Boosted trees as arrays: what is left of a LightGBM model once it is fitted, and predicts several times as fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.nuisance.learners import Model

#: Bits of a split's type in the text of a model.
_CATEGORY, _DEFAULT_LEFT, _ZERO_MISSING, _GAP_MISSING = 1, 2, 4, 8


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees that compare numbers; predictions are those of LightGBM, to the last digit but the logistic function's.

    Parameters
    ----------
    starts : Ints, shape (trees + 1,)
        Where the nodes of each tree start.
    feature, threshold, gap_left : shape (nodes,)
        Rows whose covariate is at most the threshold go left; whether rows without it do.
    masks, values
        See :func:`causalkit.kernels.boosted_trees.leaf_masks`.
    logistic : bool
        Whether a sum of leaves is a logit.
    """

    starts: Ints
    feature: Codes
    threshold: Floats
    gap_left: Bools
    masks: NDArray[np.uint32]
    values: Floats
    logistic: bool

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n,)."""
        from causalkit.kernels.boosted_trees import add_trees

        if self.feature.max(initial=-1) >= x.shape[1]:  # the kernel would read what lies behind the table
            raise ValueError(f"the trees split by column {self.feature.max()}, and there are {x.shape[1]}.")
        columns = np.ascontiguousarray(x.T, dtype=float)
        total = np.zeros(len(x))
        add_trees(columns, self.starts, self.feature, self.threshold, self.gap_left, self.masks, self.values, total)
        return 1.0 / (1.0 + np.exp(-total)) if self.logistic else total


@dataclass(frozen=True, eq=False)
class Booster:
    """A LightGBM model without its training data."""

    booster: Any

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n,), or probabilities by class."""
        out: Floats = np.asarray(self.booster.predict(x, num_threads=1), dtype=float)
        return out


def without_data(booster: Any, rounds: int | None = None) -> Model:
    """Return a fitted LightGBM model without its training data, up to a number of rounds."""
    text = booster.model_to_string(num_iteration=rounds)
    found = _read(text)
    if found is not None:
        return found
    import lightgbm

    return Booster(lightgbm.Booster(model_str=text))


def _read(text: str) -> Trees | None:
    """Read the text of a model; None where its trees are more than comparisons and a sum, or have too many leaves."""
    from causalkit.kernels.boosted_trees import MOST_LEAVES, leaf_masks

    body = text[: text.index("end of trees")]
    fields = {name: [rest[: rest.find("\n")] for rest in body.split(f"\n{name}=")[1:]] for name in _FIELDS}
    objective = fields["objective"][0]
    sizes = np.array(fields["num_leaves"], dtype=np.int64)
    kinds = _numbers(fields["decision_type"], np.int64)
    plain = objective in ("regression", "binary sigmoid:1") and not any(f"\n{other}\n" in body for other in _OTHERWISE)
    if not plain or sizes.max(initial=1) > MOST_LEAVES or np.any(kinds & (_CATEGORY | _ZERO_MISSING)):
        return None
    starts = np.concatenate([[0], np.cumsum(sizes - 1)])
    threshold = _numbers(fields["threshold"], np.float64)
    # A gap in a covariate that had none when the trees were grown counts as zero, as in LightGBM.
    gap_left = np.where(kinds & _GAP_MISSING, kinds & _DEFAULT_LEFT, threshold >= 0.0).astype(bool)
    masks, values = np.empty(len(kinds), dtype=np.uint32), np.zeros((len(sizes), MOST_LEAVES))
    left, right = (_numbers(fields[name], np.int32) for name in ("left_child", "right_child"))
    leaf_masks(starts, left, right, _numbers(fields["leaf_value"], np.float64), masks, values)
    feature = _numbers(fields["split_feature"], np.int32)
    return Trees(starts, feature, threshold, gap_left, masks, values, objective != "regression")


#: Forests, whose trees are averaged, and trees with a regression in each leaf.
_OTHERWISE = ("average_output", "is_linear=1")
_FIELDS = (
    "objective",
    "num_leaves",
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
)


def _numbers(lines: list[str], dtype: Any) -> Any:
    """Join the numbers of all trees."""
    return np.array(" ".join(lines).split(), dtype=dtype)
