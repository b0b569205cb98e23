"""A stretch of a chromosome from a genome file."""

import gzip
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.sequence import encode


def read_region(path: str | Path, chrom: str, start: int, end: int) -> NDArray[np.uint8]:
    """Read a stretch of a FASTA file of any size, line by line up to its end.

    Parameters
    ----------
    path
        FASTA file, gzipped if its name ends in .gz. No index is needed.
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
        The file is missing or not whole, has no such chromosome, or the stretch goes beyond its end.
    """
    path = Path(path)
    try:
        with (
            gzip.open(path, "rt", encoding="latin-1") if path.suffix == ".gz" else path.open(encoding="latin-1") as file
        ):
            length, text = _stretch(_lines_of(file, chrom, path), start, end)
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise CisflowError(f"{path}: not a whole FASTA file ({error}).") from error
    if len(text) < end - start:
        raise CisflowError(f"{path}: {chrom} has {length:,} bases, and {chrom}:{start}-{end} goes beyond them.")
    return encode(text, f"{path}, {chrom}:{start}-{end}")


def _lines_of(lines: Iterator[str], chrom: str, path: Path) -> Iterator[str]:
    names = []
    for line in lines:
        if line.startswith(">"):
            names.append(line[1:].split(maxsplit=1)[0] if line[1:].strip() else "")
            if names[-1] == chrom:
                return itertools.takewhile(lambda line: not line.startswith(">"), lines)
    if not names:
        raise CisflowError(f"{path}: there is no sequence in it (a header line '>name' is expected).")
    raise CisflowError(
        f"{path}: there is no chromosome '{chrom}'; there are {', '.join(names[:5])}{', ...' * (len(names) > 5)}. Some "
        "genomes name it as 'chr1', others as '1'."
    )


def _stretch(lines: Iterator[str], start: int, end: int) -> tuple[int, str]:
    """Return the number of bases that were read, and those from start to end, as far as they are there."""
    parts, position = [], 0
    for line in lines:
        bases = line.strip()
        if position + len(bases) > start:
            parts.append(bases[max(start - position, 0) : end - position])
        position += len(bases)
        if position >= end:
            break
    return position, "".join(parts)
