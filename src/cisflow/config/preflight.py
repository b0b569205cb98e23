"""Checks of the files that a configuration names, before the first job."""

import json
from collections.abc import Iterator
from pathlib import Path

import h5py

from cisflow.config.datasets import Hdf5
from cisflow.config.embeddings import geometry_of, misfits
from cisflow.config.places import located_places, places_of
from cisflow.config.project import Project
from cisflow.config.splitting import Splitting
from cisflow.config.tasks import Task
from cisflow.datasets.mat5 import is_mat5
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.pwm import read_meme
from cisflow.sources.jaspar import release_motifs


def check_files(project: Project) -> None:
    """Check that what tasks name is there: arrays of users' own files, motifs of databases, chromosomes of genomes.

    Models that embed windows must take windows of their length.

    A data file that is not there is left to Snakemake, which reports it if a target needs it, unless the task has
    results of another file, which Snakemake would go on with; a database that has to be fetched first is checked by
    the job that reads it, and so is a genome that is not indexed yet.

    Raises
    ------
    CisflowError
        All problems of all tasks, a line each.
    """
    problems = [f"tasks.{name}.dataset: {problem}" for name, task in project.tasks.items() for problem in _of(task)]
    for check in (_replaced_files, _missing_chromosomes, _missing_indices, _missing_motifs, _misfits):
        problems += check(project)
    if problems:
        raise CisflowError("files that the configuration names have problems:\n" + "\n".join(problems))


def _of(task: Task) -> list[str]:
    dataset = task.dataset
    if dataset.kind != "hdf5" or dataset.source is not None:
        return []
    return [problem for file in dataset.files() if Path(file).exists() for problem in _problems(file, dataset)]


def _replaced_files(project: Project) -> list[str]:
    """Return a problem for each file that is not there, in place of one that a finished data set was made from."""
    problems = []
    for name, task in project.tasks.items():
        made = project.root / project.table(name, "dataset.provenance.json")
        known = made.read_text() if made.exists() else None
        for file in _own_files(task) if known else ():
            if not (project.root / file).exists() and json.dumps(file) not in known:
                problems.append(f"tasks.{name}.dataset: {file}: there is no such file; the data set is of another one.")
    return problems


def _own_files(task: Task) -> list[str]:
    """Return the users' own files that a data set is made from."""
    own = [place.file for place in places_of(task.dataset) if place.file and not place.source]
    return own + (task.dataset.files() if task.dataset.kind == "hdf5" and not task.dataset.source else [])


def _problems(file: str, dataset: Hdf5) -> list[str]:
    if is_mat5(file):
        return []  # its arrays would have to be unpacked
    splits = [split for split in SPLITS if dataset.file.replace("{split}", split) == file]
    try:
        with h5_reader(file) as h5:
            keys = [key.format(split=split) for key in (dataset.keys.x, dataset.keys.y) for split in splits]
            missing = [key for key in keys if not isinstance(h5.get(key), h5py.Dataset)]
    except CisflowError as error:
        return [str(error)]
    return [f"{file}: there is no array {', '.join(missing)}; name the arrays with 'keys'."] if missing else []


def _missing_chromosomes(project: Project) -> list[str]:
    """Return a problem for each task that splits by chromosomes which its genome, if it is indexed, does not have."""
    problems = []
    for name, task in project.tasks.items():
        genome, key = getattr(task.dataset, "genome", None), "split"
        split = getattr(task.dataset, key, None)
        if hasattr(task.dataset, "regions") and hasattr(task.dataset.regions, key):
            split, key = task.dataset.regions.split, "regions.split"
        index = genome and project.root / f"{project.path(genome)}.fai"
        if not isinstance(split, Splitting) or not index or not index.exists():
            continue
        known = [line.partition("\t")[0] for line in index.read_text().splitlines()]
        wanted = [*split.valid, *split.test, *(split.train or ()), *split.leave_out]
        if missing := [chrom for chrom in wanted if not {chrom, f"chr{chrom}", chrom.removeprefix("chr")} & {*known}]:
            there = ", ".join(known[:30]) + ", ..." * (len(known) > 30)
            problems.append(f"tasks.{name}.dataset.{key}: the genome has no {', '.join(missing)}, but {there}.")
    return problems


def _missing_indices(project: Project) -> list[str]:
    """Return a problem for each of users' own BAM files that has no index; of fetched ones a rule makes it."""
    problems = []
    for name, task in project.tasks.items():
        for path, place in located_places(task.dataset, ("tasks", name, "dataset")):
            file = place.file or ""
            if place.source or not file.endswith(".bam") or file.startswith(project.settings.resources):
                continue
            bam = project.root / file
            indices = (Path(f"{bam}.bai"), Path(f"{bam}.csi"), bam.with_suffix(".bai"))
            if bam.exists() and not any(map(Path.exists, indices)):
                problems.append(f"{'.'.join(path)}: {file} has no index. Make it: samtools index {file}")
    return problems


def _missing_motifs(project: Project) -> list[str]:
    """Return a problem for each motif id that a task names and its database does not have."""
    known: dict[str, set[str] | None] = {}
    problems = []
    for name, task in project.tasks.items():
        for key, source, wanted in _named_motifs(task):
            if source not in known:
                known[source] = _motif_ids(project, source)
            missing = sorted(wanted - known[source]) if known[source] is not None else []
            # A factor has matrices of several versions, of which a database has one.
            if missing and (not key.startswith("ground_truth") or len(missing) == len(wanted)):
                problems.append(f"tasks.{name}.{key}: {source} has no motif {', '.join(missing)}.")
    return problems


def _named_motifs(task: Task) -> Iterator[tuple[str, str, set[str]]]:
    """Yield the keys of a task that hold motif ids, the source that must have them, and the ids."""
    database = task.tomtom.database
    yield "tomtom.exclude", database, set(task.tomtom.exclude)
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
        return {motif.id for motif in release_motifs(**source.jaspar.model_dump())}
    paths = [project.root / project.source_file(name, file) for file in source.files if file.endswith(".meme")]
    return {motif.id for path in paths for motif in read_meme(path)} if all(map(Path.exists, paths)) else None


def _misfits(project: Project) -> Iterator[str]:
    """Yield a problem for each model whose windows are not those of the labels, as far as its settings are there."""
    for name, task in project.tasks.items():
        if task.dataset.kind != "embeddings" or task.dataset.trunk.params is None:
            continue
        path = project.root / project.path(task.dataset.trunk.params)
        if not path.exists():
            continue
        try:
            geometry = geometry_of(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield f"tasks.{name}.dataset.trunk.params: {path} is no settings file of Basenji2 ({error})."
            continue
        labels = {key: project.task(other) for key, other in task.dataset.tasks().items()}
        for key, text in misfits(task.dataset, labels, geometry):
            yield f"tasks.{name}.dataset.{key}: {text}."
