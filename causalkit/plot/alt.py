"""Every figure in words: what it shows with its main numbers, and how to read it. No matplotlib here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalkit.core import format as fmt
from causalkit.plot import contour, contract, dag, event_studies, marginal, panels, rd_density, rd_windows, rdd
from causalkit.plot.contract import PlotData

ROWS_TOLD = 12
"""Most numbers that are told one by one."""


def _effects(data: PlotData) -> str:
    estimate, low, high = contract.columns(data, "estimate", "low", "high")
    terms = contract.names(data, "terms", estimate.size)
    null = contract.number(data, "null") or 0.0
    apart = int(np.sum((low > null) | (high < null)))
    rows = [
        f"{name} {fmt.number(v, 3)} {fmt.interval(a, b, 3)}"
        for name, v, a, b in list(zip(terms, estimate, low, high, strict=True))[:8]
    ]
    rest = f"; and {estimate.size - 8} more" if estimate.size > 8 else ""
    return (
        f"Forest plot of {fmt.plural(estimate.size, 'estimate')}. Intervals that exclude {fmt.number(null)}: {apart}. "
        f"{'; '.join(rows)}{rest}."
    )


def _curve(what: str) -> Callable[[PlotData], str]:
    def describe(data: PlotData) -> str:
        q, value, low, high = contract.columns(data, "q", "value", "low", "high")
        top = int(np.nanargmax(value)) if np.isfinite(value).any() else 0
        out = (
            f"{what} against the share treated: {fmt.number(value[0], 3)} at {fmt.share(q[0], 0)}, highest "
            f"{fmt.number(value[top], 3)} {fmt.interval(low[top], high[top], 3)} at {fmt.share(q[top], 0)}, "
            f"{fmt.number(value[-1], 3)} at {fmt.share(q[-1], 0)}."
        )
        chosen = contract.number(data, "marker")
        return out if chosen is None else f"{out} The chosen share is {fmt.share(chosen, 0)}."

    return describe


def _dose_response(data: PlotData) -> str:
    dose, value, low, high = contract.columns(data, "dose", "value", "low", "high")
    told = [
        f"{fmt.number(value[at], 3)} {fmt.interval(low[at], high[at], 3)} at {fmt.number(dose[at], 3)}"
        for at in (0, dose.size // 2, dose.size - 1)
    ]
    name = contract.text(data, "ylabel", "Average outcome")
    return f"{name} against {contract.text(data, 'xlabel', 'dose')}: {', '.join(told)}."


def _effect_histogram(data: PlotData) -> str:
    values = contract.vector(data, "values")
    values = values[np.isfinite(values)]
    if not values.size:
        return "Histogram without values."
    null = contract.number(data, "null") or 0.0
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    average = contract.number(data, "average")
    said = "" if average is None else f" The average effect is {fmt.number(average, 3)}."
    return (
        f"Histogram of {values.size:,} predicted effects: median {fmt.number(middle, 3)}, eight of ten between "
        f"{fmt.number(low, 3)} and {fmt.number(high, 3)}, {fmt.share(np.mean(values < null))} below "
        f"{fmt.number(null)}.{said}"
    )


def _calibration(data: PlotData) -> str:
    x, y, low, high = contract.columns(data, "predicted", "estimate", "low", "high")
    inside = int(np.sum((low <= x) & (x <= high)))
    pairs = "; ".join(f"{fmt.number(a, 3)} against {fmt.number(b, 3)}" for a, b in list(zip(x, y, strict=True))[:10])
    return (
        f"Estimated against predicted effect in {fmt.plural(x.size, 'group')}: in {inside} of them the prediction lies "
        f"inside the interval of the estimate. Predicted against estimated: {pairs}."
    )


def _segments(data: PlotData) -> str:
    (codes,) = contract.columns(data, "codes")
    labels = contract.names(data, "names", len(data["names"]))
    counts = np.bincount(codes.astype(np.intp), minlength=len(labels))
    parts = [f"{name} {int(n):,} ({fmt.share(n / codes.size, 0)})" for name, n in zip(labels, counts, strict=True)]
    return f"Map of {codes.size:,} people by predicted outcome and effect, in segments: {', '.join(parts)}."


def _policy_tree(data: PlotData) -> str:
    nodes = list(data["nodes"])

    def path(at: int) -> list[str]:
        return [] if nodes[at]["parent"] < 0 else [*path(nodes[at]["parent"]), str(nodes[at]["edge"])]

    leaves = [
        f"{' and '.join(path(at)) or 'everyone'}: {node['text']} ({fmt.share(float(node['share']), 0)})"
        for at, node in enumerate(nodes)
        if node["action"] >= 0
    ]
    return f"Decision tree with {fmt.plural(len(leaves), 'leaf').replace('leafs', 'leaves')}. {'; '.join(leaves)}."


def _profile(data: PlotData) -> str:
    covariates = contract.names(data, "covariates", len(data["covariates"]))
    parts = []
    for name, row in zip(data["names"], data["difference"], strict=True):
        values = np.nan_to_num(np.asarray(row, dtype=np.float64), nan=0.0)
        top = np.argsort(-np.abs(values), kind="stable")[:3]
        parts.append(f"{name}: {', '.join(f'{covariates[i]} {fmt.number(values[i], 2)}' for i in top)}")
    return f"What sets each segment apart, in standard deviations from everyone else. {'; '.join(parts)}."


def _overlap(data: PlotData) -> str:
    labels, values = contract.arms(data)
    parts = [
        f"{name} from {fmt.number(part.min(), 3)} to {fmt.number(part.max(), 3)}, median {fmt.number(np.median(part), 3)}"
        for name, part in zip(labels, values, strict=True)
        if part.size
    ]
    return f"Histograms of the probability of treatment by arm: {'; '.join(parts)}."


def _balance(data: PlotData) -> str:
    (before,) = contract.columns(data, "difference")
    after = contract.optional(data, "adjusted", before.size)
    threshold = float(np.min(np.atleast_1d(np.asarray(data.get("thresholds", 0.1), dtype=np.float64))))
    out = (
        f"Standardised mean differences of {fmt.plural(before.size, 'covariate')}: {int(np.sum(np.abs(before) > threshold))} "
        f"above {fmt.number(threshold)} as observed, the largest {fmt.number(np.nanmax(np.abs(before)), 3)}"
    )
    if after is None:
        return out + "."
    beyond = int(np.sum(np.abs(after) > threshold))
    return f"{out}; {beyond} after adjustment, the largest {fmt.number(np.nanmax(np.abs(after)), 3)}."


def _event_study(data: PlotData) -> str:
    position, estimate, low, high = contract.columns(data, "position", "estimate", "low", "high")
    post = contract.columns(data, "position", "post")[1].astype(bool)
    timed = contract.text(data, "xlabel").startswith("time since")
    names = (
        contract.names(data, "terms", position.size) if "terms" in data else [fmt.number(float(p)) for p in position]
    )
    at = np.arange(position.size)
    shown = at if at.size <= ROWS_TOLD else np.unique(np.linspace(0, at.size - 1, ROWS_TOLD).round().astype(np.intp))
    told = "; ".join(f"{names[j]} {fmt.number(estimate[j], 3)} {fmt.interval(low[j], high[j], 3)}" for j in shown)
    clear = int(np.sum(post & ((low > 0) | (high < 0))))
    before = int(np.sum(~post & ((low > 0) | (high < 0))))
    said = f"Effects by {contract.text(data, 'xlabel', 'time since the start')}: {told}."
    said += f" {clear} of {int(post.sum())} after the start differ from zero"
    return f"{said}, {before} of {int((~post).sum())} before it." if timed else f"{said}."


def _sensitivity(data: PlotData) -> str:
    magnitude, low, high = contract.columns(data, "magnitude", "low", "high")
    rows = zip(magnitude, low, high, strict=True)
    told = "; ".join(f"{fmt.interval(a, b, 3)} at M = {fmt.number(float(m), 3)}" for m, a, b in rows)
    found = contract.number(data, "breakdown")
    tail = (
        ""
        if found is None
        else f" The interval reaches {fmt.number(data.get('null', 0.0))} at M = {fmt.number(found, 3)}."
    )
    first, last = float(data["original_low"]), float(data["original_high"])
    return f"Robust intervals of the effect: {fmt.interval(first, last, 3)} under parallel trends; {told}.{tail}"


def _bars(data: PlotData) -> str:
    (values,) = contract.columns(data, "values")
    labels = contract.names(data, "labels", values.size)
    most, least = int(values.argmax()), int(values.argmin())
    return (
        f"{fmt.plural(values.size, 'bar')}, {int(np.sum(values < 0))} of them below zero: the largest is {labels[most]} with "
        f"{fmt.number(values[most], 3)}, the smallest {labels[least]} with {fmt.number(values[least], 3)}."
    )


def _scatter(data: PlotData) -> str:
    x, y = contract.columns(data, "x", "y")
    groups = contract.names(data, "groups", x.size)
    parts = []
    for name in dict.fromkeys(groups):
        here = np.array([group == name for group in groups])
        parts.append(
            f"{name}: {fmt.plural(int(here.sum()), 'point')}, {contract.text(data, 'ylabel', 'y')} from "
            f"{fmt.number(y[here].min(), 3)} to {fmt.number(y[here].max(), 3)}, {contract.text(data, 'xlabel', 'x')} "
            f"{fmt.number(x[here].sum(), 3)} in all"
        )
    line = contract.number(data, "line")
    return f"{'; '.join(parts)}." + ("" if line is None else f" The dashed line is at {fmt.number(line, 3)}.")


WORDS: dict[str, tuple[Callable[[PlotData], str], str]] = {
    "effects": (
        _effects,
        "A dot is an estimate, the bar its interval. A bar that does not touch the dashed line differs from no effect.",
    ),
    "event_studies": (event_studies.told, event_studies.READING),
    "cohort_paths": (panels.paths_told, panels.PATHS_READING),
    "timing": (panels.timing_told, panels.TIMING_READING),
    "dose_response": (
        _dose_response,
        (
            "The line is the average outcome if everybody had the dose. The dark band holds each point, the light band the "
            "whole curve, with 95% confidence; a horizontal line that fits inside the light band is a dose without effect."
        ),
    ),
    "marginal_effects": (marginal.told, marginal.READING),
    "toc": (
        _curve("Targeting curve, effect in the group minus the average effect,"),
        (
            "How much larger the effect is among those ranked first than among everyone. A good ranking starts high and "
            "falls to zero; a flat line at zero is a ranking no better than chance. The dark band holds each share alone; "
            "a light one holds all at once."
        ),
    ),
    "gain": (
        _curve("Gain curve"),
        (
            "What treating the best-ranked share gains. The further above the dashed line of treating at random, the better "
            "the ranking. The dark band holds each share alone; a light one holds all at once."
        ),
    ),
    "profit": (
        _curve("Profit curve"),
        (
            "What treating each share of people, in the order of the plan, earns after costs. The dark band holds each share "
            "alone, a light one all at once; the vertical line is the share that was chosen."
        ),
    ),
    "effect_histogram": (
        _effect_histogram,
        (
            "How the predicted effect differs from person to person. The upright line is the average effect, the bar on "
            "top its interval."
        ),
    ),
    "calibration": (
        _calibration,
        (
            "Each dot is a group of people with similar predictions. On the dashed line the effect is as large as was "
            "predicted."
        ),
    ),
    "segments": (
        _segments,
        (
            "Each dot is a person: to the right, likely to respond without treatment; further up, a larger effect. The "
            "bars count everyone."
        ),
    ),
    "policy_tree": (
        _policy_tree,
        "Follow the branches from the left: the last one says what to do. The wider a branch, the more people it holds.",
    ),
    "profile": (
        _profile,
        (
            "How far each segment's average lies from everyone else's. To the right of the dashed line the segment has more "
            "of it, to the left less."
        ),
    ),
    "overlap": (
        _overlap,
        "Where both arms have people, like is compared with like. Where only one has, the answer rests on the model.",
    ),
    "balance": (
        _balance,
        (
            "How far apart the arms are on each covariate, in standard deviations. Right of the dashed line they differ "
            "more than they should."
        ),
    ),
    "event_study": (
        _event_study,
        (
            "A dot is an effect, the thick bar its own interval, the thin line the band that holds all of them at once. "
            "Before the start, dots far from zero speak against parallel trends."
        ),
    ),
    "sensitivity": (
        _sensitivity,
        (
            "The first interval takes trends to be parallel; the others allow violations up to M. Where a bar reaches the "
            "dashed line, the effect could be no effect."
        ),
    ),
    "bars": (
        _bars,
        "Each bar is one part; bars to the left of the line count negatively.",
    ),
    "scatter": (
        _scatter,
        (
            "Each dot is one part: to the right, it weighs more; further up, its own estimate is larger. The dashed line is "
            "what they average to."
        ),
    ),
    "contour": (contour.contour_told, contour.CONTOUR_READING),
    "graph": (dag.graph_told, dag.GRAPH_READING),
    "density": (rd_density.told, rd_density.READING),
    "rd_windows": (rd_windows.told, rd_windows.READING),
    "rd": (rdd.rd_told, rdd.RD_READING),
    "bandwidths": (rdd.along_told("bandwidth", "bandwidth"), rdd.BANDWIDTHS_READING),
    "placebo_cutoffs": (rdd.along_told("cutoff", "cutoff"), rdd.CUTOFFS_READING),
    "smoothness": (rdd.along_told("smoothness", "bound"), rdd.SMOOTHNESS_READING),
    "power": (rdd.power_told, rdd.POWER_READING),
}
"""For each kind of figure: the function that tells it with its numbers, and one caption on how to read it."""
