"""`cisflow explain`: a task as it is understood, and what it will cost."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from rich.console import Console
from rich.table import Table

from cisflow.config.project import Project
from cisflow.config.tasks import Task
from cisflow.config.yaml import Section, place
from cisflow.datasets.hdf5 import Layout, open_hdf5
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.cost import cost

# A training step computes the forward pass, and the gradients of weights and of activations.
PASSES = 3
DRAWN = 4  # standard figures
UNITS = {"cpu": "CPU core", "gpu": "GPU"}


@dataclass(frozen=True)
class Size:
    """Rows of the training split and of all splits, length in bases, targets; None where they are not known yet."""

    train: int
    rows: int
    length: int
    targets: int


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
    size = _size(project, name, task)
    out.print(_runs(task, size))
    for line in _costs(project, task, size):
        out.print(line)
    out.print(f"\n{project.settings.command} {project.settings.results}/tasks/{name}/report.html", soft_wrap=True)


def _settings(task: Task, name: str, document: Section) -> Table:
    table = Table("setting", "value", "from", title="Settings", title_justify="left", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    resolved = {("training", key): value for key, value in task.training_settings().items()}
    for path, value in _leaves(task.model_dump()):
        if value is None and path in resolved:
            table.add_row(".".join(path), _text(resolved[path]), f"default for {task.target_kind} labels")
        else:
            table.add_row(".".join(path), _text(value), _origin(document, ("tasks", name, *path)))
    return table


def _leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, str(key)))
        else:
            yield (*path, str(key)), inner


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, {}, "") else str(value)


def _origin(document: Section, path: tuple[str, ...]) -> str:
    """Return the file and line of a setting; 'default' if no file gives it."""
    here: Any = document
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return "default"
        here = here[key]
    return place(document, path)


def _size(project: Project, name: str, task: Task) -> Size | None:
    dataset = task.dataset
    made = project.root / project.settings.results / "tasks" / name / "dataset.h5"
    if made.exists():
        with h5_reader(made, "dataset/1") as h5:
            rows = [len(h5[split]["y"]) for split in SPLITS]
            return Size(rows[0], sum(rows), int(h5.attrs["length"]), len(h5.attrs["targets"]))
    if dataset.kind != "hdf5":
        targets = len(getattr(dataset, "classes", ())) or 1
        return Size(round(dataset.split[0] * dataset.sequences), dataset.sequences, dataset.length, targets)
    paths = [project.root / path for path in project.dataset_inputs(task)]
    if dataset.keep != "all" or not all(path.exists() and path.suffix != ".mat" for path in paths):
        return None  # nothing but the data set tells how many rows there will be
    layout = Layout(
        **{field.name: getattr(dataset, field.name) for field in fields(Layout)} | {"keys": dict(dataset.keys)}
    )
    with open_hdf5(paths, layout) as splits:
        rows = {split: stream.rows * (1 + stream.other_strand) for split, stream in splits.items()}
        return Size(rows["train"], sum(rows.values()), splits["train"].length, splits["train"].targets)


def _runs(task: Task, size: Size | None) -> Table:
    table = Table("run", "parameters", "multiplications a sequence", title="\nRuns", title_justify="left", box=None)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, spec in task.runs().items():
        numbers = ("?", "?") if size is None else (f"{n:,}" for n in _cost(spec, size))
        table.add_row(name, *numbers)
    return table


def _cost(spec: dict[str, Any], size: Size) -> tuple[int, int]:
    try:
        return cost(spec, size.length, size.targets)
    except ValueError as error:
        raise CisflowError(f"{error}; choose another model, or longer sequences.") from error


def _costs(project: Project, task: Task, size: Size | None) -> Iterator[str]:
    runs = task.runs()
    filters = 3 if task.filters else 0  # filters, tomtom, matches
    figures = DRAWN if task.filters else DRAWN - 2
    jobs = 1 + len(runs) + 1 + filters + figures + 1
    others = f"{jobs - len(runs)} others, and those of its sources"
    yield f"\n[bold]jobs[/]      {jobs}: {len(runs)} trainings of {task.trials} trials, {others}"
    if size is None:
        yield "[bold]time[/]      not known before the data is here"
        return
    costs = [_cost(spec, size) for spec in runs.values()]
    epochs = [task.training_settings(run)["epochs"] for run in runs]
    macs = sum(count * macs for count, (_, macs) in zip(epochs, costs, strict=True))
    work = PASSES * size.train * task.trials * macs
    yield from _times(project, work)
    weights = 2 * 4 * task.trials * sum(parameters for parameters, _ in costs)
    predictions = 4 * 2 * size.targets * task.trials * len(runs) * size.rows
    data = size.rows * (size.length * (1 if task.dataset.kind == "hdf5" else 2) + 4 * size.targets)
    yield f"[bold]disk[/]      about {(weights + predictions + data) / 1e6:,.0f} MB"


def _times(project: Project, work: float) -> Iterator[str]:
    for device, rate in project.settings.estimates:
        hours = "not measured yet" if rate is None else f"at most {work / rate / 3600:,.1f} hours, if all epochs run"
        yield f"[bold]time[/]      one {UNITS[device]}: {hours}"
