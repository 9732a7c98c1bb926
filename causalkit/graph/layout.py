"""Where the nodes of a graph stand in a figure, and which of its edges carry what."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from causalkit.graph.adjustment import Adjustment
from causalkit.graph.nodes import Mixed

if TYPE_CHECKING:
    from causalkit.graph.structure import Structure

_SWEEPS = 8


def drawing(
    graph: Structure, treatment: tuple[str, ...], outcome: tuple[str, ...], adjusted: frozenset[str], title: str
) -> Mapping[str, Any]:
    """Return a graph ready to be drawn: the causal paths, a path that is open though it is not causal, and the rest.

    Parameters
    ----------
    graph : Structure
    treatment, outcome : tuple of str
        The ends of the effect.
    adjusted : frozenset of str
        What is adjusted for.
    title : str
        Of the figure.
    """
    names, mixed = graph.nodes, graph.mixed
    number = {name: at for at, name in enumerate(names)}
    ends = [frozenset(number[name] for name in part) for part in (treatment, outcome)]
    given = frozenset(number[name] for name in adjusted)
    latent, selected = (frozenset(number[name] for name in part) for part in (graph.latent, graph.selected))
    problem = Adjustment(mixed, ends[0], ends[1], latent, selected)
    path = problem.witness(given)
    steps = {frozenset(pair) for pair in pairwise(path)}
    on_effect = problem.causal | ends[0]
    edges = []
    for tail, head in graph.directed:
        a, b = number[tail], number[head]
        causal = a in on_effect and b in problem.causal
        kind = "open" if frozenset((a, b)) in steps else "causal" if causal else "other"
        edges.append((a, b, kind, False))
    edges += [
        (number[a], number[b], "open" if frozenset((number[a], number[b])) in steps else "other", True)
        for a, b in graph.bidirected
    ]
    roles = [_role(name, graph, treatment, outcome, adjusted) for name in names]
    x, y, way = places(mixed)
    passes = [way.get((tail, head), []) for tail, head, _, _ in edges]
    return {"title": title, "names": list(names), "x": x, "y": y, "edges": edges, "passes": passes, "roles": roles}


def _role(
    name: str, graph: Structure, treatment: tuple[str, ...], outcome: tuple[str, ...], adjusted: frozenset[str]
) -> str:
    if name in treatment or name in outcome:
        return "treatment" if name in treatment else "outcome"
    if name in graph.latent:
        return "latent"
    return "adjusted" if name in adjusted else "other"


Point = tuple[float, float]


def places(graph: Mixed) -> tuple[list[float], list[float], dict[tuple[int, int], list[Point]]]:
    """Return where nodes stand, and the points that edges over several layers pass, so that they do not cross nodes.

    Causes stand to the left. A layer holds the nodes at the same longest distance from a node without causes, and a point
    for every edge that passes it; layers are sorted by the mean height of neighbours (Sugiyama, Tagawa and Toda 1981).

    Parameters
    ----------
    graph : Mixed
        Directed and bidirected edges; the latter pass no points.
    """
    depth = _depths(graph)
    near: dict[int, list[int]] = {node: list(graph.siblings[node]) for node in range(len(graph))}
    layers: list[list[int]] = [[] for _ in range(max(depth, default=0) + 1)]
    for node, d in enumerate(depth):
        layers[d].append(node)
    passed: dict[tuple[int, int], list[int]] = {}
    for head, tails in enumerate(graph.parents):
        for tail in tails:
            chain = [tail]
            for layer in range(depth[tail] + 1, depth[head]):
                chain.append(len(near))
                near[chain[-1]] = []
                layers[layer].append(chain[-1])
            chain.append(head)
            passed[tail, head] = chain[1:-1]
            for one, two in pairwise(chain):
                near[one].append(two)
                near[two].append(one)
    height = _heights(layers, near)
    across = {node: float(d) for d, layer in enumerate(layers) for node in layer}
    way = {edge: [(across[node], height[node]) for node in inner] for edge, inner in passed.items()}
    nodes = range(len(graph))
    return [across[node] for node in nodes], [height[node] for node in nodes], way


def _depths(graph: Mixed) -> list[int]:
    depth = [0] * len(graph)
    for node in graph.order:
        for parent in graph.parents[node]:
            depth[node] = max(depth[node], depth[parent] + 1)
    for node in reversed(graph.order):  # sources stand next to their first effect
        if graph.children[node] and not graph.parents[node]:
            depth[node] = max(0, min(depth[child] for child in graph.children[node]) - 1)
    return depth


def _heights(layers: list[list[int]], near: dict[int, list[int]]) -> dict[int, float]:
    height = {node: place - (len(layer) - 1) / 2 for layer in layers for place, node in enumerate(layer)}
    for _ in range(_SWEEPS):
        for order in (layers, layers[::-1]):
            for layer in order:
                wish = {
                    node: (sum(height[n] for n in near[node]) / len(near[node]) if near[node] else height[node], node)
                    for node in layer
                }
                layer.sort(key=wish.__getitem__)
                for place, node in enumerate(layer):
                    height[node] = place - (len(layer) - 1) / 2
    return height
