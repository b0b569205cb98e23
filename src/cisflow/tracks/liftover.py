"""Points and intervals lifted from one assembly to another, a million at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cisflow.errors import CisflowError
from cisflow.tracks.chains import STRIDE, Chains

# Why an interval is not lifted, in the order of the codes.
REASONS = ("lifted", "no_chain", "deleted", "partial", "split", "duplicated", "length", "strand")
LIFTED, NO_CHAIN, DELETED, PARTIAL, SPLIT, DUPLICATED, LENGTH, STRAND = range(len(REASONS))


@dataclass(frozen=True)
class Rules:
    """When an interval is lifted.

    Attributes
    ----------
    min_fraction
        Part of its bases, above 0 and at most 1, that one chain must carry.
    max_length_change
        How much its length may change, as a part of it.
    same_strand
        Whether to drop what turns round.
    best
        Whether the best-scoring chain is taken where several carry an interval; else it is dropped as duplicated.
    """

    min_fraction: float = 0.95
    max_length_change: float = 0.1
    same_strand: bool = False
    best: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0 < self.min_fraction <= 1:
            raise CisflowError(f"the minimum fraction is {self.min_fraction}; it must be above 0 and at most 1.")
        if not self.max_length_change >= 0:
            raise CisflowError(f"the largest change of length is {self.max_length_change}; it must not be negative.")


@dataclass(frozen=True)
class Lifted:
    """Places in the target assembly, [N] each; -1 and strand 0 where a row was not lifted.

    Attributes
    ----------
    contig
        Number of the target contig, in the order of `Chains.targets`.
    start, end
        On the plus strand, 0-based, half-open.
    strand
        1, or -1 where the place lies on the other strand.
    reason
        Code, see `REASONS`.
    chain
        Number of the chain that carries a row.
    """

    contig: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    reason: np.ndarray
    chain: np.ndarray


def contig_codes(chains: Chains, names: Sequence[str]) -> np.ndarray:
    """Return the numbers of source contigs, [N]; -1 for one that the chains do not have."""
    known = {name: number for number, name in enumerate(chains.sources)}
    return np.fromiter((known.get(name, -1) for name in names), np.int64, len(names))


def lift_points(chains: Chains, contig: np.ndarray, position: np.ndarray) -> Lifted:
    """Lift single bases, each by the best-scoring chain that has it.

    Parameters
    ----------
    chains
        Which place is where.
    contig
        Numbers of source contigs, [N], of `contig_codes`.
    position
        0-based positions, [N].
    """
    contig, position = np.asarray(contig, np.int64), np.asarray(position, np.int64)
    segment, inside = _locate(chains, contig, position)
    block = chains.best.block[segment]
    result = _place(chains, block, position, position + 1)
    reason = np.where(inside, LIFTED, np.where(contig < 0, NO_CHAIN, DELETED))
    return _only(result, reason)


def lift_intervals(
    chains: Chains, contig: np.ndarray, start: np.ndarray, end: np.ndarray, rules: Rules | None = None
) -> Lifted:
    """Lift intervals, each by one chain; its new ends are those of its first and its last base on that chain.

    Parameters
    ----------
    chains
        Which place is where.
    contig
        Numbers of source contigs, [N], of `contig_codes`.
    start, end
        0-based, half-open, [N]; every interval has a base at least.
    rules
        When an interval is lifted; the first rule that it breaks is its reason.
    """
    rules = rules or Rules()
    contig, start, end = (np.asarray(values, np.int64) for values in (contig, start, end))
    segment, inside = _locate(chains, contig, start)
    # Most intervals lie in one block that no other chain shares: nothing can go wrong with them but the strand.
    simple = inside & chains.best.alone[segment] & (contig * STRIDE + end <= chains.best.end[segment])
    result = _place(chains, chains.best.block[segment], start, end)
    reason = np.where(contig < 0, NO_CHAIN, LIFTED)
    rest = np.flatnonzero(~simple & (contig >= 0))
    if len(rest):
        careful = _lift_by_chain(chains, contig[rest], start[rest], end[rest], rules)
        for name in ("contig", "start", "end", "strand", "chain"):
            getattr(result, name)[rest] = getattr(careful, name)
        reason[rest] = careful.reason
    if rules.same_strand:
        reason[(reason == LIFTED) & (result.strand < 0)] = STRAND
    return _only(result, reason)


def lift_by(chains: Chains, chain: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Lift single bases, each by a given chain; return positions on the target's plus strand, [N].

    Parameters
    ----------
    chains
        Which place is where.
    chain
        Numbers of chains, [N].
    position
        0-based positions on the source contigs of these chains, [N]; -1 is returned for one that is on no block.
    """
    key = chain * STRIDE
    # The first block of the chain that ends behind the position.
    block = np.searchsorted(chains.chain * STRIDE + chains.end, key + position, side="right")
    block = np.minimum(block, len(chains.chain) - 1)
    inside = (chains.chain[block] == chain) & (chains.start[block] <= position) & (position < chains.end[block])
    return np.where(inside, chains.anchor[block] + chains.sign[block] * position, -1)


def _locate(chains: Chains, contig: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the segment at or before each place, and whether the place is in it."""
    place = contig * STRIDE + position
    segment = np.searchsorted(chains.best.start, place, side="right") - 1
    inside = (segment >= 0) & (place < chains.best.end[segment]) & (position >= 0) & (position < STRIDE)
    return segment, inside & (contig >= 0)


def _place(chains: Chains, block: np.ndarray, start: np.ndarray, end: np.ndarray, last=None) -> Lifted:
    """Map first and last base of intervals, which lie in `block` and in `last` (the same block unless given)."""
    last = block if last is None else last
    sign = chains.sign[block]
    one = chains.anchor[block] + sign * start
    other = chains.anchor[last] + sign * (end - 1)
    chain = chains.chain[block]
    reason = np.zeros(len(block), np.int64)
    return Lifted(chains.target[chain], np.minimum(one, other), np.maximum(one, other) + 1, sign, reason, chain)


def _only(result: Lifted, reason: np.ndarray) -> Lifted:
    """Blank the rows that were not lifted."""
    kept = reason == LIFTED
    columns = (result.contig, result.start, result.end, result.chain)
    contig, start, end, chain = (np.where(kept, values, -1) for values in columns)
    return Lifted(contig, start, end, np.where(kept, result.strand, 0), reason, chain)


def _lift_by_chain(chains: Chains, contig: np.ndarray, start: np.ndarray, end: np.ndarray, rules: Rules) -> Lifted:
    """Lift intervals, weighing every chain that reaches into each."""
    count = len(contig)
    row, chain = _pairs(chains, contig, start, end)
    first, last, covered = _coverage(chains, chain, start[row], end[row])
    need = np.ceil(rules.min_fraction * (end - start) - 1e-9)
    enough = covered >= need[row]
    row, chain, first, last = (values[enough] for values in (row, chain, first, last))
    # The best of each row's chains comes first; of equal scores the earlier one.
    order = np.lexsort((chain, -chains.score[chain], row))
    rows, at, carriers = np.unique(row[order], return_index=True, return_counts=True)
    chosen = order[at]
    block, final = first[chosen], last[chosen]
    low, high = np.maximum(start[rows], chains.start[block]), np.minimum(end[rows], chains.end[final])
    placed = _place(chains, block, low, high, final)
    everywhere = _covered_at_all(chains, contig, start, end)
    reason = np.select([everywhere == 0, everywhere < need], [DELETED, PARTIAL], SPLIT)
    length = end[rows] - start[rows]
    change = np.abs(placed.end - placed.start - length)
    reason[rows] = np.where(change > rules.max_length_change * length + 1e-9, LENGTH, LIFTED)
    if not rules.best:
        reason[rows[carriers > 1]] = DUPLICATED
    names = ("contig", "start", "end", "strand", "chain")
    columns = {name: np.zeros(count, np.int64) for name in names}
    for name, column in columns.items():
        column[rows] = getattr(placed, name)
    return Lifted(**columns, reason=reason)


def _pairs(chains: Chains, contig: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every interval with every chain whose extent overlaps it: [P] rows and [P] chains."""
    first = np.searchsorted(chains.chain, np.arange(len(chains.score)), side="left")
    beyond = np.searchsorted(chains.chain, np.arange(len(chains.score)), side="right")
    real = np.flatnonzero(beyond > first)
    low = chains.contig[real] * STRIDE + chains.start[first[real]]
    high = chains.contig[real] * STRIDE + chains.end[beyond[real] - 1]
    order = np.argsort(low, kind="stable")
    real, low, high = real[order], low[order], high[order]
    # Chains over the first base of an interval: those of the stretch, between ends of chains, that it lies in.
    bounds = np.unique(np.r_[low, high])
    number, stretch = _expand(np.searchsorted(bounds, low), np.searchsorted(bounds, high))
    over = number[np.argsort(stretch, kind="stable")]
    pointer = np.r_[0, 0, np.cumsum(np.bincount(stretch, minlength=len(bounds)))]
    at = np.searchsorted(bounds, contig * STRIDE + start, side="right")
    row, index = _expand(pointer[at], pointer[at + 1])
    # Chains that begin further on in it.
    later = _expand(
        np.searchsorted(low, contig * STRIDE + start, side="right"), np.searchsorted(low, contig * STRIDE + end)
    )
    return np.r_[row, later[0]], real[np.r_[over[index], later[1]]]


def _expand(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (number of the range, each of its members) for the ranges low to high, half-open."""
    count = np.maximum(high - low, 0)
    number = np.repeat(np.arange(len(low)), count)
    return number, np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[number]


def _coverage(
    chains: Chains, chain: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first block, last block, and bases on blocks, of intervals and one chain each: [P]."""
    first = np.searchsorted(chains.chain * STRIDE + chains.end, chain * STRIDE + start, side="right")
    last = np.searchsorted(chains.chain * STRIDE + chains.start, chain * STRIDE + end) - 1
    return first, last, _bases(chains.start, chains.end, first, last, start, end)


def _covered_at_all(chains: Chains, contig: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how many bases of each interval lie on any chain: [N]."""
    best, low, high = chains.best, contig * STRIDE + start, contig * STRIDE + end
    first = np.searchsorted(best.end, low, side="right")
    return _bases(best.start, best.end, first, np.searchsorted(best.start, high) - 1, low, high)


def _bases(starts, ends, first, last, low, high) -> np.ndarray:
    """Sum the overlap of low to high with the stretches first to last (none if last is before first)."""
    total = np.r_[0, np.cumsum(ends - starts)]
    some = last >= first
    a, b = np.where(some, first, 0), np.where(some, last, 0)
    whole = total[b + 1] - total[a]
    cut = np.maximum(low - starts[a], 0) + np.maximum(ends[b] - high, 0)
    return np.where(some, whole - cut, 0)
