"""The figure of an average outcome against a dose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dose_response(data: PlotData) -> Figure:
    """Draw the average outcome if everybody had a dose, against the dose.

    Parameters
    ----------
    data : mapping
        ``dose`` (k floats, rising), ``value``, ``low``, ``high`` (k floats, in the outcome's unit); optional ``band_low``,
        ``band_high`` (k floats, simultaneous), ``xlabel``, ``ylabel``.
    """
    dose, value, low, high = contract.columns(data, "dose", "value", "low", "high")
    band = [contract.optional(data, f"band_{side}", dose.size) for side in ("low", "high")]
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    if band[0] is not None and band[1] is not None:
        axes.fill_between(dose, band[0], band[1], color=theme.BLUE, alpha=0.1, linewidth=0)
    axes.fill_between(dose, low, high, color=theme.BLUE, alpha=0.2, linewidth=0)
    axes.plot(dose, value, color=theme.BLUE, solid_capstyle="round")
    theme.dress(
        axes,
        xlabel=contract.text(data, "xlabel", "Dose"),
        ylabel=contract.text(data, "ylabel", "Average outcome"),
    )
    return figure
