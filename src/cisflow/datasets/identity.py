"""Which rows are the same: by their sequence, as it is written or on either strand; and names that are there once."""

import hashlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cisflow.sequence import reverse_complement


def fingerprints(x: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return 64 bits for each sequence (n, length), which are equal for equal sequences, (n,).

    They are those of BLAKE2b. Among a million sequences, any two unequal ones have the same with a probability of 3e-8.
    """
    digests = [hashlib.blake2b(row, digest_size=8).digest() for row in np.ascontiguousarray(x)]
    return np.frombuffer(b"".join(digests), np.uint64)


def strand_fingerprints(x: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return fingerprints that a sequence and its reverse complement share, (n,)."""
    return np.minimum(fingerprints(x), fingerprints(reverse_complement(x)))


def unique_ids(names: Iterable[str]) -> list[str]:
    """Return names of which each is there once: the second of a name becomes 'name#2', and so on.

    The other strand of a row is called 'name-rc', so that no row is called so either.
    """
    taken: set[str] = set()
    again: Counter[str] = Counter()
    found = []
    for name in names:
        unique = name
        while unique in taken or f"{unique}-rc" in taken:
            again[name] += 1
            unique = f"{name}#{again[name] + 1}"
        taken.update((unique, f"{unique}-rc"))
        found.append(unique)
    return found
