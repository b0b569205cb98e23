"""Pinned manifests: the files of ENCODE that a task uses, by address and checksum, committed with its configuration."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cisflow.config.encode import Query, hash_of, wanted_of
from cisflow.config.strict import ACCESSION, NAME
from cisflow.errors import CisflowError
from cisflow.io import atomic

# Read by every process that parses the configuration, so neither here nor read by polars.
COLUMNS = (
    "accession", "file", "url", "md5", "size", "date", "status", "experiment", "assay", "target", "factor", "biosample",
    "biosample_type", "organism", "project", "lab", "output_type", "file_type", "assembly", "replicates",
    "preferred_default", "analysis_status", "treatments", "modification_methods", "modification_categories",
    "crosslinking", "audit_error", "audit_not_compliant", "audit_warning",
)  # fmt: skip
_PATTERNS = {
    "accession": (ACCESSION, "no accession of a file (ENCFF...)"),
    "file": (NAME, "no file name"),
    "url": (r"^https?://\S+$", "no address"),
    "md5": (r"^[0-9a-f]{32}$", "no MD5 checksum"),
    "size": (r"^[1-9][0-9]*$", "no size in bytes"),
}
_NOTES = ("wanted", "hash", "resolved", "server", "left_out")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """A pinned manifest.

    Attributes
    ----------
    rows
        A row a file, with the fields of COLUMNS as text.
    wanted
        Queries and accessions that it answers, as `wanted_of` makes them.
    resolved
        Date of the answer, YYYY-MM-DD.
    server
        Which server gave it.
    left_out
        How many files of the experiments were left out, by reason.
    """

    rows: Sequence[Row]
    wanted: Mapping[str, Any]
    resolved: str
    server: str
    left_out: Mapping[str, int]

    def answers(self, wanted: dict[str, Any]) -> bool:
        """Return whether it was made for what a task wants now; keys that Query has got since are at their default."""
        try:
            queries = [Query.model_validate(query) for query in self.wanted["queries"]]
            return hash_of(wanted_of(queries, self.wanted["accessions"])) == hash_of(wanted)
        except (ValidationError, KeyError, TypeError):
            return False


def changes_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return in words how what a task wants of ENCODE differs from what it wanted (see `wanted_of`)."""
    found = []
    if len(old["queries"]) != len(new["queries"]):
        found.append(f"queries: {len(old['queries'])} -> {len(new['queries'])}")
    for before, after in zip(old["queries"], new["queries"], strict=False):
        keys = [key for key in after if key in before and before[key] != after[key]]
        found += [f"{key}: {_words(before[key])} -> {_words(after[key])}" for key in keys]
    for verb, accessions in (
        ("without", sorted(set(old["accessions"]) - set(new["accessions"]))),
        ("with", sorted(set(new["accessions"]) - set(old["accessions"]))),
    ):
        if accessions:
            found.append(f"{verb} {', '.join(accessions)}")
    return "; ".join(found) or "other settings"


def _words(value: Any) -> str:
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "none"


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Write a manifest: notes in lines that begin with #, then a table; rows in the order of their accessions."""
    notes = {
        "wanted": manifest.wanted,
        "hash": hash_of(dict(manifest.wanted)),
        "resolved": manifest.resolved,
        "server": manifest.server,
        "left_out": dict(manifest.left_out),
    }
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        file.write("# Files of ENCODE, pinned by 'cisflow encode pin'; commit it. 'cisflow encode diff' compares it.\n")
        for key, value in notes.items():
            file.write(f"# {key}: {json.dumps(value, sort_keys=True)}\n")
        table = csv.DictWriter(file, COLUMNS, extrasaction="ignore", delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(sorted(manifest.rows, key=lambda row: row["accession"]))


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest and check every row.

    Raises
    ------
    CisflowError
        It is missing, is none, or has been changed by hand; all problems, with their lines.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise CisflowError(f"{path}: it is not a text file in UTF-8 ({error.reason}).") from error
    notes = _notes(path, [line for line in lines if line.startswith("#")])
    table = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not table or tuple(table[0][1].split("\t")) != COLUMNS:
        where = f"{path}:{table[0][0]}" if table else f"{path}"
        raise CisflowError(f"{where}: the columns must be {', '.join(COLUMNS)}. Pin it again.")
    rows, problems = _rows(path, table[1:])
    if hash_of(notes["wanted"]) != notes["hash"]:
        problems.insert(0, f"{path}: 'wanted' is not what was pinned; it was changed by hand.")
    if problems:
        raise CisflowError("\n".join([*problems, "Pin it again ('cisflow encode pin', with --force)."]))
    return Manifest(rows, *(notes[key] for key in ("wanted", "resolved", "server", "left_out")))


def _notes(path: Path, lines: list[str]) -> dict[str, Any]:
    found = {}
    for line in lines:
        key, _, text = line.removeprefix("# ").partition(": ")
        if key in _NOTES:
            try:
                found[key] = json.loads(text)
            except ValueError:
                raise CisflowError(f"{path}: the note '{key}' is not JSON. Pin it again.") from None
    if missing := [key for key in _NOTES if key not in found]:
        raise CisflowError(f"{path}: it is no manifest of cisflow; there is no '# {missing[0]}:'. Pin it again.")
    return found


def _rows(path: Path, lines: list[tuple[int, str]]) -> tuple[list[Row], list[str]]:
    rows, problems, seen = [], [], {}
    for number, line in lines:
        (fields,) = csv.reader([line], delimiter="\t")
        if len(fields) != len(COLUMNS):
            problems.append(f"{path}:{number}: it has {len(fields)} fields and should have {len(COLUMNS)}.")
            continue
        row = dict(zip(COLUMNS, fields, strict=True))
        for column, (pattern, text) in _PATTERNS.items():
            if not re.search(pattern, row[column]):
                problems.append(f"{path}:{number}: {column}: '{row[column]}' is {text}.")
        accession = row["accession"]
        if accession in seen:
            problems.append(f"{path}:{number}: {accession} stands here again; it was first on line {seen[accession]}.")
        seen[accession] = number
        rows.append(row)
    return rows, problems


# What may change at ENCODE under the same accession.
WATCHED = ("md5", "size", "status", "url", "audit_error", "audit_not_compliant", "audit_warning")


@dataclass(frozen=True)
class Difference:
    """How a fresh answer differs from a pinned one.

    Attributes
    ----------
    added, gone
        Rows that are only in the fresh answer, and only in the pinned one.
    changed
        By accession, the changed columns with their old and new values.
    """

    added: Sequence[Row]
    gone: Sequence[Row]
    changed: Mapping[str, Mapping[str, tuple[str, str]]]

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.changed)


def difference(pinned: Sequence[Row], fresh: Sequence[Row]) -> Difference:
    """Compare two sets of rows by accession; of files in both, the columns WATCHED."""
    old, new = ({row["accession"]: row for row in rows} for rows in (pinned, fresh))
    changed = {
        accession: {key: (old[accession][key], row[key]) for key in WATCHED if old[accession][key] != row[key]}
        for accession, row in new.items()
        if accession in old
    }
    return Difference(
        [row for accession, row in new.items() if accession not in old],
        [row for accession, row in old.items() if accession not in new],
        {accession: columns for accession, columns in changed.items() if columns},
    )
