"""How many references attributions need: scores against the ground truth by their number."""

from collections.abc import Mapping
from typing import Any

import numpy as np
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
# Between two labels, as a part of the axes' height.
GAP = 0.07
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
        Rows: AUROC and AUPR; each activation's mean over trials, a band of one standard deviation, and each trial.
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
    ends = {}
    for activation in activations:
        own = found.filter(pl.col("activation") == activation).sort("references")
        if own.height:
            ends[activation] = _line(axes, own, area, colour(activation))
    lacking = [f"{label(activation)}: not in these tables" for activation in activations if activation not in ends]
    axes.annotate("\n".join(lacking), (0.98, 0.02), xycoords="axes fraction", ha="right", color=GREY)
    last = found["references"].max()
    axes.set(xlim=(0, last + 0.4), ylabel=f"{area.upper()}, mean of sequences")
    for activation, height in _apart(ends, GAP * np.ptp(axes.get_ylim())).items():
        axes.annotate(label(activation), (last, height), (4, 0), textcoords="offset points", va="center",
            color=colour(activation))  # fmt: skip


def _line(axes: Axes, own: pl.DataFrame, area: str, hue: str) -> float:
    """Draw one run and return where its mean ends."""
    for _, trial in own.group_by("trial", maintain_order=True):
        axes.plot(trial["references"], trial[area], color=hue, linewidth=0.4, alpha=0.8, marker="o", markersize=1)
    by = own.group_by("references", maintain_order=True).agg(pl.mean(area), pl.std(area, ddof=0).alias("sd"))
    x, middle, spread = (by[name].to_numpy() for name in ("references", area, "sd"))
    axes.fill_between(x, middle - spread, middle + spread, color=hue, alpha=0.15, linewidth=0)
    axes.plot(x, middle, color=hue, linewidth=1.6)
    return float(middle[-1])


def _apart(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Return heights of labels that are at least `gap` apart, in the same order and about the same middle."""
    names = sorted(heights, key=heights.get)
    moved: list[float] = []
    for name in names:
        moved.append(max(heights[name], moved[-1] + gap) if moved else heights[name])
    shift = (sum(moved) - sum(heights.values())) / max(len(moved), 1)
    return {name: height - shift for name, height in zip(names, moved, strict=True)}
