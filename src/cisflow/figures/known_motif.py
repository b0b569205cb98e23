"""Does a network find the motif of its factor? Performance, matches by trial, and the filter that matches best."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.figures.logos import draw_logo
from cisflow.figures.panels import by_activation, null_marks
from cisflow.figures.read import filter_motifs, match_table, metric_table
from cisflow.figures.style import (
    BLACK,
    GREY,
    TWO_COLUMNS,
    colour,
    label,
    missing,
    new_figure,
    panel,
    strip,
    style,
)
from cisflow.pwm import Motif, read_meme
from cisflow.tables import TOMTOM, read_tsv

# Millimetres: the panels of numbers, and two rows of logos with what stands above them.
NUMBERS, FOOT, HEAD, PAIR = 34.0, 14.0, 8.0, 25.0
SHUFFLED_LABEL = "shuffled"
INDEX = ("run", "activation", "trial")


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths: `metrics`, `matches`, `tomtom`, `motifs` (the folder of MEME files) of a task, and `database`, the MEME
        file of known motifs.
    settings
        `model`, `activations`, and `motifs`: the ids of the factor's known motifs.

    Returns
    -------
    Figure
        a, test AUROC, and that of baselines; b, fraction of filters that match; c, lowest E-value of a match in each
        trial, filters against the same filters shuffled; d, the filter with that E-value above the known motif.
    DataFrame
        The plotted numbers: panel, activation, trial, set, quantity, filter, target, value.
    """
    model, activations, ids = settings["model"], settings["activations"], settings["motifs"]
    own = pl.col("model") == model
    metrics = metric_table(tables["metrics"]).filter(pl.col("metric") == "auroc")
    matches = match_table(tables["matches"]).filter(own & pl.col("activation").is_in(activations))
    best = best_matches(read_tsv(tables["tomtom"], TOMTOM).filter(own), matches, ids)
    with style():
        figure = new_figure(TWO_COLUMNS, HEAD + NUMBERS + FOOT + (HEAD + PAIR) * len(activations))
        grid = strip(figure, HEAD, NUMBERS).subgridspec(1, 3, width_ratios=[1, 1, 1.6], wspace=0.42)
        axes = [figure.add_subplot(cell) for cell in grid]
        baselines = _performance(axes[0], metrics, model, activations)
        _fractions(axes[1], matches, activations)
        _e_values(axes[2], best, activations)
        for letter, one in zip("abc", axes, strict=True):
            panel(one, letter, x=-12, y=2)
        known = {motif.id: motif for motif in read_meme(tables["database"])}
        for number, activation in enumerate(activations):
            top = HEAD + NUMBERS + FOOT + (HEAD + PAIR) * number + HEAD - 3
            place, part = strip(figure, top, PAIR), best.filter(activation=activation, set="filters")
            _logos(figure, place, tables["motifs"], part, known, activation, "d" * (number == 0))
    shown = metrics.filter(own & pl.col("activation").is_in(activations))
    return figure, _numbers(shown, baselines, matches, best)


def best_matches(hits: pl.DataFrame, matches: pl.DataFrame, ids: list[str]) -> pl.DataFrame:
    """Return the match of lowest E-value to one of the motifs `ids`, for each trial and set; null where there is none.

    Columns: run, activation, trial, set, query, target, e_value, orientation.
    """
    own = hits.filter(pl.col("target").is_in(ids)).sort("e_value", "query", "target")
    first = own.unique([*INDEX, "set"], keep="first", maintain_order=True)
    columns = ["query", "target", "e_value", "orientation"]
    every = matches.select(*INDEX, "set")
    return every.join(first.select(*INDEX, "set", *columns), on=[*INDEX, "set"], how="left", maintain_order="left")


def _performance(axes: Axes, metrics: pl.DataFrame, model: str, activations: list[str]) -> pl.DataFrame:
    by_activation(axes, metrics.filter(pl.col("model") == model), "value", activations)
    baselines = metrics.filter(pl.col("activation") == "baseline")
    for row in baselines.iter_rows(named=True):
        _level(axes, row["value"], row["model"].replace("gc_content", "GC content"))
    if not len(baselines):
        _level(axes, 0.5, "chance")
    axes.set_ylabel("test AUROC")
    low = min([0.5, *baselines["value"].to_list()])
    axes.set_ylim(low - 0.03, None)
    return baselines


def _level(axes: Axes, height: float, text: str) -> None:
    axes.axhline(height, color=GREY, linestyle=(0, (2, 1.5)), linewidth=0.8)
    axes.annotate(
        text, (0, height), (2, 1), ("axes fraction", "data"), "offset points", color=GREY, fontsize=6, va="bottom"
    )


def _fractions(axes: Axes, matches: pl.DataFrame, activations: list[str]) -> None:
    by_activation(axes, matches.filter(set="filters"), "match_fraction", activations)
    null_marks(axes, matches.filter(set="shuffled"), "match_fraction", activations)
    highest = matches["match_fraction"].max() or 0
    axes.set_ylim(-0.02 * max(highest, 0.1), 1.15 * max(highest, 0.1))
    axes.set_ylabel("filters that match the factor")
    axes.annotate("dashed: shuffled filters", (1, 1), (0, 2), "axes fraction", "offset points",
        color=GREY, fontsize=6, ha="right")  # fmt: skip


def _e_values(axes: Axes, best: pl.DataFrame, activations: list[str]) -> None:
    """Draw -log10 of the best E-value of each trial; trials without a match stand below the axis' zero line."""
    found = -best["e_value"].drop_nulls().log10()
    none = min(found.min() if len(found) else 1, 1) - 0.8
    places = [(activation, name) for activation in activations for name in ("filters", "shuffled")]
    for position, (activation, name) in enumerate(places):
        part = best.filter(activation=activation, set=name)
        values = (-part["e_value"].log10()).fill_null(none).to_list()
        hue = colour(activation) if name == "filters" else GREY
        if len(values):
            axes.scatter(position + np.linspace(-0.25, 0.25, len(values)), values, s=9, color=hue, linewidths=0)
        text = f"{part['e_value'].count()} of {len(part)}"
        axes.annotate(text, (position, 1), (0, 2), ("data", "axes fraction"), "offset points", ha="center", fontsize=6,
            color=BLACK if name == "filters" else GREY)  # fmt: skip
    names = [label(activation) if name == "filters" else SHUFFLED_LABEL for activation, name in places]
    axes.set_xticks(range(len(places)), names, rotation=40, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylabel("best match: –log$_{10}$ E-value")
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    ticks = [tick for tick in axes.get_yticks() if tick > none + 0.4]
    axes.set_yticks([none, *ticks], ["none", *(f"{tick:g}" for tick in ticks)])
    axes.set_ylim(none - 0.4, None)


def _logos(
    figure: Figure,
    place: SubplotSpec,
    folder: str,
    best: pl.DataFrame,
    known: Mapping[str, Motif],
    activation: str,
    letter: str,
) -> None:
    """Draw the best filter of each trial above the known motif that it matches, on the strand that it matches."""
    if best.is_empty():
        missing(figure.add_subplot(place), f"{label(activation)} is not in these results")
        return
    grid = place.subgridspec(2, len(best), hspace=0.45, wspace=0.1)
    for column, row in enumerate(best.iter_rows(named=True)):
        upper, lower = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        if column == 0:
            upper.annotate(label(activation), (0, 1), (0, 9), "axes fraction", "offset points",
                color=colour(activation), fontweight="bold")  # fmt: skip
            panel(upper, letter, x=-12, y=2)
        if row["query"] is None:
            draw_logo(upper, None, 1)
            draw_logo(lower, None, 1)
            upper.set_title(f"trial {row['trial']}: none", fontsize=6, pad=1.5, color=GREY)
            continue
        mine, other = filter_motifs(folder, row["run"], row["trial"])[row["query"]], known[row["target"]]
        other = other if row["orientation"] == "+" else other.reverse_complement()
        width = max(mine.width, other.width)
        draw_logo(upper, mine, width)
        draw_logo(lower, other, width)
        upper.set_title(f"trial {row['trial']}: E = {row['e_value']:.1g}", fontsize=6, pad=1.5)
        strand = "" if row["orientation"] == "+" else ", other strand"
        lower.set_title(f"{row['target']} {other.name}{strand}", fontsize=5, pad=1.5, color=GREY)


def _numbers(metrics: pl.DataFrame, baselines: pl.DataFrame, matches: pl.DataFrame, best: pl.DataFrame) -> pl.DataFrame:
    empty = {"panel": pl.String, "activation": pl.String, "trial": pl.Int64, "set": pl.String, "quantity": pl.String,
        "filter": pl.String, "target": pl.String, "value": pl.Float64}  # fmt: skip
    parts = [
        metrics.with_columns(panel=pl.lit("a"), quantity=pl.lit("auroc")).drop("target"),
        baselines.with_columns(panel=pl.lit("a"), quantity=pl.format("auroc of {}", "model")).drop("target"),
        matches.with_columns(panel=pl.lit("b"), quantity=pl.lit("match_fraction"), value="match_fraction"),
        best.with_columns(panel=pl.lit("c"), quantity=pl.lit("e_value"), value="e_value", filter="query"),
    ]
    shown = [part.select(c for c in empty if c in part.columns).cast({c: empty[c] for c in empty if c in part.columns})
        for part in parts]  # fmt: skip
    return pl.concat([pl.DataFrame(schema=empty), *shown], how="diagonal")
