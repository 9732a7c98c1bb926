"""Settings of a session: they change how much is printed, how many threads run and what is kept, never a number."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace

from causalkit.errors import DesignError


@dataclass(frozen=True)
class Settings:
    """What :func:`options` sets.

    Parameters
    ----------
    progress : bool or None
        Whether long computations say on stderr how far they are; None: only on a terminal.
    n_jobs : int
        Threads where an estimator's ``n_jobs`` is None.
    keep_influence : bool
        Whether a result keeps influence values of any size.
    """

    progress: bool | None = None
    n_jobs: int = 1
    keep_influence: bool = False


def _from_environment() -> Settings:
    progress = os.environ.get("CAUSALKIT_PROGRESS")
    jobs = os.environ.get("CAUSALKIT_N_JOBS", "1")
    return Settings(
        progress=None if progress is None else progress not in ("0", "", "false"),
        n_jobs=int(jobs) if jobs.isdigit() and int(jobs) > 0 else 1,
    )


_settings = _from_environment()


def settings() -> Settings:
    """Return the settings in force."""
    return _settings


class options:
    """Set options for the session, or for a ``with`` block.

    Parameters
    ----------
    progress : bool, optional
        Say on stderr how far a long computation is.
    n_jobs : int, optional
        Threads for estimators whose ``n_jobs`` is None. Answers do not depend on it.
    keep_influence : bool, optional
        Keep the influence values of a result however large they are. By default those above 256 MB are folded into
        their covariance: the result then can't be re-clustered, nor subtracted from another.

    Examples
    --------
    >>> import causalkit as ck
    >>> _ = ck.options(n_jobs=2)
    >>> with ck.options(progress=False, keep_influence=True):
    ...     pass
    """

    def __init__(
        self, *, progress: bool | None = None, n_jobs: int | None = None, keep_influence: bool | None = None
    ) -> None:
        global _settings
        if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs < 1):
            raise DesignError(f"n_jobs={n_jobs!r} is not a whole number from 1.", hint="Pass the number of threads.")
        self._before = _settings
        changes: dict[str, object] = {}
        if progress is not None:
            changes["progress"] = bool(progress)
        if n_jobs is not None:
            changes["n_jobs"] = n_jobs
        if keep_influence is not None:
            changes["keep_influence"] = bool(keep_influence)
        _settings = replace(_settings, **changes)  # type: ignore[arg-type]

    def __enter__(self) -> Settings:
        return _settings

    def __exit__(self, *_: object) -> None:
        global _settings
        _settings = self._before


def n_jobs_or_default(n_jobs: int | None) -> int:
    """Return ``n_jobs``, or the session's setting where it is None."""
    return settings().n_jobs if n_jobs is None else n_jobs


def say(message: str) -> None:
    """Write one line of progress to stderr, where progress is on."""
    wanted = settings().progress
    if wanted or (wanted is None and sys.stderr.isatty()):
        print(message, file=sys.stderr, flush=True)
