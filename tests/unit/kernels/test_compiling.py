from __future__ import annotations

from numba import njit

from causalkit.kernels.compiling import on_compilation


def test_it_tells_once_and_only_when_something_is_compiled():
    told = []

    @njit
    def one(x):
        return x + 1

    @njit
    def two(x):
        return one(x) + 1

    with on_compilation(lambda: told.append("now")):
        two(1)
    assert told == ["now"]
    with on_compilation(lambda: told.append("again")):
        two(2)
    assert told == ["now"]
