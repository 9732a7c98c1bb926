"""What can't be used is refused before any number is computed, by an error that says where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from causalkit.core.result import Result
from causalkit.errors import CausalKitError, DataError, DesignError
from causalkit.testing.dtypes import NUMERIC
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject, numbers

#: Rows that are spoilt, and what messages must say of them.
SPOILT = (4, 11)


def require_taught(
    call: Callable[[], Any], told: str, *words: str, kind: type[CausalKitError] | tuple[type[CausalKitError], ...]
) -> None:
    """Require an error of the toolkit whose message holds all words and whose hint says what to do."""
    try:
        call()
    except kind as error:
        for word in words:
            require(word in str(error), f"{told}: the message does not say {word!r}: {error}")
        require(error.hint, f"{told}: the error has no hint: {error}")
        return
    except Exception as error:
        raise AssertionError(f"{told}: {type(error).__name__} instead of a taught error: {error}") from error
    raise AssertionError(f"{told} was accepted.")


def _spoilt(subject: Subject, name: str, value: Any, rows: tuple[int, ...] | None = SPOILT) -> Any:
    data = subject.data.copy()
    values = data[name].astype(object)
    values.iloc[list(rows) if rows is not None else slice(None)] = value
    as_float = isinstance(value, float) and data[name].dtype.kind in "iuf"
    data[name] = values.astype(float) if as_float else values
    return data


@probe()
def infinite_values(subject: Subject) -> None:
    """An infinite value in a numeric column: an error with column, count and first row."""
    for role, name in subject.columns(*NUMERIC, "features", "treatment"):
        if subject.data[name].dtype.kind not in "iuf":
            continue
        for value in (np.inf, -np.inf):
            data = _spoilt(subject, name, value)
            words = (repr(name), str(len(SPOILT)), f"row {SPOILT[0]}")
            require_taught(partial(subject.fit, data), f"{value} in {role}", *words, kind=DataError)


def _with_gaps(subject: Subject) -> list[tuple[str, str]]:
    """Return the columns in which a missing value is a gap; in a cohort it means never."""
    return [(role, name) for role, name in subject.columns() if subject.estimator.roles[role].kind != "cohort"]


@probe()
def missing_values_refused(subject: Subject) -> None:
    """``missing="raise"``: an error with column, count and first row, however the gap is written."""
    import pandas as pd

    if not subject.accepts("missing"):
        return
    for role, name in _with_gaps(subject):
        for gap in (None, pd.NA, float("nan")):
            data = _spoilt(subject, name, gap)
            words = (repr(name), str(len(SPOILT)), f"row {SPOILT[0]}")
            told = f"{gap} in {role} with missing='raise'"
            require_taught(partial(subject.fit, data, missing="raise"), told, *words, kind=DataError)


@probe()
def missing_values_dropped(subject: Subject) -> None:
    """``missing="drop"``: the rows are left out, and the sample says which and why."""
    import pandas as pd

    n = len(subject.data)
    for role, name in _with_gaps(subject):
        for gap in (None, pd.NA, float("nan")):
            sample = subject.bind(_spoilt(subject, name, gap), missing="drop")
            require(sample.n == n - len(SPOILT), f"{gap} in {role}: {sample.n} rows of {n} are left.")
            require(not set(SPOILT) & set(sample.rows.positions.tolist()), f"{gap} in {role}: the wrong rows went.")
            told = [(column, count, first) for _, column, count, first in sample.dropped.reasons]
            require((name, len(SPOILT), SPOILT[0]) in told, f"{gap} in {role}: the reasons are {told}.")


@probe(when=lambda s: s.column("outcome") is not None and isinstance(s.base, Result))
def dropped_rows_do_not_count(subject: Subject) -> None:
    """Rows without an outcome are as if they were not there, and the result says so."""
    spoilt = subject.fit(_spoilt(subject, str(subject.column("outcome")), float("nan")))
    kept = subject.fit(subject.data.drop(index=subject.data.index[list(SPOILT)]))
    subject.require_same(spoilt, "rows without an outcome", reference=kept)
    require(spoilt.n + spoilt.n_dropped == len(subject.data), f"n is {spoilt.n}, n_dropped {spoilt.n_dropped}.")
    enough = spoilt.n_dropped >= len(SPOILT) if subject.is_panel else spoilt.n_dropped == len(SPOILT)
    require(enough, f"n_dropped is {spoilt.n_dropped}.")
    require(str(len(SPOILT)) in spoilt.checks["missing"].message, "the ledger does not count the dropped rows.")


@probe()
def nothing_but_gaps(subject: Subject) -> None:
    """A column without a value: an error that names it."""
    for role, name in subject.columns():
        for gap in (None, float("nan")):
            data = _spoilt(subject, name, gap, rows=None)
            told = f"nothing but {gap} in {role}"
            spec = subject.estimator.roles[role]
            if spec.native_missing:
                continue
            require_taught(partial(subject.fit, data, missing="drop"), told, repr(name), kind=(DataError, DesignError))


@probe()
def unknown_column(subject: Subject) -> None:
    """A misspelt column: an error that suggests the right one."""
    for role, name in subject.columns():
        wrong = f"{name}_"
        value = [wrong] if isinstance(subject.keywords[role], list | tuple) else wrong
        words = (repr(wrong), "Did you mean", repr(name))
        require_taught(partial(subject.fit, **{role: value}), f"an unknown column as {role}", *words, kind=DataError)


@probe()
def not_a_table(subject: Subject) -> None:
    """No rows, no table, or two columns of one name."""
    import pandas as pd

    require_taught(lambda: subject.fit(subject.data.iloc[:0]), "an empty table", "no rows", kind=DataError)
    require_taught(lambda: subject.fit(3.5), "a number for a table", "float", kind=DataError)
    require_taught(lambda: subject.fit("study.csv"), "text for a table", "str", kind=DataError)
    name = subject.columns()[0][1]
    twice = pd.concat([subject.data, subject.data[[name]]], axis=1)
    require_taught(lambda: subject.fit(twice), "two columns of one name", repr(name), kind=DataError)


@probe()
def left_out_roles(subject: Subject) -> None:
    """A required role that is None: an error that names the role."""
    for role, spec in subject.roles().items():
        if spec.required:
            full = {**subject.keywords, role: None}
            call = lambda keywords=full: subject.estimator.fit(subject.data, **keywords)  # type: ignore[attr-defined]  # noqa: E731
            require_taught(call, f"{role}=None", f"{role}=", kind=DesignError)


@probe(when=lambda s: s.has_arms)
def one_arm(subject: Subject) -> None:
    """A table with one arm only."""
    name = str(subject.column("treatment"))
    control = subject.keywords["control"]
    told = "one arm only"
    alone = subject.data[subject.data[name] == control]
    require_taught(lambda: subject.fit(alone), told, repr(name), kind=DesignError)
    outcome = subject.column("outcome")
    if outcome:
        gone = subject.data.copy()
        gone[outcome] = gone[outcome].astype(float).where(gone[name] == control)
        require_taught(lambda: subject.fit(gone), "an arm without outcomes", repr(name), kind=DesignError)


@probe()
def text_for_numbers(subject: Subject) -> None:
    """Text or dates where a number belongs: an error that names the column and a row."""
    import pandas as pd

    days = pd.date_range("2024-01-01", periods=len(subject.data), freq="D")
    for role, name in subject.columns(*NUMERIC):
        texts = subject.data.assign(**{name: subject.data[name].map(str)})
        require_taught(partial(subject.fit, texts), f"text in {role}", repr(name), "row 0", kind=DataError)
        dates = subject.data.assign(**{name: days})
        require_taught(partial(subject.fit, dates), f"dates in {role}", repr(name), kind=DataError)
    for role, name in subject.columns("features", "treatment"):
        dates = subject.data.assign(**{name: days})
        require_taught(partial(subject.fit, dates), f"dates in {role}", repr(name), kind=(DataError, DesignError))


@probe()
def two_roles(subject: Subject) -> None:
    """One column as outcome and something else, or listed twice."""
    outcome, treatment = subject.column("outcome"), subject.column("treatment")
    if outcome and treatment:
        require_taught(lambda: subject.fit(treatment=outcome), "outcome as treatment", repr(outcome), kind=DesignError)
    for role, spec in subject.roles("features").items():
        named = list(subject.keywords[role]) if spec.many else []
        for culprit in filter(None, (outcome, treatment)):
            require_taught(
                partial(subject.fit, **{role: [*named, culprit]}),
                f"{culprit} in {role}",
                repr(culprit),
                kind=DesignError,
            )
        if named:
            twice = [*named, named[0]]
            require_taught(partial(subject.fit, **{role: twice}), "a column twice", repr(named[0]), kind=DesignError)
    for role in subject.roles("weights", "propensity", "label"):
        if outcome:
            require_taught(
                partial(subject.fit, **{role: outcome}), f"outcome as {role}", repr(outcome), kind=DesignError
            )


@probe()
def arrays(subject: Subject) -> None:
    """An array may play a role of one column; one of another length is refused."""
    n = len(subject.data)
    for role, name in subject.columns("number", "weights"):
        if subject.estimator.roles[role].many:
            continue
        short = subject.data[name].to_numpy()[:-1]
        require_taught(
            partial(subject.fit, **{role: short}), f"a short array as {role}", role, str(n), kind=DesignError
        )
        array = subject.bind(**{role: subject.data[name].to_numpy()})
        require(
            np.array_equal(array.number(role), subject.bind().number(role)), f"{role}= as an array reads otherwise."
        )


@probe(when=lambda s: s.column("weights") is not None)
def negative_weights(subject: Subject) -> None:
    """Negative weights: an error with column, count and first row."""
    name = str(subject.column("weights"))
    data = _spoilt(subject, name, -1.0)
    words = (repr(name), str(len(SPOILT)), f"row {SPOILT[0]}")
    require_taught(lambda: subject.fit(data), "negative weights", *words, kind=DataError)
    nothing = subject.data.assign(**{name: 0.0})
    require_taught(lambda: subject.fit(nothing), "weights of zero only", repr(name), kind=DataError)


@probe()
def unknown_policy(subject: Subject) -> None:
    """``missing="bogus"`` is refused."""
    if subject.accepts("missing"):
        require_taught(lambda: subject.fit(missing="bogus"), "missing='bogus'", "'bogus'", kind=DesignError)


def _finite_or_taught(call: Callable[[], Any], told: str) -> None:
    """Require a finite answer, or an error of the toolkit that says why there is none."""
    try:
        result = call()
    except CausalKitError as error:
        require(error.hint, f"{told}: the error has no hint: {error}")
        return
    for name, values in numbers(result).items():
        require(np.isfinite(values).all(), f"{told}: {name} is {values}, silently.")
    require(isinstance(result.summary(), str), f"{told}: no summary.")


@probe(when=lambda s: s.column("outcome") is not None)
def constant_outcome(subject: Subject) -> None:
    """An outcome that never varies: a finite answer or a taught error, never NaN."""
    for value in (0.0, 3.0):
        data = subject.data.assign(**{str(subject.column("outcome")): value})
        _finite_or_taught(partial(subject.fit, data), f"an outcome of {value} in every row")


@probe(when=lambda s: bool(s.roles("features")))
def useless_covariates(subject: Subject) -> None:
    """A constant and a duplicated covariate change nothing, or are refused in words."""
    role = next(iter(subject.roles("features")))
    name = subject.columns("features")[0][1]
    data = subject.data.assign(**{"the same again": subject.data[name], "constant": 1.0, "one level": "x"})
    for extra in ("the same again", "constant", "one level"):
        covariates = [*subject.keywords[role], extra]
        _finite_or_taught(partial(subject.fit, data, **{role: covariates}), f"the covariate {extra!r}")
