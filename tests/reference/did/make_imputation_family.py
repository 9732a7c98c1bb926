"""Make ``staggered_panel.csv`` and ``imputation_family.json``: a simulated panel and what independent packages say of it.

Run with Python 3.11, diff-diff 3.13.0, did-imputation 0.1.0 and pyfixest 0.60.0::

    python make_imputation_family.py
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def panel() -> pd.DataFrame:
    """Return 90 units over 8 periods, three cohorts and the never treated, and a treatment that goes off again."""
    rng = np.random.default_rng(20_261)
    n, periods = 90, 8
    start = np.array([0, 4, 6, 7, 0, 6])[np.arange(n) % 6]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    on = (start[unit] > 0) & (time >= start[unit])
    x = rng.normal(size=unit.size) + 0.3 * time
    effect = on * (0.5 + 0.2 * (time - start[unit]) + 0.1 * (start[unit] == 4))
    y = (
        rng.normal(size=n)[unit]
        + rng.normal(size=periods)[time - 1]
        + 0.4 * x
        + effect
        + 0.6 * rng.normal(size=unit.size)
    )
    switch = np.zeros((n, periods), dtype=int)
    for i in range(n):
        if i % 3:
            first, length = rng.integers(2, 6), rng.integers(1, 5)
            switch[i, first : first + length] = 1
            if first + length + 2 < periods and i % 2:
                switch[i, first + length + 2 :] = 1
    return pd.DataFrame(
        {
            "unit": unit,
            "time": time,
            "cohort": start[unit],
            "on": on.astype(int),
            "switch": switch.ravel(),
            "region": unit // 5,
            "x": np.round(x, 6),
            "y": np.round(y, 6),
        }
    )


def unbalanced(data: pd.DataFrame) -> pd.DataFrame:
    """Leave out every eleventh row."""
    return data[np.arange(len(data)) % 11 != 3]


def of_diff_diff(data: pd.DataFrame) -> dict:
    import diff_diff as dd

    roles = {"outcome": "y", "unit": "unit", "time": "time", "first_treat": "cohort"}
    out = {}

    def keep(name, fit):
        study = {int(e): [v["effect"], v["se"]] for e, v in (fit.event_study_effects or {}).items()}
        out[name] = {"estimate": fit.overall_att, "se": fit.overall_se, "event_time": study}

    for name, rows, more in (
        ("balanced", data, {}),
        ("unbalanced", unbalanced(data), {}),
        ("x", data, {"covariates": ["x"]}),
    ):
        keep(f"imputation|{name}", dd.ImputationDiD().fit(rows, aggregate="event_study", **roles, **more))
        keep(f"two_stage|{name}", dd.TwoStageDiD().fit(rows, aggregate="event_study", **roles, **more))
    keep("imputation|leave_one_out", dd.ImputationDiD(leave_one_out=True).fit(data, aggregate="event_study", **roles))
    for pre, post in ((2, 1), (3, 2)):
        keep(
            f"stacked|{pre}|{post}",
            dd.StackedDiD(kappa_pre=pre, kappa_post=post).fit(data, aggregate="event_study", **roles),
        )
        keep(
            f"stacked|{pre}|{post}|never",
            dd.StackedDiD(kappa_pre=pre, kappa_post=post, control_group="never_treated").fit(
                data, aggregate="event_study", **roles
            ),
        )
    for group in ("not_yet_treated", "never_treated"):
        fit = dd.WooldridgeDiD(control_group=group).fit(data, outcome="y", unit="unit", time="time", cohort="cohort")
        out[f"extended|{group}"] = {"estimate": fit.overall_att, "se": fit.overall_se}
    return out


def projections(data: pd.DataFrame) -> dict:
    import diff_diff as dd

    out = {}

    def keep(name, fit):
        table = fit.event_study
        out[name] = {int(row.horizon): [row.coefficient, row.se] for row in table.itertuples() if row.se > 0}

    roles = {"outcome": "y", "unit": "unit", "time": "time"}
    keep("clean", dd.LPDiD(pre_window=3, post_window=3).fit(data, treatment="on", **roles))
    keep(
        "never", dd.LPDiD(pre_window=3, post_window=3, control_group="never_treated").fit(data, treatment="on", **roles)
    )
    keep("equal", dd.LPDiD(pre_window=3, post_window=3, reweight=True).fit(data, treatment="on", **roles))
    for settled in (1, 2):
        model = dd.LPDiD(
            pre_window=2, post_window=2, non_absorbing="effect_stabilization", stabilization_window=settled
        )
        keep(f"settled|{settled}", model.fit(data, treatment="switch", **roles))
    return out


def of_did_imputation(data: pd.DataFrame) -> dict:
    from did_imputation import did_imputation

    rows = data.assign(first=data["cohort"].where(data["cohort"] > 0))
    found = did_imputation(rows, "y", "unit", "time", "first", controls=["x"], pretrends=2, minn=0)
    table = {name: [float(found.estimates[name]), float(found.std_errors[name])] for name in found.estimates}
    by_region = did_imputation(rows, "y", "unit", "time", "first", minn=0, cluster="region")
    table["region"] = [float(by_region.estimates["tau_ate"]), float(by_region.std_errors["tau_ate"])]
    before = found.pretrends_estimates
    return table | {name: [float(before[name]), float(found.pretrends_std_errors[name])] for name in before}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    data = panel()
    data.to_csv(HERE / "staggered_panel.csv", index=False)
    out = {
        "packages": {name: version(name) for name in ("diff-diff", "did-imputation", "numpy", "pandas")},
        "diff-diff": of_diff_diff(data),
        "diff-diff LPDiD": projections(data),
        "did-imputation": of_did_imputation(data),
    }
    (HERE / "imputation_family.json").write_text(json.dumps(out, indent=1) + "\n")
