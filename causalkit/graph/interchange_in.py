"""Graphs of other packages on their way in: GML text, dowhy's objects and our own dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from causalkit.errors import DesignError

#: Keys of the dictionary that ``to_dict`` writes.
KEYS = ("nodes", "directed", "bidirected", "undirected", "latent", "selected")


def is_gml(text: str) -> bool:
    """Tell whether a text is GML: ``graph [ ... ]``, perhaps after a line on who made it."""
    return re.match(r"\s*(?:(?:Creator|Version|comment)\b[^\n]*\n\s*|#[^\n]*\n\s*)*graph\s*\[", text) is not None


def networkx_of_gml(text: str) -> Any:
    """Return the networkx graph of a GML text.

    Raises
    ------
    DesignError
        If it is no GML, or two nodes have one label.
    """
    import networkx as nx

    try:
        return nx.parse_gml(text)
    except (nx.NetworkXError, ValueError, TypeError, AttributeError) as error:
        raise DesignError(
            f"the GML can't be read: {error}.",
            hint='Write graph [ directed 1 node [ id 0 label "a" ] ... edge [ source 0 target 1 ] ], one label per node.',
        ) from None


def unwrapped(source: Any) -> Any:
    """Return the networkx graph inside dowhy's ``CausalModel``, ``CausalGraph`` or a model of ``dowhy.gcm``."""
    while type(source).__module__.partition(".")[0] == "dowhy":
        inner = getattr(source, "_graph", None) or getattr(source, "graph", None)
        if inner is None:
            raise DesignError(f"{type(source).__name__} of dowhy holds no graph.", hint="Pass its networkx graph.")
        source = inner
    return source


def is_dictionary(source: Mapping[Any, Any]) -> bool:
    """Tell whether a mapping is what ``to_dict`` writes, rather than one from node to children."""
    return set(source) == set(KEYS)
