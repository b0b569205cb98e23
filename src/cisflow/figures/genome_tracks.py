"""Labels over predictions along chromosomes, shaded by the split that a stretch is in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cisflow.figures.heads import LABELS, SPLITS, Runs, footnote, only_words, read_runs
from cisflow.figures.panels import in_order
from cisflow.figures.style import (
    BLACK,
    GREY,
    MIDDLE_GREY,
    PAGE_HEIGHT,
    SPLIT_SHADES,
    TWO_COLUMNS,
    WHITE,
    missing,
    new_figure,
    panel,
    row_height,
    strip,
    style,
)
from cisflow.tables import HEAD_COMPOSITION, HEAD_PROFILES, read_tsv

# Millimetres: of a strip, above and below all, and above each group of strips.
STRIP, ABOVE, BELOW, TITLE = 10, 1, 6, 6
# Above the first and below the last strips of a chromosome.
HEADING, SCALE = 5, 9
LEFT, RIGHT = 13, 30
# Stretches are joined when less than this part of the chromosome is between them.
NEAR = 1e-4
# Lower strips, in millimetres, cannot be read: the last chromosomes and tracks are left out.
LOWEST = 4
NOWHERE = "unindexed"


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: for each chromosome and track a strip of labels, and one of the predictions of each head.

    Parameters
    ----------
    tables
        Paths of `profiles`, `composition` and `heads`.
    settings
        `tracks`, `chromosomes` and `runs`: which, and in what order; empty for all that are in the tables.

    Returns
    -------
    Figure
        Shaded by split; what share of the chromosome each has stands above the strips.
    DataFrame
        The plotted numbers, as the table `profiles`.
    """
    profiles = read_tsv(tables["profiles"], HEAD_PROFILES)
    composition = read_tsv(tables["composition"], HEAD_COMPOSITION)
    runs = read_runs(tables["heads"], settings["runs"])
    chromosomes = list(settings["chromosomes"]) or in_order(composition["chrom"].to_list(), ())
    tracks = list(settings["tracks"]) or in_order(profiles["target"].to_list(), ())
    strips = 1 + len(runs.names)
    room = max(int((PAGE_HEIGHT - ABOVE - BELOW - HEADING - SCALE) // (TITLE + strips * LOWEST)), 1)
    asked, tracks = len(tracks) * len(chromosomes), tracks[:room]
    chromosomes = chromosomes[: max(room // max(len(tracks), 1), 1)]
    groups = [(chrom, track) for chrom in chromosomes for track in tracks]
    if not groups:
        return only_words("The tables have no chromosome and track: evaluation.drawn.", HEAD_PROFILES)
    shown = profiles.filter(pl.col("chrom").is_in(chromosomes) & pl.col("target").is_in(tracks))
    shown = shown.filter(pl.col("run").is_in([LABELS, *runs.names]))
    others = ABOVE + BELOW + TITLE * len(groups) + (HEADING + SCALE) * len(chromosomes)
    height = row_height(STRIP, strips * len(groups), others)
    with style():
        figure = new_figure(TWO_COLUMNS, others + len(groups) * strips * height)
        top = ABOVE
        for number, (chrom, track) in enumerate(groups):
            own = shown.filter((pl.col("chrom") == chrom) & (pl.col("target") == track))
            parts = composition.filter(pl.col("chrom") == chrom)
            top += HEADING * (track == tracks[0])
            place = strip(figure, top + TITLE, strips * height, left=LEFT, right=RIGHT)
            axes = place.subgridspec(strips, 1, hspace=0.12).subplots(sharex=True)
            _group(np.atleast_1d(axes), own, parts, runs, chrom, track)
            _heading(axes[0], own, parts, chrom, track, track == tracks[0])
            if track == tracks[-1] and len(own):
                axes[-1].tick_params(axis="x", labelbottom=True, length=2)
                axes[-1].set_xlabel(f"position on {chrom} ({_unit(parts)[1]})", labelpad=1.5)
            if len(groups) > 1:
                panel(axes[0], "abcdefghijklmnopqrstuvwxyz"[number % 26], x=-11, y=2.2)
            top += TITLE + strips * height + SCALE * (track == tracks[-1])
        _key(figure, composition)
        footnote(
            figure, "Where several windows of a split are over a stretch, their mean; predictions of the first trial, "
            "labels in grey behind them."
            + f" No room for {asked - len(groups)} more." * (asked > len(groups)),
        )  # fmt: skip
    return figure, shown


def _group(axes: NDArray, own: pl.DataFrame, parts: pl.DataFrame, runs: Runs, chrom: str, track: str) -> None:
    labels = own.filter(pl.col("run") == LABELS)
    if own.is_empty() or parts.is_empty():
        for one in axes:
            one.set_axis_off()
        missing(axes[len(axes) // 2], f"The tables have no {track} along {chrom}: name both in evaluation.drawn.")
        return
    size, limits, scale = parts["size"][0], _limits(own), _unit(parts)[0]
    rows = [(LABELS, "labels", BLACK, axes[0])]
    rows += [(run, runs.labels[run], runs.colours[run], one) for run, one in zip(runs.names, axes[1:], strict=True)]
    if labels.is_empty():
        axes[0].text(0.5, 0.5, "no measured label", ha="center", va="center", color=GREY, transform=axes[0].transAxes)
    for run, name, colour, one in rows:
        _shade(one, parts, scale)
        if run != LABELS:
            _line(one, labels, MIDDLE_GREY, size, 0.9, scale)
        _line(one, own.filter(pl.col("run") == run), colour, size, 0.7, scale)
        one.set(xlim=(0, size / scale), ylim=limits)
        one.yaxis.set_major_locator(MaxNLocator(2))
        one.tick_params(axis="y", labelsize=5.5, length=1.5, pad=1.5)
        one.tick_params(axis="x", labelbottom=False, length=0)
        one.annotate(name, (1, 0.5), (3, 0), "axes fraction", "offset points", va="center", color=colour, fontsize=6.5)


def _heading(axes: Axes, own: pl.DataFrame, parts: pl.DataFrame, chrom: str, track: str, first: bool) -> None:
    """Write the track and its unit above its strips, and above the first of a chromosome what the splits have of it."""
    unit = f" ({own['unit'][0]})" if len(own) and own["unit"][0] else ""
    axes.annotate(track + unit, (0, 1), (0, 3), "axes fraction", "offset points", fontweight="bold", fontsize=6.5)
    if first:
        text = f"{chrom}: {fractions(parts)}" if len(parts) else chrom
        axes.annotate(text, (0, 1), (0, 15), "axes fraction", "offset points", fontsize=6.5)


def fractions(parts: pl.DataFrame) -> str:
    """Return what share of a chromosome each split has, and none, in words; `parts` are its rows of the composition."""
    shares = dict(parts.group_by("set", maintain_order=True).agg(pl.col("fraction").sum()).iter_rows())
    words = [f"{name} {100 * shares.get(name, 0):.1f}%" for name in (*SPLITS, NOWHERE)]
    return ", ".join(words)


def _limits(own: pl.DataFrame) -> tuple[float, float]:
    values = own["value"].drop_nulls()
    low, high = float(values.quantile(0.001)), float(values.quantile(0.999))
    room = 0.08 * (high - low) or max(abs(low), 1) * 0.1
    return low - room, high + room


def _unit(parts: pl.DataFrame) -> tuple[float, str]:
    """Return what positions on a chromosome are divided by, and the unit that they have then."""
    return (1e6, "Mb") if parts["size"][0] >= 1e6 else (1e3, "kb")


def _shade(axes: Axes, parts: pl.DataFrame, scale: float) -> None:
    for split, shade in SPLIT_SHADES.items():
        own = parts.filter(pl.col("set") == split)
        spans = [(start / scale, (end - start) / scale) for start, end in own.select("start", "end").iter_rows()]
        # Wider by a hair, or borders between stretches would show.
        axes.broken_barh(spans, (0, 1), facecolor=shade, edgecolor=shade, linewidth=0.3, zorder=0,
            transform=axes.get_xaxis_transform())  # fmt: skip


def _line(axes: Axes, own: pl.DataFrame, colour: str, size: int, width: float, scale: float) -> None:
    """Draw values as steps, with gaps where nothing is."""
    for part in own.partition_by("set", maintain_order=True):
        start, end, value = (part.sort("start")[name].to_numpy() for name in ("start", "end", "value"))
        x, y = np.stack([start, end], 1).ravel() / scale, np.repeat(value, 2)
        gaps = 2 * (np.flatnonzero(start[1:] - end[:-1] > NEAR * size) + 1)
        axes.plot(np.insert(x, gaps, np.nan), np.insert(y, gaps, np.nan), color=colour, linewidth=width, zorder=2,
            solid_joinstyle="round")  # fmt: skip


def _key(figure: Figure, composition: pl.DataFrame) -> None:
    there = [split for split in SPLIT_SHADES if split in composition["set"]]
    patches = [Patch(facecolor=SPLIT_SHADES[split], label=split) for split in there]
    patches.append(Patch(facecolor=WHITE, edgecolor=GREY, linewidth=0.4, label=NOWHERE))
    figure.legend(handles=patches, loc="upper right", ncols=len(patches), handlelength=1.2, handleheight=0.8,
        borderaxespad=0.2, fontsize=6)  # fmt: skip
