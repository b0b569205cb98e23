"""The table of a mirror folder, `checksums.tsv`: of each file its size, SHA-256, origin, licence, and when it came."""

import csv
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from cisflow.errors import CisflowError
from cisflow.io import sha256, write_tsv

TABLE = "checksums.tsv"
COLUMNS = ("file", "bytes", "sha256", "url", "licence", "fetched")
_MEND = f"Correct the line, or delete {TABLE} and fetch again: files that are there are checked and written down anew."


@dataclass(frozen=True)
class Record:
    """A file of a mirror: `file` is its path in it, `url` where it was to be had, `fetched` the day it came."""

    file: str
    bytes: int
    sha256: str
    url: str
    licence: str
    fetched: str

    def problem(self, path: Path) -> str | None:
        """Return why a file is not the recorded one, or None."""
        if (found := path.stat().st_size) != self.bytes:
            return f"it has {found:,} bytes and had {self.bytes:,} when it was fetched"
        if (found := sha256(path)) != self.sha256:
            return f"its sha256 is {found} and was {self.sha256} when it was fetched"
        return None


def read_records(folder: str | Path) -> dict[str, Record]:
    """Read the table of a folder, by file; nothing, if there is none.

    Raises
    ------
    CisflowError
        It is no such table; all lines that are wrong.
    """
    path = Path(folder) / TABLE
    # Something else of this name, as a named pipe, is passed over.
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CisflowError(f"{path}: it is not a text file in UTF-8 ({error.reason}). {_MEND}") from error
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise CisflowError(f"{path}:1: the columns must be {', '.join(COLUMNS)}. {_MEND}")
    records, problems = {}, []
    for number, fields in enumerate(csv.reader(lines[1:], delimiter="\t"), 2):
        if problem := _problem(fields) or (f"{fields[0]} stands there again" if fields[0] in records else None):
            problems.append(f"{path}:{number}: {problem}.")
        else:
            row = dict(zip(COLUMNS, fields, strict=True))
            records[row["file"]] = Record(**row | {"bytes": int(row["bytes"])})
    if problems:
        raise CisflowError("\n".join([*problems, _MEND]))
    return records


def _problem(fields: list[str]) -> str | None:
    if len(fields) != len(COLUMNS):
        return f"it has {len(fields)} fields and should have {len(COLUMNS)}"
    file, size, digest = fields[:3]
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts:
        return f"file: '{file}' is no path inside the folder"
    if not size.isdecimal():
        return f"bytes: '{size}' is no number of bytes"
    return None if re.fullmatch("[0-9a-f]{64}", digest) else f"sha256: '{digest}' is no SHA-256 checksum"


def write_records(folder: str | Path, records: Mapping[str, Record]) -> None:
    """Write the table of a folder, in the order of its files."""
    write_tsv(Path(folder) / TABLE, COLUMNS, (asdict(records[file]) for file in sorted(records)))
