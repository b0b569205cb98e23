"""A copy of the repository to run the workflow in, and a way to run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import planted


def copy_of_repository(root: Path, folder: Path) -> Path:
    """Copy what git tracks or would track, as a fresh clone has it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder


@pytest.fixture
def clone(root, tmp_path) -> Path:
    """A fresh copy of the repository."""
    return copy_of_repository(root, tmp_path / "clone")


def environment() -> dict[str, str]:
    """The environment of this Python, without what another one may have left."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("SNAKEMAKE", "CISFLOW", "PYTHONPATH"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


def snakemake(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run snakemake in a folder and return what it printed (both streams together)."""
    return subprocess.run(
        ["snakemake", *arguments], cwd=folder, env=environment() | variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def succeed(folder: Path, *arguments: str, **variables: str) -> str:
    """Run snakemake and return what it printed; fail with it if it failed."""
    done = snakemake(folder, *arguments, **variables)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def cisflow(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the command line of a copy of the repository in it, and return what it printed, as `snakemake` does."""
    return subprocess.run(
        [sys.executable, "-c", "from cisflow.cli import main; main()", *arguments], cwd=folder,
        env=environment() | {"PYTHONPATH": str(folder / "src")} | variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def write_user_data(path: Path, length: int = 60) -> None:
    """Write a user's own HDF5 file: one-hot sequences (n, length, 4) and labels under names of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as h5:
        for number, (split, count) in enumerate((("train", 300), ("valid", 80), ("test", 80))):
            x, y = planted(count, length, number)
            h5[f"{split}/sequences"] = np.eye(4, dtype=np.int8)[x]
            h5[f"{split}/bound"] = y[:, 0].astype(np.int8)


USER_TASK = """
  mine:
    title: My own binding sites
    dataset:
      kind: hdf5
      file: data/mine.h5
      keys: {x: "{split}/sequences", y: "{split}/bound"}
      targets: [bound]
    model: {name: cnn-50, activation: [relu, exponential]}
    trials: 2
    training: {epochs: 3, device: any, loggers: [tensorboard, wandb]}
    attribution:
      sequences: 6
      galleries: {own: {rows: [7, 2], among: positives, window: [10, 50], runs: [cnn-50_relu], trial: 1}}
"""
