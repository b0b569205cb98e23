"""Tables as the figures need them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, read_meme
from cisflow.tables import (
    ACCOUNTING,
    ACTIVATIONS,
    ATTRIBUTION_EXAMPLES,
    ATTRIBUTION_QUALITY,
    ATTRIBUTION_REFERENCES,
    ATTRIBUTION_SCORES,
    DATASET_DISTRIBUTIONS,
    DATASET_QUALITY,
    GALLERY,
    GRADIENTS,
    HISTORY,
    LABELS,
    MATCHES,
    METRICS,
    SCAN,
    SCAN_EXAMPLES,
    read_tsv,
)


def match_table(path: str | Path) -> pl.DataFrame:
    """Return match statistics by trial: of the filters, and of the same filters shuffled."""
    return read_tsv(path, MATCHES)


def metric_table(path: str | Path, split: str = "test") -> pl.DataFrame:
    """Return the metrics of one split, averaged over targets."""
    table = read_tsv(path, METRICS)
    return table.filter((pl.col("set") == split) & (pl.col("target") == "mean"))


def with_panel(table: pl.DataFrame) -> pl.DataFrame:
    """Add the column `panel`: the model, and what else than the activation tells its runs apart.

    Runs of a sweep differ in more than model and activation, and their trials are no sample of one thing.
    """
    further = pl.col("run").str.strip_prefix(pl.col("model"))
    further = further.str.strip_prefix(pl.concat_str(pl.lit("_"), "activation"))
    return table.with_columns(pl.concat_str("model", further.str.replace("_", ", ", literal=True)).alias("panel"))


def label_table(path: str | Path) -> pl.DataFrame:
    """Return the best hit of each filter."""
    return read_tsv(path, LABELS)


def filter_motifs(folder: str | Path, run: str, trial: int) -> dict[str, Motif]:
    """Return the matrices of a trial's filters, by name; a filter without a matrix is not there."""
    return {motif.id: motif for motif in read_meme(Path(folder) / run / f"trial-{trial}.meme", empty=True)}


def quality_table(path: str | Path) -> pl.DataFrame:
    """Return the quality of attributions, a row for each trial, method and quantity."""
    return read_tsv(path, ATTRIBUTION_QUALITY)


def score_table(path: str | Path) -> pl.DataFrame:
    """Return the scores of attributions against the ground truth, a row for each trial and method."""
    return read_tsv(path, ATTRIBUTION_SCORES)


def example_table(path: str | Path) -> pl.DataFrame:
    """Return attributions of example sequences, and their ground truth, a row a base."""
    return read_tsv(path, ATTRIBUTION_EXAMPLES)


def history_tables(tables: Mapping[str, str], columns: Sequence[str]) -> pl.DataFrame:
    """Return these columns of the histories of several tables, one below the other; what is no number is null.

    A run that two tables have is that of the first one: trials of two tasks are not put together.
    """
    keys, parts, seen = HISTORY[: HISTORY.index("epoch") + 1], [], []
    for path in tables.values():
        table = _numbers(read_tsv(path, (*HISTORY, *columns)), columns).select(*keys, *columns)
        parts.append(table.filter(~pl.col("run").is_in(seen)))
        seen += table["run"].unique().to_list()
    return pl.concat(parts)


def gradient_table(path: str | Path) -> pl.DataFrame:
    """Return a history with the gradients of the first kernel; what is no number is null.

    Raises
    ------
    CisflowError
        They were not measured in these trainings.
    """
    table = read_tsv(path, HISTORY)
    if not set(GRADIENTS) <= set(table.columns):
        raise CisflowError(
            f"{path}: gradients were not measured in these trainings. Give their task 'training: {{gradients: first}}'."
        )
    return _numbers(table, table.columns[len(HISTORY) - 2 :])


def _numbers(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return a table with these columns as finite numbers or null; one without any number was read as text."""
    numbers = pl.col(columns).cast(pl.Float64)
    return table.with_columns(pl.when(numbers.is_finite()).then(numbers).name.keep())


def activation_table(path: str | Path) -> pl.DataFrame:
    """Return values before and after the first activation of a run: statistics, histograms and pairs."""
    numbers = pl.col("start", "end", "value", "before", "after").cast(pl.Float64)
    return read_tsv(path, ACTIVATIONS).select(ACTIVATIONS).with_columns(numbers)


def dataset_tables(tables: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a data set's `quality`, `distributions` and `accounting`; what is no number, or not defined, is null."""
    return (
        _numbers(read_tsv(tables["quality"], DATASET_QUALITY), ["value"]),
        _numbers(read_tsv(tables["distributions"], DATASET_DISTRIBUTIONS), ["start", "end", "value", "n"]),
        read_tsv(tables["accounting"], ACCOUNTING),
    )


def gallery_table(path: str | Path) -> pl.DataFrame:
    """Return the attributions of a gallery's sequences, a row a base; `score` is null where it is no number."""
    return _numbers(read_tsv(path, GALLERY), ["label", "prediction", "score"])


def scan_tables(tables: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return localisation scores and example sequences: tables whose name ends with 'examples' hold the second."""
    return tuple(
        pl.concat(
            [_empty(columns), *(read_tsv(path, columns) for name, path in tables.items() if _examples(name) == wanted)],
            how="diagonal_relaxed",
        ).select(columns)
        for wanted, columns in ((False, SCAN), (True, SCAN_EXAMPLES))
    )


def _examples(name: str) -> bool:
    return name.endswith("examples")


def reference_tables(tables: Mapping[str, str]) -> pl.DataFrame:
    """Return scores of attributions by the number of references, of all tables."""
    found = [read_tsv(path, ATTRIBUTION_REFERENCES) for path in tables.values()]
    return pl.concat([_empty(ATTRIBUTION_REFERENCES), *found], how="diagonal_relaxed")


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    """Return a table without rows, which gives its columns to what is put below it."""
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))
