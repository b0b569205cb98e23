"""Sequence logos."""

import logomaker
import pandas as pd
import polars as pl
from matplotlib.axes import Axes

from cisflow.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION
from cisflow.pwm import Motif, information

# The usual colours of the bases, in the shades of the palette.
BASES = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION}


def draw_logo(axes: Axes, motif: Motif | None, width: int) -> None:
    """Draw a motif as a logo of 0 to 2 bits a position, centred on `width` positions; None leaves the baseline."""
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(0, 2)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)
    if motif is None:
        return
    ppm = motif.probabilities
    start = (width - motif.width) // 2
    heights = pd.DataFrame((ppm * information(ppm).clip(0)).T, columns=list("ACGT"))
    heights.index += start
    logomaker.Logo(heights, ax=axes, color_scheme=BASES, show_spines=False)
    axes.spines["bottom"].set_visible(True)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(0, 2)


def draw_scores(axes: Axes, table: pl.DataFrame, first: int, last: int) -> None:
    """Draw bases as high as their scores, positions `first` to `last` (excluded).

    Parameters
    ----------
    table
        Columns position, base, score: a row for each base that is drawn.
    """
    heights = pd.DataFrame(0.0, index=range(first, last), columns=list("ACGT"))
    for row in table.filter(pl.col("position").is_between(first, last - 1)).iter_rows(named=True):
        heights.loc[row["position"], row["base"]] = row["score"]
    logomaker.Logo(heights, ax=axes, color_scheme=BASES, show_spines=False, shade_below=0, fade_below=0)
    axes.axhline(0, color=GREY, linewidth=0.4)
    axes.set_xlim(first - 0.5, last - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
