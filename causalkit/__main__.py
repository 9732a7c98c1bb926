"""``python -m causalkit``."""

from __future__ import annotations

import sys

from causalkit.cli import main

sys.exit(main())
