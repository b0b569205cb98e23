"""The look of all figures: sizes for print, one colour an activation, and how a figure is saved with its numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from cisflow.io import atomic
from cisflow.tables import write_table

ONE_COLUMN, TWO_COLUMNS, PAGE_HEIGHT = 89.0, 183.0, 247.0  # mm

# Okabe & Ito (2008): told apart with every common form of colour blindness. Yellow is too light for lines on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY, MIDDLE_GREY, LIGHT_GREY, WHITE = "#707070", "#A0A0A0", "#C8C8C8", "#FFFFFF"
PALETTE = (BLACK, ORANGE, SKY_BLUE, GREEN, BLUE, VERMILION, PURPLE)

# An activation and its modifications have one colour.
_FAMILIES = {
    "exponential": VERMILION,
    "exp_relu": VERMILION,
    "relu": BLUE,
    "log": PURPLE,
    "sigmoid": GREEN,
    "tanh": ORANGE,
    "softplus": SKY_BLUE,
    "linear": BLACK,
    "elu": PURPLE,
}

LABELS = {
    "relu": "ReLU",
    "exponential": "exp",
    "elu": "ELU",
    "shift_scale_relu": "modified ReLU",
    "shift_scale_sigmoid": "modified sigmoid",
    "shift_scale_tanh": "modified tanh",
    "exp_relu": "modified exp",
    "shift_relu": "shifted ReLU",
    "shift_sigmoid": "shifted sigmoid",
    "shift_tanh": "shifted tanh",
    "scale_relu": "scaled ReLU",
    "scale_sigmoid": "scaled sigmoid",
    "scale_tanh": "scaled tanh",
    "log_relu": "log-ReLU",
}
METHOD_LABELS = {
    "saliency": "saliency",
    "mutagenesis": "mutagenesis",
    "integrated_gradients": "integrated gradients",
    "deep_lift_shap": "DeepLIFT/SHAP",
    "truth": "ground truth",
}

# Classes of a data set's rows: those with a positive label, those without, those without a measured one; real labels.
_CLASSES = {"positive": ORANGE, "any positive": ORANGE, "unmeasured": LIGHT_GREY, "all": GREY}
SPLIT_DASHES = {"train": "solid", "valid": (0, (4, 1.2)), "test": (0, (1, 1))}
SPLIT_MARKS = {"train": ("o", BLACK), "valid": ("^", SKY_BLUE), "test": ("s", VERMILION)}

# Behind tracks along a chromosome; what no split has is white.
SPLIT_SHADES = {"train": "#EEEEEE", "valid": "#DBEAF6", "test": "#FDF1D6"}
# Of things that have no colour of their own, in turn.
TURN = (BLUE, ORANGE, GREEN, PURPLE, SKY_BLUE, VERMILION)
DENSITY = LinearSegmentedColormap.from_list("density", ["#D5E5F0", BLUE, BLACK])

# Columns of a history.
HISTORY_LABELS = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "valid_auroc": "validation AUROC",
    "valid_aupr": "validation AUPR",
    "valid_pearson": "validation correlation",
    "valid_pearson_mean": "validation correlation, mean over targets",
}

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    # Text stays text in the PDF, so that it can be searched and edited; the document has no date, so it has the same
    # bytes every time.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the figures within this context."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in millimetres."""
    return plt.figure(figsize=(width / 25.4, height / 25.4))


def row_height(wanted: float, rows: int, others: float) -> float:
    """Return the height of each of some rows: as wanted, or less where they would not fit on a page beside the others.

    All in millimetres.
    """
    return min(wanted, (PAGE_HEIGHT - others) / max(rows, 1))


def strip(figure: Figure, top: float, height: float, left: float = 14.0, right: float = 2.0) -> SubplotSpec:
    """Return a place in a figure: from `top` downwards, between the margins; all in millimetres."""
    width, whole = (size * 25.4 for size in figure.get_size_inches())
    grid = figure.add_gridspec(
        1, 1, left=left / width, right=1 - right / width, top=1 - top / whole, bottom=1 - (top + height) / whole
    )
    return grid[0]


def colour(activation: str) -> str:
    """Return the colour of an activation, the same in all figures."""
    if activation in _FAMILIES:
        return _FAMILIES[activation]
    return next((value for name, value in _FAMILIES.items() if activation.endswith(name)), GREY)


def in_turn(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name, the same for the same list; from the seventh on they come again."""
    return {name: TURN[number % len(TURN)] for number, name in enumerate(names)}


def dashes(activation: str) -> str | tuple[int, tuple[float, ...]]:
    """Return the line style of an activation: a modification has the colour of its original, and dashes."""
    return "solid" if activation in _FAMILIES and activation != "exp_relu" else (0, (4, 1.2))


def class_colour(name: str) -> str:
    """Return the colour of a class of a data set's rows."""
    return _CLASSES.get(name, BLUE)


def correlation_map(axes: Axes, values: NDArray[np.float64]) -> None:
    """Draw correlations (n, n) from blue (-1) over white (0) to vermilion (1), with their scale; NaN is grey."""
    colours = LinearSegmentedColormap.from_list("correlation", [BLUE, WHITE, VERMILION]).with_extremes(bad=LIGHT_GREY)
    drawn = axes.imshow(values, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=14, pad=0.03, ticks=[-1, 0, 1])
    bar.outline.set_linewidth(0.4)


def density_map(axes: Axes, counts: NDArray[np.float64], ends: tuple[float, float]) -> None:
    """Draw counts (n, n), rows upwards, over a square from the one end to the other: darker is more, in logarithms."""
    drawn = np.ma.masked_equal(counts, 0)
    axes.imshow(
        drawn, origin="lower", extent=(*ends, *ends), cmap=DENSITY, norm=LogNorm(1, max(counts.max(), 2)),
        interpolation="nearest", aspect="auto", zorder=2,
    )  # fmt: skip


def label(activation: str) -> str:
    """Return the name of an activation in figures."""
    return LABELS.get(activation, activation.replace("_", " "))


def history_label(column: str) -> str:
    """Return the name of a column of a training history in figures."""
    return HISTORY_LABELS.get(column, column.replace("_", " "))


def panel(axes: Axes, letter: str, x: float = -6.0, y: float = 4.0) -> None:
    """Put a bold panel letter beside the upper left corner of axes; x and y are millimetres from it."""
    offset = (x / 25.4 * 72, y / 25.4 * 72)
    axes.annotate(
        letter,
        (0, 1),
        offset,
        "axes fraction",
        "offset points",
        fontsize=9,
        fontweight="bold",
        ha="left",
        va="baseline",
    )


def dots(axes: Axes, position: float, values: Sequence[float], colour: str, width: float = 0.5) -> None:
    """Draw every value as a dot over its box (five or more) or its median."""
    values = np.asarray(values, float)
    if len(values) >= 5:
        line = {"color": colour, "linewidth": 0.8}
        axes.boxplot(
            values, positions=[position], widths=width, showfliers=False, manage_ticks=False,
            medianprops=line | {"linewidth": 1.4}, boxprops=line, whiskerprops=line, capprops=line,
        )  # fmt: skip
    elif len(values):
        axes.hlines(np.median(values), position - width / 2, position + width / 2, colors=colour, linewidth=1.4)
    # Spread by rank, not at random: the same picture every time.
    spread = np.linspace(-0.3, 0.3, len(values)) * width if len(values) > 1 else np.zeros(len(values))
    axes.scatter(position + spread, values, s=7, color=colour, alpha=0.75, linewidths=0, zorder=3, clip_on=False)


def missing(axes: Axes, text: str) -> None:
    """Say in the place of a panel what it lacks."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, transform=axes.transAxes, wrap=True)


def save(figure: Figure, table: pl.DataFrame, output: str | Path) -> None:
    """Save a figure as PDF and PNG and its plotted numbers as TSV, beside each other.

    Parameters
    ----------
    figure
        The figure; it is closed afterwards.
    table
        The numbers it shows.
    output
        Path of the PDF; the others have its name with their own endings.
    """
    output = Path(output)
    with style():
        for path, options in (
            (output, {"format": "pdf", "metadata": {"CreationDate": None}}),
            (output.with_suffix(".png"), {"format": "png", "metadata": {"Software": None}}),
        ):
            with atomic(path) as partial:
                figure.savefig(partial, **options)
    write_table(output.with_suffix(".tsv"), table)
    plt.close(figure)
