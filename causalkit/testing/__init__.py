"""The public contract suite: what every estimator must pass, ours and yours.

``check_estimator(MyEstimator())`` runs it all; ``checks_for`` hands out the checks one by one, for ``pytest.mark.parametrize``.
"""

from __future__ import annotations

from causalkit.testing.suite import check_estimator, checks_for

__all__ = ["check_estimator", "checks_for"]
