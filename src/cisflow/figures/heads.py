"""What the figures of the heads of a task share: names and colours of runs, and words on intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.figure import Figure

from cisflow.errors import CisflowError
from cisflow.figures.panels import in_order
from cisflow.figures.style import GREY, TWO_COLUMNS, in_turn, missing, new_figure, style
from cisflow.tables import HEADS, read_tsv

SPLITS = ("train", "valid", "test")
BASELINE, LABELS, MEAN, POOLED = "baseline_track_mean", "labels", "mean", "pooled"
# Letters of the name of a run that are drawn.
LETTERS = 24


@dataclass(frozen=True)
class Runs:
    """The runs of a task that are drawn, in their order: labels, colours, and the rows of `tables.HEADS`."""

    names: list[str]
    labels: dict[str, str]
    colours: dict[str, str]
    table: pl.DataFrame

    def intervals(self, shown: pl.DataFrame) -> str:
        """Return what the intervals (low, high) that are shown are, in words."""
        row = self.table.row(0, named=True)
        if shown["low"].is_null().all():
            return f"No intervals: there are too few blocks of {_bases(row['block'])} to resample."
        return (
            f"{100 * row['level']:g}% intervals: {row['resamples']:,} resamples of blocks of {_bases(row['block'])} "
            "of windows, the same for all heads; of the mean over trials."
        )


def read_runs(path: str, chosen: Sequence[str] = ()) -> Runs:
    """Return the runs of the table `tables.HEADS`, or those chosen; one is called by its model if no other has that.

    Raises
    ------
    CisflowError
        A run that is chosen is not there.
    """
    table = read_tsv(path, HEADS)
    names = in_order(table["run"].to_list(), ())
    models = dict(table.select("run", "model").iter_rows())
    alone = {run: list(models.values()).count(model) == 1 for run, model in models.items()}
    labels = {
        run: shortened((models[run] if alone[run] else run).replace("-", " ").replace("_", ", ")) for run in names
    }
    if unknown := [run for run in chosen if run not in names]:
        raise CisflowError(f"{path}: there is no run '{unknown[0]}'; there are {', '.join(names)}.")
    # Of all runs, so that a choice changes no colour.
    return Runs(list(chosen) or names, labels, in_turn(names), table)


def shortened(text: str, letters: int = LETTERS) -> str:
    """Return a text of at most so many letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _bases(number: int) -> str:
    return f"{number / 1e6:g} Mb" if number >= 1e5 else f"{number / 1e3:g} kb"


def decimals(value: float, digits: int) -> str:
    """Return a number with so many decimals, or none of a large one; without a sign if it is rounded to 0."""
    text = f"{value:.{digits if abs(value) < 10 else 0}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def only_words(text: str, columns: Sequence[str]) -> tuple[Figure, pl.DataFrame]:
    """Return a figure that says what it lacks, and its empty table."""
    with style():
        figure = new_figure(TWO_COLUMNS, 20)
        missing(figure.add_subplot(), text)
    return figure, pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def footnote(figure: Figure, text: str) -> None:
    """Write a note at the lower left of a figure."""
    figure.text(2 / TWO_COLUMNS, 0.6 / (figure.get_figheight() * 25.4), text, color=GREY, fontsize=6, va="bottom")


def splits_of(table: pl.DataFrame) -> list[str]:
    """Return the splits in the column `set` of a table, in their usual order."""
    return [split for split in SPLITS if split in table["set"]]


def first_trials(table: pl.DataFrame) -> Mapping[str, int]:
    """Return the lowest number of a trial of each run in a table."""
    numbered = table.filter(pl.col("trial").is_not_null())
    return dict(numbered.group_by("run", maintain_order=True).agg(pl.col("trial").min()).iter_rows())
