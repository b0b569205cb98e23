"""`cisflow figures`: what can be drawn, and what each figure needs."""

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cisflow.config.figures import Figure
from cisflow.config.project import Project
from cisflow.config.tasks import Task


def list_figures(project: Project, out: Console) -> None:
    """Print a row for each figure: its state, its tasks, and the command that draws it."""
    table = Table("figure", "title", "state", "made from", box=None, pad_edge=False)
    for name, figure in project.figures.items():
        tasks = _tasks(figure.tables)
        optional = [task for task in _tasks(figure.optional) if task not in tasks]
        made_from = ", ".join(tasks) + (f" (and {', '.join(optional)}, if it has been run)" if optional else "")
        table.add_row(name, figure.title, state(project, name, figure), made_from)
    out.print(table)
    out.print(f"\n{project.settings.command} {project.settings.results}/figures/<figure>.pdf", soft_wrap=True)


def state(project: Project, name: str, figure: Figure) -> str:
    """Return 'drawn', 'can be drawn here' or on a GPU, or what has to be fetched first and where it is."""
    if Path(project.root, project.settings.results, "figures", f"{name}.pdf").exists():
        return "drawn"
    needed = [text for task in _tasks(figure.tables) for text in missing_data(project, project.task(task))]
    if needed:
        return f"needs data: {'; '.join(dict.fromkeys(needed))}"
    gpu = any(project.task(task).training.device == "gpu" for task in _tasks(figure.tables))
    return "can be drawn where there is a GPU" if gpu else "can be drawn here"


def missing_data(project: Project, task: Task) -> Iterator[str]:
    """Yield for each file to be fetched for a task that is neither here nor in a mirror: its name, size and address."""
    mirrors = [*project.settings.mirror, *filter(None, os.environ.get("CISFLOW_MIRROR", "").split(os.pathsep))]
    paths = map(Path, [*project.dataset_inputs(task), project.motif_database(task)])
    for path in dict.fromkeys(fetched for path in paths if (fetched := _to_fetch(project, path))):
        source = project.sources[path.parent.name]
        file = source.files[path.name]
        if not any(next(Path(mirror).rglob(path.name), None) for mirror in mirrors):
            size = f"{file.size / 1e6:,.1f} MB" if file.size else "size not known"
            yield f"{path.name} ({size}) from {file.url or source.homepage}"


def _to_fetch(project: Project, path: Path) -> Path | None:
    """Return what has to be fetched to have a file: itself or the archive that holds it; None if nothing has to."""
    source = project.sources.get(path.parent.name)
    if source is None or path.name not in source.files:
        return None  # exported from a package, or the user's own
    fetched = path.with_name(source.fetched(path.name))
    return None if any((project.root / here).exists() for here in (path, fetched)) else fetched


def _tasks(tables: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(path.split("/")[0] for path in tables.values()))
