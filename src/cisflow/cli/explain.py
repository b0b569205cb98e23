"""`cisflow explain`: a task as it is understood, and what it will cost."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.table import Table

from cisflow.cli.costs import Size, cost_of, disk_of, size_of, training_work
from cisflow.config.places import GIVEN
from cisflow.config.project import Project
from cisflow.config.tasks import LEARNING, Task
from cisflow.config.yaml import Section, place

UNITS = {"cpu": "CPU core", "gpu": "GPU"}


def explain_task(project: Project, name: str, out: Console) -> None:
    """Print a task: settings with their origin, runs, jobs, time and disk.

    Raises
    ------
    CisflowError
        There is no such task.
    """
    task = project.task(name)
    out.print(f"[bold]{name}[/]: {task.title}")
    out.print(_settings(task, name, project.documents["tasks"]))
    size = size_of(project, name)
    if task.model:
        out.print(_runs(task, size))
    if task.heads:
        out.print(_trainings(task))
    for line in _costs(project, task, size):
        out.print(line)
    out.print(f"\n{project.settings.command} {project.settings.results}/tasks/{name}/report.html", soft_wrap=True)


def _settings(task: Task, name: str, document: Section) -> Table:
    table = Table("setting", "value", "from", title="Settings", title_justify="left", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    labels = f"default for {task.target_kind} labels"
    resolved = {("training", key): (value, labels) for key, value in task.training_settings().items()}
    with suppress(ValueError):  # no map serves, and the rule says so if it is asked
        resolved["modisco", "method"] = task.modisco_method(), "default for these attributions"
    for path, value in _leaves(task.model_dump()):
        origin = _origin(document, ("tasks", name, *path))
        if task.heads and origin == "default" and path[0] == "training" and path[1] in LEARNING:
            continue  # of each head, in a table of its own
        if value is None and path in resolved:
            table.add_row(".".join(path), _text(resolved[path][0]), resolved[path][1])
        else:
            table.add_row(".".join(path), _text(value), origin)
    return table


def _trainings(task: Task) -> Table:
    """Return how each head is trained: its preset, with what the task says laid over it."""
    runs = {run: dict(_leaves(task.training_settings(run))) for run in task.runs()}
    about = f"\nTrainings (preset {task.training.preset}, and the settings above)"
    table = Table("setting", *runs, title=about, title_justify="left", box=None)
    for path in dict.fromkeys(path for leaves in runs.values() for path in leaves):
        table.add_row(".".join(path), *(_text(leaves.get(path)) for leaves in runs.values()))
    return table


def _leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner and not set(GIVEN) <= inner.keys():
            yield from _leaves(inner, (*path, str(key)))
        else:
            yield (*path, str(key)), inner


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_brief, value)) or "none"
    return "none" if value in (None, {}, "") else _brief(value)


def _brief(value: Any) -> str:
    """Return a section that stands in a list, without what is not given; of a file that has but one key, its place."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_brief, value))}]"
    if not isinstance(value, dict):
        return str(value)
    given = {key: _brief(inner) for key, inner in value.items() if inner not in (None, "", [], {}, False)}
    if set(GIVEN) <= value.keys() and len(given) == 1:
        return next(iter(given.values()))
    return "{" + ", ".join(f"{key}: {text}" for key, text in given.items()) + "}"


def _origin(document: Section, path: tuple[str, ...]) -> str:
    """Return the file and line of a setting; 'default' if no file gives it."""
    here: Any = document
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return "default"
        here = here[key]
    return place(document, path)


def _runs(task: Task, size: Size | None) -> Table:
    table = Table("run", "parameters", "multiplications a sequence", title="\nRuns", title_justify="left", box=None)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, spec in task.runs().items():
        numbers = ("?", "?") if size is None else (f"{n:,}" for n in cost_of(spec, size))
        table.add_row(name, *numbers)
    return table


def _costs(project: Project, task: Task, size: Size | None) -> Iterator[str]:
    runs = task.runs()
    filters = 3 if task.filters else 0  # filters, tomtom, matches
    gallery = 2 if task.attribution.gallery("best") and not task.heads else 0  # explained, drawn
    figures = 4 if task.filters else 2
    trained = len(runs) + 1 + filters + gallery + figures + (_head_jobs(task) if task.heads else 0) if runs else 0
    jobs = _data_jobs(project, task) + trained + 2  # its own figure, the report
    trainings = f"{len(runs)} trainings of {task.trials} trials, " if runs else ""
    others = f"{jobs - len(runs)} others, and those of its sources"
    yield f"\n[bold]jobs[/]      {jobs}: {trainings}{others}"
    if not runs:
        return
    if size is None:
        yield "[bold]time[/]      not known before the data is here"
        return
    yield from _times(project, training_work(task, size))
    yield f"[bold]disk[/]      about {disk_of(task, size) / 1e6:,.0f} MB"


def _head_jobs(task: Task) -> int:
    """Return how many jobs compare the heads of a task: two tables and three figures, and those of domains."""
    return 5 + (2 if task.evaluation.domains or task.evaluation.differences else 0)


def _data_jobs(project: Project, task: Task) -> int:
    """Return how many jobs make a task's data set of the files that it begins with, besides indices of genomes."""
    if task.dataset.kind == "embeddings":
        labels = map(project.task, task.dataset.tasks().values())
        return 2 + task.dataset.shards + sum(_data_jobs(project, other) for other in labels)  # gathered
    tracks = getattr(task.dataset, "tracks", {})
    return 1 + (2 + len(tracks) * task.dataset.shards if tracks else 0)  # regions, gathered


def _times(project: Project, work: float) -> Iterator[str]:
    for device, rate in project.settings.estimates:
        hours = "not measured yet" if rate is None else f"at most {work / rate / 3600:,.1f} hours, if all epochs run"
        yield f"[bold]time[/]      one {UNITS[device]}: {hours}"
