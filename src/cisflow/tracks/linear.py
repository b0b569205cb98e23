"""Sets of intervals of a whole genome at once: all contigs lie behind each other on one axis of integers."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Intervals = tuple[NDArray[np.int64], NDArray[np.int64]]
NONE: Intervals = (np.empty(0, np.int64), np.empty(0, np.int64))


class Axis:
    """The contigs of a genome on one axis.

    Parameters
    ----------
    sizes
        Contig to its length in bases.
    step
        Each contig begins at a multiple of it, so that `position // step` numbers the bins of all contigs.
    margin
        Bases that are free around each contig at least, so that windows beyond its ends meet no other contig.
    """

    def __init__(self, sizes: Mapping[str, int], step: int = 1, margin: int = 0):
        self.names = np.array(list(sizes), np.str_)
        self.sizes = np.array(list(sizes.values()), np.int64)
        whole = -(-(self.sizes + margin) // step) * step
        self.offsets = np.cumsum([-(-margin // step) * step, *whole])[: len(whole)]
        self._keys = pl.Series(self.names.tolist(), dtype=pl.String)

    def intervals(self, table: pl.DataFrame) -> Intervals:
        """Return starts and ends on the axis of a table with chrom, start and end; it has only contigs of the axis."""
        offset = self.of_contig(self.offsets)
        table = table.select(start=pl.col("start") + offset, end=pl.col("end") + offset)
        return table["start"].to_numpy(), table["end"].to_numpy()

    def of_contig(self, values: NDArray[np.int64]) -> pl.Expr:
        """Return what a table's column `chrom` is to be replaced by: one of these values for each contig."""
        if not len(values):
            return pl.lit(None, pl.Int64)
        return pl.col("chrom").replace_strict(self._keys, pl.Series(values))

    def contig(self, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the contig of each position, one in the margin before it included."""
        return np.searchsorted(self.offsets, position, "right") - 1

    def places(self, position: NDArray[np.int64], contig: NDArray[np.int64]) -> tuple[NDArray[np.str_], NDArray]:
        """Return names of contigs and positions in them."""
        return self.names[contig], position - self.offsets[contig]


def merge(intervals: Intervals, gap: int = 0) -> Intervals:
    """Return intervals, in any order, as sorted ones without overlap; those at most `gap` bases apart become one."""
    start, end = intervals
    if not len(start):
        return NONE
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    first = np.flatnonzero(np.concatenate([[True], start[1:] > reach[:-1] + gap]))
    return start[first], reach[np.append(first[1:], len(start)) - 1]


def supported(sets: Sequence[Intervals], least: int) -> Intervals:
    """Return the merged union of sets of intervals, of which each part has a base that `least` sets cover or more.

    A set counts once, however many of its intervals overlap.
    """
    start, end = (np.concatenate(side) for side in zip(*map(merge, (NONE, *sets)), strict=True))
    if least <= 1 or not len(start):
        return merge((start, end))
    place, which = np.unique(np.concatenate([start, end]), return_inverse=True)
    change = np.bincount(which, np.repeat([1, -1], [len(start), len(end)])).astype(np.int64)
    depth = np.cumsum(change)
    # A part begins where the depth leaves zero, and ends where it is zero again.
    first = np.flatnonzero((depth > 0) & (np.append(0, depth[:-1]) == 0))
    last = np.flatnonzero((depth == 0) & (np.append(0, depth[:-1]) > 0))
    deep = np.maximum.reduceat(depth, first) >= least
    return place[first[deep]], place[last[deep]]


def covered(start: NDArray[np.int64], end: NDArray[np.int64], merged: Intervals) -> NDArray[np.int64]:
    """Return how many bases of each window merged intervals cover, (n,)."""
    if not len(merged[0]):
        return np.zeros(len(start), np.int64)
    before = np.concatenate([[0], np.cumsum(merged[1] - merged[0])])

    def up_to(position: NDArray[np.int64]) -> NDArray[np.int64]:
        number = np.searchsorted(merged[0], position, "right")
        beyond = np.maximum(merged[1][number - 1] - position, 0)
        return np.where(number > 0, before[number] - beyond, 0)

    return up_to(end) - up_to(start)


def covered_bins(merged: Intervals, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of all bins of `step` bases that merged intervals touch, rising, and the bases covered."""
    start, end = merged
    if not len(start):
        return NONE
    first, count = start // step, (end - 1) // step - start // step + 1
    own = np.repeat(np.arange(len(start)), count)
    bins = first[own] + np.arange(len(own)) - np.repeat(np.cumsum(count) - count, count)
    bases = np.minimum(end[own], (bins + 1) * step) - np.maximum(start[own], bins * step)
    new = np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))
    return bins[new], np.add.reduceat(bases, new)


def distance(start: NDArray[np.int64], end: NDArray[np.int64], merged: Intervals) -> NDArray[np.int64]:
    """Return the bases between each window and the nearest merged interval, 0 where they touch or overlap."""
    far = np.full(len(start), np.iinfo(np.int64).max)
    if not len(merged[0]):
        return far
    after = np.searchsorted(merged[0], start, "right")
    left = np.where(after > 0, start - merged[1][after - 1], far)
    right = np.where(after < len(merged[0]), np.append(merged[0], 0)[after] - end, far)
    return np.maximum(np.minimum(left, right), 0)


def joined(sets: Iterable[Intervals], gap: int = 0) -> Intervals:
    """Return the merged union of sets of intervals."""
    starts, ends = zip(NONE, *sets, strict=True)
    return merge((np.concatenate(starts), np.concatenate(ends)), gap)
