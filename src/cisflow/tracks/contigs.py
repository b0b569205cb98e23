"""Names of contigs: 'chr1' of one file is '1' of another. They are brought together, or refused with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cisflow.errors import CisflowError

# Of the rows of a file: if no larger part ends beyond contigs, these rows are wrong, and not the assembly.
FEW = 0.01
MITOCHONDRION = {"chrM": "MT", "MT": "chrM", "M": "chrM", "chrMT": "M"}


def reconcile(names: Iterable[str], sizes: Mapping[str, int], path: str | Path, genome: str | Path) -> dict[str, str]:
    """Return the genome's name of each contig of a file that the genome has.

    Parameters
    ----------
    names
        Contigs of the file.
    sizes
        The genome's contigs.
    path, genome
        The file and the genome, for messages.

    Raises
    ------
    CisflowError
        No contig is of the genome, or some have the genome's names and others only with or without 'chr'.
    """
    names = list(dict.fromkeys(names))
    same = {name: name for name in names if name in sizes}
    turned = {name: other for name in names if name not in sizes and (other := _other(name)) in sizes}
    if same and turned:
        first = next(iter(turned))
        raise CisflowError(
            f"{path}: its contigs are named in two ways: '{next(iter(same))}' as in {genome}, and '{first}', which is "
            f"'{turned[first]}' there. Rename them in one way."
        )
    if not same and not turned:
        raise CisflowError(
            f"{path}: none of its contigs ({_some(names)}) is in {genome} ({_some(sizes)}), with 'chr' before them or "
            "without. Is it of another genome?"
        )
    return same or turned


@dataclass(frozen=True)
class SharedContigs:
    """The contigs that a file and a genome have in common.

    Attributes
    ----------
    names
        The genome's name of a contig to the file's, where both have the same size.
    unlike
        The genome's name of a contig that has another size in the file, to an error message for who needs it.
    """

    names: dict[str, str]
    unlike: dict[str, str]

    def note(self, path: str | Path, genome: str | Path) -> list[str]:
        """Return what is to be logged of contigs with another size: nothing, or one line."""
        if not self.unlike:
            return []
        which = _some(self.unlike)
        return [f"{path}: {len(self.unlike):,} contigs have another size than in {genome} and are not used: {which}"]


def shared_contigs(
    declared: Mapping[str, int],
    sizes: Mapping[str, int],
    path: str | Path,
    genome: str | Path,
    verdict: str = "It is of another assembly.",
) -> SharedContigs:
    """Return the contigs that a file shares with a genome; one of another size is an error only where it is used.

    Parameters
    ----------
    declared, sizes
        Contigs of the file and of the genome, and their sizes in bases.
    path, genome
        The file and the genome, for messages.
    verdict
        What a message says where most sizes differ.

    Raises
    ------
    CisflowError
        No contig is of the genome, they are named in two ways, or all have another size there.
    """
    names = reconcile(declared, sizes, path, genome)
    differ = [own for own, name in names.items() if declared[own] != sizes[name]]
    same = len(names) - len(differ)
    if same >= len(differ):
        verdict = (
            f"{same:,} of {len(names):,} contigs have the same size in both, so that this one may be of another "
            "version (as chrM in hg19). Leave regions on it out, or give a file that has the genome's."
        )
    unlike = {
        names[own]: f"{path}: '{own}' has {declared[own]:,} bases in it, and {sizes[names[own]]:,} in {genome}. "
        + verdict
        for own in differ
    }
    if not same:
        raise CisflowError(next(iter(unlike.values())))
    return SharedContigs({name: own for own, name in names.items() if name not in unlike}, unlike)


def _other(name: str) -> str:
    return MITOCHONDRION.get(name) or (name.removeprefix("chr") if name.startswith("chr") else f"chr{name}")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


class OnGenome(NamedTuple):
    """Intervals on a genome, with its names of contigs, and how many rows were left out (or cut) and why.

    Attributes
    ----------
    table
        The intervals.
    elsewhere
        Rows on contigs that the genome does not have.
    beyond
        Rows that end beyond their contig.
    """

    table: pl.DataFrame
    elsewhere: int
    beyond: int


def on_genome(
    table: pl.DataFrame, sizes: Mapping[str, int], path: str | Path, genome: str | Path, beyond: str = "fail"
) -> OnGenome:
    """Return intervals with the genome's names of contigs.

    Parameters
    ----------
    table
        Columns chrom, start, end and line, as of `read_intervals`; others are kept.
    sizes, path, genome
        As in `reconcile`.
    beyond
        What is done with rows that end beyond their contig: `fail`, `drop`, or `cut` (at the end of the contig).

    Raises
    ------
    CisflowError
        The names cannot be reconciled, or an interval ends beyond its contig and must not; with its line.
    """
    names = reconcile(table["chrom"].unique(maintain_order=True), sizes, path, genome)
    known = table.filter(pl.col("chrom").is_in(list(names))).with_columns(pl.col("chrom").replace_strict(names))
    size = pl.col("chrom").replace_strict(dict(sizes), return_dtype=pl.Int64)
    wrong = known.filter(pl.col("end") > size)
    elsewhere = len(table) - len(known)
    if beyond == "drop":
        return OnGenome(known.filter(pl.col("end") <= size), elsewhere, len(wrong))
    if beyond == "cut":
        cut = known.filter(pl.col("start") < size).with_columns(end=pl.min_horizontal("end", size))
        return OnGenome(cut, elsewhere, len(wrong))
    if len(wrong):
        row = wrong.row(0, named=True)
        raise CisflowError(
            f"{path}, line {row['line']}: {row['chrom']}:{row['start']}-{row['end']} ends beyond the contig, which has "
            f"{sizes[row['chrom']]:,} bases in {genome}. {verdict_on_rows(len(wrong), len(known))} "
            "'rows_beyond_contig: drop' goes on without such rows, and counts them."
        )
    return OnGenome(known, elsewhere, 0)


def verdict_on_rows(wrong: int, total: int) -> str:
    """Return what rows that end beyond their contig say about their file, which depends on how many they are."""
    count = f"{wrong:,} of {total:,} rows are so"
    if wrong > FEW * total:
        return f"{count}: is the file of another assembly?"
    return f"{count}, and the others fit: it is hardly of another assembly."
