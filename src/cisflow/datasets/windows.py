"""Windows of one length from BED and FASTA files, with constant labels or those of a column, and matched negatives."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.datasets.account import Account
from cisflow.datasets.candidates import DatasetRows, add_negatives, read_pool
from cisflow.datasets.rows import (
    FAR,
    STRAND,
    WINDOW,
    Opened,
    Sequences,
    as_windows,
    assign_apart,
    fit,
    identify,
    known,
    on_axis,
    open_genome,
    padded,
    read_strand,
    stream,
    with_ids,
)
from cisflow.datasets.store import SPLITS, Stream
from cisflow.errors import CisflowError
from cisflow.tracks.contigs import on_genome
from cisflow.tracks.genome import Genome
from cisflow.tracks.intervals import NARROW_PEAK, read_intervals
from cisflow.tracks.linear import Axis, covered, joined

NOT_MEASURED = ("", ".", "NA")
LABELS = "^y\\d+$"


@contextmanager
def open_windows(spec: Mapping[str, Any]) -> Iterator[Opened]:
    """Open the splits of a data set of windows; sequences are read when their blocks are asked for.

    Parameters
    ----------
    spec
        Fields of `cisflow.config.windows.Windows`, with paths for places; the genome is an indexed one.

    Raises
    ------
    CisflowError
        A file is not as the configuration says; with its line.
    """
    with open_genome(spec["genome"]) as genome:
        sequences, account = Sequences(genome, spec["length"]), Account("windows")
        table = pl.concat([_read_set(number, spec, sequences, account) for number in range(len(spec["sets"]))])
        pool = read_pool(spec, sequences, account)
        axis = Axis(genome.sizes if genome else _sizes_of([table, pool], spec["length"]), margin=FAR)
        taken = joined([on_axis(table, axis, spec["length"])])
        table = fit(table, spec, axis, account)
        table = _once(table, spec, sequences, account)
        table = known(table, sequences, spec["max_unknown"], account)
        table, split = _split(table, spec, sequences, axis, account)
        quality = _overlaps(table, split, axis, spec["length"]) + padded(table, split, axis, spec["length"])
        if spec["negatives"]:
            positive = table.select(pl.any_horizontal(pl.col(LABELS) > 0)).to_series().fill_null(False).to_numpy()
            rows = DatasetRows(table, split, positive)
            drawn, of_drawn, more = add_negatives(spec, sequences, axis, taken, rows, pool, account)
            labels = [pl.lit(0.0).alias(f"y{at}") for at in range(len(spec["targets"]))]
            table = pl.concat([table.select(*WINDOW, LABELS), drawn.select(*WINDOW, *labels)])
            split = np.concatenate([split, of_drawn])
            quality += more
        table = with_ids(table, spec["length"])
        yield Opened(_streams(table, split, spec, sequences), spec["targets"], account, quality=quality)


def _sizes_of(tables: list[pl.DataFrame | None], length: int) -> dict[str, int]:
    """Return contigs and the largest end of a window on each."""
    places = pl.concat([table.select("chrom", "start") for table in tables if table is not None]).drop_nulls()
    ends = places.group_by("chrom", maintain_order=True).agg(pl.col("start").max() + length)
    return dict(ends.iter_rows())


def _read_set(number: int, spec: Mapping[str, Any], sequences: Sequences, account: Account) -> pl.DataFrame:
    """Return the windows of a set.

    They have `WINDOW`, labels y0, y1, ..., path and line (of a FASTA file the number of the sequence), own (the split
    of the set, or null), said (that of a column), and written (the strand in a BED file, whether it is read or not).
    """
    item = spec["sets"][number]
    labels = item["target"] if isinstance(item["target"], list) else [item["target"]]
    path = item["bed"] or item["fasta"]
    said = None if item["split"] or not spec["split"] else spec["split"]["column"]
    if item["bed"]:
        columns = {f"y{at}": label["column"] for at, label in enumerate(labels) if isinstance(label, Mapping)}
        columns |= {} if said is None else {"said": said}
        table = _expand(path, spec, columns, sequences.genome, account)
    else:
        table = sequences.read(path).with_columns(line=pl.col("record") + 1, written=pl.lit(None, pl.String))
        account.enter(len(table), "read", "", path)
    constants = {f"y{at}": pl.lit(float(y)) for at, y in enumerate(labels) if not isinstance(y, Mapping)}
    table = table.with_columns(**constants, own=pl.lit(item["split"], pl.String), path=pl.lit(path))
    table = table if "said" in table.columns else table.with_columns(said=pl.lit(None, pl.String))
    names = [f"y{at}" for at in range(len(labels))]
    table = table.with_columns(_label(table, name, spec["target"], path) for name in names)
    whole = table.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names))
    account.drop(len(table) - len(whole), "label", "not_measured", path)
    return whole.select(*WINDOW, *names, "line", "own", "said", "path", "written")


def _expand(
    path: str, spec: Mapping[str, Any], columns: dict[str, int], genome: Genome, account: Account
) -> pl.DataFrame:
    """Return a window around each interval of a BED file."""
    summit = spec["centre"] == "summit"
    columns = columns | STRAND | ({"summit": NARROW_PEAK["summit"]} if summit else {})
    table = read_intervals(path, columns, optional=STRAND)
    account.enter(len(table), "read", "", path)
    table = read_strand(table, spec.get("strand", False), path, account)
    beyond = spec.get("rows_beyond_contig", "fail")
    table, elsewhere, wrong = on_genome(table, genome.sizes, path, genome.path, beyond)
    account.drop(elsewhere, "contig", "not_in_genome", path)
    account.drop(wrong, "contig", "row_beyond_contig", path)
    if summit:
        outside = table.filter((pl.col("summit") < 0) | (pl.col("summit") >= pl.col("end") - pl.col("start")))
        if len(outside):
            row = outside.row(0, named=True)
            raise CisflowError(
                f"{path}, line {row['line']}: the summit {row['summit']} is not in the interval, which has "
                f"{row['end'] - row['start']} bases ({len(outside):,} such rows; -1 says that none was called). Say "
                "'centre: middle'."
            )
    # floor(middle - length / 2), in whole numbers.
    twice = 2 * (pl.col("start") + pl.col("summit")) if summit else pl.col("start") + pl.col("end")
    return as_windows(table.with_columns(start=(twice - spec["length"]).floordiv(2)))


def _label(table: pl.DataFrame, name: str, target: str, path: str) -> pl.Series:
    """Return labels as numbers, null where they were not measured."""
    texts = table[name]
    if texts.dtype != pl.String:
        return texts
    texts = texts.str.strip_chars()
    values = texts.cast(pl.Float64, strict=False)
    right = values.is_in([0.0, 1.0]) if target == "binary" else values.is_finite()
    wrong = table.filter(~texts.is_in(NOT_MEASURED) & ~right.fill_null(False))
    if len(wrong):
        need = "0 or 1 (for numbers say 'target: real')" if target == "binary" else "a finite number"
        raise CisflowError(
            f"{path}, line {wrong['line'][0]}: the label is {wrong[name][0]!r} and must be {need}, or '.' where it was "
            f"not measured ({len(wrong):,} such rows)."
        )
    return values


def _once(table: pl.DataFrame, spec: Mapping[str, Any], sequences: Sequences, account: Account) -> pl.DataFrame:
    """Keep each row once: a sequence of a place, or, where no place is known, a sequence."""
    key = ["chrom", "start", "identity"]
    table = table.with_columns(identify(table, sequences))
    labels = pl.struct(pl.col(LABELS))
    table = table.with_columns(
        rank=pl.int_range(pl.len()).over(key),
        unlike=labels.n_unique().over(key) > 1,
        turned=(pl.col("written") != pl.col("written").first().over(key)).fill_null(False),
    )
    if spec["contradicting"] == "fail":
        _refuse_contradicting(table.filter("unlike"), key, spec["length"])
    if spec["contradicting"] == "drop":
        account.drop(int(table["unlike"].sum()), "duplicates", "contradicting")
        table = table.filter(~pl.col("unlike"))
    again = table.filter(pl.col("rank") > 0)
    contradicting, same = again.filter("unlike"), again.filter(~pl.col("unlike"))
    account.drop(len(contradicting), "duplicates", "contradicting")
    account.drop(int((~same["turned"]).sum()), "duplicates", "same")
    account.drop(int(same["turned"].sum()), "duplicates", "same_on_other_strand")
    return table.filter(pl.col("rank") == 0)


def _refuse_contradicting(unlike: pl.DataFrame, key: list[str], length: int) -> None:
    if unlike.is_empty():
        return
    first = unlike.row(0, named=True)
    same = unlike.filter(pl.all_horizontal(pl.col(name).eq_missing(pl.lit(first[name])) for name in key))
    places = ", ".join(_where(row) for row in same.head(2).iter_rows(named=True))
    what = f"{first['chrom']}:{first['start']}-{first['start'] + length}" if first["chrom"] else "a sequence"
    strands = " They are on two strands: 'strand: true' makes two windows of them." if same["turned"].any() else ""
    raise CisflowError(
        f"{what} is there twice with unequal labels: {places} ({unlike.n_unique(key):,} such windows). Say "
        f"'contradicting: first' or 'drop'.{strands}"
    )


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['path']}, {'line' if row['file'] is None else 'sequence'} {row['line']}"


def _split(
    table: pl.DataFrame, spec: Mapping[str, Any], sequences: Sequences, axis: Axis, account: Account
) -> tuple[pl.DataFrame, NDArray[np.str_]]:
    """Return the windows that have a split, and it."""
    if not len(table):
        gone = ", ".join(f"{-row['rows']:,} {row['reason']}" for row in account.rows if row["rows"] < 0)
        raise CisflowError(f"dataset.sets: no window is left ({gone}).")
    split = table["own"].fill_null("").to_numpy().astype("U5")
    open_ = np.flatnonzero(table["own"].is_null().to_numpy())
    if spec["split"] and spec["split"]["column"] is not None:
        # Sets that name their split count too where it is seen whether a split has no row.
        table, open_ = table.with_columns(said=pl.coalesce("own", "said")), np.arange(len(table))
    sizes = sequences.genome.sizes if sequences.genome else None
    if len(open_):
        split[open_] = assign_apart(spec["split"], table[open_], axis, spec["length"], sizes)
    account.drop(int((split == "").sum()), "split", "left_out")
    table, split = table.filter(split != ""), split[split != ""]
    if empty := [name for name in SPLITS if not (split == name).any()]:
        raise CisflowError(f"dataset.sets: no window is in {', '.join(empty)}. Change the 'split' of the sets.")
    return table, split


def _overlaps(table: pl.DataFrame, split: NDArray[np.str_], axis: Axis, length: int) -> list[dict[str, Any]]:
    """Count the windows of valid and test that overlap one of training: sets that name splits may share places.

    A sequence without a place overlaps one of training if it is that sequence, or its reverse complement.
    """
    train = table.filter(split == "train")
    places, prints = joined([on_axis(train, axis, length)]), train["fingerprint"].drop_nulls().unique()
    rows = []
    for name in SPLITS[1:]:
        own = table.filter(split == name)
        by_place = (covered(*on_axis(own, axis, length), places) > 0).sum()
        by_sequence = own.filter(pl.col("start").is_null())["fingerprint"].is_in(prints.implode()).sum()
        rows.append(
            {"split": name, "target": "all", "quantity": "overlap_train", "value": int(by_place) + int(by_sequence)}
        )
    return rows


def _streams(
    table: pl.DataFrame, split: NDArray[np.str_], spec: Mapping[str, Any], sequences: Sequences
) -> dict[str, Stream]:
    """Return the splits; rows are in the order of the sets, negatives after them."""
    columns = [f"y{at}" for at in range(len(spec["targets"]))]
    masked = any(table[name].null_count() for name in columns)

    def labels(part: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        y = part.select(columns)
        mask = y.select(pl.all().is_not_null()).to_numpy() if masked else None
        return y.fill_null(0.0).to_numpy().astype(np.float32), mask

    return {
        name: stream(
            table.filter(split == name), sequences, labels, len(columns), masked, name in spec["reverse_complement"]
        )
        for name in SPLITS
    }
