"""The standard figures of any task: performance, training history, filters, matches, sequences, and quality."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cisflow.figures import gallery
from cisflow.figures.panels import by_activation, in_order, logo_grid, null_marks
from cisflow.figures.read import (
    filter_motifs,
    history_table,
    label_table,
    match_table,
    metric_table,
    quality_table,
    with_panel,
)
from cisflow.figures.style import (
    GREY,
    METHOD_LABELS,
    TWO_COLUMNS,
    colour,
    label,
    missing,
    new_figure,
    strip,
    style,
)

Drawn = tuple[Figure, pl.DataFrame]
# What fits on a page, with letters that can be read.
POSITIONS, SEQUENCES = 100, 6
# The metrics that are drawn, with their axis label and the value of a predictor that knows nothing.
SHOWN = {
    "auroc": ("AUROC", 0.5),
    "aupr": ("AUPR", None),
    "pearson": ("Pearson correlation", 0.0),
    "spearman": ("Spearman correlation", 0.0),
}


# Of the quality of attributions; a low first and second, a high third and fourth speak for them.
QUALITY = {
    "convergence_error": "convergence error (dashed: limit)",
    "spread_over_references": "spread over references",
    "reverse_complement_correlation": "correlation with the other strand's map",
    "mutagenesis_correlation": "correlation with mutagenesis",
}


def performance(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw test metrics (mean over targets) by activation for each panel, every trial a dot, baselines as lines.

    Parameters
    ----------
    tables
        Path of `metrics`.
    settings
        Not used.
    """
    table = metric_table(tables["metrics"])
    shown = [metric for metric in SHOWN if metric in table["metric"]]
    table = table.filter(pl.col("metric").is_in(shown))
    trained = with_panel(table.filter(pl.col("trial").is_not_null()))
    baselines = table.filter(pl.col("trial").is_null() & pl.col("value").is_not_null())
    if trained["value"].is_null().all():
        return _only_words(
            "No test metric is defined: the labels of the test split are all alike, or no trial converged."
        )
    if (trained["activation"] == "head").all():
        # They have no activations to tell them apart by, and stand side by side.
        trained = trained.with_columns(activation="panel", panel=pl.lit("heads"))
    panels = in_order(trained["panel"].to_list(), ())
    with style():
        figure = new_figure(TWO_COLUMNS, 16 + 42 * len(panels))
        grid = figure.subplots(len(panels), len(shown), squeeze=False)
        for row, panel in zip(grid, panels, strict=True):
            for axes, metric in zip(row, shown, strict=True):
                own = trained.filter((pl.col("panel") == panel) & (pl.col("metric") == metric))
                if own["value"].is_null().all():
                    missing(axes, f"{panel}: the {SHOWN[metric][0]} of no trial is defined.")
                    continue
                by_activation(axes, own, "value", in_order(own["activation"].to_list(), ()))
                axes.set_ylabel(f"test {SHOWN[metric][0]}")
                _reference_lines(axes, metric, baselines)
                axes.set_title(panel, loc="left", fontweight="bold")
        figure.tight_layout()
    return figure, table.select("run", "model", "activation", "trial", "metric", "value", "n")


def _reference_lines(axes: Axes, metric: str, baselines: pl.DataFrame) -> None:
    lines = [
        (row["model"].replace("_", " "), row["value"])
        for row in baselines.filter(pl.col("metric") == metric).to_dicts()
    ]
    if SHOWN[metric][1] is not None:
        lines.append(("chance", SHOWN[metric][1]))
    for name, value in lines:
        axes.axhline(value, color=GREY, linestyle=(0, (2, 1.5)), linewidth=0.8)
        axes.annotate(
            name, (1, value), (0, 1.5), ("axes fraction", "data"), "offset points", ha="right", color=GREY, fontsize=6
        )


def training(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw training loss, validation loss and the monitored metric against the epoch; one line a trial.

    Parameters
    ----------
    tables
        Path of `history`: the histories of all trials, one below the other.
    settings
        Not used.
    """
    table = with_panel(history_table(tables["history"]))
    metrics = [c for c in table.columns if c.startswith("valid_") and c != "valid_loss"]
    columns = ["train_loss", "valid_loss", *metrics]
    panels = in_order(table["panel"].to_list(), ())
    with style():
        figure = new_figure(TWO_COLUMNS, 16 + 38 * len(panels))
        grid = figure.subplots(len(panels), len(columns), squeeze=False, sharex="row")
        for row, panel in zip(grid, panels, strict=True):
            own = table.filter(pl.col("panel") == panel)
            for axes, column in zip(row, columns, strict=True):
                _lines(axes, own, column)
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
                axes.set(xlabel="epoch", ylabel=column.replace("_", " "))
            row[0].set_title(panel, loc="left", fontweight="bold")
            row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
        figure.tight_layout()
    return figure, table.select("run", "model", "activation", "trial", "epoch", *columns)


def _lines(axes: Axes, table: pl.DataFrame, column: str) -> None:
    for activation in in_order(table["activation"].to_list(), ()):
        own = table.filter(pl.col("activation") == activation)
        for number, part in enumerate(own.partition_by("run", "trial", maintain_order=True)):
            name = label(activation) if number == 0 else None
            # A single epoch is no line.
            mark = {"marker": "o", "markersize": 2.5} if len(part) == 1 else {}
            shown = {"color": colour(activation), "alpha": 0.7, "linewidth": 0.8} | mark
            axes.plot(part["epoch"], part[column], label=name, **shown)


def filters(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw the logos of the filters of the first trial of each run, each under its label.

    Parameters
    ----------
    tables
        Paths of `labels` and `motifs`.
    settings
        `runs`: at most this many are drawn. `ground_truth`, if it is there: whether the task has one.
    """
    labels = label_table(tables["labels"])
    labels = labels.filter(pl.col("trial") == labels["trial"].min())
    runs = labels["run"].unique(maintain_order=True).to_list()
    shown, columns, row_height = runs[: settings["runs"]], 8, 11
    parts = {run: labels.filter(pl.col("run") == run) for run in shown}
    heights = [row_height * -(-len(part) // columns) for part in parts.values()]
    with style():
        figure, top = new_figure(TWO_COLUMNS, sum(heights) + 10 * len(heights)), 8
        for height, (run, part) in zip(heights, parts.items(), strict=True):
            motifs = filter_motifs(tables["motifs"], run, part["trial"][0])
            place, truth = strip(figure, top, height, left=6), settings.get("ground_truth", True)
            drawn = logo_grid(figure, place, motifs, part, columns, numbered=True, ground_truth=truth)
            heading = {"fontsize": 7, "fontweight": "bold"}
            drawn[0].annotate(run, (0, 1), (0, 9), "axes fraction", "offset points", **heading)
            top += height + 10
    table = labels.filter(pl.col("run").is_in(shown))
    shown = ("run", "trial", "filter", "status", "factor", "target", "target_name", "e_value", "q_value", "withheld")
    return figure, table.select(shown)


def sequences(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw what the runs read in the sequences of a gallery.

    Parameters
    ----------
    tables
        Path of `gallery`.
    settings
        `runs`: at most this many are drawn.
    """
    return gallery.draw(tables, {"positions": POSITIONS, "sequences": SEQUENCES, "runs": settings["runs"]})


def quality(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw how far the attributions can be trusted: each quantity by method, a dot a trial.

    Parameters
    ----------
    tables
        Path of `quality`.
    settings
        `limits`: largest convergence error by method, with which results are used.
    """
    table = quality_table(tables["quality"])
    methods = in_order(table["method"].to_list(), tuple(METHOD_LABELS))
    with style():
        figure = new_figure(TWO_COLUMNS, 112)
        for axes, (quantity, title) in zip(figure.subplots(2, 2).flat, QUALITY.items(), strict=True):
            own = table.filter((pl.col("quantity") == quantity) & pl.col("value").is_not_null())
            axes.set_title(title, loc="left")
            if own.is_empty():
                missing(axes, "not measured for these methods")
                continue
            shown = [method for method in methods if method in own["method"]]
            _dots_by_method(axes, own, shown)
            if quantity == "convergence_error":
                axes.set_yscale("log")
                _limits(axes, shown, settings["limits"])
        activations = in_order(table["activation"].to_list(), ())
        keys = [Line2D([], [], marker="o", markersize=3.5, linestyle="", color=colour(a)) for a in activations]
        figure.legend(keys, map(label, activations), loc="lower center", ncols=9, handlelength=0.8)
        figure.tight_layout(rect=(0, 0.05, 1, 1))
    return figure, table.select("run", "activation", "trial", "method", "quantity", "value", "n")


def _dots_by_method(axes: Axes, table: pl.DataFrame, methods: list[str]) -> None:
    for position, method in enumerate(methods):
        own = table.filter(pl.col("method") == method)
        # Spread in the order of the table, not at random: the same picture every time.
        x = np.linspace(position - 0.3, position + 0.3, len(own)) if len(own) > 1 else [position]
        axes.scatter(x, own["value"], s=7, color=[colour(a) for a in own["activation"]], alpha=0.75, linewidths=0)
    axes.set_xticks(range(len(methods)), [METHOD_LABELS[method].replace(" ", "\n") for method in methods])
    axes.set_xlim(-0.6, len(methods) - 0.4)


def _limits(axes: Axes, methods: list[str], limits: Mapping[str, float]) -> None:
    for position, method in enumerate(methods):
        if method in limits:
            line = {"colors": GREY, "linestyles": (0, (2, 1.5)), "linewidth": 0.8}
            axes.hlines(limits[method], position - 0.42, position + 0.42, **line)


def matches(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw the fraction of filters with a hit, to ground truth (if there is one) and to any motif, beside the null.

    Parameters
    ----------
    tables
        Path of `matches`.
    settings
        Not used.
    """
    table = with_panel(match_table(tables["matches"]))
    titles = {"match_fraction": "filters matching\nground truth", "match_any": "filters matching\nany known motif"}
    columns = [column for column in titles if table[column].is_not_null().any()]
    panels = in_order(table["panel"].to_list(), ())
    with style():
        figure = new_figure(TWO_COLUMNS, 16 + 42 * len(panels))
        grid = figure.subplots(len(panels), len(columns), squeeze=False)
        for row, panel in zip(grid, panels, strict=True):
            own = table.filter(pl.col("panel") == panel)
            activations = in_order(own["activation"].to_list(), ())
            for axes, column in zip(row, columns, strict=True):
                by_activation(axes, own.filter(pl.col("set") == "filters"), column, activations)
                null_marks(axes, own.filter(pl.col("set") == "shuffled"), column, activations)
                axes.set(ylim=(-0.03, 1.03), ylabel=titles[column])
                axes.set_title(f"{panel} (dashed: shuffled filters)", loc="left", fontweight="bold")
        figure.tight_layout()
    return figure, table.select("run", "model", "activation", "trial", "set", "filters", *columns)


def _only_words(text: str) -> Drawn:
    with style():
        figure = new_figure(TWO_COLUMNS, 20)
        missing(figure.add_subplot(), text)
    return figure, pl.DataFrame({"note": [text]})
