"""A genome out of records with coordinates: stretches such as promoters, laid where they are, with N between them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import partial_folder
from cisflow.tracks.fasta import other_strand, read_records
from cisflow.tracks.genome import index_genome

LINE = 1 << 14
N = ord("N")
# Where a record is, as UCSC, Ensembl and bedtools write it: 'chr2L:101-200', with or without thousands separators. A
# first base before the contig's is written as a negative number.
PLACE = re.compile(r"(?:^|[\s=|;])(?:range=)?([^\s:=|;]+):(-?[\d,]+)-([\d,]+)(?:\(([+-])\))?(?=$|[\s|;])")
# Its strand, if it is not behind the place: 'strand=-', or a name that ends in _r (UCSC's upstream files).
STRAND = re.compile(r"\bstrand=([+-])|^[^\s]+_([fr])(?=\s|$)")


@dataclass(frozen=True)
class Record:
    """A stretch of a contig: its place, 0-based and half-open, and its letters on the forward strand."""

    title: str
    chrom: str
    start: int
    end: int
    letters: NDArray[np.uint8]


def genome_of_records(fasta: str | Path, out: str | Path, sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Lay records onto their contigs, and write these as an indexed genome (see `tracks.genome.index_genome`).

    What no record covers is N. Records of the other strand are turned round.
    Of a record that begins before its contig, and has only the bases that there are, the place begins at 0.

    Parameters
    ----------
    fasta
        FASTA file, gzipped or not. Headers have the place, as chr2L:101-200, in which the first base has the number 1
        or, in all of them, 0; and the strand, as (-), strand=- or a name that ends in _r, if it may be the other.
    out
        As of `index_genome`.
    sizes
        Bases of contigs; those that are not named end with their last record.

    Returns
    -------
    dict
        Numbers: records; of these reversed and shortened (that begin before their contig); contigs; bases that are
        covered, and those of them that several records tell.

    Raises
    ------
    CisflowError
        The file is missing, damaged or no FASTA file, a header has no place or one of another length than the
        sequence's, a record ends beyond its contig, or two records tell different bases of one position.
    """
    fasta, out, sizes = Path(fasta), Path(out), dict(sizes or {})
    found, counts = placed_records(fasta)
    with partial_folder(out) as folder:
        plain = folder / "genome.fa"
        with plain.open("wb") as writer:
            for chrom in sorted({record.chrom for record in found}):
                own = [record for record in found if record.chrom == chrom]
                letters, twice = lay(own, fasta, sizes.get(chrom))
                counts["contigs"] += 1
                counts["covered"] += int((letters != N).sum())
                counts["twice"] += twice
                writer.write(b">" + chrom.encode() + b"\n")
                writer.writelines(letters[i : i + LINE].tobytes() + b"\n" for i in range(0, len(letters), LINE))
        index_genome(plain, out)
    return counts


def placed_records(fasta: Path) -> tuple[list[Record], dict[str, int]]:
    """Return the records of a file on the forward strand, and the counts of `genome_of_records` that are known so far.

    Raises
    ------
    CisflowError
        As `genome_of_records`.
    """
    titles, sequences = zip(*read_records(fasta), strict=True)
    places = [_place(fasta, title) for title in titles]
    first = _first_number(fasta, titles, [(start, end) for _, start, end, _ in places], list(map(len, sequences)))
    found = []
    for title, sequence, (chrom, start, end, forward) in zip(titles, sequences, places, strict=True):
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)
        letters = letters if forward else other_strand(letters)
        found.append(Record(title, chrom, max(start - first, 0), end, np.where(letters == ord("n"), N, letters)))
    reverse = sum(not forward for *_, forward in places)
    shortened = sum(start < first for _, start, _, _ in places)
    return found, {
        "records": len(found), "reversed": reverse, "shortened": shortened, "contigs": 0, "covered": 0, "twice": 0
    }  # fmt: skip


def _place(fasta: Path, title: str) -> tuple[str, int, int, bool]:
    """Return contig, first and last number as they are written, and whether the strand is the forward one."""
    place = PLACE.search(title)
    if place is None:
        raise CisflowError(f"{fasta}: the header '>{title}' has no place, such as chr2L:101-200.")
    chrom, start, end = place[1], *(int(place[number].replace(",", "")) for number in (2, 3))
    strand = STRAND.search(title)
    word = place[4] or (strand and (strand[1] or strand[2])) or "+"
    return chrom, start, end, word in "+f"


def _first_number(fasta: Path, titles: Sequence[str], places: Iterable[tuple[int, int]], lengths: Sequence[int]) -> int:
    """Return the number of a contig's first base with which all places are as long as their sequences."""
    wrong = {}
    for first in (1, 0):
        fits = [end - max(start - first, 0) == length for (start, end), length in zip(places, lengths, strict=True)]
        if all(fits):
            return first
        wrong[first] = fits.index(False)
    row = max(wrong.values())
    raise CisflowError(
        f"{fasta}: the sequence of '>{titles[row]}' has {lengths[row]} bases, which is not the length of its place"
        + (", if places begin with 1 as those before it do." if wrong[1] == row and row else ".")
    )


def lay(records: Sequence[Record], fasta: Path, size: int | None = None) -> tuple[NDArray[np.uint8], int]:
    """Return a contig's letters, with N where no record is, and how many positions several records tell.

    It has `size` bases, or ends with the last record.

    Raises
    ------
    CisflowError
        Two records tell different bases of one position, or one ends beyond the contig; `fasta` is named.
    """
    last = max(records, key=lambda record: record.end)
    if size is not None and last.end > size:
        raise CisflowError(f"{fasta}: '>{last.title}' ends beyond {last.chrom}, which has {size:,} bases.")
    contig = np.full(size or last.end, N, np.uint8)
    told = np.zeros(len(contig), bool)
    again = np.zeros(len(contig), bool)
    for record in records:
        here = slice(record.start, record.end)
        old, new = contig[here], record.letters
        _agree(fasta, record, old, new)
        again[here] |= told[here]
        told[here] = True
        contig[here] = np.where(old == N, new, old)
    return contig, int(again.sum())


def _agree(fasta: Path, record: Record, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> None:
    # Lower-case letters, which are repeats, are the same bases.
    differs = np.flatnonzero(((old ^ new) & 0xDF).astype(bool) & (old != N) & (new != N))
    if len(differs):
        position = record.start + int(differs[0])
        raise CisflowError(
            f"{fasta}: '>{record.title}' has {chr(new[differs[0]])} at {record.chrom}:{position + 1}, where a record "
            f"before it has {chr(old[differs[0]])} ({len(differs)} such positions in it). Are all strands told?"
        )


def lines(counts: dict[str, int]) -> Iterator[str]:
    """Yield the counts of `genome_of_records` in words, for a log."""
    yield f"{counts['records']:,} records, of which {counts['reversed']:,} are turned round"
    yield f"{counts['shortened']:,} records begin before their contig and have only the bases that there are"
    yield f"{counts['covered']:,} known bases on {counts['contigs']} contigs, {counts['twice']:,} in several records"
