"""Record did_multiplegt_dyn's numbers with controls: run where py-did-multiplegt-dyn is installed.

The package calls ``pl.count()`` and ``pandas.api.types.is_categorical_dtype``, which its own newest dependencies no longer
have; both are given back before it runs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import warnings
from pathlib import Path

import pandas as pd
import polars as pl
from did_multiplegt_dyn import DidMultiplegtDyn
from simulated_levels import controlled_panel, without_slopes

CASES = {
    "levels": ({"seed": 1}, {}),
    "levels, weighted clusters with gaps": ({"seed": 3, "gaps": True}, {"weight": "w", "cluster": "state"}),
    "levels, falls": ({"seed": 4}, {"switchers": "out", "normalized": True}),
    "levels, same switchers": ({"seed": 5, "gaps": True}, {"same_switchers": True, "cluster": "state"}),
    "one level": ({"seed": 2, "level": 1}, {}),
    "one level, clusters": ({"seed": 6, "level": 1}, {"cluster": "state"}),
    "one level without slopes": ({"seed": 2, "level": 1, "settled": True}, {}),
    "another level without slopes": ({"seed": 7, "level": 0, "settled": True}, {"normalized": True}),
    "gaps without slopes": ({"seed": 8, "level": 2, "gaps": True, "settled": True}, {}),
    "longest horizon": ({"seed": 2, "level": 1, "last": 5, "settled": True}, {"placebo": 1}),
}


def table(panel: dict, options: dict) -> dict:
    """Return the estimates and standard errors of one case."""
    asked = {key: value for key, value in panel.items() if key != "settled"}
    data = controlled_panel(**asked)
    if panel.get("settled"):
        data = without_slopes(data)
    model = DidMultiplegtDyn(
        pl.from_pandas(data.reset_index(drop=True)),
        outcome="y", group="unit", time="time", treatment="level", effects=3,
        **{"placebo": 2, "controls": ["x1", "x2"], **options},
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.fit().summary().set_index("Block")
    return {"panel": panel, "options": options, "estimate": found["Estimate"].to_dict(), "se": found["SE"].to_dict()}


if __name__ == "__main__":
    count = pl.count
    pl.count = lambda *columns: count(*columns) if columns else pl.len()
    pd.api.types.is_categorical_dtype = lambda column: isinstance(column.dtype, pd.CategoricalDtype)
    version = importlib.metadata.version("py-did-multiplegt-dyn")
    page = {
        "package": "py-did-multiplegt-dyn",
        "version": version,
        "call": "DidMultiplegtDyn(pl.from_pandas(df), outcome='y', group='unit', time='time', treatment='level', effects=3, "
        "controls=['x1', 'x2'], **{'placebo': 2, **options}).fit()",
        "data": "controlled_panel(**panel), and without_slopes() of it where settled",
        "cases": {name: table(*case) for name, case in CASES.items()},
    }
    path = Path(__file__).parent / f"dcdh_controls_did_multiplegt_dyn_{version}.json"
    path.write_text(json.dumps(page, indent=1) + "\n")
