"""Sequence logos."""

import functools

import logomaker
import numpy as np
import pandas as pd
import polars as pl
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from cisflow.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION
from cisflow.pwm import Motif, information
from cisflow.sequence import ALPHABET

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
    """Draw bases as high as their scores, positions `first` to `last` (excluded); a negative one stands on its head.

    Parameters
    ----------
    table
        Columns position, base, score: a row for each base that is drawn.
    """
    shown = table.filter(pl.col("position").is_between(first, last - 1))
    heights = np.zeros((last - first, len(ALPHABET)))
    bases = [ALPHABET.index(base) for base in shown["base"]]
    heights[shown["position"].to_numpy() - first, bases] = shown["score"].fill_null(0).to_numpy()
    draw_letters(axes, heights, first)
    axes.axhline(0, color=GREY, linewidth=0.4)
    axes.set_xlim(first - 0.5, last - 0.5)
    low, high = heights.clip(max=0).sum(1).min(), heights.clip(min=0).sum(1).max()
    if high > low:
        axes.set_ylim(low, high)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def draw_letters(axes: Axes, heights: NDArray, first: int = 0) -> None:
    """Draw a stack of letters at each position, the largest on top; negative ones below zero, on their heads.

    All letters of a base are one patch: a page with thousands of letters is drawn in seconds.

    Parameters
    ----------
    heights
        (positions, 4).
    first
        The first position.
    """
    order = np.argsort(heights, axis=1, kind="stable")
    steps = np.take_along_axis(np.abs(heights), order, 1)
    below = np.cumsum(steps, axis=1) - steps + heights.clip(max=0).sum(1, keepdims=True)
    floors = np.empty_like(below)
    np.put_along_axis(floors, order, below, 1)
    for number, base in enumerate(ALPHABET):
        places = np.flatnonzero(heights[:, number])
        if len(places):
            patch = PathPatch(_letters(base, places + first, floors[places, number], heights[places, number]))
            patch.set(facecolor=BASES[base], linewidth=0)
            axes.add_patch(patch)


def _letters(base: str, places: NDArray, floors: NDArray, heights: NDArray) -> Path:
    """Return one path of a letter at many places, each in its box of width 1 (floor to floor + |height|)."""
    glyph = _glyph(base)
    x, y = glyph.vertices.T
    upright = np.where(heights[:, None] > 0, y, 1 - y)
    vertices = np.stack([places[:, None] - 0.5 + x, floors[:, None] + upright * np.abs(heights)[:, None]], axis=-1)
    return Path(vertices.reshape(-1, 2), np.tile(glyph.codes, len(places)))


@functools.cache
def _glyph(base: str) -> Path:
    """Return the outline of a letter, as wide and as high as 1."""
    path = TextPath((0, 0), base, size=1, prop=FontProperties(weight="bold"))
    # Of the outline: the vertices that close a loop are not on it.
    box = path.get_extents()
    return Path((path.vertices - box.min) / box.size, path.codes)
