"""A region of a chromosome from a FASTA file without an index."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.sequence import encode
from cisflow.tracks.fasta import read_blocks


def read_region(path: str | Path, chrom: str, start: int, end: int) -> NDArray[np.uint8]:
    """Read a region of a FASTA file of any size, block by block up to its end.

    Parameters
    ----------
    path
        FASTA file, gzipped or not. No index is needed.
    chrom
        First word of the sequence's header.
    start, end
        Positions, 0-based and half-open.

    Returns
    -------
    NDArray
        Base indices (end - start,).

    Raises
    ------
    CisflowError
        The file is not a whole FASTA file (`tracks.fasta`), as far as it is read, has no such chromosome, or the region
        goes beyond its end.
    """
    parts, length = [], 0
    for lines in _lines_of(Path(path), chrom):
        bases = lines.translate(None, b" \t\n")
        parts.append(bases[max(start - length, 0) : max(end - length, 0)])
        length += len(bases)
        if length >= end:
            break
    if length < end:
        raise CisflowError(f"{path}: {chrom} has {length:,} bases, and {chrom}:{start}-{end} goes beyond them.")
    return encode(b"".join(parts).decode("latin-1"), f"{path}, {chrom}:{start}-{end}")


def _lines_of(path: Path, chrom: str) -> Iterator[bytes]:
    """Yield the lines of bases of a chromosome."""
    names: list[str] = []
    for block in read_blocks(path):
        for header, lines in block.parts():
            if header is not None:
                if names[-1:] == [chrom]:
                    return
                names.append(" ".join(header.decode("latin-1").split(maxsplit=1)[:1]))
            if names[-1] == chrom:
                yield lines
    if names[-1] != chrom:
        raise CisflowError(
            f"{path}: there is no chromosome '{chrom}'; there are {', '.join(names[:5])}{', ...' * (len(names) > 5)}. "
            "Some genomes name it as 'chr1', others as '1'."
        )
