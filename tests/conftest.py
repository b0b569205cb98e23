"""Fixtures that several stages share: the real data folder, and small data sets made here."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from cisflow.config.datasets import Hdf5
from cisflow.datasets.make import make_dataset
from cisflow.datasets.store import Split, write_dataset
from cisflow.io import h5_reader
from tests.portal import serving
from tests.server import Server

ROOT = Path(__file__).parents[1]
SPLITS = ("train", "valid", "test")
MOTIF = "TGACTCA"
# Tests that run in one process wait for no GPU.
os.environ.setdefault("CISFLOW_GPU_LOCKS", "")


@pytest.fixture(autouse=True)
def same_environment():
    """What a test, or the code under test, sets for its child processes is not there for the next test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data (CISFLOW_REAL_DATA, by default beside the checkout); its tests skip without it."""
    folder = Path(os.environ.get("CISFLOW_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}")
    return folder


@pytest.fixture
def server():
    """A server on the loopback interface, which serves what is put into its `data`."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def portal(monkeypatch):
    """A server that answers as ENCODE does, with the `experiments` that are put into it; the client asks it."""
    with serving() as running:
        monkeypatch.setenv("CISFLOW_ENCODE", running.url)
        yield running


def planted(count: int, length: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random sequences; the first half have a motif at a random place (label 1)."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (count, length), dtype=np.uint8)
    y = (np.arange(count) < count // 2).astype(np.float32)[:, None]
    pattern = np.array(["ACGT".index(base) for base in MOTIF], np.uint8)
    for row in range(count // 2):
        start = rng.integers(10, length - len(pattern) - 10)
        x[row, start : start + len(pattern)] = pattern
    order = rng.permutation(count)
    return x[order], y[order]


def convert(folder: Path, *files: Path, **settings) -> dict[str, Split]:
    """Make a data set of kind hdf5 in a folder, as a task with these settings would, and return what is in it."""
    spec = Hdf5(kind="hdf5", file="{split}.h5", **settings).model_dump()
    make_dataset(spec, list(map(str, files)), folder / "dataset.h5")
    with h5_reader(folder / "dataset.h5", "dataset/1") as h5:
        return {name: Split(*(h5[name][key][:] for key in ("x", "y", "id"))) for name in SPLITS}


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A data set of the contract with one binary target: is MOTIF there?"""
    path = tmp_path / "dataset.h5"
    splits = {}
    for number, (name, count) in enumerate(zip(SPLITS, (400, 100, 100), strict=True)):
        x, y = planted(count, seed=number)
        splits[name] = Split(x, y, np.char.add(f"{name}-", np.arange(count).astype(str)).astype(np.bytes_))
    write_dataset(path, splits, ["has-motif"], "binary")
    return path
