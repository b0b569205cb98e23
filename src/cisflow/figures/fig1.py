"""Figure 1 of Koo & Ploenzke (2021): exponential first-layer activations make filters into motifs."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.figures.curves import curves
from cisflow.figures.panels import by_activation, in_order, logo_grid, null_marks
from cisflow.figures.read import filter_motifs, label_table, match_table, metric_table
from cisflow.figures.style import GREY, TWO_COLUMNS, colour, label, missing, new_figure, panel, strip, style

MODELS = ("cnn-2", "cnn-50", "cnn-deep")
COLUMNS = ("panel", "model", "activation", "trial", "quantity", "x", "value")


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths: `matches`, `metrics`, `labels`, `motifs` of Task 1, and `task2_matches` if there is one.
    settings
        `activations` (drawn in a, c and d, in this order), and for b `logos_model`, `logos_activations`, `logos_trial`.

    Returns
    -------
    Figure
        Panels a: activation functions; b: filters and their best hits; c: match fraction and AUROC by activation and
        model; d: match fraction on Task 2.
    DataFrame
        The plotted numbers: panel, model, activation, trial, quantity, x (of a curve), value.
    """
    order = settings["activations"]
    matches, metrics = match_table(tables["matches"]), metric_table(tables["metrics"])
    matches, metrics = (t.filter(pl.col("activation").is_in(order)) for t in (matches, metrics))
    models = in_order(matches["model"].to_list(), MODELS)
    shown = in_order(matches["activation"].to_list(), order)
    with style():
        figure = new_figure(TWO_COLUMNS, 196 if "task2_matches" in tables else 164)
        curves = _curves(figure.add_subplot(strip(figure, top=6, height=48, right=TWO_COLUMNS - 54)), order)
        hits = _logos(figure, strip(figure, top=9, height=66, left=64), tables, settings)
        _models(figure, strip(figure, top=86, height=60), models, shown, matches, metrics)
        task2 = _task2(figure, tables.get("task2_matches"), order)
    parts = [curves, hits, *_numbers(matches, metrics, task2)]
    return figure, pl.concat(parts, how="diagonal").select(COLUMNS)


def _curves(axes: Axes, activations: list[str]) -> pl.DataFrame:
    points = curves(axes, activations, (-5, 5), (-5, 5))
    axes.legend(loc="lower right", handlelength=1.2, labelspacing=0.15, borderaxespad=0.1)
    panel(axes, "a", x=-12, y=1)
    return points.with_columns(pl.lit("a").alias("panel"), pl.lit("f(x)").alias("quantity"))


def _logos(figure: Figure, place: SubplotSpec, tables: Mapping[str, str], settings: Mapping[str, Any]) -> pl.DataFrame:
    labels = label_table(tables["labels"])
    parts = [labels.clear()]
    model, trial = settings["logos_model"], settings["logos_trial"]
    pair = place.subgridspec(1, len(settings["logos_activations"]), wspace=0.08)
    for column, activation in enumerate(settings["logos_activations"]):
        own = labels.filter(
            (pl.col("model") == model) & (pl.col("activation") == activation) & (pl.col("trial") == trial)
        )
        if own.is_empty():
            missing(figure.add_subplot(pair[column]), f"{model} with {label(activation)} is not in this run of Task 1")
            continue
        motifs = filter_motifs(tables["motifs"], own["run"][0], trial)
        drawn = logo_grid(figure, pair[column], motifs, own, columns=4)
        parts.append(own)
        drawn[0].annotate(
            f"{model}, {label(activation)}", (0, 1), (0, 9), "axes fraction", "offset points", color=colour(activation),
            fontsize=7, fontweight="bold",
        )  # fmt: skip
        if column == 0:
            panel(drawn[0], "b", x=-5, y=3)
    name = pl.coalesce("factor", "target_name", pl.lit("no motif"))
    quantity = pl.format("E-value of {}: {}", "filter", name).alias("quantity")
    shown = pl.concat(parts, how="diagonal_relaxed").with_columns(pl.lit("b").alias("panel"))
    return shown.select("panel", "model", "activation", "trial", quantity, value="e_value")


def _models(
    figure: Figure,
    place: SubplotSpec,
    models: list[str],
    activations: list[str],
    matches: pl.DataFrame,
    metrics: pl.DataFrame,
) -> None:
    grid = place.subgridspec(2, len(models), hspace=0.18, wspace=0.14)
    auroc = metrics.filter(pl.col("metric") == "auroc")
    for column, model in enumerate(models):
        upper, lower = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        _match_fraction(upper, matches.filter(pl.col("model") == model), activations, model)
        by_activation(lower, auroc.filter(pl.col("model") == model), "value", activations)
        lower.axhline(0.5, color=GREY, linestyle=(0, (2, 1.5)), linewidth=0.8)
        lower.set(ylim=(0.45, 1.01))
        upper.set_xticklabels([])
        if column:
            upper.set_yticklabels([])
            lower.set_yticklabels([])
            continue
        panel(upper, "c", x=-12)
        upper.set_ylabel("filters matching\nground truth")
        lower.set_ylabel("test AUROC\n(mean of classes)")
        _direct_label(upper, "dashed: shuffled filters", 0.5)
        _direct_label(lower, "dashed: chance", 0.515)


def _match_fraction(axes: Axes, matches: pl.DataFrame, activations: list[str], title: str) -> None:
    by_activation(axes, matches.filter(pl.col("set") == "filters"), "match_fraction", activations)
    null_marks(axes, matches.filter(pl.col("set") == "shuffled"), "match_fraction", activations)
    axes.set(ylim=(-0.03, 1.03))
    axes.set_title(f"{title} ($n$ = {matches['trial'].n_unique()})", loc="left", fontweight="bold")


def _direct_label(axes: Axes, text: str, height: float) -> None:
    axes.annotate(
        text, (0, height), (3, 0), ("axes fraction", "data"), "offset points", va="bottom", color=GREY, fontsize=6
    )


def _task2(figure: Figure, path: str | None, order: list[str]) -> pl.DataFrame | None:
    if path is None:
        axes = figure.add_subplot(strip(figure, top=157, height=4))
        missing(axes, "Task 2 (DeepSEA subset): this panel joins when the results of Task 2 exist.")
        panel(axes, "d", x=-12, y=-3)
        return None
    matches = match_table(path).filter(pl.col("activation").is_in(order))
    models, activations = in_order(matches["model"].to_list(), MODELS), in_order(matches["activation"].to_list(), order)
    grid = strip(figure, top=162, height=28).subgridspec(1, len(models), wspace=0.14)
    for column, model in enumerate(models):
        axes = figure.add_subplot(grid[column])
        _match_fraction(axes, matches.filter(pl.col("model") == model), activations, f"Task 2, {model}")
        if column:
            axes.set_yticklabels([])
            continue
        panel(axes, "d", x=-12)
        axes.set_ylabel("filters matching\nground truth")
    return matches


def _numbers(matches: pl.DataFrame, metrics: pl.DataFrame, task2: pl.DataFrame | None) -> list[pl.DataFrame]:
    def of_matches(table: pl.DataFrame, letter: str) -> pl.DataFrame:
        names = {"filters": "match_fraction", "shuffled": "match_fraction_of_shuffled_filters"}
        return table.select(
            pl.lit(letter).alias("panel"), "model", "activation", "trial",
            pl.col("set").replace(names).alias("quantity"), pl.col("match_fraction").alias("value"),
        )  # fmt: skip

    auroc = metrics.filter(pl.col("metric") == "auroc").select(
        pl.lit("c").alias("panel"), "model", "activation", "trial", pl.col("metric").alias("quantity"), "value"
    )
    return [of_matches(matches, "c"), auroc, *([] if task2 is None else [of_matches(task2, "d")])]
