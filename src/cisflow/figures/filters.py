"""Logos of all first-layer filters of a model, each under the name of its best hit."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from cisflow.figures.panels import logo_grid
from cisflow.figures.read import filter_motifs, label_table
from cisflow.figures.style import TWO_COLUMNS, colour, label, missing, new_figure, panel, strip, style

COLUMNS, ROW, HEAD = 8, 11.0, 9.0


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw a grid of logos for each activation of a model.

    Parameters
    ----------
    tables
        Paths of `labels` and `motifs`.
    settings
        `model`, `activations` and `trial` (`config.figures.Filters`).

    Returns
    -------
    Figure
        A ground-truth factor is named in black, another motif in grey, a dash is no hit; letters are in bits.
    DataFrame
        The best hits that are named: run, trial, filter, factor, target, target_name, e_value, q_value.
    """
    labels = label_table(tables["labels"]).filter(
        (pl.col("model") == settings["model"]) & (pl.col("trial") == settings["trial"])
    )
    parts = {name: labels.filter(pl.col("activation") == name) for name in settings["activations"]}
    heights = [ROW * max(-(-len(part) // COLUMNS), 1) for part in parts.values()]
    with style():
        figure, top = new_figure(TWO_COLUMNS, sum(heights) + HEAD * len(heights) + 1), HEAD
        for letter, (activation, part), height in zip("abcdef", parts.items(), heights, strict=False):
            place = strip(figure, top, height - 3, left=6)
            _grid(figure, place, tables["motifs"], settings["model"], activation, part, letter)
            top += height + HEAD
    shown = labels.filter(pl.col("activation").is_in(settings["activations"]))
    return figure, shown.select("run", "trial", "filter", "factor", "target", "target_name", "e_value", "q_value")


def _grid(figure: Figure, place, folder: str, model: str, activation: str, part: pl.DataFrame, letter: str) -> None:
    heading = f"{model}, {label(activation)}"
    if part.is_empty():
        missing(figure.add_subplot(place), f"{heading} is not in these results")
        return
    motifs = filter_motifs(folder, part["run"][0], part["trial"][0])
    drawn = logo_grid(figure, place, motifs, part, COLUMNS)
    panel(drawn[0], letter, x=-5, y=3)
    drawn[0].annotate(
        heading, (0, 1), (0, 9), "axes fraction", "offset points", color=colour(activation), weight="bold"
    )
