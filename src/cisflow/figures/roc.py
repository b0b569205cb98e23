"""ROC curves of domains and differences that are told from labels and predictions."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cisflow.figures.heads import LABELS, Runs, footnote, only_words, read_runs, shortened, splits_of
from cisflow.figures.panels import in_order
from cisflow.figures.style import (
    BLACK,
    GREY,
    LIGHT_GREY,
    TWO_COLUMNS,
    missing,
    new_figure,
    panel,
    row_height,
    strip,
    style,
)
from cisflow.tables import HEAD_DOMAINS, HEAD_ROC, read_tsv

# Millimetres: a row of panels, above and below all of them.
ROW, ABOVE, BELOW = 58, 9, 6
WORDS = {"domains": "in {name}, by {target}", "difference": "{name}: {target}"}


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: a row a question, a column a split, a line a trial.

    Parameters
    ----------
    tables
        Paths of `domains`, `roc` and `heads`.
    settings
        `runs` and `names`: which heads, and which domains and differences, in what order; empty for all.

    Returns
    -------
    Figure
        The areas stand in the panels: mean over trials, with its interval.
    DataFrame
        The plotted numbers: points of curves as the table `roc`, and areas as the table `domains`.
    """
    areas, curves = read_tsv(tables["domains"], HEAD_DOMAINS), read_tsv(tables["roc"], HEAD_ROC)
    runs = read_runs(tables["heads"], settings["runs"])
    names = list(settings["names"]) or in_order(areas["name"].to_list(), ())
    if areas.is_empty():
        return only_words(
            "No domains and no differences are named: evaluation.domains, evaluation.differences.", HEAD_ROC
        )
    splits = splits_of(areas)
    wanted = pl.col("name").is_in(names) & pl.col("run").is_in([LABELS, *runs.names])
    areas, curves = areas.filter(wanted), curves.filter(wanted)
    height = row_height(ROW, len(names), ABOVE + BELOW)
    with style():
        figure = new_figure(TWO_COLUMNS, ABOVE + len(names) * height + BELOW)
        place = strip(figure, ABOVE, len(names) * height - 12, left=13)
        grid = place.subgridspec(len(names), max(len(splits), 2), hspace=12 / (height - 12), wspace=0.24)
        for row, name in enumerate(names):
            of_name = areas.filter(pl.col("name") == name)
            for column, split in enumerate(splits):
                axes = figure.add_subplot(grid[row, column])
                chosen = (pl.col("name") == name) & (pl.col("set") == split)
                _panel(axes, areas.filter(chosen), curves.filter(chosen), runs, name)
                if column == 0:
                    panel(axes, "abcdefghijklmnopqrstuvwxyz"[row % 26], x=-11, y=3)
                    axes.annotate(_title(of_name), (0, 1), (0, 10), "axes fraction", "offset points", fontweight="bold")
                    axes.set_ylabel("true positive rate")
                if row == len(names) - 1:
                    axes.set_xlabel("false positive rate")
        footnote(
            figure, f"Areas: {runs.intervals(areas)} A line is a trial. Grey dashes: chance.\nWindows without a "
            "measured label, or on contigs without any domain, are left out.",
        )  # fmt: skip
    return figure, pl.concat([curves.with_columns(part=pl.lit("curve")), areas.with_columns(part=pl.lit("area"))],
        how="diagonal_relaxed")  # fmt: skip


def _title(of_name: pl.DataFrame) -> str:
    if of_name.is_empty():
        return ""
    row = of_name.row(0, named=True)
    return shortened(WORDS[row["kind"]].format(**row).replace(" - ", " − "), 90)


def _panel(axes: Axes, areas: pl.DataFrame, curves: pl.DataFrame, runs: Runs, name: str) -> None:
    if areas.is_empty():
        missing(axes, f"The table has no '{name}':\nevaluation.domains, evaluation.differences.")
        return
    about = areas.row(0, named=True)
    number = f"{about['set']}: {about['positives']:,} of {about['positives'] + about['negatives']:,} positive"
    axes.set_title(
        number + (f", {about['left_out']:,} left out" if about["left_out"] else ""), loc="left", pad=2, fontsize=6.5
    )
    axes.plot((0, 1), (0, 1), color=LIGHT_GREY, linewidth=0.6, linestyle=(0, (3, 1.5)))
    for run in reversed([LABELS, *runs.names]):
        colour = BLACK if run == LABELS else runs.colours[run]
        for part in curves.filter(pl.col("run") == run).partition_by("trial", maintain_order=True):
            axes.plot(part["fpr"], part["tpr"], color=colour, linewidth=0.8)
    whole = {row["run"]: row for row in areas.filter(pl.col("trial").is_null()).iter_rows(named=True)}
    lines = [(run, whole[run]) for run in (LABELS, *runs.names) if run in whole]
    for number, (run, row) in enumerate(reversed(lines)):
        colour = BLACK if run == LABELS else runs.colours[run]
        words = f"{'labels' if run == LABELS else runs.labels[run]} {_area(row)}"
        axes.annotate(
            words, (1, 0), (0, 3 + 7.4 * number), "axes fraction", "offset points", ha="right", fontsize=6, color=colour
        )
    if not lines:
        axes.text(0.5, 0.5, "no head", color=GREY, ha="center")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))


def _area(row: Mapping[str, Any]) -> str:
    if row["auroc"] is None:
        return "not defined"
    interval = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['auroc']:.3f}{interval}"
