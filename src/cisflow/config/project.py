"""The whole configuration, loaded and checked together: one call for the Snakefile, the command line and the tests."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from cisflow.config.claims import Claim, Claims
from cisflow.config.datasets import of_each_split
from cisflow.config.embeddings import HOW, SAME, Embeddings, problems_of_labels
from cisflow.config.figures import Figure, Figures
from cisflow.config.files import (
    ENCODE,
    MADE_SOURCES,
    URLS,
    accessions_of,
    distinct_names,
    encode_source,
    file_in,
    file_of,
    genome_name,
    manifest_of,
    mixed_assemblies,
    names_of_addresses,
    of_accession,
    problems_of_places,
    queries_of,
    urls_source,
)
from cisflow.config.grouping import group_files, is_out
from cisflow.config.places import Genome, Modified, Place, places_of, with_paths
from cisflow.config.sources import Source, Sources
from cisflow.config.strict import MOST_SHOWN, Name, Strict, did_you_mean, listed, validate
from cisflow.config.tasks import OF_ANY_MODEL, Task, Tasks
from cisflow.config.text import Folder, LocalPath
from cisflow.config.yaml import Section, load, merge, place
from cisflow.errors import CisflowError
from cisflow.sources.manifest import Row
from cisflow.tracks.endings import format_of


class Rates(Strict):
    """Multiplications a second."""

    cpu: float | None = Field(None, gt=0, description="One core.")
    gpu: float | None = Field(None, gt=0, description="One GPU.")


class Estimates(Strict):
    """What `cisflow explain` computes times from where no earlier run tells them (docs/benchmarks.md)."""

    cpu: float | None = Field(None, gt=0, description="Multiplications a second when a model is trained: one core.")
    gpu: float | None = Field(None, gt=0, description="One GPU, all trials of a run together.")
    passes: Rates = Field(Rates(), description="When trained models predict or are explained, in float32.")
    trunk: Rates = Field(Rates(), description="Of a pretrained trunk, in float32; on a GPU of heads, too.")
    trunk_bfloat16: Rates = Field(Rates(), description="The same in bfloat16.")
    start: NonNegativeFloat = Field(0, description="Seconds that a job takes before its network computes.")
    seconds: dict[Name, PositiveFloat] = Field(
        {}, description="Of rules: seconds of a job; for each model of filters, tomtom, activations and scan_run, each "
        "region of bin_track, and each sequence of each map of attribution_quality and score_attribution."
    )  # fmt: skip
    rows: dict[Name, tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]] = Field(
        {}, description="Of tasks whose data is not here yet: rows of train, valid and test."
    )


class Settings(Strict):
    """The content of config/config.yaml: where things are, and at which scale."""

    results: Folder = Field("results", description="Folder of results; `~` is the home folder.")
    resources: Folder = Field("resources", description="Folder of fetched files.")
    mirror: list[LocalPath] = Field([], description="Folders searched, by file name and checksum, before any download.")
    tasks: list[str] = Field(min_length=1, description="Files of tasks; a later one overrides keys of an earlier one.")
    sources: str = "config/sources.yaml"
    figures: str = "config/figures.yaml"
    claims: str = "config/claims.yaml"
    encode: str = Field("config/encode", description="Folder of pinned manifests of files of ENCODE, one a task.")
    leave_out: list[Name] = Field(
        [], description="Tasks whose figures are drawn only when they are asked for by name, as for a large download."
    )
    reproduce: list[Name] | None = Field(
        None, description="Tasks that are run for reproduction.md; the others join where they have been. Default: all."
    )
    estimates: Estimates = Estimates()
    torch: Literal["cuda", "cpu"] = Field(
        "cuda",
        description="Build of PyTorch in the conda environments of training, evaluation and attribution: 'cpu' for "
        "machines without GPUs. Says nothing where software is not deployed by conda.",
    )
    container: str | None = Field(
        None,
        description="Image that jobs run in with --software-deployment-method apptainer: the path of a .sif file, or "
        "docker://… (containers/ has its recipes).",
    )
    command: str = Field(description="What makes results at this scale, when the name of a result follows it.")


@dataclass(frozen=True)
class Project:
    """The checked configuration, and the YAML documents that it came from (for messages and `cisflow explain`)."""

    root: Path
    settings: Settings
    tasks: Mapping[Name, Task]
    sources: Mapping[Name, Source]
    figures: Mapping[Name, Figure]
    claims: Mapping[Name, Claim]
    documents: Mapping[str, Section]

    def task(self, name: str) -> Task:
        """Return a task by name.

        Raises
        ------
        CisflowError
            There is none; a close name is suggested.
        """
        return _named(self.tasks, name, "task")

    def figure(self, name: str) -> Figure:
        """Return a figure by name; raises as `task` does."""
        return _named(self.figures, name, "figure")

    def figures_of_all(self) -> list[str]:
        """Return the figures that are drawn when all are asked for."""
        left_out = set(self.settings.leave_out)
        return [name for name, figure in self.figures.items() if not left_out & set(figure.tasks())]

    def source_file(self, name: str, file: str | None = None) -> str:
        """Return the path of a file of a source; of a JASPAR release without a file name, its counts."""
        source = _named(self.sources, name, "source")
        if source.jaspar:
            file = file or f"{name}.jaspar"
        return f"{self.settings.resources}/{name}/{file}"

    def path(self, place: Place) -> str:
        """Return the path of a file that a task names; of a genome, that of its indexed copy.

        Raises
        ------
        CisflowError
            It is a file of ENCODE that no task has pinned.
        """
        return self._indexed(place) if isinstance(place, Genome) else self._plain(place)

    def _plain(self, place: Place) -> str:
        if place.source:
            return self.source_file(place.source, file_in(self.sources, place.source, place.file))
        if place.url:
            return self.source_file(URLS, self._address_names[place.url])
        if place.accession:
            return self.source_file(ENCODE, self._pinned_file(place.accession))
        if place.modified:
            return f"{self.settings.resources}/modified/{self._calls(place.modified)}/{place.modified.calls}.bw"
        return place.file

    def _calls(self, modified: Modified) -> str:
        """Return the name of the folder of all calls of a BAM file."""
        reads, genome = self._reads_names[self._identity(modified.bam)], self._genome_name(modified.genome)
        return f"{reads}.{genome}.{modified.threshold}-{modified.min_mapping_quality}"

    @cached_property
    def modified(self) -> dict[str, Modified]:
        """The BAM files whose calls of modified bases tasks name, by the folder of the calls."""
        return {self._calls(place.modified): place.modified for place in self._places if place.modified}

    def _indexed(self, genome: Genome) -> str:
        name = self._genome_name(genome)
        return f"{self.settings.resources}/genomes/{name}/{name}.fa.gz"

    def _genome_name(self, genome: Genome) -> str:
        return self._genome_names[self._genome_identity(genome)]

    @cached_property
    def _places(self) -> list[Place]:
        """All files that data sets name, those of sources first: they keep their names whatever users' files have."""
        found = [place for task in self.tasks.values() for place in places_of(task.dataset)]
        return sorted(found, key=lambda place: place.source is None)

    @cached_property
    def _address_names(self) -> dict[str, str]:
        declared = [file for name, source in self.sources.items() if name not in MADE_SOURCES for file in source.files]
        return names_of_addresses(self.tasks, declared)

    @cached_property
    def _genome_names(self) -> dict[str, str]:
        """Names of genomes by what stands for each; they do not depend on files that are not pinned yet."""
        genomes = [place for place in self._places if isinstance(place, Genome)]
        return distinct_names((self._genome_identity(place), genome_name(self._identity(place))) for place in genomes)

    @cached_property
    def _reads_names(self) -> dict[str, str]:
        """Names of BAM files whose calls are read, by what stands for each."""
        reads = [place.modified.bam for place in self._places if place.modified]
        reads.sort(key=lambda place: place.source is None)
        return distinct_names((self._identity(place), Path(self._identity(place)).stem) for place in reads)

    def _identity(self, place: Place) -> str:
        """Return what stands for a file; that of ENCODE, which may not be pinned yet, is its accession."""
        return place.accession or self._plain(place)

    def _genome_identity(self, genome: Genome) -> str:
        records = f" as records with sizes {genome.sizes}" if genome.records else ""
        return self._identity(genome) + records

    def _pinned_file(self, accession: str) -> str:
        pinned = self.sources[ENCODE].files if ENCODE in self.sources else {}
        file = of_accession(pinned, accession)
        if file is None:
            users = [name for name, task in self.tasks.items() if accession in accessions_of(task)]
            for name in users:
                self.pinned(name)  # says what is wrong with the manifest
            raise CisflowError(f"{accession} is not pinned. Run: cisflow encode pin {(users or ['TASK'])[0]} --force")
        return file

    def genome_source(self, name: str) -> str:
        """Return the FASTA file that the indexed copy of a genome is made from.

        Raises
        ------
        CisflowError
            No task has a genome of this name, or its file is not pinned.
        """
        return self._plain(_named(self.genomes, name, "genome"))

    @cached_property
    def genomes(self) -> dict[str, Genome]:
        """The genomes of all tasks, by name."""
        return {self._genome_name(genome): genome for genome in self._places if isinstance(genome, Genome)}

    def manifest_file(self, name: str) -> Path:
        """Return the path of a task's manifest of files of ENCODE."""
        return self.root / self.settings.encode / f"{name}.tsv"

    def pinned(self, name: str) -> list[Row]:
        """Return the pinned files of ENCODE of a task: rows of its manifest; `pinned_path` has the path of each.

        Raises
        ------
        CisflowError
            There is no such task; it needs a manifest and has none, or one of another query, or one that pins another
            version of a file than another task's does.
        """
        task = self.task(name)
        if not queries_of(task) and not accessions_of(task):
            return []
        rows = manifest_of(self.manifest_file(name).parent, name, task).rows
        for row in rows:
            if self.sources[ENCODE].files.get(row["file"]) != file_of(row):
                raise CisflowError(
                    f"{self.manifest_file(name)}: {row['accession']} is another version of the file than another "
                    f"task's manifest has. Run: cisflow encode pin {name} --force, and the same for the other task."
                )
        if problem := mixed_assemblies(task, rows):
            raise CisflowError(f"{self.manifest_file(name)}: {problem}")
        return list(rows)

    def pinned_path(self, row: Row) -> str:
        """Return the path of a pinned file of ENCODE."""
        return self.source_file(ENCODE, row["file"])

    def motif_database(self, task: Task) -> str:
        """Return the MEME file of the motifs that a task's filters are compared with."""
        return self.meme_file(task.tomtom.database)

    def meme_file(self, name: str) -> str:
        """Return the MEME file of a source of motifs."""
        source = self.sources[name]
        file = f"{name}.meme" if source.jaspar else next(file for file in source.files if file.endswith(".meme"))
        return self.source_file(name, file)

    def genome(self, task: Task, gallery: str) -> str | None:
        """Return the genome file that a task's gallery is read from; None if its sequences are the data set's."""
        region = getattr(task.attribution.galleries.get(gallery), "region", None)
        return region and self.source_file(region.source, region.file)

    def dataset_inputs(self, name: str) -> list[str]:
        """Return the files that a task's data set is made from; raises as `pinned`."""
        dataset = self.task(name).dataset
        self.pinned(name)
        if dataset.kind == "hdf5":
            return [self.source_file(dataset.source, file) if dataset.source else file for file in dataset.files()]
        if dataset.kind.startswith("synthetic"):
            return [self.source_file(dataset.motifs)]
        if dataset.kind == "embeddings":
            labels = [self.table(dataset.labels, table) for table in LABELS]
            bins = [self.table(dataset.bins, LABELS[0])] if dataset.bins else []
            return [f"{self.settings.results}/embeddings/{self.embedding(name)}.h5", *labels, *bins]
        if dataset.kind == "matrix":
            self._check_tracks(name)
            # The tracks themselves are read by the rules that make the matrix.
            return [self.path(dataset.genome), *(self.table(name, table) for table in MATRIX)]
        return list(dict.fromkeys([*map(self.path, places_of(dataset)), *map(self.pinned_path, self.pinned(name))]))

    def data_files(self, name: str) -> list[str]:
        """Return the files that everything about a task's data begins with, fetched or a user's own; as `pinned`."""
        dataset = self.task(name).dataset
        if dataset.kind == "hdf5" or dataset.kind.startswith("synthetic"):
            return self.dataset_inputs(name)
        labels = dataset.tasks().values() if dataset.kind == "embeddings" else ()
        found = [*map(self._plain, places_of(dataset)), *map(self.pinned_path, self.pinned(name))]
        return list(dict.fromkeys([*found, *(file for other in labels for file in self.data_files(other))]))

    def embedding(self, name: str) -> str:
        """Return the name of the embeddings of a task: that of the weights, and a digest of what they depend on."""
        dataset = self.task(name).dataset
        labels = self.task(dataset.labels).dataset
        keys = (*SAME, "bin") if labels.regions.contigs else SAME
        # Of places what they say, since the file of one may not be known yet.
        trunk = with_paths(dataset.trunk, _said)
        about = {
            "windows": {key: with_paths(getattr(labels, key), _said) for key in keys},
            "trunk": {key: value for key, value in trunk.items() if key not in HOW},
            "shards": dataset.shards,
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        return f"{Path(trunk['weights']).stem}-{digest[:10]}"

    @cached_property
    def embeddings(self) -> dict[str, Embeddings]:
        """The embeddings that tasks have, by their names; of tasks that share some, the settings of the first one."""
        return {name: self.tasks[tasks[0]].dataset for name, tasks in self._embedding_tasks.items()}

    def tasks_of_embedding(self, embedding: str) -> list[str]:
        """Return the tasks that share some embeddings."""
        return self._embedding_tasks[embedding]

    @cached_property
    def _embedding_tasks(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, task in self.tasks.items():
            if task.dataset.kind == "embeddings":
                found.setdefault(self.embedding(name), []).append(name)
        return found

    def evaluation_files(self, name: str) -> list[str]:
        """Return the files that a task's evaluation reads, besides its data set and models."""
        return list(dict.fromkeys(map(self.path, places_of(self.task(name).evaluation))))

    def labels_of(self, name: str) -> Any:
        """Return the settings of the data set that a task's labels come from: its own, or of the task that it names."""
        return labels_of(self.task(name), self.tasks)

    def table(self, name: str, path: str) -> str:
        """Return the path of a file among the results of a task."""
        return f"{self.settings.results}/tasks/{name}/{path}"

    def dataset_spec(self, name: str) -> dict[str, Any]:
        """Return a task's `dataset` as its maker takes it: plain data, with paths of files; raises as `pinned`."""
        dataset = self.task(name).dataset
        spec = with_paths(dataset, self.path)
        if "endpoints" in spec:
            # Accessions that the task names itself are endpoints already, or no endpoints (a blacklist).
            named = accessions_of(self.task(name))
            rows = [row for row in self.pinned(name) if row["accession"] not in named]
            spec["endpoints"] += [dataset.endpoint(self.pinned_path(row), row) for row in rows]
            self._check_endpoints(name, spec)
        return spec

    def _check_tracks(self, name: str) -> None:
        """Refuse, now that all files are known, those that no reader reads."""
        for key, track in self.task(name).dataset.tracks.items():
            files = [Path(self.path(place)).name for place in track.files()]
            if unknown := [file for file in files if not format_of(file, track.format)]:
                raise CisflowError(
                    f"task '{name}': dataset.tracks.{key}: signal is read from BigWig, bedGraph, BED and BAM files, "
                    f"and the end of the name '{unknown[0]}' is of none of them. Take another file, or give its format."
                )

    def _check_endpoints(self, name: str, spec: dict[str, Any]) -> None:
        """Refuse, now that all files are known, what would only come out when they have been fetched."""
        endpoints = spec["endpoints"]
        signal = [endpoint["file"] for endpoint in endpoints if endpoint["file"].lower().endswith(NO_BED)]
        if signal:
            raise CisflowError(
                f"task '{name}': dataset.endpoints: peaks are read from BED files, and {signal[0]} is none."
            )
        if problem := self.task(name).dataset.unknown_factor(endpoint["factor"] for endpoint in endpoints):
            raise CisflowError(f"task '{name}': dataset.{problem}")
        try:
            for group in group_files(endpoints, spec["group_by"]):
                is_out(group, spec)
        except CisflowError as error:
            raise CisflowError(f"task '{name}': {error}") from None


def _said(place: Place) -> str:
    return "/".join(filter(None, (place.source, place.file, place.url, place.accession)))


def _named(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise CisflowError(f"there is no {what} '{name}'.{did_you_mean(name, known)}")
    return known[name]


# What rules make for a data set of signal: regions, their account, and the tracks over them.
MATRIX = ("regions.tsv", "regions.accounting.tsv", "tracks.h5")
# What a task of embeddings takes from the task of its labels, the data set first.
LABELS = ("dataset.h5", "dataset.targets.tsv", "regions.accounting.tsv")

# What peaks are not read from.
NO_BED = (".bw", ".bigwig", ".bb", ".bigbed", ".bam", ".fa", ".fa.gz", ".fasta.gz", ".fastq.gz", ".h5")

# Folders of resources that no source has: what rules make of fetched files.
MADE = ("genomes", "modified")
# Every other configuration file is laid on this one, by Snakemake and here.
BASE = "config/config.yaml"


def load_project(
    config: Mapping[str, Any] | str | Path, root: str | Path = ".", files: Iterable[str | Path] = ()
) -> Project:
    """Load and check everything that a configuration names.

    Parameters
    ----------
    config
        The mapping that Snakemake has read, or the path of a config.yaml, which is laid on config/config.yaml.
    root
        Folder that relative paths of configuration files start from.
    files
        The files that the mapping was read from, for the lines in messages.

    Raises
    ------
    CisflowError
        All problems of all files, a line each.
    """
    root = Path(root)
    settings = _settings(config, root, files)
    problems: list[str] = []

    def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except CisflowError as error:
            problems.append(str(error))
            return None

    documents = {
        "tasks": attempt(_load_tasks, root, settings.tasks),
        **{name: attempt(load, root / getattr(settings, name)) for name in ("sources", "figures", "claims")},
    }
    models = {"tasks": Tasks, "sources": Sources, "figures": Figures, "claims": Claims}
    checked = {
        name: attempt(validate, models[name], document) for name, document in documents.items() if document is not None
    }
    parts = {name: getattr(value, name) for name, value in checked.items() if value is not None}
    problems += _dangling_names(documents, settings)
    if {"tasks", "sources"} <= parts.keys():
        problems += problems_of_places(parts["tasks"], parts["sources"], documents["tasks"])
        problems += problems_of_labels(parts["tasks"], documents["tasks"])
        problems += _unknown_tracks(parts["tasks"], documents["tasks"])
    if problems:
        raise CisflowError("the configuration has problems:\n" + listed(problems))
    declared = [file for source in parts["sources"].values() for file in source.files]
    made = {ENCODE: encode_source(root / settings.encode, parts["tasks"]), URLS: urls_source(parts["tasks"], declared)}
    parts["sources"] = parts["sources"] | {name: source for name, source in made.items() if source}
    return Project(root, settings, **parts, documents=documents)


def load_settings(config: str | Path, root: str | Path = ".") -> Settings:
    """Load the settings of a configuration alone, whatever its tasks are like; raises as `load_project`."""
    return _settings(config, Path(root))


def _settings(config: Mapping[str, Any] | str | Path, root: Path, files: Iterable[str | Path] = ()) -> Settings:
    if isinstance(config, str | Path):
        document = _merged(root, [BASE, config] if Path(config) != Path(BASE) else [config])
    else:
        document = _section(config, _merged(root, files))
    return validate(Settings, document)


def _merged(root: Path, files: Iterable[str | Path]) -> Section:
    merged = Section()
    for file in files:
        merged = merge(merged, load(root / file))
    return merged


def _section(mapping: Mapping[str, Any], document: Section) -> Section:
    """Return what Snakemake has merged, with the lines of the files; the rest is from its command line."""
    section = Section()
    for key, value in mapping.items():
        section[key] = _section(value, _mapping(document, key)) if isinstance(value, Mapping) else value
        section.lines[key] = document.lines.get(key, "--config")
    return section


def _load_tasks(root: Path, files: list[str]) -> Section:
    """Merge the files of tasks in order, and lay the defaults below every task."""
    merged = _merged(root, files)
    defaults = merged.pop("defaults", Section())
    tasks = merged.get("tasks")
    if isinstance(tasks, Section):
        for name, task in tasks.items():
            tasks[name] = merge(_defaults_of(task, defaults), task) if isinstance(task, Section) else task
    return merged


def _defaults_of(task: Section, defaults: Section) -> Section:
    """Return the defaults of a task; how heads on embeddings learn is that of their preset, not of other models."""
    training = _mapping(defaults, "training")
    if _value(_mapping(task, "dataset"), "kind") != "embeddings" or not training:
        return defaults
    kept = merge(Section(), defaults)
    kept["training"] = merge(Section(), training)
    for key in training:
        if key not in OF_ANY_MODEL:
            del kept["training"][key]
    return kept


def labels_of(task: Task, tasks: Mapping[Name, Task]) -> Any:
    """Return the settings of the data set that a task's labels come from; None if that task is not there."""
    if task.dataset.kind != "embeddings":
        return task.dataset
    other = tasks.get(getattr(task.dataset, "labels", ""))
    return other and other.dataset


def _unknown_tracks(tasks: Mapping[Name, Task], document: Section) -> Iterator[str]:
    """Yield a problem for each track that a task's evaluation names and its labels have not."""
    for name, task in tasks.items():
        dataset = labels_of(task, tasks)
        known = list(getattr(dataset, "tracks", None) or getattr(dataset, "targets", None) or ())
        for key, track in task.evaluation.named_tracks():
            path = ("tasks", name, "evaluation", *key)
            if known and track not in known:
                where = f"{place(document, path)}: {'.'.join(path)}"
                yield f"{where}: there is no track '{track}'.{did_you_mean(track, known)}"


def _dangling_names(documents: Mapping[str, Section | None], settings: Settings) -> list[str]:
    """Return a problem for each name that points to nothing: a task's sources, a figure's or claim's task, one to run.

    It reads the documents as they stand, so that these problems are reported together with those of the models.
    """
    if documents["tasks"] is None or documents["sources"] is None:
        # Every name would point to nothing, and hide why the file cannot be read.
        return []
    entries = {name: _mapping(document, name) for name, document in documents.items()}
    sources, tasks = entries["sources"], entries["tasks"]
    databases = [name for name, source in sources.items() if _has_motifs(source)]
    problems = []

    def point(document: str, path: tuple[str, ...], name: Any, known: Iterable[str], what: str) -> None:
        if isinstance(name, str) and documents[document] is not None and name not in known:
            where = f"{place(documents[document], path)}: {'.'.join(path)}"
            # Close names are looked for while there is room to show them: there may be thousands of either.
            hint = did_you_mean(name, known) if len(problems) < MOST_SHOWN else ""
            problems.append(f"{where}: there is no {what} '{name}'.{hint}")

    for name in (*MADE_SOURCES, *MADE):
        if name in sources:
            where = place(documents["sources"], ("sources", name))
            problems.append(
                f"{where}: sources.{name}: this name is kept for what tasks name or rules make; take another."
            )
    for name, task in tasks.items():
        for key, value, known, what in (*_pointers(task, sources, databases), *_labels(task, tasks)):
            point("tasks", ("tasks", name, *key), value, known, what)
    for name, figure in entries["figures"].items():
        for key, table in _mapping(figure, "tables").items():
            point("figures", ("figures", name, "tables", key), str(table).split("/")[0], tasks, "task")
        point("figures", ("figures", name, "database"), _value(figure, "database"), databases, "source of motifs")
    for key in ("reproduce", "leave_out"):
        for number, task in enumerate(getattr(settings, key) or ()):
            if documents["tasks"] is not None and task not in tasks:
                problems.append(f"config: {key}.{number}: there is no task '{task}'.{did_you_mean(task, tasks)}")
    for name, claim in entries["claims"].items():
        found = _value(claim, "task")
        for task in found if isinstance(found, list) else [found]:
            point("claims", ("claims", name, "task"), task, tasks, "task")
    return problems


def _pointers(
    task: Any, sources: Section, databases: Iterable[str]
) -> Iterator[tuple[tuple[str, ...], Any, Iterable[str], str]]:
    """Yield what a task's keys point to: the key, the name, the names that there are, and what they are names of."""
    dataset, tomtom = _mapping(task, "dataset"), _mapping(task, "tomtom")
    yield ("tomtom", "database"), tomtom.get("database"), databases, "source of motifs"
    yield ("dataset", "motifs"), dataset.get("motifs"), sources, "source"
    yield ("dataset", "source"), (source := dataset.get("source")), sources, "source"
    if source in sources and isinstance(dataset.get("file"), str):
        files = _mapping(sources[source], "files")
        for file in of_each_split(dataset["file"]):
            yield ("dataset", "file"), file, files, f"file of the source '{source}' called"
    for name, gallery in _mapping(_mapping(task, "attribution"), "galleries").items():
        key, region = ("attribution", "galleries", name, "region"), _mapping(gallery, "region")
        yield (*key, "source"), (source := region.get("source")), sources, "source"
        if source in sources:
            yield (*key, "file"), region.get("file"), _mapping(sources[source], "files"), f"file of '{source}' called"


def _labels(task: Any, tasks: Section) -> Iterator[tuple[tuple[str, ...], Any, Iterable[str], str]]:
    """Yield the tasks that the labels of a task of embeddings come from, as `_pointers`."""
    dataset = _mapping(task, "dataset")
    if dataset.get("kind") == "embeddings":
        yield from ((("dataset", key), dataset.get(key), tasks, "task") for key in ("labels", "bins"))


def _has_motifs(source: Any) -> bool:
    return _value(source, "jaspar") is not None or any(file.endswith(".meme") for file in _mapping(source, "files"))


def _mapping(document: Any, key: str) -> Section:
    found = _value(document, key)
    return found if isinstance(found, Section) else Section()


def _value(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, Section) else None
