"""``check_estimator`` and ``checks_for``: the whole contract, or its parts one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

from causalkit.core.estimator import Estimator
from causalkit.errors import DesignError
from causalkit.testing.probe import PROBES, Body
from causalkit.testing.subject import Subject

_MODULES = (
    "invariance",
    "dtypes",
    "polarity",
    "purity",
    "inferences",
    "bad_input",
    "weighting",
    "configuration",
    "showing",
)


def check_estimator(estimator: Estimator[Any], data: Any = None, *, fast: bool = False, **roles: Any) -> None:
    """Run every check of the contract on an estimator, and report all that fail at once.

    Parameters
    ----------
    estimator : Estimator
        The configuration to check; make it a small one (few folds, few draws), it is fitted some forty times.
    data : pandas.DataFrame, optional
        A study to check it on. By default a randomized study of 300 rows is made to suit ``estimator.roles``.
    fast : bool
        Leave out the checks that cost the most fits.
    **roles
        Keywords of ``fit``, needed with ``data``; without it they replace the ones that would be chosen.

    Raises
    ------
    AssertionError
        If a check fails; the message has one line for each.

    Examples
    --------
    >>> import causalkit as ck
    >>> ck.testing.check_estimator(ck.OLS(), fast=True)
    """
    failed = []
    for name, check in checks_for(estimator, data, fast=fast, **roles):
        try:
            check()
        except Exception as error:  # an unexpected error fails the check like a broken promise
            failed.append(f"{name}: {error if isinstance(error, AssertionError) else repr(error)}")
    if failed:
        raise AssertionError(f"{type(estimator).__name__} breaks the contract:\n" + "\n".join(failed))


def checks_for(
    estimator: Estimator[Any], data: Any = None, *, fast: bool = False, **roles: Any
) -> list[tuple[str, Callable[[], None]]]:
    """Return the checks that apply to an estimator, as (name, function without arguments).

    Parameters
    ----------
    estimator : Estimator
        The configuration to check.
    data : pandas.DataFrame, optional
        A study to check it on; see :func:`check_estimator`.
    fast : bool
        Leave out the checks that cost the most fits.
    **roles
        Keywords of ``fit``.

    Returns
    -------
    list of (str, callable)
        The checks share one base fit.

    Raises
    ------
    DesignError
        If ``estimator`` is not an instance of Estimator.
    """
    if not isinstance(estimator, Estimator):
        given = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
        raise DesignError(
            f"{given} is not an Estimator.", hint="Pass an instance of a subclass: check_estimator(Mine())."
        )
    subject = Subject.of(estimator, data, roles, fast)
    chosen = [probe for probe in _probes() if not (fast and probe.slow) and probe.applies(subject)]
    return [(probe.name, partial(_run, probe.body, subject)) for probe in chosen]


@cache
def _probes() -> tuple[Any, ...]:
    for module in _MODULES:
        import_module(f"causalkit.testing.{module}")
    return tuple(PROBES)


def _run(body: Body, subject: Subject) -> None:
    body(subject)
