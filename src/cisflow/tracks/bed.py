"""BED files: reading with all their columns, and lifting with an account of every row."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cisflow.errors import CisflowError
from cisflow.io import atomic, write_tsv
from cisflow.tables import DROPPED
from cisflow.tracks.beginnings import fields_of, is_no_row
from cisflow.tracks.chains import Chains, lines_of, read_chains, whole
from cisflow.tracks.liftover import LIFTED, REASONS, Lifted, Rules, contig_codes, lift_intervals

TURNED = {"+": "-", "-": "+"}
MEANING = {
    "no_chain": "their contig is in no chain",
    "deleted": "no base of them is in the target",
    "partial": "too few of their bases are in the target",
    "split": "their bases are on several chains, on none enough",
    "duplicated": "several chains carry them",
    "length": "their length changes too much",
    "strand": "they turn round",
}


@dataclass(frozen=True)
class Bed:
    """Rows of a BED file.

    Attributes
    ----------
    path
        The file, for messages.
    fields
        All fields of each row as text, N lists.
    start, end
        0-based, half-open, [N].
    line
        Line of each row in the file, [N].
    skipped
        How many track, browser and comment lines were left out.
    """

    path: Path
    fields: list[list[str]]
    start: np.ndarray
    end: np.ndarray
    line: np.ndarray
    skipped: int


def read_bed(path: str | Path, first: int = 0) -> Bed:
    """Read a BED file of three columns or more, plain or gzipped; empty lines are passed over.

    `first` is the number of the column that has the contig; what is before it is left out.

    Raises
    ------
    CisflowError
        The file cannot be read, has no row, or a line is no row of a BED file; with its line.
    """
    path = Path(path)
    rows, places, skipped = [], [], 0
    for number, line in lines_of(path):
        fields = fields_of(line)
        if not fields:
            continue
        if is_no_row(fields):
            skipped += 1
            continue
        fields = fields[first:]
        places.append((*_place(path, number, fields), number))
        rows.append([fields[0].strip(), *fields[1:]])
    if not rows:
        raise CisflowError(f"{path}: there is no row in it.")
    start, end, line = np.array(places, np.int64).T
    return Bed(path, rows, start, end, line, skipped)


def _place(path: Path, number: int, fields: list[str]) -> tuple[int, int]:
    try:
        start, end = whole(fields[1]), whole(fields[2])
    except (IndexError, ValueError):
        page = " It is an HTML or XML page." if fields[0].lstrip().startswith("<") else ""
        raise CisflowError(
            f"{path}, line {number}: a row is contig, start and end, separated by tabs, and this one is "
            f"{' '.join(fields)[:60]!r}.{page}"
        ) from None
    if not 0 <= start < end < 1 << 34:
        raise CisflowError(
            f"{path}, line {number}: {start} to {end} is no interval; start counts from 0, and end is greater."
        )
    return start, end


def lift_bed(chain: Path, bed: Path, output: Path, rules: Rules) -> list[str]:
    """Lift a BED file and write what was lifted, and beside it the table of what was dropped; return what to tell.

    Columns after the third are kept as they are, but the strand (column 6) of an interval that turns round.

    Raises
    ------
    CisflowError
        A file is not right, or the intervals are not of the assembly that the chains start from.
    """
    table = dropped_path(output)
    if bed.resolve() in (output.resolve(), table.resolve()) or chain.resolve() in (output.resolve(), table.resolve()):
        raise CisflowError(f"--out {output} would overwrite what is read; give another name.")
    chains, rows = read_chains(chain), read_bed(bed)
    names = [fields[0] for fields in rows.fields]
    contig = contig_codes(chains, names)
    _check_assembly(chains, rows, contig)
    lifted = lift_intervals(chains, contig, rows.start, rows.end, rules)
    dropped = np.flatnonzero(lifted.reason != LIFTED).tolist()
    # Both, or neither.
    with atomic(table) as partial:
        write_tsv(partial, DROPPED, (_dropped(rows.fields[row], REASONS[lifted.reason[row]]) for row in dropped))
        _write(output, chains, rows, lifted)
    return _account(rows, lifted, output, table)


def dropped_path(output: Path) -> Path:
    """Return where the table of dropped rows is: beside the output, named after it."""
    name = output.name.removesuffix(".gz").removesuffix(".bed")
    return output.with_name(f"{name}.dropped.tsv")


def _dropped(fields: list[str], reason: str) -> dict[str, str]:
    name = fields[3] if len(fields) > 3 else ""
    return dict(zip(DROPPED, (*fields[:3], name, reason), strict=True))


def _check_assembly(chains: Chains, rows: Bed, contig: np.ndarray) -> None:
    """Refuse intervals of other contigs, or beyond the ends of contigs: they are of another assembly."""
    if (contig < 0).all():
        name = rows.fields[0][0]
        other = name.removeprefix("chr") if name.startswith("chr") else f"chr{name}"
        hint = f" They call it '{other}': rename the contigs of one file." if other in chains.sources else ""
        raise CisflowError(
            f"{rows.path}: no contig of it (the first is '{name}') is one that the chains of {chains.path} start from "
            f"({', '.join(list(chains.sources)[:3])} ...).{hint}"
        )
    sizes = np.array(list(chains.sources.values()))
    beyond = np.flatnonzero((contig >= 0) & (rows.end > sizes[contig]))
    if len(beyond):
        row = beyond[0]
        name, size = rows.fields[row][0], sizes[contig[row]]
        there = chains.targets.get(name, 0)
        turned = f" The target's {name} has {there:,}: is the chain of the other direction?" if there > size else ""
        raise CisflowError(
            f"{rows.path}, line {rows.line[row]}: the interval ends at {rows.end[row]:,}, and {name} has {size:,} "
            f"bases in the assembly that {chains.path} starts from. The intervals are of another one ({len(beyond):,} "
            f"end beyond their contig).{turned}"
        )


def _write(output: Path, chains: Chains, rows: Bed, lifted: Lifted) -> None:
    names = list(chains.targets)
    with atomic(output) as partial, partial.open("wb") as raw:
        zipped = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if output.suffix == ".gz" else raw
        columns = (lifted.contig, lifted.start, lifted.end, lifted.strand)
        for fields, contig, start, end, strand in zip(rows.fields, *(c.tolist() for c in columns), strict=True):
            if strand == 0:
                continue
            further = fields[3:]
            if strand < 0 and len(further) > 2:
                further[2] = TURNED.get(further[2], further[2])
            zipped.write("\t".join([names[contig], str(start), str(end), *further]).encode("latin-1"))
            zipped.write(b"\n")
        if zipped is not raw:
            zipped.close()


def _account(rows: Bed, lifted: Lifted, output: Path, table: Path) -> list[str]:
    counts = np.bincount(lifted.reason, minlength=len(REASONS))
    notes = [f"{output}: {counts[LIFTED]:,} of {len(rows.fields):,} intervals lifted"]
    if counts[LIFTED] < len(rows.fields):
        notes.append(f"{table}: {len(rows.fields) - counts[LIFTED]:,} dropped")
        notes += [f"  {counts[REASONS.index(r)]:,} {r}: {MEANING[r]}" for r in REASONS[1:] if counts[REASONS.index(r)]]
    if rows.skipped:
        notes.append(f"{rows.skipped:,} track, browser or comment lines left out")
    if max(map(len, rows.fields)) > 6:
        notes.append("columns after the sixth are kept as they are: coordinates in them are not lifted")
    return notes
