"""Embeddings of windows of 131,072 bp by Basenji2's trunk on a CPU: cisflow against TensorFlow, in turns.

The published architecture with random weights, from one HDF5 file that both sides read; the same random DNA. A further
row is the original procedure: Keras' predict, a batch of one, and HDF5 compressed with gzip 9. Each side is a process
of its own, so that each has its own peak memory. With --device gpu: cisflow alone, and the share of what the GPU
reaches in a product of large matrices.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch

from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.weights import load_basenji
from cisflow.io import h5_writer
from cisflow.models.basenji import Basenji
from cisflow.models.folded import inference
from cisflow.sequence import one_hot

TENSORFLOW = Path(".venv-tensorflow/bin/python")
LENGTH = 131072
# Of the trunk, for one window: twice its multiplications.
FLOP = 218.6e9


def write_weights(path: Path) -> None:
    """Write a trunk of random weights, whose normalisations fit what passes through it."""
    torch.manual_seed(0)
    model = Basenji(targets=None, gelu="quick").eval()
    for block in model.convolutions():
        torch.nn.init.uniform_(block.norm.weight, 0.5, 1.5)
        block.norm.momentum = 1.0
        block.norm.train()
    x = np.random.default_rng(1).integers(0, 4, (1, LENGTH), dtype=np.uint8)
    with torch.no_grad():
        model.embed(torch.from_numpy(one_hot(x)).transpose(1, 2))
    for block in model.convolutions():
        block.norm.momentum = 0.1
    write_keras(path, model)


def write_windows(path: Path, count: int) -> None:
    x = np.random.default_rng(0).integers(0, 4, (count, LENGTH), dtype=np.uint8)
    with h5_writer(path, "windows/1") as h5:
        h5["x"] = x


def serve(folder: Path, precision: str, threads: int) -> None:
    """Compute all windows for each line that comes in; tell the times."""
    torch.set_num_threads(threads)
    model = inference(load_basenji(folder / "weights.h5", head=False), precision)
    with h5py.File(folder / "windows.h5") as h5:
        x = torch.from_numpy(one_hot(h5["x"][:])).transpose(1, 2).contiguous()
    np.save(folder / f"{precision}.npy", model.embed(x[:1])[0].float().numpy())
    for line in sys.stdin:
        started, used = time.perf_counter(), time.process_time()
        if line.strip() == "write":
            with h5py.File(folder / "ours.h5", "w") as h5:
                out = h5.create_dataset("embeddings", (len(x), model.bins, model.channels), np.float16)
                for row in range(len(x)):
                    out[row] = model.embed(x[row : row + 1])[0].half().numpy()
        else:
            for row in range(len(x)):
                model.embed(x[row : row + 1])
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds / len(x), "processor": processor / len(x), "memory": memory}), flush=True)


class Side:
    """A process that computes when it is asked."""

    def __init__(self, name: str, what: str, *command: object):
        self.name, self.what, self.rows = name, what, []
        # Threads that wait for each other sleep: on a machine with other work, one that spins holds up the other.
        variables = os.environ | {"OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )

    def turn(self) -> None:
        self.process.stdin.write(f"{self.what}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: it ended; 'make benchmark-keras' installs TensorFlow")
        self.rows.append(json.loads(line))

    def row(self, base: "Side") -> str:
        seconds, processor = ([row[key] for row in self.rows] for key in ("seconds", "processor"))
        ratios = [theirs["seconds"] / own["seconds"] for own, theirs in zip(self.rows, base.rows, strict=True)]
        memory = max(row["memory"] for row in self.rows)
        return (
            f"| {self.name} | {said(seconds)} | {said(processor)} | {memory:.2f} GB | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


def said(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def on_cpu(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder / "weights.h5")
        write_windows(folder / "windows.h5", args.windows)
        ours = (sys.executable, __file__, "--threads", args.threads, "--folder", folder, "--serve")
        theirs = (args.tensorflow, "benchmarks/embedding_tensorflow.py", folder, args.threads)
        sides = [
            Side("TensorFlow, float32", "compute", *theirs),
            Side("cisflow, 32-true", "compute", *ours, "32-true"),
            Side("cisflow, bf16-mixed", "compute", *ours, "bf16-mixed"),
            Side("the original procedure", "original", *theirs),
            Side("cisflow, bf16-mixed, and written as float16", "write", *ours, "bf16-mixed"),
        ]
        # The first turn warms up, and does not count.
        for turn in range(args.repeats + 1):
            for side in sides:
                side.turn()
                if not turn:
                    side.rows.clear()
        found = [np.load(folder / f"{name}.npy") for name in ("tensorflow", "32-true", "bf16-mixed")]
        for side in sides:
            side.process.stdin.close()
            side.process.wait()
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{args.windows} windows a turn, {args.repeats} turns, {args.threads} threads; load of the machine {load}\n")
    print("| side | seconds a window | of the processor | peak memory | times as fast |\n|---|---|---|---|---|")
    for number, side in enumerate(sides):
        print(side.row(sides[0 if number < 3 else 3]))
    for name, array in zip(("32-true", "bf16-mixed"), found[1:], strict=True):
        difference = np.abs(array - found[0])
        print(
            f"{name}: embeddings differ from TensorFlow's by {difference.max():.2g} at most, root mean square "
            f"{np.sqrt((difference**2).mean()):.2g}, of a standard deviation of {found[0].std():.2f}"
        )


def timed(work, repeats: int) -> list[float]:
    times = []
    for turn in range(repeats + 2):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if turn >= 2:
            times.append(time.perf_counter() - started)
    return times


def on_gpu(args: argparse.Namespace) -> None:
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    model = Basenji(targets=None).eval()
    x = torch.from_numpy(one_hot(np.random.default_rng(0).integers(0, 4, (args.batch, LENGTH), dtype=np.uint8)))
    x = x.transpose(1, 2).contiguous().to("cuda")
    print(torch.cuda.get_device_name(), "| precision | windows a second | of the matrix product's ceiling |", sep="\n")
    for precision, dtype in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        a = torch.randn(8192, 8192, device="cuda", dtype=dtype)
        ceiling = 2 * 8192**3 / statistics.median(timed(lambda a=a: a @ a, args.repeats))
        folded = inference(model, precision, "cuda")
        times = timed(lambda folded=folded: folded.embed(x), args.repeats)
        rate = args.batch / statistics.median(times)
        print(f"| {precision} | {rate:.1f} | {rate * FLOP / ceiling:.0%} of {ceiling / 1e12:.0f} TFLOP/s |")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--windows", type=int, default=2, help="of each turn")
    flags.add_argument("--repeats", type=int, default=5)
    flags.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags.add_argument("--tensorflow", type=Path, default=TENSORFLOW, help="Python with tensorflow-cpu and tf-keras")
    flags.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    flags.add_argument("--batch", type=int, default=8, help="windows at a time, on a GPU")
    flags.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    flags.add_argument("--serve", help=argparse.SUPPRESS)
    args = flags.parse_args()
    if args.serve:
        serve(args.folder, args.serve, args.threads)
    elif args.device == "gpu":
        on_gpu(args)
    else:
        on_cpu(args)


if __name__ == "__main__":
    main()
