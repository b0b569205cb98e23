"""How many references attributions need: scores against the ground truth by their number."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cisflow.figures.read import reference_tables
from cisflow.figures.style import (
    GREY,
    METHOD_LABELS,
    TWO_COLUMNS,
    colour,
    label,
    missing,
    new_figure,
    panel,
    strip,
    style,
)

AREAS = ("auroc", "aupr")
COLUMNS = ("method", "run", "model", "activation", "trial", "references", "sequences", "auroc", "aupr")


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of tables of scores by the number of references, one a run.
    settings
        `model`, `activations` (each a line) and `methods` (the columns).

    Returns
    -------
    Figure
        Rows: AUROC and AUPR; each activation's mean over trials, a band of one standard deviation, a dot a trial.
    DataFrame
        The plotted numbers: method, run, model, activation, trial, references, sequences, auroc, aupr.
    """
    table = reference_tables(tables)
    shown = table.filter(
        (pl.col("model") == settings["model"])
        & pl.col("activation").is_in(settings["activations"])
        & pl.col("method").is_in(settings["methods"])
    )
    with style():
        figure = new_figure(TWO_COLUMNS, 118)
        grid = strip(figure, top=8, height=98, right=16).subgridspec(
            2, len(settings["methods"]), hspace=0.18, wspace=0.32
        )
        for row, area in enumerate(AREAS):
            for column, method in enumerate(settings["methods"]):
                axes = figure.add_subplot(grid[row, column])
                lines(axes, shown.filter(pl.col("method") == method), area, settings["activations"])
                _titles(axes, row, column, method)
    return figure, shown.select(COLUMNS)


def _titles(axes: Axes, row: int, column: int, method: str) -> None:
    if row == 0:
        axes.set_title(METHOD_LABELS.get(method, method), loc="left", pad=3)
        panel(axes, "abcd"[column], x=-11, y=2)
        axes.tick_params(labelbottom=False)
    else:
        axes.set_xlabel("references of each sequence")


def lines(axes: Axes, table: pl.DataFrame, area: str, activations: list[str]) -> None:
    """Draw an area under a curve against the number of references: mean, standard deviation and trials of each run."""
    found = table.drop_nulls(area)
    if found.is_empty():
        missing(axes, "not in these tables")
        return
    lacking = []
    for activation in activations:
        own = found.filter(pl.col("activation") == activation)
        if own.is_empty():
            lacking.append(f"{label(activation)}: not in these tables")
            continue
        by = own.group_by("references").agg(pl.mean(area).alias("mean"), pl.std(area, ddof=0).alias("sd"))
        by, hue = by.sort("references"), colour(activation)
        x, middle, spread = (by[name].to_numpy() for name in ("references", "mean", "sd"))
        axes.fill_between(x, middle - spread, middle + spread, color=hue, alpha=0.15, linewidth=0)
        axes.plot(x, middle, color=hue)
        axes.scatter(own["references"], own[area], s=3, color=hue, alpha=0.6, linewidths=0, zorder=3)
        axes.annotate(label(activation), (x[-1], middle[-1]), (4, 0), textcoords="offset points", color=hue,
            va="center")  # fmt: skip
    counts = found["references"].unique().sort().to_list()
    axes.set_xlim(0, max(counts) + 0.8)
    axes.annotate("\n".join(lacking), (0.98, 0.02), xycoords="axes fraction", ha="right", color=GREY)
    axes.set_ylabel(f"{area.upper()}, mean of sequences")
