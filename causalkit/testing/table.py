"""A small study that suits the roles of an estimator: a randomized one, or a panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.roles import Role
from causalkit.errors import DesignError

if TYPE_CHECKING:
    import pandas as pd

N = 300
N_STORES = 30

#: Role -> the column of the study that plays it, where a role always has the same one.
COLUMNS: dict[str, Any] = {
    "outcome": "spend",
    "treatment": "arm",
    "covariates": ["age", "visits", "income", "segment"],
    "cluster": "store",
    "unit": "customer",
    "weights": "weight",
    "absorb": ["region"],
    "instruments": ["letter", "nudge"],
    "shares": [f"share_{k}" for k in range(6)],
    "mediator": ["clicks"],
    "score": "score",
    "effect": "score",
    "running": "margin",
    "cutoff": "threshold",
    "sensitive": ["segment"],
    "proxies": ["region"],
}

#: The same for a panel, in which units are first treated at different times.
PANEL_COLUMNS: dict[str, Any] = {
    "outcome": "sales",
    "unit": "shop",
    "time": "month",
    "cohort": "opened",
    "covariates": ["visits", "weather"],
    "cluster": "region",
    "weights": "weight",
    "eligible": "large",
}
N_SHOPS, N_MONTHS = 288, 6

#: The shock of each share.
SHOCKS = (1.5, -0.75, 0.5, -1.0, 2.0, 0.25)

#: Optional roles that are part of the base fit, because much can go wrong there.
USUAL = ("effect", "covariates", "cluster", "unit", "weights", "cutoff")


def study(roles: Mapping[str, Role]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a study and the keywords of ``fit`` for an estimator with these roles.

    Every number is a multiple of 1/256 that float32 holds exactly, so that dtypes and shifts lose nothing.

    Raises
    ------
    DesignError
        If a role is needed that neither study has.
    """
    if is_panel(roles):
        columns = {**PANEL_COLUMNS, "treatment": "dose" if "cohort" in roles else "counters"}
        wanted = {role for role, spec in roles.items() if role != "treatment" or spec.required}
        return panel(), {role: column for role, column in columns.items() if role in wanted}
    keywords: dict[str, Any] = {}
    for role, spec in roles.items():
        if not spec.required and role not in USUAL:
            continue
        if role not in COLUMNS:
            raise DesignError(f"the contract suite has no data for {role}=.", hint="Pass data= and the roles.")
        keywords[role] = COLUMNS[role]
        if spec.kind == "treatment":
            keywords |= {role: "dose"} if spec.treatment == "dose" else {"control": "none"}
        if role == "shares":
            keywords["shocks"] = list(SHOCKS)
    return table(), keywords


def is_panel(roles: Mapping[str, Role]) -> bool:
    """Whether these are the roles of a panel of units whose treatment starts, or changes, at different times."""
    return "cohort" in roles or (
        "unit" in roles and roles["unit"].required and "treatment" in roles and "time" in roles
    )


def table(seed: int = 20_240) -> pd.DataFrame:
    """Return the study: a coupon drawn for each customer, customers in stores."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    store = rng.permutation(np.arange(N) % N_STORES)
    treated = rng.random(N) < 0.5
    age, visits = rng.integers(18, 80, N), rng.integers(0, 6, N)
    income, taste = rng.normal(size=N), rng.normal(size=N_STORES)
    segment = rng.integers(0, 3, N)
    letter = rng.integers(0, 2, N)
    spend = (
        2 + 0.7 * treated * (1 + 0.5 * income) + 0.02 * age + 0.3 * segment + 0.4 * taste[store] + rng.normal(size=N)
    )
    return pd.DataFrame(
        {
            "spend": grid(spend),
            "arm": np.where(treated, "coupon", "none"),
            "offered": treated.astype(np.int64),
            "dose": grid(np.abs(rng.normal(size=N)) + treated + letter),
            "age": age.astype(np.int64),
            "visits": visits.astype(np.int64),
            "income": grid(income),
            "segment": np.array(["loyal", "new", "lapsed"])[segment],
            "store": np.array([f"store {code:02d}" for code in range(N_STORES)])[store],
            "customer": [f"c{code:04d}" for code in rng.permutation(N)],
            "region": np.array(["north", "east", "south", "west"])[rng.integers(0, 4, N)],
            "weight": rng.integers(1, 4, N).astype(np.int64),
            "letter": letter.astype(np.int64),
            "margin": grid(2.0 * np.random.default_rng([seed, 7]).normal(size=N)),
            "threshold": np.where(np.arange(N) % 2, 0.5, -0.5),
            "nudge": _mostly(treated, seed),
            "clicks": grid(0.5 * treated + rng.normal(size=N)),
            "score": grid(0.35 * income + 0.1 * rng.normal(size=N)),
            **_exposures(treated, seed),
        }
    )


def panel(seed: int = 20_241) -> pd.DataFrame:
    """Return the panel: shops in regions, a third of which never open a counter that the others open in some month."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    shop, month = np.repeat(np.arange(N_SHOPS), N_MONTHS), np.tile(np.arange(1, N_MONTHS + 1), N_SHOPS)
    opened = np.array([0, 3, 4, 0, 5, 3])[np.arange(N_SHOPS) % 6]
    on = (opened[shop] > 0) & (month >= opened[shop])
    visits, weather = rng.normal(size=shop.size), rng.integers(0, 3, shop.size)
    level, trend = rng.normal(size=N_SHOPS), rng.normal(size=N_MONTHS)
    sales = level[shop] + trend[month - 1] + 0.8 * on + 0.3 * visits + 0.2 * weather + 0.7 * rng.normal(size=shop.size)
    names = rng.permutation(N_SHOPS)
    return pd.DataFrame(
        {
            "sales": grid(sales),
            "shop": [f"s{names[code]:03d}" for code in shop],
            "month": month.astype(np.int64),
            "opened": opened[shop].astype(np.int64),
            "visits": grid(visits),
            "weather": np.array(["dry", "wet", "snow"])[weather],
            "region": np.array([f"region {code:02d}" for code in range(12)])[(shop // 2) % 12],
            "weight": rng.integers(1, 4, N_SHOPS)[shop].astype(np.int64),
            "large": (shop // 6 % 2).astype(np.int64),
            "counters": (1 + (shop // 12 % 2) + on * (1 + (shop // 24 % 2)) - (on & (month == 6))).astype(np.int64),
            "dose": grid(np.where(opened[shop] > 0, (1 + shop * 7 % 53) / 53.0, 0.0)),
        }
    )


def _mostly(treated: Any, seed: int) -> Any:
    """Return an instrument: the arm itself for four in five customers, the other one for the rest."""
    flipped = np.random.default_rng(seed + 2).random(len(treated)) < 0.2
    return np.where(flipped, ~treated, treated).astype(np.int64)


def _exposures(treated: Any, seed: int) -> dict[str, Any]:
    """Return shares that sum to one; the shocks of the treated are larger."""
    rng = np.random.default_rng(seed + 3)
    lean = np.exp(0.5 * np.outer(treated, SHOCKS) + 0.3 * rng.normal(size=(len(treated), len(SHOCKS))))
    counts = [rng.multinomial(256, row) for row in lean / lean.sum(axis=1, keepdims=True)]
    return {f"share_{k}": column / 256 for k, column in enumerate(np.transpose(counts))}


def grid(values: Any, step: float = 2.0**-8) -> Any:
    """Round to multiples of a power of two."""
    return np.round(np.asarray(values, dtype=float) / step) * step
