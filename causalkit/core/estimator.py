"""The base of every estimator: a frozen configuration whose ``fit`` binds a table and whose ``estimate`` computes."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from causalkit.core.design import Design
from causalkit.core.params import enforce
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.errors import DesignError

R = TypeVar("R", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Estimator(Generic[R]):
    """Method choices only; data roles are named at :meth:`fit`, and what comes back is an immutable result.

    A subclass is a frozen dataclass whose fields are declared with :mod:`causalkit.core.params`. It states

    - ``roles``: what each keyword of its ``fit`` must be;
    - ``assignment``: which role is assigned, at which level (what a placebo may permute);
    - ``strategies``: the identification strategies it can carry out;

    and implements ``fit`` (which only writes its keywords out) and ``estimate``.
    """

    roles: ClassVar[Mapping[str, Role]] = {}
    assignment: ClassVar[Assignment | None] = None
    strategies: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        enforce(self)

    def estimate(self, sample: Sample) -> R:
        """Run the analysis on a bound sample."""
        raise NotImplementedError

    def _fit(self, data: Any, **given: Any) -> R:
        """Bind and estimate: ``fit = bind(data, roles) -> Sample -> estimate(sample)``."""
        return self.seeded().estimate(self.bind(data, **given))

    def bind(self, data: Any, **given: Any) -> Sample:
        """Validate a table against the roles of this estimator and return its rows as arrays.

        Parameters
        ----------
        data : table
            As for ``fit``.
        **given
            The keywords of ``fit``.
        """
        return Design(self.roles).bind(data, given)

    def validate(self, sample: Sample) -> None:
        """Raise what :meth:`estimate` would raise before it computes anything; ``causalkit check`` calls it.

        Parameters
        ----------
        sample : Sample
            The bound rows.
        """

    def seeded(self) -> Estimator[R]:
        """Return the estimator with a seed drawn where ``random_state`` is None, so that the result stores it."""
        if getattr(self, "random_state", 0) is None:
            return self.replace(random_state=secrets.randbits(31))
        return self

    def replace(self, **changes: Any) -> Estimator[R]:
        """Return the same configuration with some fields changed."""
        unknown = sorted(set(changes) - set(self.params()))
        if unknown:
            raise _unknown(type(self).__name__, unknown[0], self.params())
        return dataclasses.replace(self, **changes)

    def params(self) -> dict[str, Any]:
        """Return the configuration as a dictionary of field to value."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def to_dict(self) -> dict[str, Any]:
        """Return the class name and every field that is not at its default, ready for JSON or TOML.

        Raises
        ------
        DesignError
            If a field holds an object (such as a scikit-learn estimator) that a file can't hold.
        """
        out: dict[str, Any] = {"name": type(self).__name__}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value == f.default:
                continue
            if not isinstance(value, str | int | float | bool | list | tuple):
                raise DesignError(
                    f"{f.name}={value!r} can't be written to a file.",
                    hint="Only numbers, text and lists can; keep it in Python.",
                )
            out[f.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Estimator[Any]:
        """Build an estimator from :meth:`to_dict`: its public ``name`` and its fields.

        Raises
        ------
        DesignError
            If the name is no estimator, or a field does not exist.
        """
        from causalkit.core._upward import public

        fields = dict(config)
        name = fields.pop("name", cls.__name__)
        if not isinstance(name, str):
            raise DesignError(f"name={name!r} is not the name of an estimator.", hint='Write name = "OLS".')
        try:
            kind = cls if name == cls.__name__ else public(name)  # a user's own class is in no table
        except AttributeError as error:
            raise DesignError(str(error)) from None
        if not (isinstance(kind, type) and issubclass(kind, cls)):
            raise DesignError(f"{name!r} is not an estimator.", hint="`causalkit list` names those that there are.")
        known = [f.name for f in dataclasses.fields(kind)]
        for key in fields:
            if key not in known:
                raise _unknown(name, key, known)
        return kind(**fields)

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Estimator[Any]:
        """Build an estimator from :meth:`to_json`."""
        return cls.from_dict(json.loads(text))

    def to_toml(self) -> str:
        """Return the configuration as the ``[estimator]`` table of a study file."""
        # A JSON scalar or list of scalars is valid TOML too.
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in self.to_dict().items()]
        return "\n".join(["[estimator]", *lines]) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Estimator[Any]:
        """Build an estimator from :meth:`to_toml` (or from a whole study file)."""
        import tomllib

        config = tomllib.loads(text)
        if "estimator" not in config:
            raise DesignError("the text has no [estimator] table.", hint='Start with [estimator] and name = "OLS".')
        return cls.from_dict(config["estimator"])


def _unknown(owner: str, key: str, known: Any) -> DesignError:
    import difflib

    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Fields: {', '.join(known)}."
    return DesignError(f"{owner} has no field {key!r}.", hint=hint)
