"""Errors that teach: each names what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence


class CausalKitError(ValueError):
    """Base of all errors raised on purpose by causalkit.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence that names the column, the count and the first row.
    hint : str, optional
        The remedy, in the imperative. It is appended to the message.
    column : str, optional
        The column at fault.
    rows : sequence of int, optional
        Positions (from zero) of the rows at fault; the first few are enough.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, column: str | None = None, rows: Sequence[int] = ()
    ) -> None:
        self.message = message
        self.hint = hint
        self.column = column
        self.rows = tuple(int(row) for row in rows)
        super().__init__(f"{message} {hint}" if hint else message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.column, self.rows)


def _rebuild(
    kind: type[CausalKitError], message: str, hint: str | None, column: str | None, rows: tuple[int, ...]
) -> CausalKitError:
    return kind(message, hint=hint, column=column, rows=rows)


class DataError(CausalKitError):
    """The table holds values that no honest analysis can use: infinite values, unknown columns, NaN identifiers."""


class DesignError(CausalKitError):
    """The configuration or the roles do not describe an analysis: one arm, no control named, an option that is unknown."""


class IdentificationError(CausalKitError):
    """The effect asked for is not identified from what was assumed."""


class ConvergenceError(CausalKitError):
    """An optimiser stopped before its certificate was met."""


class InferenceUnavailable(CausalKitError):
    """The quantity asked for can't be had from this result; the hint says what to do instead."""


class AssumptionWarning(UserWarning):
    """An identifying assumption looks doubtful in these data."""
