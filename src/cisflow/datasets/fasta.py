"""Sequences from FASTA files."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.sequence import encode
from cisflow.tracks.fasta import read_records

# 'chr1:100-300', 'chr1:100-300(+)' (bedtools), 'hg38_dna range=chr1:101-300 ...' (UCSC).
PLACE = re.compile(r"(?:^|\s(?:range=)?|::)([^\s:=]+):(\d+)-(\d+)(?:\([-+.]\))?(?=\s|$)")


def read_fasta(path: str | Path, length: int | None = None) -> tuple[list[str], NDArray[np.uint8]]:
    """Read sequences of one length.

    Parameters
    ----------
    path
        FASTA file, gzipped or not.
    length
        The length that all must have, in bases; by default that of the first.

    Returns
    -------
    names
        The first word of each header.
    x
        Base indices (n, length).

    Raises
    ------
    CisflowError
        The file is not a whole FASTA file (`tracks.fasta`), a sequence has another length, or a letter is not one of
        A, C, G, T, N.
    """
    path = Path(path)
    records = _records(path, length)
    names = [_name(title) for title, _ in records]
    rows = [encode(sequence, f"{path}, sequence '{name}'") for name, (_, sequence) in zip(names, records, strict=True)]
    return names, np.stack(rows)


def read_letters(path: str | Path, length: int | None = None) -> tuple[list[str], NDArray[np.uint8]]:
    """Read sequences with their case: the whole header of each, and letters (ASCII) of shape (n, length).

    Parameters and errors are those of `read_fasta`.
    """
    path = Path(path)
    records = _records(path, length)
    for title, sequence in records:
        encode(sequence, f"{path}, sequence '{_name(title)}'")
    letters = np.frombuffer("".join(sequence for _, sequence in records).encode(), np.uint8)
    return [title for title, _ in records], letters.reshape(len(records), -1)


def place_of(title: str, length: int) -> tuple[str, int] | None:
    """Return contig and first position (0-based) that a header tells; None if it tells none.

    bedtools counts from 0 and ends before the end, UCSC and samtools count from 1: the length says which is meant.
    """
    found = PLACE.search(title)
    if found is None:
        return None
    start, end = int(found[2]), int(found[3])
    if end - start == length:
        return found[1], start
    return (found[1], start - 1) if end - start + 1 == length and start else None


def _name(title: str) -> str:
    return title.split(maxsplit=1)[0] if title.strip() else ""


def _records(path: Path, length: int | None) -> list[tuple[str, str]]:
    records = list(read_records(path))
    length = length or len(records[0][1])
    wrong = [(title, len(sequence)) for title, sequence in records if len(sequence) != length]
    if wrong:
        raise CisflowError(
            f"{path}: {len(wrong)} of {len(records)} sequences have not {length} bases; the first is "
            f"'{wrong[0][0]}' with {wrong[0][1]}. Cut or pad them to {length}."
        )
    return records
