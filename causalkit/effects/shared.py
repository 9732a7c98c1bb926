"""Nuisances are fitted once: learners that ask for the same ones of the same rows share them while a result lives.

Rows are the same where every bound column is, value for value, in the same order; it does not matter whether they were
bound once (``sample = learner.bind(...)``, then ``estimate(sample)`` of several learners) or by several calls of ``fit``.
What is shared is held weakly: it goes with the last sample, that is, with the last result, that came from these rows.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from causalkit.core.features import Features
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Number, Sample

_T = TypeVar("_T")


class _Fits(dict[Hashable, Any]):
    """What was fitted on one set of rows, by settings."""

    __slots__ = ("__weakref__",)


_by_sample: WeakKeyDictionary[Sample, _Fits] = WeakKeyDictionary()
_by_content: WeakValueDictionary[str, _Fits] = WeakValueDictionary()
_lock = Lock()


def shared(sample: Sample, settings: tuple[Hashable, ...], make: Callable[[], _T]) -> _T:
    """Return what ``make`` returned for equal rows and settings, or call it.

    Parameters
    ----------
    sample : Sample
        Bound rows.
    settings : tuple
        What else the answer depends on; where a learner is not known for certain (see :func:`spec_key`) nothing is shared.
    make : callable
        Computes the answer.
    """
    if _UNKNOWN in settings:
        return make()
    with _lock:
        fits = _by_sample.get(sample)
        if fits is None:
            fits = _by_content.setdefault(digest(sample), _Fits())
            _by_sample[sample] = fits
    if settings not in fits:
        fits[settings] = make()
    found: _T = fits[settings]
    return found


_UNKNOWN = "?"


def spec_key(spec: Any) -> Hashable:
    """Return what identifies a learner: its short name, or a digest of an estimator with its settings."""
    if spec is None or isinstance(spec, str):
        return spec if spec is None else f"name:{spec}"
    try:
        return hashlib.sha256(pickle.dumps(spec)).hexdigest()
    except Exception:  # whatever an estimator raises on being pickled: it can't be compared then
        return _UNKNOWN


def digest(sample: Sample) -> str:
    """Return a digest of every bound column."""
    found = hashlib.blake2b()
    for role in sorted(sample.columns):
        found.update(role.encode())
        _feed(found, sample.columns[role])
    return found.hexdigest()


def _feed(found: Any, column: Any) -> None:
    if isinstance(column, tuple):
        for part in column:
            _feed(found, part)
    elif isinstance(column, Features):
        found.update(repr((column.names, column.schema.levels)).encode())
        found.update(np.ascontiguousarray(column.values.T))
    elif isinstance(column, Number):
        found.update(column.name.encode())
        found.update(np.ascontiguousarray(column.values))
    elif isinstance(column, Arms | Groups):
        # The labels of clusters and units play no part in what is fitted; those of arms are in messages.
        found.update(repr((column.name, column.levels if isinstance(column, Arms) else ())).encode())
        found.update(np.ascontiguousarray(column.codes))
