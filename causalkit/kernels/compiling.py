"""Tell when loops are being compiled: the first use after an installation takes a few seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _First(event.Listener):  # type: ignore[misc]
    """Calls back when something is compiled for the first time; loops found in the cache don't count."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def on_start(self, event: Any) -> None:
        if self._callback is not None:
            callback, self._callback = self._callback, None
            callback()

    def on_end(self, event: Any) -> None:
        """Do nothing."""


@contextmanager
def on_compilation(callback: Callable[[], None]) -> Iterator[None]:
    """Call ``callback`` once if anything is compiled inside the block."""
    with event.install_listener("numba:compile", _First(callback)):
        yield
