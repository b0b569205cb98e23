"""The index of a BAM file (.bai or .csi): is it whole, and is it of this very file?

htslib believes an index: of a damaged one it crashes, reads for hours or misses reads, and with one of an earlier
version of the file it finds no reads where there are some. A .bai file has no checksum, and times of files say little,
since copies and clones change them. So the places in an index are held against the file. The formats are those of the
SAM specification, sections 4 and 5 (https://samtools.github.io/hts-specs/SAMv1.pdf), and of CSIv1.pdf beside it.
"""

import gzip
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from Bio.bgzf import BgzfReader

from cisflow.errors import CisflowError

# Bins of a .bai file have numbers below this one, whose bin has counts of reads.
BAI_BINS = 37450
# Contigs whose first read is looked up; each costs a block of the BAM file.
LOOKED_UP = 50
UNPLACED = -1
# What Biopython raises for a block whose data or checksum is wrong; for a place without block, it is ValueError.
DAMAGED_BLOCK = (zlib.error, RuntimeError)


@dataclass(frozen=True)
class Index:
    """Where an index says that the reads are; places are virtual offsets of blocks.

    Attributes
    ----------
    contigs
        Number of contigs.
    first
        Number of a contig with reads to the place of its first read.
    end
        The place behind the last read on a contig; 0 if there is none.
    """

    contigs: int
    first: dict[int, int]
    end: int


def index_of(bam: Path) -> Path | None:
    """Return the index of a BAM file that is used, or None if there is none."""
    names = (Path(f"{bam}.bai"), bam.with_suffix(".bai"), Path(f"{bam}.csi"), bam.with_suffix(".csi"))
    return next((name for name in names if name.is_file()), None)


def check_index(bam: Path, index: Path) -> None:
    """Refuse an index that is damaged or of another file, such as an earlier version of this one.

    Raises
    ------
    CisflowError
        It is so.
    """
    if wrong := wrong_index(bam, index):
        raise CisflowError(f"{index}: {wrong}. Make it again: samtools index {bam}")


def wrong_index(bam: Path, index: Path) -> str | None:
    """Return what is wrong with the index of a BAM file, or None, also where the file itself cannot be read."""
    try:
        found = read_index(index, bam.stat().st_size << 16)
    except (struct.error, ValueError, EOFError, OSError, zlib.error):
        return "the index is damaged or of another file"
    with bam.open("rb") as file:
        try:
            reads = BgzfReader(fileobj=file, mode="rb")
            names = _contigs(reads)
        except (*DAMAGED_BLOCK, ValueError, struct.error):
            return None
        try:
            differs = _differs(reads, names, found)
        except DAMAGED_BLOCK:
            return None
        except (ValueError, struct.error):
            differs = "its places are not those of reads"
    return differs and f"the index is of another file, or of an earlier version of {bam.name}: {differs}"


def read_index(path: Path, end: int) -> Index:
    """Read an index.

    Parameters
    ----------
    path
        The file, .bai or .csi.
    end
        Places are before this one.

    Raises
    ------
    ValueError, struct.error, OSError, EOFError, zlib.error
        It is no whole index, or a place in it is not before `end`.
    """
    data = path.read_bytes()
    if data[:4] == b"BAI\1":
        return _Reader(data, 4, BAI_BINS, "<Ii", windows=True).index(end)
    data = gzip.decompress(data)
    magic, _, depth, extra = struct.unpack_from("<4siii", data)
    if magic != b"CSI\1" or not 0 <= depth < 10 or extra < 0:
        raise ValueError(magic)
    # Each level has eight times the bins of the one above it.
    return _Reader(data, 16 + extra, (8 ** (depth + 1) - 1) // 7 + 1, "<IQi", windows=False).index(end)


@dataclass
class _Reader:
    """Reads the contigs of an index.

    Attributes
    ----------
    data, at
        The bytes, and where the number of contigs is.
    counts
        The number of the bin that has counts of reads; those of places are smaller.
    bin
        Format of a bin's header.
    windows
        Whether a list of places of windows follows the bins of a contig.
    """

    data: bytes
    at: int
    counts: int
    bin: str
    windows: bool

    def index(self, end: int) -> Index:
        contigs = self._count()
        first, last = {}, 0
        for contig in range(contigs):
            places = self._bins(end)
            if len(places):
                first[contig], last = int(places[0::2].min()), max(last, int(places[1::2].max()))
            if self.windows and (self._places(self._count()) > end).any():
                raise ValueError
        # The number of reads without a place may follow.
        if self.at not in (len(self.data), len(self.data) - 8):
            raise ValueError
        return Index(contigs, first, last)

    def _bins(self, end: int) -> np.ndarray:
        """Return beginnings and ends of the stretches of reads in all bins of a contig, one after the other."""
        found, seen = [np.empty(0, np.uint64)], set()
        for _ in range(self._count()):
            number, *_, stretches = struct.unpack_from(self.bin, self.data, self.at)
            self.at += struct.calcsize(self.bin)
            if number > self.counts or number in seen or stretches < 0:
                raise ValueError
            seen.add(number)
            places = self._places(2 * stretches)
            if number < self.counts:
                found.append(places)
        every = np.concatenate(found)
        if (every > end).any() or (every[0::2] > every[1::2]).any():
            raise ValueError
        return every

    def _count(self) -> int:
        (count,) = struct.unpack_from("<i", self.data, self.at)
        self.at += 4
        if count < 0:
            raise ValueError
        return count

    def _places(self, count: int) -> np.ndarray:
        places = np.frombuffer(self.data, "<u8", count, self.at)
        self.at += 8 * count
        return places


def _differs(bam: BgzfReader, names: Sequence[str], index: Index) -> str | None:
    """Return in what a BAM file, which is read up to its header, is not as its index says, or None."""
    if len(names) != index.contigs:
        return f"it has {index.contigs:,} contigs, and the file {len(names):,}"
    beginning = bam.tell()
    if not index.first:
        contig = _contig_at(bam, beginning)
        return None if contig == UNPLACED else f"it has no read, and the file has some on {names[contig]}"
    bam.seek(min(index.first.values()))
    if bam.tell() != beginning:
        return "its first read is not the first of the file"
    known = sorted(index.first)
    for number in np.unique(np.linspace(0, len(known) - 1, LOOKED_UP).astype(int)).tolist():
        if _contig_at(bam, index.first[known[number]]) != known[number]:
            return f"the reads on {names[known[number]]} are elsewhere"
    contig = _contig_at(bam, index.end)
    return None if contig == UNPLACED else f"the file has further reads on {names[contig]}"


def _contigs(bam: BgzfReader) -> list[str]:
    """Return the names of the contigs in a file's header, and go to the first read."""
    magic, length = struct.unpack("<4si", bam.read(8))
    if magic != b"BAM\1":
        raise ValueError
    bam.read(length)
    (count,) = struct.unpack("<i", bam.read(4))
    names = []
    for _ in range(count):
        (length,) = struct.unpack("<i", bam.read(4))
        names.append(bam.read(length + 4)[: length - 1].decode("latin-1"))
    return names


def _contig_at(bam: BgzfReader, place: int) -> int:
    """Return the number of the contig of the read at a place; `UNPLACED` for one that has none, and at the end."""
    bam.seek(place)
    read = bam.read(8)
    return struct.unpack("<4xi", read)[0] if read else UNPLACED
