"""Figure 3 of Koo & Ploenzke (2021): what networks with ReLU and exponential activations read in real sequences."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from cisflow.figures.gallery import (
    COLUMNS,
    FILLED,
    LEFT,
    RIGHT,
    distinct,
    first_part,
    heading,
    heights_are,
    letters,
    name,
    note,
    run_names,
    with_letters,
)
from cisflow.figures.panels import in_order
from cisflow.figures.read import gallery_table
from cisflow.figures.style import TWO_COLUMNS, colour, label, missing, new_figure, panel, strip, style

# Millimetres: a logo, what is between two lines of a or two sequences of b and c, and what a panel has above.
ROW, BETWEEN, HEAD, BOTTOM = 8.5, 5.0, 8.5, 8.0
TITLES = {"b": "ZBED2", "c": "IRF1"}
WITHOUT_A = (
    "Task 4 (Basset): this panel joins when its gallery exists (task4/attribution/galleries/locus.tsv).\n"
    "It needs er.h5 (about 10 GB), which has to be made by hand: config/sources.yaml, basset-er, says how."
)


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of the galleries `zbed2` and `irf1`; of `locus`, when it exists.
    settings
        `activations`: two, the upper one of a and the left one of b and c first; `locus`: title of a; `line`: positions
        in a line of a; `positions`: letters of a sequence of b and c; `sequences`: so many of them, the first ones.

    Returns
    -------
    Figure
        Panels a: a locus, in lines, one activation over the other; b, c: sequences that the factor binds.
    DataFrame
        The scores that are drawn, with the column `panel`.
    """
    paths = {"b": tables["zbed2"], "c": tables["irf1"]}
    found = {letter: _gallery(path, settings, settings["sequences"]) for letter, path in paths.items()}
    found = {letter: with_letters(table, settings["positions"]).filter("letters") for letter, table in found.items()}
    locus = _gallery(tables["locus"], settings, 1) if "locus" in tables else None
    lines = _lines(locus, settings["line"]) if locus is not None else []
    heights = {"a": (2 * ROW + BETWEEN) * len(lines) if lines else 2 * ROW}
    heights |= {letter: (ROW + BETWEEN) * len(distinct(table, "example")) for letter, table in found.items()}
    with style():
        figure, top = new_figure(TWO_COLUMNS, sum(heights.values()) + HEAD * len(heights) + BOTTOM), HEAD
        _locus(figure, top, lines, settings)
        for letter, table in found.items():
            top += heights["a" if letter == "b" else "b"] + HEAD
            _beside(figure, top, table, settings["activations"], letter)
        text = "b, c: the positions around the highest scores, in the mean over both. "
        note(figure, text + heights_are(found["b"], "the factor or cell type"))
    drawn = {"a": locus} | found
    parts = [
        table.select(pl.lit(letter).alias("panel"), *COLUMNS) for letter, table in drawn.items() if table is not None
    ]
    return figure, pl.concat(parts)


def _gallery(path: str, settings: Mapping[str, Any], sequences: int) -> pl.DataFrame:
    table = gallery_table(path).filter(pl.col("activation").is_in(settings["activations"]))
    return first_part(table, len(settings["activations"]), sequences)


def _lines(table: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    first, last = table["position"].min(), table["position"].max() + 1
    return [table.filter(pl.col("position").is_between(start, start + size - 1)) for start in range(first, last, size)]


def _locus(figure: Figure, top: float, lines: list[pl.DataFrame], settings: Mapping[str, Any]) -> None:
    if not lines:
        axes = figure.add_subplot(strip(figure, top, 2 * ROW, left=LEFT))
        missing(axes, WITHOUT_A)
        panel(axes, "a", x=-10, y=3)
        return
    for number, part in enumerate(lines):
        names = run_names(part)
        # A shorter last line has letters of the same width.
        width = (TWO_COLUMNS - LEFT - RIGHT) * part["position"].n_unique() / lines[0]["position"].n_unique()
        for row, (run, text) in enumerate(names.items()):
            place = top + number * (2 * ROW + BETWEEN) + row * ROW
            axes = figure.add_subplot(strip(figure, place, ROW * FILLED, LEFT, TWO_COLUMNS - LEFT - width))
            own = part.filter(pl.col("run") == run)
            letters(axes, own, 10 if row == len(names) - 1 else 0)
            name(axes, text, own["activation"][0])
            if number == row == 0:
                axes.set_title(f"{settings['locus']}; {heading(part, names).partition('; ')[2]}", loc="left", pad=3)
                panel(axes, "a", x=-10, y=3)


def _beside(figure: Figure, top: float, table: pl.DataFrame, activations: list[str], letter: str) -> None:
    """Draw the sequences of a gallery, an activation in each of two columns."""
    half = (TWO_COLUMNS - RIGHT - 4) / 2
    for column, activation in enumerate(in_order(activations, activations)[:2]):
        left = 4 + column * (half + 2)
        for row, part in enumerate(table.partition_by("example", maintain_order=True)):
            own, place = part.filter(pl.col("activation") == activation), top + row * (ROW + BETWEEN)
            axes = figure.add_subplot(strip(figure, place, ROW * FILLED, left, TWO_COLUMNS - left - half + 2))
            if own.is_empty():
                missing(axes, f"{label(activation)} is not in this run of the task")
            else:
                letters(axes, own)
                axes.set_title(heading(own, run_names(own)).rpartition(" (")[0], loc="left", pad=1, fontsize=6)
            if row == 0:
                title = {"fontweight": "bold", "color": colour(activation)}
                text = f"{TITLES[letter]}, {label(activation)}"
                axes.annotate(text, (0, 1), (0, 11), "axes fraction", "offset points", **title)
            if row == column == 0:
                panel(axes, letter, x=-3, y=4)
