"""Checks of the files that a configuration names, before the first job."""

import functools
import json
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py

from cisflow.config.datasets import Hdf5
from cisflow.config.embeddings import geometry_of, misfits
from cisflow.config.places import Genome, Place, located_places
from cisflow.config.project import Project
from cisflow.config.splitting import Splitting
from cisflow.config.strict import listed
from cisflow.config.tasks import Task
from cisflow.datasets.hdf5 import sequence_length
from cisflow.datasets.mat5 import is_mat5
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader
from cisflow.motifs.database import PROMISCUOUS
from cisflow.pwm import read_meme
from cisflow.sources.jaspar import release_ids
from cisflow.tracks.beginnings import kind_of, wrong_beginning
from cisflow.tracks.endings import format_of

HEADING = "files that the configuration names have problems:\n"
# What the file at a key of a data set is, whatever its name ends in.
KINDS = {"lift": "chain", "fasta": "fasta", "bed": "bed", "blacklist": "places", "gaps": "places",
    "unmappable": "places", "endpoints": "bed"}  # fmt: skip


def check_files(project: Project) -> None:
    """Check that users' own data files are what their tasks take them for, and have the motifs and chromosomes named.

    Of arrays, the names are looked for; of other files, the first bytes. A data file that is not there is left to
    Snakemake, which reports it if a target needs it (see `missing_files`), unless the task has results of another file,
    which Snakemake would go on with; a database that has to be fetched first is checked by the job that reads it, and
    so is a genome that is not indexed yet.

    Models that embed windows must take windows of their length.

    Raises
    ------
    CisflowError
        All problems of all tasks, a line each.
    """
    if problems := [problem for found in file_problems(project).values() for problem in found]:
        raise CisflowError(HEADING + listed(problems))


def file_problems(project: Project) -> dict[str, list[str]]:
    """Return what `check_files` finds, by task: a file of one stops no other."""
    found: dict[str, list[str]] = {}
    known: dict[str, set[str] | None] = {}
    # Many tasks may name the same file.
    beginning = functools.cache(lambda file, kind: wrong_beginning(Path(file), kind))
    checks = (
        functools.partial(_of, beginning=beginning),
        _replaced_files,
        _missing_chromosomes,
        functools.partial(_missing_motifs, known=known),
        _misfits,
    )
    for name in project.tasks:
        problems: list[str] = []
        for check in checks:
            try:
                problems += [f"tasks.{name}.{problem}" for problem in check(project, name)]
            except (CisflowError, OSError, UnicodeDecodeError) as error:
                # A file that is too damaged to be looked into.
                problems.append(f"tasks.{name}: {error}")
        if problems:
            found[name] = problems
    return found


def _of(project: Project, name: str, beginning: Callable[[str, str | None], str | None]) -> list[str]:
    task = project.tasks[name]
    dataset = task.dataset
    if dataset.kind == "hdf5":
        files = [] if dataset.source else [file for file in dataset.files() if Path(file).exists()]
        problems = [f"dataset: {problem}" for file in files for problem in _problems(file, dataset)]
        return problems or list(_misfits_of_file(project, task))
    there = ((keys, file, kind) for keys, file, kind in _local(task) if Path(file).is_file())
    problems = ((keys, file, beginning(file, kind)) for keys, file, kind in there)
    return [f"{'.'.join(keys)}: {file}: {problem}" for keys, file, problem in problems if problem]


def _misfits_of_file(project: Project, task: Task) -> Iterator[str]:
    """Yield what of a task does not fit into the sequences of its HDF5 file, if it is there."""
    dataset, split = task.dataset, SPLITS[0]
    file = dataset.file.replace("{split}", split)
    path = Path(project.root / project.source_file(dataset.source, file) if dataset.source else file)
    # The arrays of a MATLAB 5 file would have to be unpacked; the jobs check it then.
    if path.exists() and not is_mat5(path):
        length = sequence_length(path, dataset.keys.x.format(split=split))
        yield from (f"{'.'.join(keys)}: {text} ({file})." for keys, text in task.misfits(length))


def missing_files(project: Project) -> dict[str, str]:
    """Return what to say of each of users' own data files that is missing: who names it, and a file of a close name."""
    keys: dict[str, list[str]] = {}
    for name, task in project.tasks.items():
        for path, file, _ in _local(task):
            keys.setdefault(file, []).append(".".join(("tasks", name, *path)))
    return {file: f"{_shortened(named)}: {_missing(file)}" for file, named in keys.items() if not Path(file).exists()}


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)


def _missing(path: str) -> str:
    folder = Path(path).parent
    if not folder.is_dir():
        return f"{path}: there is no such file, and no folder {folder}."
    close = get_close_matches(path, map(str, folder.iterdir()), 1, 0.8)
    return f"{path}: there is no such file." + "".join(f" Did you mean '{other}'?" for other in close)


def _local(task: Task) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Yield users' own files of a task: the keys that lead to each, its path, and what it should be."""
    dataset = task.dataset
    if dataset.kind == "hdf5":
        yield from ((("dataset", "file"), file, None) for file in dataset.files() if not dataset.source)
    for keys, place in located_places(dataset):
        if place.file and not place.source:
            yield ("dataset", *keys), place.file, _kind(keys, place, dataset)
    for keys, place in located_places(task.evaluation):
        if place.file and not place.source:
            yield ("evaluation", *keys), place.file, "bed"


def _kind(keys: tuple[str, ...], place: Place, dataset: Any) -> str | None:
    if isinstance(place, Genome):
        return "fasta"
    if dataset.kind == "tfrecord":
        return None
    if keys[0] == "tracks":
        track, keys = dataset.tracks[keys[1]], keys[2:]
        if place in track.files():
            return format_of(place.file, track.format)
    return next((KINDS[key] for key in keys if key in KINDS), kind_of(place.file))


def _replaced_files(project: Project, name: str) -> Iterator[str]:
    """Yield a problem for each file that is not there, in place of one that a finished data set was made from."""
    made = project.root / project.table(name, "dataset.provenance.json")
    known = made.read_text(encoding="utf-8") if made.exists() else None
    for keys, file, _ in _local(project.tasks[name]) if known else ():
        if keys[0] == "dataset" and not (project.root / file).exists() and json.dumps(file) not in known:
            yield f"dataset: {file}: there is no such file; the data set is of another one."


def _problems(file: str, dataset: Hdf5) -> list[str]:
    if is_mat5(file):
        return []  # its arrays would have to be unpacked
    splits = [split for split in SPLITS if dataset.file.replace("{split}", split) == file]
    try:
        with h5_reader(file) as h5:
            keys = [key.format(split=split) for key in (dataset.keys.x, dataset.keys.y) for split in splits]
            missing = [key for key in keys if not isinstance(h5.get(key), h5py.Dataset)]
            unwritten = [problem for key in keys if key not in missing for problem in _unwritten(h5[key])]
    except CisflowError as error:
        return [str(error)]
    if unwritten:
        return unwritten
    return [f"{file}: there is no array {', '.join(missing)}; name the arrays with 'keys'."] if missing else []


def _unwritten(array: h5py.Dataset) -> list[str]:
    try:
        check_written(array)
    except CisflowError as error:
        return [str(error)]
    return []


def _missing_chromosomes(project: Project, name: str) -> Iterator[str]:
    """Yield a problem if a task splits by chromosomes which its genome, if it is indexed, does not have."""
    dataset = project.tasks[name].dataset
    genome, key = getattr(dataset, "genome", None), "split"
    split = getattr(dataset, key, None)
    if hasattr(dataset, "regions") and hasattr(dataset.regions, key):
        split, key = dataset.regions.split, "regions.split"
    index = genome and project.root / f"{project.path(genome)}.fai"
    if not isinstance(split, Splitting) or not index or not index.exists():
        return
    known = [line.partition("\t")[0] for line in index.read_text(encoding="utf-8").splitlines()]
    wanted = [*split.valid, *split.test, *(split.train or ()), *split.leave_out]
    if missing := [chrom for chrom in wanted if not {chrom, f"chr{chrom}", chrom.removeprefix("chr")} & {*known}]:
        there = ", ".join(known[:30]) + ", ..." * (len(known) > 30)
        yield f"dataset.{key}: the genome has no {', '.join(missing)}, but {there}."


def _missing_motifs(project: Project, name: str, known: dict[str, set[str] | None]) -> Iterator[str]:
    """Yield a problem for each motif id of a task that its database has not; `known` keeps what databases have."""
    for key, source, wanted in _named_motifs(project.tasks[name]):
        if source not in known:
            known[source] = _motif_ids(project, source)
        missing = sorted(wanted - known[source]) if known[source] is not None else []
        # A factor has matrices of several versions, of which a database has one.
        if missing and (not key.startswith("ground_truth") or len(missing) == len(wanted)):
            yield f"{key}: {source} has no motif {', '.join(missing)}."


def _named_motifs(task: Task) -> Iterator[tuple[str, str, set[str]]]:
    """Yield the keys of a task that hold motif ids, the source that must have them, and the ids."""
    database = task.tomtom.database
    yield "tomtom.exclude", database, {*task.tomtom.exclude} - {PROMISCUOUS}
    for factor, ids in task.ground_truth.items():
        yield f"ground_truth.{factor}", database, set(ids)
    for key in ("classes", "core", "background"):
        ids = getattr(task.dataset, key, ())
        yield f"dataset.{key}", getattr(task.dataset, "motifs", ""), set(ids.values() if isinstance(ids, dict) else ids)


def _motif_ids(project: Project, name: str) -> set[str] | None:
    """Return the motif ids of a source; None if it has to be fetched first."""
    source = project.sources.get(name)
    if source is None:
        return None
    if source.jaspar:
        return release_ids(**source.jaspar.model_dump())
    paths = [project.root / project.source_file(name, file) for file in source.files if file.endswith(".meme")]
    return {motif.id for path in paths for motif in read_meme(path)} if all(map(Path.exists, paths)) else None


def _misfits(project: Project, name: str) -> Iterator[str]:
    """Yield a problem if a model's windows are not those of the labels, as far as its settings are there."""
    dataset = project.tasks[name].dataset
    if dataset.kind != "embeddings" or dataset.trunk.params is None:
        return
    path = project.root / project.path(dataset.trunk.params)
    if not path.exists():
        return
    try:
        geometry = geometry_of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"dataset.trunk.params: {path} is no settings file of Basenji2 ({error})."
        return
    labels = {key: project.task(other) for key, other in dataset.tasks().items()}
    for key, text in misfits(dataset, labels, geometry):
        yield f"dataset.{key}: {text}."
