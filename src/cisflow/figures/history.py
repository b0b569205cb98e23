"""Supplementary Figure 3 of Koo & Ploenzke (2021): losses and metric of every trial, epoch by epoch."""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.figures.panels import epoch_axes
from cisflow.figures.read import history_tables
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

# Millimetres: a row of axes, and what is above and below all of them.
ROW, ABOVE, BELOW = 34, 14, 15
# A loss whose highest value is this many times its lowest is drawn on a logarithmic axis.
WIDE = 20


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: a panel for each column of the history, a row an activation, a column a model, a line a trial.

    Parameters
    ----------
    tables
        Paths of one or more history tables, under any names. A run is that of the first table that has it.
    settings
        `activations` (rows), `models` (columns of each panel) and `columns` (panels), all in this order.

    Returns
    -------
    Figure
        Side by side, the panels share their rows; the axes of a panel share their scales.
    DataFrame
        The plotted numbers: task, run, model, activation, trial, epoch, and the columns.
    """
    activations, models, columns = settings["activations"], settings["models"], settings["columns"]
    table = history_tables(tables, columns)
    # Not every run of these models and activations: those of a sweep are no trials of one thing.
    table = table.filter(pl.col("run").is_in([f"{m}_{a}" for m in models for a in activations]))
    height = len(activations) * row_height(ROW, len(activations), ABOVE + BELOW)
    with style():
        figure = new_figure(TWO_COLUMNS, ABOVE + height + BELOW)
        whole = strip(figure, top=ABOVE, height=height, left=17, right=3)
        places = whole.subgridspec(1, len(columns), wspace=0.16)
        for place, column, letter in zip(places, columns, ascii_lowercase, strict=False):
            _panel(figure, place, table, column, letter, activations, models)
        figure.text(17 / TWO_COLUMNS, 0.008, _how_many(table), color=GREY, fontsize=6, va="bottom")
    return figure, table.select("task", "run", "model", "activation", "trial", "epoch", *columns)


def _panel(
    figure: Figure, place: SubplotSpec, table: pl.DataFrame, column: str, letter: str, activations: Sequence[str],
    models: Sequence[str],
) -> None:  # fmt: skip
    grid = place.subgridspec(len(activations), len(models), hspace=0.14, wspace=0.14).subplots(
        sharex=True, sharey=True, squeeze=False
    )
    for row, activation in zip(grid, activations, strict=True):
        for axes, model in zip(row, models, strict=True):
            _lines(axes, table.filter(pl.col("run") == f"{model}_{activation}"), column)
    for axes, model in zip(grid[0], models, strict=True):
        axes.set_title(model, pad=3)
    if letter == "a":
        for row, activation in zip(grid, activations, strict=True):
            row[0].annotate(
                label(activation), (0, 0.5), (-26, 0), "axes fraction", "offset points", rotation=90, ha="center",
                va="center", color=colour(activation), fontweight="bold",
            )  # fmt: skip
    _scale(grid[0, 0], table[column])
    epoch_axes(grid, 2)
    panel(grid[0, 0], letter, x=-4, y=7.5)
    grid[0, 0].annotate(history_label(column), (0, 1), (0, 7.5 / 25.4 * 72), "axes fraction", "offset points")


def _lines(axes: Axes, own: pl.DataFrame, column: str) -> None:
    if own.is_empty():
        missing(axes, "no such\nrun")
        return
    for part in own.partition_by("trial", maintain_order=True):
        # A single epoch is a dot, or it could not be seen.
        marker = "o" if len(part) == 1 else None
        line = {"color": colour(part["activation"][0]), "alpha": 0.7, "linewidth": 0.7, "markersize": 2}
        axes.plot(part["epoch"], part[column], marker=marker, **line)
    lacking = own.filter(pl.col(column).is_null())["trial"].n_unique()
    if lacking:
        text = f"{lacking} of {own['trial'].n_unique()} trials\ndiverged"
        axes.text(0.97, 0.97, text, ha="right", va="top", fontsize=6, color=GREY, transform=axes.transAxes)


def _scale(axes: Axes, values: pl.Series) -> None:
    low, high = values.min(), values.max()
    if low is not None and values.name.endswith("loss") and low > 0 and high > WIDE * low:
        axes.set_yscale("log")


def _how_many(table: pl.DataFrame) -> str:
    trials = table.group_by("run").agg(pl.col("trial").n_unique())["trial"]
    if trials.is_empty():
        return ""
    low, high = trials.min(), trials.max()
    return f"A line is a trial; {low if low == high else f'{low} to {high}'} trial{'s' * (high > 1)} of each."
