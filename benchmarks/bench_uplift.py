"""Ranking measures with standard errors: CPU time beside one ``np.argsort`` of the same length, and beside peers.

    python benchmarks/bench_uplift.py [rows ...]           # ours and the sorting floor
    python benchmarks/bench_uplift.py --peers [rows ...]   # also scikit-uplift and causalml, where they are installed

Peers give points only: their intervals are bootstraps, or do not exist. Times are process CPU seconds, the best of three,
measured in turn; answers are compared where they are defined alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

GRID = np.arange(1, 51) / 50


def draw(n: int) -> tuple[Any, Any, Any, Any]:
    """Scores, a priority, a binary outcome and arms."""
    rng = np.random.default_rng(0)
    priority, treated = rng.normal(size=n), rng.integers(0, 2, n)
    outcome = (rng.uniform(size=n) < 0.2 + 0.05 * treated * (priority > 0)).astype(float)
    scores = np.where(treated == 1, outcome, -outcome) / 0.5
    return scores, priority, outcome, treated


def everything(scores: Any, priority: Any) -> dict[str, Any]:
    """AUTOC, Qini, AUUC, TOC and gain curves, uplift@k and GATES, all with standard errors, from one sort."""
    from causalkit.uplift.curves import curves
    from causalkit.uplift.gates import group_effects
    from causalkit.uplift.observed_metrics import auuc_from
    from causalkit.uplift.ranking import rank_weighted_effects
    from causalkit.uplift.ranks import Scored, rank_units

    ranking = rank_units(priority)
    scored = Scored.of(scores, ranking)
    areas = rank_weighted_effects(scored, ranking)
    area = auuc_from(areas["qini"].estimate, areas["qini"].psi, scores, None)
    shapes = curves(scored, ranking, ("toc", "gain", "uplift"), GRID)
    groups = group_effects(scored, ranking, 5, gain=shapes["gain"])
    return {**areas, "auuc": (area.value, float(np.sqrt(area.psi @ area.psi))), **shapes, "groups": groups}


def best(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Least CPU seconds of a few runs, and the last answer."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        found = work()
        times.append(time.process_time() - start)
    return min(times), found


def main(arguments: list[str]) -> None:
    """Print one line per size."""
    peers = "--peers" in arguments
    sizes = [int(a) for a in arguments if a != "--peers"] or [1_000_000, 10_000_000]
    everything(*draw(60_000)[:2])  # compile
    for n in sizes:
        scores, priority, outcome, treated = draw(n)
        floor, _ = best(lambda priority=priority: np.argsort(priority))
        ours, found = best(lambda scores=scores, priority=priority: everything(scores, priority))
        told = found["autoc"]
        print(
            f"n={n:>11,}  argsort {floor:.2f} s  all with errors {ours:.2f} s  ratio {ours / floor:.2f}  "
            f"AUTOC {told.estimate:.6f} ({told.se:.6f})",
            flush=True,
        )
        if peers:
            against_peers(n, outcome, treated, priority)


def against_peers(n: int, outcome: Any, treated: Any, priority: Any) -> None:
    """Qini by name, with our standard error, beside the library's own point."""
    import causalkit as ck

    for method, peer in (("sklift", _sklift), ("causalml", _causalml)):
        try:
            theirs, point = best(lambda peer=peer: peer(outcome, treated, priority))
        except ImportError as error:
            print(f"    {method}: not installed ({error})")
            continue
        ours, found = best(lambda method=method: ck.uplift.qini(outcome, treated, priority, method=method))
        gap = abs(found.estimate - point)
        print(
            f"    {method} {theirs:.2f} s, ours with error {ours:.2f} s, ratio {theirs / ours:.1f}, difference {gap:.1e}"
        )


def _sklift(outcome: Any, treated: Any, priority: Any) -> float:
    from sklift.metrics import qini_auc_score

    return float(qini_auc_score(outcome, priority, treated))


def _causalml(outcome: Any, treated: Any, priority: Any) -> float:
    import pandas as pd
    from causalml.metrics import qini_score

    return float(qini_score(pd.DataFrame({"y": outcome, "w": treated, "model": priority}))["model"])


if __name__ == "__main__":
    main(sys.argv[1:])
