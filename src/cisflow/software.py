"""Which Python a job runs in: software that was not deployed must stop the job, not pass unnoticed.

A module that was not loaded, or an environment that was not activated, leaves a job in the Python of Snakemake itself,
where it may well succeed, with other versions. So the workflow tells its jobs what was asked for, and a job compares:
its shell before anything else (`python -m cisflow.software`), its script when it starts (`check`). Only the standard
library is imported here, since the wrong Python may lack the rest.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from cisflow.errors import CisflowError

# What the workflow tells its jobs, as JSON; absent if they run in the Python of Snakemake, as asked.
VARIABLE = "CISFLOW_SOFTWARE"
PAGE = "docs/environments.md"
MENDS = {
    "conda": "The conda environment was not activated.",
    "env-modules": "No module was loaded: is 'module' a command of bash in a job, and cisflow/<family> in MODULEPATH?",
    "apptainer": "No container was entered: does 'container' in config/config.yaml name an image?",
}


def prepare(methods: Iterable[str], environments: Mapping[str, str]) -> str:
    """Tell jobs, by their environment variables, how their software is deployed, and return what their shells do first.

    Parameters
    ----------
    methods
        Names of Snakemake's methods of deployment that are in force (`conda`, `env-modules`, `apptainer`), if any.
    environments
        For each script (`<stage>/<verb>.py`) the conda file of its rule.

    Returns
    -------
    str
        Commands of bash, for Snakemake's `shell.prefix` (braces are doubled). This package is found by PYTHONPATH, set
        here because Snakemake and modules take that variable away when they activate an environment.
    """
    methods = sorted(methods)
    os.environ.pop(VARIABLE, None)
    source = shlex.quote(str(Path(__file__).parents[1]))
    commands = ["set -euo pipefail", f'export PYTHONPATH={source}"${{PYTHONPATH:+:$PYTHONPATH}}"']
    if methods:
        told = {"methods": methods, "python": os.path.realpath(sys.prefix), "environments": dict(environments)}
        os.environ[VARIABLE] = json.dumps(told)
        # Packages in the user's home belong to no environment.
        commands += ["export PYTHONNOUSERSITE=1", "python -m cisflow.software"]
    return "; ".join([*commands, ""]).replace("{", "{{").replace("}", "}}")


def check(script: str | Path) -> None:
    """Compare this Python with the environment that the workflow deploys for a script; do nothing if it deploys none.

    Raises
    ------
    CisflowError
        It is the Python of Snakemake, or has other versions than the conda file of the script's rule.
    """
    if VARIABLE not in os.environ:
        return
    check_python()
    name = "/".join(Path(script).parts[-2:])
    environment = json.loads(os.environ[VARIABLE])["environments"].get(name)
    if environment is None:
        return
    differ = [f"{name} {had or 'is missing'} ({wanted})" for name, wanted, had in differences(environment)]
    if differ:
        more = f", and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise CisflowError(
            f"the environment of this job, {sys.prefix}, is not that of {environment}: {', '.join(differ[:5])}{more}. "
            f"In parentheses stands what the file has. Make the environment again ({PAGE})."
        )


def check_python() -> None:
    """Raise a CisflowError if this is the Python of Snakemake, though software was to be deployed."""
    told = json.loads(os.environ.get(VARIABLE, "{}"))
    if not told:
        return
    # A container may have its Python at the same path.
    inside = any(f"{program}_CONTAINER" in os.environ for program in ("APPTAINER", "SINGULARITY"))
    if not inside and os.path.realpath(sys.prefix) == told["python"]:
        why = " ".join(MENDS[method] for method in told["methods"] if method in MENDS)
        raise CisflowError(
            f"this job was to run in an environment of its own (--software-deployment-method "
            f"{' '.join(told['methods'])}), and it runs in the Python of Snakemake, {sys.prefix}. {why} What the "
            f"shell said is above; see {PAGE}."
        )


def pins(path: str | Path) -> dict[str, str]:
    """Return the versions in a conda file, by the names that pip uses."""
    found = re.findall(
        r"^ +- ([\w.-]+)==?([\w.]+)(?:=\S*)?$", Path(path).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    not_python = ("python", "pip", "cuda-version", "meme")
    return {name.replace("pytorch", "torch"): version for name, version in found if name not in not_python}


def differences(path: str | Path) -> list[tuple[str, str, str | None]]:
    """Return (name, version in a conda file, version here or None) of the packages that differ, sorted by name.

    Builds are not compared (2.13.0+cpu, 2.13.0.post300 of conda-forge), and a CPU build under a name of its own serves
    as well (tensorflow-cpu).
    """
    here = {name: _version(name) or _version(f"{name}-cpu") for name in pins(path)}
    return sorted((name, wanted, here[name]) for name, wanted in pins(path).items() if here[name] != wanted)


def _version(name: str) -> str | None:
    try:
        return re.sub(r"(\.post\d+)?(\+.*)?$", "", metadata.version(name))
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    try:
        check_python()
    except CisflowError as error:
        sys.exit(f"error: {error}")
