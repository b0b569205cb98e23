"""Extended Data Figure 2 of Koo & Ploenzke (2021): four attribution methods."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from cisflow.figures.attribution import logos, methods, models_of
from cisflow.figures.panels import in_order
from cisflow.figures.read import example_table, score_table
from cisflow.figures.style import METHOD_LABELS, TWO_COLUMNS, label, new_figure, panel, strip, style


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths: `scores` and `examples` of Task 3.
    settings
        `activations` (columns of a and b, and the logos of c and d), and `logos_model`.

    Returns
    -------
    Figure
        Panels a, b: AUROC and AUPR of each method by model and activation; c, d: maps of one sequence by each method,
        for each activation.
    DataFrame
        The plotted numbers: model, activation, trial, method, sequences, auroc, aupr.
    """
    scores = score_table(tables["scores"])
    activations = [a for a in settings["activations"] if a in scores["activation"]]
    scores = scores.filter(pl.col("activation").is_in(activations))
    found = in_order(scores["method"].to_list(), tuple(METHOD_LABELS))
    examples, height = example_table(tables["examples"]), 11 * (len(found) + 1)
    with style():
        figure = new_figure(TWO_COLUMNS, 94 + (height + 17) * len(activations))
        for letter, value, left, right in (("a", "auroc", 14, 95), ("b", "aupr", 106, 2)):
            _boxes(figure, strip(figure, top=8, height=62, left=left, right=right), scores, value, activations, letter)
        for number, activation in enumerate(activations):
            rows = [(f"{settings['logos_model']}_{activation}", method, METHOD_LABELS[method]) for method in found]
            place = strip(figure, top=98 + number * (height + 17), height=height, left=6)
            drawn = logos(figure, place, examples, rows)
            panel(drawn[0], "cd"[number], x=-4, y=4.5)
            heading = f"{settings['logos_model']}, {label(activation)}"
            drawn[0].annotate(heading, (0, 1), (0, 13), "axes fraction", "offset points", weight="bold")
    return figure, scores.select("model", "activation", "trial", "method", "sequences", "auroc", "aupr")


def _boxes(figure: Figure, place, scores: pl.DataFrame, value: str, activations: list[str], letter: str) -> None:
    models = models_of(scores)
    grid = place.subgridspec(len(models), len(activations), hspace=0.25, wspace=0.12)
    low, high = scores[value].min(), scores[value].max()
    edge = 0.08 * (high - low) + 0.01
    for row, model in enumerate(models):
        for column, activation in enumerate(activations):
            axes = figure.add_subplot(grid[row, column])
            own = scores.filter((pl.col("model") == model) & (pl.col("activation") == activation))
            methods(axes, own, value, activation)
            axes.set_ylim(low - edge, high + edge)
            axes.set_title(f"{model}, {label(activation)}", loc="left", pad=2)
            if row < len(models) - 1:
                axes.set_xticklabels([])
            if column:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel(value.upper())
            if row == column == 0:
                panel(axes, letter, x=-12, y=3)
