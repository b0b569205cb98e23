"""The windows that a model reads: those of a task's regions, or of a BED file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tables import INPUT_REGIONS, REGIONS, read_tsv
from cisflow.tracks.contigs import reconcile, verdict_on_rows
from cisflow.tracks.intervals import read_intervals

EDGES = ("pad", "fail")


class Geometry(Protocol):
    """What a model says of its windows: bases of a sequence, of a bin, and of what is cropped at each end."""

    length: int
    bin: int
    crop: int


@dataclass(frozen=True)
class Windows:
    """Windows of one length on a genome.

    Attributes
    ----------
    table
        chrom, start, end (of what the bins cover: without the crop), split.
    begin
        First base of the sequence of each, which may be before the contig, (n,).
    padded
        How many of its bases are beyond the ends of its contig, (n,).
    length
        Of a sequence, in bases.
    """

    table: pl.DataFrame
    begin: NDArray[np.int64]
    padded: NDArray[np.int64]
    length: int

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice) -> "Windows":
        return Windows(self.table[rows], self.begin[rows], self.padded[rows], self.length)

    @property
    def chrom(self) -> NDArray[np.str_]:
        """Contigs, (n,)."""
        return self.table["chrom"].to_numpy().astype(np.str_)


def windows_of_task(path: str | Path, model: Geometry, sizes: Mapping[str, int], edges: str = "pad") -> Windows:
    """Read the windows of a task.

    Parameters
    ----------
    path
        Table of regions that `make_regions` has made.
    model
        What reads the windows.
    sizes
        The genome's contigs.
    edges
        'pad': what is beyond a contig is N; 'fail': such a window is an error.

    Raises
    ------
    CisflowError
        There is no region, a window is not of the model's length, or its contig is not in the genome.
    """
    table = read_tsv(path, INPUT_REGIONS)
    if not len(table):
        raise CisflowError(f"{path}: there is no region in it.")
    lengths = (pl.col("input_end") - pl.col("input_start"), pl.col("end") - pl.col("start"))
    wanted = (model.length, model.length - 2 * model.crop)
    wrong = table.with_row_index("line", 2).filter((lengths[0] != wanted[0]) | (lengths[1] != wanted[1]))
    if len(wrong):
        row = wrong.row(0, named=True)
        found = (row["input_end"] - row["input_start"], row["end"] - row["start"])
        raise CisflowError(
            f"{path}, line {row['line']}: the window has {found[0]:,} bases and labels for {found[1]:,}, and the model "
            f"reads {wanted[0]:,} and predicts {wanted[1]:,} ({len(wrong):,} such windows). Give the task of the "
            "labels the model's length and crop, or the model its params."
        )
    _known(table.with_row_index("line", 2), sizes, sizes, path)
    return _windows(table.select(*REGIONS), model, sizes, edges, path)


def windows_of_bed(
    path: str | Path, model: Geometry, sizes: Mapping[str, int], genome: str | Path, exact: bool = False,
    edges: str = "pad",
) -> tuple[Windows, int]:  # fmt: skip
    """Read windows from a BED file: those of the model's length around the middle of each row, as Basenji takes them.

    Parameters
    ----------
    path
        The BED file.
    model, sizes, edges
        As in `windows_of_task`.
    genome
        The genome's name, for messages.
    exact
        Refuse rows of another length than the model's.

    Returns
    -------
    tuple
        The windows, in the order of the file and without splits, and how many rows had another length.

    Raises
    ------
    CisflowError
        A row is wrong, is not on a contig of the genome, or has another length and must not.
    """
    table = read_intervals(path)
    names = reconcile(table["chrom"].unique(maintain_order=True), sizes, path, genome)
    _known(table, names, sizes, path)
    table = table.with_columns(pl.col("chrom").replace_strict(names), middle=(pl.col("start") + pl.col("end")) // 2)
    size = pl.col("chrom").replace_strict(dict(sizes), return_dtype=pl.Int64)
    if len(outside := table.filter(pl.col("middle") >= size)):
        row = outside.row(0, named=True)
        raise CisflowError(
            f"{path}, line {row['line']}: {row['chrom']}:{row['start']}-{row['end']} has its middle beyond the contig, "
            f"which has {sizes[row['chrom']]:,} bases in {genome}. {verdict_on_rows(len(outside), len(table))}"
        )
    others = table.filter(pl.col("end") - pl.col("start") != model.length)
    if exact and len(others):
        row = others.row(0, named=True)
        raise CisflowError(
            f"{path}, line {row['line']}: the region has {row['end'] - row['start']:,} bases, and the model reads "
            f"{model.length:,} ({len(others):,} such rows). Without --exact, windows are laid around their middle."
        )
    begin = pl.col("middle") - model.length // 2
    table = table.select("chrom", start=begin + model.crop, end=begin + model.length - model.crop, split=pl.lit(""))
    return _windows(table, model, sizes, edges, path), len(others)


def _known(table: pl.DataFrame, names: Mapping[str, object], sizes: Mapping[str, int], path: str | Path) -> None:
    unknown = table.filter(~pl.col("chrom").is_in(list(names)))
    if len(unknown):
        line, name = unknown.row(0, named=True)["line"], unknown["chrom"][0]
        raise CisflowError(
            f"{path}, line {line}: the genome has no contig '{name}', as it has {', '.join(list(sizes)[:3])} "
            f"({len(unknown):,} such rows). Leave them out, or take the genome that they are of."
        )


def _windows(table: pl.DataFrame, model: Geometry, sizes: Mapping[str, int], edges: str, path: str | Path) -> Windows:
    begin = table["start"].to_numpy() - model.crop
    size = table["chrom"].replace_strict(dict(sizes), return_dtype=pl.Int64).to_numpy()
    padded = model.length - np.maximum(np.minimum(begin + model.length, size) - np.maximum(begin, 0), 0)
    if edges == "fail" and padded.any():
        row = int(np.flatnonzero(padded)[0])
        window = f"{table['chrom'][row]}:{begin[row]}-{begin[row] + model.length}"
        raise CisflowError(
            f"{path}: the window {window} reaches beyond its contig, which has {size[row]:,} bases "
            f"({np.count_nonzero(padded):,} such windows). Leave them out, or let them be filled with N (edges: pad)."
        )
    return Windows(table, begin, padded, model.length)
