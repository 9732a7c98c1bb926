"""Difference-in-differences on simulated panels: causalkit against the fastest peers, alternating runs on the same table.

    python benchmarks/bench_did.py --peer diff-diff=cs/bin/python --peer csdid=cs/bin/python \\
        --peer pyfixest=fe/bin/python --peer did-imputation=imp/bin/python --peer moderndid=mod/bin/python
    python benchmarks/bench_did.py --units 1000000 --limit 300        # a cell that takes longer is stopped, and said to be

Every package runs in a process of its own, with the interpreter that ``--peer`` names for it (diff-diff, csdid, pyfixest,
did-imputation, moderndid; those that no interpreter has are left out), and is timed from a pandas table to all effects by
cohort and time and their averages by event time. "first" is the first call of the process, imports included; "warm" is the
median of the others, on a fresh copy of the table each time. Wall and CPU seconds are both shown: on a machine that does
other work, compare CPU seconds, with one thread for all. "peak" is what the process grew by while it worked on a table that
was there already (imports left out), also as a multiple of the table. A package that fails, or takes more time or memory
than it may, is said to.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COVARIATES = ["x0", "x1"]
PANEL = ("no covariates", "two covariates", "simultaneous bands", "repeated cross-sections", "incomplete panel")
PANEL += ("sun and abraham", "imputation", "two-stage", "local projections")
#: Periods before and after the start of the vectors whose sensitivity is analysed.
HONEST = {"honest 5 + 2": (5, 2), "honest 12 + 6": (12, 6)}
TASKS = (*PANEL, *HONEST)
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON", "POLARS_MAX")


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


def prepared(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the rows that a task is about."""
    if task == "repeated cross-sections":
        return table.assign(id=np.arange(len(table)))
    if task == "incomplete panel":
        return table[np.random.default_rng(1).random(len(table)) > 0.05].reset_index(drop=True)
    if task == "local projections":
        return table.assign(on=((table["g"] > 0) & (table["t"] >= table["g"])).astype(np.int64))
    return table


def vector(task: str) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Coefficients of an event study with their covariance, and how many stand before and after the start."""
    before, after = HONEST[task]
    rng = np.random.default_rng(1)
    size = before + after
    vcov = 0.02**2 * 0.5 ** np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return np.r_[rng.normal(0, 0.01, before), np.linspace(0.05, 0.1, after)], vcov, before, after


def causalkit(table: pd.DataFrame, task: str) -> tuple[float, float]:
    import causalkit as ck

    if task in HONEST:
        values, vcov, before, _ = vector(task)
        return ck.did.honest(values, vcov=vcov, n_pre=before, weights="first", magnitudes=[0.5, 1.0]).limits[1]
    roles: dict[str, Any] = {"outcome": "y", "unit": "id", "time": "t", "cohort": "g"}
    if task == "local projections":
        effects = (
            ck.LocalProjectionsDiD(pre_window=5, post_window=5).fit(table, **roles).effects.select(["event time 0"])
        )
        return float(effects.values[0]), float(effects.se[0])
    if task == "imputation":
        result = ck.ImputationDiD().fit(table, **roles)
    elif task == "two-stage":
        result = ck.TwoStageDiD().fit(table, **roles)
    elif task == "sun and abraham":
        result = ck.SunAbraham().fit(table, **roles)
    else:
        if task == "repeated cross-sections":
            del roles["unit"]
        roles["covariates"] = COVARIATES if task == "two covariates" else []
        result = ck.CallawaySantAnna(control_group="not_yet_treated", unbalanced="cells").fit(table, **roles)
    averages = result.aggregate("event_time").effects
    averages.ci(simultaneous=task == "simultaneous bands")
    if task == "sun and abraham":  # the peers' averages over all event times are weighted in other ways
        first = averages.select(["event time 0"])
        return float(first.values[0]), float(first.se[0])
    return result.estimate, result.se


def diff_diff(table: pd.DataFrame, task: str) -> tuple[float, float]:
    import diff_diff as peer

    if task == "local projections":
        found = peer.LPDiD(pre_window=5, post_window=5).fit(table, "y", "id", "t", "on", only_event=True).event_study
        row = found[found["horizon"] == 0].iloc[0]
        return float(row["coefficient"]), float(row["se"])
    if task in ("imputation", "two-stage"):
        estimator = peer.ImputationDiD() if task == "imputation" else peer.TwoStageDiD()
        result = estimator.fit(table, "y", "id", "t", "g", aggregate="event_study")
        return float(result.overall_att), float(result.overall_se)
    if task == "sun and abraham":
        result = peer.SunAbraham().fit(table, "y", "id", "t", "g")
        first = result.event_study_effects[0]
        return float(first["effect"]), float(first["se"])
    draws = 999 if task == "simultaneous bands" else 0
    followed, gaps = task != "repeated cross-sections", task == "incomplete panel"
    estimator = peer.CallawaySantAnna(
        control_group="not_yet_treated", n_bootstrap=draws, panel=followed, allow_unbalanced_panel=gaps
    )
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
    how = {"panel": task != "repeated cross-sections", "allow_unbalanced_panel": task == "incomplete panel"}
    model = ATTgt("y", "t", "id", "g", table, ["notyettreated"], formula, cband=bands, biters=999, **how)
    model.fit(est_method="dr", bstrap=bands)
    model.aggte(typec="dynamic", bstrap=bands, cband=bands)
    found = model.aggte(typec="simple", bstrap=False, cband=False).atte
    return float(found["overall_att"]), float(np.ravel(found["overall_se"])[0])


def pyfixest(table: pd.DataFrame, task: str) -> tuple[float, float]:
    import pyfixest as peer

    if task == "local projections":
        fit = peer.lpdid(table, "y", "id", "t", "g", {"CRV1": "id"}, pre_window=-5, post_window=5, att=False)
        row = fit.tidy().loc["time_to_treatment::0"]
        return float(row["Estimate"]), float(row["Std. Error"])
    if task == "two-stage":
        row = peer.event_study(table, "y", "id", "t", "g", estimator="did2s", cluster="id").tidy().iloc[0]
        return float(row["Estimate"]), float(row["Std. Error"])
    fit = peer.event_study(table, "y", "id", "t", "g", estimator="saturated", cluster="id")
    found = fit.aggregate(weighting="shares")
    return float(found["Estimate"].loc[0]), float(found["Std. Error"].loc[0])


def did_imputation(table: pd.DataFrame, task: str) -> tuple[float, float]:
    from did_imputation import did_imputation as peer

    starts = table.assign(g=table["g"].where(table["g"] > 0).astype(float))
    result = peer(starts, "y", "id", "t", "g")
    estimate, error = (next(iter(dict(part).values())) for part in (result.estimates, result.std_errors))
    return float(estimate), float(error)


def moderndid(table: pd.DataFrame, task: str) -> tuple[float, float]:
    from moderndid import create_sensitivity_results_rm as peer

    values, vcov, before, after = vector(task)
    first = np.eye(after)[:, :1]
    found = peer(values, vcov, before, after, m_bar_vec=np.array([0.5, 1.0]), l_vec=first)
    row = found.row(1, named=True)
    low, high = row["lb"], row["ub"]
    return float(low), float(high)


#: What each package is asked for.
PACKAGES: dict[str, tuple[Callable[[pd.DataFrame, str], tuple[float, float]], tuple[str, ...]]] = {
    "causalkit": (causalkit, TASKS),
    "diff-diff": (diff_diff, PANEL),
    "csdid": (csdid, PANEL[:5]),
    "pyfixest": (pyfixest, ("sun and abraham", "two-stage", "local projections")),
    "did-imputation": (did_imputation, ("imputation",)),
    "moderndid": (moderndid, tuple(HONEST)),
}


class Stopped(Exception):
    """A package that gave no answer, and why."""


class Worker:
    """A package in a process of its own, which runs a task for each line it is sent, and answers with a line."""

    def __init__(self, package: str, python: str, path: Path, task: str, limit: float, most: float) -> None:
        command = [python, __file__, "--serve", str(path), "--package", package, "--tasks", task]
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise Stopped(f"can't be run: {error}") from None
        self.limit, self.most = limit, most
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self._answer()  # the table is there

    def run(self) -> dict[str, Any]:
        before = self._memory()
        with contextlib.suppress(OSError):  # from here on the kernel keeps the peak
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        with contextlib.suppress(BrokenPipeError):  # what it died of is read below
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        found, peak = self._answer()
        return {**found, "peak": max(0.0, max(peak, found["peak"]) - before)}

    def _answer(self) -> tuple[dict[str, Any], float]:
        """Wait for a line, and watch how the process grows."""
        begun, peak = time.perf_counter(), 0.0
        while not self.selector.select(0.005):
            peak = max(peak, self._memory())
            why = ""
            if time.perf_counter() - begun > self.limit:
                why = f"stopped after {self.limit:g} s"
            elif peak > self.most:
                why = f"stopped at {peak / 1e9:.1f} GB"
            if why:
                self.process.kill()
                raise Stopped(why)
        line = self.process.stdout.readline()
        if not line:
            told = self.process.stderr.read().strip().splitlines()
            raise Stopped(f"failed: {told[-1][:160] if told else 'killed'}")
        return json.loads(line), peak

    def _memory(self) -> float:
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return float(pages * os.sysconf("SC_PAGE_SIZE"))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()


def serve(path: str, package: str, task: str) -> None:
    """Run the task for each line that is read, and answer with what it took."""
    warnings.filterwarnings("ignore")
    table = prepared(pd.DataFrame.from_records(np.load(path)), task)
    run, fresh = PACKAGES[package][0], table.copy()
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            estimate, error = run(fresh, task)
        answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": most_memory()}
        fresh = pd.DataFrame()  # before the next copy, so that there are never two
        fresh = table.copy()
        print(json.dumps(answer | {"estimate": estimate, "se": error}), flush=True)


def most_memory() -> float:
    """Return the peak of the memory of this process; zero where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024.0 * float(line.split()[1])
    return 0.0


def compare(units: int, pythons: dict[str, str], task: str, options: argparse.Namespace) -> None:
    """Run one task by all packages that offer it, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        path, table = Path(folder) / "table.npy", panel(units)
        np.save(path, table.to_records(index=False))
        size = float(prepared(table, task).memory_usage(index=False).sum())
        del table
        runs: dict[str, list[dict[str, Any]]] = {}
        stopped: dict[str, str] = {}
        workers: dict[str, Worker] = {}
        for name, python in pythons.items():
            if task in PACKAGES[name][1]:
                runs[name] = []
                try:
                    workers[name] = Worker(name, python, path, task, options.limit, options.memory * 1e9)
                except Stopped as reason:
                    stopped[name] = str(reason)
        for _ in range(options.repeats + 1):
            for name, worker in workers.items():
                if name not in stopped:
                    try:
                        runs[name].append(worker.run())
                    except Stopped as reason:
                        stopped[name] = str(reason)
        for worker in workers.values():
            worker.close()
    report(units, task, runs, stopped, size)


def report(units: int, task: str, runs: dict[str, list[dict[str, Any]]], stopped: dict[str, str], size: float) -> None:
    """Print a line for each package: first and warm, ratios, memory, and the difference of the answers."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    what = task if task in HONEST else f"{units:,} units x 10 periods ({size / 1e6:,.0f} MB), {task}"
    print(f"\n{what} (load average {load})")
    own = runs["causalkit"]
    if not own:
        print(f"  causalkit {stopped['causalkit']}")
        return
    warm = {
        name: [statistics.median(run[kind] for run in found[1:] or found) for kind in ("wall", "cpu")]
        for name, found in runs.items()
        if found
    }
    for name, found in runs.items():
        if not found:
            print(f"  {name:<14} {stopped[name]}", flush=True)
            continue
        wall, cpu = warm[name]
        text = f"  {name:<14} first {found[0]['wall']:8.3f} s wall {found[0]['cpu']:8.3f} s CPU"
        text += f"   warm {wall:8.3f} s wall {cpu:8.3f} s CPU"
        if task not in HONEST:
            peak = max(run["peak"] for run in found[1:] or found)
            text += f"   peak +{peak / 1e6:,.0f} MB ({peak / size:.1f}x)"
        if name != "causalkit":
            text += f"   ratio {wall / warm['causalkit'][0]:5.1f} wall {cpu / warm['causalkit'][1]:5.1f} CPU"
            gaps = [abs(found[0][key] - own[0][key]) for key in ("estimate", "se")]
            text += f"   difference {gaps[0]:.1e}, {gaps[1]:.1e}"
        print(text + (f"   then {stopped[name]}" if name in stopped else ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="PACKAGE=PYTHON", help="interpreter of a peer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--units", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one call may take")
    parser.add_argument("--memory", type=float, default=12.0, help="GB that one process may take")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--package", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.package, options.tasks[0])
        return
    for name in THREADS:
        os.environ.setdefault(f"{name}_{'THREADS' if name.endswith('MAX') else 'NUM_THREADS'}", "1")
    pythons = {"causalkit": sys.executable, **dict(pair.split("=", 1) for pair in options.peer)}
    unknown = sorted(set(pythons) - set(PACKAGES))
    if unknown:
        parser.error(f"--peer {unknown[0]} is none of {', '.join(PACKAGES)}")
    for task in (task for task in options.tasks if task in HONEST):
        compare(10, pythons, task, options)
    for units in options.units:
        for task in (task for task in options.tasks if task in PANEL):
            compare(units, pythons, task, options)


if __name__ == "__main__":
    main()
