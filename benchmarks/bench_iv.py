"""Two-stage least squares with robust errors and all diagnostics: causalkit against linearmodels on the same table.

    python benchmarks/bench_iv.py                                             # where both are installed
    python benchmarks/bench_iv.py --peer-python peers/bin/python --columns 10  # linearmodels in an environment of its own
    python benchmarks/bench_iv.py --task errors                               # coefficients and errors, no diagnostics

Both run on one thread, warm, from a pandas table to every coefficient with its HC1 standard error, the first stage,
Sargan's, Basmann's and the robust overidentification test, and the tests of Durbin, Wu and Hausman, and Wooldridge.
CPU seconds are compared, and the memory that a run takes beyond the table, in units of the table. The import and
compilation of either side, and the transfer of the table, are not counted. linearmodels factorises all columns some
eighty times for its diagnostics and needs about fifty times the table for them: give it fewer rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

INSTRUMENTS = ["z0", "z1"]


def study(rows: int, columns: int, seed: int = 20260101) -> pd.DataFrame:
    """One treatment, two instruments, and as many covariates as make up the number of columns."""
    rng = np.random.default_rng(seed)
    covariates = rng.standard_normal((columns - 3, rows))
    z = rng.standard_normal((2, rows)) + 0.3 * covariates[:2]
    hidden = rng.standard_normal(rows)
    d = 0.2 * z[0] + 0.1 * z[1] + covariates.sum(axis=0) / columns + hidden
    d += rng.standard_normal(rows)
    y = 0.5 * d + covariates.sum(axis=0) / columns + hidden
    y += rng.standard_normal(rows) * (1 + 0.5 * np.abs(z[0]))
    named = {f"w{j}": column for j, column in enumerate(covariates)}
    return pd.DataFrame({"y": y, "d": d, "z0": z[0], "z1": z[1], **named})


def covariates_of(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name.startswith("w")]


def ours(table: pd.DataFrame) -> dict[str, float]:
    import causalkit as ck

    result = ck.IV(vcov="HC1").fit(
        table, outcome="y", treatment="d", instruments=INSTRUMENTS, covariates=covariates_of(table)
    )
    first = result.first_stage
    return {
        "estimate": result.estimate,
        "se": result.se,
        "sum of coefficients": float(result.coefficients.values.sum()),
        "sum of errors": float(result.coefficients.se.sum()),
        "first-stage wald": float(first.f[0]) * 2,
        "partial R2": float(first.partial_r2[0]),
        "Shea R2": float(first.shea_r2[0]),
        "Sargan": result.overidentification_test("sargan").statistic,
        "Basmann": result.overidentification_test("basmann").statistic,
        "robust overidentification": result.overidentification_test("hansen").statistic,
        "Durbin": result.endogeneity_test("durbin").statistic,
        "Wu-Hausman": result.endogeneity_test("wu_hausman").statistic,
        "Wooldridge score": result.endogeneity_test("wooldridge_score").statistic,
        "Wooldridge regression": result.endogeneity_test("wooldridge_regression").statistic,
    }


def our_errors(table: pd.DataFrame) -> dict[str, float]:
    import causalkit as ck

    result = ck.IV(vcov="HC1").fit(
        table, outcome="y", treatment="d", instruments=INSTRUMENTS, covariates=covariates_of(table)
    )
    return {"estimate": result.estimate, "se": result.se, "sum of errors": float(result.coefficients.se.sum())}


def theirs(table: pd.DataFrame) -> dict[str, float]:
    from linearmodels.iv import IV2SLS

    exog = table[covariates_of(table)].assign(const=1.0)
    fit = IV2SLS(table["y"], exog, table[["d"]], table[INSTRUMENTS]).fit(cov_type="robust", debiased=True)
    first = fit.first_stage.diagnostics.loc["d"]
    return {
        "estimate": float(fit.params["d"]),
        "se": float(fit.std_errors["d"]),
        "sum of coefficients": float(fit.params.sum()),
        "sum of errors": float(fit.std_errors.sum()),
        "first-stage wald": float(first["f.stat"]),
        "partial R2": float(first["partial.rsquared"]),
        "Shea R2": float(first["shea.rsquared"]),
        "Sargan": float(fit.sargan.stat),
        "Basmann": float(fit.basmann.stat),
        "robust overidentification": float(fit.wooldridge_overid.stat),
        "Durbin": float(fit.durbin().stat),
        "Wu-Hausman": float(fit.wu_hausman().stat),
        "Wooldridge score": float(fit.wooldridge_score.stat),
        "Wooldridge regression": float(fit.wooldridge_regression.stat),
    }


def their_errors(table: pd.DataFrame) -> dict[str, float]:
    from linearmodels.iv import IV2SLS

    exog = table[covariates_of(table)].assign(const=1.0)
    fit = IV2SLS(table["y"], exog, table[["d"]], table[INSTRUMENTS]).fit(cov_type="robust", debiased=True)
    errors = fit.std_errors
    return {"estimate": float(fit.params["d"]), "se": float(errors["d"]), "sum of errors": float(errors.sum())}


#: One task a side; a run answers with a dictionary of numbers.
TASKS: dict[str, tuple[Callable[[pd.DataFrame], dict[str, float]], Callable[[pd.DataFrame], dict[str, float]]]] = {
    "2sls": (ours, theirs),
    "errors": (our_errors, their_errors),
}


class Watch(threading.Thread):
    """The largest resident memory while something runs, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest, self.on = resident(), True

    def run(self) -> None:
        while self.on:
            self.largest = max(self.largest, resident())
            time.sleep(0.002)


def resident() -> int:
    """Resident memory of this process, in bytes."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(work: Callable[[], dict[str, float]]) -> tuple[float, int, dict[str, float]]:
    """CPU seconds, bytes beyond those held before, and the answer."""
    before, watch = resident(), Watch()
    watch.start()
    start = time.process_time()
    answer = work()
    seconds = time.process_time() - start
    watch.on = False
    watch.join()
    return seconds, watch.largest - before, answer


class Side:
    """One side in a process of its own, that answers one line for each line it is sent."""

    def __init__(self, path: Path, python: str, task: str, ours: bool) -> None:
        command = [python, __file__, "--serve", str(path), "--task", task, "--side", "ours" if ours else "theirs"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self) -> tuple[float, int, dict[str, float]]:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(path: str, task: str, side: str) -> None:
    records = np.load(path)
    table = pd.DataFrame(records["values"].T, columns=records["names"].tolist())
    work = TASKS[task][side == "theirs"]
    work(table.iloc[:20_000].copy())  # imports and compiles
    for _ in sys.stdin:
        print(json.dumps(measured(lambda: work(table))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50, help="treatment, instruments and covariates")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=list(TASKS), default="2sls")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has linearmodels")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.task, options.side)
        return
    table = study(options.rows, options.columns)
    size = table.memory_usage(index=False).sum()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npz"
        np.savez(path, values=np.ascontiguousarray(table.to_numpy().T), names=np.array(table.columns, dtype=str))
        del table
        own, peer = Side(path, sys.executable, options.task, True), Side(path, options.peer_python, options.task, False)
        runs = [(own.run(), peer.run()) for _ in range(options.repeats)]
        own.close(), peer.close()
    a, b = (statistics.median(run[side][0] for run in runs) for side in (0, 1))
    ours_, theirs_ = runs[0][0][2], runs[0][1][2]
    worst = max(abs(ours_[key] / theirs_[key] - 1.0) for key in ours_)
    memory = [max(run[side][1] for run in runs) / size for side in (0, 1)]
    print(f"{options.task}: rows {options.rows}, columns {options.columns}, {options.repeats} runs each, median CPU")
    print(f"causalkit    {a:8.3f} s   memory beyond the table {memory[0]:.2f} tables")
    print(f"linearmodels {b:8.3f} s   memory beyond the table {memory[1]:.2f} tables")
    print(f"ratio {b / a:.1f}   largest relative difference of {len(ours_)} numbers {worst:.1e}")


if __name__ == "__main__":
    main()
