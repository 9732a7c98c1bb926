from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.table import Table


class Fake:
    """The duck that can be reported."""

    def __init__(
        self,
        title: str,
        passages: tuple[Passage, ...] = (),
        checks: tuple[Check, ...] = (),
        data: Mapping[str, Mapping[str, Any]] | None = None,
        numbers: Mapping[str, Any] | None = None,
        **said: Any,
    ) -> None:
        self.title = title
        self._passages = passages
        self.checks = Checks({check.name: check for check in checks})
        self._data = dict(data or {})
        self.plots = tuple(self._data)
        self._numbers = dict(numbers or {})
        self.__dict__.update(said)

    def passages(self) -> tuple[Passage, ...]:
        return self._passages

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        return self._data[kind]

    def to_dict(self) -> dict[str, Any]:
        return self._numbers


def forest() -> dict[str, Any]:
    estimate = np.array([2.05, 0.84, -0.21])
    terms = ("coupon", "letter", "call")
    return {"terms": terms, "estimate": estimate, "low": estimate - 0.6, "high": estimate + 0.6, "null": 0.0}


def curve() -> dict[str, Any]:
    q = np.linspace(0.01, 1, 100)
    value = 5.1 * (1 - q) * np.exp(-1.4 * q)
    return {"q": q, "value": value, "low": value - 0.5, "high": value + 0.5}


def study() -> list[Fake]:
    """A small study: an effect model, and a plan made from it."""
    table = Table.of(
        ("term", "estimate", "se", "pvalue", "ci_low", "ci_high"),
        [("coupon", 2.05, 0.31, 1e-9, 1.44, 2.66), ("letter", 0.84, 0.3, 0.0051, 0.25, 1.43)],
    )
    model = Fake(
        "Effect of the coupon",
        (
            Passage("found", "The coupon works", ("It adds 2.05 per head. It does so in every region.",), table),
            Passage("certainty", "Intervals", ("All intervals are robust.",), figure="effects"),
        ),
        (
            Check("overlap", "pass", "All propensities lie between 0.08 and 0.93."),
            Check("weak_instruments", "warn", "F is 8.2.", 8.2, 0.04, "Use Anderson-Rubin intervals.", table),
        ),
        {"effects": forest()},
        {"estimate": 2.05, "bad": [float("nan"), float("inf")], "n": np.int64(7)},
        n=4000,
        estimator="CausalForest(random_state=0)",
    )
    plan = Fake(
        "Whom to send it to",
        (
            Passage(
                "action", "Send to 38%", ("That earns most.",), None, "toc", (("expected profit", "9,840", "euros"),)
            ),
        ),
        (
            Check("unmeasured", "untestable", "No test exists."),
            Check("srm", "fail", "Arms are 60:40.", 9.0, 1e-5, "Stop."),
        ),
        {"toc": curve()},
    )
    return [model, plan]


@pytest.fixture
def owners() -> list[Fake]:
    return study()


@pytest.fixture(scope="session")
def fake() -> type[Fake]:
    return Fake


HOSTILE = (
    '</title></style><script>alert(1)</script><img src=x onerror=alert(2)> " onmouseover="x\' "; DROP TABLE users; -- '
    "[a](javascript:alert(3)) ![b](http://evil.example/x.png) https://evil.example | `code` <!-- c --> ]]> &lt;b&gt; "
    r"\input{/etc/passwd} \write18{rm} $x_1^2$ 100% #1 {~} ^ \\ 漢字 🎯 İ \end{document} "
    "\x00\x1b\ud800\u202e# not a heading"
)


@pytest.fixture
def hostile() -> Fake:
    """Everything that a user can name, named by an enemy."""
    h = HOSTILE
    table = Table.of((h, "[0]", "pvalue"), [(h, "[1, 2]", 0.5), ("- a", "[3]", float("nan"))], h)
    data = {**forest(), "terms": (h, h + "2", "c"), "xlabel": h}
    passages = tuple(
        Passage(key, h, (h, "1. one", "- two", "# three"), table, None, ((h, h, h),)) for key in ("found", "action")
    )
    passages += (Passage("certainty", h, (h,), None, "effects"),)
    checks = (Check(h, "fail", h, None, 0.2, h, table), Check("ok", "pass", h))
    return Fake(h, passages, checks, {"effects": data}, {h: [h, {h: float("inf")}]}, estimator=h, answer=h, source=h)
