"""Size of tests of an instrumental-variables effect when the instruments are weak.

Bounds are the nominal level with three binomial standard errors. The Wald test is there to be seen failing. The long version
prints the rows of the table in docs.
"""

from __future__ import annotations

import numpy as np
import pytest

from causalkit.iv.anderson_rubin import ar_test
from causalkit.iv.conditional_lr import clr_test
from causalkit.iv.iv_data import iv_data
from causalkit.iv.lagrange import lm_test
from causalkit.iv.tf_table import tf_critical_value
from causalkit.iv.weak_sets import first_stage_f
from causalkit.iv.weak_sets_form import reduced_form_of

LEVEL = 0.05
EFFECT = 1.0


def draw(rng, n, q, strength, correlation, heteroskedastic):
    """Return outcome, treatment and instruments whose first-stage F has about mean ``1 + strength``."""
    z = rng.normal(size=(n, q))
    u = rng.normal(size=n)
    v = correlation * u + np.sqrt(1 - correlation**2) * rng.normal(size=n)
    if heteroskedastic:
        # Noisier where an instrument is large: the usual F overstates the strength.
        scale = np.abs(z[:, 0]) + 0.2
        u, v = u * scale, v * scale / np.sqrt(np.mean(scale**2))
    d = np.sqrt(strength / n) * z.sum(axis=1) + v
    return EFFECT * d + u, d, z


def sizes(n, q, strength, correlation, heteroskedastic, kind, runs, seed=0):
    """Return the share of samples in which each test rejects the true effect."""
    rng = np.random.default_rng(seed)
    rejected = dict.fromkeys(("wald", "ar", "clr", "lm", *(("tf",) if q == 1 else ())), 0)
    for _ in range(runs):
        y, d, z = draw(rng, n, q, strength, correlation, heteroskedastic)
        form = reduced_form_of(iv_data(y, [d], list(z.T), kind=kind))
        for name, test in (("ar", ar_test), ("clr", clr_test), ("lm", lm_test)):
            rejected[name] += test(form, EFFECT).pvalue < LEVEL
        ratio = abs(t_ratio(form))
        rejected["wald"] += ratio > 1.959963984540054
        if q == 1:
            rejected["tf"] += ratio > tf_critical_value(first_stage_f(form))
    return {name: count / runs for name, count in rejected.items()}


def t_ratio(form):
    """t-ratio of two-stage least squares at the true effect; the reduced form's errors at the estimate are its own."""
    first = form.scores[:, 1]
    beta = float(first @ form.scores[:, 0] / (first @ first)) * form.unit
    a = form.direction(beta)
    spread = first @ np.einsum("a,b,abij->ij", a, a, form.cross) @ first
    return (beta - EFFECT) / form.unit * (first @ first) / np.sqrt(spread)


def _margin(runs):
    return 3 * np.sqrt(LEVEL * (1 - LEVEL) / runs)


def test_tests_keep_their_size_with_one_weak_instrument():
    runs = 500
    found = sizes(150, 1, strength=1.0, correlation=0.95, heteroskedastic=False, kind="iid", runs=runs)
    assert abs(found["ar"] - LEVEL) < _margin(runs)
    assert found["clr"] == found["lm"] == found["ar"]
    assert found["tf"] < LEVEL + _margin(runs)
    assert found["wald"] > 0.1


def test_tests_keep_their_size_with_weak_instruments():
    runs = 400
    found = sizes(150, 4, strength=1.0, correlation=0.95, heteroskedastic=False, kind="iid", runs=runs)
    for name in ("ar", "clr", "lm"):
        assert abs(found[name] - LEVEL) < _margin(runs), name
    assert found["wald"] > 0.2


def test_robust_tests_keep_their_size_with_unequal_variances():
    runs = 400
    robust = sizes(400, 2, strength=2.0, correlation=0.9, heteroskedastic=True, kind="HC1", runs=runs)
    for name in ("ar", "clr", "lm"):
        assert abs(robust[name] - LEVEL) < _margin(runs) + 0.01, name
    equal = sizes(400, 2, strength=2.0, correlation=0.9, heteroskedastic=True, kind="iid", runs=150)
    assert equal["ar"] > 0.1


@pytest.mark.long
def test_table_of_sizes():
    runs = 10_000
    for heteroskedastic, kind, n in ((False, "iid", 200), (True, "HC1", 1000)):
        for q in (1, 4):
            for strength in (0.0, 1.0, 5.0, 20.0, 100.0):
                found = sizes(n, q, strength, 0.9, heteroskedastic, kind, runs)
                cells = " | ".join(f"{found.get(name, np.nan):.3f}" for name in ("wald", "tf", "ar", "lm", "clr"))
                print(f"| {kind} | {q} | {strength:g} | {cells} |")
                slack = _margin(runs) + (0.015 if heteroskedastic else 0.0)
                for name in ("ar", "clr", "lm"):
                    assert abs(found[name] - LEVEL) < slack, (kind, q, strength, name)
                if q == 1:
                    assert found["tf"] < LEVEL + slack
