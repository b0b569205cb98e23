"""Tables as the figures need them."""

from pathlib import Path

import polars as pl

from cisflow.pwm import Motif, read_meme
from cisflow.tables import ATTRIBUTION_EXAMPLES, ATTRIBUTION_SCORES, LABELS, MATCHES, METRICS, read_tsv


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
    further = pl.col("run").str.strip_prefix(pl.concat_str("model", pl.lit("_"), "activation"))
    return table.with_columns(pl.concat_str("model", further.str.replace("_", ", ", literal=True)).alias("panel"))


def label_table(path: str | Path) -> pl.DataFrame:
    """Return the best hit of each filter."""
    return read_tsv(path, LABELS)


def filter_motifs(folder: str | Path, run: str, trial: int) -> dict[str, Motif]:
    """Return the matrices of a trial's filters, by name; a filter without a matrix is not there."""
    return {motif.id: motif for motif in read_meme(Path(folder) / run / f"trial-{trial}.meme", empty=True)}


def score_table(path: str | Path) -> pl.DataFrame:
    """Return the scores of attributions against the ground truth, a row for each trial and method."""
    return read_tsv(path, ATTRIBUTION_SCORES)


def example_table(path: str | Path) -> pl.DataFrame:
    """Return attributions of example sequences, and their ground truth, a row a base."""
    return read_tsv(path, ATTRIBUTION_EXAMPLES)
