"""`cisflow figures`: what can be drawn, what each figure needs, and what it costs."""

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cisflow.cli.costs import Size, disk_of, run_work, size_of
from cisflow.cli.plan import Plan, plan
from cisflow.config.figures import Figure
from cisflow.config.project import BASE, Project

UNKNOWN = "?"


def list_figures(project: Project, out: Console, config: str | Path = BASE) -> None:
    """Print a row for each figure: its state, its cost from here on, what it is made from; then what has to be fetched.

    Parameters
    ----------
    project
        The configuration.
    out
        Where to print.
    config
        The file that the configuration was loaded from, for Snakemake.
    """
    paths = {name: f"{project.settings.results}/figures/{name}.pdf" for name in project.figures}
    jobs = plan(config, list(paths.values()), project.root)
    sizes = {name: size_of(project, name) for name in _all_tasks(project)}
    table = Table("figure", "state", "jobs", "GPU h", "core h", "disk, GB", "made from", box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True
    for column in table.columns[2:6]:
        column.justify = "right"
    for name, figure in project.figures.items():
        optional = [task for task in _tasks(figure.optional) if task not in figure.tasks()]
        made_from = ", ".join(figure.tasks()) + (f" (and {', '.join(optional)}, if run)" if optional else "")
        table.add_row(name, state(project, name, figure), *_cost(project, name, figure, jobs, sizes), made_from)
    out.print(table)
    for line in _notes(project):
        out.print(line, soft_wrap=True)


def state(project: Project, name: str, figure: Figure) -> str:
    """Return 'drawn', 'can be drawn here' or on a GPU, or that data has to be fetched first."""
    if Path(project.root, project.settings.results, "figures", f"{name}.pdf").exists():
        return "drawn"
    tasks = [project.task(task) for task in figure.tasks()]
    if any(True for task in figure.tasks() for _ in missing_data(project, task)):
        return "needs data"
    gpu = any(task.training.device == "gpu" for task in tasks)
    return "can be drawn on a GPU" if gpu else "can be drawn here"


def _cost(
    project: Project, name: str, figure: Figure, jobs: Plan, sizes: dict[str, Size | None]
) -> tuple[str, str, str, str]:
    """Return jobs to run, hours of one GPU, hours of one core, and gigabytes."""
    own = [number for number in jobs.of("draw_figure", figure=name) if not jobs.jobs[number].done]
    trainings = [jobs.jobs[number].wildcards for number in own if jobs.jobs[number].rule == "train"]
    if any(sizes[task] is None for task in figure.tasks()):
        return str(len(own)), UNKNOWN, UNKNOWN, UNKNOWN
    work = sum(run_work(project.task(of["task"]), of["run"], sizes[of["task"]]) for of in trainings)
    disk = sum(disk_of(project.task(task), sizes[task]) for task in figure.tasks())
    rates = project.settings.estimates
    return str(len(own)), _hours(work, rates.gpu), _hours(work, rates.cpu), f"{disk / 1e9:.1f}"


def _hours(work: float, rate: float | None) -> str:
    return UNKNOWN if rate is None else f"{work / rate / 3600:,.1f}"


def _notes(project: Project) -> Iterator[str]:
    yield ""
    needed = {text: None for name in _all_tasks(project) for text in missing_data(project, name)}
    if needed:
        yield "needs data:"
        yield from (f"  {text}" for text in needed)
        yield ""
    yield (
        "jobs: those still to run. Hours: of their trainings, if all epochs run, on one GPU or one core, by the "
        "configuration's estimates; attributions come on top. ?: known when the data is here."
    )
    yield f"\n{project.settings.command} {project.settings.results}/figures/<figure>.pdf"


def missing_data(project: Project, name: str) -> Iterator[str]:
    """Yield for each file to be fetched for a task that is neither here nor in a mirror: its name, size and origin."""
    mirrors = [*project.settings.mirror, *filter(None, os.environ.get("CISFLOW_MIRROR", "").split(os.pathsep))]
    paths = map(Path, [*project.data_files(name), project.motif_database(project.task(name))])
    for path in dict.fromkeys(fetched for path in paths if (fetched := _to_fetch(project, path))):
        source = project.sources[path.parent.name]
        file = source.files[path.name]
        if not any(next(Path(mirror).rglob(path.name), None) for mirror in mirrors):
            size = f"{file.size / 1e6:,.1f} MB" if file.size else file.about or "size not known"
            origin = f"the {file.package.kind} package {file.package.name}" if file.package else file.url
            yield f"{path.name} ({size}) from {origin or source.homepage}"


def _to_fetch(project: Project, path: Path) -> Path | None:
    """Return what has to be fetched to have a file: itself or the archive that holds it; None if nothing has to."""
    source = project.sources.get(path.parent.name)
    if source is None or path.name not in source.files:
        return None  # exported from a package, or the user's own
    fetched = path.with_name(source.fetched(path.name))
    return None if any((project.root / here).exists() for here in (path, fetched)) else fetched


def _tasks(tables: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(path.split("/")[0] for path in tables.values()))


def _all_tasks(project: Project) -> list[str]:
    return list(dict.fromkeys(task for figure in project.figures.values() for task in figure.tasks()))
