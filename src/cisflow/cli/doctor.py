"""`cisflow doctor`: is this machine ready, and if not, what mends it?"""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from rich.console import Console

from cisflow.cli.cluster.findings import Finding, show
from cisflow.cli.cluster.profiles import placeholder_findings, read_profile
from cisflow.config.preflight import check_files, missing_files
from cisflow.config.project import BASE, Project, load_project
from cisflow.errors import CisflowError

LOCK = Path("requirements.lock")
FREE_DISK = 5e9  # bytes; the paper-scale results of Task 1 take about 1 GB


def examine(config: Path | None, out: Console, profile: str | None = None, targets: Sequence[str] = ()) -> bool:
    """Print every finding; return whether there is no problem.

    Parameters
    ----------
    config
        Configuration; default: that of the profile, or config/config.yaml.
    out
        Where to print.
    profile
        A profile whose settings and cluster are looked at, too.
    targets
        What Snakemake will be asked for; the room and the files that they need are looked at, too.
    """
    from cisflow.cli.cluster.examine import examine_profile, examine_targets

    checks = [check(config or BASE) for check in CHECKS]
    if profile:
        checks += [examine_profile(profile, targets, config)]
    else:
        checks += [_slurm(), examine_targets(targets, config) if targets else iter(())]
    return show(chain.from_iterable(checks), out)


def _python(_: Path) -> Iterator[Finding]:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("ok", f"Python {version}")
    else:
        yield Finding("problem", f"Python {version}; 3.11 to 3.13 are supported", "make environment PYTHON=python3.11")


def _packages(_: Path) -> Iterator[Finding]:
    if not LOCK.exists():
        yield Finding("note", f"{LOCK} is not here, so package versions are not compared", "run this in the repository")
        return
    pinned = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE))
    differ = [f"{name} {found or 'missing'} (locked: {wanted})" for name, wanted in pinned.items()
              if (found := _version(name)) != wanted]  # fmt: skip
    if differ:
        yield Finding("note", f"{len(differ)} packages differ from {LOCK}: {', '.join(differ[:5])}", "make environment")
    else:
        yield Finding("ok", f"{len(pinned)} packages as in {LOCK}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _configuration(config: Path) -> Iterator[Finding]:
    try:
        project = load_project(config)
        check_files(project)
    except CisflowError as error:
        yield Finding(
            "problem", str(error), f"correct the lines above and run 'cisflow doctor --config {config}' again"
        )
        return
    yield Finding(
        "ok", f"{config}: {len(project.tasks)} tasks, {len(project.sources)} sources, {len(project.figures)} figures"
    )
    yield from _unpinned(project)
    for line in missing_files(project).values():
        yield Finding("problem", line, "bring the file, or correct its path; tasks that do not need it are not held up")
    yield from _disk(Path(project.settings.results))
    yield from _gpu([name for name, task in project.tasks.items() if task.model and task.training.device == "gpu"])
    yield from _mirrors(project.settings.mirror)


def _unpinned(project: Project) -> Iterator[Finding]:
    for name in project.tasks:
        try:
            project.pinned(name)
        except CisflowError as error:
            yield Finding("note", str(error))


def _disk(results: Path) -> Iterator[Finding]:
    there = next(folder for folder in (results, *results.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    level = "ok" if free >= FREE_DISK else "problem"
    mend = (
        "" if level == "ok" else "free some space, or set 'results:' in config/config.yaml to a folder on another disk"
    )
    yield Finding(level, f"{free / 1e9:,.0f} GB free for {results}", mend)


def _gpu(tasks: list[str]) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        yield Finding("ok", f"GPU: {', '.join(names)} (torch {torch.__version__})")
        return
    masked = os.environ.get("CUDA_VISIBLE_DEVICES")
    because = f"; CUDA_VISIBLE_DEVICES is '{masked}'" if masked is not None else ""
    needing = f"; these tasks want one: {', '.join(tasks)}" if tasks else ""
    mend = "run them with profiles/slurm, or allow the CPU with 'training: {device: any}'" if tasks else ""
    yield Finding("note", f"no GPU is visible to torch {torch.__version__}{because}{needing}", mend)


def _mirrors(configured: list[str]) -> Iterator[Finding]:
    named = [folder for folder in os.environ.get("CISFLOW_MIRROR", "").split(os.pathsep) if folder]
    for folder in [*configured, *named]:
        if Path(folder).is_dir():
            yield Finding("ok", f"mirror {folder}")
        else:
            yield Finding(
                "problem",
                f"mirror {folder} is not a folder",
                "correct CISFLOW_MIRROR or 'mirror:' in the configuration",
            )


def _kernel(_: Path) -> Iterator[Finding]:
    try:
        KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(
            "problem",
            "no Jupyter kernel 'python3', which draws the figures",
            "python -m ipykernel install --sys-prefix",
        )
    else:
        yield Finding("ok", "Jupyter kernel python3")


def _tools(_: Path) -> Iterator[Finding]:
    tools = {
        "snakemake": ("problem", "activate the environment: source .venv/bin/activate"),
        "dot": ("note", "Graphviz draws --dag and --rulegraph: apt-get install graphviz, or conda install graphviz"),
        "tomtom": (
            "note",
            "only for 'tomtom: {engine: meme}' (conda install -c bioconda meme; non-commercial use only)",
        ),
    }
    for tool, (level, mend) in tools.items():
        found = shutil.which(tool)
        yield Finding("ok", f"{tool}: {found}") if found else Finding(level, f"{tool} is not on PATH", mend)


def _slurm() -> Iterator[Finding]:
    """Yield what is to be filled in where there is a Slurm and nobody has named a profile."""
    profile = Path("profiles/slurm/config.yaml")
    if shutil.which("sbatch") is None or not profile.exists():
        yield Finding("ok", "no Slurm here (profiles/slurm is for a login node)")
        return
    if find_spec("snakemake_executor_plugin_slurm") is None:
        yield Finding("problem", "snakemake's Slurm executor is not installed", "make environment")
    # No problem of this machine before somebody means to use the profile.
    yield from (found._replace(level="note") for found in placeholder_findings(read_profile("slurm")) if found.mend)
    yield Finding("note", "there is a Slurm here, which was not asked", "cisflow doctor --profile slurm")


CHECKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (_python, _packages, _configuration, _kernel, _tools)
