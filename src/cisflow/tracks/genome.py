"""Genomes: FASTA files of whole chromosomes, compressed and indexed once, then read window by window."""

from collections import Counter
from pathlib import Path
from types import TracebackType

import numpy as np
import pysam
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import full_message, partial_folder, publish
from cisflow.sequence import UNKNOWN
from cisflow.tracks.fasta import Block, read_blocks
from cisflow.tracks.genome_index import wrong_indices

BLOCK = 1 << 22
# Letters of the IUPAC code for more than one base; they are unknown bases here.
AMBIGUOUS = b"RYSWKMBDHVryswkmbdhv"
_KNOWN = b"ACGTNacgtn"
LETTERS = _KNOWN + AMBIGUOUS
_CODE = np.full(256, UNKNOWN, np.uint8)
for _index, _letter in enumerate("ACGT"):
    _CODE[[ord(_letter), ord(_letter.lower())]] = _index
# A stretch is read as one when windows cover so much of it; reading costs a hundred times what cutting costs.
DENSE = 0.1


def index_genome(fasta: str | Path, out: str | Path) -> dict[str, int]:
    """Write a FASTA file again, compressed in blocks and indexed, so that any stretch is read without the rest.

    Parameters
    ----------
    fasta
        FASTA file, gzipped or not.
    out
        Where it goes, a name that ends in .fa.gz; `<out>.fai` and `<out>.gzi` are its indices.

    Returns
    -------
    dict
        How often each letter other than A, C, G, T and N is in it; they are unknown bases to every reader.

    Raises
    ------
    CisflowError
        The file is missing, not whole, or not a FASTA file of DNA, or a contig is there twice.
    """
    fasta, out = Path(fasta), Path(out)
    with partial_folder(out) as folder:
        partial = folder / out.name
        try:
            letters = _compress(fasta, partial)
        except OSError as error:
            if error.errno is not None:
                raise
            # pysam does not tell why it could not write.
            raise CisflowError(full_message(out)) from error
        try:
            pysam.faidx(str(partial))
        except pysam.SamtoolsError:
            raise CisflowError(
                f"{fasta}: it cannot be indexed. All lines of a contig but its last must have one length; htslib's own "
                "words, with the line, are above."
            ) from None
        for ending in ("", ".fai", ".gzi"):
            publish(Path(f"{partial}{ending}"), Path(f"{out}{ending}"))
    return letters


def _compress(fasta: Path, out: Path) -> dict[str, int]:
    counts: Counter[str] = Counter()
    names: set[bytes] = set()
    with pysam.BGZFile(str(out), "wb") as writer:
        for block in read_blocks(fasta):
            _check(block, fasta, counts, names)
            writer.write(block.text)
    return dict(sorted(counts.items()))


def _check(block: Block, fasta: Path, counts: Counter[str], names: set[bytes]) -> None:
    """Look at a block: headers have new names, and all letters are of the DNA alphabet."""
    bases = []
    for header, lines in block.parts():
        bases.append(lines)
        if header is not None:
            names.add(_new_name(header, fasta, names))
    others = b"".join(bases).translate(None, _KNOWN + b"\n")
    counts.update(others.decode("latin-1"))
    wrong = others.translate(None, AMBIGUOUS)
    if wrong:
        raise CisflowError(
            f"{fasta}: the letter {chr(wrong[0])!r} is none of DNA's ({len(wrong)} such letters near it). "
            "Is it a FASTA file of a genome?"
        )


def _new_name(header: bytes, fasta: Path, names: set[bytes]) -> bytes:
    name, *_ = header.split(maxsplit=1) or [b""]
    if not name:
        raise CisflowError(f"{fasta}: a header has no name.")
    if name in names:
        raise CisflowError(f"{fasta}: the contig '{name.decode('latin-1')}' is there twice.")
    if not name.isascii():
        raise CisflowError(f"{fasta}: the name of the contig {name!r} has letters that are not ASCII.")
    return name


class Genome:
    """An indexed genome (see `index_genome`), a context manager.

    Attributes
    ----------
    path
        The file.
    sizes
        Contig to its length in bases, in the order of the file.

    Raises
    ------
    CisflowError
        The file or an index is missing, or an index is not of this file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        missing = [name for ending in ("", ".fai", ".gzi") if not Path(name := f"{path}{ending}").is_file()]
        if missing:
            raise CisflowError(f"{', '.join(missing)}: there is no such file. The rule 'index_genome' makes it.")
        if wrong := wrong_indices(self.path):
            raise CisflowError(
                f"{wrong}. Make both indices again: remove them, and run samtools faidx {path}, or the rule "
                "'index_genome'."
            )
        self._file = pysam.FastaFile(str(path))
        self.sizes = dict(zip(self._file.references, self._file.lengths, strict=True))
        self._numbers = {name: number for number, name in enumerate(self.sizes)}

    def __enter__(self) -> "Genome":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def letters(self, chrom: NDArray[np.str_], start: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Return windows as letters (ASCII), shape (n, length), in the case of the file.

        What of a window is beyond an end of its contig is N; the caller counts it (`outside`).

        Parameters
        ----------
        chrom, start
            Contig and first position (0-based) of each window, (n,).
        length
            Their length in bases.

        Raises
        ------
        CisflowError
            A part of the file cannot be read, or has a letter that is none of DNA's.
        """
        found = np.full((len(start), length), ord("N"), np.uint8)
        number = np.array([self._numbers[name] for name in chrom.tolist()], np.int64)
        # In the order of the file, whose blocks are then unpacked once.
        order = np.lexsort((start, number))
        first = np.flatnonzero(np.diff(number[order], prepend=-1))
        for rows in np.split(order, first[1:]) if len(order) else ():
            for group in _groups(start[rows], length):
                self._cut(str(chrom[rows[0]]), start, rows[group], found)
        return found

    def _cut(self, contig: str, start: NDArray[np.int64], rows: NDArray[np.int64], found: NDArray[np.uint8]) -> None:
        """Put the windows of `rows`, sorted by start, into `found`, from one stretch that is read."""
        length, size = found.shape[1], self.sizes[contig]
        low, high = max(int(start[rows[0]]), 0), min(int(start[rows[-1]]) + length, size)
        if high <= low:
            return
        stretch = self._read(contig, low, high)
        for row, first in zip(rows.tolist(), start[rows].tolist(), strict=True):
            left, right = max(first, low), min(first + length, high)
            if right > left:
                found[row, left - first : right - first] = stretch[left - low : right - low]

    def _read(self, contig: str, low: int, high: int) -> NDArray[np.uint8]:
        text = self._file.fetch(contig, low, high).encode("latin-1")
        if len(text) < high - low:
            raise CisflowError(f"{self.path}: {contig}:{low}-{high} cannot be read whole; make the file again.")
        if wrong := text.translate(None, LETTERS):
            # Of an index that others have made; htslib takes all that is no line end for bases.
            place = low + text.index(wrong[:1])
            raise CisflowError(
                f"{self.path}: the letter {chr(wrong[0])!r} at {contig}:{place + 1:,} is none of DNA's. Is the file "
                "whole, and does each header begin a line?"
            )
        return np.frombuffer(text, np.uint8)

    def is_soft_masked(self) -> bool:
        """Return whether some bases are lower-case letters, and others not; it is read until both are found."""
        lower = upper = False
        for contig, size in self.sizes.items():
            for low in range(0, size, BLOCK):
                found = cases(self._read(contig, low, min(low + BLOCK, size)))
                lower, upper = lower or found[0], upper or found[1]
                if lower and upper:
                    return True
        return False

    def encode(self, chrom: NDArray[np.str_], start: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Return windows as base indices, shape (n, length); parameters as in `letters`."""
        return codes(self.letters(chrom, start, length))

    def outside(self, chrom: NDArray[np.str_], start: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return how many bases of each window are beyond the ends of its contig, (n,)."""
        sizes = np.array([self.sizes[str(name)] for name in chrom], np.int64)
        inside = np.minimum(start + length, sizes) - np.maximum(start, 0)
        return length - np.maximum(inside, 0)


def _groups(start: NDArray[np.int64], length: int) -> list[slice]:
    """Return runs of windows, sorted by start, of which each is read as one stretch."""
    # A gap between two windows is read over when it is short against them, and a stretch is no longer than a block.
    bounds, first = [0], 0
    for row in np.flatnonzero(np.diff(start, prepend=start[:1]) > length).tolist():
        if start[row] - start[row - 1] > length / DENSE or start[row] - start[first] > BLOCK:
            bounds.append(row)
            first = row
    return [slice(a, b) for a, b in zip(bounds, [*bounds[1:], len(start)], strict=True)]


def codes(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return letters (ASCII) as base indices of the same shape; all but A, C, G and T are unknown."""
    return _CODE[letters]


def cases(letters: NDArray[np.uint8]) -> tuple[bool, bool]:
    """Return whether there are lower-case letters, and whether there are upper-case ones other than N."""
    lower = letters >= ord("a")
    return bool(lower.any()), bool((~lower & (letters != ord("N"))).any())


def soft_masked(letters: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the fraction of lower-case letters (repeats, in UCSC's files) of letters of shape (..., length)."""
    return (letters >= ord("a")).mean(-1)
