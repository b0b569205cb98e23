"""Windows as rows of a data set: where they are, their sequences, which of them are left out, and their splits."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.datasets.account import Account
from cisflow.datasets.fasta import place_of, read_letters
from cisflow.datasets.negatives import Pool
from cisflow.datasets.splits import assign
from cisflow.datasets.store import SPLITS, Split, Stream
from cisflow.errors import CisflowError
from cisflow.sequence import UNKNOWN
from cisflow.tracks.contigs import on_genome, reconcile
from cisflow.tracks.genome import Genome, codes
from cisflow.tracks.intervals import read_intervals
from cisflow.tracks.linear import Axis, Intervals, covered, joined

# Windows that are read together.
BLOCK = 1 << 12
# Bases between contigs, so many that no distance within one is as large.
FAR = 1 << 40
# What is known of each window; `file` and `record` are those of a sequence of a FASTA file, `name` is its name.
WINDOW = {"chrom": pl.String, "start": pl.Int64, "file": pl.Int64, "record": pl.Int64, "name": pl.String}

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
        self._files: list[NDArray[np.uint8]] = []

    def read(self, path: str) -> pl.DataFrame:
        """Return the windows of a FASTA file; chrom and start are null where its headers do not tell them."""
        titles, letters = read_letters(path, self.length)
        self._files.append(letters)
        places = [place_of(title, self.length) or (None, None) for title in titles]
        table = pl.DataFrame(
            {
                "chrom": [chrom for chrom, _ in places],
                "start": [start for _, start in places],
                "file": len(self._files) - 1,
                "record": range(len(titles)),
                "name": [(title.split(maxsplit=1) or [""])[0] for title in titles],
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
        """Return windows as letters (ASCII), (n, length); what is beyond the end of a contig is N."""
        found = np.empty((len(table), self.length), np.uint8)
        file = table["file"].fill_null(-1).to_numpy()
        for number in np.unique(file):
            rows = np.flatnonzero(file == number)
            part = table[rows]
            if number >= 0:
                found[rows] = self._files[number][part["record"].to_numpy()]
            else:
                found[rows] = self.genome.letters(part["chrom"].to_numpy(), part["start"].to_numpy(), self.length)
        return found

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
    """
    if splitting["column"] is not None:
        return assign(splitting, np.full(len(table), ""), sizes, table["said"].to_list(), where)
    if splitting["fractions"] is not None:
        group = groups(table, axis, length)
        return assign(splitting, np.full(group.max(initial=-1) + 1, ""), sizes, where=where)[group]
    if table["chrom"].null_count():
        row = table.filter(pl.col("chrom").is_null()).row(0, named=True)
        raise CisflowError(
            f"{where}: the header of the sequence '{row['name']}' does not tell where it is (as chr1:100-300, with its "
            "length), so that it cannot be split by chromosome. Name the split of its set, or give fractions."
        )
    chroms = table["chrom"].unique(maintain_order=True)
    of_chrom = assign(splitting, chroms.to_numpy(), sizes, where=where)
    return table["chrom"].replace_strict(chroms, of_chrom.tolist()).to_numpy().astype("U5")


def groups(table: pl.DataFrame, axis: Axis, length: int) -> NDArray[np.int64]:
    """Return numbers of the runs of windows that overlap, in the order of the axis; others are runs of one."""
    placed = table["start"].is_not_null().to_numpy()
    start, _ = on_axis(table, axis, length)
    order = np.argsort(start, kind="stable")
    new = np.diff(start[order], prepend=-FAR) >= length
    group = np.empty(len(table), np.int64)
    group[np.flatnonzero(placed)[order]] = np.cumsum(new) - 1
    group[~placed] = int(new.sum()) + np.arange((~placed).sum())
    return group


def stream(
    table: pl.DataFrame, sequences: Sequences, labels: Labels, targets: int, masked: bool, other_strand: bool
) -> Stream:
    """Return windows as a stream of blocks.

    Parameters
    ----------
    table
        `WINDOW`, and what `labels` needs.
    sequences
        Where sequences are read.
    labels
        Of a part of the table: labels (n, targets), and a mask or None.
    targets, masked, other_strand
        As in `Stream`.
    """
    place = pl.format("{}:{}-{}", "chrom", "start", pl.col("start") + sequences.length)
    ids = table.select(pl.coalesce("name", place)).to_series()

    def blocks() -> Iterator[Split]:
        for at in range(0, len(table), BLOCK):
            part = table[at : at + BLOCK]
            y, mask = labels(part)
            x = codes(sequences.letters(part))
            yield Split(x, y, ids[at : at + BLOCK].to_numpy().astype(np.bytes_), mask)

    longest = int(ids.str.len_bytes().max() or 1)
    return Stream(len(table), sequences.length, targets, blocks(), other_strand, masked=masked, id_bytes=longest)
