"""Figures of rules and of who is in a segment: the tree of a policy, and what sets groups of people apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import DesignError
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Most rows of a profile, and most leaves of a tree that are drawn.
ROWS, LEAVES = 12, 16


def policy_tree(data: PlotData) -> Figure:
    """Draw a decision tree from left to right: conditions on the branches, what is done at the leaves.

    Parameters
    ----------
    data : mapping
        ``nodes``: a list of mappings, a parent before its children, with ``parent`` (position in the list, -1 for the
        root), ``edge`` (the condition that leads to it), ``text`` (what a leaf does), ``action`` (its code, -1 for inner
        nodes) and ``share`` (of all people).
    """
    nodes = tree_nodes(data)
    depth, height = _layout(nodes)
    n_leaves = sum(node["action"] >= 0 for node in nodes)
    if n_leaves > LEAVES:
        raise DesignError(f"the tree has {n_leaves} leaves, too many to draw (at most {LEAVES}).", hint="Read .rules.")
    figure = theme.new_figure(0.5 + 0.55 * max(n_leaves, 2))
    axes = figure.subplots()
    deepest = max(max(depth), 1)
    for at, node in enumerate(nodes):
        if node["parent"] >= 0:
            _branch(axes, node, depth[at], height[node["parent"]], height[at])
        if node["action"] >= 0:
            _leaf(axes, node, depth[at], height[at])
        else:
            axes.plot(depth[at], height[at], "o", color=theme.MUTED, markersize=4)
    axes.set_xlim(-0.06, deepest + 0.62)
    axes.set_ylim(n_leaves - 0.4, -0.6)
    axes.set_axis_off()
    return figure


def tree_nodes(data: PlotData) -> list[dict[str, Any]]:
    """Return the nodes of a tree, checked."""
    nodes = [dict(node) for node in data.get("nodes") or ()]
    if not nodes:
        raise DesignError("the figure has nothing to draw: 'nodes' is empty.")
    for at, node in enumerate(nodes):
        if not {"parent", "edge", "text", "action", "share"} <= set(node):
            raise DesignError(f"node {at} lacks one of 'parent', 'edge', 'text', 'action', 'share'.")
        if not -1 <= node["parent"] < at and at:
            raise DesignError(f"node {at} comes before its parent {node['parent']}.")
    return nodes


def _layout(nodes: list[dict[str, Any]]) -> tuple[list[int], list[float]]:
    """Depth of each node, and its height: leaves in a column, a parent midway between its children."""
    depth, height, row = [0] * len(nodes), [0.0] * len(nodes), 0
    for at, node in enumerate(nodes):
        depth[at] = 0 if node["parent"] < 0 else depth[node["parent"]] + 1
        if node["action"] >= 0:
            height[at], row = float(row), row + 1
    for at in reversed(range(len(nodes))):
        below = [height[child] for child, node in enumerate(nodes) if node["parent"] == at]
        if below:
            height[at] = float(np.mean(below))
    return depth, height


def _branch(axes: Axes, node: dict[str, Any], depth: int, start: float, end: float) -> None:
    """An elbow from the parent, as wide as the share of people, with its condition above."""
    width = 1.0 + 5.0 * float(node["share"])
    left = depth - 1
    axes.plot(
        [left, left, depth], [start, end, end], color=theme.RULE, linewidth=width, solid_joinstyle="round", zorder=1
    )
    axes.annotate(
        theme.label(node["edge"], 30), (left, end), (7, 4), textcoords="offset points", fontsize=8.5, color=theme.INK,
        va="bottom",
    )  # fmt: skip


def _leaf(axes: Axes, node: dict[str, Any], depth: int, height: float) -> None:
    code = int(node["action"])
    # The control stays in the background.
    colour = theme.MUTED if code == 0 else theme.PALETTE[(code - 1) % len(theme.PALETTE)]
    axes.plot(depth, height, "o", color=colour, markersize=7, zorder=2)
    axes.annotate(
        theme.label(node["text"], 22), (depth, height), (9, 1), textcoords="offset points", va="bottom",
        fontweight="bold", color=colour,
    )  # fmt: skip
    share = f"{fmt.share(float(node['share']), 0)} of people"
    axes.annotate(share, (depth, height), (9, -2), textcoords="offset points", va="top", fontsize=8, color=theme.MUTED)


def profile(data: PlotData) -> Figure:
    """Draw how far each group's mean of each covariate lies from everyone else's, in standard deviations.

    Parameters
    ----------
    data : mapping
        ``covariates`` (k names), ``names`` (names of the groups), ``difference`` (one vector of k floats for each group, in
        their order; NaN where unknown); optional ``codes`` (for each group the position of its colour). At most 12
        covariates are drawn, those that set some group apart most.
    """
    covariates, names, table = profile_table(data)
    codes = [int(code) for code in data.get("codes") or range(len(names))]
    far = np.nan_to_num(np.abs(table), nan=0.0).max(axis=0)
    order = np.argsort(-far, kind="stable")[:ROWS]
    figure = theme.new_figure(1.0 + 0.3 * max(order.size, 2))
    axes = figure.subplots()
    place = np.arange(order.size)
    axes.hlines(
        place, np.nanmin(table[:, order], axis=0), np.nanmax(table[:, order], axis=0), color=theme.GRID, linewidth=2.5
    )
    axes.axvline(0.0, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    for code, name, row in zip(codes, names, table, strict=True):
        colour = theme.PALETTE[code % len(theme.PALETTE)]
        axes.plot(
            row[order], place, "o", color=colour, markersize=6, markeredgecolor=theme.PAPER, label=theme.label(name, 20)
        )
    axes.set_yticks(place, [theme.label(covariates[i], 26) for i in order])
    for tick in axes.get_yticklabels():
        tick.set_color(theme.INK)
    axes.set_ylim(order.size - 0.4, -0.6)
    theme.dress(axes, xlabel="Standard deviations from the mean of everyone else", grid="x")
    axes.spines["left"].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, handletextpad=0.2, columnspacing=1.2)
    if order.size < len(covariates):
        theme.note(figure, f"{order.size} of {len(covariates):,} covariates shown")
    return figure


def profile_table(data: PlotData) -> tuple[tuple[str, ...], tuple[str, ...], Any]:
    """Return covariates, groups and the table of differences, checked."""
    raw = data.get("difference")
    if raw is None or not len(raw):
        raise DesignError("the figure has nothing to draw: 'difference' is empty.")
    table = np.array([np.asarray(row, dtype=np.float64) for row in raw])
    if table.ndim != 2 or not table.shape[1]:
        raise DesignError("'difference' must hold one vector of equal length for each group.")
    return contract.names(data, "covariates", table.shape[1]), contract.names(data, "names", len(table)), table
