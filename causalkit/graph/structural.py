"""Structural models on a graph, fitted by dowhy.gcm: what would have happened to these very units."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError, DesignError, IdentificationError

if TYPE_CHECKING:
    import pandas as pd

    from causalkit.graph.structure import Structure


@dataclass(frozen=True, eq=False)
class StructuralModel:
    """Every node as a function of its causes plus noise; made by ``DAG.structural_model``.

    Parameters
    ----------
    graph : Structure
    model : dowhy.gcm.InvertibleStructuralCausalModel
        Fitted; whatever ``dowhy.gcm`` offers can be asked of it.
    """

    graph: Structure
    model: Any

    def counterfactual(self, observed: Any, do: Mapping[str, float]) -> pd.DataFrame:
        """Return what would have been measured of units had some nodes been set to values.

        The noise of each unit is what its measured values leave unexplained; it is kept, the nodes are set, and everything
        after them is computed again (Pearl 2009, theorem 7.1.7). It holds as far as noise is additive and the functions are
        right, which no data can show.

        Parameters
        ----------
        observed : table
            One row per unit, with a column for each node.
        do : mapping
            Values that nodes are set to, such as ``{"price": 9.5}``.

        Returns
        -------
        pandas.DataFrame
            The nodes, one row per unit, in the order of ``observed``.

        Raises
        ------
        DataError
            If a column is missing, not numeric or has gaps.
        DesignError
            If ``do`` names something that is no node, or no finite number.
        """
        for name, value in do.items():
            self.graph.parents(name)
            if isinstance(value, str) or not np.isfinite(value):
                raise DesignError(f"{name!r} can't be set to {value!r}.", hint="Give a finite number.")
        table = _numbers(observed, self.graph)
        with _dowhy() as gcm:
            found = gcm.counterfactual_samples(
                self.model, {name: _constant(float(value)) for name, value in do.items()}, observed_data=table
            )
        return found[list(self.graph.nodes)].reset_index(drop=True)


def structural_model(graph: Structure, data: Any, regressor: Any) -> StructuralModel:
    """Fit a model with additive noise; the arguments are those of ``DAG.structural_model``."""
    graph.needs_directions("structural models")
    if graph.latent or graph.bidirected or graph.selected:
        culprit = next(iter([*sorted(graph.latent), *map(" <-> ".join, graph.bidirected), *sorted(graph.selected)]))
        raise IdentificationError(
            f"{culprit} leaves the noise of nodes dependent, and a structural model needs it independent.",
            hint="Use a graph of measured nodes only, or ask for a population effect with g.identify().",
        )
    table = _numbers(data, graph)
    with _dowhy() as gcm:
        from sklearn.base import clone

        model = gcm.InvertibleStructuralCausalModel(graph.to_networkx())
        for name in graph.nodes:
            if not graph.parents(name):
                model.set_causal_mechanism(name, gcm.EmpiricalDistribution())
                continue
            learner = (
                gcm.ml.create_linear_regressor()
                if regressor is None
                else gcm.ml.SklearnRegressionModel(clone(regressor))
            )
            model.set_causal_mechanism(name, gcm.AdditiveNoiseModel(learner))
        gcm.fit(model, table)
    return StructuralModel(graph, model)


def _numbers(data: Any, graph: Structure) -> pd.DataFrame:
    """Return the columns of the nodes as numbers without gaps."""
    import pandas as pd

    frame = Frame.read(data).select(graph.nodes).collect()
    columns = {name: frame.numeric(name) for name in graph.nodes}
    for name, values in columns.items():
        bad = ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"column {name!r} has {int(bad.sum())} missing or infinite values, the first in row {first_rows(bad)[0]}.",
                hint="Leave these rows out.",
                column=name,
                rows=first_rows(bad),
            )
    return pd.DataFrame(columns)


def _constant(value: float) -> Any:
    return lambda _: value


@contextmanager
def _dowhy() -> Iterator[Any]:
    """Import dowhy.gcm and run it without its progress bars and warnings about other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dowhy import gcm
        from dowhy.gcm import config

        shown = config.show_progress_bars
        config.show_progress_bars = False
        try:
            yield gcm
        finally:
            config.show_progress_bars = shown
