"""Whether the software of jobs is there: conda environments made, a container program, modules, or this very Python."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cisflow.cli.cluster.asked import ASKING
from cisflow.cli.cluster.findings import Finding
from cisflow.cli.cluster.profiles import DEPLOYMENT, Profile
from cisflow.cli.cluster.slurm import answer
from cisflow.errors import CisflowError

AVAILABLE = """type module >/dev/null || exit 3
for name in "$@"; do module is-avail "$name" 2>/dev/null || echo "missing $name"; done"""
LEGACY = {
    "use-conda": "conda",
    "use-apptainer": "apptainer",
    "use-singularity": "apptainer",
    "use-envmodules": "env-modules",
}
DONE = ".env_setup_done"  # what Snakemake writes beside an environment when it is whole
SECONDS = 30


def methods(profile: Profile) -> list[str]:
    """Return how a profile gets the software of jobs; nothing: they run in the Python that runs Snakemake."""
    given = [method for value in profile.values(*DEPLOYMENT) for method in value.split()]
    old = [method for flag, method in LEGACY.items() if str(profile.settings.get(flag, "")).lower() == "true"]
    return list(dict.fromkeys([*given, *old]))


def list_environments(profile: Profile, targets: Sequence[str], root: Path = Path()) -> dict[str, Path]:
    """Return the conda environment file of each environment that targets need, and the folder Snakemake has for it.

    Raises
    ------
    CisflowError
        Snakemake cannot tell, with what it says.
    """
    kept = (*ASKING, "conda-prefix", "conda-base-path", "conda-frontend")
    settings = {key: value for key, value in profile.settings.items() if key in kept}
    with tempfile.TemporaryDirectory() as own:
        Path(own, "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--profile", own, "--cores", "1", "--software-deployment-method",
                   "conda", "--list-conda-envs", "--", *targets]  # fmt: skip
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-1:]
        raise CisflowError(f"Snakemake cannot list the conda environments: {' '.join(last)}")
    return parse_environments(done.stdout, root)


def parse_environments(text: str, root: Path = Path()) -> dict[str, Path]:
    """Read `snakemake --list-conda-envs`: a table of environment, container and location."""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 2]
    return {name: root / place for name, _, place in rows if (name, place) != ("environment", "location")}


def is_made(folder: Path) -> bool:
    """Return whether a conda environment is there and whole."""
    return folder.is_dir() and folder.with_suffix(DONE).exists()


def conda_findings(environments: dict[str, Path], profile: Profile, target: str) -> Iterator[Finding]:
    """Yield a problem if environments are not made: jobs would begin to make them side by side, on nodes."""
    missing = sorted(Path(name).name for name, folder in environments.items() if not is_made(folder))
    if missing:
        yield Finding(
            "problem", f"{len(missing)} of {len(environments)} conda environments are not made: {', '.join(missing)}",
            f"on a login node: snakemake --profile {profile.path.parent} --conda-create-envs-only {target}".rstrip(),
        )  # fmt: skip
    elif environments:
        yield Finding("ok", f"{len(environments)} conda environments are made")


def tool_findings(profile: Profile) -> Iterator[Finding]:
    """Yield for each way to get software whether its program is on PATH."""
    for method in methods(profile):
        if method == "conda":
            found, name = shutil.which("conda"), "conda"
            mend = "install Miniforge (conda-forge.org/download), or load your cluster's: module load miniforge"
        elif method in ("apptainer", "singularity"):
            found, name = shutil.which("apptainer") or shutil.which("singularity"), "apptainer"
            mend = "module load apptainer, or ask the administrators for it; jobs need it on the nodes, too"
        else:
            continue
        at = profile.at("software-deployment-method")
        yield (
            Finding("ok", f"{name}: {found}")
            if found
            else Finding("problem", f"{at}: jobs get their software by {method}, and {name} is not on PATH", mend)
        )


def modules_of(root: Path, rules: Iterable[str]) -> list[str]:
    """Return the environment modules that rules name."""
    rules, found = {*rules}, {}
    for path in sorted((root / "workflow/rules").glob("*.smk")):
        for name, text in re.findall(
            r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        ):
            block = re.search(r"^    envmodules:\n((?:        .*\n)+)", text, flags=re.MULTILINE)
            if name in rules and block:
                found |= dict.fromkeys(re.findall(r'"([^"{}]+)"', block[1]))
    return list(found)


def module_findings(names: Sequence[str]) -> Iterator[Finding]:
    """Yield which environment modules are not there; a shell is asked as those of jobs are, which read BASH_ENV."""
    if not names:
        return
    try:
        printed = answer(["bash", "-c", AVAILABLE, "modules", *names], SECONDS)
    except CisflowError as error:
        yield Finding(
            "problem",
            f"jobs get their software by environment modules, and there is no 'module' here: {error}",
            "export BASH_ENV=<the init file of your modules>, as /usr/share/modules/init/bash (docs/cluster.md)",
        )  # fmt: skip
        return
    missing = re.findall(r"^missing (.+)$", printed, flags=re.MULTILINE)
    if missing:
        yield Finding(
            "problem", f"{len(missing)} of {len(names)} environment modules are not there: {', '.join(missing)}",
            "export MODULEPATH=<their folder>:$MODULEPATH, then ask again; module avail cisflow",
        )  # fmt: skip
    else:
        yield Finding("ok", f"{len(names)} environment modules are there")
