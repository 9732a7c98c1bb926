"""A study file: data, an estimator, the roles, what follows, and the report."""

from __future__ import annotations

import dataclasses
import inspect
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

import causalkit
from causalkit.cli.calls import Call, call_of, is_call
from causalkit.cli.keys import complete, known
from causalkit.cli.listing import fit_keywords
from causalkit.cli.source import Source
from causalkit.core import format as fmt
from causalkit.core.design import Design, names_of
from causalkit.core.estimator import Estimator
from causalkit.core.presentation import Presentable
from causalkit.core.result import Report, Result
from causalkit.core.settings import say
from causalkit.data.frame import Frame
from causalkit.errors import DataError, DesignError

#: Keywords of a step that name levels or choices, not columns.
LEVELS = ("control", "treatment_level", "missing")
TABLES = ("data", "estimator", "roles", "then", "report")


@dataclass(frozen=True)
class Step:
    """What follows the fit: a public class with its configuration, and the keywords of its ``fit``."""

    tool: Any
    keywords: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What the step is called."""
        return type(self.tool).__name__

    def run(self, data: Any, result: Result) -> Presentable:
        """Run the step on the study's data and the fitted result."""
        followed: Presentable = self.tool.fit(data, effect=result, **self.keywords)
        return followed

    def validate(self, data: Any, estimator: Estimator[Any], roles: Mapping[str, Any], where: str) -> None:
        """Refuse what :meth:`run` would refuse whatever the effects are: no model, columns that do not fit.

        Raises
        ------
        DesignError, DataError
            If the estimator gives no effects person by person, or a column of the step can't play its role.
        """
        name = type(self.tool).__name__
        if not gives(estimator, "cate"):
            raise DesignError(
                f"{where}: {name} needs effects person by person, which {type(estimator).__name__} does not give.",
                hint="Use a model of effects as the estimator, such as DRLearner or CausalForest.",
            )
        frame, given = Frame.read(data), {**roles, **self.keywords}
        frame.require([column for key in self.keywords if key not in LEVELS for column in names_of(self.keywords[key])])
        bound = {role: spec for role, spec in causalkit.UpliftEvaluation.roles.items() if role in given}
        sample = Design(bound).bind(data, {"missing": "native", **given})
        if sample.has("treatment") and not isinstance(self.tool, causalkit.Targeting | causalkit.PolicyTree):
            from causalkit.uplift.held_out import require_one_arm

            require_one_arm(sample)


def gives(estimator: Estimator[Any], method: str) -> bool:
    """Tell whether what ``fit`` of an estimator returns (one of several classes, perhaps) has a method, by annotation."""
    returned = get_type_hints(type(estimator).estimate).get("return")
    return any(hasattr(kind, method) for kind in (get_args(returned) or (returned,)))


@dataclass(frozen=True)
class Study:
    """A study read from a TOML file; nothing in it is ever executed.

    Parameters
    ----------
    path : Path
        The file; a relative source is looked for beside it first.
    source : Source
        The data.
    estimator : Estimator
        The configured estimator.
    roles : mapping
        Keywords of its ``fit``.
    steps : tuple of Step or Call
        What follows the fit.
    report : mapping
        ``title`` and ``subtitle``.
    """

    path: Path
    source: Source
    estimator: Estimator[Any]
    roles: Mapping[str, Any]
    steps: tuple[Step | Call, ...] = ()
    report: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Study:
        """Read and validate a study file.

        Raises
        ------
        DataError
            If the file is not there or is not TOML.
        DesignError
            If a table or a key is not known; the message names close matches.
        """
        config = _load(path)
        known(config, TABLES, f"{path.name}", "table")
        for table in ("data", "estimator", "roles"):
            if not isinstance(config.get(table), dict):
                raise DesignError(
                    f"{path.name} has no [{table}] table.", hint=f"Add [{table}]; see examples/vouchers.toml."
                )
        known(config["data"], ("source", "rename", "recode"), "[data]", "key")
        if "name" not in config["estimator"]:
            raise DesignError("[estimator] has no name.", hint='Write name = "OLS"; `causalkit list` shows all.')
        estimator = Estimator.from_dict(config["estimator"])
        known(config["roles"], fit_keywords(type(estimator)), f"[roles] of {type(estimator).__name__}", "role")
        complete(config["roles"], _of_fit(type(estimator)), "[roles]")
        steps = tuple(
            _step(step, number, config["roles"]) for number, step in enumerate(_listed(config.get("then", [])), 1)
        )
        report = config.get("report", {})
        known(report, ("title", "subtitle"), "[report]", "key")
        for key, text in report.items():
            if not isinstance(text, str):
                raise DesignError(f"[report] {key}={text!r} is not text.", hint=f'Write {key} = "...".')
        return cls(path, Source.read(config["data"]), estimator, config["roles"], steps, report)

    def load(self) -> Any:
        """Return the data."""
        return self.source.load(self.path)

    def check(self) -> str:
        """Refuse what :meth:`run` would refuse before it computes anything, and say what would be run.

        The data are bound to the roles of the estimator and of every step; nothing is estimated.
        """
        data = self.load()
        sample = self.estimator.bind(data, **self._given())
        self.estimator.validate(sample)
        for number, step in enumerate(self.steps, 1):
            step.validate(data, self.estimator, self.roles, f"[[then]] number {number}")
        lines = [
            f"{self.path.name} is valid.",
            f"data: {self.source.name}, {fmt.plural(sample.n_input, 'row')}, of which {sample.n:,} would be used",
            f"estimator: {self.estimator!r}",
        ]
        lines += [
            f"  left out: {count:,} for {reason} ({name})" for reason, name, count, _ in sample.dropped.reasons if count
        ]
        lines += [f"then: {step.tool!r}" if isinstance(step, Step) else f"then: {step.label}" for step in self.steps]
        return "\n".join(lines)

    def run(self) -> Outcome:
        """Run everything."""
        say(f"reading {self.source.name}")
        data = self.load()
        for number, step in enumerate(self.steps, 1):  # a fit is not thrown away for what could be known before
            step.validate(data, self.estimator, self.roles, f"[[then]] number {number}")
        say(f"fitting {type(self.estimator).__name__}")
        result = self.estimator.fit(data, **self.roles)  # type: ignore[attr-defined]
        parts: list[Presentable] = [result]
        for step in self.steps:
            say(f"running {step.label}")
            parts.append(step.run(data, result))
        return Outcome(self, tuple(parts))

    def require_writable(self, path: Path) -> None:
        """Raise before the work begins if the report could not be written."""
        from causalkit.report.write import SUFFIXES

        if path.suffix.lower() not in SUFFIXES:
            raise DesignError(f"--out {str(path)!r} has no known suffix.", hint=f"Use one of {', '.join(SUFFIXES)}.")
        if not path.resolve().parent.is_dir():
            raise DataError(f"the folder of {str(path)!r} does not exist.", hint="Create it first.")

    def _given(self) -> dict[str, Any]:
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(self.estimator.fit).parameters.items()  # type: ignore[attr-defined]
            if parameter.default is not inspect.Parameter.empty
        }
        return {**defaults, **self.roles}


@dataclass(frozen=True)
class Outcome:
    """What a study came to: the fitted result and what followed."""

    study: Study
    parts: tuple[Presentable, ...]

    def summary(self) -> str:
        """Return the answers in a few lines, and the checks that need attention."""
        from causalkit.core.presentation import check_lines

        title = self.study.report.get("title", self.study.path.stem)
        lines = [title, "=" * len(title)]
        lines += [f"{part.title}\n  {part.answer}" for part in self.parts]
        ledger = self.parts[0].checks
        for part in self.parts[1:]:
            ledger = ledger.joined(part.checks)
        return "\n".join([*lines, "", *check_lines(ledger)])

    def write(self, path: Path) -> list[Path]:
        """Write the report, the numbers as JSON beside it, and the list of people where there is one."""
        from causalkit.report.write import write_report

        report = self.study.report
        first, last = self.parts[0], _last_word(self.parts)
        common: dict[str, Any] = {
            "lead": first.answer if first is last else f"{first.answer} {last.answer}",
            "title": report.get("title", self.study.path.stem),
            "subtitle": report.get("subtitle", ""),
            "metadata": {"Data": self.study.source.name},
        }
        targets = dict.fromkeys([path, path.with_suffix(".json")])
        written = [write_report(self.parts, target, **common) for target in targets]
        people = self.people()
        if people is not None:
            written.append(path.with_name(f"{path.stem}_people.csv"))
            people.to_csv(written[-1], index=False)
        return written

    def people(self) -> Any:
        """Return one row per person (row of the data, segment, effect, treat, ...), or None where no step tells people apart."""
        listed = None
        for part in self.parts:
            if not (isinstance(part, Report) and hasattr(part, "rows")):
                continue
            frame = part.to_frame()
            if listed is not None:
                frame = frame[["row", *(name for name in frame.columns if name not in listed.columns)]]
            listed = frame if listed is None else listed.merge(frame, on="row", how="outer")
        return listed


def _last_word(parts: tuple[Presentable, ...]) -> Presentable:
    """Return the last part that finds or plans something; others only say how sure we are."""
    said = [part for part in parts if any(passage.section in ("found", "action") for passage in part.passages())]
    return said[-1] if said else parts[0]


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no study file {str(path)!r}.", hint="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the study file {str(path)!r} can't be read: {error}.", hint="It must be UTF-8 text."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path.name} is not valid TOML: {error}.", hint="See examples/vouchers.toml.") from None


def _listed(steps: Any) -> list[dict[str, Any]]:
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise DesignError("what follows the fit is written as [[then]] tables.", hint="Use double brackets: [[then]].")
    return steps


def _step(config: Mapping[str, Any], number: int, roles: Mapping[str, Any]) -> Step | Call:
    """Build a step: keys that are fields configure it, the others (and names of columns) are keywords of its ``fit``."""
    where = f"[[then]] number {number}"
    values = dict(config)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise DesignError(f"{where} has no name.", hint='Write name = "Targeting".')
    if is_call(name):
        return call_of(name, values, roles, where)
    try:
        kind = getattr(causalkit, name)
    except AttributeError as error:
        raise DesignError(f"{where}: {error}") from None
    if not (dataclasses.is_dataclass(kind) and isinstance(kind, type) and "effect" in fit_keywords(kind)):
        raise DesignError(
            f"{where}: {name!r} can't follow a fit.", hint="Use one that takes an effect, such as Targeting."
        )
    fields = [f.name for f in dataclasses.fields(kind)]
    keywords = [keyword for keyword in fit_keywords(kind) if keyword != "effect"]
    known(values, (*fields, *keywords), f"{where} ({name})", "key")
    complete({"effect", *values}, _of_fit(kind), where)
    # Targeting's cost is a number of the configuration, or a column of the table that its `fit` takes.
    settings = {
        key for key, value in values.items() if key in fields and not (key in keywords and isinstance(value, str))
    }
    tool = kind(**{key: values[key] for key in settings})
    return Step(tool, {key: value for key, value in values.items() if key not in settings})


def _of_fit(kind: Any) -> list[inspect.Parameter]:
    """Return the keywords of ``fit``, without ``self`` and the data."""
    return list(inspect.signature(kind.fit).parameters.values())[2:]
