"""What an effect is projected on: covariates of the fit by name, or columns handed over later, as numbers or groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only

#: A covariate with more distinct values than this is no set of groups.
MOST_GROUPS = 50


def regressors(sample: Sample | None, rows: Rows, covariates: Any) -> tuple[Floats, tuple[str, ...]]:
    """Return numeric columns, shape (n, k), and their names; categories become indicators of all but the first level.

    Raises
    ------
    DataError
        If a value is missing.
    """
    features = projected_features(sample, rows, covariates)
    gaps = np.isnan(features.values).sum(axis=0)
    if gaps.any():
        name, count = features.names[int(np.argmax(gaps > 0))], int(gaps[gaps > 0][0])
        raise DataError(
            f"covariate {name!r} has {count} missing values; a linear projection can't use these rows.",
            hint="Name covariates without gaps, or fit with missing='drop'.",
            column=name,
        )
    return features.dummies()


def projected_features(sample: Sample | None, rows: Rows, covariates: Any) -> Features:
    """Return covariates of the fit (all, or those named), or those of a table with one row per row used or given."""
    if covariates is None or isinstance(covariates, str) or _all_text(covariates):
        if sample is None:
            raise InferenceUnavailable(
                "this result no longer holds its data (a pickle leaves them out).",
                hint="Pass a table with the columns instead of their names.",
            )
        features = sample.features()
        if covariates is None:
            return features
        return select_features(features, (covariates,) if isinstance(covariates, str) else tuple(covariates))
    if isinstance(covariates, np.ndarray):
        wide = covariates.reshape(len(covariates), -1)
        covariates = {f"x{j}": wide[:, j] for j in range(wide.shape[1])}
    frame = Frame.read(covariates).collect()
    features = Schema.of(frame, frame.columns).read(frame)
    if len(features.values) == len(rows):
        return features
    if sample is None or len(features.values) != sample.n_input:
        raise DesignError(
            f"covariates= has {len(features.values)} rows; {len(rows)} were used.",
            hint="Pass one row per row used, or per row of the table.",
        )
    return features.take(rows.positions)


def group_codes(sample: Sample | None, rows: Rows, covariates: Any) -> Groups:
    """Return the group of each row: the levels of one covariate, or of an array of labels.

    Raises
    ------
    DesignError
        If it is not one column, or has one value or too many.
    DataError
        If a row has no group, or a group one row only.
    """
    by_name = isinstance(covariates, str)
    if by_name:
        features = projected_features(sample, rows, covariates)
        name, values = features.names[0], features.values[:, 0]
        levels = features.schema.levels[0]
        distinct, inverse = np.unique(values, return_inverse=True)
        codes: Codes = inverse.astype(np.int32)
        gaps = int(np.isnan(values).sum())
        labels = tuple(levels[int(v)] if levels is not None and v == v else v for v in distinct.tolist())
    else:
        name, (codes, labels) = "group", _array_codes(sample, rows, covariates)
        gaps = int((codes < 0).sum())
    if gaps:
        raise DataError(
            f"{name!r} has {gaps} missing values; these rows belong to no group.",
            hint="Fill them, or pass an array of labels in which they have a name.",
            column=name if by_name else None,
        )
    if not 2 <= len(labels) <= MOST_GROUPS:
        raise DesignError(
            f"{name!r} has {len(labels)} different values; groups need 2 to {MOST_GROUPS}.",
            hint="Pass an array of labels, such as a covariate cut at its median.",
            column=name if by_name else None,
        )
    lone = np.flatnonzero(np.bincount(codes, minlength=len(labels)) == 1)
    if lone.size:
        raise DataError(
            f"group {labels[lone[0]]!r} has one row only, so its error is not known.",
            hint="Join it with another group.",
            column=name if by_name else None,
            rows=rows.positions[codes == lone[0]].tolist(),
        )
    return Groups(read_only(codes), labels, name)


def select_features(features: Features, names: tuple[str, ...]) -> Features:
    """Return some of the columns.

    Raises
    ------
    DesignError
        If one was not a covariate of the fit.
    """
    for name in names:
        if name not in features.names:
            raise DesignError(
                f"{name!r} was not a covariate of the fit.",
                hint=f"Covariates: {', '.join(features.names)}. Or pass a table with the columns.",
                column=name,
            )
    at = [features.names.index(name) for name in names]
    schema = Schema(names, tuple(features.schema.levels[j] for j in at))
    return Features(read_only(np.asfortranarray(features.values[:, at])), schema)


def _array_codes(sample: Sample | None, rows: Rows, labels: Any) -> tuple[Codes, tuple[object, ...]]:
    array = np.asarray(labels)
    if array.ndim == 1 and sample is not None and len(array) == sample.n_input != len(rows):
        array = array[rows.positions]
    if array.shape != (len(rows),):
        raise DesignError(
            f"the groups have shape {array.shape}; {len(rows)} rows were used.",
            hint="Name one covariate of the fit, or pass one label per row used or per row of the table.",
        )
    return Frame.read({"group": array}).labels("group")


def _all_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
