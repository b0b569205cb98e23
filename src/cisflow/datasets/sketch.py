"""Counts of values rounded to eight significant bits: quantiles and histograms of any number of values, in one pass.

A value is rounded to the nearest bfloat16 (ties to even), by at most 0.4 %; whole numbers up to 256 stay as they are.
There are 65,536 of those, so that a count of each is little memory, and what comes of the counts is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CODES = 1 << 16
SIGN = 1 << 15
# Bins of a histogram; on a logarithmic axis they begin at this part of the highest value, or later.
BINS, LOWEST = 40, 1e-6


@dataclass(frozen=True)
class Sketch:
    """Distinct values, ascending, and how often each occurs."""

    values: NDArray[np.float64]
    count: NDArray[np.int64]

    @staticmethod
    def counts(targets: int) -> NDArray[np.int64]:
        """Return counts of nothing yet, (targets, codes)."""
        return np.zeros((targets, CODES), np.int64)

    @staticmethod
    def add(counts: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Add finite values (n,) to the counts of a target."""
        counts += np.bincount(_codes(values), minlength=CODES)

    @staticmethod
    def of(counts: NDArray[np.int64]) -> "Sketch":
        """Return what was counted of a target."""
        codes = np.flatnonzero(counts)
        return Sketch(_values(codes), counts[codes])

    @property
    def size(self) -> int:
        """Return how many values there are."""
        return int(self.count.sum())

    def quantiles(self, levels: Sequence[float]) -> list[float | None]:
        """Return the lowest value that at least this part of the values do not exceed, or None where there are none."""
        if not self.size:
            return [None] * len(levels)
        wanted = np.maximum(np.ceil(np.asarray(levels) * self.size), 1)
        places = np.searchsorted(np.cumsum(self.count), wanted)
        # Adding 0.0 makes a negative zero a zero.
        return (self.values[places] + 0.0).tolist()


def _codes(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the upper 16 bits of rounded values, so changed that they ascend with the values."""
    bits = (values + np.float32(0)).view(np.uint32).astype(np.int64)
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(upper & SIGN, CODES - 1 - upper, upper | SIGN)


def _values(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    upper = np.where(codes & SIGN, codes & ~SIGN, CODES - 1 - codes)
    return (upper << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def histogram_edges(sketches: Sequence[Sketch]) -> NDArray[np.float64]:
    """Return the edges of bins for all of these, on a logarithmic axis where no value is negative, else a linear one.

    On a logarithmic axis they span the positive values, or the upper six decades of them. There is none without values,
    and one where all are alike.
    """
    values = np.unique(np.concatenate([np.empty(0), *(sketch.values for sketch in sketches)]))
    if values.size and values[0] < 0:
        return np.unique(np.linspace(values[0], values[-1], BINS + 1))
    values = values[values > 0]
    if not values.size:
        return values
    low = max(values[0], values[-1] * LOWEST)
    edges = np.geomspace(low, values[-1], BINS + 1)
    edges[[0, -1]] = low, values[-1]
    return np.unique(edges)


def histogram(sketch: Sketch, edges: NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Return start, end and count of the bins; a bin has its start, and the last one its end too.

    Before them stand what is below the first edge, from 0, and zeros, if there are any; so nothing is left out.
    """
    inner = max(len(edges) - 1, 1)
    if not edges.size:
        return [(0.0, 0.0, sketch.size)] if sketch.size else []
    inside = sketch.values >= edges[0]
    places = np.minimum(np.searchsorted(edges, sketch.values[inside], side="right") - 1, inner - 1)
    counts = np.bincount(places, sketch.count[inside], minlength=inner).astype(np.int64)
    zeros = int(sketch.count[(sketch.values == 0) & ~inside].sum())
    below = sketch.size - int(counts.sum()) - zeros
    first = [(0.0, 0.0, zeros)] * bool(zeros) + [(0.0, float(edges[0]), below)] * bool(below)
    ends = edges[1:] if len(edges) > 1 else edges
    return first + list(zip(edges[:-1].tolist() or edges.tolist(), ends.tolist(), counts.tolist(), strict=True))
