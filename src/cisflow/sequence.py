"""DNA as numbers: 0 to 3 for A, C, G, T and 4 for an unknown base, in arrays of uint8."""

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError

ALPHABET = "ACGT"
UNKNOWN = 4

_INVALID = 255
_CODE = np.full(256, _INVALID, np.uint8)
for _index, _letter in enumerate("ACGTN"):
    _CODE[[ord(_letter), ord(_letter.lower())]] = _index
_LETTER = np.frombuffer(b"ACGTN", np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def encode(sequence: str, name: str = "sequence") -> NDArray[np.uint8]:
    """Return base indices, shape (length,), of a string of A, C, G, T and N in either case.

    Raises
    ------
    CisflowError
        There is another letter; the message has `name`, the letter and its 1-based position.
    """
    codes = _CODE[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    wrong = np.flatnonzero(codes == _INVALID)
    if wrong.size:
        raise CisflowError(
            f"{name}: the letter {sequence[wrong[0]]!r} at position {wrong[0] + 1} is not one of A, C, G, T, N "
            f"({wrong.size} such letters in all). Replace other IUPAC codes by N."
        )
    return codes


def decode(indices: NDArray[np.uint8]) -> str:
    """Return the letters of base indices of shape (length,)."""
    return _LETTER[indices].tobytes().decode()


def one_hot(indices: NDArray[np.uint8], dtype: type = np.float32) -> NDArray:
    """Return indices of shape (..., length) as (..., length, 4); an unknown base is a row of zeros."""
    return np.concatenate([np.eye(4, dtype=dtype), np.zeros((1, 4), dtype)])[indices]


def reverse_complement(indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the other strand of indices of shape (..., length)."""
    return _COMPLEMENT[indices[..., ::-1]]


def gc_content(indices: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the fraction of G and C among the known bases of indices of shape (..., length).

    It is NaN for a sequence without a known base.
    """
    known = (indices != UNKNOWN).sum(-1)
    strong = ((indices == 1) | (indices == 2)).sum(-1)
    return np.divide(strong, known, out=np.full(np.shape(known), np.nan), where=known > 0)
