"""Learners of effects on 100,000 x 20: causalkit against econml, and five learners against one.

    python benchmarks/bench_hte_learners.py --rows 100000 --runs 3

Process CPU seconds, one thread each, alternating. Our learners run without half-samples (``n_boot=0``), since econml's
have no intervals with LightGBM; what the intervals cost is a line of its own. econml gets 100 rounds of 31 leaves, ours
stop early: both predict the same people, and the error beside the truth is printed. The floor is the bare LightGBM fits
that a DR-learner needs, with the rounds that ours chose, on one binned table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import causalkit as ck
from causalkit.effects.crossfit_study import cross_fit
from causalkit.nuisance.binned import BinnedTable
from causalkit.nuisance.boosting import parameters

ROLES = {"outcome": "y", "treatment": "w"}
LEARNERS = {
    "dr": ck.DRLearner(n_boot=0, random_state=0, n_jobs=1),
    "r": ck.RLearner(n_boot=0, random_state=0, n_jobs=1),
    "x": ck.XLearner(random_state=0, n_jobs=1),
    "s": ck.SLearner(random_state=0, n_jobs=1),
    "t": ck.TLearner(random_state=0, n_jobs=1),
}


def trial(rows: int, columns: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A randomised trial with an effect in two covariates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    w = rng.binomial(1, 0.5, rows)
    tau = 0.5 * np.maximum(x[:, 0], 0) + 0.2 * (x[:, 1] > 0)
    return x, w, x[:, 2] + w * tau + rng.normal(size=rows), tau


def peer(kind: str, x: np.ndarray, w: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
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
        "dr": lambda: DRLearner(
            model_propensity=chance(), model_regression=mean(), model_final=mean(), cv=5, random_state=0
        ),
        "r": lambda: NonParamDML(
            model_y=mean(), model_t=chance(), model_final=mean(), discrete_treatment=True, cv=5, random_state=0
        ),
        "x": lambda: XLearner(models=mean(), propensity_model=chance()),
        "s": lambda: SLearner(overall_model=mean()),
        "t": lambda: TLearner(models=mean()),
    }
    model = makers[kind]().fit(y, w, X=x)
    return lambda new: np.ravel(model.effect(new))


def floor(table: dict[str, np.ndarray], names: list[str]) -> Callable[[], None]:
    """Return the bare boosting that a DR-learner needs: its fits with the rounds that it chose, on one binned table."""
    import lightgbm

    sample = LEARNERS["dr"].bind(table, **ROLES, covariates=names)
    run = cross_fit(sample, n_folds=5, regressor=None, classifier=None, random_state=0, n_jobs=1)
    study, features = run.study, run.sample.features()
    folds, codes = study.nuisances.folds, study.arms.codes
    rounds = [[arm.model.rounds for arm in model.models] for model in study.nuisances.models]
    chances = [model.model.rounds if hasattr(model, "model") else 0 for model in study.nuisances.propensity.models]

    def grow(view: Any, y: np.ndarray, n_rounds: int, objective: str) -> None:
        settings = {"objective": objective, **parameters(len(y), seed=0, n_jobs=1)}
        data = view.dataset(settings)
        data.set_label(y)
        booster = lightgbm.Booster(settings, data)
        for _ in range(n_rounds + 20):  # the rounds after the best one, which tell that it was
            booster.update()

    def work() -> None:
        binned = BinnedTable(features)
        for fold in range(5):
            train = np.flatnonzero(folds != fold)
            for arm in (0, 1):
                rows = train[codes[train] == arm]
                grow(binned.view(rows), study.z[rows], rounds[fold][arm], "l2")
            grow(binned.view(train), codes[train].astype(float), chances[fold], "binary")
            grow(binned.view(train), study.contrasts[train, 0], 25, "l2")

    return work


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call."""
    start = time.process_time()
    out = call()
    return time.process_time() - start, out


def main() -> None:
    """Print one JSON line per comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--learners", default="dr,r,x,s,t")
    parser.add_argument("--skip-peer", action="store_true")
    chosen = parser.parse_args()
    x, w, y, _ = trial(chosen.rows)
    fresh, _, _, truth = trial(20_000, seed=1)
    names = [f"x{j}" for j in range(x.shape[1])]
    table = {"y": y, "w": w} | dict(zip(names, x.T, strict=True))
    new = dict(zip(names, fresh.T, strict=True))
    LEARNERS["t"].fit({k: v[:500] for k, v in table.items()}, **ROLES, covariates=names)  # imports

    def fit(kind: str) -> Any:
        return LEARNERS[kind].fit(table, **ROLES, covariates=names)

    for kind in chosen.learners.split(","):
        own, other, error = [], [], {}
        for _ in range(chosen.runs):
            seconds, model = timed(lambda kind=kind: fit(kind))
            own.append(seconds)
            error["causalkit"] = float(np.sqrt(np.mean((model.cate(new) - truth) ** 2)))
            del model  # the next fit shares nothing with this one
            if not chosen.skip_peer:
                seconds, predict = timed(lambda kind=kind: peer(kind, x, w, y))
                other.append(seconds)
                error["econml"] = float(np.sqrt(np.mean((predict(fresh) - truth) ** 2)))
        line: dict[str, Any] = {"learner": kind, "rows": chosen.rows, "cpu": round(statistics.median(own), 2)}
        if other:
            line["econml_cpu"] = round(statistics.median(other), 2)
            line["times_faster"] = round(statistics.median(other) / statistics.median(own), 2)
        print(json.dumps({**line, "rmse": {k: round(v, 4) for k, v in error.items()}}), flush=True)

    bare = floor(table, names)
    base, _ = timed(bare)
    alone, first = timed(lambda: fit("dr"))
    print(json.dumps({"dr": round(alone, 2), "bare_lightgbm": round(base, 2), "ratio": round(alone / base, 2)}))
    rest, kept = timed(lambda: [fit(kind) for kind in ("r", "x", "s", "t")])
    print(json.dumps({"five_learners": round(alone + rest, 2), "times_one_dr": round((alone + rest) / alone, 2)}))
    bags = LEARNERS["dr"].replace(n_boot=40)
    priced, _ = timed(lambda: bags.fit(table, **ROLES, covariates=names))
    print(json.dumps({"dr_intervals_on_top": round(priced, 2)}))
    del first, kept


if __name__ == "__main__":
    main()
