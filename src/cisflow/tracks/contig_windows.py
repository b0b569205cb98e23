"""Windows over a genome and their splits, by the algorithm of Basenji's preprocessing (Kelley et al. 2018).

Chromosomes are cut at assembly gaps into contigs; contigs are broken, so that they can be dealt out to splits in even
shares, and joined again where neighbours came to the same split; windows are laid over what is left. No two splits
share a base of a target window. Contigs are few (some thousands), so they are plain tuples; windows are arrays.
"""

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError

SPLITS = ("train", "valid", "test")
# A contig that is more than this part of what a split still lacks does not enter it, unless the split is train.
ABSTAIN = 0.2
# A bin at the end of an unmappable interval counts as unmappable from this part of it on.
MINOR = 0.1
# Windows whose bins are looked at together.
BLOCK = 4096


class Contig(NamedTuple):
    """A stretch of a chromosome without gaps."""

    chrom: str
    start: int
    end: int

    @property
    def size(self) -> int:
        """Its length in bases."""
        return self.end - self.start


class Count(NamedTuple):
    """One entry of the accounting: how many of a unit come in (above 0) or go out (below 0) at a step, and why."""

    unit: str
    step: str
    reason: str
    count: int


@dataclass(frozen=True)
class Layout:
    """How windows are laid; the keys of `regions.contigs` in a task's data set.

    Attributes
    ----------
    length, crop
        Bases of an input window, and those of it before and after its target window.
    break_above
        Contigs longer than this are broken in half, the longest first.
    stride_train, stride_test
        Bases from one window to the next; up to 1, a fraction of `length`. With folds, the first holds for all.
    snap
        First positions of target windows are multiples of this.
    fractions
        Shares of valid and test, in bases.
    chromosomes
        Chromosomes of valid and test.
    folds
        Number of folds, the one that is test, and the one that is valid.
    seed
        Of the random choices. They are those of basenji_data.py: with equal input and seed, its windows come out.
    bin, umap_threshold
        Windows with this fraction of unmappable bins, or more, are dropped; bases of a bin.
    lose_contig
        Whether one of the largest contigs is lost after the breaking, as in basenji_data.py; where nothing is to be
        broken, nothing is lost.
    """

    length: int
    crop: int
    break_above: int | None = 786_432
    stride_train: float = 1.0
    stride_test: float = 1.0
    snap: int = 1
    fractions: Mapping[str, float] | None = None
    chromosomes: Mapping[str, Sequence[str]] | None = None
    folds: tuple[int, int, int] | None = None
    seed: int = 44
    bin: int = 128
    umap_threshold: float = 0.5
    lose_contig: bool = False

    @property
    def target_length(self) -> int:
        """Length of a target window."""
        return self.length - 2 * self.crop

    def stride(self, split: str) -> int:
        """Return the bases from one window of a split to the next."""
        value = self.stride_test if split in SPLITS[1:] and self.folds is None else self.stride_train
        return round(value * self.length if value <= 1 else value)


def contig_windows(
    sizes: Mapping[str, int], layout: Layout, gaps: pl.DataFrame | None = None, unmappable: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, list[Count]]:
    """Return the windows of a genome with their splits, in a random order inside each split.

    Parameters
    ----------
    sizes
        Length of each chromosome.
    layout
        How windows are laid.
    gaps, unmappable
        Intervals (chrom, start, end) on these chromosomes.

    Returns
    -------
    DataFrame
        chrom, start, end (of the input window; it may reach into gaps and over the ends of chromosomes), split.
    list
        The accounting. Bases are those of chromosomes; what no target window covers is counted out.

    Raises
    ------
    CisflowError
        No contig is long enough, a chromosome of a split is unknown, or a split has no window.
    """
    counts = [Count("bases", "genome", "", sum(sizes.values()))]
    contigs = list(without_gaps(sizes, gaps))
    counts.append(Count("bases", "contigs", "gap", sum(contig.size for contig in contigs) - counts[0].count))
    counts.append(Count("contigs", "contigs", "", len(contigs)))
    contigs = _drop(contigs, [contig.size >= layout.target_length for contig in contigs], "too_short", counts)
    if not contigs:
        raise CisflowError(f"no contig is as long as a target window, {layout.target_length:,} bases.")
    if layout.break_above is not None:
        before, contigs = len(contigs), broken(contigs, layout.break_above)
        counts.append(Count("contigs", "break", "broken", len(contigs) - before))
        if layout.lose_contig:
            rest = without_largest(contigs)
            lost = sum(contig.size for contig in contigs) - sum(contig.size for contig in rest)
            contigs = rest
            counts += [Count("contigs", "contigs", "compat_lost", -1), Count("bases", "contigs", "compat_lost", -lost)]
    parts, pieces = dealt(contigs, layout), len(contigs)
    joined = {name: rejoined(part) for name, part in parts.items()}
    counts.append(Count("contigs", "join", "joined", sum(map(len, joined.values())) - pieces))
    table = _shuffled(joined, layout, counts)
    if unmappable is not None:
        table = _mappable(table, layout, unmappable, counts)
    return _input_windows(table, layout), counts


def _drop(contigs: list[Contig], wanted: list[bool], reason: str, counts: list[Count]) -> list[Contig]:
    kept = [contig for contig, keep in zip(contigs, wanted, strict=True) if keep]
    lost = sum(contig.size for contig in contigs) - sum(contig.size for contig in kept)
    counts += [Count("contigs", "contigs", reason, len(kept) - len(contigs)), Count("bases", "contigs", reason, -lost)]
    return kept


def without_gaps(sizes: Mapping[str, int], gaps: pl.DataFrame | None) -> Iterator[Contig]:
    """Yield what of each chromosome is in no gap, in the order of the chromosomes."""
    of_chrom = dict(gaps.sort("start").group_by("chrom")) if gaps is not None else {}
    for chrom, size in sizes.items():
        position = 0
        for start, end in of_chrom[(chrom,)].select("start", "end").iter_rows() if (chrom,) in of_chrom else ():
            if start > position:
                yield Contig(chrom, position, start)
            position = max(position, end)
        if position < size:
            yield Contig(chrom, position, size)


def broken(contigs: Sequence[Contig], above: int) -> list[Contig]:
    """Return contigs of which none is longer than a limit: the longest is broken in half until that is so.

    Their order is that of basenji_data.py, which decides in what order windows of a split by chromosome are shuffled:
    the order inside the heap, to which contigs are pushed one by one.
    """
    heap: list[tuple[int, Contig]] = []
    for contig in contigs:
        # Not heapify, which would make another order.
        heapq.heappush(heap, (-contig.size, contig))
    while heap and -heap[0][0] > above:
        chrom, start, end = heapq.heappop(heap)[1]
        middle = start + (end - start) // 2
        for half in (Contig(chrom, start, middle), Contig(chrom, middle, end)):
            heapq.heappush(heap, (-half.size, half))
    return [contig for _, contig in heap]


def without_largest(contigs: Sequence[Contig]) -> list[Contig]:
    """Return the contigs of `broken` without the largest; the others move as in the heap that it is popped from."""
    heap = [(-contig.size, contig) for contig in contigs]
    heapq.heappop(heap)
    return [contig for _, contig in heap]


def dealt(contigs: Sequence[Contig], layout: Layout) -> dict[str, list[Contig]]:
    """Return the contigs of each split, or of each fold ('fold0', ...)."""
    if layout.chromosomes is not None:
        return _by_chromosome(contigs, layout.chromosomes)
    ordered = sorted(contigs, key=lambda contig: (contig.size, contig), reverse=True)
    draw = np.random.RandomState(layout.seed)
    return _by_fold(ordered, layout.folds[0], draw) if layout.folds else _by_share(ordered, layout.fractions, draw)


def _by_chromosome(contigs: Sequence[Contig], chromosomes: Mapping[str, Sequence[str]]) -> dict[str, list[Contig]]:
    known = {contig.chrom for contig in contigs}
    split_of = {chrom: split for split, names in chromosomes.items() for chrom in names}
    if missing := sorted(set(split_of) - known):
        raise CisflowError(
            f"regions: split: there is no contig of {', '.join(missing)} that is long enough; there are: "
            f"{', '.join(sorted(known)[:30])}."
        )
    parts: dict[str, list[Contig]] = {split: [] for split in SPLITS}
    for contig in contigs:
        parts[split_of.get(contig.chrom, "train")].append(contig)
    return parts


def _by_share(ordered: Sequence[Contig], shares: Mapping[str, float] | None, draw: np.random.RandomState):
    total = sum(contig.size for contig in ordered)
    shares = shares or {"valid": 0.05, "test": 0.05}
    aim = np.array([0.0, shares.get("valid", 0) * total, shares.get("test", 0) * total])
    aim[0] = total - aim[1] - aim[2]
    have, floor, may_abstain = np.zeros(3), np.array([1, 0, 0]), np.array([False, True, True])
    parts: dict[str, list[Contig]] = {split: [] for split in SPLITS}
    for contig in ordered:
        lack = np.maximum(aim - have, floor)
        lack[may_abstain & (contig.size > ABSTAIN * lack)] = 0
        chosen = draw.choice(3, p=lack / lack.sum())
        parts[SPLITS[chosen]].append(contig)
        have[chosen] += contig.size
    return parts


def _by_fold(ordered: Sequence[Contig], folds: int, draw: np.random.RandomState) -> dict[str, list[Contig]]:
    aim = np.ceil(sum(contig.size for contig in ordered) / folds)
    have = np.zeros(folds)
    parts: dict[str, list[Contig]] = {f"fold{number}": [] for number in range(folds)}
    for contig in ordered:
        lack = np.maximum(aim - have, 0)
        chosen = draw.choice(folds, p=lack / lack.sum())
        parts[f"fold{chosen}"].append(contig)
        have[chosen] += contig.size
    return parts


def rejoined(contigs: Sequence[Contig]) -> list[Contig]:
    """Return contigs with neighbours joined, by chromosome (in order of appearance) and position."""
    order = {chrom: number for number, chrom in enumerate(dict.fromkeys(contig.chrom for contig in contigs))}
    joined: list[Contig] = []
    for contig in sorted(contigs, key=lambda contig: (order[contig.chrom], contig.start)):
        if joined and joined[-1].chrom == contig.chrom and joined[-1].end == contig.start:
            joined[-1] = joined[-1]._replace(end=contig.end)
        else:
            joined.append(contig)
    return joined


def starts_in(contig: Contig, length: int, stride: int, snap: int = 1) -> NDArray[np.int64]:
    """Return the first positions of the windows that fit into a contig."""
    return np.arange(-(-contig.start // snap) * snap, contig.end - length + 1, stride)


def _shuffled(parts: Mapping[str, list[Contig]], layout: Layout, counts: list[Count]) -> pl.DataFrame:
    """Return target windows (chrom, start, split); the bases that they leave are counted."""
    shuffle, tables, left = random.Random(layout.seed), [], {"remainder": 0, "between": 0}
    for name, contigs in parts.items():
        split, stride = _split_of(name, layout), layout.stride(name)
        starts = [starts_in(contig, layout.target_length, stride, layout.snap) for contig in contigs]
        for contig, own in zip(contigs, starts, strict=True):
            inside = int(np.minimum(np.diff(own), layout.target_length).sum()) + layout.target_length if len(own) else 0
            span = int(own[-1] - own[0]) + layout.target_length if len(own) else 0
            left["remainder"] += contig.size - span
            left["between"] += span - inside
        rows = [(contig.chrom, start) for contig, own in zip(contigs, starts, strict=True) for start in own.tolist()]
        shuffle.shuffle(rows)
        tables.append(pl.DataFrame(rows, {"chrom": pl.String, "start": pl.Int64}, orient="row"))
        tables[-1] = tables[-1].with_columns(split=pl.lit(split))
    table = pl.concat(tables)
    counts += [Count("bases", "windows", reason, -count) for reason, count in left.items() if count]
    counts += [Count("windows", "windows", split, int((table["split"] == split).sum())) for split in SPLITS]
    return _each_split(table)


def _split_of(name: str, layout: Layout) -> str:
    if layout.folds is None:
        return name
    return {f"fold{layout.folds[1]}": "test", f"fold{layout.folds[2]}": "valid"}.get(name, "train")


def _each_split(table: pl.DataFrame) -> pl.DataFrame:
    if empty := [split for split in SPLITS if split not in table["split"]]:
        raise CisflowError(
            f"regions: no window came to {', '.join(empty)}. With fractions, a contig enters valid or test only if it "
            f"is at most {ABSTAIN:.0%} of what they lack: make break_above smaller or the fraction larger, or name "
            "chromosomes."
        )
    return table


def _mappable(table: pl.DataFrame, layout: Layout, unmappable: pl.DataFrame, counts: list[Count]) -> pl.DataFrame:
    chrom, start = table["chrom"].to_numpy(), table["start"].to_numpy()
    fraction = unmappable_fraction(chrom, start, layout.target_length, layout.bin, unmappable)
    wanted = pl.Series(fraction < layout.umap_threshold)
    for split in SPLITS:
        out = int(((table["split"] == split) & ~wanted).sum())
        counts.append(Count("windows", "unmappable", split, -out))
    return _each_split(table.filter(wanted))


def unmappable_fraction(
    chrom: NDArray, start: NDArray[np.int64], length: int, bin: int, unmappable: pl.DataFrame
) -> NDArray[np.float64]:
    """Return the fraction of unmappable bins of each window, (n,).

    A bin is unmappable when an unmappable interval touches it; at an end of an interval, only if the interval reaches
    at least a tenth of the bin from that side.

    Parameters
    ----------
    chrom, start
        Of the windows, (n,).
    length, bin
        Bases of a window and of a bin.
    unmappable
        Intervals (chrom, start, end).
    """
    fraction = np.zeros(len(start))
    for (name,), own in unmappable.sort("start").group_by("chrom"):
        low, high = own["start"].to_numpy(), own["end"].to_numpy()
        rows = np.flatnonzero(chrom == name)
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            fraction[block] = _touched(start[block], length, bin, low, high).mean(1)
    return fraction


def _touched(start: NDArray[np.int64], length: int, bin: int, low: NDArray, high: NDArray) -> NDArray[np.bool_]:
    """Return which bins (n, bins) of windows are unmappable, of intervals sorted by start."""
    # Ends of overlapping intervals need not rise; the highest so far do.
    first = np.searchsorted(np.maximum.accumulate(high), start, "right")
    count = np.maximum(np.searchsorted(low, start + length, "left") - first, 0)
    window = np.repeat(np.arange(len(start)), count)
    interval = np.arange(len(window)) - np.repeat(np.cumsum(count) - count, count) + first[window]
    left = np.maximum(low[interval] - start[window], 0)
    right = np.minimum(high[interval] - start[window], length)
    begin, end = left // bin, -(-right // bin)
    begin += (begin + 1) * bin - left < MINOR * bin
    end -= right - (end - 1) * bin < MINOR * bin
    real = (right > left) & (end > begin)
    edges = np.zeros((len(start), length // bin + 1), np.int32)
    np.add.at(edges, (window[real], begin[real]), 1)
    np.add.at(edges, (window[real], end[real]), -1)
    return np.cumsum(edges[:, :-1], axis=1) > 0


def _input_windows(table: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    start = pl.col("start") - layout.crop
    return table.select("chrom", start=start, end=start + layout.length, split="split")
