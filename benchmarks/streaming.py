"""Peak memory of the conversion of Task 2, for files in the layouts of DeepSEA's own, of two sizes.

Train is MATLAB 7.3 (compressed chunks, axes reversed), valid and test are compressed MATLAB 5. The files are made
here, with random sequences, of which about a third have one of the twelve labels.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from cisflow.config.project import load_project

FEATURES, LENGTH = 919, 1000
CHUNK = 1000  # rows made and compressed together
# Counts the memory of its one child: this program's own would be inherited by a child that it started itself.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def arrays(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (rows, LENGTH))].transpose(0, 2, 1)
    return x, (rng.random((rows, FEATURES), np.float32) < 0.03).astype(np.uint8)


def make_train(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as h5:
        for key, shape in (("trainxdata", (LENGTH, 4, rows)), ("traindata", (FEATURES, rows))):
            chunks = (*(min(size, 50) for size in shape[:-1]), CHUNK)
            h5.create_dataset(key, shape, np.uint8, chunks=chunks, compression="gzip", compression_opts=1)
        for start in range(0, rows, CHUNK):
            x, y = arrays(CHUNK, rng)
            h5["trainxdata"][..., start : start + CHUNK] = x.T
            h5["traindata"][..., start : start + CHUNK] = y.T


def make_matlab5(path: Path, rows: int) -> None:
    x, y = arrays(rows, np.random.default_rng(1))
    scipy.io.savemat(path, {f"{path.stem}xdata": x, f"{path.stem}data": y}, do_compression=True)


def convert(folder: Path) -> tuple[float, float, dict[str, int]]:
    """Return peak memory in bytes, seconds, and the rows of the data set by split."""
    spec = load_project("config/config.yaml").task("task2").dataset.model_dump()
    splits = ("train", "valid", "test")
    command = [
        sys.executable, "workflow/scripts/datasets/make.py", "--dataset", json.dumps(spec),
        "--inputs", *(folder / f"{split}.mat" for split in splits), "--out", folder / "dataset.h5",
        "--provenance", folder / "provenance.json",
    ]  # fmt: skip
    started = time.perf_counter()
    peak = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True)
    with h5py.File(folder / "dataset.h5") as h5:
        return float(peak.stdout), time.perf_counter() - started, {split: len(h5[split]["y"]) for split in splits}


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--rows", type=int, nargs="+", default=[30_000, 120_000], help="rows of train, and of test")
    args = flags.parse_args()
    print("rows in train and in test | one variable in memory | kept, all splits | seconds | peak memory")
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # Each in a process of its own, which takes the memory of making it along.
            with get_context("spawn").Pool(1) as pool:
                pool.apply(make_train, (folder / "train.mat", rows))
                pool.apply(make_matlab5, (folder / "test.mat", rows))
                pool.apply(make_matlab5, (folder / "valid.mat", 4000))
            peak, seconds, kept = convert(folder)
        size = f"{rows * 4 * LENGTH / 1e6:,.0f} MB"
        print(f"{rows:,} | {size} | {sum(kept.values()):,} | {seconds:.0f} | {peak / 1e6:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
