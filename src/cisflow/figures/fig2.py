"""Figure 2 of Koo & Ploenzke (2021): attributions of networks with exponential activations find the motifs better."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cisflow.figures.attribution import logos, pairs, scatter
from cisflow.figures.panels import in_order
from cisflow.figures.read import example_table, metric_table, score_table
from cisflow.figures.style import TWO_COLUMNS, colour, label, new_figure, panel, strip, style

MODELS = ("cnn-local", "cnn-dist")


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths: `metrics`, `scores` and `examples` of Task 3.
    settings
        `activations` (drawn in a to c, in this order), `method` (in b to d), `logos_model` and `logos_activations`.

    Returns
    -------
    Figure
        Panels a: test AUROC of the two models; b, c: AUROC and AUPR of their attributions against the ground truth;
        d: attributions of the sequence whose scores are highest in the median of all maps.
    DataFrame
        The plotted numbers: panel, quantity, activation, trial, and the value for each model.
    """
    order, method = settings["activations"], settings["method"]
    metrics = metric_table(tables["metrics"]).filter(pl.col("metric") == "auroc")
    scores = score_table(tables["scores"]).filter(pl.col("method") == method)
    found = {
        "test AUROC": pairs(metrics, MODELS, "value"),
        f"AUROC of {method}": pairs(scores, MODELS, "auroc"),
        f"AUPR of {method}": pairs(scores, MODELS, "aupr"),
    }
    found = {name: table.filter(pl.col("activation").is_in(order)) for name, table in found.items()}
    shown = in_order([a for table in found.values() for a in table["activation"]], order)
    rows = [(f"{settings['logos_model']}_{a}", method, label(a)) for a in settings["logos_activations"] if a in shown]
    with style():
        height = 14 * (len(rows) + 1)
        figure = new_figure(TWO_COLUMNS, 66 + height + 12)
        grid = strip(figure, top=6, height=46, right=26).subgridspec(1, 3, wspace=0.45)
        for place, letter, (title, table) in zip(grid, "abc", found.items(), strict=True):
            axes = figure.add_subplot(place)
            scatter(axes, table, shown, MODELS, title)
            panel(axes, letter, x=-12, y=1)
        key = [Line2D([], [], marker="o", markersize=3.5, linestyle="", color=colour(a), label=label(a)) for a in shown]
        axes.legend(handles=key, loc="center left", bbox_to_anchor=(1.03, 0.5), handlelength=0.8, borderaxespad=0)
        drawn = logos(figure, strip(figure, top=66, height=height, left=6), example_table(tables["examples"]), rows)
        panel(drawn[0], "d", x=-4, y=3)
    return figure, _numbers(found)


def _numbers(found: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    columns = {"x": MODELS[0], "y": MODELS[1]}
    return pl.concat(
        table.select(pl.lit(letter).alias("panel"), pl.lit(title).alias("quantity"), pl.all()).rename(columns)
        for letter, (title, table) in zip("abc", found.items(), strict=True)
    )
