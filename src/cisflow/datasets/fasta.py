"""Sequences from FASTA files."""

import gzip
from pathlib import Path

import numpy as np
from Bio.SeqIO.FastaIO import SimpleFastaParser
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.sequence import encode


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
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            records = list(SimpleFastaParser(file))
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
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
    names = [title.split(maxsplit=1)[0] if title.strip() else "" for title, _ in records]
    rows = [encode(sequence, f"{path}, sequence '{name}'") for name, (_, sequence) in zip(names, records, strict=True)]
    return names, np.stack(rows)
