"""Steps of a study file that are functions of a family (``did.placebo_in_time``) or an operation of the result."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import causalkit
from causalkit.cli.keys import complete, known
from causalkit.core.estimator import Estimator
from causalkit.core.presentation import Presentable
from causalkit.core.result import Result
from causalkit.data.frame import Frame
from causalkit.errors import DesignError

#: Packages whose functions may follow a fit, and the strategy that an estimator must share for it.
FAMILIES = {"did": "parallel_trends", "rdd": "discontinuity", "iv": "instrument"}
#: Functions that may follow any fit.
ANYWHERE = ("balance", "refute", "sensitivity")
#: Operations of a result that may follow a fit.
OPERATIONS = ("aggregate",)


#: Keywords of these functions that name columns of the table.
_COLUMNS = ("outcome", "negative_outcomes", "negative_treatments")


@dataclass(frozen=True)
class Call:
    """A function that follows the fit: its first argument is the data or the result, the others are given.

    Parameters
    ----------
    label : str
        Its name in the study file.
    function : callable or None
        None for an operation of the result.
    keywords : mapping
        What the study file gives.
    roles : mapping
        Roles of the study, for a function that takes the data.
    """

    label: str
    function: Callable[..., Any] | None
    keywords: Mapping[str, Any]
    roles: Mapping[str, Any]

    def run(self, data: Any, result: Result) -> Presentable:
        """Call it on the study's data and the fitted result.

        Raises
        ------
        DesignError
            If what comes back has nothing to show.
        """
        if self.function is None:
            found = getattr(result, self.label)(**self.keywords)
        else:
            first, *others = inspect.signature(self.function).parameters
            known = {"data": data, "result": result}
            given = {"data": data} if "data" in others else {}
            if first == "data":
                given |= {role: value for role, value in self.roles.items() if role in others}
            found = self.function(known.get(first, result), **{**given, **self.keywords})
        if not isinstance(found, Presentable):
            raise DesignError(f"{self.label} gives nothing that a report could show.")
        return found

    def validate(self, data: Any, estimator: Estimator[Any], roles: Mapping[str, Any], where: str) -> None:
        """Refuse what :meth:`run` would refuse whatever the numbers are.

        Raises
        ------
        DesignError, DataError
            If the estimator is of another family, has no such operation, or a column is not there.
        """
        name = type(estimator).__name__
        if self.function is None:
            from causalkit.cli.study import gives

            if not gives(estimator, self.label):
                raise DesignError(f"{where}: a result of {name} can't {self.label}.", hint="Leave this step out.")
            return
        family = self.label.partition(".")[0]
        if self.label not in ANYWHERE and FAMILIES[family] not in estimator.strategies:
            raise DesignError(
                f"{where}: {self.label} does not go with {name}.", hint=f"Use it after an estimator of {family}."
            )
        for key in _COLUMNS:
            columns = self.keywords.get(key, ())
            Frame.read(data).require([columns] if isinstance(columns, str) else list(columns))


def is_call(name: str) -> bool:
    """Whether the name of a step is that of a function or an operation."""
    return name in OPERATIONS or name in ANYWHERE or "." in name


def call_of(name: str, values: Mapping[str, Any], roles: Mapping[str, Any], where: str) -> Call:
    """Read a step.

    Raises
    ------
    DesignError
        If there is no such function, or it has no such argument, or lacks one.
    """
    if name in OPERATIONS:
        from causalkit.did.event_study import EventStudyResult

        function, target = None, getattr(EventStudyResult, name)
    else:
        function = target = _function(name, where)
    parameters = list(inspect.signature(target).parameters.values())[1:]
    known(values, [p.name for p in parameters if p.name != "data"], f"{where} ({name})", "key")
    takes_data = function is not None and next(iter(inspect.signature(function).parameters)) == "data"
    filled = {*values, "data", *(roles if takes_data else ())}
    complete(filled, parameters, where)
    return Call(name, function, dict(values), roles)


def functions() -> dict[str, Callable[..., Any]]:
    """Return every function that may follow a fit, by its name in a study file."""
    found: dict[str, Callable[..., Any]] = {name: getattr(causalkit, name) for name in ANYWHERE}
    for family in FAMILIES:
        package = getattr(causalkit, family)
        found |= {f"{family}.{name}": getattr(package, name) for name in package.__all__}
    return found


def _function(name: str, where: str) -> Callable[..., Any]:
    import difflib

    offered = functions()
    if name not in offered:
        close = difflib.get_close_matches(name, offered, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(offered)}."
        raise DesignError(f"{where}: {name!r} can't follow a fit.", hint=hint)
    return offered[name]
