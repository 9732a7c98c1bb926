"""Compliers: exact identities without covariates, influence by moving weights, and a simulated population that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.iv.cace import noncompliance
from causalkit.iv.compliers import compliers
from causalkit.iv.instrument_validity import instrument_validity_test
from causalkit.iv.kappa import WEIGHTS, kappa


def _study(n=2000, seed=0, one_sided=False, selected=True, effect=2.0, exclusion=0.0):
    rng = np.random.default_rng(seed)
    x, woman = rng.normal(size=n), rng.random(n) < 0.5
    always = (rng.random(n) < 0.15) & (not one_sided)
    never = ~always & (rng.random(n) < np.where(woman, 0.2, 0.5))
    complier = ~always & ~never
    Z = rng.random(n) < (1 / (1 + np.exp(-0.8 * x)) if selected else 0.4)
    D = np.where(complier, Z, always)
    y = x + always - 0.5 * never + effect * D + exclusion * Z + 0.5 * rng.normal(size=n)
    table = pd.DataFrame({"y": y, "D": D.astype(int), "Z": Z.astype(int), "x": x, "woman": woman.astype(int)})
    table["village"] = rng.integers(0, 50, n)
    return table.assign(complier=complier, always=always, never=never)


def _fit(table, covariates=("x", "woman"), **more):
    return ck.IV().fit(table, outcome="y", treatment="D", instruments="Z", covariates=list(covariates), **more)


def test_without_covariates_everything_is_a_difference_of_means():
    table = _study(selected=False)
    found = compliers(_fit(table, ()))
    on, off = table[table["Z"] == 1], table[table["Z"] == 0]
    share = on["D"].mean() - off["D"].mean()
    np.testing.assert_allclose(found.shares.values, [share, off["D"].mean(), 1 - on["D"].mean()], rtol=1e-10)
    late = (on["y"].mean() - off["y"].mean()) / share
    means = dict(zip(found.outcomes.terms, found.outcomes.values, strict=True))
    assert means["effect on compliers"] == pytest.approx(late, rel=1e-10)
    assert means["compliers, treated"] == pytest.approx(
        ((on["y"] * on["D"]).mean() - (off["y"] * off["D"]).mean()) / share, rel=1e-10
    )
    assert means["always takers, treated"] == pytest.approx(off.loc[off["D"] == 1, "y"].mean(), rel=1e-10)
    assert means["never takers, untreated"] == pytest.approx(on.loc[on["D"] == 0, "y"].mean(), rel=1e-10)
    assert found.outcomes.se[2] == pytest.approx(_fit(table, ()).with_vcov("HC0").se, rel=1e-9)


def test_the_groups_of_a_known_population():
    table = _study(n=20_000)
    found = compliers(_fit(table))
    low, high = found.shares.ci(alpha=1e-4)
    truth = [table[name].mean() for name in ("complier", "always", "never")]
    assert np.all((low < truth) & (truth < high))
    assert found.share == pytest.approx(table["complier"].mean(), abs=0.03)
    means = dict(zip(found.profile.terms, found.profile.values, strict=True))
    for who, name in (("compliers", "complier"), ("always takers", "always"), ("never takers", "never")):
        assert means[f"woman: {who}"] == pytest.approx(table.loc[table[name], "woman"].mean(), abs=0.05)
    outcomes = dict(zip(found.outcomes.terms, found.outcomes.values, strict=True))
    assert outcomes["effect on compliers"] == pytest.approx(2.0, abs=0.15)
    ratio = {row[0]: row[-1] for row in found.profile_table().rows}
    assert ratio["woman"] > 1.1
    only = compliers(_fit(table), covariates=["woman"])
    assert set(only.profile.columns["covariate"]) == {"woman"}


@pytest.mark.parametrize("who", list(WEIGHTS))
def test_influence_values_are_derivatives_in_the_weights(who):
    table = _study(n=150, seed=3)
    D, Z, X = table["D"].to_numpy(float), table["Z"].to_numpy(float), table[["x", "woman"]].to_numpy(float)
    values = np.column_stack([table["y"] + 1e3, table["x"]])
    w = np.random.default_rng(1).uniform(0.5, 2.0, 150)
    _, psi = kappa(D, Z, X, w).mean(who, values)
    for i in (0, 17, 80):
        step = 1e-4 * w[i]
        ends = []
        for sign in (1, -1):
            moved = w.copy()
            moved[i] += sign * step
            ends.append(kappa(D, Z, X, moved).mean(who, values)[0])
        np.testing.assert_allclose(w[i] * (ends[0] - ends[1]) / (2 * step), psi[i], rtol=1e-5, atol=1e-9)


def test_intervals_cover():
    inside = np.zeros(3)
    for seed in range(100):
        table = _study(n=600, seed=seed)
        low, high = compliers(_fit(table)).shares.ci()
        truth = np.array([0.85 * 0.65, 0.15, 0.85 * 0.35])
        inside += (low < truth) & (truth < high)
    assert np.all(inside / 100 > 0.88)


def test_clusters_and_weights_enter():
    table = _study().assign(w=lambda t: 1 + t["woman"])
    plain, clustered = compliers(_fit(table)), compliers(_fit(table, cluster="village"))
    assert plain.share == clustered.share
    assert plain.shares.se[0] != clustered.shares.se[0]
    repeated = table.loc[table.index.repeat(table["w"])]
    np.testing.assert_allclose(
        compliers(_fit(table, weights="w")).shares.values, compliers(_fit(repeated)).shares.values
    )


def test_distributions_of_compliers():
    table = _study(n=5000, selected=False)
    found = compliers(_fit(table, ())).distributions([0.0, 2.0])
    truth = table[table["complier"]]
    base = truth["y"] - 2.0 * truth["D"]
    expected = [(base + 2.0 <= 0).mean(), (base + 2.0 <= 2).mean(), (base <= 0).mean(), (base <= 2).mean()]
    np.testing.assert_allclose(found.values, expected, atol=0.06)


def test_an_instrument_that_lowers_the_treatment_is_turned():
    table = _study(selected=False)
    turned = table.assign(Z=1 - table["Z"])
    a, b = compliers(_fit(table, ())), compliers(_fit(turned, ()))
    assert b.turned
    np.testing.assert_allclose(a.shares.values, b.shares.values, rtol=1e-10)


def test_validity_holds_its_level_and_finds_a_violation():
    rejected = 0
    for seed in range(30):
        table = _study(n=500, seed=seed, selected=False, effect=0.2)
        test = instrument_validity_test(
            table["y"].to_numpy(), table["D"].to_numpy(float), table["Z"].to_numpy(float), n_boot=99, random_state=seed
        )
        rejected += test.pvalue < 0.05
    assert rejected <= 5
    bad = _study(n=3000, selected=False, exclusion=-3.0)
    found = compliers(_fit(bad, ())).checks["instrument_validity"]
    assert found.status == "fail"
    assert found.pvalue == pytest.approx(1 / 500)
    assert compliers(_fit(_study())).checks["instrument_validity"].status == "untestable"


def test_the_statistic_of_kitagawa_written_out():
    rng = np.random.default_rng(5)
    y, Z = rng.integers(0, 4, 80).astype(float), (rng.random(80) < 0.4).astype(float)
    D = np.where(rng.random(80) < 0.5, Z, rng.integers(0, 2, 80)).astype(float)
    m, n = Z.sum(), (1 - Z).sum()
    worst = 0.0
    for low in range(4):
        for high in range(low, 4):
            for d in (0, 1):
                inside = (y >= low) & (y <= high) & (d == D)
                p1, p0 = inside[Z == 1].mean(), inside[Z == 0].mean()
                sd = np.sqrt(n / (m + n) * p1 * (1 - p1) + m / (m + n) * p0 * (1 - p0))
                gap = p0 - p1 if d == 1 else p1 - p0
                worst = max(worst, np.sqrt(m * n / (m + n)) * gap / max(sd, 0.07))
    assert instrument_validity_test(y, D, Z, n_boot=19).statistic == pytest.approx(worst, rel=1e-12)


def test_noncompliance():
    table = _study(selected=False, one_sided=True)
    report = noncompliance(_fit(table, ()), outcome_range=(-6.0, 6.0))
    assert report.kind == "one-sided"
    itt, share, cace = report.effects.values
    assert cace == pytest.approx(itt / share)
    assert cace == pytest.approx(_fit(table, ()).estimate, rel=1e-9)
    never = table[(table["Z"] == 1) & (table["D"] == 0)]
    q = len(never) / (table["Z"] == 1).sum()
    expected = [itt + q * (end - never["y"].mean()) for end in (-6.0, 6.0)]
    np.testing.assert_allclose(report.bounds, expected, rtol=1e-9)
    assert "one-sided non-compliance" in report.summary()
    assert noncompliance(_fit(_study(selected=False), ())).kind == "two-sided"
    with pytest.raises(DesignError, match="does not hold the outcomes"):
        noncompliance(_fit(table, ()), outcome_range=(0.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"instruments": ["Z", "x"], "covariates": []}, "one instrument, not 2"),
        ({"instruments": "x", "covariates": []}, "has 2000 values"),
        ({"treatment": "y", "outcome": "x", "covariates": []}, "two arms"),
        ({"absorb": ["village"]}, "absorbed"),
    ],
)
def test_errors_teach(changes, told):
    keywords = {"outcome": "y", "treatment": "D", "instruments": "Z", "covariates": ["x"], **changes}
    fit = ck.IV().fit(_study(), **keywords)
    with pytest.raises(DesignError, match=told):
        compliers(fit)
    with pytest.raises(DesignError, match="not a covariate"):
        compliers(_fit(_study()), covariates=["age"])


def test_the_report_shows():
    found = _fit(_study(n=400)).compliers(["woman"])
    assert "compliers" in found.summary()
    assert {"what", "term", "estimate"} <= set(found.to_frame().columns)
    assert found.plot("effects") is not None
