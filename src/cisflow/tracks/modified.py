"""Modified bases of long reads (DiMeLo-seq): from the MM and ML tags of a BAM file to BigWig files of calls.

The tags are those of the SAM specification (https://samtools.github.io/hts-specs/SAMtags.pdf). A base of a read is a
call where its tags speak of it, or pass it over as unmodified (an MM entry without '?'); it is modified if its
probability is at least a threshold.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import partial_folder, write_tsv
from cisflow.tables import READ_COUNTS
from cisflow.tracks.bam import open_bam
from cisflow.tracks.bigwig import write_bigwig
from cisflow.tracks.contigs import shared_contigs
from cisflow.tracks.genome import Genome
from cisflow.tracks.htslib import quiet

# Bases that are counted together; memory does not grow with contigs.
BLOCK = 1 << 22
# Unmapped, secondary, failed, duplicate, supplementary.
LEFT_OUT = 3844
ROW = np.dtype([("contig", np.int32), ("start", np.int64), ("count", np.uint32)])
ENTRY = re.compile(r"([ACGTUN])([+-])([a-zA-Z]+|\d+)([.?]?)")
ELSEWHERE = "left out: their contig is not in the genome, or has another size there"
# As pysam returns them: base, strand and code, to places in the sequence and probabilities, of 255.
ModifiedBases = Mapping[tuple[str, int, str | int], list[tuple[int, int]]]


@dataclass(frozen=True)
class Kind:
    """A modification: its codes in the tags, the base that has it, and whether a G must follow in the reference."""

    codes: tuple[str, ...]
    base: str
    cpg: bool


# Y and Z are the codes of megalodon. Numbers are those of ChEBI: N6-methyladenine and 5-methylcytosine.
KINDS = {"mA": Kind(("a", "Y", "28871"), "A", False), "CpG": Kind(("m", "Z", "27551"), "C", True)}


@dataclass(frozen=True)
class Calls:
    """What counts as a call.

    Attributes
    ----------
    threshold
        Lowest probability, of 255, of a base that is modified.
    min_mapping_quality
        Lowest mapping quality of a read.
    """

    threshold: int = 129
    min_mapping_quality: int = 10

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0 <= self.threshold <= 255:
            raise CisflowError(f"the threshold is {self.threshold}; it is a probability of 255, from 0 to 255.")


def write_calls(
    bam: str | Path,
    genome: str | Path,
    outputs: Mapping[str, tuple[str | Path, str | Path]],
    counts: str | Path,
    calls: Calls | None = None,
) -> Counter[str]:
    """Write BigWig files of how many reads call each base modified, and of how many call it at all.

    A base without a call is in no file; one that is called and never modified is 0 in the file of modified calls.
    Only bases count that the reference has too (for CpG, a C before a G), on the strand of the read. A kind that no
    read has a call of gets files without values, from which nothing is measured; `counts` says so.

    A read counts if its tags fit it: htslib can place all their calls on its sequence, and its length is what the tag
    MN says. A read without MN that was hard-clipped is left out, since nobody can tell whether the tags were cut, too.

    Parameters
    ----------
    bam
        BAM file with index, aligned to the genome.
    genome
        The indexed genome (`index_genome`).
    outputs
        Kind (`KINDS`) to the files of modified and of all calls, whose names end in .bw.
    counts
        TSV file (`READ_COUNTS`) to write: reads that were used, calls of each kind, and reads and calls left out by
        reason.
    calls
        What counts.

    Returns
    -------
    Counter
        What is in `counts`.

    Raises
    ------
    CisflowError
        The BAM file has no index, is of another genome or damaged, or no read in it has a call of any kind.
    """
    bam, tally = Path(bam), Counter({"used": 0})
    with ExitStack() as stack:
        reference, file = stack.enter_context(Genome(genome)), stack.enter_context(open_bam(bam))
        declared = dict(zip(file.references, file.lengths, strict=True))
        names = shared_contigs(declared, reference.sizes, bam, genome).names
        elsewhere = set(declared) - set(names.values())
        if reads := sum(index.total for index in file.get_index_statistics() if index.contig in elsewhere):
            tally[ELSEWHERE] = reads
        folder = stack.enter_context(partial_folder(Path(counts)))
        counting = _Counting(bam, file, reference, calls or Calls(), tally)
        rows = {kind: folder / kind for kind in outputs}
        tally.update({f"calls of {kind}": 0 for kind in outputs})
        # BigWig files have their contigs in the order of names.
        for contig in sorted(names):
            counting.contig(contig, names[contig], rows)
        _check(bam, tally, outputs)
        for kind, pair in outputs.items():
            for number, path in enumerate(pair):
                calls_of = _intervals(rows[kind].with_suffix(f".{number}"), list(reference.sizes))
                write_bigwig(path, reference.sizes, calls_of)
    table = [{"file": bam.name, "what": what, "reads": count} for what, count in sorted(tally.items())]
    write_tsv(counts, READ_COUNTS, table)
    return tally


def _check(bam: Path, tally: Counter[str], kinds: Iterable[str]) -> None:
    told = ", ".join(f"{count:,} {what}" for what, count in tally.items() if count) or "there is none"
    if not tally["used"]:
        raise CisflowError(
            f"{bam}: no read with modified bases (tags MM and ML) can be used: {told}. Did the caller write the tags, "
            "and the aligner keep them?"
        )
    if not any(tally[f"calls of {kind}"] for kind in kinds):
        raise CisflowError(
            f"{bam}: no read has a call of {' or '.join(kinds)} that the reference agrees with ({told})."
        )


def _intervals(rows: Path, names: list[str]) -> Iterator[tuple[str, int, int, float]]:
    if not rows.is_file():
        return
    with rows.open("rb") as file:
        while len(block := np.fromfile(file, ROW, 1 << 16)):
            for contig, start, count in block.tolist():
                yield names[contig], start, start + 1, float(count)


@dataclass
class _Counting:
    """Counts calls of a BAM file, block by block."""

    bam: Path
    file: pysam.AlignmentFile
    reference: Genome
    calls: Calls
    tally: Counter[str]

    def contig(self, contig: str, name: str, rows: Mapping[str, Path]) -> None:
        """Append the counts of a contig to the files of each kind: .0 of modified calls, .1 of all."""
        number, size = list(self.reference.sizes).index(contig), self.reference.sizes[contig]
        for start in range(0, size, BLOCK):
            found = self._block(contig, name, start, min(start + BLOCK, size), rows)
            for kind, (modified, valid) in found.items():
                place = np.flatnonzero(valid)
                for end, count in enumerate((modified, valid)):
                    if len(place):
                        self._append(rows[kind].with_suffix(f".{end}"), number, start + place, count[place])

    @staticmethod
    def _append(path: Path, number: int, start: NDArray[np.int64], count: NDArray[np.uint32]) -> None:
        table = np.empty(len(start), ROW)
        table["contig"], table["start"], table["count"] = number, start, count
        with path.open("ab") as file:
            # numpy's own tofile does not tell that a disk is full.
            file.write(table.tobytes())

    def _block(self, contig: str, name: str, start: int, end: int, kinds: Mapping[str, Path]) -> dict[str, NDArray]:
        # One base more on both sides, for the other base of a CpG.
        around = self.reference.encode(np.array([contig]), np.array([start - 1]), end - start + 2)[0]
        wanted = {kind: [_wanted(around, KINDS[kind], back) for back in (False, True)] for kind in kinds}
        counts = {kind: np.zeros((2, end - start), np.uint32) for kind in kinds}
        try:
            # htslib would write a line for each read whose tags do not fit.
            with quiet():
                for read in self.file.fetch(name, start, end):
                    why, calls = self._usable(read)
                    if start <= read.reference_start or start == 0:
                        self.tally[why or "used"] += 1
                    if not why:
                        place = _places(read, start, end)
                        for kind in kinds:
                            chance = _chances(read, KINDS[kind], calls)
                            self._add(place, chance, wanted[kind][read.is_reverse], counts[kind])
        except (OSError, ValueError) as error:
            raise CisflowError(
                f"{self.bam}: {contig}:{start}-{end} cannot be read ({error}). The file or its index is damaged."
            ) from None
        for kind, (_, valid) in counts.items():
            self.tally[f"calls of {kind}"] += int(valid.sum())
        return counts

    def _usable(self, read: pysam.AlignedSegment) -> tuple[str | None, ModifiedBases]:
        """Return why a read is left out, or None, and its calls."""
        if read.flag & LEFT_OUT:
            return "left out: not primary, or marked as failed or duplicate", {}
        if read.mapping_quality < self.calls.min_mapping_quality:
            return "left out: mapping quality", {}
        if not any(read.has_tag(tag) for tag in ("MM", "Mm")) or not any(read.has_tag(tag) for tag in ("ML", "Ml")):
            return "left out: no tags MM and ML", {}
        if not read.query_sequence:
            return "left out: no sequence", {}
        if not read.cigartuples:
            return "left out: no CIGAR", {}
        if not read.has_tag("MN") and any(kind == pysam.CHARD_CLIP for kind, _ in read.cigartuples):
            return "left out: hard-clipped without the tag MN", {}
        calls = read.modified_bases
        # None, other than nothing, where htslib refuses the tags.
        return (None, calls) if calls is not None else ("left out: the tags MM, ML and MN do not fit the sequence", {})

    def _add(
        self,
        place: NDArray[np.int64],
        chance: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        counts: NDArray[np.uint32],
    ) -> None:
        called = (chance >= 0) & (place >= 0)
        place, chance = place[called], chance[called]
        agrees = wanted[place]
        self.tally["calls left out: the reference has another base"] += int((~agrees).sum())
        place, chance = place[agrees], chance[agrees]
        # A read calls a base once, so that no place is twice here.
        counts[1][place] += 1
        counts[0][place[chance >= self.calls.threshold]] += 1


def _places(read: pysam.AlignedSegment, start: int, end: int) -> NDArray[np.int64]:
    """Return where each base of a read is in a block, (length,); -1 for one that is outside, inserted or clipped."""
    place = np.array([-1 if at is None else at for at in read.get_reference_positions(full_length=True)], np.int64)
    return np.where((place >= start) & (place < end), place - start, -1)


def _wanted(around: NDArray[np.uint8], kind: Kind, back: bool) -> NDArray[np.bool_]:
    """Return which bases of a block (with one more on both sides) can have a call of a kind on a strand."""
    base, after = "ACGT".index(kind.base), "ACGT".index("G")
    if back:
        found = around[1:-1] == 3 - base
        return found & (around[:-2] == 3 - after) if kind.cpg else found
    found = around[1:-1] == base
    return found & (around[2:] == after) if kind.cpg else found


def _chances(read: pysam.AlignedSegment, kind: Kind, calls: ModifiedBases) -> NDArray[np.int64]:
    """Return the probability, of 255, that each base of a read is modified, (length,); -1 for one without a call."""
    chance = np.full(len(read.query_sequence), -1)
    tag = read.get_tag("MM") if read.has_tag("MM") else read.get_tag("Mm")
    for base, strand, codes, mode in ENTRY.findall(tag):
        if (
            base == kind.base
            and strand == "+"
            and set(kind.codes) & ({codes} if codes.isdigit() else set(codes))
            and mode != "?"
        ):
            letter = "TGCA"["ACGT".index(base)] if read.is_reverse else base
            chance[np.frombuffer(read.query_sequence.encode(), np.uint8) == ord(letter)] = 0
    for (base, strand, code), pairs in calls.items():
        if base == kind.base and strand == int(read.is_reverse) and str(code) in kind.codes:
            for at, probability in pairs:
                # -1 stands for a base whose probability is not given.
                chance[at] = max(probability, chance[at])
    return chance
