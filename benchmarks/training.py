"""A training step of cnn-deep on Task 1: cisflow against the Keras implementation that the paper used.

Same sequences, batch (100), layers, optimiser and threads; the two take turns, so that a busy machine troubles both.
The first epoch of each run, in which TensorFlow traces its graph, does not count.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from cisflow.config.project import load_project
from cisflow.datasets.store import SPLITS
from cisflow.training import engine
from cisflow.training.data import load
from training_data import task1

KERAS = Path(".venv-tensorflow/bin/python")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--epochs", type=int, default=8)
    flags.add_argument("--repeats", type=int, default=2, help="runs of each, with their own seeds")
    flags.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags.add_argument("--keras", type=Path, default=KERAS, help="Python with tensorflow-cpu and tf-keras")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    engine.keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        dataset = task1(Path(folder))
        arrays = Path(folder, "arrays.npz")
        write_arrays(dataset, arrays)
        print(f"{args.threads} threads, {args.epochs} epochs, {args.repeats} runs of each")
        print("sequences a second: median (range)")
        for activation in ("relu", "exponential"):
            compare(activation, dataset, arrays, Path(folder), args)


def write_arrays(dataset: Path, path: Path) -> None:
    _, (train, valid) = load(dataset, list(SPLITS[:2]), "cpu", True)
    one_hot = np.eye(4, dtype=np.float32)
    rows = {"": next(train.batches(torch.arange(train.count), train.count))}
    rows["_valid"] = next(valid.batches(torch.arange(valid.count), valid.count))
    arrays = {f"x{name}": one_hot[batch.x["x"].numpy()] for name, batch in rows.items()}
    np.savez(path, **arrays, **{f"y{name}": batch.y.numpy() for name, batch in rows.items()})


def compare(activation: str, dataset: Path, arrays: Path, folder: Path, args: argparse.Namespace) -> None:
    sides = {"Keras": [], "cisflow 32-true": [], "cisflow bf16-mixed": []}
    for seed in range(args.repeats):
        sides["Keras"].append(run_keras(activation, arrays, seed, args))
        for precision in ("32-true", "bf16-mixed"):
            sides[f"cisflow {precision}"].append(run_ours(activation, precision, dataset, folder, seed, args))
    base = statistics.median(row["rate"] for rows in sides["Keras"] for row in rows[1:])
    for name, runs in sides.items():
        rates = [row["rate"] for rows in runs for row in rows[1:]]
        aurocs = ", ".join(f"{rows[-1]['auroc']:.3f}" for rows in runs)
        middle = statistics.median(rates)
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(
            f"{activation:12} {name:20} {middle:8,.0f} ({spread})  {middle / base:4.2f} x Keras  valid AUROC {aurocs}"
        )


def run_keras(activation: str, arrays: Path, seed: int, args: argparse.Namespace) -> list[dict]:
    command = [
        args.keras,
        "benchmarks/keras_side.py",
        arrays,
        activation,
        str(args.epochs),
        str(args.threads),
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{args.keras}: {done.stderr[-2000:]}\nmake benchmark-keras installs it")
    return [json.loads(line) for line in done.stdout.splitlines()]


def run_ours(activation, precision, dataset: Path, folder: Path, seed: int, args: argparse.Namespace) -> list[dict]:
    settings = load_project("config/config.yaml").task("task1").training_settings() | {"epochs": args.epochs}
    fabric = engine.make_fabric("cpu", precision)
    info, (train, valid) = load(dataset, ["train", "valid"], "cpu", True)
    rows: list[dict] = []

    def on_epoch(_: str, row: dict[str, float]) -> None:
        # The seconds of an epoch include its validation, which Keras does outside the clock: to our disadvantage.
        rows.append({"rate": train.count / row["seconds"], "loss": row["train_loss"], "auroc": row["valid_auroc"]})

    spec = {"name": "cnn-deep", "activation": activation, "l2": 1e-6}
    out = folder / f"{activation}-{precision}-{seed}"
    engine.fit(spec, info, train, valid, settings, {"trial-0": seed}, out, fabric, on_epoch=on_epoch)
    return rows


main()
