"""What weights mean: how many units a row stands for."""

from __future__ import annotations

import numpy as np

from causalkit.core.result import Result
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject, numbers


def _weighted(subject: Subject) -> bool:
    return subject.column("weights") is not None


@probe(when=_weighted)
def weight_of_zero(subject: Subject) -> None:
    """A row of weight zero is as if it were not there."""
    name = str(subject.column("weights"))
    gone = np.zeros(len(subject.data), dtype=bool)
    unit = subject.column("unit")
    if subject.is_panel:
        gone[:] = subject.data[unit].isin(subject.data[unit].unique()[::10])
    else:
        gone[::10] = True
    zeroed = subject.data.assign(**{name: subject.data[name].where(~gone, 0)})
    subject.require_same(subject.fit(zeroed), "weights of zero", reference=subject.fit(subject.data[~gone]))


@probe(when=_weighted)
def weight_of_zero_is_no_gap(subject: Subject) -> None:
    """A weight of zero is no missing value: ``missing="raise"`` accepts it."""
    if subject.accepts("missing"):
        name = str(subject.column("weights"))
        zeroed = subject.data.assign(**{name: subject.data[name].where(subject.data.index != subject.data.index[3], 0)})
        require(subject.bind(zeroed, missing="raise").n == len(subject.data) - 1, "the row of weight zero was kept.")


@probe(when=_weighted)
def equal_weights(subject: Subject) -> None:
    """Equal weights are no weights, and their scale has no meaning."""
    name = str(subject.column("weights"))
    without = subject.fit(weights=None)
    for value in (1.0, 2.5):
        data = subject.data.assign(**{name: value})
        subject.require_same(subject.fit(data), f"weights of {value} in every row", reference=without)


@probe(when=_weighted)
def scale_of_weights(subject: Subject) -> None:
    """The scale of weights has no meaning."""
    name = str(subject.column("weights"))
    data = subject.data.assign(**{name: subject.data[name] * 4096.0})
    subject.require_same(subject.fit(data), "weights times 4096")


# Folds and trees are drawn over rows, so a row and its copies are not the same as a weight there; nor are they where a
# bandwidth is chosen, which copies would make believe that there is more information, or where a row is left out of its
# own prediction and its copies are not.
@probe(
    when=lambda s: (
        _weighted(s)
        and not s.draws
        and not s.is_panel
        and isinstance(s.base, Result)
        and not s.roles("number").get("running")
        and not str(getattr(s.estimator, "method", "")).endswith("jive")
    )
)
def repeated_rows(subject: Subject) -> None:
    """Whole weights give the point estimates of rows repeated as often."""
    name = str(subject.column("weights"))
    often = subject.data[name].to_numpy().astype(int)
    repeated = subject.data.loc[subject.data.index.repeat(often)]
    found = numbers(subject.fit(repeated, weights=None))["estimate"]
    subject.require_close(found, numbers(subject.base)["estimate"], "repeated rows: estimate")
