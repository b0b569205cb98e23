"""The whole configuration, loaded and checked together: one call for the Snakefile, the command line and the tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from cisflow.config.claims import Claim, Claims
from cisflow.config.figures import Figure, Figures
from cisflow.config.sources import Source, Sources
from cisflow.config.strict import Name, Strict, did_you_mean, validate
from cisflow.config.tasks import Task, Tasks
from cisflow.config.yaml import Section, load, merge, place
from cisflow.errors import CisflowError


class Estimates(Strict):
    """Speeds that `cisflow explain` computes times from: multiplications of training a second, as measured."""

    cpu: float | None = Field(None, gt=0, description="One core.")
    gpu: float | None = Field(None, gt=0, description="One GPU, all trials of a run together.")


class Settings(Strict):
    """The content of config/config.yaml: where things are, and at which scale."""

    results: str = Field("results", description="Folder of results.")
    resources: str = Field("resources", description="Folder of fetched files.")
    mirror: list[str] = Field([], description="Folders searched, by file name and checksum, before any download.")
    tasks: list[str] = Field(min_length=1, description="Files of tasks; a later one overrides keys of an earlier one.")
    sources: str = "config/sources.yaml"
    figures: str = "config/figures.yaml"
    claims: str = "config/claims.yaml"
    estimates: Estimates = Estimates()
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

    def source_file(self, name: str, file: str | None = None) -> str:
        """Return the path of a file of a source; of a JASPAR release without a file name, its counts."""
        source = _named(self.sources, name, "source")
        if source.jaspar:
            file = file or f"{name}.jaspar"
        return f"{self.settings.resources}/{name}/{file}"

    def motif_database(self, task: Task) -> str:
        """Return the MEME file of the motifs that a task's filters are compared with."""
        name = task.tomtom.database
        source = self.sources[name]
        file = f"{name}.meme" if source.jaspar else next(file for file in source.files if file.endswith(".meme"))
        return self.source_file(name, file)

    def dataset_inputs(self, task: Task) -> list[str]:
        """Return the files that a task's data set is made from."""
        dataset = task.dataset
        if dataset.kind == "hdf5":
            return [self.source_file(dataset.source, file) if dataset.source else file for file in dataset.files()]
        return [self.source_file(dataset.motifs)]


def _named(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise CisflowError(f"there is no {what} '{name}'.{did_you_mean(name, known)}")
    return known[name]


def load_project(config: Mapping[str, Any] | str | Path, root: str | Path = ".") -> Project:
    """Load and check everything that a configuration names.

    Parameters
    ----------
    config
        The mapping that Snakemake has read, or the path of a config.yaml.
    root
        Folder that relative paths of configuration files start from.

    Raises
    ------
    CisflowError
        All problems of all files, a line each.
    """
    root = Path(root)
    problems: list[str] = []

    def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except CisflowError as error:
            problems.append(str(error))
            return None

    settings = validate(Settings, load(root / config) if isinstance(config, str | Path) else _section(config))
    documents = {
        "tasks": attempt(_load_tasks, root, settings.tasks),
        **{name: attempt(load, root / getattr(settings, name)) for name in ("sources", "figures", "claims")},
    }
    models = {"tasks": Tasks, "sources": Sources, "figures": Figures, "claims": Claims}
    checked = {
        name: attempt(validate, models[name], document) for name, document in documents.items() if document is not None
    }
    parts = {name: getattr(value, name) for name, value in checked.items() if value is not None}
    problems += _dangling_names(parts, documents)
    if problems:
        raise CisflowError("the configuration has problems:\n" + "\n".join(problems))
    return Project(root, settings, **parts, documents=documents)


def _section(mapping: Mapping[str, Any]) -> Section:
    # What Snakemake hands over has been merged from files and the command line, so it has no lines of its own.
    section = Section()
    for key, value in mapping.items():
        section[key] = _section(value) if isinstance(value, Mapping) else value
        section.lines[key] = "config"
    return section


def _load_tasks(root: Path, files: list[str]) -> Section:
    """Merge the files of tasks in order, and lay the defaults below every task."""
    merged = Section()
    for file in files:
        merged = merge(merged, load(root / file))
    defaults = merged.pop("defaults", Section())
    tasks = merged.get("tasks")
    if isinstance(tasks, Section):
        for name, task in tasks.items():
            tasks[name] = merge(defaults, task) if isinstance(task, Section) else task
    return merged


def _dangling_names(parts: Mapping[str, Any], documents: Mapping[str, Section]) -> list[str]:
    """Return a problem for each name that points to nothing: a task's sources, a figure's or claim's task."""
    sources, tasks = parts.get("sources"), parts.get("tasks")
    problems = []

    def point(document: str, path: tuple[str, ...], name: str, known: Mapping[str, Any] | None, what: str) -> None:
        if known is not None and name not in known:
            where = f"{place(documents[document], path)}: {'.'.join(path)}"
            problems.append(f"{where}: there is no {what} '{name}'.{did_you_mean(name, known)}")

    for name, task in (tasks or {}).items():
        for key, value in _source_names(task).items():
            point("tasks", ("tasks", name, *key), value, sources, "source")
        if (source := (sources or {}).get(getattr(task.dataset, "source", None))) is not None:
            what = f"file of the source '{task.dataset.source}' called"
            for file in task.dataset.files():
                point("tasks", ("tasks", name, "dataset", "file"), file, source.files, what)
    for name, figure in parts.get("figures", {}).items():
        for key, table in figure.tables.items():
            point("figures", ("figures", name, "tables", key), table.split("/")[0], tasks, "task")
    for name, claim in parts.get("claims", {}).items():
        point("claims", ("claims", name, "task"), claim.task, tasks, "task")
    return problems


def _source_names(task: Task) -> dict[tuple[str, str], str]:
    names = {("tomtom", "database"): task.tomtom.database}
    for key in ("motifs", "source"):
        if value := getattr(task.dataset, key, None):
            names["dataset", key] = value
    return names
