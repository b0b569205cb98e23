"""What a task's data set is like: rows by class, GC content, what was left out, and its labels."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from cisflow.datasets.account import KEPT, MADE
from cisflow.figures.panels import in_order
from cisflow.figures.read import dataset_tables
from cisflow.figures.style import (
    BLACK,
    GREY,
    LIGHT_GREY,
    PALETTE,
    SPLIT_DASHES,
    SPLIT_MARKS,
    TWO_COLUMNS,
    class_colour,
    correlation_map,
    missing,
    new_figure,
    panel,
    strip,
    style,
)

SPLITS = tuple(SPLIT_DASHES)
# Names of targets that can be read beside each other, and reasons.
NAMED, REASONS = 20, 7
# Letters of a target's name (a millimetre each), and of a reason.
LETTERS, REASON_LETTERS = 18, 44
PLACES = {"wspace": 0.42, "width_ratios": (1, 1, 1.1)}
SPLIT_PLACES = {"train": -0.24, "valid": 0.0, "test": 0.24}
# An axis is logarithmic where its highest value is this many times its lowest.
WIDE = 20
# Steps that cut a unit into more, or join it to fewer: nothing is left out.
RESHAPED = ("break", "join")
# Bins that have a width; others are of one value, as of zero.
_BIN = pl.col("end") > pl.col("start")


def percent(value: float, _: int = 0) -> str:
    """Return a fraction in percent, for an axis."""
    return f"{100 * value:.6g}%"


def _short(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of `quality`, `distributions` and `accounting`.
    settings
        Not used.

    Returns
    -------
    Figure
        a: rows by split and class; b: their GC content; c: what was left out, by reason; d: each target, and what of it
        is masked; e: how the labels are distributed; f: how they are correlated. A panel that does not apply says so.
    DataFrame
        The plotted numbers: panel, and the columns of the tables.
    """
    quality, found, accounting = dataset_tables(tables)
    parts = {str(name): part for (name,), part in found.partition_by("part", as_dict=True).items()}
    dropped = left_out(accounting)
    masked = quality.filter(quantity="masked_fraction")
    targets = masked["target"].unique(maintain_order=True).to_list()
    own = "quantile" if "quantile" in parts else "fraction"
    with style():
        letters = max(map(len, targets)) if 1 < len(targets) <= NAMED else 0
        figure = new_figure(TWO_COLUMNS, 121 + min(letters, LETTERS))
        upper = strip(figure, top=8, height=40, left=14, right=3).subgridspec(1, 3, **PLACES).subplots()
        lower = strip(figure, top=65, height=44, left=14, right=3).subgridspec(1, 3, **PLACES)
        of_targets = lower[0].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.16).subplots(sharex=True)
        last = [figure.add_subplot(place) for place in (lower[1], lower[2])]
        _rows(upper[0], parts["rows"])
        _gc(upper[1], parts["gc"])
        _reasons(upper[2], dropped, accounting)
        _targets(*of_targets, parts[own], masked)
        name, distribution = ("histogram", _histogram) if own == "quantile" else ("positives", _positives)
        e = distribution(last[0], parts.get(name))
        _correlations(last[1], parts.get("correlation"), parts["targets"])
        for axes, letter in zip((*upper, of_targets[0], *last), "abcdef", strict=True):
            panel(axes, letter, x=-11)
    shown = {"a": [parts["rows"]], "b": [parts["gc"]], "c": [dropped], "d": [parts[own], masked], "e": e}
    shown["f"] = [parts["correlation"]] if "correlation" in parts else []
    return figure, _numbers(shown)


def left_out(accounting: pl.DataFrame) -> pl.DataFrame:
    """Return what went out: unit, step, reason, rows (positive), and the fraction of what came in, largest first.

    Candidates that did not become negatives are not missing from a data set.
    """
    moved = accounting.filter((pl.col("unit") != "candidates") & ~pl.col("step").is_in([KEPT, *MADE, *RESHAPED]))
    of_unit = pl.col("rows").filter(pl.col("rows") > 0).sum().over("unit")
    went = moved.with_columns(entered=of_unit).filter(pl.col("rows") < 0)
    went = went.group_by("unit", "step", "reason", maintain_order=True).agg(-pl.col("rows").sum(), pl.first("entered"))
    went = went.with_columns(fraction=pl.col("rows") / pl.col("entered")).drop("entered")
    return went.sort("fraction", descending=True, maintain_order=True)


def _numbers(shown: Mapping[str, Sequence[pl.DataFrame]]) -> pl.DataFrame:
    tables = [table.with_columns(panel=pl.lit(letter)) for letter, own in shown.items() for table in own]
    whole = pl.concat(tables, how="diagonal_relaxed").drop("part")
    return whole.select("panel", pl.exclude("panel"))


def _rows(axes: Axes, table: pl.DataFrame) -> None:
    """Draw a bar for each split and class, with its number."""
    classes = in_order(table["class"].to_list(), ())
    width = 0.8 / len(classes)
    for number, name in enumerate(classes):
        own = table.filter(pl.col("class") == name)
        places = [SPLITS.index(split) + (number - (len(classes) - 1) / 2) * width for split in own["split"]]
        axes.bar(places, own["value"], 0.92 * width, color=class_colour(name), label=name if name != "all" else None)
        for place, value in zip(places, own["value"], strict=True):
            note = {"ha": "center", "va": "bottom", "fontsize": 5.5}
            axes.annotate(f"{value:,.0f}", (place, value), (0, 1), textcoords="offset points", **note)
    axes.set_xticks(range(len(SPLITS)), SPLITS)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("rows")
    if len(classes) > 1:
        axes.legend(loc="upper right", handlelength=0.8, handleheight=0.8)


def _gc(axes: Axes, table: pl.DataFrame) -> None:
    """Draw the part of rows in each bin of GC content: a line for each split and class."""
    drawn = []
    for (split, name), own in table.partition_by("split", "class", as_dict=True, maintain_order=True).items():
        if total := own["value"].sum():
            line = {"color": class_colour(name), "linestyle": SPLIT_DASHES[split], "linewidth": 0.9}
            axes.stairs(own["value"] / total, [*own["start"], own["end"][-1]], baseline=None, **line)
            drawn.append(own.filter(pl.col("value") > 0))
    if not drawn:
        missing(axes, "No row has a known base.")
        return
    inside = pl.concat(drawn)
    width = inside["end"][0] - inside["start"][0]
    # The room at the right is for the words.
    axes.set_xlim(max(inside["start"].min() - width, 0), inside["end"].max() + 5 * width)
    axes.set_ylim(0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(percent)
        axis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="GC content", ylabel="rows of a class" if table["class"].n_unique() > 1 else "rows")
    axes.legend(handles=_split_lines(table["split"].unique()), loc="upper right", handlelength=1.8)


def _split_lines(there: pl.Series) -> list[Line2D]:
    return [
        Line2D([], [], color=GREY, linewidth=0.9, linestyle=SPLIT_DASHES[split], label=split)
        for split in SPLITS
        if split in there
    ]


def _reasons(axes: Axes, dropped: pl.DataFrame, accounting: pl.DataFrame) -> None:
    """Draw a bar for each reason, as a part of what came in of its unit, with its number and words above it."""
    if dropped.is_empty():
        kept = accounting.filter(pl.col("step") == KEPT).group_by("unit", maintain_order=True).agg(pl.col("rows").sum())
        missing(axes, "Nothing was left out:\n" + ",\n".join(f"{rows:,} {unit}" for unit, rows in kept.rows()) + ".")
        return
    bars = [
        (_short(f"{(reason or step).replace('_', ' ')}: {rows:,} {unit}{_percent(fraction)}", REASON_LETTERS), fraction)
        for unit, step, reason, rows, fraction in dropped.head(REASONS).iter_rows()
    ]
    if len(dropped) > REASONS:
        bars.append(_others(dropped[REASONS:]))
    places = np.arange(len(bars))
    axes.barh(places + 0.22, [part for _, part in bars], 0.34, color=GREY)
    for place, (words, _) in zip(places, bars, strict=True):
        axes.annotate(words, (0, place), (2, 0), ("axes fraction", "data"), "offset points", fontsize=6, va="bottom")
    axes.set_ylim(max(len(bars), 4) - 0.4, -0.6)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(percent)
    axes.set_xlabel("left out, of what came in")


def _others(dropped: pl.DataFrame) -> tuple[str, float]:
    """Return the words and the bar of the reasons that have none of their own; units are not added to each other."""
    words = f"{len(dropped)} other reasons"
    if dropped["unit"].n_unique() > 1:
        return f"{words}, at most {dropped['fraction'].max():.1%} each", 0.0
    return f"{words}: {dropped['rows'].sum():,}", dropped["fraction"].sum()


def _percent(fraction: float | None) -> str:
    if fraction is None or not np.isfinite(fraction):
        return ""
    return f" ({fraction:.1%})" if fraction >= 0.001 else " (< 0.1%)"


def _targets(axes: Axes, below: Axes, table: pl.DataFrame, masked: pl.DataFrame) -> None:
    """Draw the positives or quantiles of each target, and below it the fraction of its labels that is masked."""
    targets = table["target"].unique(maintain_order=True).to_list()
    if len(targets) > NAMED:
        level = table.filter(pl.col("split") == "train", pl.col("name").is_null() | (pl.col("name") == "0.5"))
        targets = level.sort("value", descending=True, nulls_last=True, maintain_order=True)["target"].to_list()
    if table["name"].is_null().all():
        _fractions(axes, table, targets)
    else:
        _quantiles(axes, table.filter(split="train"), targets)
    masked = masked.filter(pl.col("target").is_in(targets))
    _of_splits(below, masked, targets)
    below.set_ylim(-0.1, 1.1)
    below.set_yticks([0, 1], ["0%", "100%"])
    below.set_ylabel("masked")
    if not masked["value"].sum():
        below.text(0.5, 0.5, "none", ha="center", va="center", color=GREY, transform=below.transAxes)
    _name(below, targets)


def _name(axes: Axes, targets: Sequence[str]) -> None:
    axes.set_xlim(-0.6, len(targets) - 0.4)
    if len(targets) <= NAMED:
        names = [_short(name, LETTERS) for name in targets]
        axes.set_xticks(range(len(targets)), names, rotation=90 if len(targets) > 1 else 0, fontsize=6)
        axes.tick_params(axis="x", length=0)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel(f"{len(targets)} targets, sorted")


def _of_splits(axes: Axes, table: pl.DataFrame, targets: Sequence[str]) -> None:
    """Draw a value for each split and target: marks side by side, or lines of marks where there are many."""
    place = {target: number for number, target in enumerate(targets)}
    few = len(targets) <= NAMED
    for split, (shape, colour) in SPLIT_MARKS.items():
        own = table.filter(split=split)
        x = [place[target] + (SPLIT_PLACES[split] if few else 0) for target in own["target"]]
        mark = {"marker": shape, "s": 7 if few else 2, "color": colour, "linewidths": 0, "clip_on": False}
        axes.scatter(x, own["value"].to_numpy(), label=split, zorder=3, **mark)


def _fractions(axes: Axes, table: pl.DataFrame, targets: Sequence[str]) -> None:
    _of_splits(axes, table, targets)
    values = table["value"].drop_nulls().filter(table["value"].drop_nulls() > 0)
    if len(values) and values.max() > WIDE * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0)
    axes.yaxis.set_major_formatter(percent)
    axes.set_ylabel("positive labels")
    axes.legend(loc="lower right", bbox_to_anchor=(1.02, 0.97), ncols=3, handletextpad=0, columnspacing=0.6)


def _quantiles(axes: Axes, table: pl.DataFrame, targets: Sequence[str]) -> None:
    """Draw quantiles of the labels of each target: 1 to 99 % thin, 25 to 75 % thick, the median a dot."""
    at = {name: _in_order(table.filter(name=name), targets) for name in ("0.01", "0.25", "0.5", "0.75", "0.99")}
    x = np.arange(len(targets))
    if len(targets) <= NAMED:
        axes.vlines(x, at["0.01"], at["0.99"], colors=GREY, linewidth=0.8)
        axes.vlines(x, at["0.25"], at["0.75"], colors=GREY, linewidth=3)
        axes.scatter(x, at["0.5"], s=7, color=BLACK, linewidths=0, zorder=3)
    else:
        axes.fill_between(x, at["0.01"], at["0.99"], color=LIGHT_GREY, linewidth=0)
        axes.fill_between(x, at["0.25"], at["0.75"], color=GREY, linewidth=0)
        axes.plot(x, at["0.5"], color=BLACK, linewidth=0.8)
    values = np.concatenate(list(at.values()))
    positive = values[values > 0]
    if positive.size and np.nanmin(values) >= 0 and positive.max() > WIDE * positive.min():
        axes.set_yscale("symlog", linthresh=max(positive.min(), positive.max() * 1e-4))
    axes.set_ylabel("label")
    axes.set_title("train: median, 25–75%, 1–99%", loc="right", fontsize=6, color=GREY)


def _in_order(table: pl.DataFrame, targets: Sequence[str]) -> NDArray[np.float64]:
    value = dict(table.select("target", "value").iter_rows())
    return np.array([value[target] for target in targets], np.float64)


def _positives(axes: Axes, table: pl.DataFrame | None) -> list[pl.DataFrame]:
    """Draw how many labels of a row are positive."""
    if table is None:
        missing(axes, "One binary target:\nhow its labels are distributed\nis in a and d.")
        return []
    for split, (shape, colour) in SPLIT_MARKS.items():
        own = table.filter(split=split)
        mark = {"marker": shape, "markersize": 2.6, "color": colour, "linewidth": 0.6, "markeredgewidth": 0}
        axes.plot(own["start"], own["value"] / own["value"].sum(), label=split, **mark)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(percent)
    axes.set(xlabel="positive labels of a row", ylabel="rows")
    axes.legend(loc="upper right", handlelength=1.2)
    return [table]


def _histogram(axes: Axes, table: pl.DataFrame | None) -> list[pl.DataFrame]:
    """Draw the labels of each target in the training split; many are grey, with their mean in black."""
    if table is None:
        missing(axes, "No label is measured.")
        return []
    table = table.filter(split="train")
    parts = [part for part in table.partition_by("target", maintain_order=True) if part["value"].sum()]
    bins = [part.filter(_BIN & (pl.col("start") > 0 if table["start"].min() >= 0 else True)) for part in parts]
    if not parts or bins[0].is_empty():
        missing(axes, "All labels are alike." if parts else "No label of the training split\nis measured.")
        return [table]
    edges = [*bins[0]["start"], bins[0]["end"][-1]]
    fractions = np.array([own["value"] / part["value"].sum() for own, part in zip(bins, parts, strict=True)])
    few = len(parts) <= len(PALETTE)
    for part, fraction, colour in zip(parts, fractions, cycle(PALETTE if few else (LIGHT_GREY,))):
        name = part["target"][0] if few and len(parts) > 1 else None
        axes.stairs(fraction, edges, baseline=None, color=colour, linewidth=0.7, label=name)
    if not few:
        axes.stairs(fractions.mean(axis=0), edges, baseline=None, color=BLACK, linewidth=1, label="mean over targets")
    if table["start"].min() >= 0:
        axes.set_xscale("log" if edges[-1] > WIDE * edges[0] else "linear")
        _not_shown(axes, parts)
    # Room for the names, which stand below each other.
    axes.set_ylim(0, (1.1 + 0.06 * (len(parts) if few else 1)) * fractions.max())
    axes.yaxis.set_major_formatter(percent)
    axes.set(xlabel="label (train)", ylabel="labels of a target")
    if len(parts) > 1:
        axes.legend(loc="upper right", handlelength=1.2, fontsize=6, labelspacing=0.2)
    return [table]


def _not_shown(axes: Axes, parts: Sequence[pl.DataFrame]) -> None:
    """Say how many labels lie below the bins of a logarithmic axis."""
    below = [part.filter(pl.col("start") == 0)["value"].sum() / part["value"].sum() for part in parts]
    if max(below) > 0:
        low, high = (f"{100 * value:.0f}" for value in (min(below), max(below)))
        near = " or near it" * any(part.filter(_BIN & (pl.col("start") == 0)).height for part in parts)
        text = f"{low if low == high else f'{low} to {high}'}% zero{near}"
        axes.set_title(f"not shown: {text}", loc="right", fontsize=6, color=GREY)


def _correlations(axes: Axes, table: pl.DataFrame | None, targets: pl.DataFrame) -> None:
    """Draw the correlation of each pair of targets, in the order of the data set."""
    if table is None:
        missing(axes, "One target:\nthere is nothing to correlate.")
        return
    names = in_order([*table["target"][:1], *table["other"].to_list()], ())
    place = {name: number for number, name in enumerate(names)}
    first, second = ([place[name] for name in table[column]] for column in ("target", "other"))
    values = np.eye(len(names))
    values[first, second] = values[second, first] = table["value"].to_numpy()
    correlation_map(axes, values)
    axes.set_anchor("N")
    axes.set_title("Pearson correlation", loc="left")
    total, compared = (int(targets.filter(name=name)["value"][0]) for name in ("all", "compared"))
    if total <= NAMED:
        shown = [_short(name, LETTERS) for name in names]
        axes.set_yticks(range(len(names)), shown, fontsize=5)
        axes.set_xticks(range(len(names)), shown, fontsize=5, rotation=90)
        axes.tick_params(length=0)
    else:
        axes.set(
            xticks=[], yticks=[], xlabel=f"{f'{compared} of ' * (compared < total)}{total} targets, in their order"
        )
