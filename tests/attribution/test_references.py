"""Shuffles of sequences against every shuffle there is."""

import collections
import itertools

import numpy as np
import pytest
import scipy.stats
import torch

from cisflow.attribution.references import is_its_only_shuffle, references
from cisflow.sequence import encode


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 4, (5, 200), dtype=np.uint8)


def rows_of(*sequences: str) -> np.ndarray:
    return np.stack([encode(sequence) for sequence in sequences])


def pairs(rows: np.ndarray) -> np.ndarray:
    """Return the counts of neighbouring bases of each row."""
    return np.stack([np.bincount(4 * row[:-1] + row[1:], minlength=16) for row in rows.astype(int)])


@pytest.mark.parametrize("kind", ["permuted", "dinucleotide"])
def test_references_keep_what_they_promise(x, kind):
    found = references(x, kind, 7, seed=3)
    assert found.shape == (len(x), 7, 4, x.shape[1])
    bases = found.argmax(2).numpy()
    for row, shuffles in zip(x, bases, strict=True):
        assert all(np.array_equal(np.bincount(s, minlength=4), np.bincount(row, minlength=4)) for s in shuffles)
        assert len({s.tobytes() for s in shuffles}) == 7
        if kind == "dinucleotide":
            assert (pairs(shuffles) == pairs(row[None])).all()
    assert torch.equal(found, references(x, kind, 7, seed=3))
    assert not torch.equal(found, references(x, kind, 7, seed=4))


def every_shuffle(sequence: str) -> list[str]:
    """Return all sequences with the ends and the neighbouring bases of one, by trying every order."""
    wanted = sorted(map("".join, itertools.pairwise(sequence)))
    orders = {"".join(order) for order in itertools.permutations(sequence[1:-1])}
    whole = (sequence[0] + order + sequence[-1] for order in orders)
    return sorted(other for other in whole if sorted(map("".join, itertools.pairwise(other))) == wanted)


@pytest.mark.parametrize("sequence", ["AACATAGATC", "ACACGTCAAC", "GATTACAGAT", "TTCATGTCT", "ACGTACGGA"])
def test_dinucleotide_shuffles_are_uniform(sequence):
    expected = every_shuffle(sequence)
    shuffles = references(rows_of(sequence), "dinucleotide", 200 * len(expected), seed=1)[0].argmax(1).numpy()
    counts = collections.Counter("".join("ACGT"[base] for base in row) for row in shuffles)
    assert sorted(counts) == expected
    assert len(expected) > 3
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize("length", [2, 3, 7, 8])
def test_a_sequence_is_its_only_shuffle_if_there_is_no_other(length):
    rng = np.random.default_rng(length)
    rows = ["".join(rng.choice(list("ACGT"[: rng.integers(1, 5)]), length)) for _ in range(60)]
    alone = is_its_only_shuffle(rows_of(*rows), "dinucleotide").tolist()
    assert alone == [len(every_shuffle(row)) == 1 for row in rows]


@pytest.mark.parametrize("repeat", ["CA" * 30, "A" * 60, "ACTG" * 15, "A" * 30 + "C" * 30])
def test_repeats_are_their_only_shuffle(repeat):
    x = rows_of(repeat)
    assert is_its_only_shuffle(x, "dinucleotide").all()
    assert is_its_only_shuffle(x, "permuted").all() == (repeat == "A" * 60)
    assert (references(x, "dinucleotide", 3, seed=0)[0].argmax(1).numpy() == x).all()


def test_long_sequences_are_shuffled_in_blocks_with_the_same_result(x, monkeypatch):
    whole = references(x, "dinucleotide", 3, seed=1)
    monkeypatch.setattr("cisflow.attribution.references.BLOCK", 1)
    assert torch.equal(references(x, "dinucleotide", 3, seed=1), whole)
