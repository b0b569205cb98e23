"""`cisflow sources`: the external files that targets need: which, how large, where; fetched together, and checked."""

import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cisflow.cli.console import VisibleConsole
from cisflow.errors import CisflowError
from cisflow.script import VisibleFormatter

if TYPE_CHECKING:
    from cisflow.config.project import Project
    from cisflow.sources.fetch import Progress
    from cisflow.sources.mirror import Item, Mirror

app = typer.Typer(
    help="List, fetch and check the external files that targets need; for machines without a network, too.",
    no_args_is_help=True,
)
out = VisibleConsole()
CONFIG = Path("config/config.yaml")
SHOWN = ("file", "size", "state", "licence")

Config = Annotated[
    Path, typer.Option("--config", help="Configuration, which sets the scale, as config/demo/config.yaml.")
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--for",
        help="What is to be made, as results/figures/fig1.pdf; may be given again. Default: all figures.",
        metavar="TARGET",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder to fill, which can be taken elsewhere. Default: the workflow's own folder of fetched files "
        "('resources:' of the configuration), where jobs find them at once.",
        metavar="FOLDER",
    ),
]


@app.command("list")
def show(targets: Targets = None, config: Config = CONFIG) -> None:
    """Show the files that targets need: size, whether they are here, in a mirror, or missing, and their licences."""
    from cisflow.config.project import load_project

    project = load_project(config)
    items, releases = needed(project, config, targets or [])
    states = {item.file: state(project, item) for item in items}
    rows = [(item.file, _size(item), states[item.file], item.licence) for item in items]
    rows += [(f"{name}/{name}.meme", "-", "installed", project.sources[name].licence) for name in releases]
    _columns([SHOWN, *rows])
    counted = {word: list(states.values()).count(word) for word in ("here", "mirror", "missing", "by hand")}
    told = ", ".join(f"{number} {word}" for word, number in counted.items() if number)
    out.print(f"{len(items)} files, {_bytes(items)}{told and ': '}{told}", markup=False, soft_wrap=True)
    if counted["missing"] or counted["by hand"]:
        out.print(f"To fetch them: {_command(targets or [], config)}", markup=False, soft_wrap=True)


@app.command()
def fetch(
    targets: Targets = None,
    mirror: Folder = None,
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Files that are fetched together.")] = 4,
    config: Config = CONFIG,
) -> None:
    """Fetch all files that targets need, where there is a network; then the workflow needs none.

    With --mirror, they go to a folder that can be taken to another machine, and named there in CISFLOW_MIRROR.

    Run again, it fetches what is missing. What cannot be had is told at the end; the exit status is 1 then.
    """
    from cisflow.config.project import load_project
    from cisflow.sources.mirror import Mirror, fill

    project = load_project(config)
    items, _ = needed(project, config, targets or [])
    if not items:
        out.print("nothing has to be fetched for that")
        return
    folder = mirror or Path(project.root, project.settings.resources)
    others = _searched(project, folder)
    kept = Mirror(folder)
    waiting = [item for item in items if item.by_hand and not _anywhere(item, [folder, *others])]
    for line in _by_hand(project, waiting, folder):
        out.print(line, markup=False, soft_wrap=True)
    wanted = [item for item in items if item not in waiting]

    def told(item: "Item", origin: str) -> None:
        record = kept.records[item.file]
        out.print(f"{item.file}: {record.bytes:,} bytes, {origin}", markup=False, soft_wrap=True)

    with _bars() as progress_of:
        failures = fill(kept, wanted, others, parallel, told, progress_of)
    here = len(wanted) - len(failures)
    out.print(f"{folder}: {here} of {len(items)} files are there", markup=False, soft_wrap=True)
    if failures or waiting:
        lines = [f"  {file}: {why}" for file, why in failures.items()]
        lines += [f"  {item.file}: by hand, as said above" for item in waiting]
        text = f"{len(lines)} files could not be had. Run the same command again when that is mended:"
        raise CisflowError("\n".join([text, *lines]))
    if mirror:
        out.print(f"To use it: export CISFLOW_MIRROR={shlex.quote(str(folder.absolute()))}", soft_wrap=True)


@app.command()
def check(
    mirror: Annotated[Path, typer.Argument(help="Folder that 'cisflow sources fetch' has filled.", metavar="MIRROR")],
    targets: Annotated[
        list[str] | None,
        typer.Option("--for", help="Whether it has all that this target needs; may be given again.", metavar="TARGET"),
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Read every file of a mirror: are size and checksum those of its table? The exit status is 1 if not all are."""
    from cisflow.sources.checksums import TABLE
    from cisflow.sources.mirror import Mirror

    if not mirror.is_dir():
        raise CisflowError(f"there is no folder {mirror}.")
    kept = Mirror(mirror)
    if not kept.records:
        raise CisflowError(f"{mirror}: there is no {TABLE} in it, or it is empty. 'cisflow sources fetch' makes it.")
    found = kept.check()
    lacking = [file for file in _lacking(kept, targets, config) if file not in {*found.missing, *found.corrupt}]
    lines = [f"missing  {file}" for file in found.missing]
    lines += [f"corrupt  {file}: {problem}" for file, problem in found.corrupt.items()]
    lines += [f"needed   {file}: it is not in the table, or its declaration has changed" for file in lacking]
    notes = [f"extra    {file}" for file in found.extra] + [f"left     {file}, of a transfer" for file in found.left]
    for line in (*lines, *notes):
        out.print(line, markup=False, soft_wrap=True)
    size = sum(kept.records[file].bytes for file in found.good)
    right = f"{mirror}: {len(found.good)} of {len(kept.records)} files are right, {size / 1e6:,.1f} MB"
    out.print(right, markup=False, soft_wrap=True)
    if lines:
        raise CisflowError(
            f"{mirror}: {len(lines)} problems. Delete the corrupt files and, where there is a network, fetch again: "
            f"{_command(targets or [], config)} --mirror {shlex.quote(str(mirror))}"
        )


def needed(project: "Project", config: str | Path, targets: Sequence[str]) -> tuple[list["Item"], list[str]]:
    """Return the files that targets need and the workflow fetches, and the sources that installed packages have.

    Parameters
    ----------
    project, config
        The configuration, and the file that it was loaded from, for Snakemake.
    targets
        As given to Snakemake; none for its default. What of them is done already does not matter.

    Raises
    ------
    CisflowError
        Snakemake cannot plan these targets.
    """
    from cisflow.cli.planning.plan import plan

    jobs = plan(config, targets, project.root).jobs.values()
    fetched = sorted((job.wildcards["source"], job.wildcards["file"]) for job in jobs if job.rule == "fetch_source")
    releases = sorted(job.wildcards["source"] for job in jobs if job.rule == "export_jaspar")
    return [item_of(project, source, file) for source, file in fetched], releases


def item_of(project: "Project", source: str, file: str) -> "Item":
    """Return a file of a source as it is fetched."""
    from cisflow.sources.fetch import Wanted
    from cisflow.sources.mirror import Item

    declared = project.sources[source]
    known = declared.declaration(file)
    return Item(source, Wanted(file, **known), declared.licence, declared.files[file].about)


def state(project: "Project", item: "Item") -> str:
    """Return 'here', 'mirror', 'missing', or 'by hand' if it is missing and has no address; no file is read."""
    from cisflow.config.sources import mirrors

    if Path(project.root, project.settings.resources, item.file).exists():
        return "here"
    if _anywhere(item, list(map(Path, mirrors(project.settings.mirror)))):
        return "mirror"
    return "by hand" if item.by_hand else "missing"


def _anywhere(item: "Item", folders: Sequence[Path]) -> bool:
    from cisflow.sources.fetch import copies

    # What names a folder that is not there is refused when something is fetched.
    there = [folder for folder in folders if folder.is_dir()]
    return any(copy.problem is None for copy in copies(item.wanted, item.source, there))


def _searched(project: "Project", filled: Path) -> list[Path]:
    """Return the folders that are searched before any download: what the workflow has already, and mirrors."""
    from cisflow.config.sources import mirrors

    resources = Path(project.root, project.settings.resources)
    named = [Path(folder) for folder in mirrors(project.settings.mirror) if Path(folder).resolve() != filled.resolve()]
    if missing := [str(folder) for folder in named if not folder.is_dir()]:
        raise CisflowError(f"mirror: there is no folder {', '.join(missing)}. Correct CISFLOW_MIRROR or 'mirror:'.")
    return [*([resources] if resources.is_dir() and resources.resolve() != filled.resolve() else []), *named]


def _lacking(kept: "Mirror", targets: Sequence[str] | None, config: Path) -> list[str]:
    if not targets:
        return []
    from cisflow.config.project import load_project

    items, _ = needed(load_project(config), config, targets)
    return [item.file for item in items if not kept.has(item)]


def _by_hand(project: "Project", items: Sequence["Item"], folder: Path) -> Iterator[str]:
    for item in items:
        yield f"by hand: {item.file} ({_size(item)}), {project.sources[item.source].homepage}"
        yield f"  {item.wanted.manual} Put it at {folder / item.file}, and run this again."


def _command(targets: Sequence[str], config: Path) -> str:
    words = ["cisflow", "sources", "fetch", *(word for target in targets for word in ("--for", target))]
    return shlex.join([*words, *(["--config", str(config)] if config != CONFIG else [])])


def _size(item: "Item") -> str:
    return f"{item.wanted.size / 1e6:,.1f} MB" if item.wanted.size else item.about or "?"


def _bytes(items: Sequence["Item"]) -> str:
    known = sum(item.wanted.size or 0 for item in items) / 1e6
    unknown = sum(item.wanted.size is None for item in items)
    return f"{known:,.1f} MB" + (f" and {unknown} of unknown size" if unknown else "")


def _columns(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(field.ljust(width) for field, width in zip(line, widths, strict=True))
        out.print(text.rstrip(), markup=False, soft_wrap=True)


@contextmanager
def _bars() -> "Iterator[Callable[[Item], Progress]]":
    """Yield what makes the progress of a file: a bar on a terminal, else a line now and then."""
    from rich.logging import RichHandler
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from cisflow.script import Clock

    handler = RichHandler(console=out, show_time=False, show_path=False, show_level=False, markup=False)
    handler.setFormatter(VisibleFormatter("%(message)s"))
    logger = logging.getLogger("cisflow")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Progress(*columns, console=out, transient=True, disable=not out.is_terminal)

    def progress_of(item: "Item") -> "Progress":
        if bars.disable:
            return Clock(item.file)
        bar = bars.add_task(item.file, total=item.wanted.size)
        return lambda done, total: bars.update(bar, completed=done, total=total, visible=done != total)

    try:
        with bars:
            yield progress_of
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
