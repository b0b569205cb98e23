"""Where the bins of regions are in the assembly of a file of signal: as they stand, or lifted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tracks.chains import Chains
from cisflow.tracks.contigs import SharedContigs, shared_contigs
from cisflow.tracks.liftover import LIFTED, REASONS, Lifted, Rules, lift_intervals, lift_points

# Why a bin was not measured; REASONS of the liftover follow.
MEASURED, OFF_CONTIG, BLACKLISTED, NO_DATA, NOT_LIFTED = range(5)
# A bin that is lifted to another place than its region.
OUTSIDE = len(REASONS)
WRONG_CHAIN = "It is a chain of other assemblies, or of the other direction."


@dataclass(frozen=True)
class Pieces:
    """Stretches of equal bins that are read in one go, [P] each.

    Attributes
    ----------
    row, first, count
        The region, its first bin here, and how many bins there are.
    contig, start, end
        Where they are in the file's assembly; contig is a number in `contigs`.
    turned
        Whether the last bin of the region is the first one there.
    contigs
        Names of contigs in the file's assembly.
    state
        Of each bin, (regions, bins): MEASURED if it is in a piece, OFF_CONTIG, or NOT_LIFTED + the liftover's reason.
    """

    row: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    contig: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    turned: NDArray[np.bool_]
    contigs: Sequence[str]
    state: NDArray[np.uint8]


def as_they_stand(
    chrom: NDArray[np.int64], start: NDArray[np.int64], bins: int, width: int, sizes: Mapping[str, int]
) -> Pieces:
    """Return a piece a region, without the bins that are not wholly inside its contig.

    Parameters
    ----------
    chrom, start
        Number of the contig in `sizes` and first position of each region, (n,).
    bins, width
        How many bins each region has, and their width in bases.
    sizes
        Contigs of the assembly.
    """
    size = np.array(list(sizes.values()), np.int64)[chrom]
    first = np.clip(-(start // width), 0, bins)
    last = np.clip((size - start) // width, first, bins)
    number = np.arange(bins)
    inside = (number >= first[:, None]) & (number < last[:, None])
    state = np.where(inside, MEASURED, OFF_CONTIG).astype(np.uint8)
    row = np.flatnonzero(last > first)
    low, high = (start + edge * width for edge in (first, last))
    return Pieces(
        row,
        first[row],
        (last - first)[row],
        chrom[row],
        low[row],
        high[row],
        np.zeros(len(row), bool),
        list(sizes),
        state,
    )


class Lift:
    """Chain files one after another, from the assembly of regions to that of a file.

    Parameters
    ----------
    chains
        Their contents.
    sizes
        Contigs of the regions' assembly.
    genome
        Its name, for messages.
    rules
        When an interval is lifted.

    Raises
    ------
    CisflowError
        A chain file does not start from the assembly before it. Where only some of its contigs have another size than
        there, it is raised when one of them is lifted.
    """

    def __init__(self, chains: Sequence[Chains], sizes: Mapping[str, int], genome: str, rules: Rules | None = None):
        self.chains, self.rules, self.before = list(chains), rules or Rules(), sizes
        self.codes: list[NDArray[np.int64]] = []
        # By the number of a contig before a chain: the error message if it has another size in the chain file.
        self.unlike: list[dict[int, str]] = []
        self.notes: list[str] = []
        known, name = dict(sizes), genome
        for chain in self.chains:
            shared = shared_contigs(chain.sources, known, chain.path, name, WRONG_CHAIN)
            self.codes.append(_numbers(chain, known, shared))
            number = {contig: at for at, contig in enumerate(known)}
            self.unlike.append({number[contig]: message for contig, message in shared.unlike.items()})
            self.notes += shared.note(chain.path, name)
            known, name = chain.targets, f"the target of {chain.path}"

    @property
    def sizes(self) -> Mapping[str, int]:
        """Contigs of the file's assembly that chains lead to."""
        return self.chains[-1].targets

    def points(self, chrom: NDArray[np.int64], position: NDArray[np.int64]) -> Lifted:
        """Lift single bases; parameters as in `lift_points`, but the contigs are those of the regions' assembly."""
        return self._through(chrom, position, None)

    def intervals(self, chrom: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> Lifted:
        """Lift intervals; parameters as in `lift_intervals`, but the contigs are those of the regions' assembly."""
        return self._through(chrom, start, end)

    def _through(self, contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64] | None) -> Lifted:
        reason, strand = np.zeros(len(contig), np.int64), np.ones(len(contig), np.int64)
        for chain, codes, unlike in zip(self.chains, self.codes, self.unlike, strict=True):
            used = np.flatnonzero(np.isin(contig, list(unlike))) if unlike else ()
            if len(used):
                raise CisflowError(unlike[int(contig[used[0]])])
            here = np.where(contig < 0, -1, codes[contig])
            found = (
                lift_points(chain, here, start) if end is None else lift_intervals(chain, here, start, end, self.rules)
            )
            reason = np.where(reason == LIFTED, found.reason, reason)
            contig, start, end = found.contig, found.start, None if end is None else found.end
            strand = strand * found.strand
        # The chain is the one of the last file.
        return Lifted(contig, start, start + 1 if end is None else end, strand, reason, found.chain)

    def place(self, chrom: NDArray[np.int64], start: NDArray[np.int64], bins: int, width: int) -> Pieces:
        """Lift regions, then each of their bins by itself, which must come to lie in its region's place.

        Bins that stay next to each other and keep their width are read in one go. Parameters as in `as_they_stand`.
        """
        inside = as_they_stand(chrom, start, bins, width, self.before)
        state = inside.state.copy()
        rows = inside.row
        region = self.intervals(chrom[rows], inside.start, inside.end)
        missed = region.reason != LIFTED
        for row, reason in zip(rows[missed], region.reason[missed], strict=True):
            state[row, state[row] == MEASURED] = NOT_LIFTED + reason
        # Bins of the regions that were lifted, one below the other.
        place = np.full(len(start), -1)
        place[rows] = np.arange(len(rows))
        row, number = np.nonzero(state == MEASURED)
        low = start[row] + number * width
        bin_ = self.intervals(chrom[row], low, low + width)
        own = place[row]
        within = (
            (bin_.contig == region.contig[own])
            & (bin_.strand == region.strand[own])
            & (bin_.start >= region.start[own])
            & (bin_.end <= region.end[own])
        )
        reason = np.where(bin_.reason != LIFTED, bin_.reason, np.where(within, LIFTED, OUTSIDE))
        state[row, number] = np.where(reason == LIFTED, MEASURED, NOT_LIFTED + reason)
        return self._runs(row, number, bin_, reason == LIFTED, width, state)

    def _runs(self, row, number, lifted: Lifted, kept, width: int, state) -> Pieces:
        row, number = row[kept], number[kept]
        contig, start, end, strand = (getattr(lifted, key)[kept] for key in ("contig", "start", "end", "strand"))
        plain = end - start == width
        after = np.where(strand > 0, start - np.roll(end, 1), np.roll(start, 1) - end) == 0
        joins = (row == np.roll(row, 1)) & (number == np.roll(number, 1) + 1) & after & plain & np.roll(plain, 1)
        joins &= (contig == np.roll(contig, 1)) & (strand == np.roll(strand, 1))
        joins[:1] = False
        first = np.flatnonzero(~joins)
        last = np.r_[first[1:], len(row)][: len(first)] - 1
        low, high = np.minimum(start[first], start[last]), np.maximum(end[first], end[last])
        return Pieces(
            row[first],
            number[first],
            last - first + 1,
            contig[first],
            low,
            high,
            strand[first] < 0,
            list(self.sizes),
            state,
        )


def _numbers(chain: Chains, sizes: Mapping[str, int], shared: SharedContigs) -> NDArray[np.int64]:
    """Return the number in the chain file of each contig before it, [contigs]; -1 for one that it does not have."""
    number = {name: at for at, name in enumerate(chain.sources)}
    return np.array([number[shared.names[name]] if name in shared.names else -1 for name in sizes], np.int64)
