"""The standard figures of any task: performance, training history, filters, and matches."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cisflow.figures import gallery
from cisflow.figures.panels import by_activation, in_order, logo_grid, null_marks
from cisflow.figures.read import filter_motifs, label_table, match_table, metric_table, with_panel
from cisflow.figures.style import (
    GREY,
    TWO_COLUMNS,
    colour,
    label,
    missing,
    new_figure,
    strip,
    style,
)
from cisflow.tables import HISTORY, read_tsv

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
    table = with_panel(read_tsv(tables["history"], HISTORY))
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
            axes.plot(part["epoch"], part[column], color=colour(activation), alpha=0.7, linewidth=0.8, label=name)


def filters(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw the logos of the filters of the first trial of each run, each under the name of its best hit.

    Parameters
    ----------
    tables
        Paths of `labels` and `motifs`.
    settings
        `runs`: at most this many are drawn.
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
            drawn = logo_grid(figure, strip(figure, top, height, left=6), motifs, part, columns, numbered=True)
            heading = {"fontsize": 7, "fontweight": "bold"}
            drawn[0].annotate(run, (0, 1), (0, 9), "axes fraction", "offset points", **heading)
            top += height + 10
    table = labels.filter(pl.col("run").is_in(shown))
    return figure, table.select("run", "trial", "filter", "factor", "target", "target_name", "e_value", "q_value")


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
