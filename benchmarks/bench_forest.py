"""Causal forests beside econml's: growing, predicting, intervals, memory; alternating runs on the same data.

    python benchmarks/bench_forest.py             # 10,000 and 100,000 rows
    python benchmarks/bench_forest.py --large     # and a million rows: ours alone, with intervals and peak memory

Both get the outcome and treatment already centred (the nuisances are known), half-samples in groups of two trees, honest
halves and five rows a leaf. Times are CPU seconds of the process and wall seconds, warm; ``--jobs`` sets the threads of
both, and those of BLAS and OpenMP are kept at one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the number of threads is read when it is loaded

from causalkit.effects.forest.growing import grow_forest  # noqa: E402
from causalkit.effects.forest.honest import Growth  # noqa: E402
from causalkit.effects.forest.predicting import predict, predict_spread  # noqa: E402

P = 20


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariates (n, 20), arms, centred outcomes and effects."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, P)), rng.binomial(1, 0.5, n)
    tau = 0.5 * np.maximum(x[:, 0], 0) + 0.2 * (x[:, 1] > 0)
    return x, w, (w - 0.5) * tau + rng.normal(size=n), tau


def ours(x: np.ndarray, w: np.ndarray, y: np.ndarray, trees: int, jobs: int) -> Any:
    arms = w.astype(np.int32)
    return grow_forest(x, y, w - 0.5, arms=arms, growth=Growth(n_trees=trees), n_jobs=jobs)[0]


def theirs(x: np.ndarray, w: np.ndarray, y: np.ndarray, trees: int, jobs: int) -> Any:
    from econml.grf import CausalForest

    forest = CausalForest(
        n_estimators=trees,
        subforest_size=2,
        min_samples_leaf=5,
        max_samples=0.5,
        honest=True,
        inference=True,
        n_jobs=jobs,
        random_state=0,
    )
    return forest.fit(x, w - 0.5, y)


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU seconds, wall seconds, and what came back."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def compare(n: int, trees: int, repeats: int, jobs: int) -> None:
    """Grow and predict with both, in turns."""
    x, w, y, _ = draw(n, 0)
    fresh, _, _, tau = draw(min(n, 20_000), 1)
    seconds: dict[str, list[tuple[float, ...]]] = {"ours": [], "econml": []}
    error: dict[str, float] = {}
    for _ in range(repeats):
        for name, grow in (("ours", ours), ("econml", theirs)):
            cpu, wall, forest = timed(lambda grow=grow: grow(x, w, y, trees, jobs))

            def predicted(forest: Any = forest, name: str = name) -> np.ndarray:
                return predict(forest, fresh, n_jobs=jobs)[:, 0] if name == "ours" else forest.predict(fresh).ravel()

            after, _, effects = timed(predicted)
            error[name] = float(np.sqrt(np.mean((effects - tau) ** 2)))
            seconds[name].append((cpu, wall, after))
    rows = {name: [statistics.median(part) for part in zip(*found, strict=True)] for name, found in seconds.items()}
    for name, (cpu, wall, after) in rows.items():
        rate = 1e6 * after / len(fresh)
        print(f"{n:>9,} x {P}, {trees} trees  {name:6s}  fit {cpu:8.2f} s CPU {wall:8.2f} s wall"
              f"  predict {rate:7.1f} us a row  RMSE {error[name]:.4f}", flush=True)  # fmt: skip
    print(
        f"{'':>25s}  ratio   fit {rows['econml'][0] / rows['ours'][0]:.1f}  predict {rows['econml'][2] / rows['ours'][2]:.1f}"
    )


def latency(trees: int = 500) -> None:
    """Milliseconds to predict one row."""
    x, w, y, _ = draw(10_000, 0)
    forests = {"ours": ours(x, w, y, trees, 1), "econml": theirs(x, w, y, trees, 1)}
    for name, forest in forests.items():
        row, found = x[:1].copy(), []
        for _ in range(50):
            start = time.perf_counter()
            predict(forest, row) if name == "ours" else forest.predict(row)
            found.append(1e3 * (time.perf_counter() - start))
        print(
            f"one row, {trees} trees  {name:6s}  best {min(found):.2f} ms  median {statistics.median(found):.2f} ms",
            flush=True,
        )


def large(trees: int, jobs: int, n: int = 1_000_000) -> None:
    """Ours on a million rows, with the intervals of all of them."""
    x, w, y, tau = draw(n, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall, forest = timed(lambda: ours(x, w, y, trees, jobs))
    print(
        f"{n:>9,} x {P}, {trees} trees  ours    fit {cpu:.1f} s CPU {wall:.1f} s wall, forest {forest.nbytes / 1e6:.0f} MB"
    )
    cpu, wall, found = timed(lambda: predict_spread(forest, x, n_jobs=jobs))
    inside = np.abs(found.mean[:, 0] - tau) < 1.96 * np.sqrt(found.whole[:, 0, 0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{'':>25s}  intervals of all rows {cpu:.1f} s CPU {wall:.1f} s wall, of which cover {inside.mean():.3f};"
          f" peak memory {peak / 1e6:.2f} GB (data and imports {before / 1e6:.2f} GB)", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {args.jobs} threads", flush=True)
    if args.large:
        large(min(args.trees, 20), args.jobs)
    x, w, y, _ = draw(500, 0)
    predict_spread(ours(x, w, y, 8, 1), x)  # compiled before anything is timed
    for n in args.rows:
        compare(n, args.trees, args.repeats, args.jobs)
    if args.rows:
        latency()
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
