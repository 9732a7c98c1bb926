"""Names for live table objects, so that two results can tell whether they saw the same table."""

from __future__ import annotations

import threading
import uuid
import weakref
from typing import Any

_lock = threading.RLock()
_known: dict[int, tuple[weakref.ref[Any], str]] = {}


def token_of(native: object) -> str:
    """Return the identity of a live object: the same object has the same token, any other a new one.

    Parameters
    ----------
    native : object
        Usually a table as its library made it. Its content is never read, so a table changed in place keeps its token.

    Returns
    -------
    str
        32 hexadecimal digits, unique across processes. An object that can't be referenced weakly (a dict) gets a fresh
        token on every call: an unknown identity must not look like a shared one.
    """
    key = id(native)
    with _lock:
        known = _known.get(key)
        if known is not None and known[0]() is native:
            return known[1]
        token = uuid.uuid4().hex
        try:
            reference = weakref.ref(native, lambda gone: _forget(key, gone))
        except TypeError:
            return token
        _known[key] = (reference, token)
        return token


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    """Drop the entry of a dead object, unless its address was already taken over by another."""
    with _lock:
        known = _known.get(key)
        if known is not None and known[0] is gone:
            del _known[key]
