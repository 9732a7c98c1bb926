"""Qini, AUUC and uplift@k of outcomes: standard errors, ties, order, weights, clusters, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.uplift import observed_methods, observed_metrics
from causalkit.uplift.observed import Rows

QINI = observed_metrics._METHODS["qini"]
AUUC = observed_metrics._METHODS["auuc"]
TOP = observed_metrics._METHODS["uplift_at"]
ALL = [("qini", m) for m in QINI] + [("auuc", m) for m in AUUC] + [("uplift_at", m) for m in TOP]


def draw(n: int = 500, seed: int = 0):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    treatment = rng.integers(0, 2, n)
    chance = np.clip(0.3 + treatment * (0.15 + 0.15 * score), 0.02, 0.98)
    return (rng.uniform(size=n) < chance).astype(float), treatment, score


def measure(function: str, method: str, outcome, treatment, score, **options):
    return getattr(ck.uplift, function)(outcome, treatment, score, method=method, **options)


def functional(function: str, method: str, seed: int):
    """The number and its influence values without the result around them (for speed)."""
    outcome, treatment, score = draw(1000, seed)
    rows = Rows.of(outcome, treatment == 1, None)
    if function == "uplift_at":
        return observed_methods.top(rows, score, None, 0.3, method)
    return getattr(observed_methods, function)(rows, score, method)


@pytest.mark.parametrize(("function", "method"), [(f, m) for f, m in ALL if m not in ("grf", "gain", "dr")])
def test_standard_errors_are_those_of_new_samples(function: str, method: str) -> None:
    found = [functional(function, method, seed) for seed in range(250)]
    spread = np.std([part.value for part in found], ddof=1)
    told = np.sqrt(np.mean([np.sum((part.psi - part.psi.mean()) ** 2) for part in found]))
    # 250 draws know a standard deviation to 4.5 %; a ratio by a noisy end has heavy tails
    assert told == pytest.approx(spread, rel=0.25 if method in ("causalml", "sklift_nonnegative") else 0.14)


@pytest.mark.parametrize(("function", "method"), ALL)
def test_order_of_rows_and_ties(function: str, method: str) -> None:
    outcome, treatment, score = draw()
    score = np.round(score, 1)
    base = measure(function, method, outcome, treatment, score)
    order = np.random.default_rng(1).permutation(len(score))
    moved = measure(function, method, outcome[order], treatment[order], score[order])
    assert moved.estimate == pytest.approx(base.estimate, abs=1e-12, rel=1e-12)
    assert moved.se == pytest.approx(base.se, rel=1e-10)


@pytest.mark.parametrize("method", QINI)
def test_a_constant_score_is_worth_nothing(method: str) -> None:
    outcome, treatment, _ = draw()
    assert measure("qini", method, outcome, treatment, np.zeros(500)).estimate == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(("function", "method"), ALL)
def test_weights_of_zero_drop_rows_and_equal_weights_change_nothing(function: str, method: str) -> None:
    outcome, treatment, score = draw()
    base = measure(function, method, outcome, treatment, score, weights=np.ones(500))
    equal = measure(function, method, outcome, treatment, score, weights=np.full(500, 3.0))
    assert equal.estimate == pytest.approx(base.estimate, rel=1e-9)
    assert equal.se == pytest.approx(base.se, rel=1e-9)
    keep = np.arange(500) < 400
    part = measure(function, method, outcome[keep], treatment[keep], score[keep], weights=np.ones(400))
    zero = measure(function, method, outcome, treatment, score, weights=keep.astype(float))
    assert zero.estimate == pytest.approx(part.estimate, rel=1e-9)
    assert zero.se == pytest.approx(part.se, rel=1e-9)


def test_clusters_and_pairs() -> None:
    outcome, treatment, score = draw()
    village = np.repeat(np.arange(25), 20)
    clustered = ck.uplift.qini(outcome, treatment, score, method="sklift", cluster=village)
    assert clustered.effects.numbers.carrier.kind == "CR1"
    assert clustered.effects.df == 24
    noise = np.random.default_rng(3).normal(size=500)
    pair = ck.uplift.qini(outcome, treatment, score) - ck.uplift.qini(outcome, treatment, noise)
    assert pair.estimate == pytest.approx(
        ck.uplift.qini(outcome, treatment, score).estimate - ck.uplift.qini(outcome, treatment, noise).estimate
    )
    a, b = (ck.uplift.qini(outcome, treatment, s).effects.numbers.carrier for s in (score, noise))
    apart = np.sqrt(a.scale) * a.psi - np.sqrt(b.scale) * b.psi  # the same people: the errors are paired
    assert pair.se == pytest.approx(np.sqrt((apart**2).sum()), rel=1e-12)


def test_area_of_the_gain_curve() -> None:
    outcome, treatment, score = draw()
    area = ck.uplift.auuc(outcome, treatment, score)
    qini = ck.uplift.qini(outcome, treatment, score)
    share = treatment.mean()
    average = outcome[treatment == 1].mean() - outcome[treatment == 0].mean()
    assert area.estimate == pytest.approx(qini.estimate + average / 2, abs=1e-12)
    known = ck.uplift.qini(outcome, treatment, score, propensity=share)
    assert known.estimate == pytest.approx(qini.estimate, abs=1e-12)


def test_refusals_teach() -> None:
    outcome, treatment, score = draw()
    with pytest.raises(ck.DesignError, match="qini has no method='dr'"):
        ck.uplift.qini(outcome, treatment, score, method="dr")
    with pytest.raises(ck.DataError, match="perfect ranking of a 0/1 outcome"):
        ck.uplift.qini(outcome + 0.5, treatment, score, method="sklift")
    with pytest.raises(ck.DesignError, match="takes no propensity="):
        ck.uplift.qini(outcome, treatment, score, method="causalml", propensity=0.5)
    with pytest.raises(ck.DesignError, match="3 arms"):
        ck.uplift.qini(outcome, np.arange(500) % 3, score, control=0)
    with pytest.raises(ck.DataError, match="one arm has no row among the first"):
        ck.uplift.uplift_at(outcome, treatment, score + 100 * treatment, q=0.1, method="overall")


@pytest.mark.parametrize(
    ("measure", "method"),
    [("qini", "libuplift"), ("qini", "libuplift_raw"), ("auuc", "libuplift"), ("auuc", "causalml")],
)
def test_a_constant_score_ranks_nothing(measure, method):
    rng = np.random.default_rng(1)
    treated = (rng.random(500) < 0.45).astype(int)
    found = getattr(ck.uplift, measure)(rng.normal(size=500) + treated, treated, np.ones(500), method=method)
    assert (found.estimate, found.se, found.pvalue) == (0.0, 0.0, 1.0)


def test_what_is_no_array_of_numbers_is_refused() -> None:
    rng = np.random.default_rng(0)
    outcome, arm, score = rng.integers(0, 2, 60), np.arange(60) % 2, rng.normal(size=60)
    for name in ("weights", "cluster"):  # a name of a column is no column here, and was left out without a word
        with pytest.raises(ck.DesignError, match=f"{name}='g' is no array"):
            ck.uplift.qini(outcome, arm, score, **{name: "g"})
    with pytest.raises(ck.DataError, match="outcome must be numbers"):
        ck.uplift.qini(np.array(["a"] * 60), arm, score)
    with pytest.raises(ck.DataError, match="dr_scores must be numbers"):
        ck.uplift.curve(np.array(["a"] * 60), score)
    with pytest.raises(ck.DataError, match="dr_scores must be numbers"):
        ck.uplift.rate(np.arange(60).astype("datetime64[D]"), score)
    with pytest.raises(ck.DesignError, match=r"qini has no method='gain'\. Use one of grf"):
        ck.uplift.qini(outcome, arm, score, method="gain")
    with pytest.raises(ck.DataError, match="one row; a standard error needs two"):
        ck.uplift.uplift_at([1, 0], [1, 0], [2, 1])


def test_light_rows_are_rows() -> None:
    rng = np.random.default_rng(0)
    outcome, arm, score = rng.normal(size=100), np.arange(100) % 2, rng.normal(size=100)
    weights = np.where(arm == 1, 1.0, 1e-4)
    found = ck.uplift.uplift_at(outcome, arm, score, q=0.2, method="overall", weights=weights)
    assert np.isfinite(found.se)


@pytest.mark.parametrize("method", ["sklift", "libuplift", "libuplift_joint"])
def test_weights_are_copies_of_rows(method: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        outcome, arm, score = rng.integers(0, 2, 30), np.arange(30) % 2, rng.integers(0, 6, 30)
        copies = rng.integers(1, 4, 30)
        weighted = ck.uplift.auuc(outcome, arm, score, method=method, weights=copies)
        copied = ck.uplift.auuc(*(np.repeat(v, copies) for v in (outcome, arm, score)), method=method)
        assert weighted.estimate == pytest.approx(copied.estimate, abs=1e-12)
