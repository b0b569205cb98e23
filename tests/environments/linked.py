"""Environments that have some of the packages of this one, and no others: made in a second, by links."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from workflow.envs.pins import needed


def link(names: Iterable[str], folder: Path) -> Path:
    """Make an environment with these distributions, file by file as pip installed them here, and return its Python.

    With torch come the packages of its build that no conda file names: the CUDA build has its libraries (libcudnn and
    others) in packages of their own. Programs are left out: their first lines name the Python of this environment.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    names = set(names)
    if "torch" in names:
        names |= needed(["torch"])
    for name in sorted(names):
        distribution = metadata.distribution(name)
        for file in distribution.files:
            target = Path(os.path.normpath(site / file))
            if (
                file.parts[:4] != ("..", "..", "..", "bin")
                and (source := Path(distribution.locate_file(file))).exists()
            ):
                target.parent.mkdir(parents=True, exist_ok=True)
                _same(source, target)
    # What numba compiled once lies beside the source.
    for compiled in Path(metadata.distribution("memelite").locate_file("memelite/__pycache__")).glob("*.nb[ic]"):
        if (site / "memelite").is_dir():
            _same(compiled, site / "memelite/__pycache__" / compiled.name)
    return folder / "bin" / "python"


def _same(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
