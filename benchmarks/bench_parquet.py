"""Callaway and Sant'Anna on a table that doesn't fit: rows in Parquet, read by DuckDB, summed up there and never loaded.

    python benchmarks/bench_parquet.py                          # 10 million units x 10 periods, 100 million rows
    python benchmarks/bench_parquet.py --units 100000

The file is written first, by DuckDB, into a temporary folder (about 1 GB for 100 million rows). Then another process fits,
so that the peak of memory is its own. On the first 100,000 units the lazy answers are compared with those in memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PERIODS, SAMPLE = 10, 100_000
ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}

WRITE = """
    COPY (
        SELECT u AS unit, t AS time, CASE WHEN u % 5 < 3 THEN 4 + u % 5 ELSE 0 END AS cohort,
               (hash(u) % 1000) / 500.0 + 0.1 * t + CASE WHEN u % 5 < 3 AND t >= 4 + u % 5 THEN 0.5 ELSE 0.0 END
               + 2.5 * random() AS y
        FROM range({units}) AS units(u), range(1, {periods} + 1) AS times(t)
    ) TO '{path}' (FORMAT parquet)
"""


def fit(path: str, memory: str) -> None:
    """Fit lazily, and print what came out as JSON."""
    import duckdb

    import causalkit as ck

    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{memory}'")
    start, cpu = time.perf_counter(), time.process_time()
    result = ck.CallawaySantAnna().fit(connection.read_parquet(path), **ROLES)
    told = {"estimate": result.estimate, "se": result.se, "n": result.n}
    told |= {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(told))


def agreement(path: Path) -> float:
    """Largest difference between the lazy answers and those in memory, on some units."""
    import duckdb
    import numpy as np

    import causalkit as ck

    rows = duckdb.sql(f"SELECT * FROM '{path}' WHERE unit < {SAMPLE}")
    lazy, held = (ck.CallawaySantAnna().fit(table, **ROLES).effects for table in (rows, rows.df()))
    return float(max(np.abs(lazy.values - held.values).max(), np.abs(lazy.se - held.se).max()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--memory", default="1GB", help="what DuckDB may take")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        fit(args.fit, args.memory)
        return
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.parquet"
        duckdb.sql("SELECT setseed(0.5)")
        duckdb.sql(WRITE.format(units=args.units, periods=PERIODS, path=path))
        print(f"{args.units * PERIODS:,} rows, {path.stat().st_size / 1e6:,.0f} MB of Parquet", flush=True)
        command = [sys.executable, __file__, "--fit", str(path), "--memory", args.memory]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            "effect {estimate:.6f} ({se:.6f}), {wall:.1f} s, {cpu:.1f} CPU s, peak memory {peak:.2f} GB".format(**told)
        )
        print(f"first {SAMPLE:,} units, lazy against in memory: {agreement(path):.1e}")


if __name__ == "__main__":
    main()
