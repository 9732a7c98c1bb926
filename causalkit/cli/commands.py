"""The subcommands: reading their arguments, printing their answers, turning errors into one clear message."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from causalkit import __version__
from causalkit.errors import CausalKitError


def parse(argv: Sequence[str]) -> int:
    """Run the command that ``argv`` names; errors of the toolkit exit with 2 and one message on stderr."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], None] = arguments.command
    try:
        command(arguments)
    except CausalKitError as error:
        print(f"causalkit: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output left, as `head` does
        # Nobody reads any more: a flush at the exit must not fail too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a file that may not be read or written
        print(f"causalkit: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="causalkit", description="From a table to a causal decision: effects, targeting, checks, and a report."
    )
    parser.add_argument("--version", action="version", version=f"causalkit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a study file and write its report")
    run.add_argument("study", metavar="STUDY.toml", type=Path)
    run.add_argument(
        "--out",
        type=Path,
        help="the report (.html, .md, .tex or .json); the numbers go to a .json beside it",
        metavar="REPORT",
    )
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="validate a study file and its data without running it")
    check.add_argument("study", metavar="STUDY.toml", type=Path)
    check.set_defaults(command=_check)

    describe = commands.add_parser("describe", help="say in plain words what is in a table")
    describe.add_argument("data", metavar="DATA", help="file.csv, file.parquet or duckdb://file.db#table")
    describe.set_defaults(command=_describe)

    listing = commands.add_parser("list", help="list the estimators and what they need")
    listing.set_defaults(command=_list)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from causalkit.cli.study import Study

    study = Study.read(arguments.study)
    if arguments.out is not None:
        study.require_writable(arguments.out)
    outcome = study.run()
    print(outcome.summary())
    if arguments.out is not None:
        for path in outcome.write(arguments.out):
            print(f"wrote {path}", file=sys.stderr)


def _check(arguments: argparse.Namespace) -> None:
    from causalkit.cli.study import Study

    print(Study.read(arguments.study).check())


def _describe(arguments: argparse.Namespace) -> None:
    from causalkit.cli.describe import describe
    from causalkit.data.sources import load_source

    print(describe(load_source(arguments.data), arguments.data))


def _list(arguments: argparse.Namespace) -> None:
    from causalkit.cli.listing import listing

    print(listing())
