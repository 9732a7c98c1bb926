"""What results of a panel share: figures of its rows, effects that are means, and a test of what came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from causalkit.core.effects import Effects, Test
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.did.panel_figures import FIGURES, panel_figure, panel_figures


class PanelResult(Result):
    """A result of units over time.

    Attributes
    ----------
    drawn : tuple of str
        Figures of the estimates; those of the panel come after them.
    """

    drawn: ClassVar[tuple[str, ...]] = ("event_study", "effects")

    @property
    def plots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds that :meth:`plot` draws; those of the panel need its rows."""
        return (*self.drawn, *panel_figures(self.sample))

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of one figure."""
        return panel_figure(kind, self._kept()) if kind in FIGURES else super().plot_data(kind)

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: each effect is a mean; what comes from a regression knows its own factor."""
        return 1


class TrendTested(PanelResult):
    """A result with effects before the start."""

    if TYPE_CHECKING:

        def _tested(self) -> tuple[Effects, list[str]]: ...  # what is taken for zero: some terms of some effects

    def pre_trends(self) -> Test:
        """Test that all effects before the start, but those that fit exactly, are zero (Wald).

        Raises
        ------
        InferenceUnavailable
            If there are none.
        """
        effects, terms = self._tested()
        return effects.joint_test(terms)
