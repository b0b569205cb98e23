"""The heads of a task side by side: sizes and scores with intervals, scores by track, and differences of pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cisflow.figures.heads import (
    BASELINE,
    MEAN,
    POOLED,
    Runs,
    decimals,
    footnote,
    read_runs,
    shortened,
    splits_of,
)
from cisflow.figures.panels import in_order
from cisflow.figures.style import BLACK, GREY, LIGHT_GREY, TWO_COLUMNS, missing, new_figure, panel, strip, style
from cisflow.tables import HEAD_COMPARISON, HEAD_SCORES, read_tsv

# Millimetres: a line of the table; panels below it.
LINE, ABOVE, TRACK, PAIR = 4.6, 9, 4.2, 5
# Columns of the table: target, metric, heading, digits.
COLUMNS = (
    (MEAN, "pearson", "Pearson,\nmean of tracks", 3),
    (MEAN, "spearman", "Spearman,\nmean of tracks", 3),
    (MEAN, "skill", "1 − MSE / baseline,\nmean of tracks", 3),
    (POOLED, "pearson", "Pearson,\npooled tracks", 3),
    (POOLED, "spearman", "Spearman,\npooled tracks", 3),
)
# Where columns begin (the first two) or end, as parts of the table's width.
PLACES = (0, 0.045, 0.245, 0.282, 0.435, 0.587, 0.742, 0.895, 1)
SIDES = ("left", "left", *["right"] * 7)
FALSE_DISCOVERY = 0.05
# What a page has room for in b and c.
TRACKS, PAIRS = 32, 28


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of `scores`, `comparison` and `heads`.
    settings
        `split` (of b and c); `tracks` and `runs`: which, and in what order; empty for all.

    Returns
    -------
    Figure
        a, a table: a line for each split and head; b, Pearson correlation by track; c, differences between heads.
    DataFrame
        The plotted numbers, as the tables `scores` (part a or b) and `comparison` (part c).
    """
    scores, pairs = read_tsv(tables["scores"], HEAD_SCORES), read_tsv(tables["comparison"], HEAD_COMPARISON)
    runs = read_runs(tables["heads"], settings["runs"])
    split, splits = settings["split"], splits_of(scores)
    own = scores.filter(pl.col("run").is_in([*runs.names, BASELINE]))
    of_targets = [target for target in in_order(own["target"].to_list(), ()) if target not in (MEAN, POOLED)]
    asked = list(settings["tracks"]) or of_targets
    tracks = asked[:TRACKS]
    of_split = (pl.col("set") == split) & (pl.col("metric") == "pearson")
    of_tracks = own.filter(of_split & pl.col("target").is_in(tracks) & (pl.col("run") != BASELINE))
    pairs = pairs.filter(of_split & pl.col("run").is_in(runs.names) & pl.col("other").is_in(runs.names))
    every = list(dict.fromkeys(pairs.select("run", "other").iter_rows()))
    names = every[:PAIRS]
    lines = len(splits) * (len(runs.names) + 1)
    table = ABOVE + 8 + LINE * (lines + 0.5 * len(splits))
    below = max(TRACK * len(tracks), PAIR * len(names), 40)
    with style():
        figure = new_figure(TWO_COLUMNS, table + 10 + below + 17)
        a = figure.add_subplot(strip(figure, ABOVE, table - ABOVE, left=8, right=2))
        _table(a, own, runs, splits)
        place = strip(figure, table + 10, below, left=40, right=16).subgridspec(
            1, 2, wspace=0.72, width_ratios=(1.25, 1)
        )
        b, c = place.subplots()
        _by_track(b, of_tracks, tracks, runs, split)
        _pairs(c, pairs, names, runs, split)
        panel(a, "a", x=-6, y=2)
        panel(b, "b", x=-38, y=3)
        panel(c, "c", x=-32, y=3)
        footnote(
            figure, f"{runs.intervals(of_tracks)}\nPooled: all tracks as one, so that what is between tracks counts, "
            "too, as the baseline shows: it predicts each track's mean over the training split."
            + _no_room(len(asked) - len(tracks), len(every) - len(names)),
        )  # fmt: skip
    parts = [own.filter(pl.col("target").is_in([MEAN, POOLED])), of_tracks, pairs]
    return figure, pl.concat([part.with_columns(part=pl.lit(x)) for part, x in zip(parts, "abc", strict=True)],
        how="diagonal_relaxed")  # fmt: skip


def _no_room(tracks: int, pairs: int) -> str:
    return f" No room for {tracks} tracks, {pairs} pairs." if tracks or pairs else ""


def _table(axes: Axes, own: pl.DataFrame, runs: Runs, splits: Sequence[str]) -> None:
    """Write a line for each split and head, the baseline last."""
    axes.set_axis_off()
    headings = ["split", "head", "parameters", "trials", *(heading for *_, heading, _ in COLUMNS)]
    lines = len(splits) * (len(runs.names) + 1) + 0.5 * len(splits) + 1.8
    axes.set(xlim=(0, 1), ylim=(lines, 0))
    for place, heading, side in zip(PLACES, headings, SIDES, strict=True):
        axes.text(place, 1.2, heading, ha=side, va="bottom", fontsize=6.5, color=GREY, linespacing=1.0)
    axes.axhline(1.4, color=BLACK, linewidth=0.6)
    whole = own.filter(pl.col("trial").is_null())
    about = {row["run"]: row for row in runs.table.iter_rows(named=True)}
    y = 2.2
    for split in splits:
        found = {
            (row["run"], row["target"], row["metric"]): row
            for row in whole.filter(pl.col("set") == split).iter_rows(named=True)
        }
        for number, run in enumerate([*runs.names, BASELINE]):
            baseline = run == BASELINE
            words = [split if number == 0 else "", "baseline: track means" if baseline else runs.labels[run]]
            words += ["–", "–"] if baseline else [f"{about[run]['parameters']:,}", f"{about[run]['trials']}"]
            colours = [BLACK, GREY if baseline else runs.colours[run], *[BLACK] * 7]
            words += [_value(found.get((run, *key[:2])), key[3]) for key in COLUMNS]
            sizes = [6] * 4 + [5.5] * 5
            for place, text, side, colour, size in zip(PLACES, words, SIDES, colours, sizes, strict=True):
                axes.text(place, y, text, ha=side, va="center", fontsize=size, color=colour)
            y += 1
        axes.axhline(y - 0.25, color=LIGHT_GREY, linewidth=0.5)
        y += 0.5


def _value(row: Mapping[str, Any] | None, digits: int) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["run"] == BASELINE and row["metric"] == "skill":
        return "0"
    value, *ends = (row[key] is not None and decimals(row[key], digits) for key in ("value", "low", "high"))
    return f"{value} [{', '.join(ends)}]" if all(ends) else value


def _by_track(axes: Axes, own: pl.DataFrame, tracks: Sequence[str], runs: Runs, split: str) -> None:
    """Draw each track's correlation: intervals of the means over trials, and every trial a dot."""
    if own["value"].is_null().all():
        missing(axes, f"No correlation is defined\nin the split {split}.")
        return
    step = 0.7 / max(len(runs.names), 1)
    for number, run in enumerate(runs.names):
        shift = (number - (len(runs.names) - 1) / 2) * step
        part = own.filter(pl.col("run") == run)
        places = {track: place + shift for place, track in enumerate(tracks)}
        whole = part.filter(pl.col("trial").is_null() & pl.col("low").is_not_null())
        y = [places[track] for track in whole["target"]]
        axes.hlines(y, whole["low"], whole["high"], colors=runs.colours[run], linewidth=1)
        trials = part.filter(pl.col("trial").is_not_null() & pl.col("value").is_not_null())
        y = [places[track] for track in trials["target"]]
        axes.scatter(trials["value"], y, s=3.5, color=runs.colours[run], linewidths=0, zorder=3, label=runs.labels[run])
    for place in range(1, len(tracks)):
        axes.axhline(place - 0.5, color=LIGHT_GREY, linewidth=0.3)
    axes.set_yticks(range(len(tracks)), [shortened(track, 30) for track in tracks], fontsize=6)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(tracks) - 0.5, -0.5), xlabel=f"Pearson correlation ({split}; a dot a trial)")
    axes.annotate("colours as in a", (0, 1), (0, 3), "axes fraction", "offset points", fontsize=6, color=GREY)


def _pairs(axes: Axes, pairs: pl.DataFrame, names: Sequence[tuple[str, str]], runs: Runs, split: str) -> None:
    """Draw the mean difference of each pair of heads with its interval, and count the tracks that differ."""
    means = {(row["run"], row["other"]): row for row in pairs.filter(pl.col("target") == MEAN).iter_rows(named=True)}
    if not means:
        missing(axes, "There is one head:\nnothing to compare.")
        return
    tracks = pairs.filter((pl.col("target") != MEAN) & (pl.col("q") <= FALSE_DISCOVERY))
    for place, (run, other) in enumerate(names):
        row = means[run, other]
        if row["difference"] is None:
            axes.text(0, place, "not defined", fontsize=6, color=GREY, va="center")
            continue
        if row["low"] is not None:
            axes.hlines(place, row["low"], row["high"], colors=BLACK, linewidth=1)
        axes.scatter(row["difference"], place, s=9, color=BLACK, linewidths=0, zorder=3)
        both = (pl.col("run") == run) & (pl.col("other") == other)
        higher, lower = (
            tracks.filter(both & side).height for side in (pl.col("difference") > 0, pl.col("difference") < 0)
        )
        axes.annotate(
            f"{higher} / {lower}",
            (1, place),
            (2, 0),
            ("axes fraction", "data"),
            "offset points",
            fontsize=6,
            va="center",
        )
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.axvline(0, color=GREY, linewidth=0.6, linestyle=(0, (3, 1.5)), zorder=0)
    axes.set_yticks(
        range(len(names)), [f"{runs.labels[a]}\n− {runs.labels[b]}" for a, b in names], fontsize=6, linespacing=1.0
    )
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=f"difference of Pearson correlation,\nmean of tracks ({split})")
    words = f"tracks higher\n/ lower\n(q ≤ {FALSE_DISCOVERY:g})"
    note = {"ha": "left", "fontsize": 6, "color": GREY, "linespacing": 1.0}
    axes.annotate(words, (1, 1), (2, 3), "axes fraction", "offset points", **note)
