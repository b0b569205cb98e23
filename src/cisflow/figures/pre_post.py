"""Supplementary Figure 10 of Koo & Ploenzke (2021): what the first activation is given and what it makes of it."""

from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.errors import CisflowError
from cisflow.figures.read import activation_table, with_panel
from cisflow.figures.style import TWO_COLUMNS, colour, label, missing, new_figure, panel, row_height, strip, style

# Millimetres: a row with its histograms, what is between rows, above the first and below the last.
ROW, BETWEEN, ABOVE, BELOW = 62, 20, 12, 11
WEIGHTS = ("untrained", "trained")


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: a row an activation; untrained on the left, trained on the right.

    Parameters
    ----------
    tables
        Paths of activation tables (`motifs/activations/<run>.tsv`), a run each, under any names.
    settings
        `activations`: the rows, in this order.

    Returns
    -------
    Figure
        In each panel values before and after the activation, with the histograms of all of them. All panels have the
        same axis before the activation, and those of a row the same axis after it.
    DataFrame
        The plotted numbers: the rows of the tables.
    """
    names = settings["activations"]
    found = with_panel(pl.concat([activation_table(path) for path in tables.values()]))
    found = found.filter(pl.col("activation").is_in(names))
    _one_run_each(found)
    others = ABOVE + BETWEEN * (len(names) - 1) + BELOW
    height = row_height(ROW, len(names), others)
    with style():
        figure = new_figure(TWO_COLUMNS, height * len(names) + others)
        for row, activation in enumerate(names):
            own = found.filter(pl.col("activation") == activation)
            pair = strip(figure, top=ABOVE + row * (height + BETWEEN), height=height, left=15, right=4)
            pair = pair.subgridspec(1, 2, wspace=0.2)
            for column, weights in enumerate(WEIGHTS):
                limits = _limits(found, "before"), _limits(own, "after"), (0.5, 2 * _highest(found))
                top = _joint(figure, pair[column], own.filter(pl.col("weights") == weights), limits, activation)
                panel(top, ascii_lowercase[2 * row + column], x=-10, y=3)
    return figure, found.drop("panel")


def _one_run_each(found: pl.DataFrame) -> None:
    for (activation,), part in found.group_by("activation", maintain_order=True):
        if len(runs := part.unique(["task", "run"], maintain_order=True)) > 1:
            names = ", ".join(f"{row['task']} {row['run']}" for row in runs.iter_rows(named=True))
            raise CisflowError(f"several tables are of runs with {activation}: {names}. Give the figure one of them.")


def _limits(table: pl.DataFrame, variable: str) -> tuple[float, float] | None:
    bins = table.filter((pl.col("part") == "histogram") & (pl.col("variable") == variable))
    if bins.is_empty():
        return None
    low, high = bins["start"].min(), bins["end"].max()
    edge = 0.03 * (high - low)
    return low - edge, high + edge


def _highest(table: pl.DataFrame) -> float:
    return table.filter(pl.col("part") == "histogram")["value"].max() or 1.0


def _joint(figure: Figure, place: SubplotSpec, own: pl.DataFrame, limits, activation: str) -> Axes:
    """Draw pairs and their two histograms; return the upper one, which has the heading."""
    grid = place.subgridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 5), hspace=0.06, wspace=0.09)
    top, axes, side = (figure.add_subplot(grid[at]) for at in ((0, 0), (1, 0), (1, 1)))
    pairs, shade = own.filter(pl.col("part") == "pair"), colour(activation)
    if pairs.is_empty():
        for empty in (top, side):
            empty.set_axis_off()
        text = "no value is finite" if len(own) else f"no table of a network with {label(activation)}"
        missing(axes, text)
        return top
    axes.scatter(pairs["before"], pairs["after"], s=5, color=shade, alpha=0.5, linewidths=0, clip_on=False)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel="before the activation, $x$")
    axes.set_ylabel("after the activation, $f(x)$")
    axes.text(0.04, 0.97, _words(own), ha="left", va="top", transform=axes.transAxes, linespacing=1.35)
    _histogram(top, own, "before", shade, limits[2])
    top.set_xlim(limits[0])
    top.set_title(f"{own['panel'][0]}, {label(activation)}, {own['weights'][0]}", loc="left", pad=4, fontweight="bold")
    _histogram(side, own, "after", shade, limits[2], upright=True)
    side.set_ylim(limits[1])
    return top


def _histogram(
    axes: Axes, own: pl.DataFrame, variable: str, shade: str, counts: tuple[float, float], upright: bool = False
) -> None:
    bins = own.filter((pl.col("part") == "histogram") & (pl.col("variable") == variable))
    edges = np.append(bins["start"].to_numpy(), bins["end"][-1])
    axes.stairs(
        bins["value"], edges, fill=True, color=shade, alpha=0.6, baseline=0.5,
        orientation="horizontal" if upright else "vertical",
    )  # fmt: skip
    (axes.set_xscale if upright else axes.set_yscale)("log")
    (axes.set_xlabel if upright else axes.set_ylabel)("values")
    axes.tick_params(**({"labelleft": False} if upright else {"labelbottom": False}))
    (axes.set_xticks if upright else axes.set_yticks)([1, 10 ** int(np.log10(max(counts[1], 10)))])
    (axes.set_xlim if upright else axes.set_ylim)(counts)
    axes.minorticks_off()


def _words(own: pl.DataFrame) -> str:
    """Return what is shown of how many values, and the statistics of those after the activation."""
    rows = own.filter(pl.col("part") == "statistic").select("variable", "name", "value").iter_rows()
    numbers = {(variable, name): value for variable, name, value in rows}
    shown = own.filter(pl.col("part") == "pair").height
    lines = [
        f"{shown:,} of {numbers['after', 'count']:,.0f} values",
        f"of {numbers['sequences', 'count']:,.0f} sequences",
    ]
    lines += [f"after: mean {numbers['after', 'mean']:.3g}", f"s.d. {numbers['after', 'sd']:.3g}"]
    lines.append(f"max {numbers['after', 'max']:.4g}")
    if lost := numbers["after", "not_finite"]:
        lines.append(f"{lost:,.0f} not finite")
    if unknown := numbers["sequences", "unknown_bases"]:
        lines.append(f"{unknown:,.0f} unknown bases")
    return "\n".join(lines)
