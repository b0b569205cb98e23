"""Sequences from FASTA files."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np
from Bio.SeqIO.FastaIO import SimpleFastaParser
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.sequence import encode

# 'chr1:100-300', 'chr1:100-300(+)' (bedtools), 'hg38_dna range=chr1:101-300 ...' (UCSC).
PLACE = re.compile(r"(?:^|\s(?:range=)?|::)([^\s:=]+):(\d+)-(\d+)(?:\([-+.]\))?(?=\s|$)")


def read_fasta(path: str | Path, length: int | None = None) -> tuple[list[str], NDArray[np.uint8]]:
    """Read sequences of one length.

    Parameters
    ----------
    path
        FASTA file, gzipped if its name ends in .gz.
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
        The file is missing or has no sequence, a sequence has another length, or a letter is not one of ACGTN.
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
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            records = list(SimpleFastaParser(file))
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except (OSError, EOFError, UnicodeDecodeError, ValueError, zlib.error) as error:
        raise CisflowError(f"{path}: not a whole FASTA file ({error}).") from error
    if not records:
        raise CisflowError(f"{path}: there is no sequence in it (a header line '>name' is expected).")
    length = length or len(records[0][1])
    wrong = [(title, len(sequence)) for title, sequence in records if len(sequence) != length]
    if wrong:
        raise CisflowError(
            f"{path}: {len(wrong)} of {len(records)} sequences have not {length} bases; the first is "
            f"'{wrong[0][0]}' with {wrong[0][1]}. Cut or pad them to {length}."
        )
    return records
