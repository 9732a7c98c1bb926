"""Another variance for the same estimates, from the influence values that a result keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.estimate import Estimate, Influence
from causalkit.core.rows import Groups
from causalkit.data.frame import Frame
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Ints

if TYPE_CHECKING:
    from causalkit.core.result import Result

FROM_INFLUENCE = ("HC0", "HC1", "CR0", "CR1")


def recluster(result: Result, vcov: str, cluster: Any = None) -> Estimate:
    """Return the estimates of a result with the variance ``vcov``.

    HC1 multiplies by n / (n - k) and CR1 by G / (G - 1) x (n - 1) / (n - k), where k is what
    ``result.count_parameters`` counts for these clusters (Stata's convention) and G the smallest number of clusters
    where there are several ways; without any, units are clusters where influence values are by unit.

    Raises
    ------
    InferenceUnavailable
        If the result keeps no influence values, or the variance needs a refit.
    """
    if vcov not in FROM_INFLUENCE:
        raise InferenceUnavailable(
            f"vcov={vcov!r} can't be had from influence values.",
            hint=f"Refit with it: estimator.replace(vcov={vcov!r}). From this result: {', '.join(FROM_INFLUENCE)}.",
        )
    numbers = result.effects.numbers
    carrier = numbers.carrier
    if not isinstance(carrier, Influence):
        raise InferenceUnavailable(
            f"this result keeps a {type(carrier).__name__}, not influence values.",
            hint=f"Refit with the variance: estimator.replace(vcov={vcov!r}). Influence values above 256 MB are kept by "
            "options(keep_influence=True).",
        )
    if carrier.per_row is not None and np.isnan(carrier.per_row):
        raise InferenceUnavailable(
            "each effect is a regression of its own, whose factors its influence values contain.",
            hint="Name cluster= at the fit.",
        )
    n = len(carrier.rows)
    if vcov.startswith("HC"):
        if cluster is not None:
            raise DesignError(f"cluster= goes with CR0 or CR1, not with {vcov}.", hint='Use vcov="CR1".')
        if carrier.per_row is not None:
            raise InferenceUnavailable(
                f"{vcov} is by row, and this result keeps one influence value per unit.",
                hint='Use vcov="CR1", which is by unit.',
            )
        k = result.count_parameters(())
        scale = _ratio(n, n, k) if vcov == "HC1" else 1.0
        df = np.full(numbers.size, float(n - k))
        return replace(numbers, carrier=replace(carrier, groups=None, crossed=(), scale=scale, df=df, kind=vcov))
    ways = _ways(result, carrier, cluster)
    for way in ways:
        if way.count < 2:
            raise DesignError(
                f"cluster {way.name!r} has one cluster only.", hint="Clustered inference needs two or more."
            )
    count = min((way.count for way in ways), default=n)
    scale = count / (count - 1) * _by_row(result, carrier, ways) if vcov == "CR1" else 1.0
    df = np.full(numbers.size, float(count - 1))
    changed = replace(carrier, groups=ways[0] if ways else None, crossed=ways[1:], scale=scale, df=df, kind=vcov)
    return replace(numbers, carrier=changed)


def _by_row(result: Result, carrier: Influence, ways: tuple[Groups, ...]) -> float:
    """Return what CR1 multiplies by for rows and parameters."""
    if carrier.per_row is None:
        n = len(carrier.rows)
        return _ratio(n - 1, n, result.count_parameters(ways))
    return carrier.per_row


def _ratio(above: int, n: int, k: int) -> float:
    if k >= n:
        raise InferenceUnavailable(
            f"{k} parameters of {n} rows leave nothing to tell an error from.",
            hint='Use a variance without a small-sample factor: "HC0" or "CR0".',
        )
    return above / (n - k)


def _ways(result: Result, carrier: Influence, cluster: Any) -> tuple[Groups, ...]:
    if cluster is None:
        kept = carrier.ways or (result.sample.several("cluster") if result.sample is not None else ())
        if not kept and (carrier.per_row is None and _units_of_rows(result, carrier) is None):
            raise DesignError("there is no cluster to go by.", hint="Pass cluster= with one label per row used.")
        return kept  # none where every value is that of a unit, which is a cluster
    if isinstance(cluster, tuple) and cluster and all(np.ndim(labels) == 1 for labels in cluster):
        return tuple(_groups(result, carrier, labels) for labels in cluster)
    return (_groups(result, carrier, cluster),)


def _units_of_rows(result: Result, carrier: Influence) -> Ints | None:
    """Return the unit of each row used, where influence values are by unit and rows are not; else None."""
    sample = result.sample
    if sample is None or sample.n == len(carrier.rows):
        return None
    unit = sample.groups("unit")
    if unit is None or carrier.rows.labels is None:
        raise InferenceUnavailable(
            "this result keeps one influence value per unit, and not which rows belong to it.",
            hint="Name cluster= at the fit.",
        )
    place = {label: at for at, label in enumerate(carrier.rows.labels.tolist())}
    known = np.array([place.get(label, -1) for label in unit.labels], dtype=np.int64)
    return known[unit.codes]


def _groups_of_units(result: Result, carrier: Influence, labels: Any, of_row: Ints) -> Groups:
    """Turn labels of rows into labels of units; a unit lies in one cluster."""
    assert result.sample is not None
    if labels.shape == (result.sample.n_input,):
        labels = labels[result.sample.rows.positions]
    if labels.shape != of_row.shape:
        raise DesignError(
            f"cluster= has shape {labels.shape}; {len(of_row)} rows of {len(carrier.rows)} units were used.",
            hint="Pass one label for each row used, or for each unit.",
        )
    codes, names = Frame.read({"cluster": labels}).labels("cluster")
    inside = of_row >= 0
    if (codes[inside] < 0).any():
        raise DataError(
            f"cluster= has {int((codes[inside] < 0).sum())} missing labels.", hint="Give every row a cluster."
        )
    of_unit = np.full(len(carrier.rows), -1, dtype=np.int32)
    of_unit[of_row[inside]] = codes[inside]
    varies = np.unique(of_row[inside][of_unit[of_row[inside]] != codes[inside]])
    if len(varies):
        raise DataError(
            f"cluster= varies within {len(varies)} units, first within {carrier.rows.labels.tolist()[varies[0]]!r}.",
            hint="Cluster by something that holds whole units.",
        )
    return Groups(of_unit, names, "cluster")


def _groups(result: Result, carrier: Influence, cluster: Any) -> Groups:
    if isinstance(cluster, str):
        raise DesignError(
            f"cluster={cluster!r} names a column, but a result does not keep the table.",
            hint="Pass the labels of the rows used, such as df.loc[...][column], or name cluster= at the fit.",
        )
    labels = np.asarray(cluster)
    of_row = _units_of_rows(result, carrier)
    if of_row is not None and labels.shape != (len(carrier.rows),):
        return _groups_of_units(result, carrier, labels, of_row)
    if labels.shape[0] == (result.sample.n_input if result.sample is not None else -1) != len(carrier.rows):
        labels = labels[carrier.rows.positions]
    if labels.shape != (len(carrier.rows),):
        raise DesignError(f"cluster= has shape {labels.shape}; {len(carrier.rows)} rows were used.")
    codes, names = Frame.read({"cluster": labels}).labels("cluster")
    if (codes < 0).any():
        raise DataError(f"cluster= has {int((codes < 0).sum())} missing labels.", hint="Give every row a cluster.")
    return Groups(codes, names, "cluster")
