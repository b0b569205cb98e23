"""Panels of attributions: two models trial by trial, methods side by side, and logos of an example."""

import math
from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.figures.logos import draw_scores
from cisflow.figures.panels import in_order
from cisflow.figures.style import BLACK, GREY, METHOD_LABELS, colour, dots, missing
from cisflow.models.zoo import ARCHITECTURES

# Positions that a logo shows: at 183 mm a letter is then wide enough to be read.
SHOWN = 100


def pairs(table: pl.DataFrame, models: tuple[str, str], value: str) -> pl.DataFrame:
    """Return activation, trial and the values of two models (columns x and y), for the trials that both have."""
    x, y = (
        table.filter(pl.col("model") == model).select("activation", "trial", pl.col(value).alias(name))
        for name, model in zip("xy", models, strict=True)
    )
    return x.join(y, on=["activation", "trial"], how="inner", maintain_order="left")


def scatter(axes: Axes, table: pl.DataFrame, activations: Sequence[str], models: tuple[str, str], title: str) -> None:
    """Draw pairs of trials of two models (from `pairs`), and the diagonal on which they are equal."""
    if table.is_empty():
        missing(axes, f"{title}: no trials of both\n{' and '.join(models)}")
        return
    for activation in activations:
        own = table.filter(pl.col("activation") == activation)
        axes.scatter(own["x"], own["y"], s=12, color=colour(activation), alpha=0.75, linewidths=0)
    low, high = min(table["x"].min(), table["y"].min()), max(table["x"].max(), table["y"].max())
    edge = max(0.05 * (high - low), 0.005)
    limits = (low - edge, min(high + edge, 1.0))
    axes.axline((low, low), slope=1, color=GREY, linestyle=(0, (2, 1.5)), linewidth=0.8, zorder=0)
    axes.set(xlim=limits, ylim=limits, xlabel=f"{models[0]}: {title}", ylabel=f"{models[1]}: {title}")
    axes.set_aspect("equal")
    axes.locator_params(nbins=4)


def methods(axes: Axes, table: pl.DataFrame, value: str, activation: str) -> None:
    """Draw a column of the score table for each method: every trial a dot over its box or median."""
    shown = in_order(table["method"].to_list(), tuple(METHOD_LABELS))
    for position, method in enumerate(shown):
        dots(axes, position, table.filter(pl.col("method") == method)[value].drop_nulls().to_list(), colour(activation))
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.set_xticks(range(len(shown)), [METHOD_LABELS[method] for method in shown], rotation=40, ha="right")
    axes.tick_params(axis="x", length=0)


def logos(
    figure: Figure, place: SubplotSpec, table: pl.DataFrame, rows: Sequence[tuple[str, str, str]], example: int = 0
) -> list[Axes]:
    """Draw an example sequence: a row of letters for each (run, method, title), and the ground truth below.

    Parameters
    ----------
    table
        From `read.example_table`.
    rows
        Which maps, from top to bottom.
    example
        Number of the example; 0 is the one whose score, in the median of all maps, is highest.
    """
    own = table.filter(pl.col("example") == example)
    first, last = _window(own)
    grid = place.subgridspec(len(rows) + 1, 1, hspace=0.35)
    drawn = []
    for number, (run, method, title) in enumerate([*rows, ("truth", "truth", METHOD_LABELS["truth"])]):
        axes = figure.add_subplot(grid[number])
        part = own.filter((pl.col("run") == run) & (pl.col("method") == method))
        if part.is_empty():
            missing(axes, f"{title}: not in this run of the task")
        else:
            draw_scores(axes, part, first, last)
            _titles(axes, title, part["aupr"][0], part["activation"][0])
        drawn.append(axes)
    drawn[-1].set_xticks(range(-(-first // 10) * 10, last, 10))
    drawn[-1].set_xlabel(f"position in {own['sequence'][0]} (bases, from 0)")
    return drawn


def _titles(axes: Axes, title: str, aupr: float | None, activation: str | None) -> None:
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(title, loc="left", pad=1.5, color=BLACK if activation is None else colour(activation))
    if aupr is not None:
        axes.set_title(f"AUPR {aupr:.2f}", loc="right", pad=1.5, color=GREY)


def _window(table: pl.DataFrame) -> tuple[int, int]:
    """Return the stretch of SHOWN positions that holds most of the ground truth's information."""
    length = table["position"].max() + 1
    truth = table.filter(pl.col("run") == "truth").group_by("position").agg(pl.sum("score"))
    heights = dict(truth.iter_rows())
    size = min(SHOWN, length)
    sums = [sum(heights.get(p, 0.0) for p in range(start, start + size)) for start in range(length - size + 1)]
    # Many stretches may hold the same motifs: the middle one cuts none at its edge.
    best = [start for start, total in enumerate(sums) if math.isclose(total, max(sums), rel_tol=1e-9)]
    first = best[len(best) // 2]
    return first, first + size


def models_of(table: pl.DataFrame) -> list[str]:
    """Return the models of a table, in the order of the zoo."""
    return in_order(table["model"].drop_nulls().to_list(), tuple(ARCHITECTURES))
