"""The TSV tables that stages pass to each other: their columns, and how they are read and written."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from cisflow.errors import CisflowError
from cisflow.io import atomic
from cisflow.trials import AREAS, OF_MATCHES, SHUFFLED, kind_of

# Which trained network a row is about.
ABOUT = ("task", "run", "model", "activation", "trial")

# What a data set is like: single numbers, and parts below each other (see `datasets.quality.write_quality`).
DATASET_QUALITY = ("split", "target", "quantity", "value")
DATASET_DISTRIBUTIONS = ("part", "split", "class", "target", "other", "name", "start", "end", "value", "n")

# `target` is a name, or 'mean' of the targets, or of heads also 'pooled': all targets as if they were one. Metrics that
# end in _bins are those of predictions for each bin of a window.
METRICS = (*ABOUT, "set", "target", "metric", "value", "n")
# The metrics of the labels' kind, as valid_auroc, follow these, and the gradients if they were measured.
HISTORY = (*ABOUT, "epoch", "lr", "train_loss", "valid_loss")
GRADIENTS = ("gradient_mean", "gradient_sd")
# The heads of a task on windows of a genome (`evaluation.heads`, `.domains`, `.drawn`). A row without a trial has the
# mean over trials, with its interval; `n` counts measured labels, of the target 'mean' the tracks.
OF_HEAD = ("task", "run", "trial", "set")
HEADS = ("task", "run", "model", "trials", "parameters", "resamples", "block", "level")
HEAD_SCORES = (*OF_HEAD, "target", "metric", "value", "low", "high", "n", "trials")
HEAD_COMPARISON = ("task", "set", "target", "metric", "run", "other", "value", "other_value", "difference", "low",
    "high", "p", "q", "n")  # fmt: skip
HEAD_DOMAINS = (*OF_HEAD, "name", "kind", "target", "auroc", "low", "high", "trials", "positives", "negatives",
    "left_out", "why")  # fmt: skip
HEAD_ROC = (*OF_HEAD, "name", "kind", "target", "fpr", "tpr")
# Windows by label and prediction, in bins of equal width from `low` to `high`; without bins those beyond them.
HEAD_DENSITY = (*OF_HEAD, "target", "unit", "low", "high", "bins", "label_bin", "prediction_bin", "count")
# Along chromosomes: means over the windows (so many) that are over a stretch; and the stretches of each split.
HEAD_PROFILES = (*OF_HEAD, "target", "unit", "chrom", "start", "end", "value", "windows")
HEAD_COMPOSITION = ("task", "chrom", "set", "size", "start", "end", "fraction")
FILTERS = (*ABOUT, "filter", "status", "sites", "max_activation", "start", "end", "bits", "consensus")
HITS = ("query", "target", "target_name", "p_value", "e_value", "q_value", "offset", "overlap", "orientation", "engine")
TOMTOM = (*ABOUT, "set", *HITS)
MATCHES = (*ABOUT, "set", "filters", "with_matrix", "match_fraction", "match_any", "factors_found")
THRESHOLDS = (*MATCHES, "threshold")
LABELS = (*ABOUT, "filter", "factor", "target", "target_name", "e_value", "q_value")
# Three parts below each other: statistics (variable, name, value), histograms (variable, start, end, value: the count),
# and values before the first activation with what it made of them (before, after). `weights`: untrained or trained.
ACTIVATIONS = (*ABOUT, "weights", "part", "variable", "name", "start", "end", "value", "before", "after")
# Rows of scans by known motifs have the run 'motifs' and no trial.
SCAN = (*ABOUT, "scanner", "buffer", "ends", "auroc", "aupr", "auroc_sd", "aupr_sd", "sequences")
SCAN_EXAMPLES = (*ABOUT, "scanner", "example", "sequence", "position", "score")
ATTRIBUTION_SCORES = (*ABOUT, "method", "sequences", "auroc", "aupr")
ATTRIBUTION_QUALITY = (*ABOUT, "method", "quantity", "value", "n")
ATTRIBUTION_REFERENCES = (*ABOUT, "method", "references", "sequences", "auroc", "aupr")
# A row a base: of a sequence, the one that is there with its score; of the ground truth, all four with their heights.
ATTRIBUTION_EXAMPLES = (*ABOUT, "method", "example", "sequence", "position", "base", "score", "auroc", "aupr")
# What TF-MoDISco finds in the attributions of a run: its patterns, what they match, and each base of them.
OF_RUN = ("task", "run", "method")
MODISCO_SIGNS = (*OF_RUN, "target", "trials", "left_out", "sequences", "window", "sign", "seqlets", "used", "patterns",
    "in_patterns", "note")  # fmt: skip
MODISCO_PATTERNS = (*OF_RUN, "pattern", "sign", "seqlets", "start", "end", "bits", "consensus", "hits", "best",
    "best_name", "e_value", "q_value")  # fmt: skip
MODISCO_HITS = (*OF_RUN, *HITS)
MODISCO_BASES = ("pattern", "position", "kept", "base", "contribution", "probability")
# A row a base that is there, of the sequences of a gallery. `output` is what is explained (logit, probability, value);
# `prediction` is the trial's probability or value of the sequence.
GALLERY = (*ABOUT, "target", "output", "method", "example", "sequence", "label", "prediction", "position", "base",
    "score")  # fmt: skip

# Where our Basenji2 differs most from TensorFlow's, in each window; `spread` is the standard deviation of its values.
PARITY = ("window", "values", "difference", "bin", "channel", "ours", "tensorflow", "spread")

# The account of a data set: signed counts, which add up to the rows of the step 'kept'.
ACCOUNTING = ("unit", "input", "step", "reason", "rows")
# What is known of the columns of a data set's labels; a kind of data set fills what it has.
TARGETS = ("target", "factor", "biosample", "biosample_type", "unit", "files", "description")

# Rows of a BED file that were not lifted, as they were; `start` is 0-based, `end` exclusive.
DROPPED = ("chrom", "start", "end", "name", "reason")

# Regions whose signal is read; all have one length.
REGIONS = ("chrom", "start", "end", "split")
# Bins by what became of them: `total` is the sum of measured, off_contig, blacklisted, no_data and not_lifted, of which
# there is a row for each reason (`detail`). Among the measured ones are soft_clipped and clipped, and taken_as_0 and
# taken_as_nan, which an original's ways put in the place of values.
TRACK_COUNTS = ("track", "shard", "what", "detail", "bins")

# Reads of a BAM file with modified bases: how many were used, and left out for what reason; and calls of each kind.
READ_COUNTS = ("file", "what", "reads")

# Records of jobs, by job and by rule (see `records.table`). Memory is in MiB, sizes in MB.
RECORDS = ("rule", "job", "status", "attempts", "endings", "started", "host", "slurm_job", "device", "threads", "gpus",
    "seconds", "total_seconds", "cpu_seconds", "asked_minutes", "memory_mb", "asked_memory_mb", "gpu_memory_mb",
    "read_mb", "written_mb", "recording_seconds", "cisflow", "commit")  # fmt: skip
RECORD_RULES = ("rule", "jobs", "done", "attempts", "retried", "hours", "core_hours", "gpu_hours", "median_seconds",
    "most_seconds", "asked_minutes", "memory_mb", "asked_memory_mb", "memory_used", "gpu_memory_mb", "next_mem_mb",
    "next_runtime", "note")  # fmt: skip

# Columns that hold names, which may look like numbers.
TEXT = ("task", "run", "model", "activation", "set", "target", "target_name", "filter", "query", "factor", "consensus",
    "method", "sequence", "base", "output", "pattern", "sign", "note", "best", "best_name",
    "scanner", "ends", "chrom", "name", "reason", "split", "unit", "input", "step", "class", "other",
    "track", "what", "detail", "file", "metric", "kind", "why",
    "rule", "job", "status", "endings", "started", "host", "slurm_job", "device", "cisflow", "commit",
    *TARGETS)  # fmt: skip


def read_tsv(path: str | Path, columns: Sequence[str]) -> pl.DataFrame:
    """Read a table and check that it has these columns.

    Names are text; the types of other columns are inferred from all rows; an empty field is null.

    Raises
    ------
    CisflowError
        The file is missing or empty, or lacks a column.
    """
    try:
        table = pl.read_csv(
            path, separator="\t", infer_schema_length=None, schema_overrides=dict.fromkeys(TEXT, pl.String)
        )
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except pl.exceptions.NoDataError:
        raise CisflowError(f"{path}: the file is empty.") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CisflowError(f"{path}: there is no column {', '.join(missing)}; there are {', '.join(table.columns)}.")
    return table


def write_table(path: str | Path, table: pl.DataFrame) -> None:
    """Write a table as TSV, atomically; null is an empty field."""
    with atomic(path) as partial:
        table.write_csv(partial, separator="\t")


def read_trials(paths: Iterable[str | Path]) -> pl.DataFrame:
    """Return tables of one kind, one below the other: `ABOUT` and the numbers, a row a trial.

    Metrics are those of the test set, averaged over targets; scores of attributions are named as auroc_saliency;
    matches have those of the shuffled filters beside them, as match_fraction_shuffled; of thresholds there is a row for
    each trial and threshold.
    """
    return pl.concat([_READ[kind_of(path)](Path(path)) for path in paths], how="diagonal_relaxed")


def _metrics(path: Path) -> pl.DataFrame:
    table = read_tsv(path, METRICS).filter((pl.col("set") == "test") & (pl.col("target") == "mean"))
    return table.pivot("metric", index=list(ABOUT), values="value")


def _matches(path: Path) -> pl.DataFrame:
    return _beside_shuffled(read_tsv(path, MATCHES), list(ABOUT))


def _thresholds(path: Path) -> pl.DataFrame:
    return _beside_shuffled(read_tsv(path, THRESHOLDS), [*ABOUT, "threshold"])


def _beside_shuffled(table: pl.DataFrame, index: list[str]) -> pl.DataFrame:
    numbers = pl.col(OF_MATCHES).cast(pl.Float64)
    own, shuffled = (
        table.filter(pl.col("set") == name).select(*index, numbers.name.suffix(end))
        for name, end in (("filters", ""), ("shuffled", SHUFFLED))
    )
    return own.join(shuffled, on=index, how="left", maintain_order="left")


def _attribution(path: Path) -> pl.DataFrame:
    return _areas(read_tsv(path, ATTRIBUTION_SCORES), ["method"], list(ABOUT))


def _scan(path: Path) -> pl.DataFrame:
    return _areas(read_tsv(path, SCAN), ["scanner", "ends"], [*ABOUT, "buffer"])


def _references(path: Path) -> pl.DataFrame:
    return _areas(read_tsv(path, ATTRIBUTION_REFERENCES), ["method"], [*ABOUT, "references"])


def _areas(table: pl.DataFrame, by: list[str], index: list[str]) -> pl.DataFrame:
    """Return the areas under curves as columns, by name, as auroc_saliency."""
    table = table.unpivot(AREAS, index=[*index, *by])
    names = pl.concat_str("variable", *by, separator="_").alias("variable")
    return table.with_columns(names).pivot("variable", index=index, values="value")


_READ = {
    "metrics": _metrics,
    "matches": _matches,
    "thresholds": _thresholds,
    "attribution": _attribution,
    "scan": _scan,
    "references": _references,
}
