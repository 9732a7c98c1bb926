"""Density test and local randomization: causalkit against rddensity and rdlocrand, alternating runs on the same numbers.

    python benchmarks/bench_rd_density.py                                  # where all are installed
    python benchmarks/bench_rd_density.py --peer-python peers/bin/python   # the peers in an environment of their own

Both are timed warm and in seconds of CPU, from arrays to the numbers. Imports, compilation and the transfer of the data
are not timed. Local randomization: 1,000 random assignments on either side; balance: ten windows of three covariates.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

#: Task -> numbers of rows; those of local randomization are in the window.
SIZES = {"density": (10_000, 100_000, 1_000_000), "diffmeans": (1_000, 10_000), "windows": (2_000,)}


def columns(task: str, n: int) -> dict[str, np.ndarray]:
    """The same numbers in every process."""
    rng = np.random.default_rng(n)
    score = rng.normal(0.3, 1.0, n) if task == "density" else rng.uniform(-1.0, 1.0, n)
    return {
        "score": score,
        "outcome": 0.05 * (score >= 0) + rng.normal(size=n),
        "covariates": np.column_stack([rng.normal(size=n), rng.random(n), 1.0 * (rng.random(n) < 0.4)]),
    }


def ours(task: str, data: dict[str, np.ndarray]) -> list[float]:
    """Run causalkit: the numbers that do not depend on draws come first."""
    import causalkit as ck

    if task == "density":
        found = ck.rdd.density_test(data["score"])
        return [*found.bandwidths, found.statistic, found.pvalue]
    if task == "diffmeans":
        table = {"y": data["outcome"], "x": data["score"]}
        result = ck.LocalRandomizationRD(window=1.0, n_draws=1000, random_state=0).fit(table, outcome="y", running="x")
        return [result.estimate, result.test(method="large_sample").pvalue, result.pvalue]
    names = ["a", "b", "c"]
    table = {"x": data["score"], **dict(zip(names, data["covariates"].T, strict=True))}
    found = ck.rdd.select_window(table, running="x", covariates=names, n_draws=1000)
    return [window.width for window in found.windows]


def theirs(task: str, data: dict[str, np.ndarray]) -> list[float]:
    """Run the peer."""
    import pandas as pd
    from rddensity import rddensity
    from rdlocrand import rdrandinf, rdwinselect

    if task == "density":
        r = rddensity(data["score"])
        return [r.h["left"], r.h["right"], r.test["t_jk"], r.test["p_jk"]]
    with contextlib.redirect_stdout(io.StringIO()):
        if task == "diffmeans":
            r = rdrandinf(data["outcome"], data["score"], wl=-1.0, wr=1.0, reps=1000, quietly=True)
            return [float(np.ravel(r["obs.stat"])[0]), float(np.ravel(r["asy.pvalue"])[0]), float(r["p.value"])]
        r = rdwinselect(data["score"], pd.DataFrame(data["covariates"], columns=list("abc")), quietly=True)
    return [float(width) for width in r["wlist_right"]]


def timed(run, task: str, data: dict[str, np.ndarray]) -> tuple[float, list[float]]:
    """Seconds of CPU of one run and what came out."""
    start = time.process_time()
    found = run(task, data)
    return time.process_time() - start, found


def serve() -> None:
    """Answer one line for each line that names a task and a size."""
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        task, n = line.split()
        print(json.dumps(timed(theirs, task, columns(task, int(n)))), flush=True)


class Peer:
    """The peers in another interpreter, or in this one."""

    def __init__(self, python: str | None) -> None:
        command = [python or sys.executable, str(Path(__file__).resolve()), "--serve"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, task: str, n: int) -> tuple[float, list[float]]:
        """Run one task."""
        self.process.stdin.write(f"{task} {n}\n")
        self.process.stdin.flush()
        seconds, found = json.loads(self.process.stdout.readline())
        return seconds, found

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    """Time every task and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--peer-python", help="interpreter that has rddensity and rdlocrand; default: this one")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    peer = Peer(options.peer_python)
    print(f"{options.repeats} runs each, alternating; medians of CPU seconds")
    for task in options.tasks:
        for n in SIZES[task]:
            data = columns(task, n)
            ours(task, data), peer.run(task, n)
            own, other = [], []
            for _ in range(options.repeats):
                own.append(timed(ours, task, data))
                other.append(peer.run(task, n))
            a, b = (statistics.median(seconds for seconds, _ in runs) for runs in (own, other))
            fixed = 2 if task == "diffmeans" else None  # the last number there is drawn
            first, second = (np.array(runs[0][1][:fixed]) for runs in (own, other))
            apart = np.abs(first - second).max()
            print(f"{task:10} n {n:9,}  causalkit {a:8.4f}  peer {b:8.4f}  ratio {b / a:7.1f}  difference {apart:.1e}")
    peer.close()


if __name__ == "__main__":
    main()
