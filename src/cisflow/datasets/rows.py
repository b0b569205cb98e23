"""Windows as rows of a data set: where they are, their sequences, which of them are left out, and their splits."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.datasets.account import Account
from cisflow.datasets.fasta import place_of, read_letters
from cisflow.datasets.identity import fingerprints, strand_fingerprints, unique_ids
from cisflow.datasets.negatives import Pool
from cisflow.datasets.splits import assign
from cisflow.datasets.store import SPLITS, Split, Stream
from cisflow.errors import CisflowError
from cisflow.sequence import UNKNOWN
from cisflow.tracks.contigs import on_genome, reconcile
from cisflow.tracks.fasta import other_strand
from cisflow.tracks.genome import Genome, cases, codes
from cisflow.tracks.intervals import NARROW_PEAK, read_intervals
from cisflow.tracks.linear import Axis, Intervals, covered, joined

log = logging.getLogger(__name__)

# Windows that are read together.
BLOCK = 1 << 12
# Bases between contigs, so many that no distance within one is as large.
FAR = 1 << 40
# What is known of each window: its place and the strand that is read, if a strand is ('-' is the other one). Of a
# sequence of a FASTA file, its file and number, its name, and a fingerprint of it or its reverse complement.
WINDOW = {
    "chrom": pl.String,
    "start": pl.Int64,
    "strand": pl.String,
    "file": pl.Int64,
    "record": pl.Int64,
    "name": pl.String,
    "fingerprint": pl.UInt64,
}
# The strand in a BED file, as a column of `read_intervals`.
STRAND = {"written": NARROW_PEAK["strand"]}

# Of a part of a table: labels (n, targets), and a mask of that shape or None.
Labels = Callable[[pl.DataFrame], tuple[NDArray[np.float32], NDArray[np.bool_] | None]]


class Sequences:
    """The sequences of windows, of a genome and of FASTA files.

    Parameters
    ----------
    genome
        An open genome, or None if all windows are of FASTA files.
    length
        Of the windows, in bases.
    """

    def __init__(self, genome: Genome | None, length: int):
        self.genome, self.length = genome, length
        self._paths: list[str] = []
        self._files: list[NDArray[np.uint8]] = []

    def read(self, path: str) -> pl.DataFrame:
        """Return the windows of a FASTA file; chrom and start are null where its headers do not tell them."""
        titles, letters = read_letters(path, self.length)
        self._paths.append(path)
        self._files.append(letters)
        places = [place_of(title, self.length) or (None, None) for title in titles]
        table = pl.DataFrame(
            {
                "chrom": [chrom for chrom, _ in places],
                "start": [start for _, start in places],
                "strand": None,
                "file": len(self._files) - 1,
                "record": range(len(titles)),
                "name": [(title.split(maxsplit=1) or [""])[0] for title in titles],
                "fingerprint": strand_fingerprints(codes(letters)),
            },
            schema=WINDOW,
        )
        return self._on_genome(table, path)

    def _on_genome(self, table: pl.DataFrame, path: str) -> pl.DataFrame:
        chroms = table["chrom"].drop_nulls().unique(maintain_order=True)
        if self.genome is None or not len(chroms):
            return table
        names = reconcile(chroms, self.genome.sizes, path, self.genome.path)
        if missing := [chrom for chrom in chroms if chrom not in names]:
            raise CisflowError(f"{path}: a header tells the contig '{missing[0]}', which is not in {self.genome.path}.")
        return table.with_columns(pl.col("chrom").replace_strict(names, return_dtype=pl.String))

    def letters(self, table: pl.DataFrame) -> NDArray[np.uint8]:
        """Return windows as letters (ASCII), (n, length), on their strand; what is beyond the end of a contig is N."""
        found = np.empty((len(table), self.length), np.uint8)
        file = table["file"].fill_null(-1).to_numpy()
        for number in np.unique(file):
            rows = np.flatnonzero(file == number)
            part = table[rows]
            if number >= 0:
                found[rows] = self._files[number][part["record"].to_numpy()]
            else:
                found[rows] = self.genome.letters(part["chrom"].to_numpy(), part["start"].to_numpy(), self.length)
        reverse = np.flatnonzero((table["strand"] == "-").fill_null(False).to_numpy())
        found[reverse] = other_strand(found[reverse])
        return found

    def fingerprints(self, table: pl.DataFrame, of: Callable[[NDArray], NDArray]) -> NDArray[np.uint64]:
        """Return fingerprints of windows, (n,), as a function of `datasets.identity` gives them."""
        parts = (codes(self.letters(table[at : at + BLOCK])) for at in range(0, len(table), BLOCK))
        return np.concatenate([np.empty(0, np.uint64), *map(of, parts)])

    def without_case(self, table: pl.DataFrame) -> str | None:
        """Return a file of the windows whose letters do not tell repeats, since all have one case; None if all do."""
        for number in table["file"].unique(maintain_order=True):
            masked = self.genome.is_soft_masked() if number is None else all(cases(self._files[number]))
            if not masked:
                return str(self.genome.path) if number is None else self._paths[number]
        return None

    def pool(self, table: pl.DataFrame, split: NDArray[np.str_]) -> Pool:
        """Return windows as negatives are drawn for, or from."""
        return Pool(split, lambda rows: self.letters(table[rows]))


@dataclass
class Opened:
    """A data set that is ready to be written.

    Attributes
    ----------
    splits
        Its rows.
    targets
        Names of its labels.
    account
        What came in and what was left out.
    about
        What is known of each target.
    quality
        Rows of the table of quality.
    """

    splits: Mapping[str, Stream]
    targets: list[str]
    account: Account
    about: dict[str, dict[str, str]] = field(default_factory=dict)
    quality: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def open_genome(path: str | None) -> Iterator[Genome | None]:
    """Open a genome; None stays None."""
    if path is None:
        yield None
    else:
        with Genome(path) as genome:
            yield genome


def read_strand(table: pl.DataFrame, wanted: bool, path: str, account: Account) -> pl.DataFrame:
    """Return intervals with the strand on which their sequence is read, `strand`: null for the forward one of all.

    Rows that are read on the forward strand though their file says otherwise, or nothing, have an account of their own.

    Parameters
    ----------
    table
        Intervals with `STRAND`; what it has is null afterwards, but for '+' and '-'.
    wanted
        Whether the strand of the file is read.
    path
        The file, for messages.
    account
        Where rows are counted.

    Raises
    ------
    CisflowError
        The strand is to be read, and a row has none of '+', '-' and '.', or all have '.'.
    """
    written = pl.col("written").str.strip_chars()
    wrong = table.filter(~written.is_in(["+", "-", "."]).fill_null(False))
    if wanted and len(wrong):
        row = wrong.row(0, named=True)
        what = "there is no column 6" if row["written"] is None else f"column 6, the strand, is {row['written']!r}"
        raise CisflowError(
            f"{path}, line {row['line']}: {what}, and 'strand: true' needs '+', '-' or '.' there ({len(wrong):,} such "
            "rows)."
        )
    # A sixth column of another kind, as BED files may have it, is no strand.
    known = written.is_in(["+", "-"]) if wrong.is_empty() else pl.lit(False)
    table = table.with_columns(written=pl.when(known).then(written))
    if wanted and table["written"].null_count() == len(table):
        raise CisflowError(f"{path}: no row has a strand, column 6 is '.' in all. Leave 'strand: true' out.")
    unit = "rows without strand" if wanted else "rows of the minus strand"
    forward = table["written"].is_null() if wanted else (table["written"] == "-").fill_null(False)
    if count := int(forward.sum()):
        account.enter(count, "strand", "read_as_forward", path, unit)
        account.keep(count, unit=unit)
        hint = "" if wanted else "; 'strand: true' reads them on theirs"
        log.info("%s: %s %s are read on the forward strand%s", path, f"{count:,}", unit, hint)
    return table.with_columns(strand=pl.col("written") if wanted else pl.lit(None, pl.String))


def as_windows(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table of windows with all columns of `WINDOW`; those that it lacks are null."""
    return table.with_columns(pl.lit(None, kind).alias(name) for name, kind in WINDOW.items() if name not in table)


def identify(table: pl.DataFrame, sequences: Sequences) -> pl.Series:
    """Return what tells apart windows of one place, and those without a place: a fingerprint of their sequence.

    It is 0 for a window that is alone at its place, and for those of the forward strand of a genome where there are no
    others, which are the same at any rate.
    """
    special = pl.col("file").is_not_null() | (pl.col("strand") == "-").fill_null(False)
    shared = (pl.len().over("chrom", "start") > 1) & special.any().over("chrom", "start")
    wanted = table.select(pl.col("start").is_null() | shared).to_series()
    found = np.zeros(len(table), np.uint64)
    found[wanted.to_numpy()] = sequences.fingerprints(table.filter(wanted), fingerprints)
    return pl.Series("identity", found)


def on_axis(table: pl.DataFrame, axis: Axis, length: int) -> Intervals:
    """Return windows as intervals of an axis; those of unknown place are left out."""
    placed = table.drop_nulls("start")
    return axis.intervals(placed.select("chrom", "start", end=pl.col("start") + length))


def beyond(table: pl.DataFrame, axis: Axis, length: int) -> pl.Series:
    """Return which windows are beyond the end of their contig; sequences of FASTA files have no contig."""
    out = (pl.col("start") < 0) | (pl.col("start") + length > axis.of_contig(axis.sizes))
    return table.select(out & pl.col("file").is_null()).to_series()


def padded(table: pl.DataFrame, split: NDArray[np.str_], axis: Axis, length: int) -> list[dict[str, Any]]:
    """Return rows of the table of quality: how many windows of each split are filled with N beyond their contig."""
    out = beyond(table, axis, length).to_numpy()
    counts = {name: int((out & (split == name)).sum()) for name in SPLITS}
    return [{"split": n, "target": "all", "quantity": "padded_windows", "value": c} for n, c in counts.items()]


def fit(table: pl.DataFrame, spec: Mapping[str, Any], axis: Axis, account: Account) -> pl.DataFrame:
    """Leave out windows beyond the ends of contigs and those on blacklists."""
    length = spec["length"]
    inside = ~beyond(table, axis, length)
    if spec["edges"] == "fail" and not inside.all():
        row = table.filter(~inside).row(0, named=True)
        where = f"{row['path']}, line {row['line']}: " if row.get("line") else ""
        raise CisflowError(
            f"{where}the window {row['chrom']}:{row['start']}-{row['start'] + length} is beyond the end of its contig "
            f"({(~inside).sum():,} such windows). Say 'edges: drop' or 'edges: pad'."
        )
    if spec["edges"] == "drop":
        account.drop((~inside).sum(), "edges", "beyond_contig")
        table = table.filter(inside)
    black = blacklisted(spec, axis)
    hit = np.zeros(len(table), bool)
    placed = table["start"].is_not_null().to_numpy()
    hit[placed] = covered(*on_axis(table, axis, length), black) > 0
    account.drop(int(hit.sum()), "blacklist", "overlaps")
    return table.filter(~hit)


def blacklisted(spec: Mapping[str, Any], axis: Axis) -> Intervals:
    """Return the merged intervals of a data set's blacklists; contigs that the genome lacks are passed over."""
    beyond = "cut" if spec.get("rows_beyond_contig") == "drop" else "fail"
    sizes = dict(zip(axis.names.tolist(), axis.sizes.tolist(), strict=True))
    return joined(
        axis.intervals(on_genome(read_intervals(path, tables=True), sizes, path, spec["genome"], beyond).table)
        for path in spec["blacklist"]
    )


def known(table: pl.DataFrame, sequences: Sequences, most: float, account: Account) -> pl.DataFrame:
    """Leave out windows with a larger fraction of unknown bases than `most`."""
    if most >= 1 or not len(table):
        return table
    parts = (table[at : at + BLOCK] for at in range(0, len(table), BLOCK))
    share = np.concatenate([(codes(sequences.letters(part)) == UNKNOWN).mean(axis=1) for part in parts])
    account.drop(int((share > most).sum()), "unknown", "unknown_bases")
    return table.filter(share <= most)


def assign_apart(
    splitting: Mapping[str, Any],
    table: pl.DataFrame,
    axis: Axis,
    length: int,
    sizes: Mapping[str, int] | None,
    where: str = "dataset.split",
    may_be_empty: bool = False,
) -> NDArray[np.str_]:
    """Return the split of each window ('' for none); at random, windows that overlap go together.

    Parameters
    ----------
    splitting
        Fields of `cisflow.config.splitting.Splitting`.
    table
        `WINDOW`; and `said`, the split in a column of the file, if that is asked for.
    axis
        Of the contigs of the windows.
    length
        Of a window.
    sizes
        The genome's contigs, if there is a genome.
    where
        What is split, for messages.
    may_be_empty
        As in `assign`.
    """
    if splitting["column"] is not None:
        return assign(splitting, np.full(len(table), ""), sizes, table["said"].to_list(), where, may_be_empty)
    if splitting["fractions"] is not None:
        group = groups(table, axis, length)
        empty = np.full(group.max(initial=-1) + 1, "")
        return assign(splitting, empty, sizes, where=where, may_be_empty=may_be_empty)[group]
    if table["chrom"].null_count():
        row = table.filter(pl.col("chrom").is_null()).row(0, named=True)
        raise CisflowError(
            f"{where}: the header of the sequence '{row['name']}' does not tell where it is (as chr1:100-300, with its "
            "length), so that it cannot be split by chromosome. Name the split of its set, or give fractions."
        )
    chroms = table["chrom"].unique(maintain_order=True)
    of_chrom = assign(splitting, chroms.to_numpy(), sizes, where=where, may_be_empty=may_be_empty)
    return table["chrom"].replace_strict(chroms, of_chrom.tolist()).to_numpy().astype("U5")


def groups(table: pl.DataFrame, axis: Axis, length: int) -> NDArray[np.int64]:
    """Return numbers of the runs of windows that overlap, in the order of the axis.

    After them come those without a place; a sequence and its reverse complement have one number.
    """
    placed = table["start"].is_not_null().to_numpy()
    start, _ = on_axis(table, axis, length)
    order = np.argsort(start, kind="stable")
    new = np.diff(start[order], prepend=-FAR) >= length
    group = np.empty(len(table), np.int64)
    group[np.flatnonzero(placed)[order]] = np.cumsum(new) - 1
    prints = table.filter(~pl.Series(placed))["fingerprint"].to_numpy()
    _, first, own = np.unique(prints, return_index=True, return_inverse=True)
    # In the order in which they come first.
    group[~placed] = int(new.sum()) + np.argsort(np.argsort(first))[own]
    return group


def with_ids(table: pl.DataFrame, length: int) -> pl.DataFrame:
    """Return windows with `id`: the name of a sequence, or the place, as chr1:100-150 or, on a strand, chr1:100-150(-).

    Names that are there again get a number (`identity.unique_ids`).
    """
    place = pl.format("{}:{}-{}", "chrom", "start", pl.col("start") + length)
    strand = pl.when(pl.col("strand").is_in(["+", "-"])).then(pl.format("({})", "strand")).otherwise(pl.lit(""))
    number = pl.format("sequence-{}", pl.col("record") + 1)
    name = pl.when(pl.col("name") != "").then("name")
    table = table.with_columns(id=pl.coalesce(name, place + strand, number))
    if table["name"].null_count() == len(table):
        # Places are there once.
        return table
    ids = unique_ids(table["id"])
    renamed = int((table["id"] != pl.Series(ids)).sum())
    if renamed:
        log.warning("%s rows have the name of another one; their ids end in #2 and so on", f"{renamed:,}")
    return table.with_columns(id=pl.Series(ids, dtype=pl.String))


def stream(
    table: pl.DataFrame, sequences: Sequences, labels: Labels, targets: int, masked: bool, other_strand: bool
) -> Stream:
    """Return windows as a stream of blocks.

    Parameters
    ----------
    table
        `WINDOW`, `id`, and what `labels` needs.
    sequences
        Where sequences are read.
    labels
        Of a part of the table: labels (n, targets), and a mask or None.
    targets, masked, other_strand
        As in `Stream`.
    """
    ids = table["id"]

    def blocks() -> Iterator[Split]:
        for at in range(0, len(table), BLOCK):
            part = table[at : at + BLOCK]
            y, mask = labels(part)
            x = codes(sequences.letters(part))
            yield Split(x, y, np.array([text.encode() for text in part["id"]]), mask)

    longest = int(ids.str.len_bytes().max() or 1)
    return Stream(len(table), sequences.length, targets, blocks(), other_strand, masked=masked, id_bytes=longest)
