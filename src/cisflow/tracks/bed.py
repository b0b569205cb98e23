"""BED files: reading with all their columns, and lifting with an account of every row."""

import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cisflow.errors import CisflowError
from cisflow.io import atomic, write_tsv
from cisflow.tables import DROPPED
from cisflow.tracks.bed_lines import fields_of, is_no_row
from cisflow.tracks.chains import Chains, lines_of, read_chains, whole
from cisflow.tracks.contigs import verdict_on_rows
from cisflow.tracks.liftover import LIFTED, REASONS, Lifted, Rules, contig_codes, lift_by, lift_intervals

TURNED = {"+": "-", "-": "+"}
MEANING = {
    "no_chain": "their contig is in no chain",
    "deleted": "no base of them is in the target",
    "partial": "too few of their bases are in the target",
    "split": "their bases are on several chains, on none enough",
    "duplicated": "several chains carry them",
    "length": "their length changes too much",
    "strand": "they turn round",
    "beyond": "they end beyond their contig",
}
# Columns of a narrowPeak file, from 0: strand, numbers, and the summit, counted from the start; -1: none was called.
STRAND, NARROW_PEAK_NUMBERS, SUMMIT = 5, (6, 7, 8), 9


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


def lift_bed(
    chain: Path, bed: Path, output: Path, rules: Rules, kind: str = "auto", drop_beyond: bool = False
) -> list[str]:
    """Lift a BED file and write what was lifted, and beside it the table of what was dropped; return what to tell.

    Columns after the third are kept as they are, but the strand (column 6) of an interval that turns round, and the
    summit of a narrowPeak file (column 10), which is lifted by the chain of its interval; it becomes -1 where its base
    is on no block of it.

    Parameters
    ----------
    chain, bed, output
        The chain file, the BED file, and the file to write.
    rules
        When an interval is lifted.
    kind
        `bed`, `narrowpeak`, or `auto`: narrowPeak if its name says so, or if all its rows have the ten columns of that
        format.
    drop_beyond
        Whether rows that end beyond their contig are dropped; else they are an error.

    Raises
    ------
    CisflowError
        A file is not right, or the intervals are not of the assembly that the chains start from.
    """
    table = dropped_path(output)
    if bed.resolve() in (output.resolve(), table.resolve()) or chain.resolve() in (output.resolve(), table.resolve()):
        raise CisflowError(f"--out {output} would overwrite what is read; give another name.")
    chains, rows = read_chains(chain), read_bed(bed)
    summits = _summits(rows, kind)
    contig = contig_codes(chains, [fields[0] for fields in rows.fields])
    beyond = _check_assembly(chains, rows, contig, drop_beyond)
    lifted = lift_intervals(chains, np.where(beyond, -1, contig), rows.start, rows.end, rules)
    reason = np.where(beyond, "beyond", np.array(REASONS)[lifted.reason])
    notes = _account(rows, reason, output, table)
    if summits is not None:
        notes += _lift_summits(chains, rows, lifted, summits)
    elif max(map(len, rows.fields)) > 6:
        notes.append("columns after the sixth are kept as they are: coordinates in them are not lifted")
    dropped = np.flatnonzero(reason != REASONS[LIFTED]).tolist()
    # Both, or neither.
    with atomic(table) as partial:
        write_tsv(partial, DROPPED, (_dropped(rows.fields[row], reason[row]) for row in dropped))
        _write(output, chains, rows, lifted)
    return notes


def _summits(rows: Bed, kind: str) -> np.ndarray | None:
    """Return the summits of a narrowPeak file, [N]; None for another BED file."""
    named = rows.path.name.lower().removesuffix(".gz").endswith(".narrowpeak")
    if kind == "bed":
        return None
    try:
        return np.array([_summit(rows, row) for row in range(len(rows.fields))], np.int64)
    except CisflowError:
        if kind == "narrowpeak" or named:
            raise
        return None


def _summit(rows: Bed, row: int) -> int:
    fields, length = rows.fields[row], rows.end[row] - rows.start[row]
    try:
        right = len(fields) == SUMMIT + 1 and fields[STRAND].strip() in ("+", "-", ".")
        numbers, summit = [float(fields[column]) for column in NARROW_PEAK_NUMBERS], whole(fields[SUMMIT])
        right &= bool(np.isfinite(numbers).all()) and -1 <= summit < length
    except (IndexError, ValueError):
        right = False
    if not right:
        raise CisflowError(
            f"{rows.path}, line {rows.line[row]}: a row of a narrowPeak file has ten columns: the sixth is a strand, "
            f"three numbers follow, and the tenth is the summit, from -1 to {length - 1:,} here. Of another BED file "
            "say --format bed, which keeps columns after the sixth as they are."
        )
    return summit


def _lift_summits(chains: Chains, rows: Bed, lifted: Lifted, summits: np.ndarray) -> list[str]:
    """Put lifted summits into the rows; return what to tell."""
    called = (summits >= 0) & (lifted.reason == LIFTED)
    place = lift_by(chains, lifted.chain, rows.start + summits)
    there = called & (place >= 0)
    for fields, summit in zip(rows.fields, np.where(there, place - lifted.start, -1).tolist(), strict=True):
        fields[SUMMIT] = str(summit)
    notes = [f"narrowPeak: {there.sum():,} summits lifted"]
    if lost := int((called & ~there).sum()):
        notes.append(f"  {lost:,} summits are -1: their base is not in the target")
    return notes


def dropped_path(output: Path) -> Path:
    """Return where the table of dropped rows is: beside the output, named after it."""
    name = output.name.removesuffix(".gz").removesuffix(".bed")
    return output.with_name(f"{name}.dropped.tsv")


def _dropped(fields: list[str], reason: str) -> dict[str, str]:
    name = fields[3] if len(fields) > 3 else ""
    return dict(zip(DROPPED, (*fields[:3], name, reason), strict=True))


def _check_assembly(chains: Chains, rows: Bed, contig: np.ndarray, drop_beyond: bool) -> np.ndarray:
    """Refuse intervals of other contigs; return which end beyond their contig, and refuse these unless they may."""
    if (contig < 0).all():
        name = rows.fields[0][0]
        other = name.removeprefix("chr") if name.startswith("chr") else f"chr{name}"
        hint = f" They call it '{other}': rename the contigs of one file." if other in chains.sources else ""
        raise CisflowError(
            f"{rows.path}: no contig of it (the first is '{name}') is one that the chains of {chains.path} start from "
            f"({', '.join(list(chains.sources)[:3])} ...).{hint}"
        )
    sizes = np.array(list(chains.sources.values()))
    beyond = (contig >= 0) & (rows.end > sizes[contig])
    if beyond.any() and not drop_beyond:
        row = int(np.argmax(beyond))
        name, size = rows.fields[row][0], sizes[contig[row]]
        there = chains.targets.get(name, 0)
        turned = f" The target's {name} has {there:,}: is the chain of the other direction?" if there > size else ""
        verdict = verdict_on_rows(int(beyond.sum()), int((contig >= 0).sum()))
        raise CisflowError(
            f"{rows.path}, line {rows.line[row]}: the interval ends at {rows.end[row]:,}, and {name} has {size:,} "
            f"bases in the assembly that {chains.path} starts from. {verdict}{turned} --drop-beyond drops such rows "
            "and counts them."
        )
    return beyond


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


def _account(rows: Bed, reason: np.ndarray, output: Path, table: Path) -> list[str]:
    counts = Counter(reason.tolist())
    kept = counts.pop(REASONS[LIFTED], 0)
    notes = [f"{output}: {kept:,} of {len(rows.fields):,} intervals lifted"]
    if counts:
        notes.append(f"{table}: {counts.total():,} dropped")
        notes += [f"  {counts[key]:,} {key}: {meaning}" for key, meaning in MEANING.items() if counts[key]]
    if rows.skipped:
        notes.append(f"{rows.skipped:,} track, browser or comment lines left out")
    return notes
