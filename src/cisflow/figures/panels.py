"""Panels that several figures share: logos of a model's filters, and values by activation for each model."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cisflow.figures.logos import draw_logo
from cisflow.figures.style import BLACK, GREY, colour, dots, label
from cisflow.pwm import Motif


def in_order(values: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return the distinct values: first those of `order`, then the rest as they come."""
    distinct = list(dict.fromkeys(values))
    return [v for v in order if v in distinct] + [v for v in distinct if v not in order]


def logo_grid(
    figure: Figure | SubFigure,
    place: SubplotSpec,
    motifs: dict[str, Motif],
    labels: pl.DataFrame,
    columns: int,
    numbered: bool = False,
    ground_truth: bool = True,
) -> list[Axes]:
    """Draw the logos of all filters of one trial, each under its label.

    Parameters
    ----------
    figure, place
        Where.
    motifs
        Matrices by filter.
    labels
        Rows of `labels.tsv` of that trial.
    columns
        Logos in a row.
    numbered
        Whether the filter's number is put before the label.
    ground_truth
        Whether there is one: then only its factors are named in black, and other motifs in grey.
    """
    rows = -(-len(labels) // columns)
    grid = place.subgridspec(rows, columns, hspace=0.9, wspace=0.12)
    width = max((motif.width for motif in motifs.values()), default=1)
    drawn = []
    for number, row in enumerate(labels.iter_rows(named=True)):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        draw_logo(axes, motifs.get(row["filter"]), width)
        named = row["factor"] or row["target_name"]
        text = named or _no_name(row["status"])
        text = f"{row['filter'].removeprefix('filter')}: {text}" if numbered else text
        right = row["factor"] or (named and not ground_truth)
        axes.set_title(text, fontsize=5, pad=1.5, color=BLACK if right else GREY)
        drawn.append(axes)
    _bits_axis(drawn[0])
    return drawn


def _no_name(status: str | None) -> str:
    """Return what stands for the name of a filter without one: its status if that is why, else a dash."""
    return "–" if status in (None, "ok") else status


def _bits_axis(axes: Axes) -> None:
    axes.spines["left"].set_visible(True)
    axes.set_yticks([0, 2])
    axes.tick_params(axis="y", labelsize=5, length=1.5, pad=1)
    axes.set_ylabel("bits", fontsize=5, labelpad=1)


def by_activation(axes: Axes, table: pl.DataFrame, value: str, activations: Sequence[str]) -> None:
    """Draw a column of a table for each activation: every trial a dot over its box or median."""
    for position, activation in enumerate(activations):
        found = table.filter(pl.col("activation") == activation)[value].drop_nulls().to_list()
        dots(axes, position, found, colour(activation))
    axes.set_xlim(-0.6, len(activations) - 0.4)
    axes.set_xticks(np.arange(len(activations)), [label(a) for a in activations], rotation=40, ha="right")
    axes.tick_params(axis="x", length=0)


def null_marks(axes: Axes, table: pl.DataFrame, value: str, activations: Sequence[str]) -> None:
    """Draw the mean of a column of the shuffled null as a grey dashed mark for each activation."""
    for position, activation in enumerate(activations):
        found = table.filter(pl.col("activation") == activation)[value].drop_nulls()
        if len(found):
            axes.hlines(
                found.mean(), position - 0.42, position + 0.42, colors=GREY, linestyles=(0, (2, 1.5)), linewidth=0.8
            )


def epoch_axes(grid: NDArray, ticks: int) -> None:
    """Put numbers of epochs, at most this many steps, below the lowest axes of each column that has any.

    Parameters
    ----------
    grid
        Axes that share their horizontal scale; those that only say what is missing are switched off.
    ticks
        Steps between the numbers.
    """
    for axes in grid.flat:
        axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
        axes.tick_params(labelbottom=False)
    for column in grid.T:
        for axes in [axes for axes in column if axes.axison][-1:]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("epoch", labelpad=1.5)
