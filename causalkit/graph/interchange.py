"""Graphs on their way out: dagitty, DOT, GML, networkx and a dictionary, each of which is read back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalkit.graph.interchange_in import KEYS
from causalkit.graph.reading import in_quotes, quoted

if TYPE_CHECKING:
    from causalkit.graph.structure import Structure


def dagitty(graph: Structure) -> str:
    """Return dagitty text."""
    marks = {
        name: [word for word, there in (("latent", graph.latent), ("selected", graph.selected)) if name in there]
        for name in graph.nodes
    }
    lines = [f"  {quoted(name)}" + (f" [{', '.join(marks[name])}]" if marks[name] else "") for name in graph.nodes]
    for arrow, edges in (("->", graph.directed), ("<->", graph.bidirected), ("--", graph.undirected)):
        lines += [f"  {quoted(a)} {arrow} {quoted(b)}" for a, b in edges]
    return "\n".join(["pdag {" if graph.undirected else "dag {", *lines, "}"])


def dot(graph: Structure) -> str:
    """Return DOT text; edges with two heads or none are arrows with ``dir=both`` and ``dir=none``."""
    lines = []
    for name in graph.nodes:
        marks = ["style=dashed"] * (name in graph.latent) + ["selected=yes"] * (name in graph.selected)
        lines.append(f"  {in_quotes(name)}" + (f" [{', '.join(marks)}]" if marks else "") + ";")
    kinds = ((graph.directed, ""), (graph.bidirected, " [dir=both, style=dashed]"), (graph.undirected, " [dir=none]"))
    lines += [f"  {in_quotes(a)} -> {in_quotes(b)}{how};" for edges, how in kinds for a, b in edges]
    return "\n".join(["digraph {", *lines, "}"])


def networkx_graph(graph: Structure) -> Any:
    """Return a ``networkx.DiGraph``; a bidirected edge becomes an unobserved node with two children.

    Nodes say ``observed`` and ``selected``, the nodes of bidirected edges ``bidirected``, and undirected edges
    ``undirected``, so that the graph is read back as it is.
    """
    import networkx as nx

    found = nx.DiGraph()
    for name in graph.nodes:
        selected = {"selected": True} if name in graph.selected else {}
        found.add_node(name, observed=name not in graph.latent, **selected)
    found.add_edges_from(graph.directed)
    found.add_edges_from(graph.undirected, undirected=True)
    for a, b in graph.bidirected:
        hidden = f"U[{a},{b}]"
        while hidden in found:
            hidden += "'"
        found.add_node(hidden, observed=False, bidirected=True)
        found.add_edges_from([(hidden, a), (hidden, b)])
    return found


def gml(graph: Structure) -> str:
    """Return GML text, as networkx and dowhy read it."""
    found = networkx_graph(graph)
    number = {name: at for at, name in enumerate(found)}
    lines = []
    for name, told in found.nodes(data=True):
        marks = "".join(f" {mark} 1" for mark in ("selected", "bidirected") if mark in told)
        seen = "yes" if told["observed"] else "no"
        lines.append(f'  node [ id {number[name]} label "{_entities(name)}" observed "{seen}"{marks} ]')
    for a, b, told in found.edges(data=True):
        mark = " undirected 1" if told else ""
        lines.append(f"  edge [ source {number[a]} target {number[b]}{mark} ]")
    return "\n".join(["graph [", "  directed 1", *lines, "]"])


def dictionary(graph: Structure) -> dict[str, list[Any]]:
    """Return plain lists, fit for JSON."""
    edges = ([list(pair) for pair in pairs] for pairs in (graph.directed, graph.bidirected, graph.undirected))
    return dict(zip(KEYS, [list(graph.nodes), *edges, sorted(graph.latent), sorted(graph.selected)], strict=True))


def _entities(name: str) -> str:
    """Write whatever is not plain ASCII, and what GML reads otherwise, as a number."""
    return "".join(c if " " <= c <= "~" and c not in '"&[]#' else f"&#{ord(c)};" for c in name)
