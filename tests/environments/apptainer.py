"""A stand-in for apptainer, as far as Snakemake uses it: images are folders with environments, and isolate nothing."""

import itertools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """#!{python}
import sys
sys.path[:0] = ["{root}"]
from tests.environments.apptainer import main
main(sys.argv[1:])
"""
WITH_A_VALUE = ("--home", "--bind", "--pwd")


def install(folder: Path) -> Path:
    """Write the stand-in and return the folder for PATH."""
    folder.mkdir(parents=True)
    (folder / "apptainer").write_text(PROGRAM.format(python=sys.executable, root=ROOT))
    (folder / "apptainer").chmod(0o755)
    return folder


def main(arguments: list[str]) -> None:
    """Answer as apptainer would, or become the command."""
    if arguments == ["--version"]:
        print("apptainer version 1.3.6")
        return
    rest = iter(arguments[arguments.index("exec") + 1 :])
    for word in rest:
        if word in WITH_A_VALUE:
            next(rest)
        elif not word.startswith("-"):
            break
    path = os.pathsep.join([f"{word}/bin", "/usr/bin", "/bin"])
    command = list(itertools.chain(rest))
    os.execvpe(command[0], command, os.environ | {"PATH": path, "APPTAINER_CONTAINER": word})
