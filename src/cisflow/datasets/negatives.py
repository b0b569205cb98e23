"""Negatives that are like the positives: as many of each GC content (repeats, k-mers), in each split, in bounded time.

Candidates are looked at in rounds, in an order that the seed gives; each takes a free place in the bin of its split, GC
content and so on, or goes. It ends when all places are taken or no candidate is left: what is missing is reported.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS
from cisflow.seeds import generator
from cisflow.sequence import UNKNOWN, gc_content, reverse_complement
from cisflow.tracks.genome import codes, soft_masked

# Candidates of a round, and windows that are in memory together.
ROUND, BLOCK = 1 << 14, 1 << 11
# Bins of the discriminant of k-mers, each with as many positives.
DECILES = np.linspace(0, 1, 11)[1:-1]

Letters = Callable[[NDArray[np.int64]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Pool:
    """Windows: the split of each ('' for none), and their letters (ASCII) by their numbers, (n, length)."""

    split: NDArray[np.str_]
    letters: Letters


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes
    ----------
    rows
        Numbers of the candidates, rising.
    looked_at, unknown
        How many candidates were looked at, and how many of them have too many unknown bases.
    quality
        Rows of the table of quality, a split and quantity each.
    """

    rows: NDArray[np.int64]
    looked_at: int
    unknown: int
    quality: list[dict[str, Any]]


def draw(positives: Pool, candidates: Pool, settings: Mapping[str, Any], max_unknown: float = 1.0) -> Drawn:
    """Draw negatives from candidates.

    Parameters
    ----------
    positives
        What they are to be like; each has a split.
    candidates
        Windows that may be negatives.
    settings
        Fields of `cisflow.config.windows.Negatives`.
    max_unknown
        Candidates with a larger fraction of unknown bases are passed over.
    """
    order = generator("negatives", settings["seed"]).permutation(len(candidates.split))
    order = order[candidates.split[order] != ""]
    bins = _Bins(settings, positives, candidates, order[:ROUND])
    shares = [np.bincount(bins.keys[positives.split == split], minlength=bins.count) for split in SPLITS]
    wanted = np.stack([_quota(share, settings["ratio"]) for share in shares])
    number = _number(candidates.split)
    free, looked_at, unknown = wanted.copy(), 0, 0
    rows, keys = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    while len(order) and free.any():
        order = order[free.any(axis=1)[number[order]]]
        now, order = order[:ROUND], order[ROUND:]
        key, share = bins.of(candidates.letters, now)
        known = share <= max_unknown
        looked_at, unknown = looked_at + len(now), unknown + int((~known).sum())
        now, key = now[known], key[known]
        group = number[now] * bins.count + key
        taken = _places(group, free.ravel())
        free -= np.bincount(group[taken], minlength=free.size).reshape(free.shape)
        rows.append(now[taken])
        keys.append(key[taken])
    rows, keys = np.concatenate(rows), np.concatenate(keys)
    found = np.zeros_like(wanted)
    np.add.at(found, (number[rows], keys), 1)
    quality = [row for at, split in enumerate(SPLITS) for row in bins.report(split, shares[at], wanted[at], found[at])]
    return Drawn(np.sort(rows), looked_at, unknown, quality)


def _number(split: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.select([split == name for name in SPLITS], range(len(SPLITS)), -1)


def _quota(share: NDArray[np.int64], ratio: float) -> NDArray[np.int64]:
    """Return how many negatives each bin is to have; together they are the whole part of all."""
    # The small number keeps 0.1 * 10 from being 0.
    return np.diff(np.floor(np.cumsum(share) * ratio + 1e-9), prepend=0).astype(np.int64)


def _places(group: NDArray[np.int64], free: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, in order, that are among the first of their group for which there is a free place."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    rank = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < free[ordered]])


class _Bins:
    """The bins in which negatives are to be like the positives: those of GC content, of repeats, of k-mers, crossed."""

    def __init__(self, settings: Mapping[str, Any], positives: Pool, candidates: Pool, sample: NDArray[np.int64]):
        self.match, self.step, self.kmer = settings["match"], settings["step"], settings["kmer"]
        every = np.arange(len(positives.split))
        self.weights = self.edges = None
        if "kmers" in self.match:
            own, other = (self._profiles(*pair) for pair in ((positives.letters, every), (candidates.letters, sample)))
            self.weights = discriminant(own, other)
            self.edges = np.quantile((own * self.weights).sum(axis=1), DECILES)
        self.sizes = [len(DECILES) + 1 if name == "kmers" else int(1 / self.step + 1e-9) + 1 for name in self.match]
        self.count = int(np.prod(self.sizes))
        self.keys, _ = self.of(positives.letters, every)

    def of(self, letters: Letters, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the bin of each window, and its fraction of unknown bases."""
        found = [self._of_block(letters(rows[at : at + BLOCK])) for at in range(0, len(rows), BLOCK)]
        keys, unknown = zip(*found, strict=True) if found else ([np.empty(0, np.int64)], [np.empty(0)])
        return np.concatenate(keys), np.concatenate(unknown)

    def _of_block(self, letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        x = codes(letters)
        number = {
            "gc": lambda: self._step(np.nan_to_num(gc_content(x))),
            "repeats": lambda: self._step(soft_masked(letters)),
            "kmers": lambda: np.searchsorted(self.edges, (profiles(x, self.kmer) * self.weights).sum(axis=1), "right"),
        }
        keys = np.ravel_multi_index([number[name]() for name in self.match], self.sizes)
        return keys, (x == UNKNOWN).mean(axis=1)

    def _step(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        return (value / self.step + 1e-9).astype(np.int64)

    def _profiles(self, letters: Letters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        found = [profiles(codes(letters(rows[at : at + BLOCK])), self.kmer) for at in range(0, len(rows), BLOCK)]
        return np.concatenate(found or [np.empty((0, profiles(np.empty((0, 1), np.uint8), self.kmer).shape[1]))])

    def report(
        self, split: str, share: NDArray[np.int64], wanted: NDArray[np.int64], found: NDArray[np.int64]
    ) -> Iterator[dict[str, Any]]:
        """Yield what the table of quality has of a split: numbers, overlaps of histograms, what is missing where."""
        numbers = {"wanted": wanted.sum(), "found": found.sum(), "missing": (wanted - found).sum()}
        for axis, name in enumerate(self.match):
            others = tuple(at for at in range(len(self.sizes)) if at != axis)
            own, drawn, lacking = (
                values.reshape(self.sizes).sum(axis=others) for values in (share, found, wanted - found)
            )
            numbers[f"{name}_overlap"] = np.minimum(own / max(own.sum(), 1), drawn / max(drawn.sum(), 1)).sum()
            numbers |= {f"missing_{name}_{self._label(name, at)}": lacking[at] for at in np.flatnonzero(lacking)}
        for quantity, value in numbers.items():
            yield {"split": split, "target": "negatives", "quantity": quantity, "value": float(value)}

    def _label(self, name: str, number: int) -> str:
        return f"decile_{number + 1}" if name == "kmers" else f"{number * self.step:.4g}"


def profiles(x: NDArray[np.uint8], k: int) -> NDArray[np.float64]:
    """Return the frequencies of k-mers of both strands, (n, kinds), of base indices (n, length).

    A k-mer and its reverse complement are one kind; those with an unknown base are not counted.
    """
    powers = 4 ** np.arange(k)[::-1]
    words = np.stack(np.unravel_index(np.arange(4**k), (4,) * k), axis=1).astype(np.uint8)
    canonical = np.minimum(np.arange(4**k), reverse_complement(words) @ powers)
    kind = np.unique(canonical, return_inverse=True)[1]
    width = x.shape[1] - k + 1
    if width < 1:
        return np.zeros((len(x), kind.max() + 1))
    word = sum(x[:, at : at + width].astype(np.int64) * int(power) for at, power in enumerate(powers))
    known = np.ones(word.shape, bool)
    for at in range(k):
        known &= x[:, at : at + width] != UNKNOWN
    row = np.broadcast_to(np.arange(len(x))[:, None], word.shape)
    kinds = kind.max() + 1
    counts = np.bincount(row[known] * kinds + kind[word[known]], minlength=len(x) * kinds).reshape(len(x), kinds)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def discriminant(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Fisher's linear discriminant of two sets of profiles, (kinds,)."""
    scatter = sum(_scatter(values) for values in (own, other) if len(values) > 1)
    if not len(own) or not len(other) or np.isscalar(scatter):
        return np.zeros(own.shape[1])
    # Frequencies sum to 1, so that the scatter has no inverse by itself.
    ridge = 1e-6 * np.trace(scatter) / len(scatter) + 1e-12
    return np.linalg.solve(scatter + ridge * np.eye(len(scatter)), own.mean(axis=0) - other.mean(axis=0))


def _scatter(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Not by BLAS, whose sums depend on the number of threads.
    centred = values - values.mean(axis=0)
    return np.einsum("ni,nj->ij", centred, centred) / (len(values) - 1)


def tiles(
    sizes: NDArray[np.int64], length: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return contig number and start of at most `count` random windows that lie side by side, so that none overlap.

    On each contig they begin at a random place below `length`; windows are in the order of the contigs.
    """
    phase = np.minimum(rng.integers(0, length, len(sizes)), np.maximum(sizes - length, 0))
    whole = np.maximum(sizes - phase, 0) // length
    before = np.cumsum(whole)
    number = np.sort(rng.permutation(int(whole.sum()))[:count])
    contig = np.searchsorted(before, number, "right")
    return contig, phase[contig] + (number - (before - whole)[contig]) * length
