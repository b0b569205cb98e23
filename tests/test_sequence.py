"""Bases as numbers."""

import numpy as np
import pytest

from cisflow.errors import CisflowError
from cisflow.sequence import decode, encode, gc_content, one_hot, reverse_complement


def test_letters_to_numbers_and_back():
    assert encode("ACGTNacgtn").tolist() == [0, 1, 2, 3, 4] * 2
    assert decode(encode("acgtn")) == "ACGTN"


def test_another_letter_is_named_with_its_place():
    with pytest.raises(CisflowError, match=r"chr1: the letter 'R' at position 4 is not one of A, C, G, T, N \(2 such"):
        encode("ACGRY", "chr1")
    with pytest.raises(CisflowError, match="the letter 'é' at position 2"):
        encode("Aé")


def test_reverse_complement_of_rows():
    rows = np.stack([encode("AACGT"), encode("GGNTA")])
    assert [decode(row) for row in reverse_complement(rows)] == ["ACGTT", "TANCC"]


def test_one_hot_of_an_unknown_base_is_zero():
    assert one_hot(encode("CN")).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]


def test_gc_content_counts_known_bases_only():
    found = gc_content(np.stack([encode("GCAN"), encode("NNNN")]))
    assert found[0] == pytest.approx(2 / 3)
    assert np.isnan(found[1])
