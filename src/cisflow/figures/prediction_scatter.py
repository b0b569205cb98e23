"""Labels against predictions: a panel for each track and head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cisflow.figures.heads import Runs, decimals, only_words, read_runs, shortened
from cisflow.figures.panels import in_order
from cisflow.figures.style import BLACK, GREY, PAGE_HEIGHT, TWO_COLUMNS, density_map, missing, new_figure, style
from cisflow.tables import HEAD_DENSITY, HEAD_SCORES, read_tsv

# Millimetres: above and below all panels, left of each block of tracks, between panels, and above each row.
ABOVE, BELOW, LEFT, GAP, TITLE = 9, 11, 10, 1.2, 5.4
# The unit is in a line of its own where it does not fit beside the track.
TWO_LINES = TITLE + 2.6
LARGEST = 38
# Below this side, in millimetres, nothing can be seen in a panel: tracks are left out.
SMALLEST = 11


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure: a row a track and a column a head, the tracks in as many blocks as make the panels largest.

    Parameters
    ----------
    tables
        Paths of `density`, `scores` and `heads`.
    settings
        `split`; `tracks` and `runs`: which, and in what order; empty for all.

    Returns
    -------
    Figure
        Windows by label and prediction (first trial), the line where both are equal, and both correlations.
    DataFrame
        The plotted numbers, as the table `density`, with pearson, spearman and n of each panel.
    """
    density, scores = read_tsv(tables["density"], HEAD_DENSITY), read_tsv(tables["scores"], HEAD_SCORES)
    runs = read_runs(tables["heads"], settings["runs"])
    own = density.filter((pl.col("set") == settings["split"]) & pl.col("run").is_in(runs.names))
    there = in_order(own["target"].to_list(), ())
    tracks = list(settings["tracks"]) or there
    if own.is_empty():
        known = ", ".join(in_order(density["set"].to_list(), ())) or "none"
        return only_words(
            f"There are no predictions of the split {settings['split']}; evaluated: {known}. Add it to "
            "evaluation.splits.", HEAD_DENSITY,
        )  # fmt: skip
    left_out = len(tracks)
    while len(tracks) > 1 and _layout(len(tracks), len(runs.names)).side < SMALLEST:
        tracks = tracks[:-1]
    left_out -= len(tracks)
    shown = _with_scores(own.filter(pl.col("target").is_in(tracks)), scores)
    units = dict(shown.select("target", "unit").unique().iter_rows())
    layout = _layout(len(tracks), len(runs.names))
    if any(len(_title(track, units.get(track))) > layout.letters for track in tracks):
        layout = _layout(len(tracks), len(runs.names), TWO_LINES)
    with style():
        figure = new_figure(TWO_COLUMNS, layout.height)
        for number, track in enumerate(tracks):
            _row(figure, layout, number, track, shown.filter(pl.col("target") == track), runs)
        _heads(figure, layout, runs, min(layout.blocks, len(tracks)))
        _key(figure, layout, shown, settings["split"], left_out)
    return figure, shown


@dataclass(frozen=True)
class _Layout:
    """Blocks of tracks beside each other, rows in each, columns of a block, and the side of a panel in millimetres."""

    blocks: int
    rows: int
    columns: int
    side: float
    title: float

    @property
    def height(self) -> float:
        """Height of the figure in millimetres."""
        return ABOVE + self.rows * (self.side + self.title) + BELOW

    @property
    def letters(self) -> int:
        """Letters of a bold title for which a block has room."""
        return int(self.columns * (self.side + GAP) / 1.2)

    def corner(self, number: int, column: int) -> tuple[float, float]:
        """Return left and top of a panel, in millimetres from the upper left corner."""
        block, row = divmod(number, self.rows)
        width = LEFT + self.columns * (self.side + GAP)
        return block * width + LEFT + column * (self.side + GAP), ABOVE + row * (self.side + self.title) + self.title


def _layout(tracks: int, columns: int, title: float = TITLE) -> _Layout:
    """Return the layout with the largest panels that fit on a page."""

    def of(blocks: int) -> _Layout:
        rows = -(-tracks // blocks)
        wide = (TWO_COLUMNS - 2 - blocks * LEFT) / (blocks * columns) - GAP
        high = (PAGE_HEIGHT - ABOVE - BELOW) / rows - title
        return _Layout(blocks, rows, columns, min(wide, high, LARGEST), title)

    return max((of(blocks) for blocks in range(1, tracks + 1)), key=lambda layout: layout.side)


def _with_scores(shown: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    keys = ["run", "trial", "set", "target"]
    metrics = scores.filter(pl.col("trial").is_not_null() & pl.col("metric").is_in(["pearson", "spearman"]))
    wide = metrics.pivot("metric", index=[*keys, "n"], values="value")
    lacking = [pl.lit(None, pl.Float64).alias(name) for name in ("pearson", "spearman") if name not in wide.columns]
    return shown.join(wide.with_columns(*lacking), on=keys, how="left", maintain_order="left")


def _place(figure: Figure, layout: _Layout, number: int, column: int) -> Axes:
    left, top = layout.corner(number, column)
    size = layout.side / TWO_COLUMNS, layout.side / layout.height
    return figure.add_axes((left / TWO_COLUMNS, 1 - (top + layout.side) / layout.height, *size))


def _row(figure: Figure, layout: _Layout, number: int, track: str, own: pl.DataFrame, runs: Runs) -> None:
    for column, run in enumerate(runs.names):
        axes = _place(figure, layout, number, column)
        part = own.filter(pl.col("run") == run)
        if column == 0:
            _name(axes, layout, track, own["unit"][0] if len(own) else None)
        if not part["count"].sum():
            missing(axes, "no such\ntrack" if own.is_empty() else "no measured\nlabel")
            continue
        _panel(axes, part)
        axes.tick_params(labelbottom=False, labelleft=column == 0, labelsize=5, length=1.5, pad=1)


def _title(track: str, unit: str | None) -> str:
    return f"{track} ({unit})" if unit else track


def _name(axes: Axes, layout: _Layout, track: str, unit: str | None) -> None:
    """Write track and unit above a row: in one line, or in two if the layout has them."""
    at, words = ("axes fraction", "offset points"), {"fontsize": 6, "fontweight": "bold"}
    if layout.title == TITLE:
        axes.annotate(_title(track, unit), (0, 1), (0, 2), *at, **words)
        return
    axes.annotate(shortened(track, layout.letters), (0, 1), (0, 9), *at, **words)
    if unit:
        axes.annotate(shortened(f"({unit})", int(1.2 * layout.letters)), (0, 1), (0, 2), *at, fontsize=5.5)


def _panel(axes: Axes, part: pl.DataFrame) -> None:
    about = part.row(0, named=True)
    low, high, bins = about["low"], about["high"], about["bins"]
    inside = part.filter(pl.col("label_bin").is_not_null())
    counts = np.zeros((bins, bins))
    counts[inside["label_bin"].to_numpy(), inside["prediction_bin"].to_numpy()] = inside["count"].to_numpy()
    axes.plot((low, high), (low, high), color=GREY, linewidth=0.5, linestyle=(0, (3, 1.5)), zorder=1)
    density_map(axes, counts.T, (low, high))
    axes.set(xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3))
    values = [f"{sign} {_text(about[name])}" for sign, name in (("r", "pearson"), ("ρ", "spearman"))]
    beyond = part.filter(pl.col("label_bin").is_null())["count"].sum()
    words = {"fontsize": 5, "transform": axes.transAxes, "zorder": 3, "linespacing": 1.05}
    axes.text(0.04, 0.97, "\n".join(values), va="top", color=BLACK, **words)
    if beyond:
        axes.text(0.97, 0.03, f"{beyond:,} beyond", ha="right", color=GREY, **words)


def _text(value: float | None) -> str:
    return "–" if value is None else decimals(value, 2)


def _heads(figure: Figure, layout: _Layout, runs: Runs, blocks: int) -> None:
    """Write the names of the heads above the columns of each block."""
    letters = int(layout.side / 1.15)
    for block in range(blocks):
        for column, run in enumerate(runs.names):
            left, top = layout.corner(block * layout.rows, column)
            words = _wrapped(runs.labels[run], letters)
            place = ((left + layout.side / 2) / TWO_COLUMNS, 1 - (top - layout.title + 0.8) / layout.height)
            figure.text(*place, words, ha="center", va="baseline", fontsize=6, linespacing=1.0)


def _wrapped(text: str, letters: int) -> str:
    """Return a text in two lines where it is longer than so many letters."""
    if len(text) <= letters or " " not in text:
        return shortened(text, letters + 2)
    words = text.split(" ")
    cut = min(range(1, len(words)), key=lambda n: abs(len(" ".join(words[:n])) - len(text) / 2))
    return "\n".join(shortened(" ".join(part), letters + 2) for part in (words[:cut], words[cut:]))


def _key(figure: Figure, layout: _Layout, shown: pl.DataFrame, split: str, left_out: int) -> None:
    low, high = shown["n"].drop_nulls().min(), shown["n"].drop_nulls().max()
    number = "" if low is None else f"{high:,}" if low == high else f"{low:,} to {high:,}"
    text = (
        f"Split {split}, {number} windows a panel, first trial. Across: label; upwards: prediction, on the same scale, "
        "in the unit of the track; dashed: equal.\nDarker: more windows (logarithmic in each panel). r: Pearson, ρ: "
        "Spearman correlation, of all windows; beyond: windows that are not drawn."
        f"{f' No room for {left_out:,} tracks.' * bool(left_out)}"
    )
    figure.text(2 / TWO_COLUMNS, 1.2 / layout.height, text, fontsize=6, color=GREY, va="bottom")
