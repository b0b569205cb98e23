"""Supplementary Figure 4 of Koo & Ploenzke (2021): gradients of the first kernel while a network is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from cisflow.figures.panels import epoch_axes
from cisflow.figures.read import gradient_table
from cisflow.figures.style import (
    GREY,
    TWO_COLUMNS,
    colour,
    history_label,
    label,
    missing,
    new_figure,
    panel,
    row_height,
    strip,
    style,
)

# Millimetres: a row of axes, what is between panels, above the first and below the last.
ROW, BETWEEN, ABOVE, BELOW = 26, 20, 13, 12
GRADIENT = "gradient of the loss with respect to the first kernel: mean ± s.d. over its elements"
DASHES = ("-", (0, (2.5, 1.2)), (0, (0.8, 0.8)))


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: in each panel a row an activation, a column a trial.

    Parameters
    ----------
    tables
        Path of `history`: that of a task with `training: {gradients: first}`.
    settings
        `model`, and `activations` (rows, in this order).

    Returns
    -------
    Figure
        Panels a: mean and s.d. of the gradient over the elements of the first kernel; b: losses; c: validation metrics.
    DataFrame
        The plotted numbers: run, model, activation, trial, epoch, gradient_mean, gradient_sd, losses and metrics.
    """
    table, model = gradient_table(tables["history"]), settings["model"]
    runs = [f"{model}_{activation}" for activation in settings["activations"]]
    table = table.filter(pl.col("run").is_in(runs))
    losses = ["train_loss", "valid_loss"]
    metrics = [name for name in table.columns if name.startswith("valid_") and name not in losses]
    trials = sorted(table["trial"].unique()) or [0]
    panels = {GRADIENT: ["gradient_mean"], "loss": losses, "validation metrics": metrics}
    height = len(runs) * row_height(ROW, 3 * len(runs), ABOVE + 2 * BETWEEN + BELOW)
    with style():
        figure = new_figure(TWO_COLUMNS, ABOVE + 3 * height + 2 * BETWEEN + BELOW)
        for number, (title, columns) in enumerate(panels.items()):
            place = strip(figure, top=ABOVE + number * (height + BETWEEN), height=height, left=20)
            grid = place.subgridspec(len(runs), len(trials), hspace=0.18, wspace=0.08).subplots(
                # The gradients of two activations may differ by orders of magnitude.
                sharex=True, sharey="row" if title == GRADIENT else True, squeeze=False,
            )  # fmt: skip
            for row, run in zip(grid, runs, strict=True):
                for axes, trial in zip(row, trials, strict=True):
                    own = table.filter((pl.col("run") == run) & (pl.col("trial") == trial))
                    _cell(axes, own, columns, band=title == GRADIENT)
            _names(grid, title, "abc"[number], settings["activations"], trials)
            if len(columns) > 1:
                _legend(grid[0, -1], columns)
    return figure, table.select("run", "model", "activation", "trial", "epoch", "gradient_mean", "gradient_sd",
        *losses, *metrics)  # fmt: skip


def _cell(axes: Axes, own: pl.DataFrame, columns: Sequence[str], band: bool) -> None:
    if own.select(pl.all_horizontal(pl.col(columns).is_null().all())).item():
        missing(axes, "no such trial" if own.is_empty() else "diverged")
        return
    shade = colour(own["activation"][0])
    if band:
        mean, sd = own["gradient_mean"], own["gradient_sd"]
        axes.fill_between(own["epoch"], mean - sd, mean + sd, color=shade, alpha=0.25, linewidth=0)
        axes.axhline(0, color=GREY, linewidth=0.4, zorder=0)
    marker = "o" if len(own) == 1 else None
    for column, dashes in zip(columns, DASHES, strict=False):
        axes.plot(own["epoch"], own[column], color=shade, linestyle=dashes, marker=marker, markersize=2.5)
    lacking = own.filter(pl.any_horizontal(pl.col(columns).is_null())).height
    if lacking:
        text = f"{lacking} of {own.height} epochs without a number"
        axes.text(0.98, 0.96, text, ha="right", va="top", fontsize=6, color=GREY, transform=axes.transAxes)


def _names(grid, title: str, letter: str, activations: Sequence[str], trials: Sequence[int]) -> None:
    for axes, trial in zip(grid[0], trials, strict=True):
        axes.set_title(f"trial {trial}", pad=3)
    for row, activation in zip(grid, activations, strict=True):
        row[0].annotate(
            label(activation), (0, 0.5), (-40, 0), "axes fraction", "offset points", rotation=90, ha="center",
            va="center", color=colour(activation), fontweight="bold",
        )  # fmt: skip
    epoch_axes(grid, 5)
    panel(grid[0, 0], letter, x=-16, y=6.5)
    grid[0, 0].annotate(title, (0, 1), (-10 / 25.4 * 72, 6.5 / 25.4 * 72), "axes fraction", "offset points")


def _legend(axes: Axes, columns: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=GREY, linestyle=dashes, label=history_label(column))
        for column, dashes in zip(columns, DASHES, strict=False)
    ]
    # On the line of the panel's title, whatever the height of the axes.
    place = axes.transAxes + ScaledTranslation(0, 7.5 / 25.4, axes.figure.dpi_scale_trans)
    about = {"ncols": len(columns), "handlelength": 2, "borderaxespad": 0}
    axes.legend(handles=handles, loc="center right", bbox_to_anchor=(1, 1), bbox_transform=place, **about)
