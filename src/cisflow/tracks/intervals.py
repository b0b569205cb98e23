"""Tables of intervals from BED files of any size and kind: BED, narrowPeak, broadPeak, bedGraph."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from cisflow.errors import CisflowError
from cisflow.tracks.bed import read_bed
from cisflow.tracks.bed_lines import fields_of, is_no_row, is_table_row
from cisflow.tracks.chains import lines_of, whole

# Columns of the ENCODE formats, from 0; see https://genome.ucsc.edu/FAQ/FAQformat.html#format12 and 13.
NARROW_PEAK = {"name": 3, "strand": 5, "signal": 6, "summit": 9}
NUMBERS = {"signal": pl.Float64, "summit": pl.Int64, "value": pl.Float64, "score": pl.Float64}
# Positions beyond this are no positions (a contig of 2^34 bases).
LARGEST = 1 << 34


def read_intervals(
    path: str | Path, columns: Mapping[str, int] | None = None, tables: bool = False, optional: Collection[str] = ()
) -> pl.DataFrame:
    """Read the intervals of a BED file, plain or gzipped, in the order of the file.

    Parameters
    ----------
    path
        The file. Track, browser and comment lines and empty lines are passed over.
    columns
        Further columns to take: name to number in the file, from 0. Those named in `NUMBERS` are read as numbers, the
        others as text.
    tables
        Whether the file may also be a table of UCSC, as gap.txt: a bin number, then the columns of a BED file.
    optional
        Those of `columns` that may be missing, in the file or in a row; they are null there.

    Returns
    -------
    DataFrame
        chrom (text), start, end (0-based, half-open), line (of the file, from 1), and the further columns.

    Raises
    ------
    CisflowError
        The file is missing, empty or damaged, or a row is no interval, lacks a column, or has a text for a number;
        with its line.
    """
    path, columns = Path(path), dict(columns or {})
    row = _first_row(path) if tables or optional else ()
    # The column of the contig: 1 in a table of UCSC.
    first = int(tables and is_table_row(row))
    there = {name: number for name, number in columns.items() if name not in optional or first + number < len(row)}
    table = _fast(path, there, first)
    if table is None:
        return _slow(path, columns, first, optional)
    return table.with_columns(pl.lit(None, _type(name)).alias(name) for name in columns if name not in there)


def _first_row(path: Path) -> list[str]:
    rows = (fields for _, line in lines_of(path) if (fields := fields_of(line)) and not is_no_row(fields))
    return next(rows, [])


def _type(name: str) -> type[pl.DataType]:
    return NUMBERS.get(name, pl.String)


def _fast(path: Path, columns: Mapping[str, int], first: int) -> pl.DataFrame | None:
    """Return the table of a file of clean tabulated rows; None for any other, about which `_slow` can say more."""
    wanted = {name: first + number for name, number in {"chrom": 0, "start": 1, "end": 2, **columns}.items()}
    try:
        with path.open("rb") as file:
            head = file.read(1 << 12)
        if not head or head[:1] in b"#tb<\n\r " or (head[:2] != b"\x1f\x8b" and b"\r" in head):
            return None
        table = pl.read_csv(
            path, separator="\t", has_header=False, infer_schema=False, quote_char=None, encoding="utf8",
            columns=sorted(set(wanted.values())),
        )  # fmt: skip
    except (OSError, pl.exceptions.PolarsError):
        return None
    names = dict(zip(sorted(set(wanted.values())), table.columns, strict=True))
    table = table.select(pl.col(names[number]).alias(name) for name, number in wanted.items())
    types = {"start": pl.Int64, "end": pl.Int64} | {name: NUMBERS[name] for name in columns if name in NUMBERS}
    table = table.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in types.items())
    right = (pl.col("start") >= 0) & (pl.col("start") < pl.col("end")) & (pl.col("end") < LARGEST)
    finite = [pl.col(name).is_finite() for name, kind in types.items() if kind == pl.Float64]
    sound = pl.all_horizontal(right, *finite).fill_null(False) & ~pl.col("chrom").str.contains(r"[\s#]|^$")
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in wanted)
    if not len(table) or not table.select((sound & whole).all()).item():
        return None
    # Empty lines cannot be among the rows, so that each row is a line.
    return table.with_columns(line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


def _slow(path: Path, columns: Mapping[str, int], first: int, optional: Collection[str]) -> pl.DataFrame:
    bed = read_bed(path, first)
    further: dict[str, list] = {name: [] for name in columns}
    for fields, line in zip(bed.fields, bed.line, strict=True):
        for name, number in columns.items():
            absent = name in optional and number >= len(fields)
            further[name].append(None if absent else _field(path, fields, line, name, number))
    chrom = [fields[0] for fields in bed.fields]
    return pl.DataFrame(
        {"chrom": chrom, "start": bed.start, "end": bed.end, **further, "line": bed.line},
        schema_overrides={name: _type(name) for name in columns},
    )


def _field(path: Path, fields: list[str], line: int, name: str, number: int) -> str | int | float:
    try:
        text = fields[number]
        value = text if name not in NUMBERS else whole(text) if NUMBERS[name] == pl.Int64 else float(text)
        if isinstance(value, float) and "_" in text:
            raise ValueError
    except IndexError:
        raise CisflowError(
            f"{path}, line {line}: it has {len(fields)} columns, and the {name} is read from column {number + 1}."
        ) from None
    except ValueError:
        raise CisflowError(f"{path}, line {line}: column {number + 1}, the {name}, is {text!r}, no number.") from None
    if isinstance(value, float) and not np.isfinite(value):
        raise CisflowError(f"{path}, line {line}: column {number + 1}, the {name}, is {text!r}, no finite number.")
    return value
