"""Values of trials in grids of panels: activations side by side, or against the values of a swept key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from scipy import stats

from cisflow.figures.style import GREY, TWO_COLUMNS, colour, dots, label, new_figure, panel, strip, style
from cisflow.tables import read_trials
from cisflow.trials import SHUFFLED

VALUE_LABELS = {
    "match_fraction": "filters matching\nground truth",
    "match_any": "filters matching\nany known motif",
    "auroc": "test AUROC",
    "aupr": "test AUPR",
    "auroc_saliency": "AUROC of saliency",
    "aupr_saliency": "AUPR of saliency",
}
FRACTIONS = ("match_fraction", "match_any")
# Labels of so many letters stand upright.
SHORT = 6
COLUMNS = ("panel", "title", "column", "run", "model", "activation", "trial", "quantity", "value")
# Millimetres: a row of panels, what stands above the first, the labels below the last, and those to the left; and the
# most that a column of dots is wide.
ROW, HEAD, FOOT, LEFT, WIDEST = 25.0, 8.0, 22.0, 16.0, 20.0


@dataclass(frozen=True)
class Column:
    """What stands above one label of the horizontal axis: the rows of the table that belong there."""

    label: str
    rows: pl.DataFrame


@dataclass(frozen=True)
class Panel:
    """One panel: its place in the grid, its row's heading, its title, the number that it shows, and its columns."""

    row: int
    column: int
    heading: str
    title: str
    value: str
    columns: list[Column]


def draw(tables: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[Figure, pl.DataFrame]:
    """Draw blocks of panels from top to bottom.

    Parameters
    ----------
    tables
        Paths of tables of trials (`cisflow.trials`).
    settings
        `panels`: a list of `config.figures.Comparison` and `Sweep`.

    Returns
    -------
    Figure
        Every trial is a dot over its box or median; grey dashes are the mean of the same filters shuffled.
    DataFrame
        The plotted numbers: panel (letter), title, column, run, model, activation, trial, quantity, value.
    """
    rows = arrange(tables, settings["panels"])
    with style():
        figure = new_figure(TWO_COLUMNS, sum(map(height, rows)))
        parts = draw_rows(figure, rows, letters=iter("abcdef" if len(settings["panels"]) > 1 else " "))
    return figure, pl.concat(parts, how="diagonal_relaxed").select(COLUMNS)


@dataclass(frozen=True)
class Grid:
    """A block of the settings and its panels."""

    block: Mapping[str, Any]
    panels: list[Panel]

    @property
    def rows(self) -> int:
        """Number of rows of panels."""
        return 1 + max(one.row for one in self.panels)

    @property
    def columns(self) -> int:
        """Number of panels in a row."""
        return 1 + max(one.column for one in self.panels)

    @property
    def wide(self) -> int:
        """Columns of dots in a row of panels."""
        return sum(len(one.columns) + 1 for one in self.panels if one.row == 0)


def arrange(tables: Mapping[str, str], blocks: Sequence[Mapping[str, Any]]) -> list[list[Grid]]:
    """Return the blocks in rows: one below the other, or beside the one before where it says so."""
    rows: list[list[Grid]] = []
    for block in blocks:
        grid = Grid(block, list(panels(tables, block)))
        if rows and block["beside"]:
            rows[-1].append(grid)
        else:
            rows.append([grid])
    return rows


def height(row: Sequence[Grid]) -> float:
    """Return the height of a row of blocks with its titles and labels, in mm."""
    return HEAD + ROW * max(grid.rows for grid in row) + FOOT


def draw_rows(
    figure: Figure, rows: Sequence[Sequence[Grid]], letters: Iterator[str], top: float = 0.0
) -> list[pl.DataFrame]:
    """Draw rows of blocks, the first `top` mm below the figure's edge, and return the plotted numbers."""
    parts = []
    for row in rows:
        free, wide, left = TWO_COLUMNS - (LEFT + 2) * len(row), sum(grid.wide for grid in row), 0.0
        for grid in row:
            width = min(free * grid.wide / wide, grid.wide * WIDEST)
            right = TWO_COLUMNS - (left + LEFT + width)
            place = strip(figure, top + HEAD, ROW * grid.rows - 4, left=left + LEFT, right=right)
            parts.append(draw_grid(figure, place, grid, next(letters).strip()))
            left += LEFT + width + 2
        top += height(row)
    return parts


def panels(tables: Mapping[str, str], block: Mapping[str, Any]) -> Iterator[Panel]:
    """Yield the panels of a block (`config.figures.Comparison` or `Sweep`)."""
    yield from {"comparison": _comparison, "sweep": _sweep}[block["kind"]](tables, block)


def _comparison(tables: Mapping[str, str], block: Mapping[str, Any]) -> Iterator[Panel]:
    table = read_trials(tables[name] for name in block["tables"])
    rows = [(value, model) for value in block["values"] for model in block["models"]]
    for row, (value, model) in enumerate(rows):
        own = table.filter(pl.col("model") == model)
        for number, (title, entries) in enumerate(block["groups"].items()):
            yield Panel(
                row, number, model, f"{model}, {title}" if title else model, value, list(_entries(own, entries))
            )


def _entries(table: pl.DataFrame, entries: Sequence[str] | Mapping[str, str]) -> Iterator[Column]:
    if isinstance(entries, Mapping):
        for text, run in entries.items():
            yield Column(text, table.filter(pl.col("run") == run))
    else:
        for activation in entries:
            yield Column(label(activation), table.filter(pl.col("activation") == activation))


def _sweep(tables: Mapping[str, str], block: Mapping[str, Any]) -> Iterator[Panel]:
    rows = [(value, *series) for value in block["values"] for series in block["series"].items()]
    for row, (value, title, series) in enumerate(rows):
        own = _swept(read_trials([tables[series["table"]]]), series["runs"], block["by"])
        found = own["swept"].unique(maintain_order=True).to_list()
        columns = [Column(text, own.filter(pl.col("swept") == text)) for text in _sorted(found)]
        yield Panel(row, 0, title, title, value, columns)


def _swept(table: pl.DataFrame, pattern: str, by: str | None) -> pl.DataFrame:
    """Return the rows of a series, with the value of the swept key, as text, in the column `swept`."""
    if by is not None:
        return table.filter(pl.col("run") == pattern).with_columns(pl.col(by).cast(pl.String).alias("swept"))
    before, _, after = pattern.partition("*")
    run = pl.col("run")
    own = table.filter(run.str.starts_with(before) & run.str.ends_with(after))
    return own.with_columns(run.str.strip_prefix(before).str.strip_suffix(after).alias("swept"))


def _sorted(values: list[str]) -> list[str]:
    try:
        return sorted(values, key=float)
    except ValueError:
        return values  # names, in the order of the configuration


def draw_grid(figure: Figure, place: SubplotSpec, grid: Grid, letter: str) -> pl.DataFrame:
    """Draw the panels of a block into a place, and return the plotted numbers."""
    cells = place.subgridspec(grid.rows, grid.columns, hspace=0.32, wspace=0.12)
    drawn, parts = [], []
    for one in grid.panels:
        axes = figure.add_subplot(cells[one.row, one.column])
        parts += _draw_panel(axes, one, bool(grid.block.get("test")))
        axes.tick_params(labelleft=one.column == 0, labelbottom=one.row == grid.rows - 1)
        if one.column == 0:
            axes.set_ylabel(VALUE_LABELS.get(one.value, one.value.replace("_", " ")))
        drawn.append(axes)
    if letter:
        panel(drawn[0], letter, x=3 - LEFT, y=3)
    _common_limits(drawn, grid.panels, bool(grid.block.get("test")))
    drawn[-1].set_xlabel(grid.block.get("axis", ""))
    _note(drawn[-1], grid)
    # A block without any data still has the columns.
    empty = pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String) | {"trial": pl.Int64, "value": pl.Float64})
    return pl.concat([empty, *parts], how="diagonal_relaxed").with_columns(pl.lit(letter).alias("panel"))


def _note(axes: Axes, grid: Grid) -> None:
    """Say below a block how many trials the dots are, and what the dashes are."""
    trials = {column.rows["trial"].n_unique() for one in grid.panels for column in one.columns if column.rows.height}
    dashes = any(_values(column, f"{one.value}{SHUFFLED}") for one in grid.panels for column in one.columns)
    words = [f"$n$ = {_span(trials)}"] if trials else []
    words += ["dashed: mean of shuffled filters"] if dashes else []
    offset = (0, -(FOOT - 1) / 25.4 * 72)
    _grey(axes, "; ".join(words), (1, 0), offset, ha="right")


def _grey(axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], **how: str) -> None:
    axes.annotate(text, place, offset, "axes fraction", "offset points", color=GREY, fontsize=6, **how)


def _span(numbers: set[int]) -> str:
    return str(min(numbers)) if len(numbers) == 1 else f"{min(numbers)} to {max(numbers)}"


def _draw_panel(axes: Axes, one: Panel, test: bool) -> list[pl.DataFrame]:
    if one.column == 0:
        axes.set_title(one.heading, loc="left", pad=2, weight="bold")
    empty = not any(_values(column, one.value) for column in one.columns)
    if empty:
        _grey(axes, "not in these\nresults", (0.5, 0.5), (0, 0), ha="center", va="center")
    for position, column in enumerate(one.columns):
        if not empty:
            _draw_column(axes, position, column, one.value)
    axes.set_xlim(-0.6, len(one.columns) - 0.4)
    names = [column.label.replace("_", " ") for column in one.columns]
    turned = {} if max(map(len, names), default=0) <= SHORT else {"rotation": 40, "ha": "right"}
    axes.set_xticks(range(len(names)), names, **turned)
    axes.tick_params(axis="x", length=0)
    tested = _test(axes, one) if test and not empty else None
    return [_numbers(one, column) for column in one.columns] + ([] if tested is None else [tested])


def _values(column: Column, value: str) -> list[float]:
    return column.rows[value].drop_nulls().to_list() if value in column.rows.columns else []


def _draw_column(axes: Axes, position: int, column: Column, value: str) -> None:
    values = _values(column, value)
    if not values:
        axes.annotate("–", (position, 0.02), xycoords=("data", "axes fraction"), ha="center", color=GREY)
        return
    dots(axes, position, values, colour(column.rows["activation"][0]))
    null = _values(column, f"{value}{SHUFFLED}")
    if null:
        line = {"colors": GREY, "linestyles": (0, (2, 1.5)), "linewidth": 0.8}
        axes.hlines(sum(null) / len(null), position - 0.42, position + 0.42, **line)


def _test(axes: Axes, one: Panel) -> pl.DataFrame | None:
    """Print the p-value of a two-sided t-test of the first column against the last, if both have two trials."""
    samples = [_values(column, one.value) for column in (one.columns[0], one.columns[-1])]
    if min(map(len, samples)) < 2:
        return None
    p = float(stats.ttest_ind(*samples).pvalue)
    _grey(axes, f"$p$ = {p:.1e}", (0.5, 1), (0, -1), ha="center", va="top")
    text = f"{one.columns[0].label} against {one.columns[-1].label}"
    return pl.DataFrame({"title": [one.title], "column": [text], "quantity": ["p of the t-test"], "value": [p]})


def _common_limits(axes: Sequence[Axes], panels: Sequence[Panel], test: bool) -> None:
    for value in dict.fromkeys(one.value for one in panels):
        own = [a for a, one in zip(axes, panels, strict=True) if one.value == value]
        seen = [(0, 1)] if value in FRACTIONS else [a.get_ylim() for a in own if a.has_data()]
        low, high = min((low for low, _ in seen), default=0), max((high for _, high in seen), default=1)
        margin = 0.05 * (high - low)
        for a in own:
            # A p-value stands above the dots.
            a.set_ylim(low - margin, high + margin * (5 if test else 1))
            a.set_yticks([t for t in a.get_yticks() if low - margin <= t <= high + margin])


def _numbers(one: Panel, column: Column) -> pl.DataFrame:
    quantities = [name for name in (one.value, f"{one.value}{SHUFFLED}") if name in column.rows.columns]
    index = ["run", "model", "activation", "trial"]
    table = column.rows.select(*index, *quantities).unpivot(quantities, index=index, variable_name="quantity")
    return table.with_columns(pl.lit(one.title).alias("title"), pl.lit(column.label).alias("column"))
