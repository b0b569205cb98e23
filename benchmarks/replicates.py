"""Ten trials of cnn-deep as replicates of one module, against the same ten one after another.

With --grid, the whole grid of Task 1 (3 models, 17 activations, 10 trials) is timed for some epochs and extrapolated.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from cisflow.config.project import load_project
from cisflow.training import engine
from cisflow.training.data import load
from training_data import task1


def seconds(
    spec: dict, dataset: Path, folder: Path, device: str, precision: str, epochs: int, groups: list[list[int]]
) -> float:
    """Return the seconds of training all trials, group by group, after a warm-up epoch."""
    settings = load_project("config/config.yaml").task("task1").training_settings()
    fabric = engine.make_fabric(device, precision)
    info, (train, valid) = load(dataset, ["train", "valid"], fabric.device, True)

    def run(trials: list[int], count: int) -> None:
        seeds = {f"trial-{trial}": trial for trial in trials}
        engine.fit(spec, info, train, valid, settings | {"epochs": count}, seeds, folder, fabric)

    run(groups[0], 1)
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for group in groups:
        run(group, epochs)
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    flags.add_argument("--precision", default="32-true")
    flags.add_argument("--trials", type=int, default=10)
    flags.add_argument("--epochs", type=int, default=3)
    flags.add_argument("--grid", action="store_true", help="time every run of Task 1")
    args = flags.parse_args()
    engine.keep_freed_memory()
    trials = list(range(args.trials))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = task1(folder)
        spec = {"name": "cnn-deep", "activation": "exponential", "l2": 1e-6}
        together = seconds(spec, dataset, folder, args.device, args.precision, args.epochs, [trials])
        alone = seconds(spec, dataset, folder, args.device, args.precision, args.epochs, [[trial] for trial in trials])
        where = torch.cuda.get_device_name() if args.device == "gpu" else "CPU"
        print(f"{where}, {args.precision}, {args.trials} trials of cnn-deep, {args.epochs} epochs:")
        print(f"together {together:.1f} s, one after another {alone:.1f} s; ratio {alone / together:.1f}")
        if args.grid:
            runs = load_project("config/config.yaml").task("task1").runs()
            parts = [
                seconds(run, dataset, folder, args.device, args.precision, args.epochs, [trials])
                for run in runs.values()
            ]
            whole = sum(parts) / args.epochs * 100 / 60
            print(f"{len(runs)} runs of {args.trials} trials: {whole:.1f} minutes for 100 epochs of each")


main()
