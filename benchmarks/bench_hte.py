"""Effects by covariates: forests and learners beside econml and beside bare LightGBM, and what sharing nuisances saves.

    python benchmarks/bench_hte.py                          # forests and learners at 10,000 and 100,000 rows
    python benchmarks/bench_hte.py --large                  # and a million: few trees, and intervals of all rows
    python benchmarks/bench_hte.py --parts forest latency   # some of: forest predict latency learners ten large

One table is printed and nothing is written. Times are CPU seconds of the process, warm, with one thread each unless
``--jobs`` says otherwise, in turns on the same data; the median of ``--runs``.

Forests of both libraries get outcomes and treatments that are centred already (the nuisances are known), half-samples in
groups of two trees, honest halves and five rows a leaf. Ours keeps the rules of R grf besides: each child has five rows of
either arm and five percent of the variation of the treatment.

Learners run without half-samples (``n_boot=0``), since econml's have no intervals with LightGBM. econml gets 100 rounds of
31 leaves, ours stop early; both predict the same people, and the error beside the truth is printed. The floor of a learner
is the LightGBM fits behind it and nothing else: on one binned table, as many boosters on as many rows, with the rounds that
ours chose and, where it chose, those that tell it and the validation rows that they look at.

The ten learners are T-, S-, X-, R- and DR-learner with boosted trees, X-, R- and DR-learner with a linear final stage on
the same boosted nuisances, the constant effect (AIPW), and the DR-learner with the intervals of its 40 half-samples. They
are priced in DR-learners as they come, which have these intervals; the first five also in DR-learners without.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the number of threads is read when it is loaded

import causalkit as ck  # noqa: E402
from causalkit.effects import shared  # noqa: E402
from causalkit.effects.crossfit_study import cross_fit  # noqa: E402
from causalkit.effects.forest.growing import grow_forest  # noqa: E402
from causalkit.effects.forest.honest import Growth  # noqa: E402
from causalkit.effects.forest.predicting import predict, predict_spread  # noqa: E402
from causalkit.effects.r_learner import residual_ratios  # noqa: E402
from causalkit.nuisance.binned import BinnedTable, bins_for, dataset_parameters, part  # noqa: E402
from causalkit.nuisance.boosting import parameters  # noqa: E402

P = 20
NAMES = [f"x{j}" for j in range(P)]
ROLES: dict[str, Any] = {"outcome": "y", "treatment": "w", "covariates": NAMES}
Trial = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
LEARNERS: dict[str, Any] = {
    "DR": ck.DRLearner(n_boot=0, random_state=0, n_jobs=1),
    "R": ck.RLearner(n_boot=0, random_state=0, n_jobs=1),
    "X": ck.XLearner(random_state=0, n_jobs=1),
    "S": ck.SLearner(random_state=0, n_jobs=1),
    "T": ck.TLearner(random_state=0, n_jobs=1),
}
#: econml's X-learner makes five fits and doesn't cross-fit; with two folds ours makes ten of half the rows each.
HALVES: dict[str, Any] = {"X": ck.XLearner(n_folds=2, random_state=0, n_jobs=1)}
#: Rounds after the best one that a fit with early stopping makes.
PATIENCE = 20


def draw(n: int, seed: int) -> Trial:
    """Covariates (n, 20), arms of a fair coin, outcomes centred given covariates, and effects."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, P)), rng.binomial(1, 0.5, n)
    tau = 0.5 * np.maximum(x[:, 0], 0) + 0.2 * (x[:, 1] > 0)
    return x, w, (w - 0.5) * tau + rng.normal(size=n), tau


def raw_outcome(trial: Trial) -> np.ndarray:
    """The outcome before it is centred: with a baseline in a third covariate."""
    x, _, y, tau = trial
    return x[:, 2] + 0.5 * tau + y


def as_table(trial: Trial) -> dict[str, np.ndarray]:
    x, w, *_ = trial
    return {"y": raw_outcome(trial), "w": w, **dict(zip(NAMES, x.T, strict=True))}


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came back; nothing is shared with what was fitted before."""
    gc.collect()
    shared._by_sample.clear()
    shared._by_content.clear()
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def in_turns(runs: int, tasks: Sequence[Callable[[], Any]]) -> tuple[list[float], list[Any]]:
    """Run all tasks in turn, several times: the median CPU seconds of each, and its last answer."""
    seconds: list[list[float]] = [[] for _ in tasks]
    found: list[Any] = [None] * len(tasks)
    for _ in range(runs):
        for at, task in enumerate(tasks):
            spent, found[at] = timed(task)
            seconds[at].append(spent)
    return [statistics.median(own) for own in seconds], found


def rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.ravel(predicted) - truth) ** 2)))


def line(what: str, ours: float, other: float, name: str, wanted: str, notes: str = "") -> None:
    """One row: our seconds, the other's, their ratio, and what is wanted of it."""
    ratio = other / ours if name == "econml" else ours / other
    print(f"{what:<46s} {ours:9.3f} {other:9.3f} {name:<14s} {ratio:7.2f}  {wanted:<10s} {notes}", flush=True)


def our_forest(trial: Trial, trees: int, jobs: int) -> Any:
    x, w, y, _ = trial
    return grow_forest(x, y, w - 0.5, arms=w.astype(np.int32), growth=Growth(n_trees=trees), n_jobs=jobs)[0]


def their_forest(trial: Trial, trees: int, jobs: int) -> Any:
    from econml.grf import CausalForest

    x, w, y, _ = trial
    forest = CausalForest(
        n_estimators=trees, subforest_size=2, min_samples_leaf=5, max_samples=0.5, honest=True, inference=True,
        n_jobs=jobs, random_state=0,
    )  # fmt: skip
    return forest.fit(x, w - 0.5, y)


def forests(n: int, trees: int, runs: int, jobs: int, fresh_rows: int | None) -> None:
    """Grow both, and predict with both."""
    trial, fresh = draw(n, 0), draw(min(n, 20_000) if fresh_rows is None else fresh_rows, 1)
    grow = [lambda: our_forest(trial, trees, jobs), lambda: their_forest(trial, trees, jobs)]
    spent, (own, peer) = in_turns(runs, grow)
    ask = [lambda: predict(own, fresh[0], n_jobs=jobs)[:, 0], lambda: peer.predict(fresh[0]).ravel()]
    after, found = in_turns(max(runs, 3), ask)
    errors = " and ".join(f"{rmse(effects, fresh[3]):.4f}" for effects in found)
    line(f"forest fit {n:,} x {P}, {trees} trees", *spent, "econml", ">= 30", f"RMSE {errors}")
    line(f"forest predict {len(fresh[0]):,} rows, {trees} trees", *after, "econml", ">= 5")


def latency(trees: int) -> None:
    """One row: the best of fifty, in milliseconds."""
    trial = draw(10_000, 0)
    row, best = trial[0][:1].copy(), []
    own, peer = our_forest(trial, trees, 1), their_forest(trial, trees, 1)
    for ask in (lambda: predict(own, row), lambda: peer.predict(row)):
        times = []
        for _ in range(50):
            start = time.perf_counter()
            ask()
            times.append(time.perf_counter() - start)
        best.append(1e3 * min(times))
    line(f"forest predict one row, {trees} trees (ms)", *best, "econml", ">= 5")


def large(trees: int, jobs: int, n: int = 1_000_000) -> None:
    """A million rows with the intervals of all of them: first of all, so that the peak of memory is its own."""
    trial = draw(n, 0)
    x, _, _, tau = trial
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit, forest = timed(lambda: our_forest(trial, trees, jobs))
    asked, found = timed(lambda: predict_spread(forest, x, n_jobs=jobs))
    inside = np.abs(found.mean[:, 0] - tau) < 1.96 * np.sqrt(found.whole[:, 0, 0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"forest fit {n:,} x {P}, {trees} trees: {fit:.1f} s, {forest.nbytes / 1e6:.0f} MB; intervals of all rows "
          f"{asked:.1f} s, of which cover {inside.mean():.3f}; peak memory {peak / 1e6:.2f} GB, data and imports "
          f"{before / 1e6:.2f} GB (wanted: below 4)", flush=True)  # fmt: skip


def their_learner(kind: str, trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """Fit econml's learner and return its predictions."""
    from econml.dml import NonParamDML
    from econml.dr import DRLearner
    from econml.metalearners import SLearner, TLearner, XLearner
    from lightgbm import LGBMClassifier, LGBMRegressor

    options = {
        "n_estimators": 100,
        "num_leaves": 31,
        "learning_rate": 0.1,
        "n_jobs": 1,
        "random_state": 0,
        "verbose": -1,
    }

    def mean() -> Any:
        return LGBMRegressor(**options)

    def chance() -> Any:
        return LGBMClassifier(**options)

    makers: dict[str, Callable[[], Any]] = {
        "DR": lambda: DRLearner(
            model_propensity=chance(), model_regression=mean(), model_final=mean(), cv=5, random_state=0
        ),
        "R": lambda: NonParamDML(
            model_y=mean(), model_t=chance(), model_final=mean(), discrete_treatment=True, cv=5, random_state=0
        ),
        "X": lambda: XLearner(models=mean(), propensity_model=chance()),
        "S": lambda: SLearner(overall_model=mean()),
        "T": lambda: TLearner(models=mean()),
    }
    model = makers[kind]().fit(raw_outcome(trial), trial[1], X=trial[0])
    return lambda new: np.ravel(model.effect(new))


def boosted(model: Any) -> list[Any]:
    """All boosted models behind a model."""
    if hasattr(model, "boosters"):
        return [model]
    inner = [getattr(model, name) for name in ("model", "outcomes") if hasattr(model, name)]
    for name in ("models", "effects", "sides", "folds"):
        inner += list(getattr(model, name, ()))
    inner += list(model) if isinstance(model, tuple) else []
    return [found for part in inner for found in boosted(part)]


def grow(table: Any, rows: np.ndarray, y: np.ndarray, objective: str, model: Any, weights: Any, told: bool) -> None:
    """Boost as a model was boosted, by bare LightGBM: the same rows, rounds and boosters, and validation where it stops."""
    import lightgbm

    settings = {
        "objective": objective,
        **parameters(len(y), seed=0, n_jobs=1),
        **dataset_parameters(bins_for(table.num_data())),
    }
    at = np.random.default_rng(0).integers(0, 5, len(y))

    def piece(which: np.ndarray) -> Any:
        data = part(table, rows[which], settings)
        data.set_label(y[which])
        if weights is not None:
            data.set_weight(weights[which])
        return data

    boosters = []
    for fold in range(len(model.boosters)):
        boosters.append(lightgbm.Booster(settings, piece(np.ones(len(y), bool) if told else at != fold)))
        if not told:
            boosters[-1].add_valid(piece(at == fold), "valid")
    for _ in range(model.rounds + (0 if told else PATIENCE)):
        for booster in boosters:
            booster.update()
            if not told:
                booster.eval_valid()


def bare_fits(kind: str, table: dict[str, np.ndarray]) -> Callable[[], None]:
    """Return the bare boosting that a DR-, R- or X-learner needs, told the rounds that it chose, on one binned table."""
    model = LEARNERS[kind].fit(table, **ROLES)
    sample = LEARNERS[kind].bind(table, **ROLES)
    run = cross_fit(sample, n_folds=5, regressor=None, classifier=None, random_state=0, n_jobs=1)
    study, features, nuisances = run.study, run.sample.features(), run.study.nuisances
    folds, codes = nuisances.folds, study.arms.codes
    outcome = [boosted(own) for own in nuisances.models]
    chance = [boosted(own) for own in nuisances.propensity.models]
    final = [boosted(own.sides if kind == "X" else own.effects) for own in model.predictor.folds]
    target, weights = study.contrasts[:, 0], None
    if kind == "R":
        target, weights = (own[:, 0] for own in residual_ratios(study.z, codes, nuisances.mu, nuisances.e))

    def work() -> None:
        binned = BinnedTable(features).dataset()
        for fold in range(5):
            train = np.flatnonzero(folds != fold)
            by_arm = [train[codes[train] == arm] for arm in (0, 1)]
            for rows, own in zip(by_arm, outcome[fold], strict=True):
                grow(binned, rows, study.z[rows], "l2", own, None, False)
            for own in chance[fold]:
                grow(binned, train, codes[train].astype(float), "binary", own, None, False)
            for rows, own in zip(by_arm if kind == "X" else [train], final[fold], strict=True):
                # With many rows the other folds boost as many rounds as the first has chosen.
                told = fold > 0 and len(own.boosters) == 1
                grow(binned, rows, target[rows], "l2", own, None if weights is None else weights[rows], told)

    return work


def learners(n: int, runs: int, kinds: Sequence[str]) -> None:
    """Each learner by itself beside econml's, and beside its bare fits."""
    trial, fresh = draw(n, 0), draw(20_000, 1)
    table, new = as_table(trial), as_table(fresh)
    for kind in kinds:

        def ours(kind: str = kind) -> Any:
            return LEARNERS[kind].fit(table, **ROLES)

        tasks: list[Callable[[], Any]] = [ours, lambda kind=kind: their_learner(kind, trial)]
        if kind in ("DR", "R", "X"):
            tasks.append(bare_fits(kind, table))
        if kind in HALVES:
            tasks.append(lambda kind=kind: HALVES[kind].fit(table, **ROLES))
        spent, found = in_turns(runs, tasks)
        what, theirs = f"{kind}-learner fit {n:,} x {P}", rmse(found[1](fresh[0]), fresh[3])

        def errors(model: Any, theirs: float = theirs) -> str:
            return f"RMSE {rmse(model.cate(new), fresh[3]):.4f} and {theirs:.4f}"

        line(what, *spent[:2], "econml", ">= 2", errors(found[0]))
        if kind in ("DR", "R", "X"):
            line(what, spent[0], spent[2], "bare LightGBM", "<= 1.2")
        if kind in HALVES:
            line(f"{what}, two folds", spent[-1], spent[1], "econml", ">= 2", errors(found[-1]))


def ten(n: int, runs: int) -> None:
    """Ten learners on one set of nuisances, in DR-learners."""
    table = as_table(draw(n, 0))
    whole = ck.DRLearner(random_state=0, n_jobs=1)

    def five() -> list[Any]:
        return [learner.fit(table, **ROLES) for learner in LEARNERS.values()]

    def all_ten() -> list[Any]:
        kept = five()
        sample = whole.bind(table, **ROLES)
        run = cross_fit(sample, n_folds=5, regressor=None, classifier=None, random_state=0, n_jobs=1)
        for kind in ("X", "R", "DR"):
            kept.append(LEARNERS[kind].replace(regressor="linear")._learn(run, 0, 1))
        kept.append(ck.AIPW(random_state=0, n_jobs=1).fit(table, **ROLES))
        kept.append(whole.fit(table, **ROLES))
        return kept

    tasks: list[Callable[[], Any]] = [lambda: LEARNERS["DR"].fit(table, **ROLES), five, lambda: whole.fit(table, **ROLES),
                                      all_ten]  # fmt: skip
    (bare, of_five, one, of_ten), _ = in_turns(runs, tasks)
    line(f"five learners {n:,} x {P}, no intervals", of_five, bare, "one DR", "")
    line(f"ten learners {n:,} x {P}, one with intervals", of_ten, one, "one DR as is", "<= 2")
    line(f"ten learners {n:,} x {P}, less DR's intervals", of_ten - (one - bare), bare, "one DR", "<= 2")


PARTS = ("forest", "predict", "latency", "learners", "ten")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--parts", nargs="*", choices=(*PARTS, "large"), default=PARTS)
    parser.add_argument("--learners", nargs="*", choices=tuple(LEARNERS), default=tuple(LEARNERS))
    parser.add_argument("--large", action="store_true", help="a million rows as well")
    parser.add_argument("--large-trees", type=int, default=20, help="trees of the forest with a million rows")
    args = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {args.jobs} threads", flush=True)
    small = draw(600, 0)
    predict_spread(our_forest(small, 8, 1), small[0])  # compiled before anything is timed
    LEARNERS["T"].fit(as_table(small), **ROLES)
    if args.large or "large" in args.parts:
        large(args.large_trees, args.jobs)
    print(f"{'CPU seconds':<46s} {'ours':>9s} {'other':>9s} {'':<14s} {'ratio':>7s}  {'wanted':<10s}")
    for n in args.rows:
        if "forest" in args.parts:
            forests(n, args.trees if n <= 10_000 else max(8, args.trees // 5), args.runs, args.jobs, None)
        if "predict" in args.parts and n > 20_000:
            forests(10_000, args.trees, 1, args.jobs, n)
    if args.large:
        forests(1_000_000, 2, 1, args.jobs, 1_000_000)  # econml's time grows with the trees
    if "latency" in args.parts:
        latency(5 * args.trees)
    for n in args.rows:
        if "learners" in args.parts:
            learners(n, args.runs, args.learners)
    if "ten" in args.parts:
        ten(max(args.rows), args.runs)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
