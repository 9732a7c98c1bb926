"""UJIVE with thousands of judges: causalkit against the same estimate from written-out dummies, and where they give up.

    python benchmarks/bench_judges.py                       # 1M rows, 5,000 judges nested in 200 courts
    python benchmarks/bench_judges.py --rows 3000 --judges 200 --dense

CPU seconds of the process are printed beside wall seconds: on a machine that does other work, compare CPU seconds.
``--dense`` forms the hat matrices from dummies with numpy (O(n J^2) time and O(n J) memory), and prints the difference.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from causalkit.iv.jackknife import METHODS, jackknife_fit


def cases(rows: int, judges: int, courts: int, crossed: bool, seed: int = 0):
    rng = np.random.default_rng(seed)
    judge = rng.integers(0, judges, rows).astype(np.int32)
    court = (rng.integers(0, courts, rows) if crossed else judge % courts).astype(np.int32)
    lenient, u, x = rng.normal(size=judges), rng.normal(size=rows), rng.normal(size=(rows, 3))
    D = (0.5 * lenient[judge] + x @ [0.2, 0.1, 0.0] + u > 0).astype(float)
    return D + x @ [0.5, 0.2, 0.1] + u + rng.normal(size=rows), D, judge, court, x


def dense(y, D, judge, court, x) -> float:
    def basis(matrix):
        u, s, _ = np.linalg.svd(matrix, full_matrices=False)
        return u[:, s > 1e-9 * s[0]]

    def dummies(codes):
        return (codes[:, None] == np.unique(codes)).astype(float)

    W = np.column_stack([dummies(court), x])
    H, P = basis(np.column_stack([W, dummies(judge)])), basis(W)
    h, p = (H**2).sum(axis=1), (P**2).sum(axis=1)
    hd, pd = H @ (H.T @ D), P @ (P.T @ D)
    fitted = hd - pd - (D - hd) * (h - p) / (1 - h)
    return float(fitted @ (y - y.mean()) / (fitted @ (D - D.mean())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--judges", type=int, default=5000)
    parser.add_argument("--courts", type=int, default=200)
    parser.add_argument("--crossed", action="store_true", help="courts cross judges instead of holding them")
    parser.add_argument("--dense", action="store_true")
    args = parser.parse_args()
    y, D, judge, court, x = cases(args.rows, args.judges, args.courts, args.crossed)
    small = slice(0, 2000)
    jackknife_fit(y[small], D[small], labels=[judge[small] % 20], absorb=[court[small] % 5], W=x[small])  # compiles
    for method in METHODS:
        wall, cpu = time.perf_counter(), time.process_time()
        fit = jackknife_fit(y, D, method=method, labels=[judge], absorb=[court], W=x)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{method:10} {fit.estimate:.6f} ({fit.se_heterogeneous:.6f})  {wall:6.2f} s wall  {cpu:6.2f} s CPU")
    if args.dense:
        cpu = time.process_time()
        slow = dense(y, D, judge, court, x)
        fast = jackknife_fit(y, D, labels=[judge], absorb=[court], W=x).estimate
        print(f"dense      {slow:.6f}  {time.process_time() - cpu:6.2f} s CPU, difference {abs(slow - fast):.1e}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
