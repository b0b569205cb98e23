"""Extended Data Figure 1 of Koo & Ploenzke (2021): modified activations, and scans by motifs and by filters."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from cisflow.figures import boxes, scan
from cisflow.figures.read import scan_tables
from cisflow.figures.style import TWO_COLUMNS, new_figure, strip, style

# Millimetres: a row of an example's curves, and what stands around each example.
CURVE, AROUND = 9.0, 13.0
COLUMNS = tuple(dict.fromkeys((*boxes.COLUMNS, *scan.COLUMNS)))


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw the figure.

    Parameters
    ----------
    tables
        Paths of tables of trials (`cisflow.trials`) for the boxes; the others are those of `scan.draw`.
    settings
        `boxes` (blocks above), `scan` (`config.figures.Scan`, whose examples are drawn), `last` (a block below).

    Returns
    -------
    Figure
        Panels a, b: boxes; c, d: scores along example sequences; e: boxes.
    DataFrame
        The plotted numbers, with the columns of `boxes.draw` and of `scan.draw`.
    """
    upper = boxes.arrange(tables, settings["boxes"])
    lower = boxes.arrange(tables, [settings["last"]])
    _, curves = scan_tables({name: path for name, path in tables.items() if "/scan/" in path})
    examples, rows = settings["scan"]["examples"], 1 + max(2, len(settings["scan"]["activations"]))
    top, each = sum(map(boxes.height, upper)), CURVE * rows + AROUND
    letters = iter("abcdefgh")
    with style():
        figure = new_figure(TWO_COLUMNS, top + each * len(examples) + sum(map(boxes.height, lower)))
        parts = boxes.draw_rows(figure, upper, letters)
        for example in examples:
            place = strip(figure, top + 4, CURVE * rows, left=24)
            parts.append(scan.example_curves(figure, place, curves, example, settings["scan"], next(letters)))
            top += each
        parts += boxes.draw_rows(figure, lower, letters, top)
    return figure, pl.concat(parts, how="diagonal_relaxed").select(COLUMNS)
