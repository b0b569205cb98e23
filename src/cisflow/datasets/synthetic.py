"""Synthetic sequences with planted motifs, drawn exactly as Koo & Ploenzke (2021) drew theirs.

The random numbers are those of NumPy's legacy generator and are drawn in the order of the original, so that a seed
gives the original's sequences bit for bit; the order of the draws is therefore part of the specification here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS, Split
from cisflow.errors import CisflowError
from cisflow.pwm import Motif, read_jaspar

PPM = NDArray[np.float64]


@dataclass(frozen=True)
class Planting:
    """How motifs are planted in one sequence.

    Attributes
    ----------
    length
        Length of a sequence, in bases.
    counts
        Probability of each number of motifs; the numbers are consecutive.
    spacer
        Upper end of the uniform distribution whose draws, normalised, are the lengths of the spacers. It makes no
        difference to their distribution, only to the stream of random numbers.
    """

    length: int
    counts: Mapping[int, float]
    spacer: float = 1.0

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Where the uniform draw that decides the number of motifs is cut."""
        return np.concatenate([[0.0], np.cumsum(list(self.counts.values()))[:-1]])


def both_strands(motifs: Sequence[Motif]) -> list[PPM]:
    """Return the probabilities (4, width) of each motif and its reverse complement, one after the other."""
    return [m.probabilities for motif in motifs for m in (motif, motif.reverse_complement())]


def plant(
    rng: np.random.RandomState, pool: Sequence[PPM], count: int, planting: Planting
) -> tuple[NDArray[np.uint8], NDArray[np.float32], list[NDArray[np.int64]]]:
    """Draw sequences with motifs of a pool.

    Returns
    -------
    x
        Base indices, uint8 (count, length).
    truth
        The probabilities that each base was drawn from, float32 (count, length, 4).
    planted
        For each sequence the indices of its motifs in the pool.

    Raises
    ------
    CisflowError
        Not even the fewest and narrowest motifs fit into a sequence.
    """
    narrowest = min(ppm.shape[1] for ppm in pool) * min(planting.counts)
    if narrowest >= planting.length:
        raise CisflowError(
            f"{min(planting.counts)} motifs of this data set take at least {narrowest} bases, and do not fit into "
            f"sequences of {planting.length}. Raise 'length', or lower 'counts'."
        )
    x = np.empty((count, planting.length), np.uint8)
    truth = np.empty((count, planting.length, 4), np.float32)
    planted = []
    for row in range(count):
        chosen, model = _draw_model(rng, pool, planting)
        draws = rng.uniform(0, 1, size=planting.length)
        x[row] = (np.cumsum(model, axis=0) > draws).argmax(axis=0)
        truth[row] = model.T
        planted.append(chosen)
    return x, truth, planted


def _draw_model(rng: np.random.RandomState, pool: Sequence[PPM], planting: Planting) -> tuple[NDArray[np.int64], PPM]:
    fewest, thresholds = min(planting.counts), planting.thresholds
    while True:
        number = np.searchsorted(thresholds, rng.uniform(), side="right") - 1 + fewest
        chosen = rng.randint(len(pool), size=number)
        free = planting.length - sum(pool[index].shape[1] for index in chosen)
        if free > 0:
            break
    model = np.full((4, planting.length), 0.25)
    start = 0
    for index, gap in zip(chosen, _draw_spacers(rng, number + 1, free, planting.spacer), strict=False):
        start += gap
        width = pool[index].shape[1]
        model[:, start : start + width] = pool[index]
        start += width
    return chosen, model


def _draw_spacers(rng: np.random.RandomState, number: int, total: int, high: float) -> NDArray[np.int64]:
    while True:
        draws = rng.uniform(0, high, size=number)
        spacers = np.round(draws / draws.sum() * total).astype(np.int64)
        if spacers.sum() == total:
            return spacers


def split_rows(
    rng: np.random.RandomState, x: NDArray[np.uint8], y: NDArray, truth: NDArray, fractions: Sequence[float]
) -> dict[str, Split]:
    """Shuffle rows and divide them into train, valid and test; an id is the row's number before the shuffle."""
    order = rng.permutation(len(x))
    names = np.char.add("sequence-", np.arange(len(x)).astype(str)).astype(np.bytes_)
    ends = np.cumsum([round(fraction * len(x)) for fraction in fractions[:-1]])
    parts = np.split(order, ends)
    return {
        split: Split(x[rows], y[rows].astype(np.float32), names[rows], truth=truth[rows])
        for split, rows in zip(SPLITS, parts, strict=True)
    }


def synthetic_motifs(
    motifs: Mapping[str, Motif], sequences: int, planting: Planting, seed: int, fractions: Sequence[float]
) -> dict[str, Split]:
    """Return the splits of Task 1: which of these motifs does a sequence contain?

    Parameters
    ----------
    motifs
        The motif of each class, in the order of the labels; both strands are planted.
    sequences, planting, seed, fractions
        How many, how, and how they are divided.
    """
    rng = np.random.RandomState(seed)
    x, truth, planted = plant(rng, both_strands(list(motifs.values())), sequences, planting)
    y = np.zeros((sequences, len(motifs)), np.float32)
    for row, chosen in enumerate(planted):
        y[row, chosen // 2] = 1
    return split_rows(rng, x, y, truth, fractions)


def synthetic_grammar(
    core: Sequence[Motif],
    background: Sequence[Motif],
    drawn_from: int,
    sequences: int,
    planting: Planting,
    seed: int,
    fractions: Sequence[float],
) -> dict[str, Split]:
    """Return the splits of Task 3: core motifs alone (1), or mixed with background motifs (0)?

    Parameters
    ----------
    core, background
        The motifs of positives; and those that negatives have besides. Both strands are planted.
    drawn_from
        The number of matrices from which the original drew its background by a permutation. The permutation is drawn
        again, though the background is given by name, because the sequences follow it in the stream.
    sequences, planting, seed, fractions
        How many (half of them positive), how, and how they are divided.
    """
    rng = np.random.RandomState(seed)
    rng.permutation(drawn_from)
    positive = plant(rng, both_strands(core), sequences // 2, planting)
    negative = plant(rng, both_strands([*core, *background]), sequences - sequences // 2, planting)
    x, truth = (np.concatenate([positive[i], negative[i]]) for i in (0, 1))
    y = (np.arange(sequences) < sequences // 2).astype(np.float32)[:, None]
    return split_rows(rng, x, y, truth, fractions)


def find_motifs(motifs: Sequence[Motif], ids: Sequence[str], source: str) -> list[Motif]:
    """Return the motifs of these ids.

    Raises
    ------
    CisflowError
        Some are not there; all of them are named.
    """
    known = {motif.id: motif for motif in motifs}
    missing = [identifier for identifier in ids if identifier not in known]
    if missing:
        raise CisflowError(f"{source} ({len(known)} motifs) has no motif {', '.join(missing)}.")
    return [known[identifier] for identifier in ids]


def planted_motifs(spec: dict[str, Any], counts: str | Path) -> list[Motif]:
    """Return the motifs of a synthetic data set, each once, in the order of its configuration.

    Parameters
    ----------
    spec
        A task's `dataset`, as the configuration has it.
    counts
        The file of count matrices that it is made from.
    """
    ids = spec["classes"].values() if "classes" in spec else [*spec["core"].values(), *spec["background"]]
    return find_motifs(read_jaspar(counts), list(dict.fromkeys(ids)), str(counts))
