"""Fingerprints of sequences against comparing them letter by letter, and names that are there once."""

import itertools

import numpy as np
import pytest

from cisflow.datasets.identity import fingerprints, strand_fingerprints, unique_ids
from cisflow.sequence import reverse_complement


def test_fingerprints_are_equal_where_sequences_are():
    # All sequences of four of the five bases, each twice.
    x = np.array(list(itertools.product(range(5), repeat=4)) * 2, np.uint8)
    found = fingerprints(x)
    assert found.dtype == np.uint64
    assert len(set(found.tolist())) == 5**4
    assert found[: 5**4].tolist() == found[5**4 :].tolist()
    canonical = {min(row.tobytes(), reverse_complement(row).tobytes()) for row in x}
    both = strand_fingerprints(x)
    assert len(set(both.tolist())) == len(canonical)
    assert both.tolist() == strand_fingerprints(reverse_complement(x)).tolist()
    assert fingerprints(x[::2, ::-1]).tolist() == fingerprints(x[::2, ::-1].copy()).tolist()
    assert fingerprints(x[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b", "a", "a"], ["a", "b", "a#2", "a#3"]),
        (["a", "a", "a#2"], ["a", "a#2", "a#2#2"]),
        (["a", "a#2", "a"], ["a", "a#2", "a#3"]),
        # The other strand of a row is called a-rc.
        (["a", "a-rc"], ["a", "a-rc#2"]),
        (["a-rc", "a"], ["a-rc", "a#2"]),
        ([], []),
    ],
)
def test_names_are_there_once(names, expected):
    assert unique_ids(names) == expected


def test_many_equal_names():
    found = unique_ids(["seq"] * 5000 + ["seq-rc"] * 5000)
    assert len({*found, *(f"{name}-rc" for name in found)}) == 20_000
