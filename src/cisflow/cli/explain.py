"""`cisflow explain`: tasks as they are understood, and what it will take to make results."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cisflow.cli.planning.bill import show
from cisflow.cli.planning.costs import Size, cost_of, size_of
from cisflow.cli.planning.forecast import Forecast
from cisflow.cli.planning.plan import NO_PROFILE, NoRule, Plan, plan, profile_path
from cisflow.config.places import GIVEN
from cisflow.config.project import BASE, Project
from cisflow.config.tasks import LEARNING, Task
from cisflow.config.yaml import Section, place
from cisflow.errors import CisflowError

OF_COMMAND = re.compile(r"(?<=--profile )\S+")
# Of each task, what people ask for.
RESULTS = ("report.html", "dataset.h5", "metrics.tsv")
PAGES = ("reproduction.md", "claims.tsv")


def explain(
    project: Project, targets: Sequence[str], out: Console, config: str | Path = BASE, profile: str | None = None
) -> None:
    """Print how tasks are understood, and what it will take to make results.

    Parameters
    ----------
    project
        The configuration.
    targets
        Names of tasks, which stand for their reports; results; rules. None: everything.
    out
        Where to print.
    config
        The file that the configuration was loaded from, for Snakemake.
    profile
        Name or path of a profile, or 'none'; by default that of the configuration's `command`.

    Raises
    ------
    CisflowError
        There is no such task, result or profile, or Snakemake cannot plan a result.
    """
    profile = profile_of(project, profile)
    tasks = [target for target in targets if target in project.tasks]
    for name in tasks:
        _understood(project, name, out)
    paths = [_path(project, target) for target in targets]
    try:
        planned = _planned(project, paths, config, profile)
    except CisflowError as error:
        if not tasks or len(tasks) < len(targets):
            raise
        # How a task is understood is an answer, also where its files are not here yet.
        out.print(f"\n[bold]jobs[/]  ? {escape(str(error))}", soft_wrap=True)
    else:
        show(Forecast(project, planned), profile, out)
    command = OF_COMMAND.sub(profile or NO_PROFILE, project.settings.command)
    out.print(f"\n{' '.join([command, *paths])}", markup=False, soft_wrap=True)


def profile_of(project: Project, name: str | None) -> str | None:
    """Return the folder of a profile, by default of that of the configuration's `command`; None for none.

    Raises
    ------
    CisflowError
        There is none of this name.
    """
    if name is not None:
        return None if name == NO_PROFILE else profile_path(name, project.root)
    found = OF_COMMAND.search(project.settings.command)
    with suppress(CisflowError):
        return found and profile_path(found[0], project.root)
    return None


def _path(project: Project, target: str) -> str:
    """Return what Snakemake makes for a target: of a task its report, and of a path that below the project."""
    if target in project.tasks:
        return project.table(target, RESULTS[0])
    root = project.root.resolve()
    if os.path.isabs(target) and Path(target).is_relative_to(root):
        return str(Path(target).relative_to(root))
    return os.path.normpath(target)


def _planned(project: Project, paths: Sequence[str], config: str | Path, profile: str | None) -> Plan:
    try:
        return plan(config, paths, project.root, profile)
    except NoRule as error:
        wanted = next((path for path in paths if path in str(error)), None)
        if wanted is None:
            raise
        if "/" not in wanted:
            project.task(wanted)  # says that there is none, and which is like it
        close = difflib.get_close_matches(wanted, _results(project), n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise CisflowError(
            f"no rule makes '{wanted}'.{hint} With {config}, results are below '{project.settings.results}'; --config "
            "names another scale."
        ) from None


def _results(project: Project) -> Iterator[str]:
    results = project.settings.results
    yield from (f"{results}/figures/{figure}.pdf" for figure in project.figures)
    yield from (project.table(task, name) for task in project.tasks for name in RESULTS)
    yield from (f"{results}/{page}" for page in PAGES)


def _understood(project: Project, name: str, out: Console) -> None:
    """Print a task's settings with their origin, its runs, and how heads are trained."""
    task = project.task(name)
    out.print(f"[bold]{name}[/]: {escape(task.title)}")
    out.print(_settings(task, name, project.documents["tasks"]))
    if task.model:
        out.print(_runs(task, size_of(project, name)))
    if task.heads:
        out.print(_trainings(task))


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
        return escape(", ".join(map(_brief, value)) or "none")
    return escape("none" if value in (None, {}, "") else _brief(value))


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
