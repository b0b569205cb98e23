"""Tables as the figures need them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, read_meme
from cisflow.tables import (
    ABOUT,
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
    Schema,
    read_tsv,
    real,
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


def history_tables(tables: Mapping[str, str], columns: Iterable[str]) -> pl.DataFrame:
    """Return these columns of the histories of several tables, one below the other; what is not finite is null.

    A run that two tables have is that of the first one: trials of two tasks are not put together.
    """
    parts, seen = [], []
    for path in tables.values():
        table = finite(read_tsv(path, HISTORY | real(*columns)), columns).select(*ABOUT, "epoch", *columns)
        parts.append(table.filter(~pl.col("run").is_in(seen)))
        seen += table["run"].unique().to_list()
    return pl.concat(parts)


def gradient_table(path: str | Path) -> pl.DataFrame:
    """Return a history with the gradients of the first kernel; what is not finite is null.

    Raises
    ------
    CisflowError
        They were not measured in these trainings.
    """
    table = history_table(path)
    if not set(GRADIENTS) <= set(table.columns):
        raise CisflowError(
            f"{path}: gradients were not measured in these trainings. Give their task 'training: {{gradients: first}}'."
        )
    return finite(table, [name for name in table.columns if name not in ABOUT and name not in ("epoch", "lr")])


def history_table(path: str | Path) -> pl.DataFrame:
    """Return training histories, with whatever was measured in these trainings."""
    return read_tsv(path, HISTORY, others=pl.Float64)


def finite(table: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """Return a table with null in place of what is not finite in these columns of real numbers."""
    numbers = pl.col(*columns)
    return table.with_columns(pl.when(numbers.is_finite()).then(numbers).name.keep())


def activation_table(path: str | Path) -> pl.DataFrame:
    """Return values before and after the first activation of a run: statistics, histograms and pairs."""
    return read_tsv(path, ACTIVATIONS).select(*ACTIVATIONS)


def dataset_tables(tables: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a data set's `quality`, `distributions` and `accounting`; what is not finite, or not defined, is null."""
    return (
        finite(read_tsv(tables["quality"], DATASET_QUALITY), ["value"]),
        finite(read_tsv(tables["distributions"], DATASET_DISTRIBUTIONS), ["start", "end", "value"]),
        read_tsv(tables["accounting"], ACCOUNTING),
    )


def gallery_table(path: str | Path) -> pl.DataFrame:
    """Return the attributions of a gallery's sequences, a row a base; `score` is null where it is not finite."""
    return finite(read_tsv(path, GALLERY), ["label", "prediction", "score"])


def scan_tables(tables: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return localisation scores and example sequences: tables whose name ends with 'examples' hold the second."""
    scores = [path for name, path in tables.items() if not name.endswith("examples")]
    examples = [path for name, path in tables.items() if name.endswith("examples")]
    return _stacked(scores, SCAN), _stacked(examples, SCAN_EXAMPLES)


def reference_tables(tables: Mapping[str, str]) -> pl.DataFrame:
    """Return scores of attributions by the number of references, of all tables."""
    return _stacked(tables.values(), ATTRIBUTION_REFERENCES)


def _stacked(paths: Iterable[str], schema: Schema) -> pl.DataFrame:
    """Return tables of one kind, one below the other; without any, one without rows."""
    return pl.concat([pl.DataFrame(schema=schema), *(read_tsv(path, schema).select(*schema) for path in paths)])
