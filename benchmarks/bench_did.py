"""Callaway and Sant'Anna on simulated panels: causalkit against diff-diff and csdid, alternating runs on the same table.

    python benchmarks/bench_did.py --peer-python peers/bin/python             # 10k and 100k units x 10 periods
    python benchmarks/bench_did.py --peer-python peers/bin/python --large     # and 1M units, causalkit and diff-diff

Every package runs in a process of its own and is timed from a pandas table to all effects by cohort and time and their
averages by event time. "first" is the first call of the process, after the import; "warm" is the median of the others.
Wall and CPU seconds are both shown: on a machine that does other work, compare CPU seconds, with one thread for all.
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
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TASKS = ("no covariates", "two covariates", "simultaneous bands")
COVARIATES = ["x0", "x1"]


def panel(units: int, periods: int = 10, seed: int = 0) -> pd.DataFrame:
    """A staggered panel: effects that grow, trends that depend on two covariates, sorted by unit and time."""
    rng = np.random.default_rng(seed)
    cohort = rng.choice(np.r_[0, 0, np.arange(3, periods)], units)
    x, t = rng.standard_normal((units, 2)), np.arange(1, periods + 1)
    on = (cohort[:, None] > 0) & (t >= cohort[:, None])
    effect = np.where(on, 0.2 + 0.1 * (t - cohort[:, None]), 0.0)
    level = rng.standard_normal(units) + 0.3 * (cohort > 0)
    trend = 0.1 * t + (x @ np.array([0.2, -0.1]))[:, None] * t / periods
    y = level[:, None] + trend + effect + rng.standard_normal((units, periods))
    table = {"id": np.repeat(np.arange(units), periods), "t": np.tile(t, units), "y": y.ravel()}
    table |= {"g": np.repeat(cohort, periods), **{f"x{j}": np.repeat(x[:, j], periods) for j in range(2)}}
    return pd.DataFrame(table)


def causalkit(table: pd.DataFrame, task: str) -> tuple[float, float]:
    import causalkit as ck

    covariates = COVARIATES if task == "two covariates" else []
    estimator = ck.CallawaySantAnna(control_group="not_yet_treated")
    result = estimator.fit(table, outcome="y", unit="id", time="t", cohort="g", covariates=covariates)
    average = result.aggregate("event_time")
    average.effects.ci(simultaneous=task == "simultaneous bands")
    return result.estimate, result.se


def diff_diff(table: pd.DataFrame, task: str) -> tuple[float, float]:
    import diff_diff as peer

    draws = 999 if task == "simultaneous bands" else 0
    estimator = peer.CallawaySantAnna(control_group="not_yet_treated", n_bootstrap=draws)
    covariates = COVARIATES if task == "two covariates" else None
    result = estimator.fit(
        table, "y", "id", "t", "g", covariates=covariates, aggregate="event_study" if draws else None
    )
    if not draws:
        result.aggregate("event_study")
    return float(result.overall_att), float(result.overall_se)


def csdid(table: pd.DataFrame, task: str) -> tuple[float, float]:
    from csdid.att_gt import ATTgt

    bands = task == "simultaneous bands"
    formula = "~x0+x1" if task == "two covariates" else None
    model = ATTgt("y", "t", "id", "g", table, ["notyettreated"], formula, cband=bands, biters=999)
    model.fit(est_method="dr", bstrap=bands)
    model.aggte(typec="dynamic", bstrap=bands, cband=bands)
    found = model.aggte(typec="simple", bstrap=False, cband=False).atte
    return float(found["overall_att"]), float(np.ravel(found["overall_se"])[0])


PACKAGES = {"causalkit": causalkit, "diff-diff": diff_diff, "csdid": csdid}


class Worker:
    """A package in a process of its own, which answers one line for each line it is sent."""

    def __init__(self, package: str, python: str, path: Path) -> None:
        command = [python, __file__, "--serve", str(path), "--package", package]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, task: str) -> dict[str, Any]:
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(path: str, package: str) -> None:
    warnings.filterwarnings("ignore")
    table = pd.DataFrame.from_records(np.load(path))
    for line in sys.stdin:
        fresh = table.copy()
        wall, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            estimate, error = PACKAGES[package](fresh, line.strip())
        answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps(answer | {"estimate": estimate, "se": error}), flush=True)


def compare(units: int, packages: dict[str, str], repeats: int, tasks: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        np.save(path, panel(units).to_records(index=False))
        for task in tasks:
            workers = {name: Worker(name, python, path) for name, python in packages.items()}
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
            for _ in range(repeats + 1):
                for name, worker in workers.items():
                    runs[name].append(worker.run(task))
            for worker in workers.values():
                worker.close()
            report(units, task, runs)


def report(units: int, task: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{units:,} units x 10 periods, {task} (load average {load})")
    own = runs["causalkit"]
    warm = {
        name: [statistics.median(run[kind] for run in found[1:]) for kind in ("wall", "cpu")]
        for name, found in runs.items()
    }
    for name, found in runs.items():
        wall, cpu = warm[name]
        text = f"  {name:<10} first {found[0]['wall']:7.3f} s wall {found[0]['cpu']:7.3f} s CPU"
        text += f"   warm {wall:7.3f} s wall {cpu:7.3f} s CPU"
        if name != "causalkit":
            text += f"   ratio {wall / warm['causalkit'][0]:5.1f} wall {cpu / warm['causalkit'][1]:5.1f} CPU"
            gaps = [abs(found[0][key] - own[0][key]) for key in ("estimate", "se")]
            text += f"   difference {gaps[0]:.1e}, of the error {gaps[1]:.1e}"
        print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter that has the peers; default: this one"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--units", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--large", action="store_true", help="also a million units")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--package", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.package)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for units in [*options.units, *([1_000_000] if options.large else [])]:
        packages = {"causalkit": sys.executable, "diff-diff": options.peer_python}
        if units <= 10_000:  # beyond, csdid takes minutes
            packages["csdid"] = options.peer_python
        compare(units, packages, options.repeats, options.tasks)


if __name__ == "__main__":
    main()
