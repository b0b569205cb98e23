"""Data sets of signal along a genome: sequences of regions, and labels from a track matrix over them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS, Split, Stream
from cisflow.errors import CisflowError
from cisflow.tables import INPUT_REGIONS, REGIONS, read_tsv
from cisflow.tracks.genome import Genome
from cisflow.tracks.matrix import Matrix, read_matrix

# Bytes of sequences and labels that are in memory together.
BLOCK_BYTES = 1 << 24


@dataclass
class Signal:
    """A data set of signal that is ready to be written.

    Attributes
    ----------
    splits
        Rows by split.
    targets
        The tracks.
    about
        What is known of each: unit, description, files.
    quality
        Rows of the table of quality; those about labels come with the last block of a split.
    """

    splits: dict[str, Stream] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    about: dict[str, dict[str, str]] = field(default_factory=dict)
    quality: list[dict[str, str | float]] = field(default_factory=list)


@contextmanager
def open_signal(
    spec: Mapping[str, Any], regions: str | Path, tracks: str | Path, genome: str | Path
) -> Iterator[Signal]:
    """Open the splits; sequences and labels are read when their blocks are asked for.

    A label that was not measured is 0, and its mask False. The same holds for one that is no number, as the original's
    ways of a track may make it.

    Parameters
    ----------
    spec
        A task's `dataset` of kind matrix, as the configuration has it, with paths in the places of files.
    regions
        Table that `make_regions` has made.
    tracks
        Track matrix over them.
    genome
        Indexed genome.

    Raises
    ------
    CisflowError
        Regions and matrix do not belong together, or not to the task.
    """
    table = read_tsv(regions, INPUT_REGIONS)
    with read_matrix(tracks) as matrix, Genome(genome) as fasta:
        _belong_together(spec, table, matrix, regions, tracks)
        made = Signal(targets=matrix.tracks, about={name: _about(track) for name, track in spec["tracks"].items()})
        for name, rows in _rows_of_splits(table, regions).items():
            part = _Part(name, rows, table, matrix, fasta, spec, made.quality)
            made.splits[name] = part.stream()
        yield made


def _belong_together(
    spec: Mapping[str, Any], table: pl.DataFrame, matrix: Matrix, regions: str | Path, tracks: str | Path
) -> None:
    if not matrix.regions.equals(table.select(*REGIONS)):
        raise CisflowError(f"{tracks}: it is over other regions than {regions}. Run 'gather_tracks' again.")
    # The order is the matrix's: a mapping that went through JSON has none.
    if set(matrix.tracks) != set(spec["tracks"]):
        raise CisflowError(
            f"{tracks}: it has the tracks {', '.join(matrix.tracks)}, and the data set {', '.join(spec['tracks'])}."
        )
    bins = (spec["length"] - 2 * spec["crop"]) // spec["bin"]
    if matrix.values.shape[1] != bins:
        raise CisflowError(f"{tracks}: it has {matrix.values.shape[1]} bins a region, and the data set {bins}.")


def _about(track: Mapping[str, Any]) -> dict[str, str]:
    files = [track[key] for key in ("file", "numerator", "denominator") if track[key]]
    return {
        "unit": track["unit"],
        "description": track["description"],
        "files": ",".join(Path(path).name for path in files),
    }


def _rows_of_splits(table: pl.DataFrame, path: str | Path) -> dict[str, slice]:
    splits = table["split"].to_numpy()
    found = {}
    for name in SPLITS:
        rows = np.flatnonzero(splits == name)
        if not rows.size or rows[-1] - rows[0] != rows.size - 1:
            raise CisflowError(f"{path}: the regions of the split '{name}' are not there one after another.")
        found[name] = slice(int(rows[0]), int(rows[-1]) + 1)
    return found


@dataclass
class _Part:
    """The rows of one split."""

    name: str
    rows: slice
    table: pl.DataFrame
    matrix: Matrix
    genome: Genome
    spec: Mapping[str, Any]
    quality: list[dict[str, str | float]]

    def stream(self) -> Stream:
        """Return the split's size and blocks."""
        own = self.table[self.rows]
        chrom, start = (own[key].to_numpy() for key in ("chrom", "input_start"))
        length, bins = self.spec["length"], self.matrix.values.shape[1] if self.spec["labels"] == "bins" else None
        self._note("all", "padded_bases", int(self.genome.outside(chrom, start, length).sum()))
        return Stream(
            len(own), length, len(self.matrix.tracks), self._blocks(),
            other_strand=self.name in self.spec["reverse_complement"], bins=bins, masked=True,
            id_bytes=max(map(len, _ids(own))),
        )  # fmt: skip

    def _note(self, target: str, quantity: str, value: float) -> None:
        self.quality.append({"split": self.name, "target": target, "quantity": quantity, "value": value})

    def _blocks(self) -> Iterator[Split]:
        bins, tracks = self.matrix.values.shape[1:]
        size = max(BLOCK_BYTES // (self.spec["length"] + 10 * bins * tracks), 1)
        counts: Counter[tuple[str, str]] = Counter()
        for first in range(self.rows.start, self.rows.stop, size):
            yield self._block(slice(first, min(first + size, self.rows.stop)), counts)
        for name in self.matrix.tracks:
            for quantity in ("unmeasured_bins", "bins_that_are_no_numbers"):
                self._note(name, quantity, counts[name, quantity])

    def _block(self, rows: slice, counts: Counter[tuple[str, str]]) -> Split:
        own = self.table[rows]
        x = self.genome.encode(own["chrom"].to_numpy(), own["input_start"].to_numpy(), self.spec["length"])
        values, mask = self.matrix.values[rows], self.matrix.mask[rows]
        numbers = np.isfinite(values)
        for name, unmeasured, wrong in zip(
            self.matrix.tracks, (~mask).sum((0, 1)), (mask & ~numbers).sum((0, 1)), strict=True
        ):
            counts[name, "unmeasured_bins"] += int(unmeasured)
            counts[name, "bins_that_are_no_numbers"] += int(wrong)
        mask &= numbers
        values = np.where(mask, values, np.float32(0))
        if self.spec["labels"] == "window":
            values, mask = pooled(values, mask, self.spec["pool"], self.spec["min_measured"])
        return Split(x, values, np.array(_ids(own)), mask)


def _ids(table: pl.DataFrame) -> list[bytes]:
    """Return the identity of each row: its input window."""
    texts = pl.format("{}:{}-{}", "chrom", "input_start", "input_end")
    return [text.encode() for text in table.select(texts).to_series()]


def pooled(
    values: NDArray[np.float32], mask: NDArray[np.bool_], pool: str, min_measured: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return one label a window and target, of the bins that were measured, and which were measured at all.

    Parameters
    ----------
    values, mask
        (n, bins, targets); values without a mask are 0.
    pool
        'mean', 'max', or 'sum': the mean times the number of bins, so that bins without a value do not make it smaller.
    min_measured
        Part of the bins that must be measured; one at least.

    Returns
    -------
    tuple
        Labels and mask, (n, targets); labels that are not measured are 0.
    """
    bins, count = mask.shape[1], mask.sum(1)
    enough = (count > 0) & (count >= min_measured * bins)
    if pool == "max":
        found = np.where(mask, values, -np.inf).max(1)
    else:
        found = values.sum(1, dtype=np.float64) / np.maximum(count, 1) * (bins if pool == "sum" else 1)
    return np.where(enough, found, 0).astype(np.float32), enough
