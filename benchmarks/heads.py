"""Training a head on embeddings that stay on disk: peak memory by number of windows, and reading beside bare reading.

Embeddings are random, float16, of the size of Basenji2's (896 bins, 1,536 channels), in shards below a virtual array.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import torch

from cisflow.config.heads import PRESETS
from cisflow.io import h5_writer
from cisflow.models.zoo import HEADS
from cisflow.training.data import load, order

BINS, CHANNELS, TARGETS, SHARDS, VALID = 896, 1536, 18, 8, 8
ROW = 2 * BINS * CHANNELS
# Counts the memory of its one child: this program's own would be inherited by a child that it started itself.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def make(folder: Path, rows: int, of_bins: bool) -> None:
    rng = np.random.default_rng(0)
    counts, shards = {"train": rows, "valid": VALID}, {}
    for split, count in counts.items():
        for number, part in enumerate(np.array_split(np.arange(count), SHARDS if split == "train" else 1)):
            name = f"{split}-{number}.h5"
            shards.setdefault(split, []).append((name, part[0], len(part)))
            with h5_writer(folder / name, "embeddings/1") as h5:
                x = h5.create_dataset("embeddings", (len(part), BINS, CHANNELS), np.float16)
                for row in range(len(part)):
                    x[row] = rng.standard_normal((BINS, CHANNELS), np.float32)
    with h5_writer(folder / "dataset.h5", "dataset/1") as h5:
        h5.attrs.update({"length": BINS, "window": 131_072, "kind": "real", "input": "embeddings"})
        h5.attrs["targets"] = [f"t{number}" for number in range(TARGETS)]
        for split, count in counts.items():
            group, layout = h5.create_group(split), h5py.VirtualLayout((count, BINS, CHANNELS), np.float16)
            for name, first, size in shards[split]:
                layout[first : first + size] = h5py.VirtualSource(name, "embeddings", (size, BINS, CHANNELS))
            group.create_virtual_dataset("x", layout)
            group["y"] = rng.random((count, TARGETS), np.float32)
            if of_bins:
                labels = group.create_dataset("bins/y", (count, BINS, TARGETS), np.float32)
                for row in range(count):
                    labels[row] = rng.random((BINS, TARGETS), np.float32)


def train(folder: Path, head: str, threads: int) -> tuple[float, float]:
    """Return peak memory in bytes and seconds of one epoch, as the rule 'train' runs it."""
    settings = PRESETS["corrected"][head] | {
        "epochs": 1, "plateau": None, "early_stop": None, "mode": "max", "save_minutes": 5,
    }  # fmt: skip
    model = {"name": head}
    command = [
        sys.executable, "workflow/scripts/training/train.py", "--task", "t", "--run", head,
        "--dataset", folder / "dataset.h5", "--model", json.dumps(model), "--training", json.dumps(settings),
        "--trials", "1", "--device", "any", "--precision", "32-true", "--data", "stream", "--threads", str(threads),
        "--work", folder / "work", "--out", folder / "out",
    ]  # fmt: skip
    found = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True)
    (history,) = (folder / "out").glob("trial-0/history.tsv")
    header, values = (line.split("\t") for line in history.read_text().splitlines())
    return float(found.stdout), float(values[header.index("seconds")])


def forget(folder: Path) -> None:
    """Ask the system to drop the shards from its cache."""
    for path in folder.glob("train-*.h5"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bare(folder: Path, at_random: bool) -> Iterator[int]:
    """Yield the bytes of each row, read by the system's own call."""
    places = []
    for path in sorted(folder.glob("train-*.h5"), key=lambda path: int(path.stem.split("-")[1])):
        with h5py.File(path) as h5:
            offset, count = h5["embeddings"].id.get_offset(), len(h5["embeddings"])
        places += [(path, offset + row * ROW) for row in range(count)]
    files = {path: os.open(path, os.O_RDONLY) for path, _ in places}
    # As into the batches of training: memory that is new each time.
    for number in order(1, 0, len(places)) if at_random else range(len(places)):
        path, offset = places[number]
        yield os.preadv(files[path], [np.empty(ROW, np.uint8)], offset)
    for file in files.values():
        os.close(file)


def streamed(folder: Path, at_random: bool) -> Iterator[int]:
    """Yield the bytes of each batch, read as training reads it, without learning."""
    _, (rows,) = load(folder / "dataset.h5", ["train"], "cpu", False)
    numbers = order(1, 0, rows.count) if at_random else np.arange(rows.count)
    for batch in rows.batches(torch.from_numpy(numbers)[None], 4):
        yield batch.x["x"].numel() * 2


def speed(read: Callable[[Path, bool], Iterator[int]], folder: Path, at_random: bool, cold: bool) -> float:
    if cold:
        forget(folder)
    started = time.perf_counter()
    return sum(read(folder, at_random)) / (time.perf_counter() - started) / 1e6


def show(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--rows", type=int, nargs="+", default=[200, 800], help="windows of train")
    flags.add_argument("--heads", nargs="+", default=["max-pool-perceptron"], choices=list(HEADS))
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--repeats", type=int, default=3, help="of reading")
    flags.add_argument("--folder", type=Path, help="where to write the embeddings; default: the temporary folder")
    args = flags.parse_args()
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            folder = Path(name)
            # In a process of its own, which takes the memory of making it along.
            with get_context("spawn").Pool(1) as pool:
                pool.apply(make, (folder, rows, "linear-probe" in args.heads))
            for head in args.heads:
                peak, seconds = train(folder, head, args.threads)
                read = rows * ROW / seconds / 1e6
                print(f"{head} | {rows:,} windows | {rows * ROW / 1e6:,.0f} MB | peak {peak / 1e6:,.0f} MB | "
                    f"epoch {seconds:.1f} s | {read:,.0f} MB/s", flush=True)  # fmt: skip
            if rows != max(args.rows):
                continue
            for cold in (True, False):
                found: dict[str, list[float]] = {}
                for _ in range(args.repeats):
                    for at_random in (False, True):
                        for read in (bare, streamed):
                            what = f"{read.__name__}, {'random' if at_random else 'sequential'}"
                            found.setdefault(what, []).append(speed(read, folder, at_random, cold))
                for what, values in found.items():
                    print(f"reading {'from disk' if cold else 'from cache'}: {what}: {show(values)} MB/s", flush=True)


if __name__ == "__main__":
    main()
