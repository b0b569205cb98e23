"""Lines of BED files and of UCSC's tables, as far as one needs to know to read them. Nothing is imported."""

from collections.abc import Sequence


def fields_of(line: str) -> list[str]:
    """Return the fields of a line of a BED file, which are separated by tabs or, where there is none, by blanks."""
    return line.split("\t") if "\t" in line else line.split()


def is_no_row(fields: Sequence[str]) -> bool:
    """Return whether a line that is not empty is a track, browser or comment line."""
    return fields[0].startswith("#") or fields[0].split()[:1] in (["track"], ["browser"])


def is_table_row(fields: Sequence[str]) -> bool:
    """Return whether fields are a row of a table of UCSC, as gap.txt: a bin number before contig, start and end."""
    if len(fields) < 4 or fields[1].strip().isdecimal():
        return False
    return all(fields[number].strip().isdecimal() for number in (0, 2, 3))
