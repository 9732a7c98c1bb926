"""Two-way fixed effects on a million rows: causalkit against pyfixest, alternating runs on the same table.

    python benchmarks/bench_linear.py                                  # where both are installed
    python benchmarks/bench_linear.py --peer-python peers/bin/python   # pyfixest in an environment of its own

Both are timed warm, from a pandas table with integer ids to coefficients and standard errors clustered by unit. The
peer's import and compilation, and the transfer of the table, are not timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

COVARIATES = ["x1", "x2", "x3"]
# The effects are named in alphabetical order: pyfixest 0.60 counts the wrong ones as nested otherwise.
FORMULA = "y ~ x1 + x2 + x3 | time + unit"
PEER_FORMULA = "y ~ x1 + x2 + x3 | a_time + b_unit"


#: Seconds between runs.
PAUSE = 0.5


def panel(units: int, periods: int, missing: float = 0.1, seed: int = 20240501) -> pd.DataFrame:
    """An unbalanced panel with unit and period effects correlated with the covariates."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), periods)
    time_ = np.tile(np.arange(periods), units)
    keep = rng.random(unit.size) >= missing
    unit, time_ = unit[keep], time_[keep]
    alpha, gamma = rng.standard_normal(units), rng.standard_normal(periods)
    x = rng.standard_normal((unit.size, 3)) + 0.5 * alpha[unit, None] + 0.3 * gamma[time_, None]
    noise = rng.standard_normal(unit.size) + 0.5 * rng.standard_normal(units)[unit] * x[:, 0]
    y = alpha[unit] + gamma[time_] + x @ np.array([0.5, -0.25, 0.1]) + noise
    return pd.DataFrame({"y": y, "unit": unit + 1000, "time": time_ + 2000, **dict(zip(COVARIATES, x.T, strict=True))})


def ours(table: pd.DataFrame) -> tuple[list[float], list[float]]:
    """From the table to coefficients and clustered standard errors, by the public class, validation included."""
    import causalkit as ck

    first, *others = COVARIATES
    result = ck.OLS().fit(
        table, outcome="y", treatment=first, covariates=others, absorb=["time", "unit"], cluster="unit"
    )
    return result.coefficients.values.tolist(), result.coefficients.se.tolist()


def ours_on_arrays(table: pd.DataFrame) -> Callable[[], object]:
    """The same from arrays and codes that are ready."""
    from causalkit.kernels.groups import factorize_integers
    from causalkit.linear.least_squares import least_squares

    unit, time_ = (factorize_integers(table[name].to_numpy())[0] for name in ("unit", "time"))
    y, X = table["y"].to_numpy(), np.stack([table[name].to_numpy() for name in COVARIATES]).T
    return lambda: least_squares(y, X, names=COVARIATES, absorb=[time_, unit], groups=unit, vcov="CR1")


def theirs(table: pd.DataFrame) -> tuple[list[float], list[float]]:
    import pyfixest

    fit = pyfixest.feols(PEER_FORMULA, table, vcov={"CRV1": "b_unit"}, lean=True, copy_data=False, store_data=False)
    return fit.coef().tolist(), fit.se().tolist()


class Peer:
    """pyfixest in this process, or in another interpreter that answers one line for each line it is sent."""

    def __init__(self, table: pd.DataFrame, python: str | None) -> None:
        self.table = table.rename(columns={"unit": "b_unit", "time": "a_time"})
        self.process = None
        if python is not None:
            self.folder = tempfile.TemporaryDirectory()
            path = Path(self.folder.name) / "table.npy"
            np.save(path, self.table.to_records(index=False))
            command = [python, __file__, "--serve", str(path)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self) -> tuple[float, list[float], list[float]]:
        if self.process is None:
            return timed(lambda: theirs(self.table))
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.folder.cleanup()


def serve(path: str) -> None:
    table = pd.DataFrame.from_records(np.load(path))
    for _ in sys.stdin:
        print(json.dumps(timed(lambda: theirs(table))), flush=True)


def timed(work: Callable[[], tuple[list[float], list[float]]]) -> tuple[float, list[float], list[float]]:
    start = time.perf_counter()
    coefficients, errors = work()
    return time.perf_counter() - start, coefficients, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--periods", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peer-python", help="interpreter that has pyfixest; default: this one")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    table = panel(options.units, options.periods)
    peer = Peer(table, options.peer_python)
    ours(table), peer.run()
    own, other = [], []
    for _ in range(options.repeats):
        # Thread pools keep spinning for a while after a call: neither side should pay for the other's.
        time.sleep(PAUSE)
        own.append(timed(lambda: ours(table)))
        time.sleep(PAUSE)
        other.append(peer.run())
    peer.close()
    arrays = ours_on_arrays(table)
    on_arrays = [timed(lambda: (arrays(), []))[0] for _ in range(options.repeats)]
    a, b = (statistics.median(run[0] for run in runs) for runs in (own, other))
    worst = max(np.abs(np.subtract(own[0][part], other[0][part])).max() for part in (1, 2))
    print(f"rows {len(table)}, units {options.units}, periods {options.periods}, {options.repeats} runs each, medians")
    print(f"causalkit {a:.3f} s   (arrays and codes ready: {statistics.median(on_arrays):.3f} s)")
    print(f"pyfixest  {b:.3f} s")
    print(f"ratio {b / a:.1f}   largest difference of coefficients and standard errors {worst:.1e}")


if __name__ == "__main__":
    main()
