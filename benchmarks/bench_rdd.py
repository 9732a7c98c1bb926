"""Regression discontinuity on simulated scores: causalkit against rdrobust, alternating runs on the same table.

    python benchmarks/bench_rdd.py --peer-python rdpeers/bin/python                  # 100k and 1M rows
    python benchmarks/bench_rdd.py --peer-python rdpeers/bin/python --rows 10000000 --tasks fit

Each package runs in a process of its own (rdrobust with numba, which it then uses) and is timed from arrays to the numbers:
one fit with selected bandwidths, the estimate at 50 bandwidths, 20 placebo cutoffs with bandwidths of their own, all ten
selectors, the balance of 10 covariates, a clustered fit. "first" is the first call of the process, after the import; "warm"
the median of the others. On a machine that does other work, compare CPU seconds, with one thread for all.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]
TASKS = ("fit", "fit with clusters", "bandwidths", "50 bandwidths", "20 placebo cutoffs", "10 covariates")


def scores(n: int, seed: int = 0) -> Arrays:
    """A running variable on [-1, 1], an outcome that jumps by 0.04, clusters and covariates that do not."""
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.beta(2.0, 4.0, n) - 1.0
    curve = np.where(x < 0, 0.48 + 1.27 * x + 7.18 * x**2, 0.52 + 0.84 * x - 3.0 * x**2)
    covariates = np.column_stack([np.sin((j + 1) * x) + rng.normal(size=n) for j in range(10)])
    y, cluster = curve + 0.13 * rng.normal(size=n), rng.integers(0, 500, n)
    return {"x": x, "y": y, "cluster": cluster, "z": covariates, "places": placebo_cutoffs(x)}


def placebo_cutoffs(x: Any) -> Any:
    """Ten places on either side, at even ranks."""
    ranks = (np.arange(10) + 1) / 11
    return np.concatenate([np.quantile(x[x < 0], ranks), np.quantile(x[x >= 0], ranks)])


def causalkit(data: Arrays, task: str) -> list[float]:
    from causalkit.rdd.bandwidth_rules import RULES, Bandwidths, Plan, Selection, select
    from causalkit.rdd.local_polynomial import estimate, fit
    from causalkit.rdd.windows import split

    x, y, plan = data["x"], data["y"], Plan()
    if task == "fit":
        found = fit(x, y).effect
        return [found.conventional, found.robust_se]
    if task == "fit with clusters":
        found = fit(x, y, cluster=data["cluster"]).effect
        return [found.conventional, found.robust_se]
    parts = split(x, y)
    if task == "bandwidths":
        selection = Selection(parts, plan)
        return [selection[rule].left for rule in RULES]
    if task == "50 bandwidths":
        widths = np.linspace(0.1, 0.6, 50)
        return [estimate(parts, plan, Bandwidths(h, h, h, h)).effect.conventional for h in widths]
    if task == "20 placebo cutoffs":
        places = [parts.at_placebo(float(at)) for at in data["places"]]
        return [estimate(part, plan, select(part, plan)).effect.conventional for part in places]
    others = [parts.with_outcome(z) for z in data["z"].T]
    return [estimate(part, plan, select(part, plan)).effect.conventional for part in others]


def rdrobust(data: Arrays, task: str) -> list[float]:
    from rdrobust import rdbwselect
    from rdrobust import rdrobust as peer

    x, y = data["x"], data["y"]
    if task == "fit":
        found = peer(y, x)
        return [float(found.coef.iloc[0, 0]), float(found.se.iloc[2, 0])]
    if task == "fit with clusters":
        found = peer(y, x, cluster=data["cluster"])
        return [float(found.coef.iloc[0, 0]), float(found.se.iloc[2, 0])]
    if task == "bandwidths":
        return [float(v) for v in rdbwselect(y, x, all=True).bws.iloc[:, 0]]
    if task == "50 bandwidths":
        return [float(peer(y, x, h=h).coef.iloc[0, 0]) for h in np.linspace(0.1, 0.6, 50)]
    if task == "20 placebo cutoffs":
        sides = ((at, x < 0 if at < 0 else x >= 0) for at in data["places"])
        return [float(peer(y[inside], x[inside], c=float(at)).coef.iloc[0, 0]) for at, inside in sides]
    return [float(peer(z, x).coef.iloc[0, 0]) for z in data["z"].T]


#: What each package is asked for; a task that a package does not offer is left out of its list.
PACKAGES: dict[str, tuple[Callable[[Arrays, str], list[float]], tuple[str, ...]]] = {
    "causalkit": (causalkit, TASKS),
    "rdrobust": (rdrobust, TASKS),
}


class Worker:
    """A package in a process of its own, which answers one line for each line it is sent."""

    def __init__(self, package: str, python: str, rows: int) -> None:
        command = [python, __file__, "--serve", package, "--rows", str(rows)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, task: str) -> dict[str, Any]:
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(package: str, rows: int) -> None:
    """Answer each task that is read with what it took."""
    warnings.filterwarnings("ignore")
    data, run = scores(rows), PACKAGES[package][0]
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            values = run(data, line.strip())
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps({**took, "values": values}), flush=True)


def compare(rows: int, task: str, pythons: dict[str, str], repeats: int) -> None:
    """Run one task by all packages in turns, and print times, their ratio, and how far the answers are apart."""
    asked = [name for name, (_, tasks) in PACKAGES.items() if task in tasks and name in pythons]
    workers = {name: Worker(name, pythons[name], rows) for name in asked}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
    for turn in range(repeats + 1):
        for name in asked if turn % 2 == 0 else reversed(asked):
            runs[name].append(workers[name].run(task))
    for worker in workers.values():
        worker.close()
    own = statistics.median(run["cpu"] for run in runs["causalkit"][1:])
    wanted = np.array(runs["causalkit"][-1]["values"])
    for name, found in runs.items():
        cpu, wall = (statistics.median(run[key] for run in found[1:]) for key in ("cpu", "wall"))
        gap = float(np.abs(np.array(found[-1]["values"]) / wanted - 1.0).max())
        print(
            f"{rows:>10,}  {task:<20} {name:<10} first {found[0]['cpu']:8.3f} s  warm {cpu:8.3f} s CPU {wall:8.3f} s wall  "
            f"ratio {cpu / own:8.1f}  apart {gap:.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="a Python with rdrobust and numba")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.rows[0])
        return
    pythons = {"causalkit": sys.executable}
    if options.peer_python:
        pythons["rdrobust"] = options.peer_python
    for rows in options.rows:
        for task in options.tasks:
            compare(rows, task, pythons, options.repeats)


if __name__ == "__main__":
    main()
