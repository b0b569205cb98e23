"""Coverage of BAM files, read by pysam."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pysam
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tracks.bam_index import check_index, index_of
from cisflow.tracks.beginnings import BAM as BEGINNING
from cisflow.tracks.htslib import quiet
from cisflow.tracks.signal import Assembly, Signal, check_there
from cisflow.tracks.spans import Spans, covering

# What a BAM file ends with: an empty block (SAM specification, 4.1.2).
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def open_bam(path: Path) -> pysam.AlignmentFile:
    """Open a BAM file that has an index.

    Raises
    ------
    CisflowError
        It is missing, truncated, or no BAM file, or has no index, or one that is damaged or of another file.
    """
    check_there(path)
    index = index_of(path)
    if _begins_as_bam(path) and index:
        check_index(path, index)
    try:
        with quiet():
            file = pysam.AlignmentFile(str(path), "rb", index_filename=index and str(index))
    except (OSError, ValueError, NotImplementedError) as error:
        raise CisflowError(f"{path}: it is not a BAM file ({error}).") from None
    if not file.has_index():
        file.close()
        raise CisflowError(f"{path}: it has no index ({path.name}.bai beside it). Make it: samtools index {path}")
    return file


def _begins_as_bam(path: Path) -> bool:
    with path.open("rb") as file:
        begins = file.read(len(BEGINNING)) == BEGINNING
        file.seek(-min(len(END), path.stat().st_size), 2)
        end = file.read()
    if begins and end != END:
        raise CisflowError(f"{path}: the BAM file is truncated (its last block is missing). Fetch it again.")
    return begins


class Bam(Signal):
    """How many reads, ends of reads or fragments of a BAM file cover each base; a base that none covers has no data.

    Parameters
    ----------
    path, assembly
        The file, which has an index, and the genome that it must be of.
    settings
        Which reads count and which bases of them (`cisflow.config.tracks.Reads`, as a dictionary).

    Raises
    ------
    CisflowError
        It is missing, truncated, without index, or of another genome.
    """

    def __init__(self, path: Path, assembly: Assembly, settings: Mapping[str, Any]):
        super().__init__(path, assembly)
        self._file = open_bam(path)
        self.share(dict(zip(self._file.references, self._file.lengths, strict=True)))
        self._set = dict(settings)
        self.counts: Counter[str] = Counter()

    def close(self) -> None:
        """Close the file, and note how many reads counted; one of two windows counts twice."""
        # Of a damaged file it says again, less clearly, what reading has said.
        with suppress(OSError):
            self._file.close()
        self.notes += [f"{self.path}: {count:,} reads {what}" for what, count in sorted(self.counts.items())]
        self.counts.clear()

    def _read(
        self, chrom: str, start: int, end: int, out: NDArray[np.float64], summary: str, uncovered: float | None
    ) -> None:
        out[:] = self._within(chrom, start, end).binned(end - start, len(out), summary, uncovered)

    def _values(self, chrom: str, start: int, end: int) -> NDArray[np.float64]:
        return self._within(chrom, start, end).values(end - start)

    def _within(self, chrom: str, start: int, end: int) -> Spans:
        ends = np.array(list(self._intervals(chrom, start, end)), np.int64).reshape(-1, 2)
        ends = ends[(ends[:, 0] < end) & (ends[:, 1] > start)]
        return covering(ends[:, 0], ends[:, 1]).within(start, end)

    def _intervals(self, chrom: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the intervals that reads near a window stand for."""
        size, count = self.assembly.sizes[chrom], self._set["count"]
        reach = max(map(abs, self._set["shift"])) + (
            self._set["max_fragment"] if count == "fragments" else self._set["extend"] or 0
        )
        of_read = {"reads": self._aligned, "ends": self._first, "fragments": self._fragment}[count]
        try:
            for read in self._file.fetch(self.names[chrom], max(start - reach, 0), min(end + reach, size)):
                if self._counts(read):
                    shift = self._set["shift"][read.is_reverse]
                    for low, high in of_read(read):
                        yield low + shift, high + shift
        except (OSError, ValueError) as error:
            raise CisflowError(
                f"{self.path}: {chrom}:{start}-{end} cannot be read ({error}). The file or its index is damaged."
            ) from None

    def _counts(self, read: pysam.AlignedSegment) -> bool:
        strand = self._set["strand"]
        why = "counted"
        if read.flag & self._set["exclude_flags"] or read.is_unmapped:
            why = "left out by their flags"
        elif self._set["count"] != "fragments" and not read.cigartuples:
            # Its first base may be known, but not its last one.
            why = "left out, without a CIGAR string"
        elif read.mapping_quality < self._set["min_mapping_quality"]:
            why = "left out by their mapping quality"
        elif strand != "both" and read.is_reverse != (strand == "minus"):
            why = "of the other strand"
        elif self._set["count"] == "fragments" and not (read.is_proper_pair and read.template_length > 0):
            # The mate with the positive length, the left one, stands for both.
            why = "that are no left mates of proper pairs"
        elif self._set["count"] == "fragments" and read.template_length > self._set["max_fragment"]:
            why = "of fragments that are too long"
        self.counts[why] += 1
        return why == "counted"

    def _aligned(self, read: pysam.AlignedSegment) -> list[tuple[int, int]]:
        extend = self._set["extend"]
        if extend is None:
            return read.get_blocks()
        if read.is_reverse:
            return [(read.reference_end - extend, read.reference_end)]
        return [(read.reference_start, read.reference_start + extend)]

    @staticmethod
    def _first(read: pysam.AlignedSegment) -> list[tuple[int, int]]:
        base = read.reference_end - 1 if read.is_reverse else read.reference_start
        return [(base, base + 1)]

    @staticmethod
    def _fragment(read: pysam.AlignedSegment) -> list[tuple[int, int]]:
        return [(read.reference_start, read.reference_start + read.template_length)]
