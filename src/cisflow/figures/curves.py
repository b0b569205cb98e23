"""Activation functions as curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cisflow.figures.style import GREY, ONE_COLUMN, colour, dashes, label, new_figure, strip, style
from cisflow.models.activations import FUNCTIONS


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the functions that `settings` names (`config.figures.Curves`), and return them in points."""
    with style():
        figure = new_figure(ONE_COLUMN, 70)
        axes = figure.add_subplot(strip(figure, top=4, height=54))
        points = curves(axes, settings["activations"], settings["x"], settings["y"])
        axes.legend(loc="upper left", handlelength=2.4)
    return figure, points


def curves(axes: Axes, activations: Sequence[str], within: Sequence[float], heights: Sequence[float]) -> pl.DataFrame:
    """Draw activation functions.

    Parameters
    ----------
    axes
        Where.
    activations
        Which; those of one colour differ in their dashes.
    within, heights
        Limits of the axes.

    Returns
    -------
    DataFrame
        Columns activation, x, value.
    """
    x = torch.linspace(*within, 501, dtype=torch.float64)
    parts = []
    for activation in activations:
        y = FUNCTIONS[activation](x).numpy()
        seen = np.where((y >= heights[0]) & (y <= heights[1]), y, np.nan)
        line = {"color": colour(activation), "linestyle": dashes(activation)}
        axes.plot(x.numpy(), seen, label=label(activation), **line)
        part = pl.DataFrame({"x": x.numpy(), "value": y}).with_columns(pl.lit(activation).alias("activation"))
        parts.append(part)
    axes.axhline(0, color=GREY, linewidth=0.4, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.4, zorder=0)
    axes.set(xlim=within, ylim=heights, xlabel="pre-activation $x$", ylabel="activation $f(x)$")
    return pl.concat(parts)
