"""Galleries: what several runs read in chosen sequences, as logos one above the other."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cisflow.figures.logos import draw_scores
from cisflow.figures.read import gallery_table
from cisflow.figures.style import (
    GREY,
    LIGHT_GREY,
    METHOD_LABELS,
    TWO_COLUMNS,
    WHITE,
    colour,
    label,
    missing,
    new_figure,
    strip,
    style,
)

Drawn = tuple[Figure, pl.DataFrame]

# Millimetres: the height of a page, what a sequence needs besides its logos for title and axis, the highest logo, the
# profile at the right, and the margins.
PAGE, BETWEEN, HIGHEST, PROFILE, GAP = 247.0, 6.0, 10.0, 40.0, 4.0
LEFT, RIGHT, TOP, BOTTOM = 12.0, 2.0, 3.0, 10.0
# The part of a row's height that its logo takes.
FILLED = 0.86
COLUMNS = ("run", "activation", "trial", "target", "output", "method", "example", "sequence", "label", "prediction",
    "position", "base", "score")  # fmt: skip
NOTHING = "There is nothing to draw: no sequence of the split is without unknown bases."


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> Drawn:
    """Draw every sequence: for each run a logo of its busiest stretch, and at the right all of its positions.

    Parameters
    ----------
    tables
        Path of `gallery`.
    settings
        `positions`: so many are drawn as letters; `runs` and `sequences`: at most so many, those that come first.

    Returns
    -------
    Figure
        It says in its place what cannot be drawn.
    DataFrame
        The scores of all positions; `letters` says whether they are drawn as letters too.
    """
    whole = gallery_table(tables["gallery"])
    table = first_part(whole, settings["runs"], settings["sequences"])
    table = with_letters(table, settings["positions"])
    with style():
        if table.is_empty():
            figure = new_figure(TWO_COLUMNS, 20)
            missing(figure.add_subplot(), NOTHING)
            return figure, table
        names, sequences = run_names(table), table.partition_by("example", maintain_order=True)
        row = min(HIGHEST, ((PAGE - TOP - BOTTOM) / len(sequences) - BETWEEN) / len(names))
        block = row * len(names) + BETWEEN
        figure = new_figure(TWO_COLUMNS, TOP + block * len(sequences) + BOTTOM)
        for number, own in enumerate(sequences):
            _sequence(figure, TOP + number * block + BETWEEN / 2, row, own, names)
        part = "Letters: the positions around the highest scores, in the mean over the rows; at the right all of them. "
        note(figure, _of(table, whole) + (part if not table["letters"].all() else "") + heights_are(table))
    return figure, table


def _of(table: pl.DataFrame, whole: pl.DataFrame) -> str:
    """Return how many runs and sequences are drawn, where it is not all."""
    columns = {"runs": "run", "sequences": "example"}
    counts = {what: (table[column].n_unique(), whole[column].n_unique()) for what, column in columns.items()}
    parts = [f"{drawn} of {total} {what}" for what, (drawn, total) in counts.items() if drawn < total]
    return f"Drawn: {', '.join(parts)}, the first ones. " if parts else ""


def first_part(table: pl.DataFrame, runs: int, sequences: int) -> pl.DataFrame:
    """Return the first runs and sequences of a gallery: the columns that are drawn."""
    names, examples = distinct(table, "run")[:runs], distinct(table, "example")[:sequences]
    return table.filter(pl.col("run").is_in(names) & pl.col("example").is_in(examples)).select(COLUMNS)


def distinct(table: pl.DataFrame, column: str) -> list[Any]:
    """Return the distinct values of a column, as they come."""
    return table[column].unique(maintain_order=True).to_list()


def with_letters(table: pl.DataFrame, size: int) -> pl.DataFrame:
    """Add the column `letters`: whether a position is among the `size` of its sequence around the highest scores.

    What counts is the mean over runs of the positive scores, each run's divided by their sum: no run is favoured.
    """
    parts = []
    for own in table.partition_by("example", maintain_order=True):
        first, last = own["position"].min(), own["position"].max() + 1
        start = first + _busiest(_mean_over_runs(own, first, last), min(size, last - first))
        parts.append(own.with_columns(letters=pl.col("position").is_between(start, start + size - 1)))
    return pl.concat(parts) if parts else table.with_columns(letters=pl.lit(True))


def _mean_over_runs(table: pl.DataFrame, first: int, last: int) -> NDArray[np.float64]:
    total = np.zeros(last - first)
    for part in table.partition_by("run"):
        scores = part["score"].fill_null(0).to_numpy().clip(min=0)
        total[part["position"].to_numpy() - first] += scores / max(scores.sum(), np.finfo(float).tiny)
    return total


def _busiest(values: NDArray[np.float64], size: int) -> int:
    """Return where the stretch begins that holds most; what lies near its edges counts less, so as not to be cut."""
    edge = max(size // 5, 1)
    place = np.arange(size) + 1
    weights = np.minimum(np.minimum(place, place[::-1]) / edge, 1)
    sums = np.convolve(values, weights, "valid")
    # Sums that differ by rounding are equal; of equal stretches the middle one is taken.
    best = np.flatnonzero(np.isclose(sums, sums.max(), rtol=1e-9))
    return int(best[len(best) // 2])


def _sequence(figure: Figure, top: float, row: float, table: pl.DataFrame, names: Mapping[str, str]) -> None:
    """Draw a sequence: a row of letters for each run, at the right its profile where the letters are not all."""
    whole, part = table["letters"].all(), table.filter(pl.col("letters"))
    right = RIGHT if whole else RIGHT + PROFILE + GAP
    for number, (run, called) in enumerate(names.items()):
        own, place, last = pl.col("run") == run, top + number * row, number == len(names) - 1
        axes = figure.add_subplot(strip(figure, place, row * FILLED, left=LEFT, right=right))
        letters(axes, part.filter(own), 10 if last else 0)
        name(axes, called, table.filter(own)["activation"][0])
        if number == 0:
            axes.set_title(heading(table, names), loc="left", pad=2)
        if not whole:
            axes = figure.add_subplot(strip(figure, place, row * FILLED, TWO_COLUMNS - RIGHT - PROFILE, RIGHT))
            profile(axes, table.filter(own), ticks=last)


def letters(axes: Axes, table: pl.DataFrame, ticks: int = 10) -> None:
    """Draw the scores of one run in a stretch of one sequence as letters; ticks at multiples of `ticks`, 0 for none."""
    first, last = table["position"].min(), table["position"].max() + 1
    draw_scores(axes, table, first, last)
    _ticks(axes, first, last, ticks)
    if text := why_flat(table):
        # White behind the words, or the baseline would strike them out.
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, backgroundcolor=WHITE)


def why_flat(table: pl.DataFrame) -> str:
    """Return why nothing can be seen of the scores of one run in one sequence; '' if something can."""
    if table["score"].is_null().any():
        return "not drawn: the model's output is no number"
    if (table["score"] == 0).all():
        return f"all scores are zero: the {table['output'][0]} does not change here"
    return ""


def run_names(table: pl.DataFrame) -> dict[str, str]:
    """Return what each run is called in a figure: its activation if that tells them apart, else its whole name."""
    activations = dict(table.select("run", "activation").unique(maintain_order=True).iter_rows())
    if len(set(activations.values())) == len(activations):
        return {run: label(activation) for run, activation in activations.items()}
    return {run: run.replace("_", "\n", 2) for run in activations}


def name(axes: Axes, text: str, activation: str) -> None:
    """Name a run at the left of its letters, in the colour of its activation."""
    axes.annotate(
        text, (0, 0.5), (-4, 0), "axes fraction", "offset points", ha="right", va="center", color=colour(activation),
        fontsize=5 if "\n" in text else 6.5, fontweight="bold",
    )  # fmt: skip


def profile(axes: Axes, table: pl.DataFrame, ticks: bool = True) -> None:
    """Draw the scores of one run in one sequence as lines, those that are letters elsewhere on grey."""
    shown, first, last = (
        table.filter(pl.col("letters"))["position"],
        table["position"].min(),
        table["position"].max() + 1,
    )
    axes.axvspan(shown.min() - 0.5, shown.max() + 0.5, color=LIGHT_GREY, alpha=0.5, linewidth=0)
    axes.vlines(
        table["position"], 0, table["score"].fill_null(0), colors=colour(table["activation"][0]), linewidth=0.35
    )
    axes.axhline(0, color=GREY, linewidth=0.3)
    axes.set(xlim=(first - 0.5, last - 0.5), yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    _ticks(axes, first, last, _step(last - first) if ticks else 0)


def _step(length: int) -> int:
    """Return the distance of ticks along a profile, in bases: 100, 200, 500, 1000, ..., at most six of them."""
    return next(step for power in count(2) for step in (10**power, 2 * 10**power, 5 * 10**power) if length <= 6 * step)


def _ticks(axes: Axes, first: int, last: int, every: int) -> None:
    axes.set_xticks(range(-(-first // every) * every, last, every) if every else [])
    axes.tick_params(axis="x", labelsize=5.5, length=1.5, pad=1)


def heading(table: pl.DataFrame, names: Mapping[str, str]) -> str:
    """Return the title of a sequence: its name, its label if it has one, and what each run predicts."""
    parts, known = [table["sequence"][0]], table["label"][0]
    if known is not None:
        binary = table["output"][0] != "value"
        parts.append(("positive" if known else "negative") if binary else f"label {known:.3g}")
    found = dict(table.select("run", "prediction").unique(maintain_order=True).iter_rows())
    values = ["undefined" if found.get(run) is None else f"{found[run]:.2f}" for run in names]
    if not any("\n" in text for text in names.values()):
        values = [f"{value} ({text})" for value, text in zip(values, names.values(), strict=True)]
    return f"{', '.join(parts)}; predicted {', '.join(values)}"


def heights_are(table: pl.DataFrame, target: str = "") -> str:
    """Return what the heights of the letters are, for the note below a figure; `target` stands for its own name."""
    first = table.row(0, named=True)
    return (
        f"Height: {METHOD_LABELS[first['method']]} of the base that is there, for the {first['output']} of "
        f"{target or first['target']}, each row on its own scale; below zero: negative. Positions count from 0."
    )


def note(figure: Figure, text: str) -> None:
    """Write a note below the panels of a figure."""
    width, height = (size * 25.4 for size in figure.get_size_inches())
    figure.text(LEFT / width, 1.5 / height, text, fontsize=6, va="bottom", color=GREY, wrap=True)
