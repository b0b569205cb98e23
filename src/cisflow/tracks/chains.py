"""UCSC chain files, which say which stretches of one assembly are which of another.

The format is that of https://genome.ucsc.edu/goldenPath/help/chain.html: the first of the two assemblies is called the
source here, the second one the target.
"""

import gzip
import heapq
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from cisflow.errors import CisflowError

# A place is one number, contig * STRIDE + position, so that one search serves all contigs.
STRIDE = 1 << 34
# What some programs put before text in UTF-8, as Latin-1.
MARK = "\xef\xbb\xbf"
HEADER = "chain score source size + start end target size strand start end id"


@dataclass(frozen=True)
class Chains:
    """All chains of a file: C chains with together B blocks without gaps, ordered by chain, then by position.

    Attributes
    ----------
    path
        The file, for messages.
    sources, targets
        Contig to its size in bases, of both assemblies, in the order of the file.
    score, contig, target
        Of each chain, [C]: its score, and the numbers of its source and target contigs.
    chain, start, end
        Of each block, [B]: its chain, and where it lies on its source contig (0-based, half-open).
    anchor, sign
        Of each block, [B]: position x of the source contig is position anchor + sign * x of the target's plus strand.
    """

    path: Path
    sources: dict[str, int]
    targets: dict[str, int]
    score: np.ndarray
    contig: np.ndarray
    target: np.ndarray
    chain: np.ndarray
    start: np.ndarray
    end: np.ndarray
    anchor: np.ndarray
    sign: np.ndarray

    @cached_property
    def best(self) -> "Segments":
        """Stretches of the source with the block of the best-scoring chain there; the earlier chain wins a tie."""
        offset = self.contig[self.chain] * STRIDE
        order = np.argsort(offset + self.start, kind="stable")
        start, end = (offset + self.start)[order], (offset + self.end)[order]
        reach = np.maximum.accumulate(end)
        # A cluster is a run of blocks that overlap each other.
        cluster = np.cumsum(np.r_[True, start[1:] >= reach[:-1]]) - 1
        alone = np.bincount(cluster)[cluster] == 1
        shared = np.flatnonzero(~alone)
        rank = np.empty(len(self.score), int)
        rank[np.argsort(-self.score, kind="stable")] = np.arange(len(self.score))
        pieces = _winners(start[shared], end[shared], rank[self.chain[order[shared]]])
        starts = np.r_[start[alone], pieces[0]]
        sort = np.argsort(starts)
        return Segments(
            start=starts[sort],
            end=np.r_[end[alone], pieces[1]][sort],
            block=np.r_[order[alone], order[shared[pieces[2]]]][sort],
            alone=np.r_[np.ones(alone.sum(), bool), np.zeros(len(pieces[0]), bool)][sort],
        )


@dataclass(frozen=True)
class Segments:
    """Stretches of the source that do not overlap, in order, [S]: places of start and end, block, whether alone."""

    start: np.ndarray
    end: np.ndarray
    block: np.ndarray
    alone: np.ndarray


def _winners(start: np.ndarray, end: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut intervals, sorted by start, into stretches where one has the lowest rank: starts, ends, which interval."""
    bounds = np.unique(np.r_[start, end])
    first = np.searchsorted(start, bounds, side="right")
    found: list[tuple[int, int, int]] = []
    active: list[tuple[int, int]] = []
    entered = 0
    for left, right, until in zip(bounds[:-1].tolist(), bounds[1:].tolist(), first.tolist(), strict=False):
        for number in range(entered, until):
            heapq.heappush(active, (int(rank[number]), number))
        entered = until
        while active and end[active[0][1]] <= left:
            heapq.heappop(active)
        if active:
            found.append((left, right, active[0][1]))
    starts, ends, numbers = np.array(found, np.int64).reshape(-1, 3).T
    return starts, ends, numbers


def read_chains(path: str | Path) -> Chains:
    """Read a chain file, plain or gzipped.

    Raises
    ------
    CisflowError
        The file is missing, truncated or not a chain file, or a chain contradicts itself; with its line.
    """
    path = Path(path)
    reader = _Reader(path)
    for number, line in lines_of(path):
        reader.take(number, line)
    return reader.finish()


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a plain or gzipped file, without line ends.

    Raises
    ------
    CisflowError
        The file cannot be read, or its gzip data are truncated or damaged.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="latin-1") if zipped else path.open(encoding="latin-1") as file:
            for number, line in enumerate(file, 1):
                yield number, (line if number > 1 else line.removeprefix(MARK)).rstrip("\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CisflowError(
            f"{path}, after line {number}: the gzip data are truncated or damaged ({error}). Fetch the file again."
        ) from None
    except OSError as error:
        raise CisflowError(f"{path}: it cannot be read ({error.strerror or error}).") from None


def whole(text: str) -> int:
    """Return a whole number; other than for `int`, 1_000 is none."""
    if "_" in text:
        raise ValueError(text)
    return int(text)


@dataclass
class _Reader:
    """What was read of a chain file so far; `open` is the chain whose blocks are being read."""

    path: Path
    sources: dict[str, int] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    chains: list[tuple[float, str, str]] = field(default_factory=list)
    blocks: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    open: "_Open | None" = None

    def fail(self, number: int, what: str) -> CisflowError:
        return CisflowError(f"{self.path}, line {number}: {what}")

    def take(self, number: int, line: str) -> None:
        fields = line.split()
        if not fields or line.startswith("#"):
            return
        if self.open is not None:
            self.block(number, fields)
        elif fields[0] == "chain":
            self.open = self.header(number, fields)
        elif line.lstrip().startswith("<"):
            raise self.fail(number, "it is an HTML or XML page, perhaps an error page; fetch the chain file again.")
        else:
            raise self.fail(number, f"'{HEADER}' is expected, and {line[:40]!r} is found. Is it a chain file?")

    def header(self, number: int, fields: list[str]) -> "_Open":
        if len(fields) not in (12, 13):
            raise self.fail(number, f"a header has 13 fields ('{HEADER}'), and this one has {len(fields)}.")
        _, score, source, size, plus, start, end, target, target_size, strand, target_start, target_end = fields[:12]
        try:
            numbers = [whole(text) for text in (size, start, end, target_size, target_start, target_end)]
            value = float(score)
            if not np.isfinite(value):
                raise ValueError
        except ValueError:
            raise self.fail(number, "score, sizes, starts and ends of a header must be numbers.") from None
        if plus != "+" or strand not in ("+", "-"):
            raise self.fail(number, f"the strands are '{plus}' and '{strand}'; the first must be +, the second + or -.")
        for low, high, length, name in ((*numbers[1:3], numbers[0], source), (*numbers[4:], numbers[3], target)):
            if not 0 <= low < high <= length < STRIDE:
                raise self.fail(number, f"{low} to {high} is no stretch of {name}, which has {length:,} bases.")
        for sizes, name, length in ((self.sources, source, numbers[0]), (self.targets, target, numbers[3])):
            if sizes.setdefault(name, length) != length:
                raise self.fail(number, f"{name} has {length:,} bases, and {sizes[name]:,} in an earlier header.")
        self.chains.append((value, source, target))
        return _Open(number, strand == "-", numbers[3], numbers[1], numbers[2], numbers[4], numbers[5])

    def block(self, number: int, fields: list[str]) -> None:
        chain = self.open
        if len(fields) not in (1, 3):
            raise self.fail(
                number,
                f"a block has 3 fields (size, and gaps in source and target), the last of a chain 1, and this line has "
                f"{len(fields)}; the chain of line {chain.line} is not complete.",
            )
        try:
            sizes = [whole(text) for text in fields]
        except ValueError:
            raise self.fail(number, f"sizes must be whole numbers, and {' '.join(fields)[:40]!r} are not.") from None
        if min(sizes) < 0:
            raise self.fail(number, "a size is negative.")
        if sizes[0]:
            sign = -1 if chain.minus else 1
            anchor = chain.size - 1 - chain.there + chain.here if chain.minus else chain.there - chain.here
            self.blocks.append((len(self.chains) - 1, chain.here, chain.here + sizes[0], anchor, sign))
        chain.here += sizes[0] + (sizes[1] if len(sizes) == 3 else 0)
        chain.there += sizes[0] + (sizes[2] if len(sizes) == 3 else 0)
        if len(sizes) == 1:
            self.close(chain)

    def close(self, chain: "_Open") -> None:
        if (chain.here, chain.there) != (chain.end, chain.target_end):
            raise self.fail(
                chain.line,
                f"the blocks of this chain end at {chain.here} and {chain.there}, its header says {chain.end} and "
                f"{chain.target_end}. The file is damaged; fetch it again.",
            )
        self.open = None

    def finish(self) -> Chains:
        if self.open is not None:
            raise self.fail(self.open.line, "the file ends within this chain. It is truncated; fetch it again.")
        if not self.blocks:
            raise CisflowError(f"{self.path}: there is no chain in it.")
        source = {name: number for number, name in enumerate(self.sources)}
        target = {name: number for number, name in enumerate(self.targets)}
        chains = [(score, source[here], target[there]) for score, here, there in self.chains]
        score, contig, there = (np.array(values) for values in zip(*chains, strict=True))
        columns = np.array(self.blocks, np.int64).T
        return Chains(self.path, self.sources, self.targets, score, contig, there, *columns)


@dataclass
class _Open:
    """A chain whose blocks are being read: its header's line, and how far its blocks have come here and there."""

    line: int
    minus: bool
    size: int
    here: int
    end: int
    there: int
    target_end: int
