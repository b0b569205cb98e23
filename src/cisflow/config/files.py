"""Where the files are that tasks name: those of sources, at addresses, and of ENCODE, as files of a source each."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from cisflow.config.assemblies import assembly_of
from cisflow.config.encode import Query, wanted_of
from cisflow.config.places import Genome, Place, located_places, places_of
from cisflow.config.sources import File, Source
from cisflow.config.strict import NAME, Name, did_you_mean
from cisflow.config.tasks import Task
from cisflow.config.yaml import Section, place
from cisflow.errors import CisflowError
from cisflow.sources.manifest import Manifest, Row, changes_of, read_manifest

# Sources that are made of what tasks name.
ENCODE, URLS = MADE_SOURCES = "encode", "urls"


def queries_of(task: Task) -> list[Query]:
    """Return the queries of a task's data set to ENCODE."""
    found = getattr(task.dataset, "encode", None)
    return [found] if isinstance(found, Query) else list(found or ())


def accessions_of(task: Task) -> list[str]:
    """Return the accessions at ENCODE among the files of a task."""
    return [found.accession for found in places_of(task.dataset) if found.accession]


def manifest_of(folder: Path, name: str, task: Task) -> Manifest:
    """Return a task's pinned manifest.

    Raises
    ------
    CisflowError
        It is missing, broken, or was made for another query or for other accessions than the task has now.
    """
    path = folder / f"{name}.tsv"
    mend = f"Run: cisflow encode pin {name}"
    if not path.exists():
        raise CisflowError(f"task '{name}': its files of ENCODE are not pinned; there is no {path}. {mend}")
    manifest = read_manifest(path)
    wanted = wanted_of(queries_of(task), accessions_of(task))
    if not manifest.answers(wanted):
        raise CisflowError(
            f"task '{name}': its query to ENCODE, or its accessions, have changed since {path} was pinned "
            f"({manifest.resolved}): {changes_of(manifest.wanted, wanted)}. {mend} --force"
        )
    return manifest


def mixed_assemblies(task: Task, rows: Iterable[Row]) -> str | None:
    """Return what is wrong if pinned files are of another assembly than the task's genome, or than each other.

    Tracks that are lifted are of another one, and so do not count.
    """
    genome = getattr(task.dataset, "genome", None)
    lifted = {
        place.accession
        for track in getattr(task.dataset, "tracks", {}).values()
        for place in (track.files() if track.lift else ())
    }
    told = f"the genome {genome.assembly}" if genome and genome.assembly else ""
    first = genome.assembly if told else None
    for row in rows:
        own = assembly_of(row["assembly"]) or row["assembly"]
        if not own or row["accession"] in lifted:
            continue
        if first is not None and own != first:
            return f"{row['accession']} is of the assembly {own}, unlike {told}. Name files of one assembly."
        first, told = own, told or f"{row['accession']}, which is of {own}"
    return None


def encode_source(folder: Path, tasks: Mapping[Name, Task]) -> Source | None:
    """Return the pinned files of all tasks as a source; None if there are none.

    A task whose manifest is missing or wrong adds nothing: the error is that of who asks for its files. The same holds
    for one that pins another version of a file than a task before it.
    """
    files: dict[str, File] = {}
    for name, task in tasks.items():
        if not queries_of(task) and not accessions_of(task):
            continue
        try:
            rows = manifest_of(folder, name, task).rows
        except CisflowError:
            continue
        files = {row["file"]: file_of(row) for row in rows} | files
    if not files:
        return None
    return Source(
        title="Files of ENCODE",
        homepage="https://www.encodeproject.org",
        licence="free to use; cite the accession (https://www.encodeproject.org/help/citing-encode/)",
        used_for="tasks that name a query or accessions",
        files=files,
    )


def file_of(row: Row) -> File:
    """Return a row of a manifest as a file of a source."""
    return File(url=row["url"], md5=row["md5"], size=int(row["size"]))


def _addressed(tasks: Mapping[Name, Task]) -> list[Place]:
    return [item for task in tasks.values() for item in places_of([task.dataset, task.evaluation]) if item.url]


def distinct_names(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a name for each of some things.

    Parameters
    ----------
    wanted
        What stands for a thing, such as its path, and the name that it has if no thing before it has that.

    Returns
    -------
    dict
        The names, by what stands for the things. A name that is taken is followed by a digest.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for identity, name in wanted:
        if identity not in names:
            names[identity] = f"{name}-{_digest(identity)}" if name in taken else name
            taken.add(name)
    return names


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def names_of_addresses(tasks: Mapping[Name, Task], declared: Iterable[str]) -> dict[str, str]:
    """Return the name that the file at each address has in the source of such files.

    It is that of the address. Where a source (`declared`: the names of their files) or an address before has a file of
    this name, or it is no name that a file of a source can have, it begins with a digest.
    """
    names: dict[str, str] = {}
    taken = set(declared)
    for item in _addressed(tasks):
        if item.url in names:
            continue
        name = item.url_name
        if name in taken or not re.fullmatch(NAME, name):
            # The end of a name says what is in the file.
            name = f"{_digest(item.url)}-{re.sub('[^A-Za-z0-9_.-]', '_', name)[-50:]}"
        taken.add(name)
        names[item.url] = name
    return names


def urls_source(tasks: Mapping[Name, Task], declared: Iterable[str]) -> Source | None:
    """Return the files that tasks name by address as a source; None if there are none (see `problems_of_places`)."""
    found = _addressed(tasks)
    if not found:
        return None
    names = names_of_addresses(tasks, declared)
    files = {names[item.url]: File(url=item.url, md5=item.md5, sha256=item.sha256) for item in found}
    return Source(
        title="Files at addresses that tasks name",
        homepage=found[0].url,
        licence="that of their owners",
        used_for="tasks that name an address",
        files=files,
    )


def file_in(sources: Mapping[Name, Source], source: Name, pattern: str) -> str:
    """Return the file of a source that a name or a pattern (`*`, `?`) fits; of several, the one called as the source.

    Raises
    ------
    CisflowError
        None fits, or several do.
    """
    files = sources[source].files
    if pattern in files:
        return pattern
    found = [name for name in files if fnmatchcase(name, pattern)]
    called = [name for name in found if genome_name(name) == source]
    if len(found) == 1 or len(called) == 1:
        return (called or found)[0]
    if found:
        raise CisflowError(f"'{pattern}' fits several files: {', '.join(found)}; name one as 'file'.")
    raise CisflowError(f"there is no file '{pattern}'.{did_you_mean(pattern, files)}")


def genome_name(path: str) -> str:
    """Return the name of a genome: that of its FASTA file without .gz and .fa, .fasta or .fna."""
    name = PurePosixPath(path).name.removesuffix(".gz")
    for ending in (".fa", ".fasta", ".fna"):
        name = name.removesuffix(ending)
    return name


def problems_of_places(tasks: Mapping[Name, Task], sources: Mapping[Name, Source], document: Section) -> Iterator[str]:
    """Yield a problem, with file and line, for each place that points to nothing, or to the same as another one."""
    addresses: dict[str, tuple[Place, str]] = {}
    for name, task in tasks.items():
        for path, found in _named_by(name, task):
            where = f"{place(document, path)}: {'.'.join(path)}"
            problem = _in_source(found, sources) or _at_address(found, where, addresses)
            if problem:
                yield f"{where}: {problem}"


def _named_by(name: Name, task: Task) -> Iterator[tuple[tuple[str, ...], Place]]:
    for key in ("dataset", "evaluation"):
        yield from located_places(getattr(task, key), ("tasks", name, key))


def _in_source(found: Place, sources: Mapping[Name, Source]) -> str | None:
    if not found.source:
        return None
    if found.source not in sources:
        return f"there is no source '{found.source}'.{_meant(found, sources)}"
    try:
        file_in(sources, found.source, found.file)
    except CisflowError as error:
        return f"source '{found.source}': {error}"
    return None


def _meant(found: Place, sources: Mapping[Name, Source]) -> str:
    hint = did_you_mean(found.source, sources)
    if not isinstance(found, Genome):
        return hint
    assembly = assembly_of(found.source)
    same = [f"'{name}'" for name in sources if assembly and assembly_of(name) == assembly]
    if same:
        return f" Did you mean {' or '.join(same)}?"
    return hint if "Did you mean" in hint else f" A FASTA file is given by its path, as data/{found.source}.fa.{hint}"


def _at_address(found: Place, where: str, seen: dict[str, tuple[Place, str]]) -> str | None:
    if not found.url:
        return None
    if not found.url_name:
        return f"the address '{found.url}' does not end in a file name; declare the file in config/sources.yaml."
    first, place_of_first = seen.setdefault(found.url, (found, where))
    if (first.md5, first.sha256) != (found.md5, found.sha256):
        return f"{found.url}: it stands at {place_of_first} with other checksums; they would be one file."
    return None


def of_accession(files: Iterable[str], accession: str) -> str | None:
    """Return the file that has an accession."""
    return next((name for name in files if name.partition(".")[0] == accession), None)
