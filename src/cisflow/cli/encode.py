"""`cisflow encode`: look for files at ENCODE, pin those that a task uses, and see what has changed since."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cisflow.cli.console import VisibleConsole
from cisflow.errors import CisflowError

if TYPE_CHECKING:
    from cisflow.config.project import Project
    from cisflow.sources.encode import Selection
    from cisflow.sources.manifest import Difference, Manifest, Row

app = typer.Typer(help="Find files at ENCODE, pin those of a task, and compare.", no_args_is_help=True)
out = VisibleConsole()
# Columns of the table of files.
SHOWN = ("accession", "assay", "factor", "biosample", "output_type", "file_type", "replicates", "size", "experiment")

Config = Annotated[Path, typer.Option("--config", help="Configuration.", metavar="FILE")]
CONFIG = Path("config/config.yaml")
Words = list[str] | None


@app.command()
def search(
    assay: Annotated[Words, typer.Option(help="As 'TF ChIP-seq'; may be given again.")] = None,
    biosample: Annotated[Words, typer.Option(help="Term, as K562; may be given again.")] = None,
    target: Annotated[Words, typer.Option(help="Label, as CTCF; may be given again.")] = None,
    organism: Annotated[str | None, typer.Option(help="Scientific name. [default: Homo sapiens]")] = None,
    assembly: Annotated[str | None, typer.Option(help="[default: GRCh38]")] = None,
    file_type: Annotated[Words, typer.Option(help="[default: bed narrowPeak]")] = None,
    output_type: Annotated[Words, typer.Option(help="Best first; may be given again.")] = None,
    require_empty: Annotated[
        Words, typer.Option(help="Column of ENCODE's metadata that must be empty, as 'Audit ERROR'; in place of all.")
    ] = None,
    replicates: Annotated[Words, typer.Option(help="Best first, as '1, 2'; may be given again.")] = None,
    max_files: Annotated[int | None, typer.Option(help="Files in all.")] = None,
    accession: Annotated[Words, typer.Option(help="File that is taken anyway; may be given again.")] = None,
) -> None:
    """Show the files that a query takes, and how many are left out by which reason.

    The options are keys of `encode:` in a task, where there are some more.
    """
    from cisflow.config.encode import Query
    from cisflow.config.strict import validate
    from cisflow.config.yaml import Section
    from cisflow.sources.encode import Encode, resolve

    given = Section()
    options = {
        "assay": assay, "biosample": biosample, "target": target, "organism": organism, "assembly": assembly,
        "file_type": file_type, "output_type": output_type, "require_empty": require_empty, "replicates": replicates,
        "max_files": max_files, "accessions": accession,
    }  # fmt: skip
    for key, value in options.items():
        if value is not None:
            given[key], given.lines[key] = value, "--" + key.replace("_", "-")
    query = validate(Query, given)
    with Encode() as client:
        found = resolve(client, [query], ())
    _show(found)


@app.command()
def pin(
    task: Annotated[str, typer.Argument(help="Task whose data set has `encode:`, or files with accessions.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the manifest.")] = False,
    config: Config = CONFIG,
) -> None:
    """Ask ENCODE for the files of a task and write them down: addresses, checksums, sizes, dates, audits.

    The manifest belongs to the configuration: commit it. Where there is one, the difference is shown, and --force
    replaces it.
    """
    from cisflow.config.project import load_project
    from cisflow.sources.manifest import Manifest, changes_of, difference, write_manifest

    project = load_project(config)
    path, wanted = project.manifest_file(task), _wanted(project, task)
    old = _read(path, force)
    found, server = _fresh(wanted)
    if not found.rows:
        _show(found)
        if old:
            out.print(f"{path}: it stays as it is ({len(old.rows)} files of {old.resolved})", soft_wrap=True)
        raise CisflowError(f"task '{task}': ENCODE has no file of its query; the reasons are above. Nothing is pinned.")
    if old and old.answers(wanted) and not difference(old.rows, found.rows):
        out.print(f"{path}: {len(old.rows)} files, as at ENCODE today", soft_wrap=True)
        return
    if old:
        _tell(difference(old.rows, found.rows), found)
        if not force:
            other = "" if old.answers(wanted) else f" for another query ({changes_of(old.wanted, wanted)})"
            raise CisflowError(f"{path}: it is pinned already ({old.resolved}){other}. --force replaces it.")
    write_manifest(path, Manifest(found.rows, wanted, datetime.now(UTC).date().isoformat(), server, found.left_out))
    _show(found)
    out.print(f"{path}: {len(found.rows)} files, {_bytes(found.rows)}; commit it", soft_wrap=True)


@app.command()
def diff(
    task: Annotated[str, typer.Argument(help="Task whose files are pinned.")],
    config: Config = CONFIG,
) -> None:
    """Compare a task's pinned files with what ENCODE answers today; the exit status is 1 when they differ."""
    from cisflow.config.project import load_project
    from cisflow.sources.manifest import changes_of, difference, read_manifest

    project = load_project(config)
    path, wanted = project.manifest_file(task), _wanted(project, task)
    if not path.exists():
        raise CisflowError(f"task '{task}': there is no {path}. Run: cisflow encode pin {task}")
    old = read_manifest(path)
    found, _ = _fresh(wanted)
    changes = difference(old.rows, found.rows)
    if not old.answers(wanted):
        out.print(f"The query, or the accessions, have changed since {old.resolved}: {changes_of(old.wanted, wanted)}.")
    _tell(changes, found)
    if changes or not old.answers(wanted):
        raise typer.Exit(1)
    out.print(f"{path}: {len(old.rows)} files, as at ENCODE today", soft_wrap=True)


def _wanted(project: "Project", name: str) -> dict[str, Any]:
    from cisflow.config.encode import wanted_of
    from cisflow.config.files import accessions_of, queries_of

    task = project.task(name)
    wanted = wanted_of(queries_of(task), accessions_of(task))
    if not wanted["queries"] and not wanted["accessions"]:
        raise CisflowError(f"task '{name}': its data set has neither a query (`encode:`) nor a file with an accession.")
    return wanted


def _read(path: Path, force: bool) -> "Manifest | None":
    """Return the manifest that is there; a broken one is only an error if it is not to be replaced."""
    from cisflow.sources.manifest import read_manifest

    try:
        return read_manifest(path) if path.exists() else None
    except CisflowError:
        if force:
            return None
        raise


def _fresh(wanted: Mapping[str, Any]) -> tuple["Selection", str]:
    from cisflow.config.encode import Query
    from cisflow.sources.encode import Encode, resolve

    queries: list[Query] = [Query.model_validate(query) for query in wanted["queries"]]
    with Encode() as client:
        return resolve(client, queries, wanted["accessions"]), client.server


def _show(found: "Selection") -> None:
    if found.rows:
        # Lines are left whole: a terminal breaks them where it must, and other programs read them.
        lines = [SHOWN, *([row[column] for column in SHOWN] for row in found.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            text = "  ".join(field.ljust(width) for field, width in zip(line, widths, strict=True))
            out.print(text.rstrip(), markup=False, soft_wrap=True)
    out.print(f"{len(found.rows)} files are taken, {_bytes(found.rows)}; {len(found.reasons)} are left out")
    for reason, count in found.left_out.items():
        out.print(f"  {count:>7,}  {reason}", markup=False)
    _note(found)


def _note(found: "Selection") -> None:
    for note in found.notes:
        out.print(f"note: {note}", markup=False, soft_wrap=True)


def _bytes(rows: Sequence["Row"]) -> str:
    return f"{sum(int(row['size']) for row in rows) / 1e6:,.1f} MB"


def _tell(changes: "Difference", found: "Selection") -> None:
    for row in changes.added:
        out.print(f"added    {row['accession']}  {row['factor']}, {row['biosample']}", markup=False)
    for row in changes.gone:
        why = found.reasons.get(row["accession"], "not in the answer")
        out.print(f"gone     {row['accession']}  {row['factor']}, {row['biosample']}: {why}", markup=False)
    for accession, columns in changes.changed.items():
        for column, (old, new) in columns.items():
            out.print(
                f"changed  {accession}  {column}: {old or 'none'} -> {new or 'none'}", markup=False, soft_wrap=True
            )
    _note(found)
