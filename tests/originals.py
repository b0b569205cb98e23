"""Small files in the layouts of the papers' originals, and what a plain NumPy conversion makes of them."""

import tarfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io

SPLITS = ("train", "valid", "test")
FEATURES = 919
# MATLAB 7.3 files begin with half a kilobyte of text before the HDF5 file.
USER_BLOCK = 512


def deepsea_arrays(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences, uint8 (n, 4, 1000) in the order A, G, C, T with some unknown bases, and labels (n, 919)."""
    rng = np.random.default_rng(seed)
    bases = rng.integers(0, 4, (rows, 1000))
    x = np.eye(4, dtype=np.uint8)[bases].transpose(0, 2, 1)
    x[rng.integers(0, rows, 5), :, rng.integers(0, 1000, 5)] = 0
    y = (rng.random((rows, FEATURES)) < 0.03).astype(np.uint8)
    return x, y


def write_matlab73(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as MATLAB 7.3 does: HDF5 with all axes reversed, in compressed chunks."""
    with h5py.File(path, "w", userblock_size=USER_BLOCK) as h5:
        for name, array in arrays.items():
            chunks = tuple(min(size, 7) for size in array.T.shape)
            h5.create_dataset(name, data=array.T, chunks=chunks, compression="gzip")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(USER_BLOCK))


def deepsea_bundle(folder: Path, rows: dict[str, int], change=None) -> tuple[Path, dict]:
    """Write the DeepSEA bundle; `change` may alter the arrays, a dictionary by split, before they are written.

    Returns the archive and the arrays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for seed, split in enumerate(SPLITS):
        x, y = deepsea_arrays(rows[split], seed)
        arrays[split] = {f"{split}xdata": x, f"{split}data": y}
    if change:
        change(arrays)
    write_matlab73(folder / "train.mat", arrays["train"])
    for split in SPLITS[1:]:
        scipy.io.savemat(folder / f"{split}.mat", arrays[split], do_compression=True)
    archive = folder / "deepsea_train_bundle.v0.9.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in ("valid", "train", "test"):
            tar.add(folder / f"{name}.mat", f"deepsea_train/{name}.mat")
            (folder / f"{name}.mat").unlink()
    return archive, arrays


def naive_deepsea(arrays: dict, split: str, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base indices, labels and rows of the source, as the paper's own conversion goes."""
    x, y = arrays[split][f"{split}xdata"], arrays[split][f"{split}data"]
    y = y[:, columns]
    rows = np.flatnonzero(y.sum(axis=1) > 0)
    x = x[rows][:, [0, 2, 1, 3]]
    return np.where(x.sum(axis=1) == 0, 4, x.argmax(axis=1)), y[rows], rows


def basset_file(path: Path, rows: dict[str, int], targets: int = 164) -> dict:
    """Write er.h5 as Basset does, (n, 4, 1, 600) with 0.25 for an unknown base; return its arrays."""
    rng = np.random.default_rng(3)
    arrays = {}
    for split in SPLITS:
        x = np.eye(4, dtype=np.float16)[rng.integers(0, 4, (rows[split], 600))].transpose(0, 2, 1)[:, :, None]
        x[0, :, :, 5] = 0.25
        arrays[f"{split}_in"] = x
        arrays[f"{split}_out"] = rng.random((rows[split], targets)) < 0.1
    arrays["target_labels"] = np.array([f"cell{number}".encode() for number in range(targets)])
    arrays["test_headers"] = np.array([f"chr1:{row}-{row + 600}(+)".encode() for row in range(rows["test"])])
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as h5:
        for name, array in arrays.items():
            h5.create_dataset(name, data=array, compression="gzip")
    return arrays
