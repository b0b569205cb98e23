"""What draws a figure, by the word `kind` in config/figures.yaml."""

import importlib
from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.figure import Figure


def draw(kind: str, tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw a figure.

    Parameters
    ----------
    kind
        Module of `cisflow.figures` whose function `draw` it is; or module and function, as task.performance.
    tables
        Paths of the tables it reads.
    settings
        What one can choose about it (for figures of papers: `config.figures.KINDS`).

    Returns
    -------
    Figure
        The figure.
    DataFrame
        The plotted numbers.
    """
    module, _, function = kind.partition(".")
    return getattr(importlib.import_module(f"cisflow.figures.{module}"), function or "draw")(tables, settings)
