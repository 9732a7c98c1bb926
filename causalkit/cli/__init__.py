"""The command line: ``causalkit run | check | describe | list``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for an error of the user's."""
    from causalkit.cli.commands import parse

    return parse(sys.argv[1:] if argv is None else argv)
