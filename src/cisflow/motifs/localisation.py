"""Do the peaks of a score lie on the motifs? Whole stretches of sequence are ranked, not single positions.

Source: Koo & Ploenzke, Nat. Mach. Intell. 3, 258 (2021), Extended Data Figure 1c, d, and the code published with it.
The positions of motifs are widened, so that a peak may lie beside its motif; then the largest score of every stretch
with a motif is ranked against that of every stretch without one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cisflow.evaluation.metrics import areas_by_row

Pieces = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

# How the ends of the stretches are found; see `stretches`.
ENDS = ("corrected", "published")


@dataclass(frozen=True)
class Stretches:
    """Parts of sequences: the row of each, its first position and the one after its last, and whether it is of a motif.

    Attributes
    ----------
    row, start, end
        int64 (stretches,), in the order of the rows.
    motif
        bool (stretches,).
    shape
        Numbers of sequences and positions.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    motif: NDArray[np.bool_]
    shape: tuple[int, int]


def widened(motif: NDArray[np.bool_], buffer: int) -> NDArray[np.bool_]:
    """Return the positions (n, length) around which a box of `buffer` positions meets a motif.

    The box at position p is [p - buffer // 2, p - buffer // 2 + buffer).
    """
    padded = np.pad(motif, ((0, 0), (buffer // 2 + 1, buffer)))
    sums = padded.cumsum(1)
    length = motif.shape[1]
    return sums[:, buffer : buffer + length] > sums[:, :length]


def stretches(motif: NDArray[np.bool_], ends: str) -> Stretches:
    """Divide sequences into stretches with and without motifs.

    Parameters
    ----------
    motif
        Positions of motifs, widened (n, length).
    ends
        'corrected': the stretches of equal positions. 'published': as the code of the paper found them, which is needed
        to reproduce its numbers. It looks for the end of a stretch from the sum of that stretch's start and the
        previous one's end instead of from the start: every stretch but the first is too long and takes in others of
        both kinds, or is lost; one of motifs that reaches the end of the sequence is lost as well; and after the last
        stretch of a kind the search may add one that begins where the previous began.
    """
    find = {"corrected": _runs, "published": _published}[ends]
    none = np.empty(0, np.int64)
    parts = [(True, none, none, none)]
    parts += [(kind, *piece) for kind in (True, False) for piece in find(motif == kind, keep_last=not kind)]
    row, start, end = (np.concatenate([part[column] for part in parts]) for column in (1, 2, 3))
    kinds = np.concatenate([np.full(len(part[1]), part[0], bool) for part in parts])
    order = np.argsort(row, kind="stable")
    return Stretches(row[order], start[order], end[order], kinds[order], motif.shape)


def _runs(here: NDArray[np.bool_], keep_last: bool) -> Iterator[Pieces]:
    change = np.diff(np.pad(here, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    yield row, start, np.nonzero(change == -1)[1]


def _published(here: NDArray[np.bool_], keep_last: bool) -> Iterator[Pieces]:
    """Search all rows together, one stretch of each at a time; `keep_last` is True for stretches without motifs."""
    length = here.shape[1]
    inside, outside = _next(here), _next(~here)
    rows = np.flatnonzero(here.any(1) & ~here.all(1))
    index, start = np.zeros((2, len(here)), np.int64)
    while len(rows):
        # A match counts only if there is one beyond the first position that is looked at.
        found = inside[rows, np.minimum(index[rows] + 1, length)] < length
        start[rows[found]] = inside[rows[found], index[rows[found]]]
        origin = np.minimum(index[rows] + start[rows], length)
        ended = outside[rows, np.minimum(origin + 1, length)] < length
        end = outside[rows, origin]
        kept = rows[ended | keep_last]
        yield kept, start[kept], np.where(ended, end, length)[ended | keep_last]
        index[rows[ended]] = end[ended]
        rows = rows[found & ended]


def _next(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the next position (n, length + 1) at or after each one where `where` is true; length for none."""
    length = where.shape[1]
    positions = np.pad(np.where(where, np.arange(length), length), ((0, 0), (0, 1)), constant_values=length)
    return np.minimum.accumulate(positions[:, ::-1], axis=1)[:, ::-1]


def localise(scores: NDArray, parts: Stretches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return AUROC and AUPR of each sequence, (n,): largest scores of stretches with against those without motifs.

    Parameters
    ----------
    scores
        A score a position (n, length).
    parts
        The stretches of the same sequences.

    Returns
    -------
    auroc, aupr
        NaN where a sequence has not both kinds of stretch, or a score that is not a number.
    """
    count, length = parts.shape
    flat = np.append(scores.ravel(), -np.inf)
    bounds = parts.row[:, None] * length + np.stack([parts.start, parts.end], axis=1)
    # Of two bounds one after the other, `reduceat` reduces from the first to before the second.
    largest = np.maximum.reduceat(flat, bounds.ravel())[::2]
    number = np.arange(len(parts.row)) - np.searchsorted(parts.row, parts.row)
    shape = (count, int(number.max(initial=0)) + 1)
    values, motif, counted = np.full(shape, -np.inf), np.zeros(shape, bool), np.zeros(shape, bool)
    place = (parts.row, number)
    values[place], motif[place], counted[place] = largest, parts.motif, True
    return areas_by_row(motif, values, counted)
