"""Windows of a genome with many labels, each from the peaks of a biosample and factor, after DeepSEA.

The genome is cut into bins. A bin has a label if the peaks of that label cover enough of it; it is a row if it has a
label. The sequence of a row is longer than its bin, which is in its middle (Zhou and Troyanskaya 2015, Online methods).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.config.grouping import Group, group_files, is_out
from cisflow.datasets.account import Account
from cisflow.datasets.candidates import DatasetRows, add_negatives, read_pool
from cisflow.datasets.rows import (
    FAR,
    Opened,
    Sequences,
    as_windows,
    assign_apart,
    fit,
    known,
    open_genome,
    padded,
    stream,
    with_ids,
)
from cisflow.datasets.store import SPLITS, Stream
from cisflow.errors import CisflowError
from cisflow.seeds import generator
from cisflow.tracks.contigs import on_genome
from cisflow.tracks.genome import Genome
from cisflow.tracks.intervals import read_intervals
from cisflow.tracks.linear import NONE, Axis, Intervals, covered_bins, joined, supported

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Marks:
    """What is known of each bin of the genome: has it a label, one that makes it a row, a base of any peak?"""

    labelled: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    touched: NDArray[np.bool_]

    @classmethod
    def none(cls, bins: int) -> "Marks":
        """Return the marks of bins of which nothing is known yet."""
        return cls(*np.zeros((3, bins), bool))


class Labels:
    """The bins of each label, kept on disk: numbers of bins, rising.

    Parameters
    ----------
    file
        An open file to write to.
    """

    def __init__(self, file):
        self._file, self._ends = file, [0]

    def append(self, bins: NDArray[np.int64]) -> None:
        """Add the bins of the next label."""
        # numpy's own tofile does not tell that a disk is full.
        self._file.write(bins.astype(np.int64).tobytes())
        self._ends.append(self._ends[-1] + len(bins))

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        self._file.flush()
        every = np.asarray(np.memmap(self._file, np.int64, "r", shape=self._ends[-1])) if self._ends[-1] else NONE[0]
        return (every[low:high] for low, high in zip(self._ends, self._ends[1:], strict=False))

    def of(self, bins: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the labels of bins with rising numbers, (n, labels)."""
        y = np.zeros((len(bins), len(self._ends) - 1), np.float32)
        for column, own in enumerate(self) if len(bins) else ():
            low, high = np.searchsorted(own, (bins[0], bins[-1] + 1))
            at = np.searchsorted(bins, own[low:high])
            there = bins[at] == own[low:high]
            y[at[there], column] = 1
        return y


@contextmanager
def open_peaks(spec: Mapping[str, Any], scratch: str | Path) -> Iterator[Opened]:
    """Open the splits of a data set of peaks; sequences are read when their blocks are asked for.

    Parameters
    ----------
    spec
        Fields of `cisflow.config.windows.Peaks`, with paths for places; the genome is an indexed one.
    scratch
        Folder for the bins of each label; nothing is left there.

    Raises
    ------
    CisflowError
        A file is not as the configuration says; with its line.
    """
    window = spec["window"]
    spec = {**spec, "length": window["length"]}
    groups, account = group_files(spec["endpoints"], spec["group_by"]), Account("windows")
    Path(scratch).mkdir(parents=True, exist_ok=True)
    with open_genome(spec["genome"]) as genome, TemporaryFile(dir=scratch) as file:
        axis = Axis(genome.sizes, window["label"], margin=window["length"])
        labels, marks, quality = _label_bins(groups, spec, genome, axis, file, account)
        bins = _rows(marks, spec, axis, account)
        sequences = Sequences(genome, window["length"])
        table = fit(_windows(bins, axis, window), spec, axis, account)
        table = known(table, sequences, spec["max_unknown"], account)
        split = assign_apart(spec["split"], table, axis, window["length"], genome.sizes)
        account.drop(int((split == "").sum()), "split", "left_out")
        table, split = table.filter(split != ""), split[split != ""]
        quality += padded(table, split, axis, window["length"])
        table, split, of_negatives = _with_negatives(table, split, marks, spec, axis, sequences, account)
        about = {group.name: group.about for group in groups}
        table = with_ids(table, window["length"])
        splits = _streams(table, split, labels, len(groups), spec, sequences)
        yield Opened(splits, list(about), account, about, quality + of_negatives)


def _label_bins(
    groups: list[Group], spec: Mapping[str, Any], genome: Genome, axis: Axis, file, account: Account
) -> tuple[Labels, Marks, list[dict[str, Any]]]:
    """Return the bins of each label, what is known of each bin of the genome, and how many peaks a label has."""
    window, labels, quality, kept = spec["window"], Labels(file), [], 0
    _tell_few_replicates(groups, spec["replicates"])
    marks = Marks.none(int((axis.offsets[-1] + axis.sizes[-1]) // window["label"]) + 1)
    for group in groups:
        sets = [_peaks(spec["endpoints"][number], spec, genome, axis, account) for number in group.files]
        least = _least(spec["replicates"], len(sets))
        if least > 1:
            _refuse_copies(group, sets, spec["endpoints"])
        merged = supported(sets, least)
        marks.touched[covered_bins(joined(sets), window["label"])[0]] = True
        bins, bases = covered_bins(merged, window["label"])
        bins = bins[bases >= window["overlap"] * window["label"] - 1e-9]
        marks.labelled[bins] = True
        marks.wanted[bins] |= not is_out(group, spec)
        labels.append(bins)
        kept += sum(len(own[0]) for own in sets)
    account.keep(kept, unit="peaks")
    return labels, marks, quality


def _least(replicates: str | Mapping[str, int], files: int) -> int:
    if isinstance(replicates, Mapping):
        return min(replicates["at_least"], files)
    return files if replicates == "all" else 1


def _tell_few_replicates(groups: list[Group], replicates: str | Mapping[str, int]) -> None:
    """Log which labels have fewer files than must agree."""
    needed = replicates["at_least"] if isinstance(replicates, Mapping) else 2 if replicates == "all" else 1
    few = [group.name for group in groups if len(group.files) < needed]
    if few:
        log.warning(
            "replicates: %s of %s labels have fewer than %s files (%s%s); their peaks are those of all their files",
            f"{len(few):,}", f"{len(groups):,}", needed, ", ".join(few[:5]), ", ..." * (len(few) > 5),
        )  # fmt: skip


def _refuse_copies(group: Group, sets: list[Intervals], endpoints: Sequence[Mapping[str, Any]]) -> None:
    """Refuse two files of a label that have the same peaks, row by row: one is a copy of the other."""
    first: dict[bytes, int] = {}
    for number, (start, end) in zip(group.files, sets, strict=True):
        other = first.setdefault(start.tobytes() + end.tobytes(), number)
        if other != number:
            raise CisflowError(
                f"dataset.endpoints: {endpoints[other]['file']} and {endpoints[number]['file']} of the label "
                f"'{group.name}' have the same peaks in the same order. A copy is no replicate: leave one out."
            )


def _peaks(
    endpoint: Mapping[str, Any], spec: Mapping[str, Any], genome: Genome, axis: Axis, account: Account
) -> Intervals:
    """Return the peaks of a file on the axis, extended and clipped at the ends of contigs."""
    path = endpoint["file"]
    table = read_intervals(path)
    account.enter(len(table), "read", "", path, "peaks")
    beyond = spec.get("rows_beyond_contig", "fail")
    table, elsewhere, wrong = on_genome(table, genome.sizes, path, genome.path, beyond)
    account.drop(elsewhere, "contig", "not_in_genome", path, "peaks")
    account.drop(wrong, "contig", "row_beyond_contig", path, "peaks")
    if by := spec["slop"].get(endpoint["factor"]):
        size = pl.col("chrom").replace_strict(genome.sizes, return_dtype=pl.Int64)
        wide = table.with_columns(start=pl.col("start") - by, end=pl.col("end") + by)
        clipped = wide.select(((pl.col("start") < 0) | (pl.col("end") > size)).sum()).item()
        account.enter(clipped, "slop", "clipped_at_contig", path, "clipped peaks")
        account.keep(clipped, unit="clipped peaks")
        table = wide.with_columns(start=pl.col("start").clip(0), end=pl.min_horizontal("end", size))
    return axis.intervals(table)


def _rows(marks: Marks, spec: Mapping[str, Any], axis: Axis, account: Account) -> NDArray[np.int64]:
    """Return the bins that are rows, rising."""
    regions, rng = spec["regions"], generator("regions", spec["regions"]["seed"])
    whole = _whole_bins(axis, spec["window"]["label"], len(marks.labelled))
    account.enter(int(marks.labelled.sum()), "labelled")
    account.drop(int((marks.labelled & ~whole).sum()), "bins", "cut_by_contig_end")
    bins, only = np.flatnonzero(marks.wanted & whole), np.flatnonzero(marks.labelled & ~marks.wanted & whole)
    if regions["use"] == "balanced":
        order = rng.permutation(only)
        bins, only = np.sort(np.append(bins, order[: len(bins)])), order[len(bins) :]
    account.drop(len(only), "regions", "only_without")
    if not len(bins):
        raise CisflowError(
            "dataset.regions: no bin of the genome has a label. Look at endpoints, replicates and overlap."
        )
    if regions["background"]:
        free = _background(marks, axis, spec["window"]["label"], whole)
        more = rng.permutation(free)[: round(regions["background"] * len(bins))]
        account.enter(len(more), "background", "without_label")
        bins = np.sort(np.append(bins, more))
    return bins


def _whole_bins(axis: Axis, step: int, size: int) -> NDArray[np.bool_]:
    """Return which bins are in a contig from end to end."""
    change = np.zeros(size + 1, np.int64)
    np.add.at(change, axis.offsets // step, 1)
    np.add.at(change, axis.offsets // step + axis.sizes // step, -1)
    return np.cumsum(change)[:size] > 0


def _background(marks: Marks, axis: Axis, step: int, whole: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the bins without any label, of the contigs that have some."""
    free, labelled = np.flatnonzero(~marks.labelled & whole), np.flatnonzero(marks.labelled)
    return free[np.isin(axis.contig(free * step), np.unique(axis.contig(labelled * step)))]


def _windows(bins: NDArray[np.int64], axis: Axis, window: Mapping[str, Any]) -> pl.DataFrame:
    """Return the windows around bins."""
    at = bins * window["label"]
    contig = axis.contig(at)
    start = at - axis.offsets[contig] - (window["length"] - window["label"]) // 2
    names = pl.Series(axis.names.tolist(), dtype=pl.String)
    return as_windows(pl.DataFrame({"chrom": names[contig], "start": start, "bin": bins}))


def _with_negatives(
    table: pl.DataFrame,
    split: NDArray[np.str_],
    marks: Marks,
    spec: Mapping[str, Any],
    axis: Axis,
    sequences: Sequences,
    account: Account,
) -> tuple[pl.DataFrame, NDArray[np.str_], list[dict[str, Any]]]:
    """Return the rows, and after them negatives, which overlap no bin that a peak touches."""
    if not spec["negatives"]:
        return table, split, []
    far, step = Axis(sequences.genome.sizes, margin=FAR), spec["window"]["label"]
    touched = np.flatnonzero(marks.touched) * step
    start = touched + (far.offsets - axis.offsets)[axis.contig(touched)]
    positive = marks.labelled[table["bin"].to_numpy()]
    rows, pool = DatasetRows(table, split, positive), read_pool(spec, sequences, account)
    drawn, of_drawn, quality = add_negatives(spec, sequences, far, joined([(start, start + step)]), rows, pool, account)
    table = pl.concat([table, drawn.with_columns(bin=pl.lit(-1, pl.Int64)).select(table.columns)])
    return table, np.concatenate([split, of_drawn]), quality


def _streams(
    table: pl.DataFrame,
    split: NDArray[np.str_],
    labels: Labels,
    count: int,
    spec: Mapping[str, Any],
    sequences: Sequences,
) -> dict[str, Stream]:
    """Return the splits; rows are in the order of the genome, negatives after them."""

    def of(part: pl.DataFrame) -> tuple[NDArray[np.float32], None]:
        bins = part["bin"].to_numpy()
        y = np.zeros((len(bins), count), np.float32)
        y[bins >= 0] = labels.of(bins[bins >= 0])
        return y, None

    return {
        name: stream(table.filter(split == name), sequences, of, count, False, name in spec["reverse_complement"])
        for name in SPLITS
    }
