"""The TSV tables that stages pass to each other: their columns with types, and how they are read and written."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from cisflow.errors import CisflowError
from cisflow.io import atomic
from cisflow.trials import AREAS, OF_MATCHES, SHUFFLED, kind_of

# The status of a filter whose matrix is not compared with known motifs.
UNINFORMATIVE = "uninformative"

# Columns that tables of earlier versions do not have; they are read as empty.
LATER = ("uninformative", "withheld", "status")

# Columns of a table in their order, with their types.
Schema = Mapping[str, type[pl.DataType]]


def text(*columns: str) -> dict[str, type[pl.DataType]]:
    """Return columns of text; a name may look like a number."""
    return dict.fromkeys(columns, pl.String)


def whole(*columns: str) -> dict[str, type[pl.DataType]]:
    """Return columns of whole numbers."""
    return dict.fromkeys(columns, pl.Int64)


def real(*columns: str) -> dict[str, type[pl.DataType]]:
    """Return columns of real numbers."""
    return dict.fromkeys(columns, pl.Float64)


# Which trained network a row is about.
ABOUT = text("task", "run", "model", "activation") | whole("trial")

# What a data set is like: single numbers, and parts below each other (see `datasets.quality.write_quality`).
DATASET_QUALITY = text("split", "target", "quantity") | real("value")
DATASET_DISTRIBUTIONS = (
    text("part", "split", "class", "target", "other", "name") | real("start", "end", "value") | whole("n")
)

# `target` is a name, or 'mean' of the targets, or of heads also 'pooled': all targets as if they were one. Metrics that
# end in _bins are those of predictions for each bin of a window.
METRICS = ABOUT | text("set", "target", "metric") | real("value") | whole("n")
# A row an epoch. The metrics of the labels' kind, as valid_auroc, follow these, and the gradients if they were
# measured; they are real numbers. A checkpoint's own history has the columns of `EPOCHS`.
EPOCHS = whole("epoch") | real("lr", "train_loss", "valid_loss")
HISTORY = ABOUT | EPOCHS
GRADIENTS = real("gradient_mean", "gradient_sd")
# The heads of a task on windows of a genome (`evaluation.heads`, `.domains`, `.drawn`). A row without a trial has the
# mean over trials, with its interval; `n` counts measured labels, of the target 'mean' the tracks.
OF_HEAD = text("task", "run") | whole("trial") | text("set")
HEADS = text("task", "run", "model") | whole("trials", "parameters", "resamples", "block") | real("level")
HEAD_SCORES = OF_HEAD | text("target", "metric") | real("value", "low", "high") | whole("n", "trials")
HEAD_COMPARISON = (
    text("task", "set", "target", "metric", "run", "other")
    | real("value", "other_value", "difference", "low", "high", "p", "q")
    | whole("n")
)
HEAD_DOMAINS = (
    OF_HEAD
    | text("name", "kind", "target")
    | real("auroc", "low", "high")
    | whole("trials", "positives", "negatives", "left_out")
    | text("why")
)
HEAD_ROC = OF_HEAD | text("name", "kind", "target") | real("fpr", "tpr")
# Windows by label and prediction, in bins of equal width from `low` to `high`; without bins those beyond them.
HEAD_DENSITY = (
    OF_HEAD | text("target", "unit") | real("low", "high") | whole("bins", "label_bin", "prediction_bin", "count")
)
# Along chromosomes: means over the windows (so many) that are over a stretch; and the stretches of each split.
HEAD_PROFILES = OF_HEAD | text("target", "unit", "chrom") | whole("start", "end") | real("value") | whole("windows")
HEAD_COMPOSITION = text("task", "chrom", "set") | whole("size", "start", "end") | real("fraction")
FILTERS = (
    ABOUT
    | text("filter", "status")
    | whole("sites")
    | real("max_activation")
    | whole("start", "end")
    | real("bits")
    | text("consensus")
)
HITS = (
    text("query", "target", "target_name")
    | real("p_value", "e_value", "q_value")
    | whole("offset", "overlap")
    | text("orientation", "engine")
)
TOMTOM = ABOUT | text("set") | HITS
MATCHES = (
    ABOUT
    | text("set")
    | whole("filters", "with_matrix")
    | real("match_fraction", "match_any")
    | whole("factors_found", "uninformative", "withheld")
)
THRESHOLDS = MATCHES | real("threshold")
# `withheld`: the best hit, if a shuffled copy of the filter matches it as well, so that it is not the label.
LABELS = (
    ABOUT | text("filter", "factor", "target", "target_name") | real("e_value", "q_value") | text("status", "withheld")
)
# Three parts below each other: statistics (variable, name, value), histograms (variable, start, end, value: the count),
# and values before the first activation with what it made of them (before, after). `weights`: untrained or trained.
ACTIVATIONS = ABOUT | text("weights", "part", "variable", "name") | real("start", "end", "value", "before", "after")
# Rows of scans by known motifs have the run 'motifs' and no trial.
SCAN = (
    ABOUT
    | text("scanner")
    | whole("buffer")
    | text("ends")
    | real("auroc", "aupr", "auroc_sd", "aupr_sd")
    | whole("sequences")
)
SCAN_EXAMPLES = ABOUT | text("scanner") | whole("example") | text("sequence") | whole("position") | real("score")
ATTRIBUTION_SCORES = ABOUT | text("method") | whole("sequences") | real("auroc", "aupr")
ATTRIBUTION_QUALITY = ABOUT | text("method", "quantity") | real("value") | whole("n")
ATTRIBUTION_REFERENCES = ABOUT | text("method") | whole("references", "sequences") | real("auroc", "aupr")
# A row a base: of a sequence, the one that is there with its score; of the ground truth, all four with their heights.
ATTRIBUTION_EXAMPLES = (
    ABOUT
    | text("method")
    | whole("example")
    | text("sequence")
    | whole("position")
    | text("base")
    | real("score", "auroc", "aupr")
)
# What TF-MoDISco finds in the attributions of a run: its patterns, what they match, and each base of them.
OF_RUN = text("task", "run", "method")
MODISCO_SIGNS = (
    OF_RUN
    | text("target")
    | whole("trials", "left_out", "sequences", "window")
    | text("sign")
    | whole("seqlets", "used", "patterns", "in_patterns")
    | text("note")
)
MODISCO_PATTERNS = (
    OF_RUN
    | text("pattern", "sign")
    | whole("seqlets", "start", "end")
    | real("bits")
    | text("consensus")
    | whole("hits")
    | text("best", "best_name")
    | real("e_value", "q_value")
)
MODISCO_HITS = OF_RUN | HITS
MODISCO_BASES = text("pattern") | whole("position", "kept") | text("base") | real("contribution", "probability")
# A row a base that is there, of the sequences of a gallery. `output` is what is explained (logit, probability, value);
# `prediction` is the trial's probability or value of the sequence.
GALLERY = (
    ABOUT
    | text("target", "output", "method")
    | whole("example")
    | text("sequence")
    | real("label", "prediction")
    | whole("position")
    | text("base")
    | real("score")
)

# Where our Basenji2 differs most from TensorFlow's, in each window; `spread` is the standard deviation of its values.
PARITY = text("window", "values") | real("difference") | whole("bin", "channel") | real("ours", "tensorflow", "spread")

# The account of a data set: signed counts, which add up to the rows of the step 'kept'.
ACCOUNTING = text("unit", "input", "step", "reason") | whole("rows")
# What is known of the columns of a data set's labels; a kind of data set fills what it has.
TARGETS = text("target", "factor", "biosample", "biosample_type", "unit", "files", "description")

# Rows of a BED file that were not lifted, as they were; `start` is 0-based, `end` exclusive.
DROPPED = text("chrom") | whole("start", "end") | text("name", "reason")

# Regions whose signal is read; all have one length.
REGIONS = text("chrom") | whole("start", "end") | text("split")
# The same with the windows of sequence around them.
INPUT_REGIONS = REGIONS | whole("input_start", "input_end")
# Bins by what became of them: `total` is the sum of measured, off_contig, blacklisted, no_data and not_lifted, of which
# there is a row for each reason (`detail`). Among the measured ones are soft_clipped and clipped, and taken_as_0 and
# taken_as_nan, which an original's ways put in the place of values.
TRACK_COUNTS = text("track") | whole("shard") | text("what", "detail") | whole("bins")

# Reads of a BAM file with modified bases: how many were used, and left out for what reason; and calls of each kind.
READ_COUNTS = text("file", "what") | whole("reads")

# Records of jobs, by job and by rule (see `records.table`). Memory is in MiB, sizes in MB.
RECORDS = (
    text("rule", "job", "status")
    | whole("attempts")
    | text("endings", "started", "host", "slurm_job", "device")
    | whole("threads", "gpus")
    | real("seconds", "total_seconds", "cpu_seconds")
    | whole("asked_minutes")
    | real("memory_mb")
    | whole("asked_memory_mb")
    | real("gpu_memory_mb", "read_mb", "written_mb", "recording_seconds")
    | text("cisflow", "commit")
)
RECORD_RULES = (
    text("rule")
    | whole("jobs", "done", "attempts", "retried")
    | real("hours", "core_hours", "gpu_hours", "median_seconds", "most_seconds")
    | whole("asked_minutes")
    | real("memory_mb")
    | whole("asked_memory_mb")
    | real("memory_used", "gpu_memory_mb")
    | whole("next_mem_mb", "next_runtime")
    | text("note")
)


def read_tsv(path: str | Path, schema: Schema, others: type[pl.DataType] = pl.String) -> pl.DataFrame:
    """Read a table by its schema.

    A column has the type of the schema whatever is in it, so that one without any value is no other than one with some;
    an empty field is null.

    Parameters
    ----------
    path
        The file.
    schema
        Columns that it must have, with their types.
    others
        Type of all further columns.

    Raises
    ------
    CisflowError
        The file is missing, empty or damaged, lacks a column, or a value is not of the type of its column.
    """
    try:
        table = pl.read_csv(path, separator="\t", infer_schema=False)
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except pl.exceptions.NoDataError:
        raise CisflowError(f"{path}: the file is empty.") from None
    except pl.exceptions.ComputeError as error:
        raise CisflowError(f"{path}: not a whole table ({str(error).splitlines()[0]}). Make it again.") from error
    missing = [column for column in schema if column not in table.columns]
    table = table.with_columns(pl.lit(None, pl.String).alias(name) for name in missing if name in LATER)
    if missing := [name for name in missing if name not in LATER]:
        raise CisflowError(f"{path}: there is no column {', '.join(missing)}; there are {', '.join(table.columns)}.")
    return table.with_columns(_typed(path, table[name], schema.get(name, others)) for name in table.columns)


def _typed(path: str | Path, column: pl.Series, kind: type[pl.DataType]) -> pl.Series:
    values = column.cast(kind, strict=False)
    if values.null_count() > column.null_count():
        row = int((values.is_null() & column.is_not_null()).arg_max())
        number = "whole number" if kind == pl.Int64 else "number"
        raise CisflowError(f"{path}, row {row + 1}: {column.name} is {column[row]!r}, not a {number}. Make it again.")
    return values


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
    own, shuffled = (
        table.filter(pl.col("set") == name).select(*index, pl.col(OF_MATCHES).name.suffix(end))
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
