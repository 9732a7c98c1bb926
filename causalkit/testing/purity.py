"""A fit changes nothing but what it returns, and says the same thing twice."""

from __future__ import annotations

import dataclasses
import pickle
import random
from typing import Any

import numpy as np

from causalkit.core.result import Result
from causalkit.errors import InferenceUnavailable
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject, numbers, rowwise


def _fingerprint(data: Any) -> tuple[Any, ...]:
    import pandas as pd

    hashed = pd.util.hash_pandas_object(data, index=True).to_numpy().tobytes()
    return hashed, tuple(data.columns), tuple(map(str, data.dtypes)), dict(data.attrs), data.index.names


def _bits(result: Any) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(values).tobytes() for name, values in numbers(result).items()}


def _is_result(subject: Subject) -> bool:
    return isinstance(subject.base, Result)


@probe()
def input_untouched(subject: Subject) -> None:
    """The user's table and keywords, the estimator and the global random states stay as they were."""
    data, configuration = subject.data.copy(), dict(vars(subject.estimator))
    kept = {key: list(value) if isinstance(value, list) else value for key, value in subject.keywords.items()}
    before, state, plain_state = _fingerprint(data), np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    result = subject.fit(data)
    rowwise(result, data)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    require(_fingerprint(data) == before, "fit changed the user's table.")
    require(kept == dict(subject.keywords), "fit changed a list that named columns.")
    require(vars(subject.estimator) == configuration, "fit stored something on the estimator.")
    same = repr(state) == repr(after) and np.array_equal(state["state"]["key"], after["state"]["key"])
    require(same, "fit drew from, or seeded, numpy's global random state.")
    require(plain_state == random.getstate(), "fit drew from, or seeded, Python's global random state.")


@probe()
def read_only_input(subject: Subject) -> None:
    """Arrays that can't be written to will do."""
    data = subject.data.copy()
    for name in data.columns:
        values = data[name].array
        array = getattr(values, "_ndarray", None)
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    subject.require_same(subject.fit(data), "read-only columns")


@probe()
def frozen(subject: Subject) -> None:
    """Neither the estimator nor its result can be assigned to."""
    for owner in (subject.estimator, subject.base):
        for field in dataclasses.fields(owner)[:3] if dataclasses.is_dataclass(owner) else ():
            try:
                setattr(owner, field.name, getattr(owner, field.name))
            except dataclasses.FrozenInstanceError:
                continue
            raise AssertionError(f"{type(owner).__name__}.{field.name} can be assigned to.")


@probe(when=_is_result)
def read_only_results(subject: Subject) -> None:
    """The arrays of a result can't be written to."""
    require(not subject.base.effects.values.flags.writeable, "result.effects.values can be written to.")


@probe()
def repeatable(subject: Subject) -> None:
    """The same seed gives the same answer to the last bit."""
    again = subject.fit()
    require(_bits(again) == _bits(subject.base), "the same fit gave other bits the second time.")
    before, after = rowwise(subject.base, subject.data), rowwise(again, subject.data)
    if before is not None and after is not None:
        require(np.array_equal(before, after, equal_nan=True), "predictions differ in a second fit.")


@probe(when=lambda s: s.draws and _is_result(s))
def drawn_seed(subject: Subject) -> None:
    """Without a seed one is drawn, and the result keeps it."""
    unseeded = subject.estimator.replace(random_state=None)
    result = dataclasses.replace(subject, estimator=unseeded).fit()
    require(getattr(unseeded, "random_state", 0) is None, "fit wrote the seed that it drew onto the estimator.")
    require(result.estimator.random_state is not None, "the result does not keep the seed that was drawn.")
    require(_bits(result.refit()) == _bits(result), "a refit with the seed that was drawn gives another answer.")


@probe()
def no_memory(subject: Subject) -> None:
    """What was fitted before has no influence."""
    subject.fit(subject.data.iloc[: 3 * len(subject.data) // 4])
    require(_bits(subject.fit()) == _bits(subject.base), "a fit on other data changed the next fit.")


@probe(when=_is_result)
def refit(subject: Subject) -> None:
    """A refit on the kept rows, on their sample and on the table give one answer."""
    base = subject.base
    require(_bits(base.refit()) == _bits(base), "refit() differs from the fit.")
    require(_bits(base.refit(subject.data)) == _bits(base), "refit(data) differs from the fit.")
    if not set(base.sample.columns) <= set(subject.estimator.roles):
        return  # the sample holds numbers made from other rows too, so a part of it is not a part of the table
    order = np.random.default_rng(0).permutation(len(subject.data))
    if subject.is_panel:  # whole units: a panel with holes is another panel
        unit = subject.data[subject.column("unit")]
        order = order[unit.isin(unit.unique()[len(unit.unique()) // 5 :]).to_numpy()[order]]
    else:
        order = order[: 4 * len(order) // 5]
    part = base.refit(base.sample.take(order))
    subject.require_same(part, "refit(sample)", reference=base.refit(subject.data.iloc[order]))


@probe(when=_is_result)
def pickled(subject: Subject) -> None:
    """A pickle keeps the numbers and leaves the rows out."""
    kept = pickle.loads(pickle.dumps(subject.base))
    require(type(kept) is type(subject.base), "a pickle changes the type.")
    require(_bits(kept) == _bits(subject.base), "a pickle changes the numbers.")
    require(kept.summary() == subject.base.summary(), "a pickle changes the summary.")
    require(kept.sample is None, "a pickle holds the user's rows.")
    try:
        kept.refit()
    except InferenceUnavailable as error:
        require(error.hint, "refit() after a pickle does not say what to do.")
    else:
        raise AssertionError("refit() without rows did not raise InferenceUnavailable.")
    subject.require_same(kept.refit(subject.data), "refit(data) after a pickle")


@probe(when=_is_result)
def pickled_with_data(subject: Subject) -> None:
    """``to_pickle(keep_data=True)`` keeps the rows."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.pickle"
        subject.base.to_pickle(path, keep_data=True)
        kept = pickle.loads(path.read_bytes())
    require(_bits(kept.refit()) == _bits(subject.base), "the refit of a pickle with its data gives another answer.")


@probe(when=_is_result)
def frame_let_go(subject: Subject) -> None:
    """A result does not keep the user's table alive."""
    import gc
    import weakref

    data = subject.data.copy()
    result = subject.fit(data)
    alive = weakref.ref(data)
    del data
    gc.collect()
    require(alive() is None, "the result keeps the user's table.")
    require(result.n > 0, "the result has no rows.")
