"""Causal graphs: causalkit against dowhy, pgmpy, statspai, antecedent and networkx, on the same graphs in one run.

    python benchmarks/bench_graph.py                                   # causalkit alone, and peers installed beside it
    python benchmarks/bench_graph.py --peer-python peers/bin/python    # peers in an environment of their own

Timed by CPU, the graph built beforehand: one adjustment set for a pair (median and worst of the pairs), every minimal set,
and falsification by 200 relabellings of ten nodes. A peer that does not answer in time, or fails, is shown so; what it
answers is checked by ``is_adjustment_set``. networkx has no adjustment: it is asked for a minimal separator in the graph
without the arrows that leave the treatment, which is the same question where nothing causal is forbidden.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

PEERS = ("networkx", "antecedent", "statspai", "pgmpy", "dowhy")
TARGETS = {100: 1.0, 1000: 10.0, 10_000: 100.0}
Edges = list[tuple[str, str]]


def drawn(n: int, degree: int = 4, seed: int = 0) -> Edges:
    """A random graph with ``degree * n / 2`` arrows."""
    rng = random.Random(seed)
    found: set[tuple[int, int]] = set()
    while len(found) < n * degree // 2:
        a, b = sorted(rng.sample(range(n), 2))
        found.add((a, b))
    return [(f"v{a}", f"v{b}") for a, b in sorted(found)]


def pairs_of(edges: Edges, n: int, count: int) -> Edges:
    """Treatments with an effect on the outcome, the outcome among the last nodes (those with many ancestors)."""
    children: dict[str, list[str]] = {}
    for a, b in edges:
        children.setdefault(a, []).append(b)

    def below(node: str) -> set[str]:
        seen, stack = {node}, [node]
        while stack:
            for child in children.get(stack.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    stack.append(child)
        return seen

    rng = random.Random(1)
    found: Edges = []
    while len(found) < count:
        a, b = f"v{rng.randrange(n // 3, 2 * n // 3)}", f"v{rng.randrange(n - n // 10, n)}"
        if b in below(a):
            found.append((a, b))
    return found


def cpu(work: Callable[[], Any], runs: int = 3) -> tuple[float, Any]:
    """Least CPU milliseconds of a few runs, and the answer."""
    least, answer = float("inf"), None
    for _ in range(runs):
        start = time.process_time()
        answer = work()
        least = min(least, 1e3 * (time.process_time() - start))
    return least, answer


# Peers: each makes a function from a pair to one adjustment set (or None).


def of_networkx(edges: Edges) -> Callable[[str, str], Any]:
    import networkx as nx

    graph = nx.DiGraph(edges)

    def ask(x: str, y: str) -> Any:
        cut = graph.copy()
        cut.remove_edges_from(list(graph.out_edges(x)))
        allowed = set(graph) - nx.descendants(graph, x) - {x, y}
        return nx.find_minimal_d_separator(cut, {x}, {y}, restricted=allowed)

    return ask


def of_antecedent(edges: Edges) -> Callable[[str, str], Any]:
    import antecedent

    nodes = sorted({node for edge in edges for node in edge})
    graph = antecedent.Dag.from_edges(nodes, edges)

    def ask(x: str, y: str) -> Any:
        found = antecedent.identify(graph=graph, query=antecedent.AverageEffect(treatment=x, outcome=y))
        return found.adjustment_set

    return ask


def of_statspai(edges: Edges) -> Callable[[str, str], Any]:
    import statspai

    graph = statspai.dag("; ".join(f"{a} -> {b}" for a, b in edges))
    return lambda x, y: next(iter(graph.adjustment_sets(x, y)), None)


def of_pgmpy(edges: Edges) -> Callable[[str, str], Any]:
    from pgmpy.base import DAG
    from pgmpy.inference import CausalInference

    asked = CausalInference(DAG(edges))
    return lambda x, y: asked.get_minimal_adjustment_set(x, y)


def of_dowhy(edges: Edges) -> Callable[[str, str], Any]:
    import networkx as nx
    from dowhy.causal_identifier import EstimandType, identify_effect_auto

    graph = nx.DiGraph(edges)

    def ask(x: str, y: str) -> Any:
        found = identify_effect_auto(graph, [x], [y], list(graph), EstimandType.NONPARAMETRIC_ATE)
        return found.get_backdoor_variables()

    return ask


def falsified_by(peer: str, edges: Edges, columns: dict[str, list[float]]) -> Callable[[], Any]:
    """Falsification by 200 relabellings, with tests of linear dependence."""
    if peer == "antecedent":
        from antecedent.graph_falsification import evaluate_graph

        return lambda: evaluate_graph(columns, edges, n_permutations=200, threads=1)
    import networkx as nx
    import numpy as np
    import pandas as pd
    from dowhy.gcm.falsify import falsify_graph
    from scipy import stats

    def fisher(x: Any, y: Any, z: Any = None) -> float:
        n, base = len(x), np.ones((len(x), 1)) if z is None else np.column_stack([np.ones(len(x)), z])
        a, b = (part - base @ np.linalg.lstsq(base, part, rcond=None)[0] for part in (x, y))
        r = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        return float(2 * stats.norm.sf(abs(np.arctanh(r)) * np.sqrt(n - base.shape[1] - 2)))

    frame = pd.DataFrame(columns)
    graph = nx.DiGraph(edges)
    return lambda: falsify_graph(
        graph, frame, n_permutations=200, independence_test=fisher, conditional_independence_test=fisher, n_jobs=1,
        show_progress_bar=False,
    )  # fmt: skip


def run_peer(peer: str) -> None:
    """Answer the question on standard input."""
    task = json.load(sys.stdin)
    edges = [tuple(edge) for edge in task["edges"]]
    if "columns" in task:
        least, _ = cpu(falsified_by(peer, edges, task["columns"]), 1 if peer == "dowhy" else 3)
        print(json.dumps({"ms": [least]}))
        return
    makers = dict(zip(PEERS, (of_networkx, of_antecedent, of_statspai, of_pgmpy, of_dowhy), strict=True))
    ask = makers[peer](edges)
    times: list[float | None] = []
    sets: list[list[str] | None] = []
    for x, y in task["pairs"]:
        try:
            least, found = within(task["seconds"], lambda x=x, y=y: ask(x, y))  # type: ignore[misc]
        except TimeoutError:
            times.append(None)
            sets.append(None)
            if times.count(None) == 2:
                break
            continue
        times.append(least)
        sets.append(None if found is None else sorted(map(str, found)))
    print(json.dumps({"ms": times, "sets": sets}))


def within(seconds: float, work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds and the answer, or a TimeoutError."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return cpu(work, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def asked(python: str, peer: str, task: dict[str, Any], timeout: float) -> dict[str, Any] | str:
    """Ask a peer in a process of its own."""
    command = [python, __file__, "--peer", peer]
    try:
        done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout:g} s"
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:90] if done.stderr.strip() else done.returncode}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def one_set(n: int, count: int, python: str, peers: list[str], timeout: float) -> None:
    """Time one adjustment set for some pairs."""
    import causalkit as ck

    edges = drawn(n)
    graph = ck.DAG(edges, nodes=[f"v{at}" for at in range(n)])
    pairs = pairs_of(edges, n, count)
    print(f"\n{n:,} nodes, {len(edges):,} arrows, {count} pairs; target {TARGETS.get(n, float('nan')):g} ms a query")
    asks: dict[str, Callable[[str, str], Any]] = {
        kind: lambda x, y, kind=kind: next(graph.adjustment_sets(x, y, kind=kind), None)  # type: ignore[misc]
        for kind in ("minimal", "minimum", "canonical", "optimal")
    }
    asks["is_adjustment_set"] = lambda x, y: graph.is_adjustment_set(x, y, graph.parents(x))
    asks["d_separated"] = lambda x, y: graph.d_separated(x, y, graph.parents(x) - {y})
    for kind, ask in asks.items():
        times = [cpu(lambda x=x, y=y, ask=ask: ask(x, y))[0] for x, y in pairs]  # type: ignore[misc]
        print(f"  causalkit {kind:18s} median {statistics.median(times):9.3f} ms  worst {max(times):9.3f} ms")
    for peer in peers:
        answer = asked(python, peer, {"edges": edges, "pairs": pairs, "seconds": timeout}, 60 + 4 * timeout)
        if isinstance(answer, str):
            print(f"  {peer:28s} {answer}")
            continue
        answers = [(pair, found) for pair, found in zip(pairs, answer["sets"], strict=False) if found is not None]
        valid = sum(graph.is_adjustment_set(x, y, found).valid for (x, y), found in answers)
        times = [ms for ms in answer["ms"] if ms is not None]
        late = answer["ms"].count(None)
        said = f"{late} of {len(answer['ms'])} not within {timeout:g} s" if late else ""
        if times:
            numbers = f"median {statistics.median(times):9.3f} ms  worst {max(times):9.3f} ms"
            said = f"{numbers}  valid {valid} of {len(times)}  {said}".rstrip()
        print(f"  {peer:28s} {said}")


def every_set(n: int = 100, seconds: float = 2.0) -> None:
    """Time the listing of all minimal sets."""
    import causalkit as ck

    edges = drawn(n, degree=6, seed=2)
    graph = ck.DAG(edges, nodes=[f"v{at}" for at in range(n)])
    total, spent = 0, 0.0
    for x, y in pairs_of(edges, n, 10):
        start = time.process_time()
        total += sum(1 for _ in itertools.islice(graph.adjustment_sets(x, y), 2000))
        spent += time.process_time() - start
        if spent > seconds:
            break
    print(f"\nevery minimal set, {n} nodes of degree 6: {total:,} sets, {total / spent:,.0f} a second (target 1,000)")


def falsification(python: str, peers: list[str], timeout: float) -> None:
    """Time falsification."""
    import numpy as np
    import pandas as pd

    import causalkit as ck

    edges, rng = drawn(10, seed=3), np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for at in range(10):
        causes = [columns[a] for a, b in edges if b == f"v{at}"]
        columns[f"v{at}"] = rng.normal(size=1000) + 0.7 * sum(causes, np.zeros(1000))
    frame, graph = pd.DataFrame(columns), ck.DAG(edges, nodes=list(columns))
    graph.falsify(frame, 200)
    least, found = cpu(lambda: graph.falsify(frame, 200), 5)
    print(
        f"\nfalsification, 10 nodes, 1,000 rows, 200 relabellings (target 50 ms)\n  {'causalkit':28s} {least:9.1f} ms"
    )
    print(f"  {found.answer}")
    for peer in (one for one in ("antecedent", "dowhy") if one in peers):
        task = {"edges": edges, "columns": {name: column.tolist() for name, column in columns.items()}}
        answer = asked(python, peer, task, timeout)
        told = answer if isinstance(answer, str) else f"{answer['ms'][0]:9.1f} ms"
        print(f"  {peer:28s} {told}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--sizes", nargs="*", type=int, default=[30, 100, 1000, 10_000])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=25.0)
    options = parser.parse_args()
    if options.peer:
        run_peer(options.peer)
        return
    for n in options.sizes:
        one_set(n, options.pairs, options.peer_python, options.peers, options.timeout)
    every_set()
    falsification(options.peer_python, options.peers, 180.0)


if __name__ == "__main__":
    main()
