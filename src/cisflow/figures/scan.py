"""Scans by known motifs and by first-layer filters: how well they find the motifs, and how they look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from cisflow.datasets.truth import INFORMATIVE
from cisflow.figures.read import scan_tables
from cisflow.figures.style import (
    BLACK,
    GREY,
    LIGHT_GREY,
    TWO_COLUMNS,
    colour,
    dots,
    label,
    missing,
    new_figure,
    panel,
    strip,
    style,
)

KNOWN = {"ppm": "motif scan", "pwm": "PWM scan"}
# What a scan's score is, for the axes of the examples.
UNITS = {"truth": "truth\n(bits)", "ppm": "motif scan\n(sum of $p$)", "pwm": "PWM scan\n(log-odds)"}
ENDS = {"corrected": "stretches corrected", "published": "as published"}
AREAS = ("auroc", "aupr")
COLUMNS = ("panel", "run", "model", "activation", "trial", "scanner", "buffer", "ends", "example", "sequence",
    "position", "quantity", "value")  # fmt: skip
# Millimetres: a row of areas, its labels, and a row of an example.
AREA, LABELS, CURVE = 36.0, 16.0, 11.0


@dataclass(frozen=True)
class Scanner:
    """One scan: its rows in the tables, its name, its colour."""

    scanner: str
    activation: str | None
    model: str | None

    @property
    def name(self) -> str:
        """Its name in figures."""
        return KNOWN.get(self.scanner) or label(self.activation or "")

    @property
    def colour(self) -> str:
        """Its colour in figures."""
        return BLACK if self.activation is None else colour(self.activation)

    def rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return its rows of a table."""
        if self.activation is None:
            return table.filter((pl.col("scanner") == self.scanner) & pl.col("trial").is_null())
        return table.filter((pl.col("activation") == self.activation) & (pl.col("model") == self.model))


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of tables of localisation, and, under names that end with 'examples', of example sequences.
    settings
        `model`, `activations` (of filters, in this order), `buffer`, `ends` (a pair of panels for each), `examples`.

    Returns
    -------
    Figure
        Panel a: AUROC and AUPR of each scan, a dot a trial, a line across for known motifs, grey dashes for random
        scores. Below: example sequences, on the left scans by known motifs, on the right by filters.
    DataFrame
        The plotted numbers: panel, run, model, activation, trial, scanner, buffer, ends, example, sequence, position,
        quantity, value.
    """
    scores, curves = scan_tables(tables)
    examples, curve = settings["examples"], CURVE * _rows(settings)
    with style():
        height = AREA + LABELS + 12
        figure = new_figure(TWO_COLUMNS, height + len(examples) * (curve + 16))
        parts = [areas(figure, strip(figure, top=9, height=AREA), scores, settings, "a")]
        for number, example in enumerate(examples):
            place = strip(figure, top=height + 3 + number * (curve + 16), height=curve, left=24)
            parts.append(example_curves(figure, place, curves, example, settings, "bcdef"[number]))
    return figure, pl.concat(parts, how="diagonal_relaxed").select(COLUMNS)


def _rows(settings: Mapping[str, Any]) -> int:
    return 1 + max(len(KNOWN), len(settings["activations"]))


def scanners(settings: Mapping[str, Any]) -> list[Scanner]:
    """Return the scans of a figure: by known motifs, then by the filters of its activations."""
    known = [Scanner(name, None, None) for name in KNOWN]
    return known + [Scanner("", activation, settings["model"]) for activation in settings["activations"]]


def areas(
    figure: Figure, place: SubplotSpec, table: pl.DataFrame, settings: Mapping[str, Any], letter: str
) -> pl.DataFrame:
    """Draw AUROC and AUPR of all scans, a pair of panels for each way of finding the stretches' ends.

    Parameters
    ----------
    figure, place
        Where.
    table
        From `read.scan_tables`.
    settings
        Those of `draw`.
    letter
        Of the panel.

    Returns
    -------
    DataFrame
        The plotted numbers.
    """
    ends = settings["ends"]
    grid = place.subgridspec(1, 2 * len(ends), wspace=0.36)
    parts, own = [_empty()], table.filter(pl.col("buffer") == settings["buffer"])
    for number, (which, area) in enumerate((which, area) for which in ends for area in AREAS):
        axes = figure.add_subplot(grid[number])
        shown = own.filter(pl.col("ends") == which)
        parts.append(_areas(axes, shown, area, scanners(settings)))
        if number == 0:
            panel(axes, letter, x=-11, y=4)
        if area == AREAS[0]:
            axes.set_title(f"{ENDS[which]}, buffer {settings['buffer']}", loc="left", pad=5)
    return pl.concat(parts, how="diagonal_relaxed").with_columns(pl.lit(letter).alias("panel"))


def _areas(axes: Axes, table: pl.DataFrame, area: str, shown: Sequence[Scanner]) -> pl.DataFrame:
    own = [scanner.rows(table).drop_nulls(area) for scanner in shown]
    if not any(map(len, own)):
        missing(axes, "not in these tables:\nanother buffer?")
        return _empty()
    for position, (scanner, rows) in enumerate(zip(shown, own, strict=True)):
        values = rows[area].to_list()
        if not values:
            axes.annotate("–", (position, 0.02), xycoords=("data", "axes fraction"), ha="center", color=GREY)
        elif scanner.activation is None:
            axes.axhline(values[0], color=LIGHT_GREY, linewidth=0.6, zorder=0)
        dots(axes, position, values, scanner.colour)
    chance = table.filter(pl.col("scanner") == "random")
    if chance.height:
        axes.axhline(chance[area][0], color=GREY, linestyle=(0, (2, 1.5)), linewidth=0.8, zorder=0)
        axes.annotate("random scores", (len(shown) - 0.45, chance[area][0]), (0, -1.5), textcoords="offset points",
            ha="right", va="top", color=GREY, fontsize=6)  # fmt: skip
    axes.set(xlim=(-0.6, len(shown) - 0.4), ylim=(0, 1.02), ylabel=f"{area.upper()}, mean of sequences")
    axes.set_xticks(range(len(shown)), [_tick(scanner) for scanner in shown], rotation=40, ha="right")
    axes.tick_params(axis="x", length=0)
    counts = sorted({*table["sequences"].drop_nulls()})
    if counts:
        many = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
        axes.annotate(f"{many} sequences", (0.02, 0.02), xycoords="axes fraction", color=GREY, fontsize=6)
    return _numbers(pl.concat([*own, chance], how="diagonal_relaxed"), area)


def _tick(scanner: Scanner) -> str:
    return scanner.name if scanner.activation is None else f"{scanner.name} filters"


def example_curves(
    figure: Figure, place: SubplotSpec, table: pl.DataFrame, example: int, settings: Mapping[str, Any], letter: str
) -> pl.DataFrame:
    """Draw the scores along an example sequence: by known motifs on the left, by filters on the right, truth below.

    Parameters
    ----------
    figure, place
        Where; a row for each scan of the longer column, and one for the truth.
    table
        From `read.scan_tables`.
    example
        Its number.
    settings
        `model` and `activations` of those of `draw`.
    letter
        Of the panel.

    Returns
    -------
    DataFrame
        The plotted numbers.
    """
    own = table.filter(pl.col("example") == example)
    every = scanners(settings)
    columns = [every[: len(KNOWN)], every[len(KNOWN) :]]
    grid = place.subgridspec(_rows(settings), 2, hspace=0.3, wspace=0.24)
    truth = own.filter(pl.col("scanner") == "truth")
    parts = [_empty()]
    for side, shown in enumerate(columns):
        axes = [figure.add_subplot(grid[row, side]) for row in (*range(len(shown)), grid.nrows - 1)]
        for one, scanner in zip(axes[:-1], shown, strict=True):
            parts.append(_curve(one, scanner.rows(own), truth, scanner))
        parts.append(_curve(axes[-1], truth, truth, Scanner("truth", None, None)))
        for one in axes[:-1]:
            one.tick_params(labelbottom=False)
        if side == 0:
            panel(axes[0], letter, x=-21, y=2)
        if truth.height:
            axes[-1].set_xlabel(f"position in {truth['sequence'][0]} (bases, from 0)")
    return pl.concat(parts, how="diagonal_relaxed").with_columns(pl.lit(letter).alias("panel"))


def _curve(axes: Axes, rows: pl.DataFrame, truth: pl.DataFrame, scanner: Scanner) -> pl.DataFrame:
    if rows.is_empty():
        missing(axes, f"{scanner.name or 'truth'}: no such example in these tables")
        return _empty()
    rows = rows.sort("position")
    values = rows["score"].to_numpy()
    # Log-odds below zero speak against a motif, and reach far down where a base never occurs in it.
    seen = np.maximum(values, 0) if scanner.scanner == "pwm" else values
    for first, last in _stretches(truth):
        axes.axvspan(first - 0.5, last + 0.5, color=LIGHT_GREY, alpha=0.45, linewidth=0)
    axes.plot(rows["position"], seen, color=scanner.colour, linewidth=0.8)
    axes.set_xlim(-0.5, rows["position"].max() + 0.5)
    axes.set_ylabel(UNITS.get(scanner.scanner, f"{scanner.name}\nfilters"), rotation=0, ha="right", va="center")
    axes.locator_params(axis="y", nbins=3)
    return _numbers(rows, "score")


def _stretches(truth: pl.DataFrame) -> list[tuple[int, int]]:
    """Return the first and last positions of the stretches of motifs."""
    own = truth.filter(pl.col("score") > INFORMATIVE)["position"].sort().to_numpy()
    parts = np.split(own, np.flatnonzero(np.diff(own) > 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]


def _numbers(rows: pl.DataFrame, quantity: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(quantity).alias("quantity"), pl.col(quantity).alias("value"))


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Null))
